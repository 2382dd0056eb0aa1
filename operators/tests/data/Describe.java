// Prints what describe.rs and change_serde.rs compare with, made by Kafka Streams 4.3.1.
//
// To print it again, with the jars of org.apache.kafka:kafka-streams:4.3.1 and its dependencies
// in JARS:
//
//     javac -cp "JARS/*" -d classes Describe.java
//     java -cp "JARS/*:classes" Describe operators/tests/data

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.kstream.internals.Change;
import org.apache.kafka.streams.kstream.internals.ChangedSerializer;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

public class Describe {
    static <K, V> Materialized<K, V, KeyValueStore<Bytes, byte[]>> store(String name) {
        return Materialized.as(name);
    }

    static StreamsBuilder wordCount() {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("lines")
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((k, word) -> word)
            .count(store("counts"))
            .toStream()
            .to("counts");
        return b;
    }

    static StreamsBuilder table() {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> users = b.table("users", store("users-store"));
        users.filter((k, v) -> !v.isEmpty()).mapValues(v -> v.length()).toStream().to("lengths");
        users.filterNot((k, v) -> v.isEmpty(), Named.as("kept"), store("kept-store"))
            .mapValues(v -> v.length(), Named.as("long"), store("long-store"))
            .toStream(Named.as("changes"))
            .to("changes", Produced.as("changes-sink"));
        return b;
    }

    static StreamsBuilder groupTable() {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> cities = b.table("user-city", Consumed.as("cities-in"), store("cities"));
        KGroupedTable<String, String> byCity =
            cities.groupBy((user, city) -> KeyValue.pair(city, user), Grouped.as("by-city"));
        byCity.count(store("per-city")).toStream().to("per-city");
        byCity.reduce((a, v) -> a + v, (a, v) -> a, store("names")).toStream().to("names");
        cities.groupBy((user, city) -> KeyValue.pair(city.length(), user))
            .aggregate(() -> 0L, (k, v, n) -> n + 1, (k, v, n) -> n - 1, Named.as("lengths"), store("per-length"));
        return b;
    }

    static StreamsBuilder mergeSplit() {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, Long> web = b.stream("web");
        KStream<String, Long> app = b.stream("app", Consumed.as("app-source"));
        KStream<String, Long> all = app.merge(web).peek((k, v) -> { });
        Map<String, KStream<String, Long>> branches = all.split(Named.as("split-"))
            .branch((k, v) -> v < 0, Branched.as("negative"))
            .branch((k, v) -> v > 10)
            .defaultBranch();
        branches.get("split-negative").to("negative");
        branches.get("split-2").filter((k, v) -> true).foreach((k, v) -> { });
        branches.get("split-0").map((k, v) -> KeyValue.pair(v, k)).to((k, v, c) -> "dynamic");
        all.split().branch((k, v) -> v < 1, Branched.withConsumer(s -> s.to("small")));
        return b;
    }

    static class Nothing implements Processor<String, Long, String, Long> {
        public void process(Record<String, Long> record) { }
    }

    static class NothingFixed implements FixedKeyProcessor<String, Long, Long> {
        public void process(FixedKeyRecord<String, Long> record) { }
    }

