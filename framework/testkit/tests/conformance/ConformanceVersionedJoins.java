// Joins with versioned tables: streams, with and without a grace period, tables of which one side or both
// are versioned, and foreign keys.
//
// Knows topologies; not how a case is run. The cases are of the group `versioned`. Those with a grace
// period get no null keys: Kafka Streams fails at one in a left join.

import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

final class ConformanceVersionedJoins extends ConformanceTopologies {
    private static final boolean[] INNER_AND_LEFT = {false, true};

    static void run(ConformanceCase.Group group) {
        for (boolean left : INNER_AND_LEFT) {
            stream(group, left);
            streamOfSides(group, left);
            streamOfAggregation(group, left);
            grace(group, left, "_grace", 10);
            grace(group, left, "_grace_zero", 0);
            grace(group, left, "_grace_of_history", 40);
            graceRepartitioned(group, left);
            foreignKeys(group, left);
        }
        for (ConformanceTableJoins.Kind kind : ConformanceTableJoins.Kind.values()) {
            tables(group, kind, "", true, true);
            tables(group, kind, "_left_versioned", true, false);
            tables(group, kind, "_right_versioned", false, true);
            stored(group, kind);
        }
    }

    private static String name(boolean left, String suffix) {
        return "versioned_stream_" + (left ? "left" : "inner") + "_join" + suffix;
    }

    private static ConformanceCase begin(ConformanceCase.Group group, boolean left, String suffix) {
        return ConformanceVersioned.begin(group, name(left, suffix), false).inputsOf("versioned_stream_join" + suffix);
    }

    private static KStream<String, String> join(boolean left, KStream<String, String> one, KTable<String, String> two,
                                                Joined<String, String, String> joined) {
        return left ? one.leftJoin(two, ConformanceTopologies::pair, joined)
            : one.join(two, ConformanceTopologies::pair, joined);
    }

    /** A record is joined with the version of its time. */
    static void stream(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        ConformanceStreamTableJoins.join(left, strings(b, "stream"), ConformanceVersioned.source(b, "table")).to("out");
        begin(group, left, "").run(b, ConformanceVersioned.inputs("stream", "table").records(90));
    }

    /** A versioned table that is filtered and mapped without a store is still versioned. */
    static void streamOfSides(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = ConformanceVersioned.source(b, "table");
        KStream<String, String> stream = strings(b, "stream");
        ConformanceStreamTableJoins.join(left, stream,
            table.filter((k, v) -> ConformanceTableJoins.early(v)).mapValues((k, v) -> k + v)).to("out");
        // With a store that is not versioned, it is not.
        ConformanceStreamTableJoins.join(left, stream, table.mapValues(v -> v + "!", table("mapped"))).to("stored");
        begin(group, left, "_of_sides").out("stored").run(b, ConformanceVersioned.inputs("stream", "table").records(90));
    }

    static void streamOfAggregation(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = strings(b, "other").groupByKey()
            .reduce((x, y) -> join(letter(x), y), ConformanceVersioned.versioned("reduced"));
        ConformanceStreamTableJoins.join(left, strings(b, "stream"), table).to("out");
        begin(group, left, "_of_aggregation").run(b, ConformanceVersioned.inputs("stream", "other").records(90));
    }

    /** Records wait until the time of the stream has gone on by the grace period. */
    static void grace(ConformanceCase.Group group, boolean left, String suffix, long grace) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, strings(b, "stream"), ConformanceVersioned.source(b, "table"),
            Joined.<String, String, String>as("n").withGracePeriod(ms(grace))).to("out");
        begin(group, left, suffix).inputsOf("versioned_stream_join_grace").option("grace", grace)
            .run(b, ConformanceVersioned.inputs("stream", "table").records(100).nulls(0, 12));
    }

    static void graceRepartitioned(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> byLetter = strings(b, "stream")
            .filter((k, v) -> letter(v) != null).selectKey((k, v) -> letter(v));
        join(left, byLetter, ConformanceVersioned.source(b, "table"),
            Joined.<String, String, String>as("n").withGracePeriod(ms(10))).to("out");
        begin(group, left, "_grace_repartitioned").option("grace", 10)
            .run(b, ConformanceVersioned.inputs("stream", "table").records(90));
    }

    private static KTable<String, String> side(StreamsBuilder b, String topic, boolean versioned) {
        return versioned ? ConformanceVersioned.source(b, topic) : ConformanceTableJoins.source(b, topic);
    }

    /** Versions out of order of a versioned side lead to no result. */
    static void tables(ConformanceCase.Group group, ConformanceTableJoins.Kind kind, String suffix,
                       boolean one, boolean two) {
        StreamsBuilder b = new StreamsBuilder();
        kind.join(side(b, "one", one), side(b, "two", two)).toStream().to("out");
        ConformanceVersioned.begin(group, "versioned_table_" + kind.text + "_join" + suffix, false)
            .inputsOf("versioned_table_join").run(b, ConformanceVersioned.inputs("one", "two"));
    }

    /** The result has a versioned store. */
    static void stored(ConformanceCase.Group group, ConformanceTableJoins.Kind kind) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> one = ConformanceVersioned.source(b, "one");
        KTable<String, String> two = ConformanceVersioned.source(b, "two");
        var joined = ConformanceVersioned.<String>versioned("joined");
        KTable<String, String> result = switch (kind) {
            case INNER -> one.join(two, ConformanceTopologies::pair, joined);
            case LEFT -> one.leftJoin(two, ConformanceTopologies::pair, joined);
            case OUTER -> one.outerJoin(two, ConformanceTopologies::pair, joined);
        };
        result.toStream().to("out");
        ConformanceVersioned.ask(b, "joined");
        ConformanceVersioned.begin(group, "versioned_table_" + kind.text + "_join_stored", false).out("answered")
            .inputsOf("versioned_table_join_stored").run(b, ConformanceVersioned.inputs("one", "two", "asked").records(90));
    }

    static void foreignKeys(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        ConformanceForeignKeys.join(left, ConformanceVersioned.source(b, "rows"), ConformanceVersioned.source(b, "others"))
            .toStream().to("out");
        ConformanceVersioned.begin(group, "versioned_foreign_key_" + (left ? "left" : "inner") + "_join", false)
            .inputsOf("versioned_foreign_key_join").run(b, ConformanceVersioned.inputs("rows", "others"));
    }
}
