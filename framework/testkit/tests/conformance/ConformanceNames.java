// Names: what describe() prints, and the internal topics with what Kafka Streams sets for them, with
// and without names of the program's own.
//
// Knows topologies; reads internal topics from inside Kafka Streams by reflection. No seed changes
// anything here.

import java.lang.reflect.Field;
import java.time.Duration;
import java.util.*;
import java.util.function.Consumer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.errors.TopologyException;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.processor.internals.InternalTopologyBuilder;
import org.apache.kafka.streams.processor.internals.InternalTopicConfig;

final class ConformanceNames extends ConformanceTopologies {
    static void run(ConformanceCase.Group group) {
        windows(group);
        suppressed(group);
        cogrouped(group);
        before(group);
    }

    private static KGroupedStream<String, String> in(StreamsBuilder b) {
        return b.<String, String>stream("in").groupByKey();
    }

    static void windows(ConformanceCase.Group group) {
        TimeWindows day = TimeWindows.ofSizeAndGrace(Duration.ofDays(1), Duration.ofHours(1));
        SlidingWindows sliding = SlidingWindows.ofTimeDifferenceAndGrace(Duration.ofMinutes(5), Duration.ofMinutes(1));
        SessionWindows sessions = SessionWindows.ofInactivityGapAndGrace(Duration.ofMinutes(5), Duration.ofMinutes(1));
        EmitStrategy close = EmitStrategy.onWindowClose();
        names(group, "tumbling_count", b -> in(b).windowedBy(day).count().toStream().to("out"));
        names(group, "tumbling_count_store", b -> in(b).windowedBy(day).count(windows("s")).toStream().to("out"));
        names(group, "tumbling_count_named", b -> in(b).windowedBy(day).count(Named.as("n")).toStream().to("out"));
        names(group, "tumbling_count_named_store",
            b -> in(b).windowedBy(day).count(Named.as("n"), windows("s")).toStream().to("out"));
        names(group, "tumbling_count_retention", b -> in(b).windowedBy(day)
            .count(ConformanceTopologies.<Long>windows("s").withRetention(Duration.ofDays(3))).toStream().to("out"));
        names(group, "tumbling_count_log_settings", b -> in(b).windowedBy(day)
            .count(ConformanceTopologies.<Long>windows("s").withLoggingEnabled(
                Map.of("retention.ms", "1", "segment.bytes", "1000000"))).toStream().to("out"));
        names(group, "tumbling_count_no_log", b -> in(b).windowedBy(day)
            .count(ConformanceTopologies.<Long>windows("s").withLoggingDisabled()).toStream().to("out"));
        names(group, "tumbling_reduce", b -> in(b).windowedBy(day).reduce((x, y) -> y).toStream().to("out"));
        names(group, "tumbling_aggregate",
            b -> in(b).windowedBy(day).aggregate(() -> "", (k, v, a) -> a).toStream().to("out"));
        names(group, "tumbling_count_on_close",
            b -> in(b).windowedBy(day).emitStrategy(close).count().toStream().to("out"));
        names(group, "tumbling_after_repartition", b -> b.<String, String>stream("in").groupBy((k, v) -> v)
            .windowedBy(day).count().toStream().to("out"));
        names(group, "tumbling_after_repartition_store", b -> b.<String, String>stream("in").groupBy((k, v) -> v)
            .windowedBy(day).count(windows("s")).toStream().to("out"));
        names(group, "tumbling_after_named_repartition", b -> b.<String, String>stream("in")
            .groupBy((k, v) -> v, Grouped.as("g")).windowedBy(day).count(windows("s")).toStream().to("out"));
        names(group, "unlimited_count", b -> in(b).windowedBy(UnlimitedWindows.of()).count().toStream().to("out"));
        names(group, "sliding_count", b -> in(b).windowedBy(sliding).count().toStream().to("out"));
        names(group, "sliding_reduce", b -> in(b).windowedBy(sliding).reduce((x, y) -> y).toStream().to("out"));
        names(group, "sliding_aggregate",
            b -> in(b).windowedBy(sliding).aggregate(() -> "", (k, v, a) -> a).toStream().to("out"));
        names(group, "sliding_count_store", b -> in(b).windowedBy(sliding).count(windows("s")).toStream().to("out"));
        names(group, "session_count", b -> in(b).windowedBy(sessions).count().toStream().to("out"));
        names(group, "session_reduce", b -> in(b).windowedBy(sessions).reduce((x, y) -> y).toStream().to("out"));
        names(group, "session_aggregate", b -> in(b).windowedBy(sessions)
            .aggregate(() -> "", (k, v, a) -> a, (k, x, y) -> x).toStream().to("out"));
        names(group, "session_count_store",
            b -> in(b).windowedBy(sessions).count(sessions("s")).toStream().to("out"));
        names(group, "windowed_table_regrouped", b -> in(b).windowedBy(day).count()
            .groupBy((k, n) -> KeyValue.pair(k.key(), n), Grouped.with(Serdes.String(), Serdes.Long()))
            .reduce(Long::sum, (x, y) -> x - y).toStream().to("out"));
    }

