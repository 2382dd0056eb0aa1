// The inputs of a case, made from a seed.
//
// Knows records and steps of the wall clock; not topologies. Invariant: the same seed, name and
// shape give the same inputs on every Java, because the generator of numbers is written out here:
// splitmix64 (Steele, Lea, Flood 2014). A case's numbers come from the seed and the case's name
// alone, so a new case changes no other.

import java.nio.charset.StandardCharsets;
import java.util.*;

final class ConformanceInputs {
    /** A number stream: splitmix64. */
    static final class Numbers {
        private long state;

        Numbers(long seed, String name) {
            // FNV-1a of the name, so that cases of one seed differ.
            long hash = 0xcbf29ce484222325L;
            for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
                hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
            }
            state = seed ^ hash;
        }

        long next() {
            state += 0x9e3779b97f4a7c15L;
            long z = state;
            z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
            z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
            return z ^ (z >>> 31);
        }

        /** A number from 0 to below {@code end}. */
        long below(long end) {
            return (next() >>> 1) % end;
        }

        boolean percent(int chance) {
            return below(100) < chance;
        }

        <T> T one(List<T> of) {
            return of.get((int) below(of.size()));
        }
    }

    /** A record to pipe in, or, without a topic, a step of the wall clock by {@code time}. */
    record Step(String topic, String key, String value, long time, List<String> headers) {
        boolean isWall() {
            return topic == null;
        }
    }

    /** Makes the value of a record from its key and time. */
    interface Values {
        String make(Numbers numbers, String key, long time);
    }

    List<String> topics = List.of("in");
    int records = 70;
    List<String> keys = List.of("a", "b", "c");
    Values values = (n, k, t) -> "" + (char) ('a' + n.below(6));
    long start;
    /** In order, time goes on by up to this much. */
    long step = 4;
    /** Out of order, time goes back by up to this much. */
    long back = 8;
    /** A late record goes back by up to this much more. */
    long late = 40;
    /** A gap is up to this much long. */
    long gap = 120;
    int nullKeys = 3;
    int nullValues = 4;
    int wallChance;
    long wallStep;

    static ConformanceInputs small() {
        return new ConformanceInputs();
    }

    /** Forty keys, so that a gap closes many windows at once. */
    static ConformanceInputs manyKeys() {
        ConformanceInputs inputs = new ConformanceInputs();
        inputs.keys = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            inputs.keys.add("k" + (i < 10 ? "0" : "") + i);
        }
        inputs.records = 100;
        inputs.step = 1;
        return inputs;
    }

    ConformanceInputs times(long factor) {
        step *= factor;
        back *= factor;
        late *= factor;
        gap *= factor;
        return this;
    }

    ConformanceInputs topics(String... names) {
        topics = List.of(names);
        return this;
    }

    ConformanceInputs records(int count) {
        records = count;
        return this;
    }

    ConformanceInputs start(long time) {
        start = time;
        return this;
    }

    ConformanceInputs keys(String... names) {
        keys = List.of(names);
        return this;
    }

    ConformanceInputs values(Values make) {
        values = make;
        return this;
    }

    ConformanceInputs nulls(int ofKeys, int ofValues) {
        nullKeys = ofKeys;
        nullValues = ofValues;
        return this;
    }

    /** Between records the wall clock goes on, in so many of a hundred cases, by up to so much. */
    ConformanceInputs wall(int chance, long upTo) {
        wallChance = chance;
        wallStep = upTo;
        return this;
    }

    List<Step> make(long seed, String name) {
        Numbers n = new Numbers(seed, name);
        List<Step> steps = new ArrayList<>();
        List<Step> piped = new ArrayList<>();
        long now = start + n.below(2 * step + 1);
        for (int i = 0; i < records; i++) {
            if (n.percent(wallChance)) {
                steps.add(new Step(null, null, null, 1 + n.below(wallStep), List.of()));
            }
            long kind = n.below(100);
            long time = now;
            if (kind < 8 && !piped.isEmpty()) {
                // A duplicate, as from a producer that is not idempotent.
                Step again = n.one(piped);
                steps.add(again);
                continue;
            } else if (kind < 40) {
                now += 1 + n.below(step);
                time = now;
            } else if (kind < 58) {
                time = Math.max(0, now - 1 - n.below(back));
            } else if (kind < 66) {
                time = Math.max(0, now - back - 1 - n.below(late));
            } else if (kind < 74) {
                now += step + 1 + n.below(gap);
                time = now;
            }
            // Otherwise the time is that of the newest record.
            String key = n.percent(nullKeys) ? null : n.one(keys);
            String value = n.percent(nullValues) ? null : values.make(n, key, time);
            Step step = new Step(n.one(topics), key, value, time, headers(n, i));
            steps.add(step);
            piped.add(step);
        }
        return steps;
    }

    private static List<String> headers(Numbers n, int i) {
        return switch ((int) n.below(8)) {
            case 0, 1 -> List.of("h=" + i);
            case 2 -> List.of("h=" + i, "g=x", "h=" + (i + 1));
            default -> List.of();
        };
    }
}
