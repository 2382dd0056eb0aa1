// Streams joined with streams: inner, left and outer, in windows of every shape; of one topic, after a
// change of the key, and with stores in memory.
//
// Knows topologies; not how a case is run. The stores are named after `j`. Cases of one window take the
// same inputs in all three joins, so that they can be compared. Kafka Streams looks for records without
// a match at most once an interval of the wall clock: 1000 ms, or what the internal setting says.

import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.StreamsConfig.InternalConfig;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;

final class ConformanceStreamJoins extends ConformanceTopologies {
    /** The name of the case begins with the kind of join. */
    enum Kind {
        INNER("inner"), LEFT("left"), OUTER("outer");

        final String text;

        Kind(String text) {
            this.text = text;
        }

        <K> KStream<K, String> join(KStream<K, String> one, KStream<K, String> two,
                                    ValueJoiner<String, String, String> joiner, JoinWindows windows,
                                    StreamJoined<K, String, String> joined) {
            return switch (this) {
                case INNER -> one.join(two, joiner, windows, joined);
                case LEFT -> one.leftJoin(two, joiner, windows, joined);
                case OUTER -> one.outerJoin(two, joiner, windows, joined);
            };
        }

        <K> KStream<K, String> join(KStream<K, String> one, KStream<K, String> two,
                                    ValueJoinerWithKey<K, String, String, String> joiner, JoinWindows windows,
                                    StreamJoined<K, String, String> joined) {
            return switch (this) {
                case INNER -> one.join(two, joiner, windows, joined);
                case LEFT -> one.leftJoin(two, joiner, windows, joined);
                case OUTER -> one.outerJoin(two, joiner, windows, joined);
            };
        }

        /** What a join with stores named `j` has. */
        String[] stores() {
            return switch (this) {
                case INNER -> new String[] {"j-this-join-store", "j-other-join-store"};
                case LEFT -> new String[] {"j-this-join-store", "j-outer-other-join-store", "j-left-shared-join-store"};
                case OUTER -> new String[] {
                    "j-outer-this-join-store", "j-outer-other-join-store", "j-outer-shared-join-store"};
            };
        }
    }

    /** Windows, and what the names of their cases end with. */
    record Shape(String suffix, long before, long after, long grace) {
        JoinWindows windows() {
            return JoinWindows.ofTimeDifferenceAndGrace(ms(Math.max(before, after)), ms(grace))
                .before(ms(before)).after(ms(after));
        }
    }

    static final Shape PLAIN = new Shape("", 10, 10, 0);
    static final Shape GRACE = new Shape("_grace", 10, 10, 15);
    static final Shape BOTH_SIDES = new Shape("_before_and_after", 4, 12, 5);
    static final Shape[] SHAPES = {
        PLAIN, GRACE, BOTH_SIDES,
        new Shape("_only_before", 10, 0, 5),
        new Shape("_only_after", 0, 10, 5),
        new Shape("_wholly_after", -3, 12, 5),
        new Shape("_wholly_before", 12, -3, 5),
        new Shape("_zero", 0, 0, 0),
        new Shape("_zero_grace", 0, 0, 15),
    };

    static void run(ConformanceCase.Group group) {
        for (Shape shape : SHAPES) {
            for (Kind kind : Kind.values()) {
                two(group, kind, shape, shape.suffix, shape.suffix, inputs(), joined());
            }
        }
        for (Kind kind : Kind.values()) {
            two(group, kind, GRACE, "_nulls", "_nulls", inputs().nulls(15, 15), joined());
            two(group, kind, GRACE, "_same_times", "_same_times", sameTimes(), joined());
            two(group, kind, PLAIN, "_many_keys", "_many_keys", many(), joined());
            two(group, kind, new Shape("", 60_000, 60_000, 90_000), "_minutes", "_minutes",
                inputs().times(12_000).start(1_700_000_000_000L), joined());
            two(group, kind, GRACE, "_in_memory", "_grace", inputs(),
                joined().withDslStoreSuppliers(BuiltInDslStoreSuppliers.IN_MEMORY));
            nullResults(group, kind);
            withKey(group, kind);
            sameTopic(group, kind);
            twoSources(group, kind);
            repartitioned(group, kind, "_left_repartitioned", true, false);
            repartitioned(group, kind, "_right_repartitioned", false, true);
            repartitioned(group, kind, "_repartitioned", true, true);
            for (Shape shape : new Shape[] {PLAIN, BOTH_SIDES, SHAPES[5], SHAPES[7]}) {
                itself(group, kind, shape, false);
                itself(group, kind, shape, true);
            }
            if (kind != Kind.INNER) {
                interval(group, kind, "_each_second", 1000);
                interval(group, kind, "_each_record", 0);
            }
        }
        ofJoins(group);
        bytes(group);
    }

    private static ConformanceInputs inputs() {
        return ConformanceInputs.small().topics("left", "right").values(DATED);
    }

    /** Times that many records share, of few keys. */
    private static ConformanceInputs sameTimes() {
        ConformanceInputs inputs = inputs().keys("a", "b");
        inputs.step = 1;
        inputs.back = 2;
        inputs.late = 10;
        inputs.gap = 30;
        return inputs;
    }

    /** A gap closes the windows of many records without a match at once. */
    private static ConformanceInputs many() {
        ConformanceInputs inputs = ConformanceInputs.manyKeys().topics("left", "right").values(DATED);
        inputs.records = 80;
        return inputs;
    }

    static StreamJoined<String, String, String> joined() {
        return StreamJoined.with(Serdes.String(), Serdes.String(), Serdes.String()).withStoreName("j");
    }

