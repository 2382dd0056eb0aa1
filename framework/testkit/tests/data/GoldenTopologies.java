// Runs small topologies in Kafka Streams' own TopologyTestDriver and prints, per case, what went
// in and what came out. tests/semantics.rs runs the same topologies and compares.
//
// To print again, with the jars of org.apache.kafka:kafka-streams:4.3.1 and
// org.apache.kafka:kafka-streams-test-utils:4.3.1 in a folder DIR:
//
//     java -cp "DIR/*" GoldenTopologies.java > golden_topologies.tsv
//
// Lines are separated by tabs: case name cache outputs; in topic key value time headers; wall by;
// out topic key value time headers; store name key value time. \N is null.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.function.*;
import java.util.stream.Collectors;
import org.apache.kafka.common.header.*;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;
import org.apache.kafka.streams.test.TestRecord;

public class GoldenTopologies {
    static TopologyTestDriver driver;
    static List<String> outputs;
    static List<String> stores;

    public static void main(String[] args) {
        stateless();
        for (boolean cache : new boolean[] {true, false}) {
            wordCount(cache);
            countSameKey(cache);
            aggregate(cache);
            tableSource(cache);
            tableGroupBy(cache);
            tableOperators(cache);
            toTable(cache);
            bareTables(cache);
            generatedStores(cache);
        }
        groupByNullKey();
        reduce();
        mergeAndSplit();
        dynamicTopic();
        punctuation();
    }

    // ---- topologies ----

    static void stateless() {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = b.stream("in");
        in.filter((k, v) -> v == null || v.length() > 1)
            .mapValues(v -> v == null ? "was null" : v.toUpperCase()).to("kept");
        in.filterNot((k, v) -> v == null || v.length() > 1)
            .mapValues((k, v) -> k + "/" + v).to("rest");
        in.flatMapValues(v -> v == null ? Arrays.asList((String) null) : Arrays.asList(v.split(" ")))
            .to("words");
        open("stateless", true, b, List.of("kept", "rest", "words"), List.of());
        in("in", "k", "a bc", 5, "h", "1", "h", "2");
        in("in", "k", "x", 3);
        in("in", null, "yy", 4);
        in("in", "k", null, 6);
        in("in", null, null, 7);
        in("in", "", "", 8);
        close();
    }

    static void wordCount(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("lines")
            .flatMapValues(v -> Arrays.asList(v.toLowerCase().split(" ")))
            .groupBy((k, v) -> v)
            .count(Materialized.as("counts"))
            .toStream().mapValues(GoldenTopologies::text).to("out");
        open("word_count", cache, b, List.of("out"), List.of("counts"));
        in("lines", null, "to be or not to be", 10);
        in("lines", "k", "be", 5, "trace", "x");
        in("lines", "k", "or", 20, "trace", "y");
        close();
    }

    static void countSameKey(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("in")
            .flatMapValues(v -> v == null ? Arrays.asList((String) null) : Arrays.asList(v.split(" ")))
            .groupByKey()
            .count(Materialized.as("counts"))
            .toStream().mapValues(GoldenTopologies::text).to("out");
        open("count_same_key", cache, b, List.of("out"), List.of("counts"));
        in("in", "a", "x y z", 10, "h", "1");
        in("in", "a", null, 99);
        in("in", null, "x", 98);
        in("in", "a", "x", 5, "h", "2");
        in("in", "b", "x x", 7);
        close();
    }

    static void aggregate(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("in")
            .groupByKey()
            .aggregate(() -> "", (k, v, agg) -> agg + v,
                Materialized.<String, String, KeyValueStore<org.apache.kafka.common.utils.Bytes, byte[]>>as("agg"))
            .toStream().to("out");
        open("aggregate", cache, b, List.of("out"), List.of("agg"));
        in("in", "a", "1", 10);
        in("in", "a", "2", 5);
        in("in", "b", "1", 7);
        in("in", null, "1", 8);
        in("in", "a", null, 9);
        in("in", "a", "3", 4);
        close();
    }

    static void tableSource(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>table("in", Materialized.as("table")).toStream().to("out");
        open("table_source", cache, b, List.of("out"), List.of("table"));
        in("in", "a", "1", 10);
        in("in", "a", "1", 11);
        in("in", "a", "2", 5);
        in("in", null, "x", 12);
        in("in", "a", null, 13);
        in("in", "a", null, 14);
        in("in", "b", null, 15);
        in("in", "b", "9", 1, "h", "1");
        close();
    }

