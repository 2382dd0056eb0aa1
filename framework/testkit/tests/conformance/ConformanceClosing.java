// Windows that emit when they close (EmitStrategy.onWindowClose).
//
// Knows topologies; not how a case is run. Kafka Streams looks for closed windows when a record
// comes, at most once per interval of the wall clock: 1000 ms, or what the internal setting says.
// With the default retention, windows are lost when stream time jumps; with a long one they are not.

import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.StreamsConfig.InternalConfig;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.WindowStore;

final class ConformanceClosing extends ConformanceTopologies {
    /** What differs between the cases of one kind of window. */
    record Variant(String suffix, boolean cache, long grace, long retention, boolean everyRecord) { }

    static final Variant[] VARIANTS = {
        new Variant("", true, 5, 0, true),
        new Variant("", false, 5, 0, true),
        new Variant("_long_retention", true, 5, 100_000, true),
        new Variant("_long_retention", false, 5, 100_000, true),
        new Variant("_each_second", false, 0, 100_000, false),
    };

    static void run(ConformanceCase.Group group) {
        for (Variant v : VARIANTS) {
            time(group, "closing_tumbling", v, ConformanceTimeWindows.tumbling(v.grace), ConformanceInputs.small());
            time(group, "closing_hopping", v, ConformanceTimeWindows.hopping(v.grace), ConformanceInputs.small());
            sliding(group, v, 10, ConformanceInputs.small());
            session(group, v, 6, ConformanceInputs.small());
        }
        // Minutes and gaps of hours: the store drops whole segments of windows that are yet to be emitted.
        ConformanceInputs hours = ConformanceInputs.small().times(12_000).start(1_700_000_000_000L);
        Variant v = new Variant("_minutes", false, 30_000, 0, true);
        time(group, "closing_tumbling", v, TimeWindows.ofSizeAndGrace(ms(60_000), ms(30_000)), hours);
        sliding(group, v, 60_000, hours);
        session(group, v, 60_000, hours);
        // A gap closes the windows of many keys at once.
        time(group, "closing_many_keys", VARIANTS[3], ConformanceTimeWindows.tumbling(5), ConformanceInputs.manyKeys());
        inMemory(group);
    }

    private static ConformanceCase begin(ConformanceCase.Group group, String name, Variant v) {
        ConformanceCase c = group.named(name + v.suffix, v.cache).inputsOf(name).option("grace", v.grace)
            .option("retention", v.retention == 0 ? "default" : v.retention);
        // Both are said: the driver takes 0 where a cluster takes 1000.
        return c.setting(InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION,
            v.everyRecord ? 0L : 1000L);
    }

    private static ConformanceInputs inputs(Variant v, ConformanceInputs inputs) {
        return v.everyRecord ? inputs : inputs.wall(40, 900);
    }

    private static <V> Materialized<String, V, WindowStore<Bytes, byte[]>> kept(String name, Variant v) {
        Materialized<String, V, WindowStore<Bytes, byte[]>> store = windows(name);
        return v.retention == 0 ? store : store.withRetention(ms(v.retention));
    }

    static void time(ConformanceCase.Group group, String name, Variant v, TimeWindows w, ConformanceInputs inputs) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(w).emitStrategy(EmitStrategy.onWindowClose())
            .reduce(ConformanceTopologies::join, kept("reduced", v)).toStream().to("out");
        begin(group, name, v).option("size", w.sizeMs).option("advance", w.advanceMs)
            .out("out", "time=" + w.sizeMs).store("reduced").run(b, inputs(v, inputs));
    }

    static void sliding(ConformanceCase.Group group, Variant v, long difference, ConformanceInputs inputs) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(ConformanceSlidingWindows.sliding(difference, v.grace))
            .emitStrategy(EmitStrategy.onWindowClose())
            .reduce(ConformanceTopologies::join, kept("reduced", v)).toStream().to("out");
        begin(group, "closing_sliding", v).option("difference", difference)
            .out("out", "time=" + difference).store("reduced").run(b, inputs(v, inputs));
    }

    static void session(ConformanceCase.Group group, Variant v, long gap, ConformanceInputs inputs) {
        StreamsBuilder b = new StreamsBuilder();
        var store = ConformanceTopologies.<String>sessions("reduced");
        strings(b, "in").groupByKey().windowedBy(ConformanceSessionWindows.sessions(gap, v.grace))
            .emitStrategy(EmitStrategy.onWindowClose())
            .reduce(ConformanceTopologies::join, v.retention == 0 ? store : store.withRetention(ms(v.retention)))
            .toStream().to("out");
        begin(group, "closing_session", v).option("gap", gap)
            .out("out", "session").store("reduced").run(b, inputs(v, inputs));
    }

    static void inMemory(ConformanceCase.Group group) {
        Variant v = VARIANTS[3];
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(ConformanceTimeWindows.tumbling(v.grace))
            .emitStrategy(EmitStrategy.onWindowClose())
            .reduce(ConformanceTopologies::join,
                ConformanceClosing.<String>kept("reduced", v).withStoreType(Materialized.StoreType.IN_MEMORY))
            .toStream().to("out");
        begin(group, "closing_tumbling_in_memory", v).inputsOf("closing_tumbling").option("size", 10)
            .option("store", "in-memory")
            .out("out", "time=10").store("reduced").run(b, ConformanceInputs.small());
        StreamsBuilder s = new StreamsBuilder();
        strings(s, "in").groupByKey().windowedBy(ConformanceSessionWindows.sessions(6, v.grace))
            .emitStrategy(EmitStrategy.onWindowClose())
            .reduce(ConformanceTopologies::join, ConformanceTopologies.<String>sessions("reduced")
                .withRetention(ms(v.retention)).withStoreType(Materialized.StoreType.IN_MEMORY))
            .toStream().to("out");
        begin(group, "closing_session_in_memory", v).inputsOf("closing_session").option("gap", 6)
            .option("store", "in-memory")
            .out("out", "session").store("reduced").run(s, ConformanceInputs.small());
    }
}
