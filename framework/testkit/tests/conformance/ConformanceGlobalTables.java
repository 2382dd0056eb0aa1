// Streams joined with global tables, inner and left, by keys that a function makes; global tables that
// change in between, and one that several joins read.
//
// Knows topologies; not how a case is run. A record of a global table's topic is taken at once in the
// driver. Cases of one shape take the same inputs in both joins.

import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

final class ConformanceGlobalTables extends ConformanceTopologies {
    private static final boolean[] INNER_AND_LEFT = {false, true};

    static void run(ConformanceCase.Group group) {
        for (boolean left : INNER_AND_LEFT) {
            byKey(group, left);
            byValue(group, left);
            nullResults(group, left);
            withKey(group, left);
            chained(group, left);
            repartitioned(group, left);
        }
    }

    private static ConformanceInputs inputs() {
        return ConformanceInputs.small().topics("in", "global").nulls(8, 15).values(NUMBERED);
    }

    private static KStream<String, String> join(boolean left, KStream<String, String> stream,
                                                GlobalKTable<String, String> table,
                                                KeyValueMapper<String, String, String> key) {
        return left ? stream.leftJoin(table, key, ConformanceTopologies::pair)
            : stream.join(table, key, ConformanceTopologies::pair);
    }

    private static ConformanceCase begin(ConformanceCase.Group group, boolean left, String suffix) {
        return group.named("global_" + (left ? "left" : "inner") + "_join" + suffix, false)
            .inputsOf("global_join" + suffix).out("out");
    }

    private static GlobalKTable<String, String> global(StreamsBuilder b) {
        return b.globalTable("global", ConformanceTopologies.<String>table("table"));
    }

    static void byKey(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, strings(b, "in"), global(b), (k, v) -> k).to("out");
        begin(group, left, "").store("table").run(b, inputs());
    }

    /** The table has no name; values give the key, which for some is null. */
    static void byValue(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, strings(b, "in"), b.globalTable("global"), (k, v) -> letter(v)).to("out");
        begin(group, left, "_by_value").run(b, inputs());
    }

    static void nullResults(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = strings(b, "in");
        GlobalKTable<String, String> table = global(b);
        KeyValueMapper<String, String, String> key = (k, v) -> k;
        (left ? in.leftJoin(table, key, ConformanceTopologies::pairOrReset)
            : in.join(table, key, ConformanceTopologies::pairOrReset)).to("out");
        begin(group, left, "_null_results").run(b, inputs().records(50));
    }

    /** The joiner is given the record's key, not the table's. */
    static void withKey(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = strings(b, "in");
        GlobalKTable<String, String> table = global(b);
        KeyValueMapper<String, String, String> key = (k, v) -> letter(v);
        ValueJoinerWithKey<String, String, String, String> joiner = (k, v, of) -> k + "=" + pair(v, of);
        (left ? in.leftJoin(table, key, joiner) : in.join(table, key, joiner)).to("out");
        begin(group, left, "_with_key").run(b, inputs().records(50));
    }

    /** Two global tables, one of them read twice. */
    static void chained(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        GlobalKTable<String, String> table = global(b);
        GlobalKTable<String, String> other = b.globalTable("other", ConformanceTopologies.<String>table("other-table"));
        KStream<String, String> first = join(left, strings(b, "in"), table, (k, v) -> k);
        join(left, join(left, first, other, (k, v) -> letter(v)), table, (k, v) -> letter(v)).to("out");
        begin(group, left, "_chained").store("table", "other-table")
            .run(b, inputs().topics("in", "in", "global", "other").records(90));
    }

    /** A change of the key before the join is still one behind it. */
    static void repartitioned(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, strings(b, "in").selectKey((k, v) -> letter(v)), global(b), (k, v) -> k)
            .groupByKey().count(table("counts")).toStream().mapValues(ConformanceTopologies::text).to("out");
        begin(group, left, "_counted").store("counts").run(b, inputs());
    }
}
