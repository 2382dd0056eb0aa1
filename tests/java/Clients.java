// Producers, consumers and an admin client of one address, and what all checks do with them.
//
// Knows nothing of single checks. Every wait here ends with an error after DEADLINE.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

final class Clients {
    static final Duration DEADLINE = Duration.ofSeconds(60);
    static final Duration POLL = Duration.ofMillis(50);

    final Admin admin;
    private final String servers;

    Clients(String servers) {
        this.servers = servers;
        this.admin = Admin.create(Map.of("bootstrap.servers", servers));
    }

    /** Something that may become true. */
    interface Condition {
        boolean holds() throws Exception;
    }

    /** Code that should throw. */
    interface Action {
        void run() throws Exception;
    }

    /** A producer with further settings, each a key and its value. */
    KafkaProducer<String, String> producer(String... settings) {
        return new KafkaProducer<>(
                properties(settings), new StringSerializer(), new StringSerializer());
    }

    /** A transactional producer that is initialised. */
    KafkaProducer<String, String> transactional(String id) {
        KafkaProducer<String, String> producer = producer("transactional.id", id);
        producer.initTransactions();
        return producer;
    }

    /** A consumer of committed records, from the beginning, which commits nothing by itself. */
    KafkaConsumer<String, String> consumer(String... settings) {
        Map<String, Object> properties = properties();
        properties.put("isolation.level", "read_committed");
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        // A member hears of a rebalance with its next heartbeat.
        properties.put("heartbeat.interval.ms", "200");
        properties.putAll(pairs(settings));
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    private Map<String, Object> properties(String... settings) {
        Map<String, Object> properties = new HashMap<>();
        properties.put("bootstrap.servers", servers);
        properties.putAll(pairs(settings));
        return properties;
    }

    private static Map<String, Object> pairs(String... settings) {
        Map<String, Object> pairs = new HashMap<>();
        for (int i = 0; i < settings.length; i += 2) {
            pairs.put(settings[i], settings[i + 1]);
        }
        return pairs;
    }

    /** Creates a topic and waits until its leaders are known. */
    void create(String topic, int partitions) throws Exception {
        create(new NewTopic(topic, partitions, (short) 1));
    }

    /** The same, with what else a topic may be given. */
    void create(NewTopic topic) throws Exception {
        get(admin.createTopics(List.of(topic)).all());
        eventually("the creation of " + topic,
                () -> partitionsOf(topic.name()).size() == topic.numPartitions());
    }

    private List<TopicPartition> partitionsOf(String topic) throws Exception {
        List<TopicPartition> found = new ArrayList<>();
        try {
            get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions().stream()
                    .filter(partition -> partition.leader() != null)
                    .forEach(p -> found.add(new TopicPartition(topic, p.partition())));
        } catch (org.apache.kafka.common.errors.UnknownTopicOrPartitionException notYet) {
            found.clear();
        }
        return found;
    }

    /** Writes values to one partition, outside of any transaction. */
    void write(String topic, int partition, List<String> values) {
        try (KafkaProducer<String, String> producer = producer()) {
            values.forEach(v -> producer.send(new ProducerRecord<>(topic, partition, null, v)));
        }
    }

    /** All values of a topic up to its end as the isolation level shows it, sorted. */
    List<String> values(String topic, String isolation) throws Exception {
        List<String> values = new ArrayList<>();
        records(topic, isolation).forEach(record -> values.add(record.value()));
        Collections.sort(values);
        return values;
    }

    /** All records of a topic up to its end as the isolation level shows it. */
    List<ConsumerRecord<String, String>> records(String topic, String isolation) throws Exception {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = consumer("isolation.level", isolation)) {
            List<TopicPartition> partitions = partitionsOf(topic);
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            eventually("the end of " + topic, () -> {
                consumer.poll(POLL).forEach(records::add);
                return partitions.stream().allMatch(p -> consumer.position(p) >= ends.get(p));
            });
        }
        return records;
    }

    /** Waits for the markers of all transactions of a topic: they follow the answer to a commit. */
    void settle(String topic) throws Exception {
        List<TopicPartition> partitions = partitionsOf(topic);
        try (KafkaConsumer<String, String> stable = consumer();
                KafkaConsumer<String, String> all =
                        consumer("isolation.level", "read_uncommitted")) {
            eventually("the markers in " + topic, () ->
                    stable.endOffsets(partitions).equals(all.endOffsets(partitions)));
        }
    }

    /**
     * A group's offsets, as far as the markers of their transactions are written. Not by a consumer
     * of the group: it may answer with what it asked before, for itself.
     */
    Map<TopicPartition, Long> committed(String group) throws Exception {
        Map<TopicPartition, Long> offsets = new HashMap<>();
        get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata())
                .forEach((partition, offset) -> offsets.put(partition, offset.offset()));
        return offsets;
    }

    /** The end of a topic's first partition: with read_committed the last stable offset. */
    long end(String topic, String isolation) {
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> consumer = consumer("isolation.level", isolation)) {
            return consumer.endOffsets(List.of(partition)).get(partition);
        }
    }

    /** Polls all consumers in turn until the condition holds. What they read goes to `into`. */
    static void pollUntil(
            String what,
            List<? extends Consumer<String, String>> consumers,
            List<String> into,
            Condition condition) throws Exception {
        eventually(what, () -> {
            for (Consumer<String, String> consumer : consumers) {
                consumer.poll(POLL).forEach(record -> into.add(record.value()));
            }
            return condition.holds();
        });
    }

    /** The result of a request to the broker; its error as it is. */
    static <T> T get(KafkaFuture<T> future) throws Exception {
        try {
            return future.get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception cause ? cause : e;
        }
    }

    /** Looks again and again until the condition holds. */
    static void eventually(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + DEADLINE.toNanos();
        while (!condition.holds()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError(what + " did not come within " + DEADLINE);
            }
            Thread.sleep(10);
        }
    }

    static void same(String what, Object expected, Object found) {
        if (!Objects.equals(expected, found)) {
            throw new AssertionError(what + ": expected " + expected + ", found " + found);
        }
    }

    static void fails(String what, Class<? extends Exception> expected, Action action) {
        try {
            action.run();
        } catch (Exception e) {
            if (expected.isInstance(e)) {
                return;
            }
            throw new AssertionError(what + ": expected " + expected.getSimpleName(), e);
        }
        throw new AssertionError(what + ": expected " + expected.getSimpleName() + ", got no error");
    }
}
