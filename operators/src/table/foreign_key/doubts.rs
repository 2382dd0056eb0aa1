//! Keys of the left table whose result may be one of an older row.
//!
//! The foreign table says "no value" once, and a response to an older row is dropped. If the newer row has asked
//! for an answer only if there is a value, because the older one had the same foreign key or was deleted, nobody
//! would ever take the old result back. Kafka Streams leaves it there. Here such a key is in doubt, and its row
//! asks once more.
//!
//! Invariant: whoever is in doubt has asked again before the commit, so nothing of it has to be remembered.

use std::collections::HashMap;

use oncestream_core::TimestampMs;

use crate::dsl::StoreKey;

/// What is in doubt since the last commit.
pub(super) struct Doubts<K, V> {
    rows: HashMap<K, Doubt<V>>,
    /// How many there were.
    count: u64,
}

struct Doubt<V> {
    place: u64,
    value: V,
    timestamp: TimestampMs,
}

impl<K: StoreKey, V> Doubts<K, V> {
    /// The row of a key, as it is now, has to ask again.
    pub(super) fn add(&mut self, key: K, value: V, timestamp: TimestampMs) {
        self.count += 1;
        self.rows.insert(key, Doubt { place: self.count, value, timestamp });
    }

    /// The row of a key asks; true if it was in doubt.
    pub(super) fn remove(&mut self, key: &K) -> bool {
        !self.rows.is_empty() && self.rows.remove(key).is_some()
    }

    /// All that are left, in the order in which they came.
    pub(super) fn take(&mut self) -> Vec<(K, V, TimestampMs)> {
        let mut rows: Vec<_> = self.rows.drain().collect();
        rows.sort_unstable_by_key(|(_, doubt)| doubt.place);
        rows.into_iter().map(|(key, doubt)| (key, doubt.value, doubt.timestamp)).collect()
    }
}

impl<K, V> Default for Doubts<K, V> {
    fn default() -> Self {
        Self { rows: HashMap::new(), count: 0 }
    }
}
