// Runs a topology in Kafka Streams' own TopologyTestDriver with serdes that note which topic they are
// given, and prints what they have noted. tests/serde_topics.rs runs the same and compares.
//
// To print again, with the jars of org.apache.kafka:kafka-streams:4.3.1 and
// org.apache.kafka:kafka-streams-test-utils:4.3.1 in a folder DIR:
//
//     java -cp "DIR/*" SerdeTopics.java > serde_topics.txt

import java.util.*;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.ValueAndTimestamp;

public class SerdeTopics {
    static final Set<String> noted = new TreeSet<>();

    /** Text that notes where it is written and read. */
    static Serde<String> of(String who, String part) {
        return Serdes.serdeFrom(
            new Serializer<String>() {
                public byte[] serialize(String topic, String text) {
                    if (text == null) return null;
                    noted.add(who + " writes the " + part + " of " + topic);
                    return text.getBytes();
                }
            },
            new Deserializer<String>() {
                public String deserialize(String topic, byte[] bytes) {
                    if (bytes == null) return null;
                    noted.add(who + " reads the " + part + " of " + topic);
                    return new String(bytes);
                }
            });
    }

    static Consumed<String, String> consumed(String who) {
        return Consumed.with(of(who, "key"), of(who, "value"));
    }

    static Produced<String, String> produced(String who) {
        return Produced.with(of(who, "key"), of(who, "value"));
    }

    static <S extends org.apache.kafka.streams.processor.StateStore> Materialized<String, String, S>
            stored(Materialized<String, String, S> store) {
        return store.withKeySerde(of("store", "key")).withValueSerde(of("store", "value"));
    }

    static Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(java.util.regex.Pattern.compile("in-.*"), consumed("source"))
            .selectKey((key, value) -> value)
            .repartition(Repartitioned.<String, String>as("wide")
                .withKeySerde(of("repartition", "key")).withValueSerde(of("repartition", "value")))
            .groupByKey(Grouped.with(of("group", "key"), of("group", "value")))
            .reduce((all, value) -> all + value, stored(Materialized.as("sums")))
            .toStream()
            .to((key, value, context) -> "chosen-" + key, produced("chosen"));
        builder.table("table", consumed("source"), stored(Materialized.as("entries")))
            .groupBy((key, value) -> KeyValue.pair(value, key),
                Grouped.with("by-value", of("group", "key"), of("group", "value")))
            .reduce((all, value) -> all + value, (all, value) -> all.replace(value, ""),
                stored(Materialized.<String, String, org.apache.kafka.streams.state.KeyValueStore<
                    org.apache.kafka.common.utils.Bytes, byte[]>>as("per-value")).withLoggingDisabled())
            .toStream()
            .to("out", produced("sink"));
        return builder.build();
    }

    public static void main(String[] args) {
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, "app");
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "unused:1");
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0");
        try (TopologyTestDriver driver = new TopologyTestDriver(topology(), config)) {
            String[][] records = {
                {"in-1", "a", "x"}, {"in-1", "b", "x"}, {"table", "k", "v"}, {"table", "k", "w"},
            };
            for (String[] record : records) {
                driver.createInputTopic(
                        record[0], of("input", "key").serializer(), of("input", "value").serializer())
                    .pipeInput(record[1], record[2], 0L);
            }
            for (String topic : List.of("chosen-x", "out")) {
                driver.createOutputTopic(
                        topic, of("output", "key").deserializer(), of("output", "value").deserializer())
                    .readRecordsToList();
            }
            for (String name : List.of("sums", "entries", "per-value")) {
                try (KeyValueIterator<String, ValueAndTimestamp<String>> all =
                        driver.<String, String>getTimestampedKeyValueStore(name).all()) {
                    all.forEachRemaining(entry -> { });
                }
            }
        }
        noted.forEach(System.out::println);
    }
}
