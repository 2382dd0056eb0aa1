// What Kafka Streams refuses of joins, of versioned and of global tables, when a topology is built: the
// exception and what it says; and what it lets through.
//
// Knows topologies; not how a case is printed (ConformanceRefused). No seed changes anything here.

import java.util.function.Consumer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.*;

final class ConformanceJoinRefused extends ConformanceTopologies {
    private static final JoinWindows TEN = JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5));

    static void run(ConformanceCase.Group group) {
        windows(group);
        stores(group);
        names(group);
        topics(group);
        versioned(group);
    }

    /** What {@code build} adds is built too. */
    private static void refused(ConformanceCase.Group group, String name, Consumer<StreamsBuilder> build) {
        ConformanceRefused.refused(group, name, () -> {
            StreamsBuilder b = new StreamsBuilder();
            build.accept(b);
            b.build();
        });
    }

    static void windows(ConformanceCase.Group group) {
        ConformanceRefused.refused(group, "negative_join_difference", () -> JoinWindows.ofTimeDifferenceWithNoGrace(ms(-1)));
        ConformanceRefused.refused(group, "negative_join_grace", () -> JoinWindows.ofTimeDifferenceAndGrace(ms(1), ms(-1)));
        ConformanceRefused.refused(group, "join_before_below_after", () -> TEN.before(ms(-11)));
        ConformanceRefused.refused(group, "join_before_of_after", () -> TEN.before(ms(-10)));
        ConformanceRefused.refused(group, "join_after_below_before", () -> TEN.after(ms(-11)));
        ConformanceRefused.refused(group, "join_of_zero", () -> JoinWindows.ofTimeDifferenceWithNoGrace(ms(0)));
    }

    private static void join(StreamsBuilder b, StreamJoined<String, String, String> joined) {
        strings(b, "one").join(strings(b, "two"), ConformanceTopologies::pair, TEN, joined).to("out");
    }

    private static StreamJoined<String, String, String> plain() {
        return StreamJoined.with(Serdes.String(), Serdes.String(), Serdes.String());
    }

    private static WindowBytesStoreSupplier supplier(String name, long retention, long size, boolean duplicates) {
        return Stores.persistentWindowStore(name, ms(retention), ms(size), duplicates);
    }

    static void stores(ConformanceCase.Group group) {
        refused(group, "join_store_without_duplicates", b -> join(b, plain().withThisStoreSupplier(supplier("s", 25, 20, false))));
        refused(group, "join_store_of_another_retention", b -> join(b, plain().withThisStoreSupplier(supplier("s", 26, 20, true))));
        refused(group, "join_store_of_another_size", b -> join(b, plain().withOtherStoreSupplier(supplier("s", 25, 19, true))));
        refused(group, "join_stores_of_one_name", b -> join(b, plain().withThisStoreSupplier(supplier("s", 25, 20, true))
            .withOtherStoreSupplier(supplier("s", 25, 20, true))));
        refused(group, "join_stores_given", b -> join(b, plain().withThisStoreSupplier(supplier("s", 25, 20, true))
            .withOtherStoreSupplier(supplier("t", 25, 20, true))));
    }

    static void names(ConformanceCase.Group group) {
        refused(group, "one_store_name_for_two_joins", b -> {
            join(b, plain().withStoreName("s"));
            join(b, plain().withStoreName("s"));
        });
        refused(group, "one_name_for_two_joins", b -> {
            join(b, plain().withName("n"));
            join(b, plain().withName("n"));
        });
        refused(group, "one_name_for_two_table_joins", b -> {
            KTable<String, String> one = b.table("one");
            KTable<String, String> two = b.table("two");
            one.join(two, ConformanceTopologies::pair, Named.as("n"));
            one.leftJoin(two, ConformanceTopologies::pair, Named.as("n"));
        });
        refused(group, "one_name_for_two_foreign_key_joins", b -> {
            KTable<String, String> one = b.table("one");
            KTable<String, String> two = b.table("two");
            java.util.function.Function<String, String> key = v -> v;
            one.join(two, key, ConformanceTopologies::pair, TableJoined.as("n"));
            one.leftJoin(two, key, ConformanceTopologies::pair, TableJoined.as("n"));
        });
        refused(group, "one_name_for_two_stream_table_joins", b -> {
            KTable<String, String> two = b.table("two");
            strings(b, "one").join(two, ConformanceTopologies::pair, Joined.as("n"));
            strings(b, "one").leftJoin(two, ConformanceTopologies::pair, Joined.as("n"));
        });
        refused(group, "a_join_name_with_a_slash", b -> join(b, plain().withName("a/b")));
        refused(group, "a_join_store_name_with_a_slash", b -> join(b, plain().withStoreName("a/b")));
    }

    static void topics(ConformanceCase.Group group) {
        refused(group, "a_stream_and_a_table_of_one_topic", b -> {
            KTable<String, String> table = b.table("one");
            strings(b, "one").join(table, ConformanceTopologies::pair).to("out");
        });
        refused(group, "two_tables_of_one_topic", b -> {
            KTable<String, String> one = b.table("one");
            one.join(b.<String, String>table("one"), ConformanceTopologies::pair).toStream().to("out");
        });
        refused(group, "a_stream_and_a_global_table_of_one_topic", b -> {
            GlobalKTable<String, String> table = b.globalTable("one");
            strings(b, "one").join(table, (k, v) -> k, ConformanceTopologies::pair).to("out");
        });
        refused(group, "two_global_tables_of_one_topic", b -> {
            GlobalKTable<String, String> one = b.globalTable("one");
            GlobalKTable<String, String> two = b.globalTable("one");
            strings(b, "in").join(one, (k, v) -> k, ConformanceTopologies::pair)
                .join(two, (k, v) -> k, ConformanceTopologies::pair).to("out");
        });
        refused(group, "a_global_table_alone", b -> b.globalTable("one"));
    }

    static void versioned(ConformanceCase.Group group) {
        refused(group, "grace_with_a_table_that_is_not_versioned", b -> strings(b, "one").join(
            b.<String, String>table("two"), ConformanceTopologies::pair, grace(10)).to("out"));
        refused(group, "grace_with_a_versioned_table_in_another_store", b -> strings(b, "one").join(
            ConformanceVersioned.source(b, "two").mapValues(v -> v, table("s")), ConformanceTopologies::pair,
            grace(10)).to("out"));
        refused(group, "grace_of_history", b -> strings(b, "one").join(
            ConformanceVersioned.source(b, "two"), ConformanceTopologies::pair, grace(40)).to("out"));
        refused(group, "grace_beyond_history", b -> strings(b, "one").join(
            ConformanceVersioned.source(b, "two"), ConformanceTopologies::pair, grace(41)).to("out"));
        refused(group, "grace_beyond_history_of_a_filtered_table", b -> strings(b, "one").join(
            ConformanceVersioned.source(b, "two").filter((k, v) -> true), ConformanceTopologies::pair, grace(41)).to("out"));
        refused(group, "negative_grace_of_a_join", b -> strings(b, "one").join(
            ConformanceVersioned.source(b, "two"), ConformanceTopologies::pair, grace(-1)).to("out"));
        refused(group, "negative_history", b -> ConformanceVersioned.versioned("s", -1));
        refused(group, "segments_of_zero", b -> Stores.persistentVersionedKeyValueStore("s", ms(10), ms(0)));
        refused(group, "suppressed_versions", b -> ConformanceVersioned.source(b, "in")
            .suppress(Suppressed.untilTimeLimit(ms(10), Suppressed.BufferConfig.unbounded())).toStream().to("out"));
        refused(group, "suppressed_filtered_versions", b -> ConformanceVersioned.source(b, "in").filter((k, v) -> true)
            .suppress(Suppressed.untilTimeLimit(ms(10), Suppressed.BufferConfig.unbounded())).toStream().to("out"));
        refused(group, "a_versioned_global_table",
            b -> b.globalTable("in", ConformanceVersioned.<String>versioned("s")));
    }

    private static Joined<String, String, String> grace(long millis) {
        return Joined.with(Serdes.String(), Serdes.String(), Serdes.String(), "n", ms(millis));
    }
}
