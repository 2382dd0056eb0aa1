// The Java admin client: topics, settings, offsets, producers, transactions, records, groups.

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

final class Administration {
    static void addTo(Map<String, Main.Check> checks) {
        checks.put("topics", Administration::topics);
        checks.put("topic-settings", Administration::topicSettings);
        checks.put("list-offsets", Administration::listOffsets);
        checks.put("producers-and-transactions", Administration::producersAndTransactions);
        checks.put("delete-records", Administration::deleteRecords);
        checks.put("groups", Administration::groups);
    }

    private static void topics(Clients clients) throws Exception {
        String topic = "java-topics";
        clients.create(topic, 2);
        Clients.same("listed", true, Clients.get(clients.admin.listTopics().names()).contains(topic));
        Clients.fails("a second creation", TopicExistsException.class, () -> Clients.get(
                clients.admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all()));
        TopicDescription before = describe(clients, topic);
        Clients.same("partitions", 2, before.partitions().size());
        Clients.same("replicas", 1, before.partitions().get(0).replicas().size());
        Clients.get(clients.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all());
        Clients.eventually("five partitions", () -> describe(clients, topic).partitions().size() == 5);
        Clients.same("the same topic", before.topicId(), describe(clients, topic).topicId());
        Clients.get(clients.admin.deleteTopics(List.of(topic)).all());
        Clients.eventually("its end", () ->
                !Clients.get(clients.admin.listTopics().names()).contains(topic));
        Clients.fails("a description", UnknownTopicOrPartitionException.class,
                () -> describe(clients, topic));
    }

    private static TopicDescription describe(Clients clients, String topic) throws Exception {
        return Clients.get(clients.admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
    }

    private static void topicSettings(Clients clients) throws Exception {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "java-settings");
        NewTopic wanted = new NewTopic(topic.name(), Optional.of(1), Optional.empty())
                .configs(Map.of("cleanup.policy", "compact", "retention.ms", "1234567"));
        clients.create(wanted);
        Clients.same("given", "compact", setting(clients, topic, "cleanup.policy").value());
        Clients.same("given", "1234567", setting(clients, topic, "retention.ms").value());
        ConfigEntry untouched = setting(clients, topic, "delete.retention.ms");
        Clients.same("default", "86400000", untouched.value());
        Clients.same("is default", true, untouched.isDefault());
        alter(clients, topic, AlterConfigOp.OpType.SET, "retention.ms", "7654321");
        Clients.eventually("the new value", () ->
                setting(clients, topic, "retention.ms").value().equals("7654321"));
        alter(clients, topic, AlterConfigOp.OpType.DELETE, "cleanup.policy", "");
        Clients.eventually("the old default", () ->
                setting(clients, topic, "cleanup.policy").value().equals("delete"));
    }

    private static ConfigEntry setting(Clients clients, ConfigResource topic, String name)
            throws Exception {
        Config config =
                Clients.get(clients.admin.describeConfigs(List.of(topic)).all()).get(topic);
        return config.get(name);
    }

    private static void alter(
            Clients clients,
            ConfigResource topic,
            AlterConfigOp.OpType operation,
            String name,
            String value) throws Exception {
        AlterConfigOp change = new AlterConfigOp(new ConfigEntry(name, value), operation);
        Clients.get(clients.admin.incrementalAlterConfigs(Map.of(topic, List.of(change))).all());
    }

    private static void listOffsets(Clients clients) throws Exception {
        String topic = "java-offsets";
        clients.create(topic, 1);
        long base = System.currentTimeMillis();
        try (KafkaProducer<String, String> producer = clients.producer()) {
            // The greatest timestamp is not the last one.
            for (long delta : List.of(0L, 30L, 10L)) {
                producer.send(new ProducerRecord<>(topic, 0, base + delta, null, "at " + delta));
            }
        }
        Clients.same("earliest", 0L, offset(clients, topic, OffsetSpec.earliest()).offset());
        Clients.same("latest", 3L, offset(clients, topic, OffsetSpec.latest()).offset());
        ListOffsetsResultInfo greatest = offset(clients, topic, OffsetSpec.maxTimestamp());
        Clients.same("greatest", 1L, greatest.offset());
        Clients.same("its time", base + 30, greatest.timestamp());
        ListOffsetsResultInfo from = offset(clients, topic, OffsetSpec.forTimestamp(base + 5));
        Clients.same("from", 1L, from.offset());
        Clients.same("past all", -1L,
                offset(clients, topic, OffsetSpec.forTimestamp(base + 31)).offset());
    }

