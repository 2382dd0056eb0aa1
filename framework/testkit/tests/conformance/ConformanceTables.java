// Tables without windows: of a topic, of a stream, filtered, mapped, grouped.
//
// Knows topologies; not how a case is run.

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.ProcessorContext;
import org.apache.kafka.streams.state.*;

final class ConformanceTables extends ConformanceTopologies {
    static void run(ConformanceCase.Group group) {
        for (boolean cache : BOTH) {
            source(group, cache);
            operators(group, cache);
            grouped(group, cache);
            toTable(group, cache);
            processed(group, cache);
            otherKey(group, cache);
        }
    }

    private static ConformanceInputs inputs() {
        return ConformanceInputs.small().nulls(4, 15);
    }

    static void source(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        b.table("in", ConformanceTopologies.<String>table("table")).toStream().to("out");
        b.<String, String>table("other").toStream().to("unstored");
        group.named("table_source", cache).out("out").out("unstored").store("table")
            .run(b, inputs().topics("in", "other"));
    }

    static void operators(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = b.table("in", table("table"));
        table.filter((k, v) -> v.compareTo("c") <= 0).toStream().to("filtered");
        table.filterNot((k, v) -> v.compareTo("c") <= 0).toStream().to("filtered-not");
        table.filter((k, v) -> v.compareTo("c") <= 0, table("kept")).toStream().to("filtered-stored");
        table.mapValues(v -> RESET.equals(v) ? null : v + v).toStream().to("mapped");
        table.mapValues((k, v) -> k + v, table("pairs")).toStream().to("mapped-stored");
        group.named("table_operators", cache).out("filtered").out("filtered-not").out("filtered-stored")
            .out("mapped").out("mapped-stored").store("table", "kept", "pairs").run(b, inputs());
    }

    static void grouped(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = b.table("in", table("table"));
        KGroupedTable<String, String> grouped = table.groupBy((k, v) -> KeyValue.pair(v, k), Grouped.as("by-value"));
        grouped.aggregate(() -> "", (k, v, all) -> join(all, "+" + v), (k, v, all) -> join(all, "-" + v), table("agg"))
            .toStream().to("agg");
        grouped.count(table("counts")).toStream().mapValues(ConformanceTopologies::text).to("counts");
        grouped.reduce(ConformanceTopologies::join, (all, v) -> join(all, "-"), table("reduced")).toStream().to("reduced");
        // A table of which only a part is grouped: old values pass through a filter.
        table.filter((k, v) -> v.compareTo("c") <= 0).groupBy((k, v) -> KeyValue.pair(v, k)).count(table("some"))
            .toStream().mapValues(ConformanceTopologies::text).to("some");
        group.named("table_group_by", cache).out("agg").out("counts").out("reduced").out("some")
            .store("table", "agg", "counts", "reduced", "some").run(b, inputs());
    }

    static void toTable(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = b.stream("in");
        KTable<String, String> table = in.mapValues(v -> v == null ? null : v + "!").toTable(table("table"));
        table.toStream().to("out");
        table.groupBy((k, v) -> KeyValue.pair(v, k)).count(table("counts"))
            .toStream().mapValues(ConformanceTopologies::text).to("counts");
        in.selectKey((k, v) -> v == null ? k : v).toTable(table("by-value")).toStream().to("by-value");
        group.named("to_table", cache).out("out").out("counts").out("by-value")
            .store("table", "counts", "by-value").run(b, inputs());
    }

    /** Also a deletion has a value here, and one value is a deletion. */
    static class Shown implements ValueTransformerWithKey<String, String, String> {
        public void init(ProcessorContext context) { }

        public String transform(String key, String value) {
            return value == null ? "none" : RESET.equals(value) ? null : key + value;
        }

        public void close() { }
    }

    /** Joins all that came for a key. */
    static class Remembering implements ValueTransformerWithKey<String, String, String> {
        private KeyValueStore<String, String> seen;

        public void init(ProcessorContext context) {
            seen = context.getStateStore("seen");
        }

        public String transform(String key, String value) {
            String all = join(seen.get(key), value);
            seen.put(key, all);
            return RESET.equals(value) ? null : all;
        }

        public void close() { }
    }

    static void processed(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        b.addStateStore(Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore("seen"), Serdes.String(), Serdes.String()));
        KTable<String, String> table = b.table("in", table("table"));
        table.transformValues(Shown::new).toStream().to("out");
        table.transformValues(Remembering::new, table("all"), "seen").toStream().to("stored");
        // Old values: of a table without a store they are made again, of one with a store they are read.
        table.transformValues(Shown::new).groupBy((k, v) -> KeyValue.pair(v, k)).count(table("counts"))
            .toStream().mapValues(ConformanceTopologies::text).to("counts");
        table.transformValues(Shown::new, table("shown")).groupBy((k, v) -> KeyValue.pair(v, k))
            .count(table("stored-counts")).toStream().mapValues(ConformanceTopologies::text).to("stored-counts");
        group.named("table_transform_values", cache).out("out").out("stored").out("counts").out("stored-counts")
            .store("table", "seen", "all", "shown", "counts", "stored-counts").run(b, inputs());
    }

    static void otherKey(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> byValue = b.table("in", ConformanceTopologies.<String>table("table"))
            .toStream((k, v) -> v == null ? k : v);
        byValue.to("out");
        byValue.groupByKey().count(table("counts")).toStream().mapValues(ConformanceTopologies::text).to("counts");
        group.named("table_to_stream_with_key", cache).out("out").out("counts").store("table", "counts")
            .run(b, inputs());
    }
}
