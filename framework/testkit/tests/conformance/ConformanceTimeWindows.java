// Time windows, tumbling and hopping, and unlimited ones, that emit on update: count, reduce,
// aggregate, and what follows a windowed table.
//
// Knows topologies; not how a case is run. Windows are 10 ms long unless an option says otherwise.

import java.time.Instant;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

final class ConformanceTimeWindows extends ConformanceTopologies {
    static final String TEN = "time=10";

    static TimeWindows tumbling(long grace) {
        return TimeWindows.ofSizeAndGrace(ms(10), ms(grace));
    }

    /** Windows that do not divide: two or three of them hold a time. */
    static TimeWindows hopping(long grace) {
        return tumbling(grace).advanceBy(ms(4));
    }

    static void run(ConformanceCase.Group group) {
        for (boolean cache : BOTH) {
            count(group, "tumbling_count_no_grace", cache, 0);
            count(group, "tumbling_count", cache, 15);
            reduce(group, "tumbling_reduce", cache, tumbling(15));
            aggregate(group, "tumbling_aggregate", cache, tumbling(15));
            nulls(group, "tumbling_null_results", cache, tumbling(15));
            reduce(group, "hopping_reduce", cache, hopping(15));
            aggregate(group, "hopping_aggregate_no_grace", cache, hopping(0));
            nulls(group, "hopping_null_results", cache, hopping(15));
            manyKeys(group, cache);
            minutes(group, cache);
            repartitioned(group, cache);
            tables(group, cache);
            unlimited(group, "unlimited_reduce", cache, UnlimitedWindows.of());
            unlimited(group, "unlimited_reduce_from", cache, UnlimitedWindows.of().startOn(Instant.ofEpochMilli(60)));
        }
        inMemory(group);
        longRetention(group);
    }

    static void count(ConformanceCase.Group group, String name, boolean cache, long grace) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(tumbling(grace))
            .count(windows("counts")).toStream().mapValues(ConformanceTopologies::text).to("out");
        group.named(name, cache).option("size", 10).option("grace", grace).out("out", TEN).store("counts")
            .run(b, ConformanceInputs.small());
    }

    private static ConformanceCase with(ConformanceCase.Group group, String name, boolean cache, TimeWindows w) {
        return group.named(name, cache).option("size", w.sizeMs).option("advance", w.advanceMs)
            .option("grace", w.gracePeriodMs()).out("out", TEN);
    }

    static void reduce(ConformanceCase.Group group, String name, boolean cache, TimeWindows w) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(w)
            .reduce(ConformanceTopologies::join, windows("reduced")).toStream().to("out");
        with(group, name, cache, w).store("reduced").run(b, ConformanceInputs.small());
    }

    static void aggregate(ConformanceCase.Group group, String name, boolean cache, TimeWindows w) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(w)
            .aggregate(() -> "", (k, v, all) -> join(all, v), windows("agg")).toStream().to("out");
        with(group, name, cache, w).store("agg").run(b, ConformanceInputs.small());
    }

    static void nulls(ConformanceCase.Group group, String name, boolean cache, TimeWindows w) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(w)
            .aggregate(() -> "", (k, v, all) -> joinOrReset(all, v), windows("agg")).toStream().to("out");
        with(group, name, cache, w).store("agg").run(b, ConformanceInputs.small());
    }

    static void manyKeys(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(tumbling(0))
            .count(windows("counts")).toStream().mapValues(ConformanceTopologies::text).to("out");
        group.named("tumbling_count_many_keys", cache).option("size", 10).option("grace", 0)
            .out("out", TEN).store("counts").run(b, ConformanceInputs.manyKeys());
    }

    /** Times of today, windows of a minute, gaps of hours: whole segments of a store expire. */
    static void minutes(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey()
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(60_000), ms(90_000)))
            .aggregate(() -> "", (k, v, all) -> join(all, v), windows("agg")).toStream().to("out");
        group.named("tumbling_minutes", cache).option("size", 60_000).option("grace", 90_000)
            .out("out", "time=60000").store("agg")
            .run(b, ConformanceInputs.small().times(12_000).start(1_700_000_000_000L));
    }

    /** The key changes before the windows, so records come through a repartition topic. */
    static void repartitioned(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in")
            .groupBy((k, v) -> v == null || v.equals(RESET) ? null : v,
                Grouped.with(Serdes.String(), Serdes.String()))
            .windowedBy(hopping(15))
            .aggregate(() -> "", (k, v, all) -> join(all, v), windows("agg")).toStream().to("out");
        with(group, "hopping_after_repartition", cache, hopping(15)).store("agg")
            .run(b, ConformanceInputs.small());
    }

    /** What follows a windowed table: filters, mapped values with a store, and a table of tables. */
    static void tables(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<Windowed<String>, Long> counts = strings(b, "in").groupByKey()
            .windowedBy(tumbling(15)).count(windows("counts"));
        counts.toStream().mapValues(ConformanceTopologies::text).to("out");
        counts.filter((k, n) -> n % 2 == 0).toStream().mapValues(ConformanceTopologies::text).to("even");
        counts.mapValues(n -> "n" + n).toStream().to("mapped");
        counts.groupBy((k, n) -> KeyValue.pair(k.key(), n), Grouped.with(Serdes.String(), Serdes.Long()))
            .reduce((one, two) -> one + two, (one, two) -> one - two, table("sums"))
            .toStream().mapValues(ConformanceTopologies::text).to("sums");
        group.named("tumbling_tables", cache).option("size", 10).option("grace", 15)
            .out("out", TEN).out("even", TEN).out("mapped", TEN).out("sums")
            .store("counts", "sums").run(b, ConformanceInputs.small());
    }

    static void unlimited(ConformanceCase.Group group, String name, boolean cache, UnlimitedWindows w) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(w)
            .reduce(ConformanceTopologies::join, windows("reduced")).toStream().to("out");
        group.named(name, cache).option("start", w.startMs).out("out", "time=" + Long.MAX_VALUE).store("reduced")
            .run(b, ConformanceInputs.small());
    }

    static void inMemory(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(hopping(15))
            .aggregate(() -> "", (k, v, all) -> join(all, v),
                ConformanceTopologies.<String>windows("agg").withStoreType(Materialized.StoreType.IN_MEMORY))
            .toStream().to("out");
        with(group, "hopping_in_memory", false, hopping(15)).option("store", "in-memory").store("agg")
            .run(b, ConformanceInputs.small());
    }

    /** A retention that is longer than it must be keeps windows, but lets no late record in. */
    static void longRetention(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(tumbling(0))
            .aggregate(() -> "", (k, v, all) -> join(all, v),
                ConformanceTopologies.<String>windows("agg").withRetention(ms(150)))
            .toStream().to("out");
        with(group, "tumbling_long_retention", false, tumbling(0)).option("retention", 150).store("agg")
            .run(b, ConformanceInputs.small());
    }
}
