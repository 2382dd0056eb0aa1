// The stores behind windows, as a processor sees them: puts, and every way to read, in order.
//
// Knows topologies; not how a case is run. An input's value is a command with its arguments, and its
// output shows command and answer. Keys are such that one begins like another. Retention and gaps
// are long enough for whole segments of a store to expire.

import java.time.Duration;
import java.time.Instant;
import java.util.*;
import java.util.stream.Collectors;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.internals.SessionWindow;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;

final class ConformanceStores extends ConformanceTopologies {
    static final List<String> KEYS = List.of("a", "aa", "ab", "b", "ba");
    static final Duration RETENTION = ms(150_000);

    static void run(ConformanceCase.Group group) {
        for (boolean cache : BOTH) {
            window(group, "window_store", "persistent", cache,
                Stores.persistentWindowStore("s", RETENTION, ms(10_000), false));
            session(group, "session_store", "persistent", cache, Stores.persistentSessionStore("s", RETENTION));
            keyValue(group, "key_value_store", "persistent", cache, Stores.persistentKeyValueStore("s"));
        }
        window(group, "window_store_in_memory", "in-memory", false,
            Stores.inMemoryWindowStore("s", RETENTION, ms(10_000), false));
        window(group, "window_store_duplicates", "duplicates", false,
            Stores.persistentWindowStore("s", RETENTION, ms(10_000), true));
        window(group, "window_store_in_memory_duplicates", "in-memory,duplicates", false,
            Stores.inMemoryWindowStore("s", RETENTION, ms(10_000), true));
        session(group, "session_store_in_memory", "in-memory", false, Stores.inMemorySessionStore("s", RETENTION));
        keyValue(group, "key_value_store_in_memory", "in-memory", false, Stores.inMemoryKeyValueStore("s"));
    }

    /** Answers a command: its name and arguments come in, a line of text goes out. */
    interface Answers<S> {
        String answer(S store, String key, String[] command);
    }

    static <S extends StateStore> Topology topology(StoreBuilder<?> store, Answers<S> answers) {
        StreamsBuilder b = new StreamsBuilder();
        b.addStateStore(store);
        strings(b, "in").process(() -> new Processor<String, String, String, String>() {
            private ProcessorContext<String, String> context;
            private S store;

            public void init(ProcessorContext<String, String> context) {
                this.context = context;
                store = context.getStateStore("s");
            }

            public void process(Record<String, String> r) {
                String answer;
                try {
                    answer = answers.answer(store, r.key(), r.value().split(" "));
                } catch (IllegalStateException | IllegalArgumentException e) {
                    // Backwards, a cache of sessions stumbles over its own segments; in memory, one of
                    // a range the wrong way round.
                    answer = "threw " + e.getClass().getName();
                }
                context.forward(r.withValue(r.value() + " -> " + answer));
            }
        }, "s").to("out");
        return b.build();
    }

    static ConformanceInputs inputs(ConformanceInputs.Values commands) {
        ConformanceInputs inputs = ConformanceInputs.small().times(3_000).records(110)
            .keys(KEYS.toArray(new String[0])).nulls(0, 0).values(commands);
        inputs.gap = 60_000;
        return inputs;
    }

    /** A range of times around one; now and then all of them, and now and then a wrong way round. */
    private static String range(ConformanceInputs.Numbers n, long time) {
        long from = Math.max(0, time - n.below(120_000));
        long to = time + n.below(30_000) - 5_000;
        return n.percent(10) ? "0 " + Long.MAX_VALUE : from + " " + Math.max(0, to);
    }

    private static <V> String rows(KeyValueIterator<Windowed<String>, V> all) {
        List<String> rows = new ArrayList<>();
        try (all) {
            all.forEachRemaining(kv -> rows.add(kv.key + "=" + kv.value));
        }
        return String.join(" ", rows);
    }

    private static String openEnd(String key) {
        return key.equals("*") ? null : key;
    }

    // ---- windows ----

    static void window(ConformanceCase.Group group, String name, String kind, boolean cache,
                       WindowBytesStoreSupplier supplier) {
        StoreBuilder<WindowStore<String, String>> store =
            Stores.windowStoreBuilder(supplier, Serdes.String(), Serdes.String());
        if (cache) {
            store.withCachingEnabled();
        }
        Topology topology =
            ConformanceStores.<WindowStore<String, String>>topology(store, ConformanceStores::windowAnswer);
        group.named(name, cache).option("store", kind).option("size", 10_000).option("retention", RETENTION.toMillis())
            .inputsOf("window_store").out("out").store("s").run(topology, inputs(ConformanceStores::windowCommand));
    }

