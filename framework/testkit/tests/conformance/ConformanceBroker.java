// Cases that run in KafkaStreams itself, on a broker. A case's inputs go in in batches. When all of a batch
// is processed the application is asked to commit; the commit interval is longer than the run, so that it
// commits at no other time.
//
// Knows the clients and the format of ConformanceCase.java; not which topologies there are. Invariants:
// what is printed depends on nothing but the topology and the inputs; a case has its own topics.

import java.io.IOException;
import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

final class ConformanceBroker {
    /** How many records go in before each commit; of those that are left, all. The last ones commit what
     *  came out of repartition topics. */
    private static final int[] BATCHES = {1, 4, 10, 16, 0, 20, Integer.MAX_VALUE, 0, 0};
    /** Longer than any run, and no longer than brokers let a transaction be. */
    private static final int NEVER_MS = 800_000;
    private static final long DEADLINE_MS = 120_000;

    private final ConformanceCase.Group group;
    private final List<Case> cases = new ArrayList<>();

    ConformanceBroker(ConformanceCase.Group group) {
        this.group = group;
    }

    Case named(String name) {
        return new Case(name);
    }

    /** Runs all cases, beside each other, because a start takes its time. */
    void run() {
        Path folder = Path.of(System.getProperty("conformance.state", System.getProperty("java.io.tmpdir")),
            "broker-" + System.nanoTime());
        try (ConformanceKafka kafka = new ConformanceKafka(folder); Clients clients = new Clients(kafka.address())) {
            try {
                play(clients, folder.resolve("state"));
            } finally {
                cases.forEach(c -> c.end(Duration.ZERO));
                cases.forEach(c -> c.end(Duration.ofMillis(DEADLINE_MS)));
            }
        } catch (IOException | ExecutionException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
        for (Case c : cases) {
            c.lines.forEach(group::line);
        }
    }

    private void play(Clients clients, Path state) throws ExecutionException, InterruptedException {
        for (Case c : cases) {
            clients.create(c.topics);
            c.start(clients.address, state);
        }
        for (int size : BATCHES) {
            for (Case c : cases) {
                c.write(clients, size);
            }
            for (Case c : cases) {
                c.commit(clients);
            }
            for (Case c : cases) {
                c.read(clients);
            }
        }
    }

    /** One case; what it prints is kept until all have run. */
    final class Case {
        private final String name;
        private final Map<String, String> outputs = new LinkedHashMap<>();
        private final Map<String, Object> options = new LinkedHashMap<>();
        private final Set<String> topics = new LinkedHashSet<>();
        private final List<Object[]> lines = new ArrayList<>();
        private String repartition;
        private Topology topology;
        private Iterator<ConformanceInputs.Step> steps;
        private KafkaStreams streams;
        /** How many records are to be processed, from the beginning. */
        private long records;
        /** How many of them ask for a commit. */
        private long commits;

        private Case(String name) {
            this.name = name;
        }

        Case out(String topic) {
            return out(topic, "");
        }

        Case out(String topic, String form) {
            outputs.put(topic, form);
            return this;
        }

        Case option(String key, Object value) {
            options.put(key, value);
            return this;
        }

        /** What a commit writes to this repartition topic is processed behind it. */
        Case passes(String topic) {
            repartition = name + "-" + topic;
            return this;
        }

        /** The name that a topic has on the broker. */
        String topic(String topic) {
            String full = name + "." + topic;
            topics.add(full);
            return full;
        }

        void run(StreamsBuilder builder, ConformanceInputs inputs) {
            builder.stream(topic("commit")).process(Committing::new);
            topology = builder.build();
            steps = inputs.make(group.seed, name).iterator();
            lines.add(new Object[] {"case", name, "cache", outputs.entrySet().stream()
                .map(o -> o.getValue().isEmpty() ? o.getKey() : o.getKey() + ":" + o.getValue())
                .collect(Collectors.joining(","))});
            options.forEach((key, value) -> lines.add(new Object[] {"option", key, value}));
            cases.add(this);
        }

        private void start(String address, Path state) {
            Properties p = ConformanceCase.settings(true, new Properties());
            p.put("application.id", name);
            p.put("bootstrap.servers", address);
            p.put("state.dir", state.toString());
            p.put("processing.guarantee", "exactly_once_v2");
            p.put("commit.interval.ms", NEVER_MS);
            p.put("producer.transaction.timeout.ms", NEVER_MS);
            streams = new KafkaStreams(topology, p);
            streams.start();
        }

        private void write(Clients clients, int size) throws ExecutionException, InterruptedException {
            for (int i = 0; i < size && steps.hasNext(); i++) {
                ConformanceInputs.Step s = steps.next();
                lines.add(new Object[] {"in", s.topic(), s.key(), s.value(), s.time(), String.join(",", s.headers())});
                clients.write(new ProducerRecord<>(topic(s.topic()), 0, s.time(), s.key(), s.value(),
                    ConformanceCase.headers(s.headers())));
                records++;
            }
        }

        /** Has it commit what is there, and nothing else. */
        private void commit(Clients clients) throws ExecutionException, InterruptedException {
            awaitProcessed();
            if (processed() != records) {
                throw new IllegalStateException(name + " has processed " + processed() + " records, not " + records);
            }
            clients.write(new ProducerRecord<>(topic("commit"), null, "now"));
            commits++;
            records++;
        }

        private void read(Clients clients) throws ExecutionException, InterruptedException {
            awaitProcessed();
            TopicPartition asking = new TopicPartition(topic("commit"), 0);
            await("is committed", () -> clients.position(name, asking) == commits);
            lines.add(new Object[] {"commit"});
            outputs.forEach((topic, form) -> {
                for (ConsumerRecord<byte[], byte[]> r : clients.read(topic(topic))) {
                    lines.add(new Object[] {"out", topic, ConformanceCase.key(topic, form, r.key()),
                        ConformanceCase.string(r.value()), r.timestamp(), ConformanceCase.text(r.headers())});
                }
            });
            if (repartition != null) {
                records += clients.read(repartition).size();
            }
        }

        private void awaitProcessed() throws InterruptedException {
            await("has processed " + records + " records", () -> processed() >= records);
        }

        private void end(Duration timeout) {
            if (streams != null) {
                streams.close(timeout);
            }
        }

        private long processed() {
            double all = 0;
            for (var metric : streams.metrics().entrySet()) {
                if (metric.getKey().name().equals("process-total")
                        && metric.getKey().group().equals("stream-thread-metrics")) {
                    all += (Double) metric.getValue().metricValue();
                }
            }
            return Math.round(all);
        }

        private void await(String what, BooleanSupplier condition) throws InterruptedException {
            long deadline = System.nanoTime() + DEADLINE_MS * 1_000_000;
            while (!condition.getAsBoolean()) {
                if (System.nanoTime() > deadline || streams.state() == KafkaStreams.State.ERROR) {
                    throw new IllegalStateException("it did not come to pass that " + name + " " + what);
                }
                Thread.sleep(10);
            }
        }
    }

    /** Asks for a commit at each record. */
    private static final class Committing implements Processor<Object, Object, Void, Void> {
        private ProcessorContext<Void, Void> context;

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            this.context = context;
        }

        @Override
        public void process(Record<Object, Object> record) {
            context.commit();
        }
    }

