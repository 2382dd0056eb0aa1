// What streams do without windows: stateless operators, repartitioning, and aggregations by key.
//
// Knows topologies; not how a case is run.

import java.util.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

final class ConformanceStreams extends ConformanceTopologies {
    static void run(ConformanceCase.Group group) {
        stateless(group);
        splits(group);
        chosenTopic(group);
        for (boolean cache : BOTH) {
            aggregations(group, cache);
            repartitioned(group, cache);
            words(group, cache);
        }
    }

    static boolean early(String v) {
        return v == null || v.compareTo("c") <= 0;
    }

    static void stateless(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = b.stream("in");
        in.filter((k, v) -> early(v)).mapValues(v -> join(v, "+")).to("kept");
        in.filterNot((k, v) -> early(v)).mapValues((k, v) -> join(k, v)).to("rest");
        in.map((k, v) -> KeyValue.pair(v, k)).to("swapped");
        in.selectKey((k, v) -> join(k, v)).to("keyed");
        in.flatMap((k, v) -> early(v) ? List.of() : List.of(KeyValue.pair(k, v), KeyValue.pair(v, k))).to("flat");
        in.flatMapValues(v -> v == null ? Arrays.asList((String) null) : List.of(v, upper(v))).to("values");
        in.peek((k, v) -> { }).to("peeked");
        group.named("stateless", false).out("kept").out("rest").out("swapped").out("keyed").out("flat")
            .out("values").out("peeked").run(b, ConformanceInputs.small().nulls(8, 8));
    }

    static void splits(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> one = b.stream("one");
        KStream<String, String> two = b.stream("two");
        Map<String, KStream<String, String>> branches = one.mapValues(v -> join("1", v)).merge(two)
            .split(Named.as("br-"))
            .branch((k, v) -> early(v), Branched.as("early"))
            .branch((k, v) -> k == null, Branched.as("no-key"))
            .defaultBranch(Branched.as("rest"));
        branches.forEach((name, stream) -> stream.to(name));
        group.named("merge_and_split", false).out("br-early").out("br-no-key").out("br-rest")
            .run(b, ConformanceInputs.small().topics("one", "two").nulls(10, 5));
    }

    static void chosenTopic(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").to((k, v, context) -> early(v) ? "early" : "late");
        group.named("chosen_topic", false).out("early").out("late").run(b, ConformanceInputs.small().records(40));
    }

    static void aggregations(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KGroupedStream<String, String> in = strings(b, "in").groupByKey();
        in.count(table("counts")).toStream().mapValues(ConformanceTopologies::text).to("counts");
        in.reduce(ConformanceTopologies::join, table("reduced")).toStream().to("reduced");
        in.aggregate(() -> "", (k, v, all) -> join(all, v), table("agg")).toStream().to("agg");
        in.aggregate(() -> "", (k, v, all) -> joinOrReset(all, v), table("nulls")).toStream().to("nulls");
        group.named("aggregations", cache).out("counts").out("reduced").out("agg").out("nulls")
            .store("counts", "reduced", "agg", "nulls").run(b, ConformanceInputs.small());
    }

    static void repartitioned(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = b.stream("in");
        in.groupBy((k, v) -> RESET.equals(v) ? null : v).count(table("counts"))
            .toStream().mapValues(ConformanceTopologies::text).to("counts");
        in.selectKey((k, v) -> v).groupByKey()
            .aggregate(() -> "", (k, v, all) -> join(all, v), table("agg")).toStream().to("agg");
        in.map((k, v) -> KeyValue.pair(v, k)).repartition(Repartitioned.as("mid"))
            .mapValues(v -> join(v, "!")).to("mid-out");
        group.named("repartitioned", cache).out("counts").out("agg").out("mid-out").store("counts", "agg")
            .run(b, ConformanceInputs.small().nulls(5, 8));
    }

    /** Several outputs for an input, which a cache turns into one for a key. */
    static void words(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").flatMapValues(v -> v == null ? List.of() : List.of(v.split(" ")))
            .groupBy((k, v) -> v).count(table("counts")).toStream().mapValues(ConformanceTopologies::text).to("out");
        group.named("words", cache).out("out").store("counts").run(b, ConformanceInputs.small().records(60)
            .values((n, k, t) -> (char) ('a' + n.below(3)) + " " + (char) ('a' + n.below(3)) + " a"));
    }
}
