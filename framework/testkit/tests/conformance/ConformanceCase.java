// One case: it pipes inputs through a topology in Kafka Streams' TopologyTestDriver and prints what
// went in and what came out.
//
// Knows the driver and the format; not which topologies there are. Invariants: what is printed
// depends on nothing but the topology, the settings and the inputs; a case leaves no state behind.
//
// The format: lines of fields that tabs separate. \N is null. It is that of the golden files in
// ../data, with the lines and columns marked + beside them.
//
// + conformance FORMAT KAFKA GROUP SEED    the first line of a group
//   case NAME cache|no-cache OUTPUTS       begins a case. OUTPUTS: topics, separated by commas;
//                                          + TOPIC:FORM says how its keys are printed (below)
// + option NAME VALUE                      a parameter of the case's topology, or a setting
//   in TOPIC KEY VALUE TIME HEADERS        a record goes in; HEADERS: k=v, separated by commas
//   wall MS                                the wall clock goes on by so much
// + commit                                 what went in since the last line `commit` is committed, and
//                                          nothing is committed at another time (ConformanceBroker)
//   out TOPIC KEY VALUE TIME HEADERS       what came out after the last in, wall or commit: topic by topic
//                                          in the order of OUTPUTS, and in order within a topic
// + error CLASS CAUSE                      the last in or wall failed with this; the case ends here
//   store NAME KEY VALUE TIME              what a store held at the end. + Windowed keys are printed
//                                          as below, and sorted by key, start and end; TIME is \N
//                                          in a store that keeps none
// + dropped N                              the task's metric dropped-records-total at the end
// + describe LINE                          a line of Topology.describe()
// + topic NAME KIND CONFIGS                an internal topic, repartition or changelog, with what
//                                          Kafka Streams sets for it: k=v, separated by commas (a +
//                                          stands for a comma within a value)
// + refused CLASS MESSAGE                  what building the topology threw; or built, if nothing
//
// FORMs of keys: none is text. hex prints the bytes of key and value as they are. time=SIZE reads
// time-windowed keys of windows of that size, and session those of sessions; they are printed as
// Windowed.toString does, [KEY@START/END].

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.*;
import java.util.stream.Collectors;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.SessionWindowedDeserializer;
import org.apache.kafka.streams.kstream.TimeWindowedDeserializer;
import org.apache.kafka.streams.test.TestRecord;

final class ConformanceCase {
    /** Where the cases of a group are printed, and the seed of their inputs. */
    static final class Group {
        private final PrintStream out;
        final long seed;

        Group(PrintStream out, long seed) {
            this.out = out;
            this.seed = seed;
        }

        ConformanceCase named(String name, boolean cache) {
            return new ConformanceCase(this, name, cache);
        }

        void line(Object... fields) {
            out.print(Arrays.stream(fields).map(f -> f == null ? "\\N" : f.toString())
                .collect(Collectors.joining("\t")) + "\n");
        }
    }

    private final Group group;
    private final String name;
    private final boolean cache;
    private final Map<String, String> outputs = new LinkedHashMap<>();
    private final List<String> stores = new ArrayList<>();
    private final Map<String, Object> options = new LinkedHashMap<>();
    private final Properties settings = new Properties();
    private boolean mayFail;
    private String inputsOf;
    private TopologyTestDriver driver;

    private ConformanceCase(Group group, String name, boolean cache) {
        this.group = group;
        this.name = name;
        this.inputsOf = name;
        this.cache = cache;
    }

    ConformanceCase out(String topic) {
        return out(topic, "");
    }

    ConformanceCase out(String topic, String form) {
        outputs.put(topic, form);
        return this;
    }

    ConformanceCase store(String... names) {
        stores.addAll(List.of(names));
        return this;
    }

    /** A parameter of the topology, for the reader. */
    ConformanceCase option(String key, Object value) {
        options.put(key, value);
        return this;
    }

    /** A setting of Kafka Streams. */
    ConformanceCase setting(String key, Object value) {
        settings.put(key, value);
        return option(key, value);
    }

    /** Takes the inputs of another case, so that the two can be compared. */
    ConformanceCase inputsOf(String name) {
        inputsOf = name;
        return this;
    }

    /** The driver may throw: the case is printed up to there. */
    ConformanceCase mayFail() {
        mayFail = true;
        return this;
    }

    void run(StreamsBuilder builder, ConformanceInputs inputs) {
        run(builder.build(), inputs);
    }

