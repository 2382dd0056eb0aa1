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
//! In memory are the time of the first one and the next sequence number, both from one scan of the store
//! when the task needs it first. The sequence keeps records of one key and time apart, in their order.

use std::cell::RefCell;
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

pub(super) struct Buffer<K, V> {
    store: Rc<RefCell<BufferStore<K, V>>>,
    known: Option<Known>,
}

/// What is known of the records in the store.
#[derive(Clone, Copy)]
struct Known {
    first_time: Option<TimestampMs>,
    next_sequence: u32,
}

impl<K: StoreKey, V: Data> Buffer<K, V> {
    pub(super) fn new(store: Rc<RefCell<BufferStore<K, V>>>) -> Self {
        Self { store, known: None }
    }

    pub(super) fn put(&mut self, record: Record<K, V>, origin: Origin) -> Result<(), TaskError> {
        let Known { first_time, next_sequence } = self.load()?;
        let Record { key, value, timestamp, headers } = record;
        let time = timestamp.max(0);
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
        let key = BufferKey { time, key, sequence: next_sequence };
        self.store.borrow_mut().put(key, Some(entry), timestamp)?;
        self.known = Some(Known {
            first_time: Some(first_time.map_or(time, |first| first.min(time))),
            next_sequence: if next_sequence < LAST_SEQUENCE { next_sequence + 1 } else { 0 },
        });
        Ok(())
    }

    /// Takes out what is not later than `due`, the earliest first. `now` is the time of the deletions in
    /// the changelog.
    pub(super) fn take_due(
        &mut self,
        due: TimestampMs,
        now: TimestampMs,
    ) -> Result<Vec<Record<K, V>>, TaskError> {
        let known = self.load()?;
        if known.first_time.is_none_or(|first| first > due) {
            return Ok(Vec::new());
        }
        let (mut taken, mut rest) = (Vec::new(), None);
        let mut store = self.store.borrow_mut();
        for waiting in store.all()? {
            let (key, found) = waiting?;
            if key.time > due {
                rest = Some(key.time);
                break;
            }
            taken.push((key, found.value));
        }
        let mut records = Vec::with_capacity(taken.len());
        for (key, entry) in taken {
            let Entry { timestamp, headers, new, .. } = entry;
            let record =
                new.map(|value| Record { key: key.key.clone(), value, timestamp, headers });
            records.extend(record);
            store.put(key, None, now)?;
        }
        drop(store);
        self.known = Some(Known { first_time: rest, ..known });
        Ok(records)
    }

    fn load(&mut self) -> Result<Known, TaskError> {
        if let Some(known) = self.known {
            return Ok(known);
        }
        let mut known = Known { first_time: None, next_sequence: 1 };
        for waiting in self.store.borrow().all()? {
            let (key, _) = waiting?;
            known.first_time.get_or_insert(key.time);
            known.next_sequence = known.next_sequence.max(key.sequence.saturating_add(1));
        }
        self.known = Some(known);
        Ok(known)
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
        assert!(serde.deserialize(&bytes[1..]).is_err() && serde.deserialize(&bytes[..9]).is_err());
    }
}