    private static ConformanceCase begin(ConformanceCase.Group group, Kind kind, Shape shape, String suffix) {
        return group.named(kind.text + "_join" + suffix, false).inputsOf("join" + suffix)
            .option("before", shape.before).option("after", shape.after).option("grace", shape.grace)
            .setting(InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_OUTER_JOIN_SPURIOUS_RESULTS_FIX, 0L).out("out");
    }

    static void two(ConformanceCase.Group group, Kind kind, Shape shape, String suffix, String inputsOf,
                    ConformanceInputs inputs, StreamJoined<String, String, String> joined) {
        StreamsBuilder b = new StreamsBuilder();
        kind.join(strings(b, "left"), strings(b, "right"), ConformanceTopologies::pair, shape.windows(), joined).to("out");
        ConformanceCase c = begin(group, kind, shape, suffix).inputsOf("join" + inputsOf);
        // Kafka Streams cannot go through a store of windows of 0 ms.
        (shape.before + shape.after == 0 ? c : c.store(kind.stores())).run(b, inputs);
    }

    static void nullResults(ConformanceCase.Group group, Kind kind) {
        StreamsBuilder b = new StreamsBuilder();
        kind.join(strings(b, "left"), strings(b, "right"), ConformanceTopologies::pairOrReset, GRACE.windows(), joined())
            .to("out");
        begin(group, kind, GRACE, "_null_results").run(b, inputs());
    }

    static void withKey(ConformanceCase.Group group, Kind kind) {
        StreamsBuilder b = new StreamsBuilder();
        kind.join(strings(b, "left"), strings(b, "right"), (k, l, r) -> k + "=" + pair(l, r), PLAIN.windows(), joined())
            .to("out");
        begin(group, kind, PLAIN, "_with_key").run(b, inputs().records(40).nulls(10, 4));
    }

    /** Both sides are streams of one stream. */
    static void sameTopic(ConformanceCase.Group group, Kind kind) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = strings(b, "in");
        kind.join(in.filter((k, v) -> v != null && letter(v) != null), in.mapValues(ConformanceTopologies::upper),
            ConformanceTopologies::pair, BOTH_SIDES.windows(), joined()).to("out");
        begin(group, kind, BOTH_SIDES, "_same_topic").store(kind.stores()).run(b, inputs().topics("in").records(60));
    }

    /** The topic is read twice. */
    static void twoSources(ConformanceCase.Group group, Kind kind) {
        StreamsBuilder b = new StreamsBuilder();
        kind.join(strings(b, "in"), strings(b, "in"), ConformanceTopologies::pair, PLAIN.windows(), joined()).to("out");
        begin(group, kind, PLAIN, "_two_sources").run(b, inputs().topics("in").records(40));
    }

    /** A stream with itself; Kafka Streams keeps one store for an inner one, if told to. */
    static void itself(ConformanceCase.Group group, Kind kind, Shape shape, boolean optimised) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = strings(b, "in");
        kind.join(in, in, ConformanceTopologies::pair, shape.windows(), joined()).to("out");
        Properties settings = new Properties();
        String suffix = "_itself" + shape.suffix;
        ConformanceCase c = begin(group, kind, shape, suffix + (optimised ? "_optimised" : ""))
            .inputsOf("join" + suffix);
        if (optimised) {
            settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.SINGLE_STORE_SELF_JOIN);
            c.setting(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.SINGLE_STORE_SELF_JOIN);
        }
        c.run(b.build(settings), inputs().topics("in").records(50));
    }

    /** A side's key becomes the first letter of its value, which for some is null. */
    static void repartitioned(ConformanceCase.Group group, Kind kind, String suffix, boolean left, boolean right) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> one = strings(b, "left");
        KStream<String, String> two = strings(b, "right");
        kind.join(left ? one.selectKey((k, v) -> letter(v)) : one, right ? two.selectKey((k, v) -> letter(v)) : two,
            ConformanceTopologies::pair, GRACE.windows(), joined().withName("n")).to("out");
        begin(group, kind, GRACE, suffix).store(kind.stores()).run(b, inputs().nulls(8, 8));
    }

    /** How often Kafka Streams looks for records without a match. */
    static void interval(ConformanceCase.Group group, Kind kind, String suffix, long interval) {
        StreamsBuilder b = new StreamsBuilder();
        kind.join(strings(b, "left"), strings(b, "right"), ConformanceTopologies::pair, PLAIN.windows(), joined())
            .to("out");
        begin(group, kind, PLAIN, suffix).inputsOf("join_interval")
            .setting(InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_OUTER_JOIN_SPURIOUS_RESULTS_FIX, interval)
            .store(kind.stores()).run(b, inputs().wall(40, 900));
    }

    /** A join's result is joined. */
    static void ofJoins(ConformanceCase.Group group) {
        for (Kind first : Kind.values()) {
            StreamsBuilder b = new StreamsBuilder();
            KStream<String, String> result = first.join(strings(b, "left"), strings(b, "right"),
                ConformanceTopologies::pair, PLAIN.windows(), joined());
            Kind.LEFT.join(result, strings(b, "third"), ConformanceTopologies::pair, GRACE.windows(),
                joined().withStoreName("k")).to("out");
            result.to("first");
            begin(group, first, PLAIN, "_then_left").out("first")
                .run(b, inputs().topics("left", "right", "third").records(90));
        }
    }

    /** What the three changelogs of an outer join get. */
    static void bytes(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        Kind.OUTER.join(strings(b, "left"), strings(b, "right"), ConformanceTopologies::pair, PLAIN.windows(), joined())
            .to("out");
        ConformanceCase c = begin(group, Kind.OUTER, PLAIN, "_bytes");
        for (String store : Kind.OUTER.stores()) {
            c.out("golden-" + store + "-changelog", "hex");
        }
        c.run(b, inputs().records(40));
    }
}
