// Optimised topologies: repartition topics that become one, joins of a stream with itself, and tables whose
// topics are their changelogs.
//
// Knows topologies; not how a case is run. Each topology is printed twice: what it gives, in the seeded
// group `optimized`, and its names, in the fixed group `optimized_names`.

import java.util.*;
import java.util.function.Consumer;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

final class ConformanceOptimized extends ConformanceTopologies {
    private static final JoinWindows TEN = JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(15));

    /** A topology, its input topics, and what of it is looked at. */
    record Optimized(String name, List<String> inputs, List<String> outputs, List<String> stores,
                     Consumer<StreamsBuilder> build) {
    }

    private static final List<Optimized> ALL = List.of(
        new Optimized("two_aggregations", List.of("in"), List.of("counts", "reduced"), List.of("counts", "reduced"),
            b -> {
                KStream<String, String> keyed = keyed(b, "in");
                count(keyed.groupByKey(), "counts");
                reduce(keyed.groupByKey(), "reduced");
            }),
        new Optimized("one_moves_up", List.of("in"), List.of("counts"), List.of("counts"),
            b -> count(keyed(b, "in").filter((k, v) -> early(v)).peek((k, v) -> { }).groupByKey(), "counts")),
        new Optimized("operators_between", List.of("in"), List.of("early", "counts", "reduced"),
            List.of("counts", "reduced"), b -> {
                KStream<String, String> keyed = keyed(b, "in");
                KStream<String, String> kept = keyed.filter((k, v) -> early(v));
                kept.to("early");
                count(kept.groupByKey(), "counts");
                reduce(keyed.filterNot((k, v) -> early(v)).groupByKey(Grouped.as("late")), "reduced");
            }),
        new Optimized("values_changed", List.of("in"), List.of("counts", "reduced", "other"),
            List.of("counts", "reduced", "other"), b -> {
                KStream<String, String> keyed = keyed(b, "in");
                count(keyed.groupByKey(), "counts");
                reduce(keyed.mapValues(ConformanceTopologies::upper).groupByKey(), "reduced");
                count(keyed.flatMapValues(v -> v == null ? List.of() : List.of(v, v)).groupByKey(), "other");
            }),
        new Optimized("keys_changed_twice", List.of("in"), List.of("counts", "reduced"), List.of("counts", "reduced"),
            b -> {
                KStream<String, String> keyed = keyed(b, "in");
                count(keyed.groupByKey(), "counts");
                reduce(keyed.map((k, v) -> KeyValue.pair(v, k)).groupByKey(), "reduced");
            }),
        // Kafka Streams fails if both branches are aggregated.
        new Optimized("a_branch", List.of("in"), List.of("counts", "rest"), List.of("counts"), b -> {
            Map<String, KStream<String, String>> branches = keyed(b, "in").split(Named.as("br-"))
                .branch((k, v) -> early(v), Branched.as("early")).defaultBranch(Branched.as("rest"));
            count(branches.get("br-early").groupByKey(), "counts");
            branches.get("br-rest").to("rest");
        }),
        new Optimized("behind_a_merge", List.of("one", "two"), List.of("counts", "reduced"),
            List.of("counts", "reduced"), b -> {
                KStream<String, String> both = keyed(b, "one").merge(strings(b, "two").map(KeyValue::pair));
                count(both.groupByKey(), "counts");
                reduce(both.filter((k, v) -> early(v)).groupByKey(), "reduced");
            }),
        new Optimized("a_merge_with_an_unchanged_stream", List.of("one", "two"), List.of("counts", "reduced"),
            List.of("counts", "reduced"), b -> {
                KStream<String, String> both = strings(b, "one").merge(keyed(b, "two"));
                count(both.groupByKey(), "counts");
                reduce(both.groupByKey(), "reduced");
            }),
        new Optimized("a_named_grouping", List.of("in"), List.of("counts", "reduced"), List.of("counts", "reduced"),
            b -> {
                KStream<String, String> keyed = keyed(b, "in");
                KGroupedStream<String, String> grouped = keyed.groupByKey(Grouped.as("g"));
                count(grouped, "counts");
                reduce(grouped, "reduced");
                keyed.groupByKey(Grouped.as("h")).aggregate(() -> "", (k, v, all) -> join(all, v), table("agg"));
            }),
        new Optimized("a_new_key_for_each", List.of("in"), List.of("counts", "reduced"), List.of("counts", "reduced"),
            b -> {
                count(strings(b, "in").groupBy((k, v) -> letter(v)), "counts");
                reduce(strings(b, "in").groupBy((k, v) -> letter(v)), "reduced");
            }),
        new Optimized("a_table_and_a_count", List.of("in"), List.of("last", "counts"), List.of("last", "counts"), b -> {
            KStream<String, String> keyed = keyed(b, "in");
            keyed.toTable(ConformanceTopologies.<String>table("last")).toStream().to("last");
            count(keyed.groupByKey(), "counts");
        }),
        new Optimized("a_repartition_between", List.of("in"), List.of("counts", "reduced"),
            List.of("counts", "reduced"), b -> {
                KStream<String, String> keyed = keyed(b, "in");
                count(keyed.groupByKey(), "counts");
                reduce(keyed.repartition(Repartitioned.as("again")).groupByKey(), "reduced");
            }),
        new Optimized("a_cogroup", List.of("in"), List.of("all"), List.of("all"), b -> {
            KStream<String, String> keyed = keyed(b, "in");
            keyed.filter((k, v) -> early(v)).groupByKey(Grouped.as("early"))
                .<String>cogroup((k, v, all) -> join(all, v))
                .cogroup(keyed.groupByKey(Grouped.as("every")), (k, v, all) -> joinOrReset(all, v))
                .aggregate(() -> "", ConformanceTopologies.<String>table("all")).toStream().to("all");
        }),
        new Optimized("a_stream_and_a_table", List.of("in", "table"), List.of("out", "counts"),
            List.of("table-store", "counts"), b -> {
                KStream<String, String> keyed = keyed(b, "in");
                KTable<String, String> table = ConformanceTableJoins.source(b, "table");
                keyed.leftJoin(table, ConformanceTopologies::pair, Joined.as("n")).to("out");
                count(keyed.groupByKey(), "counts");
            }),
        new Optimized("two_joins", List.of("in", "other"), List.of("inner", "left"), List.of(), b -> {
            KStream<String, String> keyed = keyed(b, "in");
            KStream<String, String> other = strings(b, "other");
            keyed.join(other, ConformanceTopologies::pair, TEN, joined("i")).to("inner");
            keyed.filter((k, v) -> early(v)).leftJoin(other, ConformanceTopologies::pair, TEN, joined("l")).to("left");
        }),
        new Optimized("a_join_of_both_sides", List.of("one", "two"), List.of("out", "counts"), List.of("counts"), b -> {
            KStream<String, String> one = keyed(b, "one");
            one.join(keyed(b, "two"), ConformanceTopologies::pair, TEN, joined("j")).to("out");
            count(one.groupByKey(), "counts");
        }),
        new Optimized("a_join_with_itself", List.of("in"), List.of("out"), List.of(), b -> {
            KStream<String, String> in = strings(b, "in");
            in.join(in, ConformanceTopologies::pair, TEN, joined("j")).to("out");
        }),
        new Optimized("a_named_join_with_itself_repartitioned", List.of("in"), List.of("out", "counts"),
            List.of("counts"), b -> {
                KStream<String, String> keyed = keyed(b, "in");
                keyed.join(keyed, ConformanceTopologies::pair, TEN, joined("j").withName("n")).to("out");
                count(keyed.groupByKey(), "counts");
            }),
        new Optimized("a_join_with_a_part_of_itself", List.of("in"), List.of("out"), List.of(), b -> {
            KStream<String, String> in = strings(b, "in");
            in.join(in.filter((k, v) -> early(v)), ConformanceTopologies::pair, TEN, joined("j")).to("out");
        }),
        new Optimized("a_table", List.of("in"), List.of("out"), List.of("in-store"),
            b -> ConformanceTableJoins.source(b, "in").toStream().to("out")),
        new Optimized("a_table_that_needs_a_store", List.of("in"), List.of("out"), List.of("counts"),
            b -> b.<String, String>table("in").groupBy((k, v) -> KeyValue.pair(letter(v), v))
                .count(table("counts")).toStream().mapValues(ConformanceTopologies::text).to("out")),
        new Optimized("a_filtered_table", List.of("in"), List.of("out"), List.of("in-store", "kept"),
            b -> ConformanceTableJoins.source(b, "in").filter((k, v) -> early(v), table("kept")).toStream().to("out")),
        new Optimized("two_tables", List.of("one", "two"), List.of("out"), List.of("one-store", "two-store", "both"),
            b -> ConformanceTableJoins.source(b, "one").outerJoin(ConformanceTableJoins.source(b, "two"),
                ConformanceTopologies::pair, table("both")).toStream().to("out")),
        new Optimized("two_tables_by_a_foreign_key", List.of("one", "two"), List.of("out"),
            List.of("one-store", "two-store"), b -> ConformanceForeignKeys.join(true,
                ConformanceTableJoins.source(b, "one"), ConformanceTableJoins.source(b, "two")).toStream().to("out")));

    static void run(ConformanceCase.Group group) {
        for (Optimized each : ALL) {
            for (boolean cache : BOTH) {
                StreamsBuilder b = new StreamsBuilder();
                each.build.accept(b);
                ConformanceCase it = group.named(each.name, cache).setting(
                    StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
                each.outputs.forEach(it::out);
                it.store(each.stores.toArray(String[]::new));
                Properties properties = new Properties();
                properties.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
                it.run(b.build(properties), ConformanceInputs.small().topics(each.inputs.toArray(String[]::new))
                    .nulls(8, 8).values(NUMBERED));
            }
        }
    }

    static void names(ConformanceCase.Group group) {
        for (Optimized each : ALL) {
            ConformanceNames.names(group, each.name, StreamsConfig.OPTIMIZE, each.build);
        }
    }

    /** By the first letter of the value, or null. */
    private static KStream<String, String> keyed(StreamsBuilder b, String topic) {
        return strings(b, topic).selectKey((k, v) -> letter(v));
    }

    private static boolean early(String v) {
        return ConformanceStreams.early(v);
    }

    private static void count(KGroupedStream<String, String> grouped, String name) {
        grouped.count(table(name)).toStream().mapValues(ConformanceTopologies::text).to(name);
    }

    private static void reduce(KGroupedStream<String, String> grouped, String name) {
        grouped.reduce(ConformanceTopologies::join, table(name)).toStream().to(name);
    }

    private static StreamJoined<String, String, String> joined(String store) {
        return ConformanceStreamJoins.joined().withStoreName(store);
    }
}
