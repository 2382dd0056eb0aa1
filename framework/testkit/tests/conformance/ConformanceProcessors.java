// Processors with stores and schedules on both clocks.
//
// Knows topologies; not how a case is run.

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;

final class ConformanceProcessors extends ConformanceTopologies {
    static void run(ConformanceCase.Group group) {
        for (boolean cache : BOTH) {
            stores(group, cache);
        }
        schedules(group);
    }

    /** Joins what came for a key, and forwards it with another time, and with another header. */
    static class Joiner implements Processor<String, String, String, String> {
        private ProcessorContext<String, String> context;
        private KeyValueStore<String, String> seen;

        public void init(ProcessorContext<String, String> context) {
            this.context = context;
            seen = context.getStateStore("seen");
        }

        public void process(Record<String, String> r) {
            if (r.key() == null) {
                return;
            }
            String all = join(seen.get(r.key()), r.value());
            seen.put(r.key(), RESET.equals(r.value()) ? null : all);
            context.forward(r.withValue(all));
            var headers = new org.apache.kafka.common.header.internals.RecordHeaders(r.headers());
            headers.add("by", "joiner".getBytes());
            context.forward(r.withValue("later").withTimestamp(r.timestamp() + 100).withHeaders(headers));
        }
    }

    /** Values only: the key stays, so nothing is repartitioned after it. */
    static class Upper implements FixedKeyProcessor<String, String, String> {
        private FixedKeyProcessorContext<String, String> context;

        public void init(FixedKeyProcessorContext<String, String> context) {
            this.context = context;
        }

        public void process(FixedKeyRecord<String, String> r) {
            context.forward(r.withValue(upper(r.value())));
        }
    }

    static void stores(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        var store = Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("seen"), Serdes.String(), Serdes.String());
        b.addStateStore(cache ? store.withCachingEnabled() : store);
        KStream<String, String> in = b.stream("in");
        in.process(Joiner::new, "seen").to("out");
        in.processValues(Upper::new).groupByKey().count(table("counts"))
            .toStream().mapValues(ConformanceTopologies::text).to("counts");
        group.named("processor_stores", cache).out("out").out("counts").store("seen", "counts")
            .run(b, ConformanceInputs.small());
    }

    /** Says when it is called, on both clocks, and how many records it has seen. */
    static class Ticker implements Processor<String, String, String, String> {
        private int records;

        public void init(ProcessorContext<String, String> context) {
            context.schedule(ms(20), PunctuationType.STREAM_TIME,
                t -> context.forward(new Record<>("stream", "" + records, t)));
            context.schedule(ms(100), PunctuationType.WALL_CLOCK_TIME,
                t -> context.forward(new Record<>("wall", "" + records, t)));
        }

        public void process(Record<String, String> r) {
            records++;
        }
    }

    static void schedules(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").process(Ticker::new).to("out");
        group.named("schedules", false).out("out").run(b, ConformanceInputs.small().wall(35, 250));
    }
}
