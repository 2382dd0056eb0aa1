// Runs topologies whose functions answer null, in Kafka Streams' own TopologyTestDriver, and
// prints, per case, what went in and what came out. tests/nulls.rs runs the same topologies and
// compares.
//
// To print again, with the jars of org.apache.kafka:kafka-streams:4.3.1 and
// org.apache.kafka:kafka-streams-test-utils:4.3.1 in a folder DIR:
//
//     java -cp "DIR/*" GoldenNulls.java > golden_nulls.tsv
//
// Lines are separated by tabs: case name cache outputs; in key value time; out topic key value
// time; store name key value time. \N is null.

import java.util.*;
import java.util.stream.Collectors;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;
import org.apache.kafka.streams.test.TestRecord;

public class GoldenNulls {
    static TopologyTestDriver driver;
    static List<String> outputs;
    static List<String> stores;

    public static void main(String[] args) {
        for (boolean cache : new boolean[] {true, false}) {
            aggregate(cache);
            reduce(cache);
            tableMapValues(cache);
            groupedTable(cache);
            toTable(cache);
        }
        processor();
    }

    // ---- topologies ----

    static void aggregate(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = b.<String, String>stream("in").groupByKey().aggregate(
            () -> "0", (k, v, n) -> v.equals("reset") ? null : plus(n, 1), as("agg"));
        table.toStream().to("out");
        table.filter((k, n) -> !n.equals("0") && !n.equals("1")).toStream().to("many");
        table.mapValues(n -> n + "!").toStream().to("mapped");
        table.mapValues(n -> n + "?", as("mapped-store")).toStream().to("mapped-too");
        open("aggregate", cache, b, List.of("out", "many", "mapped", "mapped-too"),
            List.of("agg", "mapped-store"));
        in("k", "a", 10);
        in("k", "a", 5);
        in("k", "reset", 12);
        in("k", "a", 3);
        in("never", "reset", 7);
        in("never", "a", 6);
        in("k", "reset", 1);
        in("k", "reset", 20);
        in("other", "a", 2);
        close();
    }

    static void reduce(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = b.<String, String>stream("in").groupByKey().reduce(
            (all, v) -> v.equals("reset") ? null : all + v, as("reduced"));
        table.toStream().to("out");
        table.filter((k, v) -> v.length() > 1).toStream().to("long");
        table.filter((k, v) -> v.length() > 1, as("long-store")).toStream().to("long-too");
        table.groupBy((k, v) -> KeyValue.pair(v, k)).count(Materialized.as("counts"))
            .toStream().mapValues(GoldenNulls::text).to("counted");
        open("reduce", cache, b, List.of("out", "long", "long-too", "counted"),
            List.of("reduced", "long-store", "counts"));
        in("k", "a", 10);
        in("j", "a", 11);
        in("k", "b", 5);
        in("k", "reset", 12);
        in("k", null, 13);
        in("k", "a", 3);
        in("j", "reset", 7);
        in("j", "reset", 8);
        in("j", "reset", 9);
        close();
    }

    static void tableMapValues(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = b.table("in", as("table"));
        KTable<String, String> mapped = table.mapValues(GoldenNulls::unlessReset);
        mapped.toStream().to("mapped");
        mapped.mapValues(v -> v + "+").toStream().to("mapped-again");
        mapped.filter((k, v) -> v.length() > 1).toStream().to("filtered");
        mapped.filter((k, v) -> v.length() != 1, as("filtered-store")).toStream().to("filtered-too");
        mapped.groupBy((k, v) -> KeyValue.pair(v, k)).count(Materialized.as("counts"))
            .toStream().mapValues(GoldenNulls::text).to("counted");
        KTable<String, String> stored = table.mapValues(GoldenNulls::unlessReset, as("mapped-store"));
        stored.toStream().to("mapped-too");
        stored.groupBy((k, v) -> KeyValue.pair(v, k)).count(Materialized.as("counts-too"))
            .toStream().mapValues(GoldenNulls::text).to("counted-too");
        open("table_map_values", cache, b,
            List.of("mapped", "mapped-again", "filtered", "filtered-too", "counted", "mapped-too", "counted-too"),
            List.of("table", "filtered-store", "counts", "mapped-store", "counts-too"));
        in("k", "ab", 10);
        in("j", "ab", 11);
        in("k", "reset", 5);
        in("k", "reset", 6);
        in("k", "c", 7);
        in("never", "reset", 20);
        in("j", null, 21);
        in("k", "ab", 22);
        close();
    }

    static void groupedTable(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KGroupedTable<String, String> grouped = b.<String, String>table("in", as("table"))
            .groupBy((k, v) -> KeyValue.pair(v.substring(0, 1), v), Grouped.as("by-letter"));
        grouped.aggregate(() -> "0", (k, v, n) -> v.endsWith("!") ? null : plus(n, 1),
            (k, v, n) -> n.equals("1") ? null : plus(n, -1), as("agg")).toStream().to("agg-out");
        grouped.reduce((all, v) -> v.endsWith("!") ? null : all + v,
            (all, v) -> all.equals(v) ? null : all.replace(v, ""), as("reduced")).toStream().to("reduced-out");
        grouped.count(Materialized.as("count")).toStream().mapValues(GoldenNulls::text).to("count-out");
        open("grouped_table", cache, b, List.of("agg-out", "reduced-out", "count-out"),
            List.of("table", "agg", "reduced", "count"));
        in("k", "x1", 10);
        in("j", "x2", 11);
        in("k", null, 12);
        in("j", null, 9);
        in("k", "x1", 8);
        in("k", "x2", 13);
        in("l", "x!", 14);
        in("l", null, 15);
        in("m", "x3", 16);
        in("m", "y3", 17);
        in("m", "y!", 18);
        in("m", "y4", 6);
        close();
    }

