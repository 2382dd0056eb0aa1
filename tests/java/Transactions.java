// Transactions and idempotence, seen from the Java producer and a read_committed consumer.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;

final class Transactions {
    static void addTo(Map<String, Main.Check> checks) {
        checks.put("committed-and-aborted", Transactions::committedAndAborted);
        checks.put("last-stable-offset", Transactions::lastStableOffset);
        checks.put("consume-transform-produce", Transactions::consumeTransformProduce);
        checks.put("old-generation", Transactions::oldGeneration);
        checks.put("fenced-by-the-same-id", Transactions::fencedByTheSameId);
        checks.put("fenced-by-the-admin", Transactions::fencedByTheAdmin);
        for (String codec : List.of("gzip", "snappy", "lz4", "zstd")) {
            checks.put("idempotent-" + codec, clients -> idempotent(clients, codec));
        }
    }

    private static void committedAndAborted(Clients clients) throws Exception {
        String topic = "java-outcomes";
        clients.create(topic, 2);
        try (KafkaProducer<String, String> producer = clients.transactional("java-outcomes")) {
            for (String value : List.of("a", "b-aborted", "c", "d-aborted", "e")) {
                producer.beginTransaction();
                for (int i = 0; i < 4; i++) {
                    producer.send(new ProducerRecord<>(topic, i % 2, "key", value + i));
                }
                if (value.endsWith("aborted")) {
                    producer.flush();
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
            }
        }
        List<String> committed =
                List.of("a0", "a1", "a2", "a3", "c0", "c1", "c2", "c3", "e0", "e1", "e2", "e3");
        clients.settle(topic);
        Clients.same("committed", committed, clients.values(topic, "read_committed"));
        Clients.same("all", 20, clients.values(topic, "read_uncommitted").size());
    }

    private static void lastStableOffset(Clients clients) throws Exception {
        String topic = "java-stable";
        clients.create(topic, 1);
        clients.write(topic, 0, List.of("before"));
        try (KafkaProducer<String, String> producer = clients.transactional("java-stable")) {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "open"));
            producer.flush();
            clients.write(topic, 0, List.of("after"));
            Clients.same("stable while open", 1L, clients.end(topic, "read_committed"));
            Clients.same("end while open", 3L, clients.end(topic, "read_uncommitted"));
            Clients.same("while open", List.of("before"), clients.values(topic, "read_committed"));
            producer.abortTransaction();
        }
        clients.settle(topic);
        Clients.same("with the marker", 4L, clients.end(topic, "read_committed"));
        List<String> outside = List.of("after", "before");
        Clients.same("after the abort", outside, clients.values(topic, "read_committed"));
    }

    private static void consumeTransformProduce(Clients clients) throws Exception {
        String input = "java-input";
        String output = "java-output";
        clients.create(input, 2);
        clients.create(output, 2);
        List<String> values = IntStream.range(100, 160).mapToObj(n -> "value-" + n).toList();
        clients.write(input, 0, values.subList(0, 30));
        clients.write(input, 1, values.subList(30, 60));
        Map<TopicPartition, Long> ends =
                Map.of(new TopicPartition(input, 0), 30L, new TopicPartition(input, 1), 30L);
        try (KafkaProducer<String, String> producer = clients.transactional("java-loop");
                KafkaConsumer<String, String> consumer =
                        clients.consumer("group.id", "java-loop", "max.poll.records", "7")) {
            consumer.subscribe(List.of(input));
            int[] cycles = {0};
            Clients.eventually("the end of the loop", () -> {
                ConsumerRecords<String, String> records = consumer.poll(Clients.POLL);
                if (!records.isEmpty()) {
                    cycle(producer, consumer, records, output, cycles[0]++ % 3 != 1);
                }
                return ends.equals(clients.committed("java-loop"));
            });
            // 60 records in cycles of 7, a third of them aborted: fewer would not test an abort.
            Clients.same("cycles enough", true, cycles[0] >= 9);
        }
        clients.settle(output);
        List<String> transformed = values.stream().map(String::toUpperCase).toList();
        Clients.same("output", transformed, clients.values(output, "read_committed"));
        int all = clients.values(output, "read_uncommitted").size();
        Clients.same("the aborted are there as well", true, all > 60);
    }

    private static void cycle(
            KafkaProducer<String, String> producer,
            KafkaConsumer<String, String> consumer,
            ConsumerRecords<String, String> records,
            String output,
            boolean commit) {
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        producer.beginTransaction();
        for (ConsumerRecord<String, String> record : records) {
            producer.send(new ProducerRecord<>(output, record.value().toUpperCase()));
            next.put(
                    new TopicPartition(record.topic(), record.partition()),
                    new OffsetAndMetadata(record.offset() + 1));
        }
        producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
        if (commit) {
            producer.commitTransaction();
            return;
        }
        producer.flush();
        producer.abortTransaction();
        consumer.committed(consumer.assignment()).forEach((partition, offset) ->
                consumer.seek(partition, offset == null ? 0 : offset.offset()));
    }

    private static void oldGeneration(Clients clients) throws Exception {
        String topic = "java-generations";
        clients.create(topic, 2);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = clients.transactional("java-generations");
                KafkaConsumer<String, String> first = clients.consumer("group.id", "java-zombie");
                KafkaConsumer<String, String> second = clients.consumer("group.id", "java-zombie")) {
            first.subscribe(List.of(topic));
            second.subscribe(List.of(topic));
            List<String> none = new ArrayList<>();
            Clients.pollUntil("the first's assignment", List.of(first), none,
                    () -> first.assignment().size() == 2);
            ConsumerGroupMetadata old = first.groupMetadata();
            Clients.pollUntil("the second's assignment", List.of(first, second), none,
                    () -> first.assignment().size() == 1 && second.assignment().size() == 1);
            producer.beginTransaction();
            Clients.fails("offsets of an old generation", CommitFailedException.class, () ->
                    producer.sendOffsetsToTransaction(
                            Map.of(partition, new OffsetAndMetadata(9)), old));
            producer.abortTransaction();
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(
                    Map.of(partition, new OffsetAndMetadata(5)), first.groupMetadata());
            producer.commitTransaction();
            Map<TopicPartition, Long> committed = Map.of(partition, 5L);
            Clients.eventually("the commit's marker",
                    () -> committed.equals(clients.committed("java-zombie")));
        }
    }

    private static void fencedByTheSameId(Clients clients) throws Exception {
        String topic = "java-fenced";
        clients.create(topic, 1);
        try (KafkaProducer<String, String> old = clients.transactional("java-fenced")) {
            old.beginTransaction();
            old.send(new ProducerRecord<>(topic, "of the old"));
            old.flush();
            try (KafkaProducer<String, String> young = clients.transactional("java-fenced")) {
                Clients.fails("a commit of the old", ProducerFencedException.class,
                        old::commitTransaction);
                young.beginTransaction();
                young.send(new ProducerRecord<>(topic, "of the young"));
                young.commitTransaction();
            }
        }
        clients.settle(topic);
        List<String> young = List.of("of the young");
        Clients.same("committed", young, clients.values(topic, "read_committed"));
        Clients.same("all", 2, clients.values(topic, "read_uncommitted").size());
    }

    private static void fencedByTheAdmin(Clients clients) throws Exception {
        String topic = "java-admin-fenced";
        clients.create(topic, 1);
        try (KafkaProducer<String, String> producer = clients.transactional("java-admin-fenced")) {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "lost"));
            producer.flush();
            Clients.get(clients.admin.fenceProducers(List.of("java-admin-fenced")).all());
            Clients.fails("a commit after the fence", ProducerFencedException.class,
                    producer::commitTransaction);
        }
        Clients.eventually("the abort", () -> clients.end(topic, "read_committed") == 2);
        Clients.same("committed", List.of(), clients.values(topic, "read_committed"));
    }

    private static void idempotent(Clients clients, String codec) throws Exception {
        String topic = "java-" + codec;
        clients.create(topic, 1);
        List<String> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = clients.producer(
                "enable.idempotence", "true", "compression.type", codec, "linger.ms", "5")) {
            for (int i = 0; i < 500; i++) {
                ProducerRecord<String, String> record =
                        new ProducerRecord<>(topic, 0, "key-" + i, codec + "-value-" + (1000 + i));
                record.headers().add("codec", codec.getBytes(StandardCharsets.UTF_8));
                sent.add(record.value());
                producer.send(record);
            }
        }
        Collections.sort(sent);
        Clients.same("values", sent, clients.values(topic, "read_committed"));
        Set<String> headers = new HashSet<>();
        for (ConsumerRecord<String, String> record : clients.records(topic, "read_committed")) {
            byte[] header = record.headers().lastHeader("codec").value();
            headers.add(new String(header, StandardCharsets.UTF_8));
        }
        Clients.same("headers", Set.of(codec), headers);
    }
}
