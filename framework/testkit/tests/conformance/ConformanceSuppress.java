// Suppression: until windows close, until a time limit; bounded by records and by bytes, where a full
// buffer emits early or fails.
//
// Knows topologies; not how a case is run. An error of a full buffer ends its case.

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;

final class ConformanceSuppress extends ConformanceTopologies {
    static void run(ConformanceCase.Group group) {
        for (boolean cache : BOTH) {
            windows(group, cache);
            closesTables(group, cache);
            limitWindowed(group, cache);
            limitCount(group, cache, "suppress_limit_count", "unbounded", BufferConfig.unbounded());
            limitCount(group, cache, "suppress_limit_records", "records=2", BufferConfig.maxRecords(2));
            limitCount(group, cache, "suppress_limit_bytes", "bytes=110", BufferConfig.maxBytes(110));
            table(group, cache);
        }
        limitCount(group, false, "suppress_full_records", "records=2,fail",
            BufferConfig.maxRecords(2).shutDownWhenFull());
        limitCount(group, false, "suppress_full_bytes", "bytes=110,fail",
            BufferConfig.maxBytes(110).shutDownWhenFull());
        closesFull(group);
        zero(group);
    }

    /** One case a kind of window, with results that are null among them. */
    static void windows(ConformanceCase.Group group, boolean cache) {
        KGroupedStream<String, String> in;
        StreamsBuilder b = new StreamsBuilder();
        in = strings(b, "in").groupByKey();
        closes(group, "suppress_tumbling", cache, b, in.windowedBy(ConformanceTimeWindows.tumbling(5))
            .reduce(ConformanceTopologies::join, windows("reduced")), "time=10", ConformanceInputs.small());
        b = new StreamsBuilder();
        in = strings(b, "in").groupByKey();
        closes(group, "suppress_many_keys", cache, b, in.windowedBy(ConformanceTimeWindows.tumbling(5))
            .reduce(ConformanceTopologies::join, windows("reduced")), "time=10", ConformanceInputs.manyKeys());
        b = new StreamsBuilder();
        in = strings(b, "in").groupByKey();
        closes(group, "suppress_hopping_nulls", cache, b, in.windowedBy(ConformanceTimeWindows.hopping(5))
            .aggregate(() -> "", (k, v, all) -> joinOrReset(all, v), windows("reduced")), "time=10",
            ConformanceInputs.small());
        b = new StreamsBuilder();
        in = strings(b, "in").groupByKey();
        closes(group, "suppress_sliding", cache, b, in.windowedBy(ConformanceSlidingWindows.sliding(10, 5))
            .reduce(ConformanceTopologies::join, windows("reduced")), "time=10", ConformanceInputs.small());
        b = new StreamsBuilder();
        in = strings(b, "in").groupByKey();
        closes(group, "suppress_session", cache, b, in.windowedBy(ConformanceSessionWindows.sessions(6, 5))
            .reduce(ConformanceTopologies::join, sessions("reduced")), "session", ConformanceInputs.small());
    }

    private static void closes(ConformanceCase.Group group, String name, boolean cache, StreamsBuilder b,
                               KTable<Windowed<String>, String> table, String form, ConformanceInputs inputs) {
        table.suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded())).toStream().to("out");
        group.named(name, cache).option("grace", 5).out("out", form).store("reduced").run(b, inputs);
    }

    /** What follows a suppressed table: a filter and a table of tables, which needs old values. */
    static void closesTables(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<Windowed<String>, Long> counts = strings(b, "in").groupByKey()
            .windowedBy(ConformanceTimeWindows.tumbling(5)).count(windows("counts"))
            .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()));
        counts.filter((k, n) -> n > 1).toStream().mapValues(ConformanceTopologies::text).to("many");
        counts.groupBy((k, n) -> KeyValue.pair(k.key(), n), Grouped.with(Serdes.String(), Serdes.Long()))
            .reduce((one, two) -> one + two, (one, two) -> one - two, table("sums"))
            .toStream().mapValues(ConformanceTopologies::text).to("sums");
        group.named("suppress_tables", cache).option("size", 10).option("grace", 5)
            .out("many", "time=10").out("sums").store("sums").run(b, ConformanceInputs.small());
    }

    static void limitWindowed(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(ConformanceTimeWindows.tumbling(15))
            .reduce(ConformanceTopologies::join, windows("reduced"))
            .suppress(Suppressed.untilTimeLimit(ms(12), BufferConfig.unbounded())).toStream().to("out");
        group.named("suppress_limit_windowed", cache).option("size", 10).option("grace", 15).option("limit", 12)
            .out("out", "time=10").run(b, ConformanceInputs.small());
    }

    static void limitCount(ConformanceCase.Group group, boolean cache, String name, String bound,
                           BufferConfig<?> buffer) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey()
            .aggregate(() -> "", (k, v, all) -> joinOrReset(all, v), table("agg"))
            .suppress(Suppressed.untilTimeLimit(ms(12), buffer)).toStream().to("out");
        ConformanceCase c = group.named(name, cache).option("limit", 12).option("buffer", bound).out("out");
        (bound.endsWith("fail") ? c.mayFail() : c).run(b, ConformanceInputs.small().keys("a", "b", "c", "d"));
    }

    /** A table of a topic: deleted keys are results too, and pass. */
    static void table(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = b.table("in", table("table"));
        KTable<String, String> later = table
            .suppress(Suppressed.untilTimeLimit(ms(12), BufferConfig.maxRecords(3).emitEarlyWhenFull()));
        later.toStream().to("out");
        later.mapValues(v -> v + "!").toStream().to("mapped");
        later.groupBy((k, v) -> KeyValue.pair(v, k)).count(table("counts"))
            .toStream().mapValues(ConformanceTopologies::text).to("counts");
        group.named("suppress_table", cache).option("limit", 12).option("buffer", "records=3")
            .out("out").out("mapped").out("counts").store("table", "counts")
            .run(b, ConformanceInputs.small().keys("a", "b", "c", "d", "e").nulls(3, 20));
    }

    /** Final results, from a buffer that must not get full. */
    static void closesFull(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(ConformanceTimeWindows.tumbling(15))
            .reduce(ConformanceTopologies::join, windows("reduced"))
            .suppress(Suppressed.untilWindowCloses(BufferConfig.maxRecords(4).shutDownWhenFull()))
            .toStream().to("out");
        group.named("suppress_closes_full", false).option("size", 10).option("grace", 15)
            .option("buffer", "records=4,fail").out("out", "time=10").mayFail()
            .run(b, ConformanceInputs.small().keys("a", "b", "c", "d", "e"));
    }

    static void zero(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey()
            .aggregate(() -> "", (k, v, all) -> join(all, v), table("agg"))
            .suppress(Suppressed.untilTimeLimit(ms(0), BufferConfig.unbounded())).toStream().to("out");
        group.named("suppress_limit_zero", false).option("limit", 0).option("buffer", "unbounded").out("out")
            .run(b, ConformanceInputs.small().records(50));
    }
}