    static void tableGroupBy(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = b.table("in", Materialized.as("table"));
        KGroupedTable<String, String> grouped = table.groupBy((k, v) -> KeyValue.pair(v, k), Grouped.as("by-value"));
        grouped.aggregate(() -> "", (k, v, agg) -> agg + "+" + v, (k, v, agg) -> agg + "-" + v,
                Materialized.<String, String, KeyValueStore<org.apache.kafka.common.utils.Bytes, byte[]>>as("agg"))
            .toStream().to("agg");
        grouped.count(Materialized.as("count")).toStream().mapValues(GoldenTopologies::text).to("count");
        open("table_group_by", cache, b, List.of("agg", "count"), List.of("table", "agg", "count"));
        in("in", "a", "x", 10);
        in("in", "b", "x", 11);
        in("in", "a", "y", 12);
        in("in", "a", "y", 9);
        in("in", "b", null, 20);
        in("in", "c", null, 21);
        close();
    }

    static void tableOperators(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = b.table("in", Materialized.as("table"));
        table.filter((k, v) -> v.length() > 1).toStream().to("filtered");
        table.filterNot((k, v) -> v.length() > 1).toStream().to("filtered-not");
        table.mapValues(v -> v + v).toStream().to("mapped");
        table.filter((k, v) -> v.length() > 1, Materialized.as("long")).toStream().to("filtered-stored");
        open("table_operators", cache, b, List.of("filtered", "filtered-not", "filtered-stored", "mapped"),
            List.of("table", "long"));
        in("in", "a", "x", 1);
        in("in", "a", "xx", 2);
        in("in", "a", "y", 3);
        in("in", "a", null, 4);
        in("in", "b", null, 5);
        in("in", "b", "zz", 6);
        close();
    }

    /** Tables without a store, and with one because an operator needs it. */
    static void bareTables(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = b.table("in");
        table.toStream().to("all");
        table.filter((k, v) -> v.length() > 1).toStream().to("filtered");
        table.filterNot((k, v) -> v.length() > 1).mapValues(v -> v + v).toStream().to("mapped");
        KTable<String, String> needed = b.table("other");
        needed.filter((k, v) -> v.length() > 1).toStream().to("other-filtered");
        needed.filter((k, v) -> v.length() > 1).groupBy((k, v) -> KeyValue.pair(v, k)).count()
            .toStream().mapValues(n -> n == null ? null : n.toString()).to("counts");
        needed.filter((k, v) -> v.length() > 1).toStream().to("filtered-later");
        b.<String, String>stream("stream").toTable().filter((k, v) -> v.length() > 1).toStream().to("last");
        open("bare_tables", cache, b,
            List.of("all", "filtered", "mapped", "other-filtered", "counts", "filtered-later", "last"),
            List.of("other-STATE-STORE-0000000012"));
        for (String topic : List.of("in", "other", "stream")) {
            in(topic, "a", "x", 1);
            in(topic, "a", "xx", 2);
            in(topic, "a", "xxx", 3);
            in(topic, null, "xx", 3);
            in(topic, "a", "y", 4);
            in(topic, "b", null, 5);
            in(topic, "b", "zz", 6);
            in(topic, "b", null, 7);
        }
        close();
    }

    /** Aggregations whose stores have generated names. */
    static void generatedStores(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KGroupedStream<String, String> grouped = b.<String, String>stream("in").groupBy((k, v) -> v);
        grouped.count().toStream().mapValues(n -> n == null ? null : n.toString()).to("counts");
        grouped.reduce((a, v) -> a + v).toStream().to("reduced");
        open("generated_stores", cache, b, List.of("counts", "reduced"),
            List.of("KSTREAM-REDUCE-STATE-STORE-0000000010"));
        in("in", "a", "x", 1);
        in("in", "b", "x", 2);
        in("in", "b", "y", 2);
        close();
    }

    static void toTable(boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("in").mapValues(v -> v == null ? null : v + "!")
            .toTable(Materialized.as("table")).toStream().to("out");
        open("to_table", cache, b, List.of("out"), List.of("table"));
        in("in", "a", "1", 10);
        in("in", "a", "2", 5);
        in("in", null, "2", 6);
        in("in", "a", null, 20);
        in("in", "b", null, 21);
        close();
    }

    static void groupByNullKey() {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("in")
            .groupBy((k, v) -> "none".equals(v) ? null : v)
            .count(Materialized.as("counts"))
            .toStream().mapValues(GoldenTopologies::text).to("out");
        open("group_by_null_key", true, b, List.of("out"), List.of("counts"));
        in("in", "a", "none", 1);
        in("in", "a", "one", 2);
        in("in", null, "one", 3);
        in("in", "b", null, 4);
        close();
    }