    /** The clients that write inputs and read outputs. */
    private static final class Clients implements AutoCloseable {
        private final String address;
        private final Admin admin;
        private final KafkaProducer<String, String> producer;
        private final KafkaConsumer<byte[], byte[]> committed;
        private final Map<TopicPartition, Long> positions = new HashMap<>();

        Clients(String address) {
            this.address = address;
            admin = Admin.create(Map.of("bootstrap.servers", address, "retry.backoff.ms", "10"));
            producer = new KafkaProducer<>(Map.of("bootstrap.servers", address), new StringSerializer(), new StringSerializer());
            committed = new KafkaConsumer<>(
                Map.of("bootstrap.servers", address, "isolation.level", "read_committed",
                    "enable.auto.commit", "false", "fetch.max.wait.ms", "10"),
                new ByteArrayDeserializer(), new ByteArrayDeserializer());
        }

        void create(Set<String> topics) throws ExecutionException, InterruptedException {
            admin.createTopics(topics.stream().map(t -> new NewTopic(t, 1, (short) 1)).toList()).all().get();
        }

        void write(ProducerRecord<String, String> record) throws ExecutionException, InterruptedException {
            producer.send(record).get();
        }

        /** What a group has committed, once its transactions have ended; 0 if nothing. */
        long position(String group, TopicPartition partition) {
            try {
                var offsets = admin.listConsumerGroupOffsets(group, new ListConsumerGroupOffsetsOptions().requireStable(true));
                OffsetAndMetadata committed = offsets.partitionsToOffsetAndMetadata().get().get(partition);
                return committed == null ? 0 : committed.offset();
            } catch (ExecutionException | InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }

        /** The committed records since the last call, once no transaction is open there. */
        List<ConsumerRecord<byte[], byte[]>> read(String topic) {
            TopicPartition partition = new TopicPartition(topic, 0);
            long end;
            do {
                end = end(partition, IsolationLevel.READ_UNCOMMITTED);
            } while (end(partition, IsolationLevel.READ_COMMITTED) < end);
            committed.assign(List.of(partition));
            committed.seek(partition, positions.getOrDefault(partition, 0L));
            List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
            while (committed.position(partition) < end) {
                committed.poll(Duration.ofMillis(100)).forEach(records::add);
            }
            positions.put(partition, committed.position(partition));
            return records;
        }

        private long end(TopicPartition partition, IsolationLevel isolation) {
            try {
                return admin.listOffsets(Map.of(partition, OffsetSpec.latest()), new ListOffsetsOptions(isolation))
                    .partitionResult(partition).get().offset();
            } catch (ExecutionException | InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }

        @Override
        public void close() {
            producer.close();
            committed.close();
            admin.close();
        }
    }
}
