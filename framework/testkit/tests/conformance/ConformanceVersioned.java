// Versioned stores: as a processor sees them, behind tables, and what joins and aggregations make of the
// versions; streams joined with a versioned table, with and without a grace period; the bytes of changelogs.
//
// Knows topologies; not how a case is run. The history of most cases is 40 ms. Questions to a table's
// store come as records of their own, and ask for the latest version and for that of their time.

import java.util.Optional;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;

final class ConformanceVersioned extends ConformanceTopologies {
    private static final long HISTORY = 40;

    static void run(ConformanceCase.Group group) {
        store(group, "versioned_store", 150_000, 1);
        store(group, "versioned_store_short", 20, 3_000);
        store(group, "versioned_store_zero", 0, 3_000);
        source(group);
        followed(group);
        for (boolean cache : BOTH) {
            grouped(group, cache);
        }
        ofStreams(group);
        ConformanceVersionedJoins.run(group);
        bytes(group);
    }

    static <V> Materialized<String, V, KeyValueStore<Bytes, byte[]>> versioned(String name) {
        return versioned(name, HISTORY);
    }

    static <V> Materialized<String, V, KeyValueStore<Bytes, byte[]>> versioned(String name, long history) {
        return Materialized.as(Stores.persistentVersionedKeyValueStore(name, ms(history)));
    }

    static KTable<String, String> source(StreamsBuilder b, String topic) {
        return b.table(topic, ConformanceVersioned.<String>versioned(topic + "-versions"));
    }

    static ConformanceInputs inputs(String... topics) {
        return ConformanceInputs.small().topics(topics).nulls(4, 15).values(NUMBERED);
    }

    static ConformanceCase begin(ConformanceCase.Group group, String name, boolean cache) {
        return group.named(name, cache).option("history", HISTORY).out("out");
    }

    // ---- the store itself ----

    static void store(ConformanceCase.Group group, String name, long history, long divisor) {
        StoreBuilder<VersionedKeyValueStore<String, String>> store = Stores.versionedKeyValueStoreBuilder(
            Stores.persistentVersionedKeyValueStore("s", ms(history)), Serdes.String(), Serdes.String());
        Topology topology =
            ConformanceStores.<VersionedKeyValueStore<String, String>>topology(store, ConformanceVersioned::answer);
        ConformanceInputs inputs = ConformanceStores.inputs((n, k, t) -> command(n, t, divisor));
        inputs.step /= divisor;
        inputs.back /= divisor;
        inputs.late /= divisor;
        inputs.gap /= divisor;
        group.named(name, false).option("history", history).out("out").run(topology, inputs);
    }

    /** Versions of the record's time, and of times before and after it. */
    private static String command(ConformanceInputs.Numbers n, long time, long divisor) {
        long at = Math.max(0, time - n.below(120_000 / divisor) + 30_000 / divisor);
        return switch ((int) n.below(12)) {
            case 0, 1, 2 -> "put " + time + " " + (char) ('a' + n.below(26));
            case 3, 4 -> "put " + at + " " + (char) ('a' + n.below(26));
            case 5 -> "put " + at;
            case 6 -> "delete " + (n.percent(50) ? time : at);
            case 7 -> "get";
            default -> "asOf " + at;
        };
    }

    private static String answer(VersionedKeyValueStore<String, String> s, String key, String[] c) {
        switch (c[0]) {
            case "put" -> {
                long code = s.put(key, c.length < 3 ? null : c[2], Long.parseLong(c[1]));
                return code == VersionedKeyValueStore.PUT_RETURN_CODE_NOT_PUT ? "not put"
                    : code == VersionedKeyValueStore.PUT_RETURN_CODE_VALID_TO_UNDEFINED ? "latest" : "until " + code;
            }
            case "delete" -> {
                return shown(s.delete(key, Long.parseLong(c[1])));
            }
            case "get" -> {
                return shown(s.get(key));
            }
            default -> {
                return shown(s.get(key, Long.parseLong(c[1])));
            }
        }
    }

    /** A version with the time since when it is valid, and, if the store says it, until when. */
    static String shown(VersionedRecord<String> found) {
        if (found == null) {
            return "null";
        }
        Optional<Long> until = found.validTo();
        return found.value() + "@" + found.timestamp() + (until.isPresent() ? "/" + until.get() : "");
    }

