// What Kafka Streams refuses when a topology is built: the exception and what it says.
//
// Knows topologies; not how a case is run. No seed changes anything here.

import java.time.Instant;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.state.Stores;

final class ConformanceRefused extends ConformanceTopologies {
    static void run(ConformanceCase.Group group) {
        refused(group, "size_of_zero", () -> TimeWindows.ofSizeWithNoGrace(ms(0)));
        refused(group, "negative_size", () -> TimeWindows.ofSizeWithNoGrace(ms(-1)));
        refused(group, "negative_grace", () -> TimeWindows.ofSizeAndGrace(ms(10), ms(-1)));
        refused(group, "advance_of_zero", () -> TimeWindows.ofSizeWithNoGrace(ms(10)).advanceBy(ms(0)));
        refused(group, "advance_beyond_size", () -> TimeWindows.ofSizeWithNoGrace(ms(10)).advanceBy(ms(11)));
        refused(group, "advance_of_size", () -> TimeWindows.ofSizeWithNoGrace(ms(10)).advanceBy(ms(10)));
        refused(group, "negative_difference", () -> SlidingWindows.ofTimeDifferenceWithNoGrace(ms(-1)));
        refused(group, "negative_sliding_grace", () -> SlidingWindows.ofTimeDifferenceAndGrace(ms(1), ms(-1)));
        refused(group, "negative_gap", () -> SessionWindows.ofInactivityGapWithNoGrace(ms(-1)));
        refused(group, "negative_session_grace", () -> SessionWindows.ofInactivityGapAndGrace(ms(1), ms(-1)));
        refused(group, "negative_start", () -> UnlimitedWindows.of().startOn(Instant.ofEpochMilli(-1)));
        refused(group, "retention_below_size_and_grace", () -> grouped().windowedBy(ConformanceTimeWindows.tumbling(5))
            .count(ConformanceTopologies.<Long>windows("s").withRetention(ms(14))));
        refused(group, "retention_of_size_and_grace", () -> grouped().windowedBy(ConformanceTimeWindows.tumbling(5))
            .count(ConformanceTopologies.<Long>windows("s").withRetention(ms(15))));
        refused(group, "retention_below_two_differences", () -> grouped()
            .windowedBy(ConformanceSlidingWindows.sliding(10, 5))
            .count(ConformanceTopologies.<Long>windows("s").withRetention(ms(24))));
        refused(group, "retention_below_gap_and_grace", () -> grouped()
            .windowedBy(ConformanceSessionWindows.sessions(10, 5))
            .count(ConformanceTopologies.<Long>sessions("s").withRetention(ms(14))));
        refused(group, "unlimited_on_close", () -> grouped().windowedBy(UnlimitedWindows.of())
            .emitStrategy(EmitStrategy.onWindowClose()).count());
        refused(group, "store_size_below_window", () -> Stores.persistentWindowStore("s", ms(5), ms(10), false));
        refused(group, "negative_retention", () -> Stores.persistentWindowStore("s", ms(-1), ms(10), false));
        refused(group, "negative_store_size", () -> Stores.persistentWindowStore("s", ms(5), ms(-1), false));
        refused(group, "negative_session_retention", () -> Stores.persistentSessionStore("s", ms(-1)));
        refused(group, "final_results_of_a_table", ConformanceRefused::finalResultsOfATable);
        refused(group, "negative_limit", () -> Suppressed.untilTimeLimit(ms(-1), BufferConfig.unbounded()));
        refused(group, "buffer_of_no_records", () -> counts()
            .suppress(Suppressed.untilWindowCloses(BufferConfig.maxRecords(0).shutDownWhenFull())));
        refused(group, "one_name_for_two_stores", () -> {
            StreamsBuilder b = new StreamsBuilder();
            b.stream("one").groupByKey().count(Materialized.as("s"));
            b.stream("two").groupByKey().count(Materialized.as("s"));
            b.build();
        });
        refused(group, "a_name_with_a_slash", () -> grouped().count(table("a/b")));
        refused(group, "cogroup_in_no_window", () -> grouped().<Long>cogroup((k, v, n) -> n)
            .windowedBy((SlidingWindows) null));
    }

    private static KGroupedStream<String, String> grouped() {
        return new StreamsBuilder().<String, String>stream("in").groupByKey();
    }

    private static KTable<Windowed<String>, Long> counts() {
        return grouped().windowedBy(ConformanceTimeWindows.tumbling(5)).count();
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static void finalResultsOfATable() {
        // The types forbid it; erased, the check when the topology is built is reached.
        KTable table = grouped().count();
        table.suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()));
    }

    static void refused(ConformanceCase.Group group, String name, Runnable build) {
        group.line("case", name, "no-cache", "");
        try {
            build.run();
            group.line("built");
        } catch (RuntimeException e) {
            String message = e.getMessage();
            group.line("refused", e.getClass().getName(), message == null ? null : message.replaceAll("\\s+", " "));
        }
    }
}
