// Session windows that emit on update: count, reduce, aggregate with a merger.
//
// Knows topologies; not how a case is run. The gap is 6 ms unless an option says otherwise.

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

final class ConformanceSessionWindows extends ConformanceTopologies {
    static SessionWindows sessions(long gap, long grace) {
        return SessionWindows.ofInactivityGapAndGrace(ms(gap), ms(grace));
    }

    static void run(ConformanceCase.Group group) {
        for (boolean cache : BOTH) {
            count(group, cache);
            reduce(group, "session_reduce", cache, sessions(6, 15), ConformanceInputs.small());
            reduce(group, "session_reduce_no_grace", cache, sessions(6, 0), ConformanceInputs.small());
            aggregate(group, "session_aggregate", cache, false, false);
            aggregate(group, "session_null_results", cache, true, false);
            tables(group, cache);
        }
        reduce(group, "session_reduce_zero_gap", false, sessions(0, 15), ConformanceInputs.small());
        reduce(group, "session_reduce_many_keys", false, sessions(6, 0), ConformanceInputs.manyKeys());
        aggregate(group, "session_aggregate_in_memory", false, false, true);
        reduce(group, "session_minutes", false, sessions(60_000, 90_000),
            ConformanceInputs.small().times(12_000).start(1_700_000_000_000L));
    }

    private static ConformanceCase with(ConformanceCase.Group group, String name, boolean cache, SessionWindows w) {
        return group.named(name, cache).option("gap", w.inactivityGap()).option("grace", w.gracePeriodMs())
            .out("out", "session");
    }

    static void count(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(sessions(6, 15))
            .count(sessions("counts")).toStream().mapValues(ConformanceTopologies::text).to("out");
        with(group, "session_count", cache, sessions(6, 15)).store("counts").run(b, ConformanceInputs.small());
    }

    static void reduce(ConformanceCase.Group group, String name, boolean cache, SessionWindows w,
                       ConformanceInputs inputs) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(w)
            .reduce(ConformanceTopologies::join, sessions("reduced")).toStream().to("out");
        with(group, name, cache, w).store("reduced").run(b, inputs);
    }

    static void aggregate(ConformanceCase.Group group, String name, boolean cache, boolean nulls, boolean inMemory) {
        StreamsBuilder b = new StreamsBuilder();
        var agg = ConformanceTopologies.<String>sessions("agg");
        if (inMemory) {
            agg = agg.withStoreType(Materialized.StoreType.IN_MEMORY);
        }
        strings(b, "in").groupByKey().windowedBy(sessions(6, 15))
            .aggregate(() -> "", (k, v, all) -> nulls ? joinOrReset(all, v) : join(all, v),
                (k, one, two) -> join(one, "|" + two), agg)
            .toStream().to("out");
        ConformanceCase c = with(group, name, cache, sessions(6, 15)).store("agg");
        (inMemory ? c.option("store", "in-memory").inputsOf("session_aggregate") : c).run(b, ConformanceInputs.small());
    }

    /** A table of tables: merged sessions take what they gave back. */
    static void tables(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<Windowed<String>, Long> counts = strings(b, "in").groupByKey()
            .windowedBy(sessions(6, 15)).count(sessions("counts"));
        counts.filter((k, n) -> n % 2 == 0).toStream().mapValues(ConformanceTopologies::text).to("even");
        counts.groupBy((k, n) -> KeyValue.pair(k.key(), n), Grouped.with(Serdes.String(), Serdes.Long()))
            .reduce((one, two) -> one + two, (one, two) -> one - two, table("sums"))
            .toStream().mapValues(ConformanceTopologies::text).to("sums");
        group.named("session_tables", cache).option("gap", 6).option("grace", 15)
            .out("even", "session").out("sums").store("counts", "sums").run(b, ConformanceInputs.small());
    }
}