    // ---- behind tables ----

    /** Answers with the latest version of the record's key, and with that of the record's time. */
    static class Asker implements Processor<String, String, String, String> {
        private final String name;
        private ProcessorContext<String, String> context;
        private VersionedKeyValueStore<String, String> store;

        Asker(String name) {
            this.name = name;
        }

        public void init(ProcessorContext<String, String> context) {
            this.context = context;
            store = context.getStateStore(name);
        }

        public void process(Record<String, String> r) {
            if (r.key() != null) {
                context.forward(r.withValue(shown(store.get(r.key())) + " " + shown(store.get(r.key(), r.timestamp()))));
            }
        }
    }

    static void ask(StreamsBuilder b, String store) {
        strings(b, "asked").process(() -> new Asker(store), store).to("answered");
    }

    static void source(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        source(b, "in").toStream().to("out");
        ask(b, "in-versions");
        begin(group, "versioned_table", false).out("answered").run(b, inputs("in", "asked").records(110));
    }

    /** What follows: filters and mapped values, without a store, with one, and with a versioned one. */
    static void followed(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = source(b, "in");
        table.filter((k, v) -> ConformanceTableJoins.early(v)).toStream().to("out");
        table.filter((k, v) -> ConformanceTableJoins.early(v), table("kept")).toStream().to("kept");
        table.filter((k, v) -> ConformanceTableJoins.early(v), versioned("versions")).toStream().to("kept-versions");
        table.mapValues(v -> v + "!").toStream().to("mapped");
        table.mapValues(v -> v + "!", versioned("mapped-versions")).toStream().to("mapped-versions");
        ask(b, "versions");
        begin(group, "versioned_table_followed", false).out("kept").out("kept-versions").out("mapped")
            .out("mapped-versions").out("answered").store("kept").run(b, inputs("in", "in", "asked").records(90));
    }

    /** Aggregations of a versioned table, and of a part of it: versions out of order are left out. */
    static void grouped(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = source(b, "in");
        Grouped<String, String> serdes = Grouped.with(Serdes.String(), Serdes.String());
        table.groupBy((k, v) -> KeyValue.pair(v.substring(0, 1), v), serdes)
            .aggregate(() -> "", (k, v, all) -> all + "(" + v, (k, v, all) -> ConformanceTableJoins.taken(all, v),
                table("agg"))
            .toStream().to("out");
        table.filter((k, v) -> ConformanceTableJoins.early(v))
            .groupBy((k, v) -> KeyValue.pair(v.substring(0, 1), v), serdes).count(table("counts"))
            .toStream().mapValues(ConformanceTopologies::text).to("counts");
        begin(group, "versioned_table_grouped", cache).out("counts").store("agg", "counts").run(b, inputs("in"));
    }

    /** Tables of streams with versioned stores: as they are, counted, and reduced. */
    static void ofStreams(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = strings(b, "in");
        in.toTable(versioned("versions")).toStream().to("out");
        in.groupByKey().count(versioned("counts")).toStream().mapValues(ConformanceTopologies::text).to("counts");
        in.groupByKey().reduce(ConformanceTopologies::join, versioned("reduced")).toStream().to("reduced");
        in.groupByKey().aggregate(() -> "", (k, v, all) -> joinOrReset(all, letter(v)), versioned("agg")).toStream().to("agg");
        ask(b, "reduced");
        begin(group, "versioned_aggregations", false).out("counts").out("reduced").out("agg").out("answered")
            .run(b, inputs("in", "in", "asked"));
    }

    /** What a versioned store writes into its changelog, and the buffer of a join with a grace period. */
    static void bytes(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        source(b, "in").toStream().to("out");
        begin(group, "versioned_bytes", false).out("golden-in-versions-changelog", "hex")
            .run(b, inputs("in").records(40));
        b = new StreamsBuilder();
        strings(b, "in").join(source(b, "table"), ConformanceTopologies::pair,
            Joined.<String, String, String>as("n").withGracePeriod(ms(10))).to("out");
        begin(group, "versioned_grace_bytes", false).option("grace", 10).out("golden-n-Buffer-changelog", "hex")
            .run(b, inputs("in", "table").nulls(0, 10).records(50));
    }
}
