//! The records of a join that wait for updates of the table, in the order of their times.
//!
//! They lie in a key-value store whose keys begin with the time. Keys and values are the bytes of Kafka
//! Streams' `RocksDBTimeOrderedKeyValueBuffer`:
//!
//! ```text
//! key:    0 | time 8 | key | sequence 4
//! value:  a BufferValue with the new value alone, and a buffer time of 0
//! ```
//!
//! In memory are their keys in order and the next sequence number, both from one scan of the store when the
//! task needs it first. The sequence keeps records of one key and time apart, in their order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::TaskError;
use oncestream_core::graph::ChangelogConfig;
use oncestream_core::serde::{DeserializeContext, DynSerde, Serde, SerdeError, SerializeContext};
use oncestream_core::state::KeyValueStore;
use oncestream_core::{Record, TimestampMs};

use crate::dsl::{Data, Dsl, StoreKey};
use crate::options::StoreName;
use crate::table::{Entry, EntrySerde, Origin};

/// Begins the key of each record.
const TIME_FIRST: u8 = 0;
/// Sequence numbers begin again at 0 behind this one, as in Kafka Streams.
const LAST_SEQUENCE: u32 = i32::MAX.cast_unsigned();

/// What a record that waits is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BufferKey<K> {
    time: TimestampMs,
    key: K,
    sequence: u32,
}

struct BufferKeySerde<K>(DynSerde<K>);

impl<K> Serde<BufferKey<K>> for BufferKeySerde<K> {
    fn serialize(&self, key: &BufferKey<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.serialize_in(&mut SerializeContext::nowhere(), key, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<BufferKey<K>, SerdeError> {
        self.deserialize_in(&DeserializeContext::nowhere(), bytes)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        key: &BufferKey<K>,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        out.push(TIME_FIRST);
        out.extend_from_slice(&key.time.to_be_bytes());
        self.0.serialize_in(ctx, &key.key, out)?;
        out.extend_from_slice(&key.sequence.to_be_bytes());
        Ok(())
    }

    fn deserialize_in(
        &self,
        ctx: &DeserializeContext<'_>,
        bytes: &[u8],
    ) -> Result<BufferKey<K>, SerdeError> {
        let parts = bytes.strip_prefix(&[TIME_FIRST]).and_then(|rest| {
            let (time, rest) = rest.split_first_chunk()?;
            let (key, sequence) = rest.split_last_chunk()?;
            Some((i64::from_be_bytes(*time), key, u32::from_be_bytes(*sequence)))
        });
        let (time, key, sequence) = parts.ok_or_else(|| {
            SerdeError::format::<BufferKey<K>>("not a time, a key and a sequence number")
        })?;
        Ok(BufferKey { time, key: self.0.deserialize_in(ctx, key)?, sequence })
    }
}

/// Adds the store to the graph.
pub(super) fn add_buffer<K: StoreKey, V: Data>(
    dsl: &Dsl,
    store: &StoreName,
    keys: DynSerde<K>,
    values: DynSerde<V>,
) {
    if store.generated {
        dsl.note_generated_store(&store.name);
    }
    dsl.graph(|g| {
        g.add_store(&store.name, Some(ChangelogConfig::default()), move |init| {
            let keys = Arc::new(BufferKeySerde(keys.clone()));
            KeyValueStore::new(init, keys, Arc::new(EntrySerde(values.clone())))
        });
    });
}

/// The store of one task.
pub(super) type BufferStore<K, V> = KeyValueStore<BufferKey<K>, Entry<V>>;

/// What waits. Invariant: a key is in the order if, and only if, it is in the store.
pub(super) struct Buffer<K, V> {
    store: Rc<RefCell<BufferStore<K, V>>>,
    waiting: Option<Waiting<K>>,
}

struct Waiting<K> {
    by_bytes: BTreeMap<Vec<u8>, BufferKey<K>>,
    next_sequence: u32,
}

impl<K: StoreKey, V: Data> Buffer<K, V> {
    pub(super) fn new(store: Rc<RefCell<BufferStore<K, V>>>) -> Self {
        Self { store, waiting: None }
    }

    pub(super) fn put(&mut self, record: Record<K, V>, origin: Origin) -> Result<(), TaskError> {
        let Self { store, waiting } = self;
        let waiting = Self::load(store, waiting)?;
        let Record { key, value, timestamp, headers } = record;
        let entry = Entry {
            place: 0,
            timestamp,
            headers,
            origin,
            before: None,
            old: None,
            new: Some(value),
            size: 0,
        };
        let sequence = waiting.next_sequence;
        let key = BufferKey { time: timestamp.max(0), key, sequence };
        let mut store = store.borrow_mut();
        let bytes = store.key_bytes(&key)?;
        store.put(key.clone(), Some(entry), timestamp)?;
        waiting.by_bytes.insert(bytes, key);
        waiting.next_sequence = if sequence < LAST_SEQUENCE { sequence + 1 } else { 0 };
        Ok(())
    }

    /// Takes the earliest record out, if it is not later than `due`. `now` is the time of the deletion in the
    /// changelog.
    pub(super) fn take_due(
        &mut self,
        due: TimestampMs,
        now: TimestampMs,
    ) -> Result<Option<Record<K, V>>, TaskError> {
        let Self { store, waiting } = self;
        let waiting = Self::load(store, waiting)?;
        while let Some(first) = waiting.by_bytes.first_entry() {
            let BufferKey { time, .. } = first.get();
            if *time > due {
                break;
            }
            let (key, mut taken) = (first.remove(), None);
            store.borrow_mut().update_untold(key, now, |key, waiting| {
                taken = waiting.map(|found| (key.key.clone(), found.value));
                (None, now)
            })?;
            if let Some((key, Entry { timestamp, headers, new: Some(value), .. })) = taken {
                return Ok(Some(Record { key, value, timestamp, headers }));
            }
        }
        Ok(None)
    }

    /// Puts in order what the store has, once.
    fn load<'a>(
        store: &Rc<RefCell<BufferStore<K, V>>>,
        waiting: &'a mut Option<Waiting<K>>,
    ) -> Result<&'a mut Waiting<K>, TaskError> {
        if let Some(waiting) = waiting {
            return Ok(waiting);
        }
        let mut loaded = Waiting { by_bytes: BTreeMap::new(), next_sequence: 1 };
        let mut store = store.borrow_mut();
        for found in store.all()? {
            let (key, _) = found?;
            let next = key.sequence.saturating_add(1);
            loaded.next_sequence = loaded.next_sequence.max(next);
            loaded.by_bytes.insert(store.key_bytes(&key)?, key);
        }
        store.forget_order();
        Ok(waiting.insert(loaded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oncestream_core::serde::HasSerde;

    #[test]
    fn a_key_is_that_of_kafka_streams() {
        let serde = BufferKeySerde(String::serde());
        let key = BufferKey { time: 0x0102, key: "k".to_owned(), sequence: 3 };
        let mut bytes = Vec::new();
        serde.serialize(&key, &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 1, 2, b'k', 0, 0, 0, 3]);
        assert_eq!(serde.deserialize(&bytes).unwrap(), key);
        assert!(serde.deserialize(&bytes[..9]).is_err(), "it has no number");
        bytes[0] = 1;
        assert!(serde.deserialize(&bytes).is_err(), "it does not begin with a time");
    }
}
