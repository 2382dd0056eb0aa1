// Names of joins: what describe() prints, and the internal topics with what Kafka Streams sets for them,
// with and without names of the program's own, and with optimisations.
//
// Knows topologies; not how they are printed (ConformanceNames). No seed changes anything here.

import java.time.Duration;
import java.util.Map;
import java.util.function.Function;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.KeyValueStore;

final class ConformanceJoinNames extends ConformanceTopologies {
    private static final boolean[] INNER_AND_LEFT = {false, true};
    private static final JoinWindows HOUR =
        JoinWindows.ofTimeDifferenceAndGrace(Duration.ofHours(1), Duration.ofMinutes(1));

    static void run(ConformanceCase.Group group) {
        for (ConformanceStreamJoins.Kind kind : ConformanceStreamJoins.Kind.values()) {
            streams(group, kind);
        }
        for (ConformanceTableJoins.Kind kind : ConformanceTableJoins.Kind.values()) {
            tables(group, kind);
        }
        for (boolean left : INNER_AND_LEFT) {
            streamTables(group, left);
            foreignKeys(group, left);
            globalTables(group, left);
        }
        globalStores(group);
        versioned(group);
        several(group);
    }

    private static KStream<String, String> in(StreamsBuilder b, String topic) {
        return b.stream(topic);
    }

    private static KStream<String, String> rekeyed(StreamsBuilder b, String topic) {
        return in(b, topic).selectKey((k, v) -> v);
    }

    // ---- streams ----

    private static void join(ConformanceStreamJoins.Kind kind, KStream<String, String> one, KStream<String, String> two,
                             StreamJoined<String, String, String> joined) {
        kind.join(one, two, ConformanceTopologies::pair, HOUR, joined).to("out");
    }

    private static StreamJoined<String, String, String> plain() {
        return StreamJoined.with(null, null, null);
    }

    static void streams(ConformanceCase.Group group, ConformanceStreamJoins.Kind kind) {
        String name = kind.text + "_join";
        ConformanceNames.names(group, name, b -> join(kind, in(b, "one"), in(b, "two"), plain()));
        ConformanceNames.names(group, name + "_named", b -> join(kind, in(b, "one"), in(b, "two"), plain().withName("n")));
        ConformanceNames.names(group, name + "_store",
            b -> join(kind, in(b, "one"), in(b, "two"), plain().withStoreName("s")));
        ConformanceNames.names(group, name + "_named_store",
            b -> join(kind, in(b, "one"), in(b, "two"), plain().withName("n").withStoreName("s")));
        ConformanceNames.names(group, name + "_log_settings", b -> join(kind, in(b, "one"), in(b, "two"),
            plain().withStoreName("s").withLoggingEnabled(Map.of("segment.bytes", "1000000"))));
        ConformanceNames.names(group, name + "_no_log", b -> join(kind, in(b, "one"), in(b, "two"),
            plain().withStoreName("s").withLoggingDisabled()));
        ConformanceNames.names(group, name + "_repartitioned",
            b -> join(kind, rekeyed(b, "one"), rekeyed(b, "two"), plain()));
        ConformanceNames.names(group, name + "_repartitioned_store",
            b -> join(kind, rekeyed(b, "one"), rekeyed(b, "two"), plain().withStoreName("s")));
        ConformanceNames.names(group, name + "_repartitioned_named",
            b -> join(kind, rekeyed(b, "one"), rekeyed(b, "two"), plain().withName("n")));
        ConformanceNames.names(group, name + "_left_repartitioned_named",
            b -> join(kind, rekeyed(b, "one"), in(b, "two"), plain().withName("n")));
        ConformanceNames.names(group, name + "_right_repartitioned_named",
            b -> join(kind, in(b, "one"), rekeyed(b, "two"), plain().withName("n")));
        ConformanceNames.names(group, name + "_itself", b -> itself(kind, in(b, "one"), plain()));
        ConformanceNames.names(group, name + "_itself_optimised", StreamsConfig.SINGLE_STORE_SELF_JOIN,
            b -> itself(kind, in(b, "one"), plain()));
        ConformanceNames.names(group, name + "_itself_optimised_named", StreamsConfig.SINGLE_STORE_SELF_JOIN,
            b -> itself(kind, in(b, "one"), plain().withName("n").withStoreName("s")));
        ConformanceNames.names(group, name + "_itself_mapped_optimised", StreamsConfig.SINGLE_STORE_SELF_JOIN, b -> {
            KStream<String, String> one = in(b, "one");
            join(kind, one, one.mapValues(v -> v), plain());
        });
        ConformanceNames.names(group, name + "_itself_repartitioned_optimised", StreamsConfig.OPTIMIZE,
            b -> itself(kind, rekeyed(b, "one"), plain()));
        ConformanceNames.names(group, name + "_two_sources", b -> join(kind, in(b, "one"), in(b, "one"), plain()));
        ConformanceNames.names(group, name + "_two_sources_optimised", StreamsConfig.SINGLE_STORE_SELF_JOIN,
            b -> join(kind, in(b, "one"), in(b, "one"), plain()));
    }