    void run(Topology topology, ConformanceInputs inputs) {
        group.line("case", name, cache ? "cache" : "no-cache", outputs.entrySet().stream()
            .map(o -> o.getValue().isEmpty() ? o.getKey() : o.getKey() + ":" + o.getValue())
            .collect(Collectors.joining(",")));
        options.forEach((key, value) -> group.line("option", key, value));
        // The wall clock begins at 1970, so that a time on the wall is what `wall` lines add up to.
        driver = new TopologyTestDriver(topology, settings(cache, settings), Instant.ofEpochMilli(0));
        boolean failed = false;
        try {
            // The same inputs with and without a cache.
            for (ConformanceInputs.Step step : inputs.make(group.seed, inputsOf)) {
                failed = !pipe(step);
                if (failed) {
                    break;
                }
            }
            if (!failed) {
                stores.forEach(store -> ConformanceDump.store(group, driver, store));
                group.line("dropped", dropped());
            }
        } finally {
            try {
                driver.close();
            } catch (RuntimeException e) {
                if (!failed) {
                    throw e;
                }
            }
        }
    }

    static Properties settings(boolean cache, Properties more) {
        Properties p = new Properties();
        p.put("application.id", "golden");
        p.put("bootstrap.servers", "unused:1");
        p.put("default.key.serde", Serdes.StringSerde.class);
        p.put("default.value.serde", Serdes.StringSerde.class);
        p.put("statestore.cache.max.bytes", cache ? "10485760" : "0");
        p.put("state.dir", Path.of(System.getProperty("conformance.state", System.getProperty("java.io.tmpdir")),
            "case-" + System.nanoTime()).toString());
        p.putAll(more);
        return p;
    }

    /** Whether the step went well. An error that the case does not foresee is one of the generator. */
    private boolean pipe(ConformanceInputs.Step step) {
        RuntimeException error = null;
        if (step.isWall()) {
            group.line("wall", step.time());
        } else {
            group.line("in", step.topic(), step.key(), step.value(), step.time(),
                String.join(",", step.headers()));
        }
        try {
            if (step.isWall()) {
                driver.advanceWallClockTime(ConformanceTopologies.ms(step.time()));
            } else {
                driver.createInputTopic(step.topic(), new StringSerializer(), new StringSerializer())
                    .pipeInput(new TestRecord<>(step.key(), step.value(), headers(step.headers()), step.time()));
            }
        } catch (RuntimeException e) {
            error = e;
        }
        outputs.forEach(this::drain);
        if (error != null && !mayFail) {
            throw new IllegalStateException("case " + name + " failed at " + step, error);
        }
        if (error != null) {
            Throwable cause = error.getCause();
            group.line("error", error.getClass().getName(), cause == null ? null : cause.getClass().getName());
        }
        return error == null;
    }

    static RecordHeaders headers(List<String> pairs) {
        RecordHeaders headers = new RecordHeaders();
        for (String pair : pairs) {
            String[] parts = pair.split("=", 2);
            headers.add(parts[0], parts[1].getBytes(StandardCharsets.UTF_8));
        }
        return headers;
    }

    private void drain(String topic, String form) {
        var out = driver.createOutputTopic(topic, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        for (TestRecord<byte[], byte[]> r : out.readRecordsToList()) {
            boolean hex = form.equals("hex");
            group.line("out", topic, hex ? hex(r.key()) : key(topic, form, r.key()),
                hex ? hex(r.value()) : string(r.value()), r.timestamp(), text(r.headers()));
        }
    }

    static String key(String topic, String form, byte[] key) {
        if (key == null || form.isEmpty()) {
            return string(key);
        }
        StringDeserializer inner = new StringDeserializer();
        if (form.equals("session")) {
            return new SessionWindowedDeserializer<>(inner).deserialize(topic, key).toString();
        }
        long size = Long.parseLong(form.substring("time=".length()));
        return new TimeWindowedDeserializer<>(inner, size).deserialize(topic, key).toString();
    }

    static String string(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? null : HexFormat.of().formatHex(bytes);
    }

    static String text(Headers headers) {
        List<String> all = new ArrayList<>();
        for (Header h : headers) {
            all.add(h.key() + "=" + (h.value() == null ? "\\N" : string(h.value())));
        }
        return String.join(",", all);
    }

    private long dropped() {
        double all = 0;
        for (var metric : driver.metrics().entrySet()) {
            if (metric.getKey().name().equals("dropped-records-total")
                    && metric.getKey().group().equals("stream-task-metrics")) {
                all += (Double) metric.getValue().metricValue();
            }
        }
        return (long) all;
    }
}
