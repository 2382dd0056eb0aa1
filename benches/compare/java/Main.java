import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * The jobs of the comparison on Kafka Streams, as its own documentation would write them: one
 * stream thread, a commit every 100 ms, RocksDB stores, and every other setting at its default.
 *
 * <p>Runs until SIGTERM, or until standard input ends with the parent. An exception in the stream thread ends the process with code 1.
 */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i], args[i + 1]);
        }
        KafkaStreams streams = new KafkaStreams(topology(options), config(options));
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
        });
        Runtime.getRuntime().addShutdownHook(
            new Thread(() -> streams.close(Duration.ofSeconds(20))));
        Thread parent = new Thread(Main::awaitEndOfParent);
        parent.setDaemon(true);
        parent.start();
        streams.start();
    }

    /** The parent holds standard input open and writes nothing to it. */
    private static void awaitEndOfParent() {
        try {
            System.in.transferTo(OutputStream.nullOutputStream());
        } catch (IOException gone) {
            // The same news.
        }
        System.exit(1);
    }

    private static Properties config(Map<String, String> options) {
        String guarantee = switch (options.get("--guarantee")) {
            case "exactly_once" -> StreamsConfig.EXACTLY_ONCE_V2;
            case "at_least_once" -> StreamsConfig.AT_LEAST_ONCE;
            default -> throw new IllegalArgumentException("--guarantee");
        };
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, options.get("--application-id"));
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.get("--bootstrap-servers"));
        config.put(StreamsConfig.STATE_DIR_CONFIG, options.get("--state-dir"));
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, guarantee);
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        return config;
    }

    private static Topology topology(Map<String, String> options) {
        String input = options.get("--input");
        String output = options.get("--output");
        StreamsBuilder builder = new StreamsBuilder();
        switch (options.get("--job")) {
            case "map" -> builder
                .stream(input, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .mapValues(Main::upperCase)
                .to(output, Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
            case "count" -> builder
                .stream(input, Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .groupByKey()
                .count(Materialized.as("counts"))
                .toStream()
                .to(output, Produced.with(Serdes.String(), Serdes.Long()));
            case "wordcount" -> {
                KStream<byte[], String> lines =
                    builder.stream(input, Consumed.with(Serdes.ByteArray(), Serdes.String()));
                lines
                    .flatMapValues(line -> words(line))
                    .groupBy(
                        (key, word) -> word,
                        Grouped.with("counts", Serdes.String(), Serdes.String()))
                    .count(Materialized.as("counts"))
                    .toStream()
                    .to(output, Produced.with(Serdes.String(), Serdes.Long()));
            }
            case "windowcount" -> builder
                .stream(input, Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .groupByKey()
                .windowedBy(TimeWindows.ofSizeWithNoGrace(Duration.ofMinutes(1)))
                .count(Materialized.as("counts"))
                .toStream()
                .to(output, Produced.with(
                    WindowedSerdes.timeWindowedSerdeFrom(String.class, 60_000), Serdes.Long()));
            case "streamjoin" -> {
                KStream<String, byte[]> all =
                    builder.stream(input, Consumed.with(Serdes.String(), Serdes.ByteArray()));
                marked(all, 'L')
                    .join(
                        marked(all, 'R'),
                        Main::halves,
                        JoinWindows.ofTimeDifferenceWithNoGrace(Duration.ofMinutes(1)),
                        StreamJoined.with(Serdes.String(), Serdes.ByteArray(), Serdes.ByteArray()))
                    .to(output, Produced.with(Serdes.String(), Serdes.ByteArray()));
            }
            case "tablejoin" -> {
                KStream<String, byte[]> all =
                    builder.stream(input, Consumed.with(Serdes.String(), Serdes.ByteArray()));
                KTable<String, byte[]> table = marked(all, 'R').toTable(Materialized
                    .<String, byte[], KeyValueStore<Bytes, byte[]>>as("table")
                    .withKeySerde(Serdes.String())
                    .withValueSerde(Serdes.ByteArray()));
                marked(all, 'L')
                    .join(table, Main::halves)
                    .to(output, Produced.with(Serdes.String(), Serdes.ByteArray()));
            }
            default -> throw new IllegalArgumentException("--job");
        }
        return builder.build();
    }

    private static KStream<String, byte[]> marked(KStream<String, byte[]> all, char mark) {
        return all.filter((key, value) -> value[0] == mark);
    }

    /** The first halves of two values. */
    private static byte[] halves(byte[] left, byte[] right) {
        byte[] both = Arrays.copyOf(left, left.length / 2 + right.length / 2);
        System.arraycopy(right, 0, both, left.length / 2, right.length / 2);
        return both;
    }

    private static List<String> words(String line) {
        return Arrays.asList(line.split("\\s+"));
    }

    private static byte[] upperCase(byte[] value) {
        byte[] upper = value.clone();
        for (int i = 0; i < upper.length; i++) {
            if (upper[i] >= 'a' && upper[i] <= 'z') {
                upper[i] -= 32;
            }
        }
        return upper;
    }
}