    private static void itself(ConformanceStreamJoins.Kind kind, KStream<String, String> one,
                               StreamJoined<String, String, String> joined) {
        join(kind, one, one, joined);
    }

    // ---- tables ----

    static void tables(ConformanceCase.Group group, ConformanceTableJoins.Kind kind) {
        String name = "table_" + kind.text + "_join";
        ValueJoiner<String, String, String> joiner = ConformanceTopologies::pair;
        ConformanceNames.names(group, name, b -> kind.join(table(b, "one"), table(b, "two")).toStream().to("out"));
        ConformanceNames.names(group, name + "_optimised", StreamsConfig.OPTIMIZE,
            b -> kind.join(table(b, "one"), table(b, "two")).toStream().to("out"));
        ConformanceNames.names(group, name + "_store",
            b -> kind.stored(table(b, "one"), table(b, "two")).toStream().to("out"));
        ConformanceNames.names(group, name + "_named", b -> {
            KTable<String, String> one = table(b, "one");
            KTable<String, String> two = table(b, "two");
            Named named = Named.as("n");
            (switch (kind) {
                case INNER -> one.join(two, joiner, named);
                case LEFT -> one.leftJoin(two, joiner, named);
                case OUTER -> one.outerJoin(two, joiner, named);
            }).toStream().to("out");
        });
        ConformanceNames.names(group, name + "_named_store", b -> {
            KTable<String, String> one = ConformanceTableJoins.source(b, "one");
            KTable<String, String> two = ConformanceTableJoins.source(b, "two");
            Named named = Named.as("n");
            (switch (kind) {
                case INNER -> one.join(two, joiner, named, table("s"));
                case LEFT -> one.leftJoin(two, joiner, named, table("s"));
                case OUTER -> one.outerJoin(two, joiner, named, table("s"));
            }).toStream().to("out");
        });
        ConformanceNames.names(group, name + "_of_sides", b -> kind.join(table(b, "one").filter((k, v) -> true),
            table(b, "two").mapValues(v -> v)).toStream().to("out"));
        ConformanceNames.names(group, name + "_itself", b -> {
            KTable<String, String> one = table(b, "one");
            kind.join(one, one).toStream().to("out");
        });
        ConformanceNames.names(group, name + "_of_joins", b -> kind.join(kind.join(table(b, "one"), table(b, "two")),
            table(b, "three")).toStream().to("out"));
    }

    private static KTable<String, String> table(StreamsBuilder b, String topic) {
        return b.table(topic);
    }

    // ---- streams with tables ----

    private static void join(boolean left, KStream<String, String> one, KTable<String, String> two,
                             Joined<String, String, String> joined) {
        (left ? one.leftJoin(two, ConformanceTopologies::pair, joined)
            : one.join(two, ConformanceTopologies::pair, joined)).to("out");
    }