    static void toTable(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> mapped = b.<String, String>stream("in").mapValues(GoldenNulls::unlessReset);
        mapped.toTable(as("table")).toStream().to("out");
        mapped.selectKey((k, v) -> k + k).toTable(as("rekeyed")).toStream().to("rekeyed-out");
        open("to_table", cache, b, List.of("out", "rekeyed-out"), List.of("table", "rekeyed"));
        in("k", "a", 10);
        in("k", "reset", 5);
        in("never", "reset", 11);
        in("k", "b", 12);
        in("k", null, 13);
        close();
    }

    /** Does with its store what the record's value says, and forwards the answer and all entries. */
    static class Commands implements Processor<String, String, String, String> {
        private ProcessorContext<String, String> context;
        private KeyValueStore<String, String> store;

        public void init(ProcessorContext<String, String> context) {
            this.context = context;
            store = context.getStateStore("store");
        }

        public void process(Record<String, String> record) {
            String key = record.key();
            String[] words = record.value().split(" ");
            String value = words.length == 1 || words[1].equals("null") ? null : words[1];
            String answer = null;
            switch (words[0]) {
                case "put": store.put(key, value); break;
                case "put_if_absent": answer = store.putIfAbsent(key, value); break;
                case "delete": answer = store.delete(key); break;
                default: answer = store.get(key);
            }
            context.forward(record.withValue(answer + " " + entries(store.all()) + " " + entries(store.range("b", "d"))));
        }

        private static String entries(KeyValueIterator<String, String> entries) {
            StringBuilder all = new StringBuilder("[");
            try (entries) {
                entries.forEachRemaining(kv -> all.append(kv.key).append('=').append(kv.value).append(';'));
            }
            return all.append(']').toString();
        }
    }

    static void processor() {
        StreamsBuilder b = new StreamsBuilder();
        b.addStateStore(Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore("store"), Serdes.String(), Serdes.String()));
        b.<String, String>stream("in").process(Commands::new, "store").to("out");
        open("processor", false, b, List.of("out"), List.of());
        int time = 0;
        for (String command : List.of("put 1", "put null", "get", "put null", "put_if_absent null", "get",
                "put_if_absent 2", "put_if_absent null", "put null", "put_if_absent 3", "delete", "delete", "get")) {
            in("c", command, ++time);
            in("a", "put " + time, ++time);
        }
        close();
    }

    // ---- functions ----

    static String plus(String number, int more) {
        return String.valueOf(Integer.parseInt(number) + more);
    }

    static String unlessReset(String value) {
        return "reset".equals(value) ? null : value;
    }

    static String text(Object value) {
        return value == null ? null : value.toString();
    }

    static Materialized<String, String, KeyValueStore<Bytes, byte[]>> as(String name) {
        return Materialized.as(name);
    }

    // ---- the script ----

    static void open(String name, boolean cache, StreamsBuilder b, List<String> out, List<String> dumped) {
        Properties p = new Properties();
        p.put("application.id", "golden");
        p.put("bootstrap.servers", "unused:1");
        p.put("default.key.serde", Serdes.StringSerde.class);
        p.put("default.value.serde", Serdes.StringSerde.class);
        p.put("statestore.cache.max.bytes", cache ? "10485760" : "0");
        p.put("state.dir", System.getProperty("java.io.tmpdir") + "/golden-" + System.nanoTime());
        driver = new TopologyTestDriver(b.build(), p, java.time.Instant.ofEpochMilli(0));
        outputs = out;
        stores = dumped;
        print("case", name, cache ? "cache" : "no-cache", String.join(",", out));
    }

    static void in(String key, String value, long time) {
        print("in", key, value, time);
        driver.createInputTopic("in", new StringSerializer(), new StringSerializer())
            .pipeInput(new TestRecord<>(key, value, (org.apache.kafka.common.header.Headers) null, time));
        for (String topic : outputs) {
            var out = driver.createOutputTopic(topic, new StringDeserializer(), new StringDeserializer());
            for (TestRecord<String, String> r : out.readRecordsToList()) {
                print("out", topic, r.key(), r.value(), r.timestamp());
            }
        }
    }

    static void close() {
        for (String name : stores) {
            try (KeyValueIterator<Object, ValueAndTimestamp<Object>> all =
                     driver.<Object, Object>getTimestampedKeyValueStore(name).all()) {
                all.forEachRemaining(kv -> print("store", name, kv.key, kv.value.value(), kv.value.timestamp()));
            }
        }
        driver.close();
    }

    static void print(Object... fields) {
        System.out.println(Arrays.stream(fields).map(f -> f == null ? "\\N" : f.toString())
            .collect(Collectors.joining("\t")));
    }
}
