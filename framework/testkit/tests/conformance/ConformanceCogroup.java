// Cogrouped streams: plain, and in each kind of window.
//
// Knows topologies; not how a case is run. Of two topics, the values of the second are put in upper
// case, so that a result shows where its parts are from.

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.StateStore;

final class ConformanceCogroup extends ConformanceTopologies {
    static void run(ConformanceCase.Group group) {
        for (boolean cache : BOTH) {
            plain(group, cache);
            StreamsBuilder b = new StreamsBuilder();
            windowed(group, "cogroup_tumbling", cache, b,
                both(b).windowedBy(ConformanceTimeWindows.tumbling(15)).aggregate(() -> "", keyed(windows("agg"))),
                "time=10");
            b = new StreamsBuilder();
            windowed(group, "cogroup_hopping", cache, b,
                both(b).windowedBy(ConformanceTimeWindows.hopping(15)).aggregate(() -> "", keyed(windows("agg"))),
                "time=10");
            b = new StreamsBuilder();
            windowed(group, "cogroup_sliding", cache, b,
                both(b).windowedBy(ConformanceSlidingWindows.sliding(10, 15)).aggregate(() -> "", keyed(windows("agg"))),
                "time=10");
            b = new StreamsBuilder();
            windowed(group, "cogroup_session", cache, b,
                both(b).windowedBy(ConformanceSessionWindows.sessions(6, 15))
                    .aggregate(() -> "", (k, one, two) -> join(one, "|" + two), keyed(sessions("agg"))), "session");
        }
        repartitioned(group);
    }

    private static CogroupedKStream<String, String> both(StreamsBuilder b) {
        KGroupedStream<String, String> one = strings(b, "one").groupByKey();
        KGroupedStream<String, String> two = strings(b, "two").groupByKey();
        return one.<String>cogroup((k, v, all) -> join(all, v)).cogroup(two, (k, v, all) -> joinOrReset(all, upper(v)));
    }

    /** A cogrouped stream does not take over the serdes of its streams. */
    private static <S extends StateStore> Materialized<String, String, S> keyed(Materialized<String, String, S> store) {
        return store.withKeySerde(Serdes.String());
    }

    private static ConformanceInputs inputs() {
        return ConformanceInputs.small().topics("one", "two");
    }

    static void plain(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> all = both(b).aggregate(() -> "", table("agg"));
        all.toStream().to("out");
        // Without a cache, the first old value is what the initializer gave, and is grouped too.
        all.groupBy((k, v) -> KeyValue.pair(v.isEmpty() ? "first" : v.substring(v.length() - 1), v))
            .count(table("counts"))
            .toStream().mapValues(ConformanceTopologies::text).to("counts");
        group.named("cogroup", cache).out("out").out("counts").store("agg", "counts").run(b, inputs());
    }

    private static void windowed(ConformanceCase.Group group, String name, boolean cache, StreamsBuilder b,
                                 KTable<Windowed<String>, String> table, String form) {
        table.toStream().to("out");
        group.named(name, cache).option("grace", 15).out("out", form).store("agg").run(b, inputs());
    }

    /** One of the streams changes its key, so one comes through a repartition topic. */
    static void repartitioned(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        KGroupedStream<String, String> one = strings(b, "one").groupByKey();
        KGroupedStream<String, String> two = strings(b, "two").groupBy((k, v) -> v);
        one.<String>cogroup((k, v, all) -> join(all, v)).cogroup(two, (k, v, all) -> join(all, upper(v)))
            .aggregate(() -> "", table("agg")).toStream().to("out");
        group.named("cogroup_after_repartition", false).out("out").store("agg").run(b, inputs());
    }
}
