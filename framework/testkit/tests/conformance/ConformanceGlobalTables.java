// Streams joined with global tables, inner and left, by keys that a function makes; global tables that
// change in between, and one that several joins read; and a global store that a processor maintains.
//
// Knows topologies; not how a case is run. A record of a global table's topic is taken at once in the
// driver. Cases of one shape take the same inputs in both joins.

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;

final class ConformanceGlobalTables extends ConformanceTopologies {
    private static final boolean[] INNER_AND_LEFT = {false, true};

    static void run(ConformanceCase.Group group) {
        for (boolean left : INNER_AND_LEFT) {
            byKey(group, left);
            byValue(group, left);
            nullResults(group, left);
            withKey(group, left);
            chained(group, left);
            repartitioned(group, left);
        }
        maintained(group);
    }

    private static ConformanceInputs inputs() {
        return ConformanceInputs.small().topics("in", "global").nulls(8, 15).values(NUMBERED);
    }

    private static KStream<String, String> join(boolean left, KStream<String, String> stream,
                                                GlobalKTable<String, String> table,
                                                KeyValueMapper<String, String, String> key) {
        return left ? stream.leftJoin(table, key, ConformanceTopologies::pair)
            : stream.join(table, key, ConformanceTopologies::pair);
    }

    private static ConformanceCase begin(ConformanceCase.Group group, boolean left, String suffix) {
        return group.named("global_" + (left ? "left" : "inner") + "_join" + suffix, false)
            .inputsOf("global_join" + suffix).out("out");
    }

    private static GlobalKTable<String, String> global(StreamsBuilder b) {
        return b.globalTable("global", ConformanceTopologies.<String>table("table"));
    }

    static void byKey(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, strings(b, "in"), global(b), (k, v) -> k).to("out");
        begin(group, left, "").store("table").run(b, inputs());
    }

    /** The table has no name; values give the key, which for some is null. */
    static void byValue(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, strings(b, "in"), b.globalTable("global"), (k, v) -> letter(v)).to("out");
        begin(group, left, "_by_value").run(b, inputs());
    }

    static void nullResults(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = strings(b, "in");
        GlobalKTable<String, String> table = global(b);
        KeyValueMapper<String, String, String> key = (k, v) -> k;
        (left ? in.leftJoin(table, key, ConformanceTopologies::pairOrReset)
            : in.join(table, key, ConformanceTopologies::pairOrReset)).to("out");
        begin(group, left, "_null_results").run(b, inputs().records(50));
    }

    /** The joiner is given the record's key, not the table's. */
    static void withKey(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = strings(b, "in");
        GlobalKTable<String, String> table = global(b);
        KeyValueMapper<String, String, String> key = (k, v) -> letter(v);
        ValueJoinerWithKey<String, String, String, String> joiner = (k, v, of) -> k + "=" + pair(v, of);
        (left ? in.leftJoin(table, key, joiner) : in.join(table, key, joiner)).to("out");
        begin(group, left, "_with_key").run(b, inputs().records(50));
    }

    /** Two global tables, one of them read twice. */
    static void chained(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        GlobalKTable<String, String> table = global(b);
        GlobalKTable<String, String> other = b.globalTable("other", ConformanceTopologies.<String>table("other-table"));
        KStream<String, String> first = join(left, strings(b, "in"), table, (k, v) -> k);
        join(left, join(left, first, other, (k, v) -> letter(v)), table, (k, v) -> letter(v)).to("out");
        begin(group, left, "_chained").store("table", "other-table")
            .run(b, inputs().topics("in", "in", "global", "other").records(90));
    }

    /** A change of the key before the join is still one behind it. */
    static void repartitioned(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, strings(b, "in").selectKey((k, v) -> letter(v)), global(b), (k, v) -> k)
            .groupByKey().count(table("counts")).toStream().mapValues(ConformanceTopologies::text).to("out");
        begin(group, left, "_counted").store("counts").run(b, inputs());
    }

    /** Adds a store of global records, which {@link Keeper} maintains. */
    static void keep(StreamsBuilder b, String topic, Consumed<String, String> consumed) {
        b.addGlobalStore(Stores.timestampedKeyValueStoreBuilder(
            Stores.persistentTimestampedKeyValueStore("table"), Serdes.String(), Serdes.String()),
            topic, consumed, Keeper::new);
    }

    /** Joins what came for a key; a null deletes it. */
    static final class Keeper implements Processor<String, String, Void, Void> {
        private TimestampedKeyValueStore<String, String> store;

        public void init(ProcessorContext<Void, Void> context) {
            store = context.getStateStore("table");
        }

        public void process(Record<String, String> r) {
            ValueAndTimestamp<String> before = store.get(r.key());
            String all = r.value() == null ? null : join(ValueAndTimestamp.getValueOrNull(before), r.value());
            store.put(r.key(), ValueAndTimestamp.make(all, r.timestamp()));
        }
    }

    /** Tells what the store has for a record's key. */
    static final class Finder implements FixedKeyProcessor<String, String, String> {
        private FixedKeyProcessorContext<String, String> context;
        private TimestampedKeyValueStore<String, String> store;

        public void init(FixedKeyProcessorContext<String, String> context) {
            this.context = context;
            store = context.getStateStore("table");
        }

        public void process(FixedKeyRecord<String, String> r) {
            context.forward(r.withValue(pair(r.value(), ValueAndTimestamp.getValueOrNull(store.get(r.key())))));
        }
    }

    /** Null keys would be dropped there at the start and not later, so there are none. */
    static void maintained(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        keep(b, "global", Consumed.with(Serdes.String(), Serdes.String()));
        strings(b, "in").processValues(Finder::new).to("out");
        group.named("global_store", false).out("out").store("table").run(b, inputs().nulls(0, 15));
    }
}
