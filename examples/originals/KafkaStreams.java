// Stands in for Kafka Streams' class of this name, so that the `main` of one of its examples, unchanged,
// hands its topology and its settings over to be run in the TopologyTestDriver. `generate` puts it before
// the jars.
//
// It reads lines of fields that tabs separate from the file that the property `data` names, plays those
// that begin with `in`, and writes the file anew, with what came out behind each of them. The lines:
//
//   in TOPIC KEY VALUE TIME     a record that goes in; a key of \N is null
//   out TOPIC KEY VALUE TIME    what came out after it. What is no printable text stands in hexadecimal
//
// Knows nothing of the examples. Invariant: the same lines `in` give the same file.

package org.apache.kafka.streams;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.test.TestRecord;

public class KafkaStreams {
    private static final String OUTPUT = System.getProperty("output");

    private final Topology topology;
    private final Properties settings;

    public KafkaStreams(Topology topology, Properties settings) {
        this.topology = topology;
        this.settings = settings;
    }

    /** Plays the file, and ends the program: the example would wait for a signal. */
    public void start() {
        Path file = Path.of(System.getProperty("data"));
        settings.put("state.dir", System.getProperty("java.io.tmpdir"));
        List<String> lines = new ArrayList<>();
        try (TopologyTestDriver driver = new TopologyTestDriver(topology, settings)) {
            for (String line : Files.readAllLines(file)) {
                if (line.startsWith("in\t")) {
                    lines.add(line);
                    pipe(driver, line.split("\t"));
                    drain(driver, lines);
                } else if (!line.startsWith("out\t")) {
                    lines.add(line);
                }
            }
            Files.write(file, lines);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        System.exit(0);
    }

    public void close() {
    }

    private static void pipe(TopologyTestDriver driver, String[] fields) {
        String key = fields[2].equals("\\N") ? null : fields[2];
        driver.createInputTopic(fields[1], new StringSerializer(), new StringSerializer())
            .pipeInput(key, fields[3], Long.parseLong(fields[4]));
    }

    private static void drain(TopologyTestDriver driver, List<String> lines) {
        var out = driver.createOutputTopic(OUTPUT, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        for (TestRecord<byte[], byte[]> r : out.readRecordsToList()) {
            lines.add(String.join("\t", "out", OUTPUT, text(r.key()), text(r.value()), r.timestamp().toString()));
        }
    }

    private static String text(byte[] bytes) {
        for (byte b : bytes) {
            if (b < ' ' || b > '~') {
                return HexFormat.of().formatHex(bytes);
            }
        }
        return new String(bytes, StandardCharsets.US_ASCII);
    }
}