    static void reduce() {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("in")
            .selectKey((k, v) -> v.substring(0, 1))
            .groupByKey()
            .reduce((a, c) -> a + "," + c, Materialized.as("reduced"))
            .toStream().to("out");
        open("reduce", true, b, List.of("out"), List.of("reduced"));
        in("in", "k", "apple", 10);
        in("in", "k", "bee", 11);
        in("in", null, "ant", 5);
        close();
    }

    static void mergeAndSplit() {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> one = b.stream("one");
        KStream<String, String> two = b.stream("two");
        Map<String, KStream<String, String>> branches = one.mapValues(v -> "1:" + v).merge(two)
            .split(Named.as("br-"))
            .branch((k, v) -> v.endsWith("a"), Branched.as("a"))
            .branch((k, v) -> v.startsWith("1"), Branched.as("first"))
            .defaultBranch(Branched.as("rest"));
        branches.get("br-a").to("a");
        branches.get("br-first").to("first");
        branches.get("br-rest").to("rest");
        open("merge_and_split", true, b, List.of("a", "first", "rest"), List.of());
        in("one", "k", "a", 10);
        in("two", "k", "a", 9);
        in("one", null, "b", 11);
        in("two", "k", "c", 8, "h", "1");
        close();
    }

    static void dynamicTopic() {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("in").to((k, v, ctx) -> v.startsWith("-") ? "bad" : "good");
        open("dynamic_topic", true, b, List.of("bad", "good"), List.of());
        in("in", "k", "1", 1);
        in("in", "k", "-1", 2);
        close();
    }

    /** Counts per key in a store; forwards all counts on both clocks, and each record's key. */
    static class Counter implements Processor<String, String, String, String> {
        private ProcessorContext<String, String> context;
        private KeyValueStore<String, String> store;

        public void init(ProcessorContext<String, String> context) {
            this.context = context;
            store = context.getStateStore("seen");
            context.schedule(Duration.ofMillis(10), PunctuationType.STREAM_TIME, t -> tell("stream", t));
            context.schedule(Duration.ofMillis(100), PunctuationType.WALL_CLOCK_TIME, t -> tell("wall", t));
        }

        private void tell(String clock, long time) {
            try (KeyValueIterator<String, String> all = store.all()) {
                all.forEachRemaining(kv -> context.forward(new Record<>(kv.key, clock + kv.value, time)));
            }
        }

        public void process(Record<String, String> record) {
            String old = store.get(record.key());
            store.put(record.key(), (old == null ? "" : old) + record.value());
            context.forward(record.withValue("got" + record.value()));
        }
    }

    static void punctuation() {
        StreamsBuilder b = new StreamsBuilder();
        b.addStateStore(Stores.keyValueStoreBuilder(
            Stores.inMemoryKeyValueStore("seen"), Serdes.String(), Serdes.String()));
        b.<String, String>stream("in").process(Counter::new, "seen").to("out");
        open("punctuation", true, b, List.of("out"), List.of());
        in("in", "a", "1", 0);
        in("in", "b", "2", 9, "h", "1");
        wall(99);
        in("in", "a", "3", 35);
        wall(1);
        in("in", "a", "4", 12);
        in("in", "c", "5", 40);
        wall(250);
        wall(10);
        wall(40);
        close();
    }

    // ---- the script ----

    static String text(Object value) {
        return value == null ? null : value.toString();
    }

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

    static void in(String topic, String key, String value, long time, String... headers) {
        RecordHeaders h = new RecordHeaders();
        for (int i = 0; i < headers.length; i += 2) {
            h.add(headers[i], headers[i + 1].getBytes(StandardCharsets.UTF_8));
        }
        print("in", topic, key, value, time, text(h));
        driver.createInputTopic(topic, new StringSerializer(), new StringSerializer())
            .pipeInput(new TestRecord<>(key, value, h, time));
        drain();
    }

    static void wall(long by) {
        print("wall", by);
        driver.advanceWallClockTime(Duration.ofMillis(by));
        drain();
    }

    static void drain() {
        for (String topic : outputs) {
            var out = driver.createOutputTopic(topic, new StringDeserializer(), new StringDeserializer());
            for (TestRecord<String, String> r : out.readRecordsToList()) {
                print("out", topic, r.key(), r.value(), r.timestamp(), text(r.headers()));
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

    static String text(Headers headers) {
        return Arrays.stream(headers.toArray())
            .map(h -> h.key() + "=" + new String(h.value(), StandardCharsets.UTF_8))
            .collect(Collectors.joining(","));
    }

    static void print(Object... fields) {
        System.out.println(Arrays.stream(fields).map(f -> f == null ? "\\N" : f.toString())
            .collect(Collectors.joining("\t")));
    }
}