    private static ListOffsetsResultInfo offset(Clients clients, String topic, OffsetSpec spec)
            throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        return Clients.get(
                clients.admin.listOffsets(Map.of(partition, spec)).partitionResult(partition));
    }

    private static void producersAndTransactions(Clients clients) throws Exception {
        String topic = "java-producers";
        clients.create(topic, 1);
        clients.write(topic, 0, List.of("first"));
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = clients.transactional("java-producers")) {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "second"));
            producer.flush();
            Clients.same("listed", TransactionState.ONGOING, listed(clients));
            TransactionDescription open = transaction(clients);
            Clients.same("described", TransactionState.ONGOING, open.state());
            Clients.same("partitions", Set.of(partition), open.topicPartitions());
            ProducerState state = producer(clients, partition, open.producerId());
            Clients.same("its start", OptionalLong.of(1), state.currentTransactionStartOffset());
            Clients.same("its epoch", open.producerEpoch(), state.producerEpoch());
            Clients.same("its sequence", 0, state.lastSequence());
            producer.commitTransaction();
            Clients.eventually("the end", () ->
                    transaction(clients).state() == TransactionState.COMPLETE_COMMIT);
            state = producer(clients, partition, open.producerId());
            Clients.same("no start", OptionalLong.empty(), state.currentTransactionStartOffset());
            Clients.same("then listed", TransactionState.COMPLETE_COMMIT, listed(clients));
        }
    }

    private static TransactionState listed(Clients clients) throws Exception {
        return Clients.get(clients.admin.listTransactions().all()).stream()
                .filter(listing -> listing.transactionalId().equals("java-producers"))
                .findFirst()
                .orElseThrow(() -> new AssertionError("the transaction is not listed"))
                .state();
    }

    private static TransactionDescription transaction(Clients clients) throws Exception {
        List<String> ids = List.of("java-producers");
        return Clients.get(clients.admin.describeTransactions(ids).all()).get("java-producers");
    }

    private static ProducerState producer(Clients clients, TopicPartition partition, long id)
            throws Exception {
        return Clients.get(
                        clients.admin.describeProducers(List.of(partition)).partitionResult(partition))
                .activeProducers().stream()
                .filter(state -> state.producerId() == id)
                .findFirst()
                .orElseThrow(() -> new AssertionError("producer " + id + " is not described"));
    }

    private static void deleteRecords(Clients clients) throws Exception {
        String topic = "java-deleted";
        clients.create(topic, 1);
        clients.write(topic, 0, List.of("a", "b", "c", "d", "e"));
        Clients.same("low watermark", 3L, deleteBefore(clients, topic, 3));
        Clients.same("start", 3L, offset(clients, topic, OffsetSpec.earliest()).offset());
        Clients.same("left", List.of("d", "e"), clients.values(topic, "read_committed"));
        Clients.fails("beyond the end", OffsetOutOfRangeException.class,
                () -> deleteBefore(clients, topic, 6));
        Clients.same("all", 5L, deleteBefore(clients, topic, -1));
        Clients.same("none left", List.of(), clients.values(topic, "read_committed"));
    }

    private static long deleteBefore(Clients clients, String topic, long offset) throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        Map<TopicPartition, RecordsToDelete> wanted =
                Map.of(partition, RecordsToDelete.beforeOffset(offset));
        return Clients.get(clients.admin.deleteRecords(wanted).lowWatermarks().get(partition))
                .lowWatermark();
    }

    private static void groups(Clients clients) throws Exception {
        String topic = "java-groups";
        String group = "java-groups";
        clients.create(topic, 2);
        clients.write(topic, 0, List.of("a", "b"));
        TopicPartition zero = new TopicPartition(topic, 0);
        TopicPartition one = new TopicPartition(topic, 1);
        try (KafkaConsumer<String, String> consumer = clients.consumer("group.id", group)) {
            consumer.subscribe(List.of(topic));
            Set<String> read = new TreeSet<>();
            Clients.eventually("the records", () -> {
                consumer.poll(Clients.POLL).forEach(record -> read.add(record.value()));
                return read.equals(Set.of("a", "b"));
            });
            consumer.commitSync(Map.of(
                    zero, new OffsetAndMetadata(2, "a note"), one, new OffsetAndMetadata(0)));
            Clients.fails("a deletion while in use", GroupNotEmptyException.class, () ->
                    Clients.get(clients.admin.deleteConsumerGroups(List.of(group)).all()));
        }
        Clients.same("offsets", Map.of(zero, 2L, one, 0L), clients.committed(group));
        Map<TopicPartition, OffsetAndMetadata> reset = Map.of(zero, new OffsetAndMetadata(1));
        Clients.get(clients.admin.alterConsumerGroupOffsets(group, reset).all());
        Clients.get(clients.admin.deleteConsumerGroupOffsets(group, Set.of(one)).all());
        Clients.same("changed offsets", Map.of(zero, 1L), clients.committed(group));
        Clients.same("listed", true, Clients.get(clients.admin.listGroups().all()).stream()
                .anyMatch(listing -> listing.groupId().equals(group)));
        Clients.get(clients.admin.deleteConsumerGroups(List.of(group)).all());
        Clients.fails("a second deletion", GroupIdNotFoundException.class, () ->
                Clients.get(clients.admin.deleteConsumerGroups(List.of(group)).all()));
    }
}
