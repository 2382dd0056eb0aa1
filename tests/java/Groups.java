// Consumer groups of the classic protocol, seen from Java consumers.

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.ClassicGroupDescription;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;

final class Groups {
    static void addTo(Map<String, Main.Check> checks) {
        checks.put("cooperative-sticky", Groups::cooperativeSticky);
        checks.put("static-membership", Groups::staticMembership);
    }

    /** What was taken from a consumer, in order of the rebalances. */
    private static final class Revoked implements ConsumerRebalanceListener {
        final List<Integer> counts = new ArrayList<>();

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            counts.add(partitions.size());
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}
    }

    private static void cooperativeSticky(Clients clients) throws Exception {
        String topic = "java-cooperative";
        clients.create(topic, 4);
        String[] settings = {
            "group.id", "java-cooperative",
            "partition.assignment.strategy", CooperativeStickyAssignor.class.getName()
        };
        List<String> read = new ArrayList<>();
        List<String> written = new ArrayList<>();
        Revoked revoked = new Revoked();
        try (KafkaConsumer<String, String> first = clients.consumer(settings)) {
            first.subscribe(List.of(topic), revoked);
            Clients.pollUntil("all partitions of one", List.of(first), read,
                    () -> first.assignment().size() == 4);
            write(clients, topic, "alone", written);
            Clients.pollUntil("its records", List.of(first), read,
                    () -> read.size() >= written.size());
            first.commitSync();
            try (KafkaConsumer<String, String> second = clients.consumer(settings)) {
                second.subscribe(List.of(topic));
                Clients.pollUntil("two halves", List.of(first, second), read,
                        () -> first.assignment().size() == 2 && second.assignment().size() == 2);
                // Cooperative: it gave two and kept two.
                Clients.same("revoked", List.of(2), revoked.counts);
                Set<TopicPartition> together = new HashSet<>(first.assignment());
                together.addAll(second.assignment());
                Clients.same("partitions together", 4, together.size());
                write(clients, topic, "together", written);
                Clients.pollUntil("their records", List.of(first, second), read,
                        () -> read.size() >= written.size());
                second.commitSync();
            }
            Clients.pollUntil("all partitions again", List.of(first), read,
                    () -> first.assignment().size() == 4);
            write(clients, topic, "again alone", written);
            Clients.pollUntil("its records", List.of(first), read,
                    () -> read.size() >= written.size());
        }
        Collections.sort(read);
        Collections.sort(written);
        Clients.same("each record once", written, read);
    }

    private static void write(
            Clients clients, String topic, String prefix, List<String> written) {
        for (int partition = 0; partition < 4; partition++) {
            String of = prefix + " " + partition + "-";
            List<String> values = IntStream.range(0, 5).mapToObj(n -> of + n).toList();
            clients.write(topic, partition, values);
            written.addAll(values);
        }
    }

    private static void staticMembership(Clients clients) throws Exception {
        String topic = "java-static";
        clients.create(topic, 2);
        KafkaConsumer<String, String> one = member(clients, "one");
        KafkaConsumer<String, String> two = member(clients, "two");
        List<String> none = new ArrayList<>();
        Clients.pollUntil("an assignment for both", List.of(one, two), none,
                () -> one.assignment().size() == 1 && two.assignment().size() == 1);
        int generation = one.groupMetadata().generationId();
        Clients.same("instances", Set.of("one", "two"), instances(clients));
        Set<TopicPartition> had = Set.copyOf(two.assignment());
        two.close();

        KafkaConsumer<String, String> returned = member(clients, "two");
        Clients.pollUntil("the return", List.of(one, returned), none,
                () -> returned.assignment().size() == 1);
        Clients.same("what it had", had, Set.copyOf(returned.assignment()));
        Clients.same("its generation", generation, returned.groupMetadata().generationId());
        Clients.same("the other's", generation, one.groupMetadata().generationId());

        KafkaConsumer<String, String> usurper = member(clients, "two");
        Clients.pollUntil("the usurper's assignment", List.of(one, usurper), none,
                () -> usurper.assignment().size() == 1);
        Clients.fails("the replaced one", FencedInstanceIdException.class, () ->
                Clients.pollUntil("its end", List.of(returned), none, () -> {
                    try {
                        returned.commitSync();
                    } catch (CommitFailedException e) {
                        // The heartbeat thread learnt of it first: the next poll throws what it saw.
                    }
                    return false;
                }));
        for (KafkaConsumer<String, String> member : List.of(one, returned, usurper)) {
            member.close();
        }
    }

    private static KafkaConsumer<String, String> member(Clients clients, String instance) {
        // Long enough that no slow machine loses a member in between.
        KafkaConsumer<String, String> consumer = clients.consumer(
                "group.id", "java-static", "group.instance.id", instance,
                "session.timeout.ms", "40000");
        consumer.subscribe(List.of("java-static"));
        return consumer;
    }

    private static Set<String> instances(Clients clients) throws Exception {
        ClassicGroupDescription group = Clients.get(
                clients.admin.describeClassicGroups(List.of("java-static")).all()).get("java-static");
        Set<String> instances = new HashSet<>();
        for (MemberDescription member : group.members()) {
            instances.add(member.groupInstanceId().orElse("none"));
        }
        return instances;
    }
}