    static void streamTables(ConformanceCase.Group group, boolean left) {
        String name = "stream_table_" + (left ? "left" : "inner") + "_join";
        ConformanceNames.names(group, name, b -> join(left, in(b, "one"), table(b, "two"), Joined.with(null, null, null)));
        ConformanceNames.names(group, name + "_optimised", StreamsConfig.OPTIMIZE,
            b -> join(left, in(b, "one"), table(b, "two"), Joined.with(null, null, null)));
        ConformanceNames.names(group, name + "_named", b -> join(left, in(b, "one"), table(b, "two"), Joined.as("n")));
        ConformanceNames.names(group, name + "_repartitioned",
            b -> join(left, rekeyed(b, "one"), table(b, "two"), Joined.with(null, null, null)));
        ConformanceNames.names(group, name + "_repartitioned_named",
            b -> join(left, rekeyed(b, "one"), table(b, "two"), Joined.as("n")));
        ConformanceNames.names(group, name + "_of_aggregation", b -> join(left, in(b, "one"),
            in(b, "two").groupByKey().reduce((x, y) -> y), Joined.with(null, null, null)));
        ConformanceNames.names(group, name + "_of_sides", b -> join(left, in(b, "one"),
            table(b, "two").filter((k, v) -> true).mapValues(v -> v), Joined.with(null, null, null)));
        ConformanceNames.names(group, name + "_grace", b -> join(left, in(b, "one"), ConformanceVersioned.source(b, "two"),
            Joined.<String, String, String>with(null, null, null).withGracePeriod(ms(10))));
        ConformanceNames.names(group, name + "_grace_named", b -> join(left, in(b, "one"),
            ConformanceVersioned.source(b, "two"), Joined.<String, String, String>as("n").withGracePeriod(ms(10))));
    }

    // ---- foreign keys ----

    static void foreignKeys(ConformanceCase.Group group, boolean left) {
        String name = "foreign_key_" + (left ? "left" : "inner") + "_join";
        Function<String, String> key = ConformanceTopologies::letter;
        ValueJoiner<String, String, String> joiner = ConformanceTopologies::pair;
        TableJoined<String, String> named = TableJoined.as("n");
        ConformanceNames.names(group, name,
            b -> ConformanceForeignKeys.join(left, table(b, "one"), table(b, "two")).toStream().to("out"));
        ConformanceNames.names(group, name + "_optimised", StreamsConfig.OPTIMIZE,
            b -> ConformanceForeignKeys.join(left, table(b, "one"), table(b, "two")).toStream().to("out"));
        ConformanceNames.names(group, name + "_named", b -> {
            KTable<String, String> one = table(b, "one");
            (left ? one.leftJoin(table(b, "two"), key, joiner, named) : one.join(table(b, "two"), key, joiner, named))
                .toStream().to("out");
        });
        ConformanceNames.names(group, name + "_store",
            b -> ConformanceForeignKeys.stored(left, table(b, "one"), table(b, "two")).toStream().to("out"));
        ConformanceNames.names(group, name + "_named_store", b -> {
            KTable<String, String> one = table(b, "one");
            Materialized<String, String, KeyValueStore<Bytes, byte[]>> store = table("s");
            (left ? one.leftJoin(table(b, "two"), key, joiner, named, store)
                : one.join(table(b, "two"), key, joiner, named, store)).toStream().to("out");
        });
        ConformanceNames.names(group, name + "_itself", b -> {
            KTable<String, String> one = table(b, "one");
            ConformanceForeignKeys.join(left, one, one).toStream().to("out");
        });
        ConformanceNames.names(group, name + "_in_a_row", b -> ConformanceForeignKeys.join(left,
            ConformanceForeignKeys.join(left, table(b, "one"), table(b, "two")), table(b, "three")).toStream().to("out"));
    }

    // ---- global tables ----