    private static String windowCommand(ConformanceInputs.Numbers n, String key, long time) {
        long start = time - time % 1_000;
        String ends = (n.percent(15) ? "*" : n.one(KEYS)) + " " + (n.percent(15) ? "*" : n.one(KEYS));
        return switch ((int) n.below(18)) {
            case 0, 1, 2, 3, 4, 5, 6, 7 -> "put " + start + " " + (char) ('a' + n.below(26));
            case 8 -> "delete " + start;
            case 9 -> "get " + start;
            case 10 -> "fetch " + range(n, time);
            case 11 -> "backwardFetch " + range(n, time);
            case 12 -> "range " + ends + " " + range(n, time);
            case 13 -> "backwardRange " + ends + " " + range(n, time);
            case 14 -> "fetchAll " + range(n, time);
            case 15 -> "backwardFetchAll " + range(n, time);
            case 16 -> "all";
            default -> "backwardAll";
        };
    }

    private static String windowAnswer(WindowStore<String, String> s, String key, String[] c) {
        switch (c[0]) {
            case "put", "delete" -> {
                s.put(key, c[0].equals("put") ? c[2] : null, Long.parseLong(c[1]));
                return "done";
            }
            case "get" -> {
                return text(s.fetch(key, Long.parseLong(c[1])));
            }
            case "fetch", "backwardFetch" -> {
                Instant from = Instant.ofEpochMilli(Long.parseLong(c[1]));
                Instant to = Instant.ofEpochMilli(Long.parseLong(c[2]));
                List<String> rows = new ArrayList<>();
                try (var all = c[0].equals("fetch") ? s.fetch(key, from, to) : s.backwardFetch(key, from, to)) {
                    all.forEachRemaining(kv -> rows.add(kv.key + "=" + kv.value));
                }
                return String.join(" ", rows);
            }
            case "range", "backwardRange" -> {
                Instant from = Instant.ofEpochMilli(Long.parseLong(c[3]));
                Instant to = Instant.ofEpochMilli(Long.parseLong(c[4]));
                return rows(c[0].equals("range") ? s.fetch(openEnd(c[1]), openEnd(c[2]), from, to)
                    : s.backwardFetch(openEnd(c[1]), openEnd(c[2]), from, to));
            }
            case "fetchAll", "backwardFetchAll" -> {
                Instant from = Instant.ofEpochMilli(Long.parseLong(c[1]));
                Instant to = Instant.ofEpochMilli(Long.parseLong(c[2]));
                return rows(c[0].equals("fetchAll") ? s.fetchAll(from, to) : s.backwardFetchAll(from, to));
            }
            case "all" -> {
                return rows(s.all());
            }
            default -> {
                return rows(s.backwardAll());
            }
        }
    }

    // ---- sessions ----

    static void session(ConformanceCase.Group group, String name, String kind, boolean cache,
                        SessionBytesStoreSupplier supplier) {
        StoreBuilder<SessionStore<String, String>> store =
            Stores.sessionStoreBuilder(supplier, Serdes.String(), Serdes.String());
        if (cache) {
            store.withCachingEnabled();
        }
        Topology topology =
            ConformanceStores.<SessionStore<String, String>>topology(store, ConformanceStores::sessionAnswer);
        group.named(name, cache).option("store", kind).option("retention", RETENTION.toMillis())
            .inputsOf("session_store").out("out").store("s").run(topology, inputs(ConformanceStores::sessionCommand));
    }

    private static String sessionCommand(ConformanceInputs.Numbers n, String key, long time) {
        long start = time - time % 5_000;
        String session = start + " " + (start + 5_000 * n.below(4));
        String ends = (n.percent(15) ? "*" : n.one(KEYS)) + " " + (n.percent(15) ? "*" : n.one(KEYS));
        return switch ((int) n.below(17)) {
            case 0, 1, 2, 3, 4, 5, 6 -> "put " + session + " " + (char) ('a' + n.below(26));
            case 7, 8 -> "remove " + session;
            case 9 -> "fetchSession " + session;
            case 10 -> "fetch";
            case 11 -> "backwardFetch";
            case 12 -> "fetchRange " + ends;
            case 13 -> "backwardFetchRange " + ends;
            case 14 -> "find " + range(n, time);
            case 15 -> "backwardFind " + range(n, time);
            default -> "findRange " + ends + " " + range(n, time);
        };
    }

