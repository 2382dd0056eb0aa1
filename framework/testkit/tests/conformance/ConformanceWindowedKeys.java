// The bytes of windowed keys: in topics that a program writes and reads with WindowedSerdes, and in
// changelogs of windowed stores.
//
// Knows topologies; not how a case is run. Everything here is printed in hex.

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;

final class ConformanceWindowedKeys extends ConformanceTopologies {
    static void run(ConformanceCase.Group group) {
        ConformanceInputs few = ConformanceInputs.small().records(40).keys("", "a", "bé").nulls(0, 0)
            .start(1_700_000_000_000L);
        time(group, few);
        session(group, few);
        longs(group);
        sliding(group, few);
    }

    static void time(ConformanceCase.Group group, ConformanceInputs inputs) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(ConformanceTimeWindows.hopping(15))
            .count(windows("counts")).toStream()
            .to("windowed", Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, 10), Serdes.Long()));
        // Read back: the key keeps its start; its end is what the reader says.
        b.stream("windowed", Consumed.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, 10), Serdes.Long()))
            .map((k, n) -> KeyValue.pair(k.key(), k.window().start() + "/" + k.window().end() + "=" + n)).to("read");
        group.named("time_windowed_keys", false).option("size", 10).option("advance", 4).option("grace", 15)
            .out("windowed", "hex").out("read").out("golden-counts-changelog", "hex").run(b, inputs);
    }

    static void session(ConformanceCase.Group group, ConformanceInputs inputs) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(ConformanceSessionWindows.sessions(6, 15))
            .count(sessions("counts")).toStream()
            .to("windowed", Produced.with(WindowedSerdes.sessionWindowedSerdeFrom(String.class), Serdes.Long()));
        b.stream("windowed", Consumed.with(WindowedSerdes.sessionWindowedSerdeFrom(String.class), Serdes.Long()))
            .map((k, n) -> KeyValue.pair(k.key(), k.window().start() + "/" + k.window().end() + "=" + n)).to("read");
        group.named("session_windowed_keys", false).option("gap", 6).option("grace", 15)
            .out("windowed", "hex").out("read").out("golden-counts-changelog", "hex").run(b, inputs);
    }

    /** Keys that are numbers: a fixed number of bytes, and those of negative ones sort last. */
    static void longs(ConformanceCase.Group group) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in")
            .groupBy((k, v) -> Long.parseLong(k), Grouped.with(Serdes.Long(), Serdes.String()))
            .windowedBy(ConformanceTimeWindows.tumbling(15))
            .reduce(ConformanceTopologies::join).toStream()
            .to("windowed", Produced.with(WindowedSerdes.timeWindowedSerdeFrom(Long.class, 10), Serdes.String()));
        group.named("time_windowed_long_keys", false).option("size", 10).option("grace", 15)
            .out("windowed", "hex")
            .run(b, ConformanceInputs.small().records(30).keys("1", "-1", "255").nulls(0, 0));
    }

    /** What a buffer of suppressed results writes into its changelog. */
    static void sliding(ConformanceCase.Group group, ConformanceInputs inputs) {
        StreamsBuilder b = new StreamsBuilder();
        strings(b, "in").groupByKey().windowedBy(ConformanceSlidingWindows.sliding(10, 5))
            .reduce(ConformanceTopologies::join, windows("reduced"))
            .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()).withName("buffer"))
            .toStream().to("windowed");
        group.named("suppress_changelog", false).option("difference", 10).option("grace", 5)
            .out("windowed", "hex").out("golden-reduced-changelog", "hex")
            .out("golden-buffer-store-changelog", "hex").run(b, inputs);
    }
}