    static void suppressed(ConformanceCase.Group group) {
        TimeWindows hour = TimeWindows.ofSizeAndGrace(Duration.ofHours(1), Duration.ofMinutes(1));
        names(group, "suppress", b -> in(b).windowedBy(hour).count()
            .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded())).toStream().to("out"));
        names(group, "suppress_named", b -> in(b).windowedBy(hour).count(windows("s"))
            .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()).withName("x")).toStream().to("out"));
        names(group, "suppress_limit", b -> in(b).count()
            .suppress(Suppressed.untilTimeLimit(Duration.ofMinutes(1), BufferConfig.maxRecords(5))).toStream().to("out"));
        names(group, "suppress_log_settings", b -> in(b).count(table("s")).suppress(Suppressed.untilTimeLimit(
            Duration.ofMinutes(1), BufferConfig.maxRecords(5).withLoggingEnabled(Map.of("segment.bytes", "1000000"))))
            .toStream().to("out"));
        names(group, "suppress_no_log", b -> in(b).count(table("s")).suppress(Suppressed.untilTimeLimit(
            Duration.ofMinutes(1), BufferConfig.maxRecords(5).withLoggingDisabled())).toStream().to("out"));
        // An operator before it is not named, one beside it is: what keeps its number and what does not.
        names(group, "suppress_named_beside_another", b -> {
            b.<String, String>stream("other").mapValues(v -> v).to("also");
            in(b).windowedBy(hour).count(windows("s"))
                .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()).withName("x")).toStream().to("out");
        });
    }

    static void cogrouped(ConformanceCase.Group group) {
        TimeWindows hour = TimeWindows.ofSizeAndGrace(Duration.ofHours(1), Duration.ofMinutes(1));
        SlidingWindows sliding = SlidingWindows.ofTimeDifferenceAndGrace(Duration.ofMinutes(5), Duration.ofMinutes(1));
        SessionWindows sessions = SessionWindows.ofInactivityGapAndGrace(Duration.ofMinutes(5), Duration.ofMinutes(1));
        names(group, "cogroup", b -> both(b).aggregate(() -> "").toStream().to("out"));
        names(group, "cogroup_store", b -> both(b).aggregate(() -> "", table("s")).toStream().to("out"));
        names(group, "cogroup_named", b -> both(b).aggregate(() -> "", Named.as("n"), table("s")).toStream().to("out"));
        names(group, "cogroup_tumbling", b -> both(b).windowedBy(hour).aggregate(() -> "").toStream().to("out"));
        names(group, "cogroup_tumbling_store",
            b -> both(b).windowedBy(hour).aggregate(() -> "", windows("s")).toStream().to("out"));
        names(group, "cogroup_sliding", b -> both(b).windowedBy(sliding).aggregate(() -> "").toStream().to("out"));
        names(group, "cogroup_session",
            b -> both(b).windowedBy(sessions).aggregate(() -> "", (k, x, y) -> x).toStream().to("out"));
        names(group, "cogroup_after_repartition", b -> {
            KGroupedStream<String, String> one = b.<String, String>stream("one").groupBy((k, v) -> v);
            KGroupedStream<String, String> two = b.<String, String>stream("two").groupBy((k, v) -> v);
            one.<String>cogroup((k, v, a) -> a).cogroup(two, (k, v, a) -> a).aggregate(() -> "").toStream().to("out");
        });
        names(group, "cogroup_after_named_repartition", b -> {
            KGroupedStream<String, String> one = b.<String, String>stream("one").groupBy((k, v) -> v, Grouped.as("g1"));
            KGroupedStream<String, String> two = b.<String, String>stream("two").groupBy((k, v) -> v, Grouped.as("g2"));
            one.<String>cogroup((k, v, a) -> a).cogroup(two, (k, v, a) -> a).aggregate(() -> "", table("s"))
                .toStream().to("out");
        });
    }

    private static CogroupedKStream<String, String> both(StreamsBuilder b) {
        KGroupedStream<String, String> one = b.<String, String>stream("one").groupByKey();
        KGroupedStream<String, String> two = b.<String, String>stream("two").groupByKey();
        return one.<String>cogroup((k, v, a) -> a).cogroup(two, (k, v, a) -> a);
    }

    /** What has no windows. */
    static void before(ConformanceCase.Group group) {
        names(group, "count", b -> in(b).count().toStream().to("out"));
        names(group, "count_store", b -> in(b).count(table("s")).toStream().to("out"));
        names(group, "count_after_repartition",
            b -> b.<String, String>stream("in").groupBy((k, v) -> v).count().toStream().to("out"));
        names(group, "aggregate", b -> in(b).aggregate(() -> "", (k, v, a) -> a).toStream().to("out"));
        names(group, "reduce", b -> in(b).reduce((x, y) -> y).toStream().to("out"));
        names(group, "table", b -> b.<String, String>table("in").toStream().to("out"));
        names(group, "table_store", b -> b.table("in", ConformanceTopologies.<String>table("s")).toStream().to("out"));
        names(group, "table_group_by", b -> b.<String, String>table("in").groupBy((k, v) -> KeyValue.pair(v, k))
            .count().toStream().to("out"));
        names(group, "to_table", b -> b.<String, String>stream("in").toTable().toStream().to("out"));
        names(group, "repartition", b -> b.<String, String>stream("in").repartition().to("out"));
        names(group, "repartition_named",
            b -> b.<String, String>stream("in").repartition(Repartitioned.as("r")).to("out"));
    }

    static void names(ConformanceCase.Group group, String name, Consumer<StreamsBuilder> build) {
        names(group, name, StreamsConfig.NO_OPTIMIZATION, build);
    }

    static void names(ConformanceCase.Group group, String name, String optimization, Consumer<StreamsBuilder> build) {
        StreamsBuilder b = new StreamsBuilder();
        build.accept(b);
        Properties settings = ConformanceCase.settings(true, new Properties());
        group.line("case", name, "cache", "");
        if (!optimization.equals(StreamsConfig.NO_OPTIMIZATION)) {
            settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, optimization);
            group.line("option", StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, optimization);
        }
        Topology topology;
        try {
            topology = b.build(settings);
        } catch (TopologyException e) {
            group.line("refused", e.getClass().getName(), e.getMessage());
            return;
        }
        topology.describe().toString().lines().filter(line -> !line.isBlank())
            .forEach(line -> group.line("describe", line));
        for (Map.Entry<String, InternalTopicConfig> topic : internalTopics(topology, settings).entrySet()) {
            // Optimised, a table's own topic is its changelog, and is not an internal one.
            if (!topic.getKey().startsWith("golden-")) {
                continue;
            }
            String kind = topic.getKey().endsWith("-changelog") ? "changelog" : "repartition";
            // A day more than the store's retention, by windowstore.changelog.additional.retention.ms.
            Map<String, String> configs = new TreeMap<>(
                topic.getValue().properties(Map.of(), Duration.ofDays(1).toMillis()));
            List<String> pairs = new ArrayList<>();
            configs.forEach((key, value) -> pairs.add(key + "=" + value.replace(",", "+")));
            group.line("topic", topic.getKey(), kind, String.join(",", pairs));
        }
    }

    private static SortedMap<String, InternalTopicConfig> internalTopics(Topology topology, Properties settings) {
        try {
            Field field = Topology.class.getDeclaredField("internalTopologyBuilder");
            field.setAccessible(true);
            InternalTopologyBuilder inside = (InternalTopologyBuilder) field.get(topology);
            inside.rewriteTopology(new StreamsConfig(settings));
            // Only then does a store have a changelog.
            inside.buildTopology();
            SortedMap<String, InternalTopicConfig> topics = new TreeMap<>();
            inside.subtopologyToTopicsInfo().values().forEach(t -> {
                topics.putAll(t.stateChangelogTopics);
                topics.putAll(t.repartitionSourceTopics);
            });
            return topics;
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("Kafka Streams has changed inside: " + e, e);
        }
    }
}