    static StreamsBuilder repartition() {
        StreamsBuilder b = new StreamsBuilder();
        b.addStateStore(Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("seen"), Serdes.String(), Serdes.Long()));
        b.addStateStore(Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("also"), Serdes.String(), Serdes.Long()));
        KStream<String, Long> wide = b.<String, Long>stream("in")
            .selectKey((k, v) -> k + v)
            .repartition(Repartitioned.as("wide"));
        wide.groupByKey().reduce(Long::sum, store("sums")).toStream().to("sums");
        KStream<String, Long> processed = wide.process(Nothing::new, "seen", "also");
        processed.processValues(NothingFixed::new, Named.as("fixed"), "seen").toTable(Named.as("last-table"), store("last"));
        KStream<String, Long> named = wide.flatMap((k, v) -> List.of(KeyValue.pair(k, v)), Named.as("again"));
        KGroupedStream<String, Long> grouped = named.groupByKey(Grouped.as("shared"));
        grouped.count(Named.as("counting"), store("count"));
        grouped.aggregate(() -> 0L, (k, v, n) -> n + v, store("total"));
        return b;
    }

    /** Several streams on one topic, on one set of topics, and on one pattern. */
    static StreamsBuilder shared() {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, Long> first = b.stream("in", Consumed.as("first"));
        KStream<String, Long> second = b.stream("in", Consumed.as("second"));
        second.filter((k, v) -> v < 0).to("losses");
        first.merge(second).peek((k, v) -> { }).to("all");
        b.<String, Long>stream("in").groupByKey().count(store("counts"));
        b.<String, Long>stream(List.of("a", "b")).to("both");
        b.<String, Long>stream(List.of("b", "a", "b")).filter((k, v) -> true, Named.as("second")).to("both");
        b.<String, Long>stream(Pattern.compile("x-.*")).to("matched");
        b.<String, Long>stream(Pattern.compile("x-.*")).mapValues(v -> v + 1).to("matched");
        return b;
    }

    /** Stores and repartition topics without names. */
    static StreamsBuilder generated() {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, Long> stream = b.stream("in");
        stream.groupByKey().count().toStream().to("counts");
        stream.groupByKey().count(Materialized.with(Serdes.String(), Serdes.Long())).toStream().to("counts-too");
        stream.groupByKey().reduce(Long::sum);
        stream.groupBy((k, v) -> v.toString()).count().toStream().to("by-value");
        stream.groupBy((k, v) -> v.toString(), Grouped.as("group")).aggregate(() -> 0L, (k, v, n) -> n + v);
        stream.map(KeyValue::pair).repartition().to("moved");
        stream.map(KeyValue::pair).repartition(Repartitioned.as("moved")).to("moved");
        return b;
    }

    /** Tables with stores of a name, with stores that an operator needs, and without. */
    static StreamsBuilder tables() {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, Long>table("bare").filter((k, v) -> v > 0).mapValues(v -> v + 1).toStream().to("a");
        KTable<String, Long> needed = b.table("needed");
        needed.filter((k, v) -> v > 0).groupBy((k, v) -> KeyValue.pair(k, v)).count().toStream().to("b");
        b.<String, Long>table("named", store("store")).mapValues(v -> v + 1).toStream().to("c");
        KTable<String, Long> own = b.table("own", Consumed.as("own"));
        own.groupBy((k, v) -> KeyValue.pair(k, v), Grouped.as("shared")).reduce(Long::sum, (a, v) -> a - v);
        KStream<String, Long> stream = b.stream("in");
        stream.toTable().toStream().to("d");
        stream.toTable(store("last")).toStream().to("e");
        stream.map(KeyValue::pair).toTable().toStream().to("f");
        stream.map(KeyValue::pair).toTable(Named.as("moved-table")).groupBy((k, v) -> KeyValue.pair(k, v)).count(store("counts"));
        stream.map(KeyValue::pair).toTable(store("moved")).toStream().to("g");
        return b;
    }

    /** Joins of tables, and of streams with tables. */
    static StreamsBuilder tableJoins() {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, Long> one = b.table("one");
        KTable<String, Long> two = b.table("two");
        ValueJoiner<Long, Long, Long> first = (x, y) -> x;
        KTable<String, Long> sum = one.join(two.filter((k, v) -> v > 0), first);
        sum.toStream().to("sums");
        KTable<String, Long> named = one.leftJoin(sum, first, Named.as("n"), store("stored"));
        named.outerJoin(named, first).toStream().to("itself");
        KStream<String, Long> stream = b.stream("in");
        stream.join(sum, first).to("joined");
        KStream<String, Long> moved = stream.map(KeyValue::pair);
        moved.leftJoin(named, first, Joined.as("asked")).to("asked");
        moved.join(two, first).to("moved");
        moved.leftJoin(one, first).to("moved-too");
        // The store's number comes before those of the nodes.
        one.outerJoin(two, first, Materialized.with(Serdes.String(), Serdes.Long())).toStream().to("stored");
        return b;
    }

    static void print(Path dir, String name, StreamsBuilder builder) throws Exception {
        Files.writeString(dir.resolve("describe_" + name + ".txt"), builder.build().describe().toString());
    }

    static String hex(String newValue, String oldValue) {
        byte[] bytes = new ChangedSerializer<>(new StringSerializer())
            .serialize("t", new RecordHeaders(), new Change<>(newValue, oldValue));
        return HexFormat.of().formatHex(bytes);
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        print(dir, "word_count", wordCount());
        print(dir, "table", table());
        print(dir, "group_table", groupTable());
        print(dir, "merge_split", mergeSplit());
        print(dir, "repartition", repartition());
        print(dir, "shared", shared());
        print(dir, "generated", generated());
        print(dir, "tables", tables());
        print(dir, "table_joins", tableJoins());
        String nines = "9".repeat(200);
        StringBuilder golden = new StringBuilder();
        for (String[] c : new String[][] {
            {"new", null}, {null, "old"}, {"new", "old"}, {"", "old"}, {"new", ""}, {"", null}, {nines, "old"}
        }) {
            golden.append(c[0] == null ? "-" : "'" + c[0] + "'").append(' ')
                .append(c[1] == null ? "-" : "'" + c[1] + "'").append(' ')
                .append(hex(c[0], c[1])).append('\n');
        }
        Files.writeString(dir.resolve("change_serde.txt"), golden.toString());
    }
}
