// What a store holds at the end of a case.
//
// Knows the kinds of stores of the driver; not topologies. Invariant: rows are those of the store
// itself, not of the cache before it, which keeps rows that the store has dropped.

import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.*;
import org.apache.kafka.streams.state.internals.WrappedStateStore;

final class ConformanceDump {
    private ConformanceDump() { }

    static void store(ConformanceCase.Group group, TopologyTestDriver driver, String store) {
        KeyValueStore<Object, ValueAndTimestamp<Object>> table = driver.getTimestampedKeyValueStore(store);
        WindowStore<Object, ValueAndTimestamp<Object>> stamped = driver.getTimestampedWindowStore(store);
        WindowStore<Object, Object> plain = driver.getWindowStore(store);
        SessionStore<Object, Object> sessions = driver.getSessionStore(store);
        Set<String> uncached = uncached(driver.getAllStateStores().get(store));
        if (table != null) {
            try (var all = table.all()) {
                all.forEachRemaining(kv ->
                    group.line("store", store, kv.key, kv.value.value(), kv.value.timestamp()));
            }
        } else if (stamped != null) {
            windowed(group, store, stamped.all(), uncached);
        } else if (plain != null) {
            windowed(group, store, plain.all(), uncached);
        } else if (sessions != null) {
            windowed(group, store, sessions.fetch(null, null), uncached);
        } else {
            try (var all = driver.<Object, Object>getKeyValueStore(store).all()) {
                all.forEachRemaining(kv -> group.line("store", store, kv.key, kv.value, null));
            }
        }
    }

    private static <V> void windowed(ConformanceCase.Group group, String store,
                                     KeyValueIterator<Windowed<Object>, V> all, Set<String> uncached) {
        List<KeyValue<Windowed<Object>, V>> rows = new ArrayList<>();
        try (all) {
            all.forEachRemaining(rows::add);
        }
        rows.removeIf(kv -> uncached != null && !uncached.contains(kv.key.toString()));
        // Stores of different kinds go through their rows in different orders; group `stores` shows them.
        rows.sort(Comparator.<KeyValue<Windowed<Object>, V>, String>comparing(kv -> kv.key.key().toString())
            .thenComparing(kv -> kv.key.window().start()).thenComparing(kv -> kv.key.window().end()));
        for (KeyValue<Windowed<Object>, V> kv : rows) {
            if (kv.value instanceof ValueAndTimestamp<?> v) {
                // A store of a join of streams keeps no time, and the driver shows -1.
                group.line("store", store, kv.key, v.value(), v.timestamp() < 0 ? null : v.timestamp());
            } else {
                group.line("store", store, kv.key, kv.value, null);
            }
        }
    }

    /** The keys in the store behind a windowed store's cache, as text; null if it has no cache. */
    @SuppressWarnings("unchecked")
    private static Set<String> uncached(StateStore store) {
        boolean cached = false;
        while (store instanceof WrappedStateStore<?, ?, ?> wrapping && !cached) {
            // The classes of caches are not public.
            cached = wrapping.getClass().getSimpleName().matches("(TimeOrdered)?Caching(Window|Session)Store");
            store = wrapping.wrapped();
        }
        if (!cached) {
            return null;
        }
        KeyValueIterator<Windowed<Bytes>, byte[]> all = store instanceof WindowStore
            ? ((WindowStore<Bytes, byte[]>) store).all() : ((SessionStore<Bytes, byte[]>) store).fetch(null, null);
        Set<String> keys = new HashSet<>();
        try (all) {
            all.forEachRemaining(kv -> keys.add(
                new Windowed<>(new String(kv.key.key().get(), StandardCharsets.UTF_8), kv.key.window()).toString()));
        }
        return keys;
    }
}
