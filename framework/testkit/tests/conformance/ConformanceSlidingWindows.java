// Sliding windows that emit on update.
//
// Knows topologies; not how a case is run. The time difference is 10 ms unless an option says
// otherwise; a window holds both of its ends.

import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

final class ConformanceSlidingWindows extends ConformanceTopologies {
    static SlidingWindows sliding(long difference, long grace) {
        return SlidingWindows.ofTimeDifferenceAndGrace(ms(difference), ms(grace));
    }

    static void run(ConformanceCase.Group group) {
        for (boolean cache : BOTH) {
            count(group, cache);
            reduce(group, "sliding_reduce", cache, sliding(10, 15), ConformanceInputs.small());
            reduce(group, "sliding_reduce_no_grace", cache, sliding(10, 0), ConformanceInputs.small());
            aggregate(group, "sliding_aggregate", cache, sliding(10, 15), false, "");
            aggregate(group, "sliding_null_results", cache, sliding(10, 15), true, "");
        }
        // Kafka Streams builds a difference of zero and then fails at the first record.
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(sliding(0, 15))
            .reduce(ConformanceTopologies::join, windows("reduced")).toStream().to("out");
        with(group, "sliding_reduce_zero_difference", false, sliding(0, 15)).mayFail()
            .run(b, ConformanceInputs.small());
        // The shortest windows; records so early that windows would begin before 0; many keys.
        reduce(group, "sliding_reduce_difference_of_one", false, sliding(1, 15), ConformanceInputs.small());
        ConformanceInputs early = ConformanceInputs.small().keys("a", "b").records(60);
        early.gap = 10;
        early.late = 20;
        reduce(group, "sliding_reduce_early", false, sliding(100, 200), early);
        reduce(group, "sliding_reduce_many_keys", false, sliding(10, 0), ConformanceInputs.manyKeys());
        // The store does not matter.
        aggregate(group, "sliding_aggregate_in_memory", false, sliding(10, 15), false, "in-memory");
        minutes(group);
    }

    private static ConformanceCase with(ConformanceCase.Group group, String name, boolean cache, SlidingWindows w) {
        return group.named(name, cache).option("difference", w.timeDifferenceMs())
            .option("grace", w.gracePeriodMs()).out("out", "time=" + w.timeDifferenceMs());
    }

    static void count(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(sliding(10, 15))
            .count(windows("counts")).toStream().mapValues(ConformanceTopologies::text).to("out");
        with(group, "sliding_count", cache, sliding(10, 15)).store("counts").run(b, ConformanceInputs.small());
    }

    static void reduce(ConformanceCase.Group group, String name, boolean cache, SlidingWindows w,
                       ConformanceInputs inputs) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(w)
            .reduce(ConformanceTopologies::join, windows("reduced")).toStream().to("out");
        with(group, name, cache, w).store("reduced").run(b, inputs);
    }

    static void aggregate(ConformanceCase.Group group, String name, boolean cache, SlidingWindows w,
                          boolean nulls, String store) {
        StreamsBuilder b = new StreamsBuilder();
        Materialized<String, String, org.apache.kafka.streams.state.WindowStore<
            org.apache.kafka.common.utils.Bytes, byte[]>> agg = windows("agg");
        if (!store.isEmpty()) {
            agg = agg.withStoreType(Materialized.StoreType.IN_MEMORY);
        }
        strings(b, "in").groupByKey().windowedBy(w)
            .aggregate(() -> "", (k, v, all) -> nulls ? joinOrReset(all, v) : join(all, v), agg)
            .toStream().to("out");
        ConformanceCase c = with(group, name, cache, w).store("agg");
        (store.isEmpty() ? c : c.option("store", store).inputsOf("sliding_aggregate")).run(b, ConformanceInputs.small());
    }

    static void minutes(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(sliding(60_000, 90_000))
            .reduce(ConformanceTopologies::join, windows("reduced")).toStream().to("out");
        with(group, "sliding_minutes", false, sliding(60_000, 90_000)).store("reduced")
            .run(b, ConformanceInputs.small().times(12_000).start(1_700_000_000_000L));
    }
}
