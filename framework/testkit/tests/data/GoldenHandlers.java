// Runs small topologies with exception handlers and a dead-letter topic in Kafka Streams' own
// TopologyTestDriver and prints, per case, what went in and what came out. tests/handlers.rs runs
// the same topologies and compares.
//
// To print again, with the jars of org.apache.kafka:kafka-streams:4.3.1 and
// org.apache.kafka:kafka-streams-test-utils:4.3.1 in a folder DIR:
//
//     java -cp "DIR/*" GoldenHandlers.java > golden_handlers.tsv
//
// Lines are separated by tabs: case name outputs; in topic key value time headers; wall by;
// out topic key value time headers. \N is null. What cannot be the same in another language is *:
// the names of errors, stack traces, and what serdes say.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.*;
import java.util.stream.Collectors;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.header.*;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.errors.*;
import org.apache.kafka.streams.errors.internals.ExceptionHandlerUtils;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.test.TestRecord;

public class GoldenHandlers {
    static TopologyTestDriver driver;
    static List<String> outputs;

    public static void main(String[] args) {
        deserialization();
        processing();
        forwarded();
        afterRepartition();
        punctuation();
        serialization();
        severalInputs();
    }

    // ---- topologies ----

    static String checked(String v) {
        if (v != null && v.startsWith("bad")) {
            throw new IllegalStateException("refused: " + v);
        }
        return v;
    }

    static void deserialization() {
        StreamsBuilder b = new StreamsBuilder();
        b.stream("in", Consumed.with(Serdes.String(), Serdes.Long())).mapValues(v -> "" + v).to("out");
        open("deserialization", b, "out", "dlq");
        in("in", "k", "8 bytes!", 5);
        in("in", "k", "bad", 6, "h", "1", "h", "2");
        in("in", null, "bad", 7);
        in("in", "", "", 8);
        in("in", "k", "8 bytes?", 4, "h", "3");
        close();
    }

    static void processing() {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = b.stream("in");
        in.mapValues(GoldenHandlers::checked).to("out");
        in.filter((k, v) -> !checked(v).isEmpty()).to("kept");
        in.map((k, v) -> KeyValue.pair(v, checked(k))).to("swapped");
        in.flatMapValues(v -> Arrays.asList(checked(v).split(" "))).to("words");
        open("processing", b, "out", "kept", "swapped", "words", "dlq");
        in("in", "k", "bad x", 6, "h", "1");
        in("in", null, "bad y", 7);
        close();
    }

    /** Forwards a good copy, a copy with another time and another header, and a good one again. */
    static class Thrice implements Processor<String, String, String, String> {
        ProcessorContext<String, String> context;

        public void init(ProcessorContext<String, String> context) {
            this.context = context;
        }

        public void process(Record<String, String> r) {
            Headers more = new RecordHeaders(r.headers()).add("more", "2".getBytes());
            context.forward(r.withValue("bad child").withTimestamp(r.timestamp() + 100).withHeaders(more));
            context.forward(r.withValue("good"));
            checked(r.value());
        }
    }

    static void forwarded() {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("in").process(Thrice::new).mapValues(GoldenHandlers::checked).to("out");
        open("forwarded", b, "out", "dlq");
        in("in", "k", "fine", 6, "h", "1");
        close();
    }

    static void afterRepartition() {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("in").selectKey((k, v) -> "new").repartition(Repartitioned.as("mid"))
            .mapValues(GoldenHandlers::checked).to("out");
        open("after_repartition", b, "out", "dlq");
        in("in", "k", "fine", 5);
        in("in", "k", "bad", 6, "h", "1");
        close();
    }

    static class Ticking implements Processor<String, String, String, String> {
        public void init(ProcessorContext<String, String> context) {
            context.schedule(Duration.ofMillis(10), PunctuationType.WALL_CLOCK_TIME, at -> checked("bad tick"));
        }

        public void process(Record<String, String> r) { }
    }

    static void punctuation() {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("in").process(Ticking::new).to("out");
        open("punctuation", b, "out", "dlq");
        in("in", "k", "fine", 5, "h", "1");
        wall(10);
        close();
    }

    static class Picky extends StringSerializer {
        public byte[] serialize(String topic, String v) {
            if (v != null && v.startsWith("bad")) {
                throw new SerializationException(v);
            }
            return super.serialize(topic, v);
        }
    }

    static void serialization() {
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream("in")
            .to("out", Produced.with(Serdes.String(), Serdes.serdeFrom(new Picky(), new StringDeserializer())));
        open("serialization", b, "out", "dlq");
        in("in", "k", "fine", 5);
        in("in", "k", "bad", 6, "h", "1");
        in("in", "k", "fine again", 7);
        close();
    }

    static void severalInputs() {
        StreamsBuilder b = new StreamsBuilder();
        b.stream(List.of("one", "two"), Consumed.with(Serdes.String(), Serdes.Long()))
            .mapValues(v -> checked(v == 7017280452245743464L ? "bad" : "" + v)).to("out");
        open("several_inputs", b, "out", "dlq");
        in("one", "k", "8 bytes!", 5);
        in("two", "k", "bad", 6, "h", "1");
        in("one", "k", "abcdefgh", 7, "h", "2");
        in("two", "k", "8 bytes?", 8);
        close();
    }

    // ---- the machinery ----

    /** The dead letter of the default handler, which fails; this one goes on. */
    public static class Continue extends DefaultProductionExceptionHandler {
        public Response handleSerializationError(ErrorHandlerContext c, ProducerRecord r, Exception e,
                                                 SerializationExceptionOrigin o) {
            return Response.resume(ExceptionHandlerUtils.maybeBuildDeadLetterQueueRecords(
                "dlq", c.sourceRawKey(), c.sourceRawValue(), c, e));
        }
    }

    static void open(String name, StreamsBuilder b, String... out) {
        Properties p = new Properties();
        p.put("application.id", "golden");
        p.put("bootstrap.servers", "unused:1");
        p.put("default.key.serde", Serdes.StringSerde.class);
        p.put("default.value.serde", Serdes.StringSerde.class);
        p.put("deserialization.exception.handler", LogAndContinueExceptionHandler.class);
        p.put("processing.exception.handler", LogAndContinueProcessingExceptionHandler.class);
        p.put("production.exception.handler", Continue.class);
        p.put("errors.dead.letter.queue.topic.name", "dlq");
        p.put("state.dir", System.getProperty("java.io.tmpdir") + "/golden-" + System.nanoTime());
        driver = new TopologyTestDriver(b.build(), p, Instant.ofEpochMilli(0));
        outputs = List.of(out);
        print("case", name, String.join(",", out));
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
        driver.close();
    }

    static String text(Headers headers) {
        Header exception = headers.lastHeader("__streams.errors.exception");
        boolean serde = exception != null && new String(exception.value()).endsWith("SerializationException");
        return Arrays.stream(headers.toArray())
            .map(h -> h.key() + "=" + switch (h.key()) {
                case "__streams.errors.exception", "__streams.errors.stacktrace" -> "*";
                case "__streams.errors.message" -> serde ? "*" : new String(h.value());
                default -> h.value() == null ? "\\N" : new String(h.value(), StandardCharsets.UTF_8);
            })
            .collect(Collectors.joining(","));
    }

    static void print(Object... fields) {
        System.out.println(Arrays.stream(fields).map(f -> f == null ? "\\N" : f.toString())
            .collect(Collectors.joining("\t")));
    }
}