    private static String sessionAnswer(SessionStore<String, String> s, String key, String[] c) {
        switch (c[0]) {
            case "put", "remove" -> {
                Windowed<String> session =
                    new Windowed<>(key, new SessionWindow(Long.parseLong(c[1]), Long.parseLong(c[2])));
                if (c[0].equals("put")) {
                    s.put(session, c[3]);
                } else {
                    s.remove(session);
                }
                return "done";
            }
            case "fetchSession" -> {
                return text(s.fetchSession(key, Long.parseLong(c[1]), Long.parseLong(c[2])));
            }
            case "fetch" -> {
                return rows(s.fetch(key));
            }
            case "backwardFetch" -> {
                return rows(s.backwardFetch(key));
            }
            case "fetchRange" -> {
                return rows(s.fetch(openEnd(c[1]), openEnd(c[2])));
            }
            case "backwardFetchRange" -> {
                return rows(s.backwardFetch(openEnd(c[1]), openEnd(c[2])));
            }
            case "find" -> {
                return rows(s.findSessions(key, Long.parseLong(c[1]), Long.parseLong(c[2])));
            }
            case "backwardFind" -> {
                return rows(s.backwardFindSessions(key, Long.parseLong(c[1]), Long.parseLong(c[2])));
            }
            default -> {
                return rows(s.findSessions(openEnd(c[1]), openEnd(c[2]), Long.parseLong(c[3]), Long.parseLong(c[4])));
            }
        }
    }

    // ---- keys and values ----

    static void keyValue(ConformanceCase.Group group, String name, String kind, boolean cache,
                         KeyValueBytesStoreSupplier supplier) {
        StoreBuilder<KeyValueStore<String, String>> store =
            Stores.keyValueStoreBuilder(supplier, Serdes.String(), Serdes.String());
        if (cache) {
            store.withCachingEnabled();
        }
        Topology topology =
            ConformanceStores.<KeyValueStore<String, String>>topology(store, ConformanceStores::keyValueAnswer);
        group.named(name, cache).option("store", kind).inputsOf("key_value_store").out("out").store("s")
            .run(topology, inputs(ConformanceStores::keyValueCommand).records(70));
    }

    private static String keyValueCommand(ConformanceInputs.Numbers n, String key, long time) {
        String ends = (n.percent(15) ? "*" : n.one(KEYS)) + " " + (n.percent(15) ? "*" : n.one(KEYS));
        return switch ((int) n.below(12)) {
            case 0, 1, 2, 3 -> "put " + (char) ('a' + n.below(26));
            case 4 -> "putIfAbsent " + (char) ('a' + n.below(26));
            case 5 -> "delete";
            case 6 -> "get";
            case 7 -> "range " + ends;
            case 8 -> "reverseRange " + ends;
            case 9 -> "prefixScan " + (n.percent(50) ? "a" : "b");
            case 10 -> "all";
            default -> "reverseAll";
        };
    }

    private static String keyValueAnswer(KeyValueStore<String, String> s, String key, String[] c) {
        KeyValueIterator<String, String> rows = switch (c[0]) {
            case "range" -> s.range(openEnd(c[1]), openEnd(c[2]));
            case "reverseRange" -> s.reverseRange(openEnd(c[1]), openEnd(c[2]));
            case "prefixScan" -> s.prefixScan(c[1], new StringSerializer());
            case "all" -> s.all();
            case "reverseAll" -> s.reverseAll();
            default -> null;
        };
        if (rows != null) {
            List<KeyValue<String, String>> all = new ArrayList<>();
            try (rows) {
                rows.forEachRemaining(all::add);
            }
            return all.stream().map(kv -> kv.key + "=" + kv.value).collect(Collectors.joining(" "));
        }
        switch (c[0]) {
            case "put" -> s.put(key, c[1]);
            case "putIfAbsent" -> {
                return text(s.putIfAbsent(key, c[1]));
            }
            case "delete" -> {
                return text(s.delete(key));
            }
            default -> {
                return text(s.get(key));
            }
        }
        return "done";
    }
}
