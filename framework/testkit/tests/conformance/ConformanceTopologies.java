// What every group of topologies builds from: functions that several of them share. The replaying
// side has the same ones.
//
// Knows no topology. Invariant: every function answers for null too, and shows in its result in
// which order it was called.

import java.time.Duration;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.*;

abstract class ConformanceTopologies {
    /** With a cache and without. */
    static final boolean[] BOTH = {true, false};

    /** The value that makes {@link #joinOrReset} answer null. */
    static final String RESET = "f";

    static Duration ms(long millis) {
        return Duration.ofMillis(millis);
    }

    static String text(Object value) {
        return value == null ? null : value.toString();
    }

    /** {@code one} and then {@code two}, of which the last 12 characters; null shows as "-". */
    static String join(String one, String two) {
        String all = (one == null ? "-" : one) + (two == null ? "-" : two);
        return all.length() <= 12 ? all : all.substring(all.length() - 12);
    }

    /** As {@link #join}, but null when {@code two} is {@link #RESET}. */
    static String joinOrReset(String one, String two) {
        return RESET.equals(two) ? null : join(one, two);
    }

    /** {@code one+two}; null shows as "-". */
    static String pair(Object one, Object two) {
        return (one == null ? "-" : one) + "+" + (two == null ? "-" : two);
    }

    /** As {@link #pair}, but null when {@code two} begins with {@link #RESET}. */
    static String pairOrReset(String one, String two) {
        return two != null && two.startsWith(RESET) ? null : pair(one, two);
    }

    /** The first letter, or null if there is none or if it is that of {@link #RESET}. */
    static String letter(String value) {
        return value == null || value.isEmpty() || value.startsWith(RESET) ? null : value.substring(0, 1);
    }

    /** Values that tell the time of their record, in the last three digits. */
    static final ConformanceInputs.Values DATED = (n, k, t) -> (char) ('a' + n.below(6)) + "" + t % 1_000;

    /** Eighteen values, so that some come again. */
    static final ConformanceInputs.Values NUMBERED = (n, k, t) -> (char) ('a' + n.below(6)) + "" + n.below(3);

    static String upper(String value) {
        return value == null ? null : value.toUpperCase(java.util.Locale.ROOT);
    }

    /** A stream of texts that knows its serdes, because windowed results need those of the key. */
    static KStream<String, String> strings(StreamsBuilder b, String topic) {
        return b.stream(topic, Consumed.with(Serdes.String(), Serdes.String()));
    }

    static <V> Materialized<String, V, KeyValueStore<Bytes, byte[]>> table(String name) {
        return Materialized.as(name);
    }

    static <V> Materialized<String, V, WindowStore<Bytes, byte[]>> windows(String name) {
        return Materialized.as(name);
    }

    static <V> Materialized<String, V, SessionStore<Bytes, byte[]>> sessions(String name) {
        return Materialized.as(name);
    }
}
