// Streams joined with tables, inner and left: tables of a topic, of a stream, of an aggregation, filtered,
// joined and suppressed; also a table that the same record changes.
//
// Knows topologies; not how a case is run. The cases are of the group `table_joins`.

import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

final class ConformanceStreamTableJoins extends ConformanceTopologies {
    private static final boolean[] INNER_AND_LEFT = {false, true};

    static void run(ConformanceCase.Group group) {
        for (boolean left : INNER_AND_LEFT) {
            plain(group, left);
            nullResults(group, left);
            withKey(group, left);
            repartitioned(group, left);
            sides(group, left);
            toTable(group, left);
            aggregation(group, left);
            joinedTable(group, left);
            suppressedTable(group, left);
            for (boolean cache : BOTH) {
                ownAggregation(group, left, cache);
                ownTable(group, left, cache);
            }
        }
    }

    private static ConformanceInputs inputs(String... topics) {
        return ConformanceInputs.small().topics(topics).nulls(8, 15).values(NUMBERED);
    }

    static KStream<String, String> join(boolean left, KStream<String, String> one, KTable<String, String> two) {
        return join(left, one, two, ConformanceTopologies::pair);
    }

    static KStream<String, String> join(boolean left, KStream<String, String> one, KTable<String, String> two,
                                        ValueJoiner<String, String, String> joiner) {
        return left ? one.leftJoin(two, joiner) : one.join(two, joiner);
    }

    private static ConformanceCase begin(ConformanceCase.Group group, boolean left, String suffix, boolean cache) {
        return group.named("stream_table_" + (left ? "left" : "inner") + "_join" + suffix, cache)
            .inputsOf("stream_table_join" + suffix).out("out");
    }

    static void plain(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, strings(b, "stream"), ConformanceTableJoins.source(b, "table")).to("out");
        begin(group, left, "", false).store("table-store").run(b, inputs("stream", "table"));
    }

    static void nullResults(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, strings(b, "stream"), b.table("table"), ConformanceTopologies::pairOrReset).to("out");
        begin(group, left, "_null_results", false).run(b, inputs("stream", "table").records(50));
    }

    static void withKey(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> stream = strings(b, "stream");
        KTable<String, String> table = b.table("table");
        ValueJoinerWithKey<String, String, String, String> joiner = (k, v, of) -> k + "=" + pair(v, of);
        (left ? stream.leftJoin(table, joiner) : stream.join(table, joiner)).to("out");
        begin(group, left, "_with_key", false).run(b, inputs("stream", "table").records(40));
    }

    /** The key becomes the first letter of the value, which for some is null. */
    static void repartitioned(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, strings(b, "stream").selectKey((k, v) -> letter(v)), ConformanceTableJoins.source(b, "table")).to("out");
        begin(group, left, "_repartitioned", false).store("table-store").run(b, inputs("stream", "table"));
    }

    /** A table that is filtered and mapped, without a store of its own: read through its functions. */
    static void sides(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = b.<String, String>table("table")
            .filter((k, v) -> ConformanceTableJoins.early(v)).mapValues((k, v) -> k + v);
        join(left, strings(b, "stream").filterNot((k, v) -> v == null), table).to("out");
        begin(group, left, "_of_sides", false).run(b, inputs("stream", "table"));
    }

    /** A table of a stream whose key was changed. */
    static void toTable(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = strings(b, "other").selectKey((k, v) -> letter(v)).toTable(table("table"));
        join(left, strings(b, "stream"), table).to("out");
        begin(group, left, "_to_table", false).store("table").run(b, inputs("stream", "other"));
    }

    static void aggregation(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = strings(b, "other").groupByKey()
            .aggregate(() -> "", (k, v, all) -> joinOrReset(all, letter(v)), table("agg"));
        join(left, strings(b, "stream"), table).to("out");
        begin(group, left, "_aggregation", false).store("agg").run(b, inputs("stream", "other"));
    }

    /** The table is a join of tables, with a store and without. */
    static void joinedTable(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> one = b.table("one");
        KTable<String, String> two = b.table("two");
        KStream<String, String> stream = strings(b, "stream");
        join(left, stream, one.outerJoin(two, ConformanceTopologies::pair)).to("out");
        join(left, stream, one.leftJoin(two, ConformanceTopologies::pair, table("joined"))).to("stored");
        begin(group, left, "_joined_table", false).out("stored").store("joined")
            .run(b, inputs("stream", "one", "two").records(80));
    }

    /** Reads of a suppressed table see what has been emitted. */
    static void suppressedTable(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = ConformanceTableJoins.source(b, "table")
            .suppress(Suppressed.untilTimeLimit(ms(12), Suppressed.BufferConfig.unbounded()));
        table.toStream().to("emitted");
        join(left, strings(b, "stream"), table).to("out");
        begin(group, left, "_suppressed_table", false).option("limit", 12).out("emitted")
            .run(b, inputs("stream", "table"));
    }

    /** A record changes the table and is joined with it: in the order in which the two were added. */
    static void ownAggregation(ConformanceCase.Group group, boolean left, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = strings(b, "in");
        KTable<String, String> counts = in.groupByKey().count(table("counts")).mapValues(n -> "" + n);
        join(left, in, counts).to("out");
        join(left, in.mapValues(v -> v == null ? null : v + "!"), counts).to("mapped");
        counts.toStream().to("counts");
        begin(group, left, "_own_aggregation", cache).out("mapped").out("counts").store("counts")
            .run(b, inputs("in").records(50));
    }

    /** The changes of a table, joined with the table. */
    static void ownTable(ConformanceCase.Group group, boolean left, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = ConformanceTableJoins.source(b, "in");
        join(left, table.toStream(), table).to("out");
        join(left, table.toStream().selectKey((k, v) -> letter(v)), table).to("by-letter");
        begin(group, left, "_own_table", cache).out("by-letter").store("in-store").run(b, inputs("in").records(50));
    }
}
