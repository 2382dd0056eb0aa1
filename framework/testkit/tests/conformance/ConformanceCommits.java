// Caches over several updates: topologies that run in Kafka Streams on a broker, with a commit after
// each batch of inputs and at no other time.
//
// Knows topologies; not how a case is run (ConformanceBroker.java).

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

final class ConformanceCommits extends ConformanceTopologies {
    static void run(ConformanceCase.Group group) {
        ConformanceBroker cases = new ConformanceBroker(group);
        keyed(cases);
        mapped(cases);
        counted(cases);
        timeWindows(cases, "tumbling_count", ConformanceTimeWindows.tumbling(15));
        timeWindows(cases, "hopping_count", ConformanceTimeWindows.hopping(15));
        sessionWindows(cases);
        suppressed(cases);
        tables(cases);
        grouped(cases);
        cases.run();
    }

    /** Aggregations one beside the other, of which two answer null at times. */
    private static void keyed(ConformanceBroker cases) {
        ConformanceBroker.Case c = cases.named("aggregations").out("counts").out("reduced").out("agg");
        StreamsBuilder b = new StreamsBuilder();
        KGroupedStream<String, String> in = strings(b, c.topic("in")).groupByKey();
        in.count(table("counts")).toStream().mapValues(ConformanceTopologies::text).to(c.topic("counts"));
        in.reduce(ConformanceTopologies::joinOrReset, table("reduced")).toStream().to(c.topic("reduced"));
        in.aggregate(() -> "", (k, v, all) -> joinOrReset(all, v), table("agg")).toStream().to(c.topic("agg"));
        c.run(b, ConformanceInputs.small());
    }

    /** What follows an aggregation without a store of its own is told the value of the last commit. */
    private static void mapped(ConformanceBroker cases) {
        ConformanceBroker.Case c = cases.named("mapped_and_filtered").out("filtered").out("pairs");
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> agg = strings(b, c.topic("in")).groupByKey()
            .aggregate(() -> "", (k, v, all) -> joinOrReset(all, v), table("agg"));
        agg.mapValues(v -> v.substring(v.length() - 1)).filter((k, v) -> v.compareTo("c") <= 0)
            .toStream().to(c.topic("filtered"));
        agg.mapValues((k, v) -> k + v, table("pairs")).toStream().to(c.topic("pairs"));
        c.run(b, ConformanceInputs.small());
    }

    /** Two aggregations one behind the other: in one task, and in two, where the order of a flush shows. */
    private static void counted(ConformanceBroker cases) {
        ConformanceBroker.Case c = cases.named("two_aggregations").out("joined").out("all").passes("all-repartition");
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> counts = strings(b, c.topic("in")).groupByKey().count(table("counts"))
            .toStream().mapValues(ConformanceTopologies::text);
        counts.groupByKey(Grouped.with(Serdes.String(), Serdes.String()))
            .reduce(ConformanceTopologies::join, table("joined")).toStream().to(c.topic("joined"));
        counts.groupBy((k, n) -> "all", Grouped.with("all", Serdes.String(), Serdes.String()))
            .aggregate(() -> "", (k, n, all) -> join(all, n), table("agg")).toStream().to(c.topic("all"));
        c.run(b, ConformanceInputs.small());
    }

    private static void timeWindows(ConformanceBroker cases, String name, TimeWindows windows) {
        ConformanceBroker.Case c = cases.named(name).option("size", windows.sizeMs)
            .option("advance", windows.advanceMs).option("grace", windows.gracePeriodMs()).out("out", "time=10");
        StreamsBuilder b = new StreamsBuilder();
        strings(b, c.topic("in")).groupByKey().windowedBy(windows).count(windows("counts"))
            .toStream().mapValues(ConformanceTopologies::text).to(c.topic("out"));
        c.run(b, ConformanceInputs.small());
    }

    private static void sessionWindows(ConformanceBroker cases) {
        SessionWindows windows = ConformanceSessionWindows.sessions(6, 15);
        ConformanceBroker.Case c = cases.named("session_count").option("gap", windows.inactivityGap())
            .option("grace", windows.gracePeriodMs()).out("out", "session");
        StreamsBuilder b = new StreamsBuilder();
        strings(b, c.topic("in")).groupByKey().windowedBy(windows).count(sessions("counts"))
            .toStream().mapValues(ConformanceTopologies::text).to(c.topic("out"));
        c.run(b, ConformanceInputs.small());
    }

    /** Results that wait: a suppression behind a cache sees windows in the order of the flush. */
    private static void suppressed(ConformanceBroker cases) {
        TimeWindows windows = ConformanceTimeWindows.tumbling(15);
        ConformanceBroker.Case c = cases.named("suppressed_count").option("size", windows.sizeMs)
            .option("advance", windows.advanceMs).option("grace", windows.gracePeriodMs()).out("out", "time=10");
        StreamsBuilder b = new StreamsBuilder();
        strings(b, c.topic("in")).groupByKey().windowedBy(windows).count(windows("counts"))
            .suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()))
            .toStream().mapValues(ConformanceTopologies::text).to(c.topic("out"));
        c.run(b, ConformanceInputs.small());
    }

    /** A table of a topic. */
    private static void tables(ConformanceBroker cases) {
        ConformanceBroker.Case c = cases.named("table_source").out("out").out("filtered");
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = b.table(c.topic("in"), table("table"));
        table.toStream().to(c.topic("out"));
        table.filter((k, v) -> v.compareTo("c") <= 0).toStream().to(c.topic("filtered"));
        c.run(b, ConformanceInputs.small().nulls(4, 15));
    }

    /** What is grouped from a table: adders and subtractors, in another task. */
    private static void grouped(ConformanceBroker cases) {
        ConformanceBroker.Case c = cases.named("table_group_by").out("counts").out("agg").passes("by-value-repartition");
        StreamsBuilder b = new StreamsBuilder();
        KGroupedTable<String, String> grouped = b.table(c.topic("in"), ConformanceTopologies.<String>table("table"))
            .groupBy((k, v) -> KeyValue.pair(v, k), Grouped.as("by-value"));
        grouped.count(table("counts")).toStream().mapValues(ConformanceTopologies::text).to(c.topic("counts"));
        grouped.aggregate(() -> "", (k, v, all) -> join(all, "+" + v), (k, v, all) -> join(all, "-" + v), table("agg"))
            .toStream().to(c.topic("agg"));
        c.run(b, ConformanceInputs.small().keys("a", "b", "c", "d", "e").nulls(4, 15));
    }
}