    static void globalTables(ConformanceCase.Group group, boolean left) {
        String name = "global_" + (left ? "left" : "inner") + "_join";
        KeyValueMapper<String, String, String> key = (k, v) -> v;
        ValueJoiner<String, String, String> joiner = ConformanceTopologies::pair;
        ConformanceNames.names(group, name, b -> {
            GlobalKTable<String, String> table = b.globalTable("two");
            (left ? in(b, "one").leftJoin(table, key, joiner) : in(b, "one").join(table, key, joiner)).to("out");
        });
        ConformanceNames.names(group, name + "_named", b -> {
            GlobalKTable<String, String> table = b.globalTable("two", Consumed.as("c"));
            Named named = Named.as("n");
            (left ? in(b, "one").leftJoin(table, key, joiner, named)
                : in(b, "one").join(table, key, joiner, named)).to("out");
        });
        ConformanceNames.names(group, name + "_store", b -> {
            GlobalKTable<String, String> table = b.globalTable("two", ConformanceTopologies.<String>table("s"));
            (left ? in(b, "one").leftJoin(table, key, joiner) : in(b, "one").join(table, key, joiner)).to("out");
        });
        ConformanceNames.names(group, name + "_after_change", b -> {
            GlobalKTable<String, String> table = b.globalTable("two");
            KStream<String, String> one = rekeyed(b, "one");
            (left ? one.leftJoin(table, key, joiner) : one.join(table, key, joiner)).groupByKey().count()
                .toStream().to("out");
        });
    }

    static void globalStores(ConformanceCase.Group group) {
        ConformanceNames.names(group, "global_store", b -> {
            ConformanceGlobalTables.keep(b, "two", Consumed.with(null, null));
            in(b, "one").to("out");
        });
        ConformanceNames.names(group, "global_store_named", b -> {
            ConformanceGlobalTables.keep(b, "two", Consumed.as("c"));
            in(b, "one").to("out");
        });
    }

    // ---- versioned tables ----

    static void versioned(ConformanceCase.Group group) {
        ConformanceNames.names(group, "versioned_table",
            b -> b.table("in", ConformanceVersioned.<String>versioned("s", 3_600_000)).toStream().to("out"));
        ConformanceNames.names(group, "versioned_table_optimised", StreamsConfig.OPTIMIZE,
            b -> b.table("in", ConformanceVersioned.<String>versioned("s", 3_600_000)).toStream().to("out"));
        ConformanceNames.names(group, "versioned_table_log_settings", b -> b.table("in",
            ConformanceVersioned.<String>versioned("s", 3_600_000).withLoggingEnabled(
                Map.of("min.compaction.lag.ms", "1", "segment.bytes", "1000000"))).toStream().to("out"));
        ConformanceNames.names(group, "versioned_count",
            b -> in(b, "in").groupByKey().count(ConformanceVersioned.versioned("s", 3_600_000)).toStream().to("out"));
    }

    // ---- several joins ----

    /** One stream with a changed key in two joins: one repartition topic for each, or for both. */
    static void several(ConformanceCase.Group group) {
        for (boolean optimised : new boolean[] {false, true}) {
            String suffix = optimised ? "_optimised" : "";
            String optimization = optimised ? StreamsConfig.OPTIMIZE : StreamsConfig.NO_OPTIMIZATION;
            ConformanceNames.names(group, "two_joins_of_one_stream" + suffix, optimization, b -> {
                KStream<String, String> one = rekeyed(b, "one");
                join(ConformanceStreamJoins.Kind.INNER, one, in(b, "two"), plain());
                join(ConformanceStreamJoins.Kind.LEFT, one, in(b, "three"), plain());
            });
            ConformanceNames.names(group, "two_named_joins_of_one_stream" + suffix, optimization, b -> {
                KStream<String, String> one = rekeyed(b, "one");
                join(ConformanceStreamJoins.Kind.INNER, one, in(b, "two"), plain().withName("n"));
                join(ConformanceStreamJoins.Kind.LEFT, one, in(b, "three"), plain().withName("m"));
            });
            ConformanceNames.names(group, "a_join_and_a_count_of_one_stream" + suffix, optimization, b -> {
                KStream<String, String> one = rekeyed(b, "one");
                join(true, one, table(b, "two"), Joined.as("n"));
                one.groupByKey(Grouped.as("g")).count().toStream().to("counts");
            });
            ConformanceNames.names(group, "a_join_of_a_join" + suffix, optimization, b -> {
                KStream<String, String> first = in(b, "one").join(in(b, "two"), ConformanceTopologies::pair, HOUR);
                join(ConformanceStreamJoins.Kind.OUTER, first.selectKey((k, v) -> v), in(b, "three"), plain().withName("n"));
            });
        }
    }
}
