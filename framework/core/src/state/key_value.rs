//! The key-value store: a typed overlay on a keyspace, with a timestamp beside each value.
//!
//! In the keyspace a value is its timestamp (8 bytes, big-endian) followed by its bytes; in the
//! changelog it is its bytes alone, and the timestamp is the record's, as in Kafka Streams.
//!
//! Invariants:
//! - A value that the serde calls null is a deletion. It is dropped wherever a value enters a
//!   slot or leaves the keyspace, so that nobody above needs to ask: no slot holds one.
//! - No slot has a null key: its bytes would be those of an empty key.
//! - No slot has a key larger than [`MAX_KEY_BYTES`]: it is refused with its record in hand, and not
//!   by the backend at a commit.
//! - No slot has a negative time: a changelog has no place for it, so it is 0 from the beginning.

use std::hash::Hash;
use std::sync::Arc;

use super::overlay::{Below, Overlay, SlotId};
use super::store::{ChangelogTarget, StateStore, StoreInit};
use super::{Keyspace, MAX_KEY_BYTES, WriteBatch};
use crate::error::{Part, TaskError};
use crate::record::{Headers, TimestampMs};
use crate::serde::{DynSerde, SerdeError, serialize_nullable};
use crate::task::{Collector, Origin, Outgoing};

/// The bytes of the timestamp before each value.
const TIMESTAMP_LEN: usize = 8;

/// A value with the time of the record that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueAndTimestamp<V> {
    /// The value.
    pub value: V,
    /// Event time.
    pub timestamp: TimestampMs,
}

/// What an update did.
#[derive(Debug)]
pub struct Update<V> {
    /// The value before; only if it was asked for.
    pub old: Option<V>,
    /// Whether there was a value before.
    pub existed: bool,
    /// The value after.
    pub new: Option<V>,
    /// The time of the value after.
    pub timestamp: TimestampMs,
}

/// A change of this commit that was not forwarded yet. Valid until the commit is sealed: its
/// slot is dirty until then.
#[derive(Debug)]
pub struct Pending<V> {
    slot: SlotId,
    old: Option<V>,
    existed: bool,
    headers: Headers,
}

/// One key's change over a whole commit, for the node to forward.
#[derive(Debug)]
pub struct Emission<K, V> {
    /// The key.
    pub key: K,
    /// What the commit did to it.
    pub update: Update<V>,
    /// The headers of the last record that changed it.
    pub headers: Headers,
}

/// A typed store of one task. Handed to nodes by the task that owns it.
pub struct KeyValueStore<K, V> {
    pub(super) init: StoreInit,
    pub(super) key_serde: DynSerde<K>,
    pub(super) value_serde: DynSerde<V>,
    pub(super) overlay: Overlay<K, V>,
    pending: Vec<Pending<V>>,
    /// Position in `pending` by slot, plus one; 0 for none.
    pending_of: Vec<u32>,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
}

impl<K: Hash + Eq + Clone, V: Clone> KeyValueStore<K, V> {
    /// A store on a keyspace.
    pub fn new(init: StoreInit, key_serde: DynSerde<K>, value_serde: DynSerde<V>) -> Self {
        let overlay = Overlay::new(init.budget.clone());
        Self {
            init,
            key_serde,
            value_serde,
            overlay,
            pending: Vec::new(),
            pending_of: Vec::new(),
            key_bytes: Vec::new(),
            value_bytes: Vec::new(),
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn get(&mut self, key: &K) -> Result<Option<ValueAndTimestamp<V>>, TaskError> {
        let id = self.load(key)?;
        let slot = self.overlay.slot(id);
        Ok(slot
            .value
            .as_ref()
            .map(|v| ValueAndTimestamp { value: v.clone(), timestamp: slot.timestamp }))
    }

    /// Sets a key; `None`, or a value that the serde calls null, deletes it.
    ///
    /// # Errors
    /// When the key's serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn put(
        &mut self,
        key: K,
        value: Option<V>,
        timestamp: TimestampMs,
    ) -> Result<(), TaskError> {
        let id = match self.overlay.find(&key) {
            Some(id) => id,
            None => {
                self.encode_key(&key)?;
                self.overlay.insert(key, Below::Unknown, None, timestamp)
            }
        };
        let slot = self.overlay.slot_mut(id);
        slot.value = value.filter(|v| !self.value_serde.is_null(v));
        slot.timestamp = timestamp.max(0);
        self.overlay.mark_dirty(id);
        Ok(())
    }

    /// Reads, computes and writes with one look-up. `f` gets the old value and its time, and
    /// gives the new ones. The old value is moved into `f`; it is kept only for `keep_old`.
    /// `None`, or a value that the serde calls null, deletes the key.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn update(
        &mut self,
        key: &K,
        keep_old: bool,
        f: impl FnOnce(Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<Update<V>, TaskError> {
        let (id, old, existed) = self.apply(key, keep_old, f)?;
        let slot = self.overlay.slot(id);
        Ok(Update { old, existed, new: slot.value.clone(), timestamp: slot.timestamp })
    }

    /// Like [`Self::update`], but the change is remembered for [`Self::take_pending`]. A
    /// deletion has the time of the record that caused it, whatever time `f` gives, as in the
    /// caches of Kafka Streams.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn update_cached(
        &mut self,
        key: &K,
        keep_old: bool,
        record_time: TimestampMs,
        headers: Headers,
        f: impl FnOnce(Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(), TaskError> {
        let id = self.load(key)?;
        let index = id as usize;
        let at = self.pending_of.get(index).copied().unwrap_or(0) as usize;
        // The old value to tell of is the one before the first change of this commit.
        let keep_old = keep_old && at == 0;
        let (old, existed) = self.apply_to(id, keep_old, f);
        let slot = self.overlay.slot_mut(id);
        if slot.value.is_none() {
            slot.timestamp = record_time.max(0);
        }
        if at > 0 {
            self.pending[at - 1].headers = headers;
        } else {
            self.pending.push(Pending { slot: id, old, existed, headers });
            if self.pending_of.len() <= index {
                self.pending_of.resize(index + 1, 0);
            }
            self.pending_of[index] = self.pending.len() as u32;
        }
        Ok(())
    }

    /// The changes since the last call, each key once, in the order of their first change. Ask
    /// [`Self::emission`] for each; the store is free to be used in between.
    pub fn take_pending(&mut self) -> Vec<Pending<V>> {
        for pending in &self.pending {
            self.pending_of[pending.slot as usize] = 0;
        }
        std::mem::take(&mut self.pending)
    }

    /// What to forward for a change; nothing for a key that was absent before and is absent now.
    pub fn emission(&self, pending: Pending<V>) -> Option<Emission<K, V>> {
        let slot = self.overlay.slot(pending.slot);
        if !pending.existed && slot.value.is_none() {
            return None;
        }
        Some(Emission {
            key: slot.key()?.clone(),
            update: Update {
                old: pending.old,
                existed: pending.existed,
                new: slot.value.clone(),
                timestamp: slot.timestamp,
            },
            headers: pending.headers,
        })
    }

    fn apply(
        &mut self,
        key: &K,
        keep_old: bool,
        f: impl FnOnce(Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(SlotId, Option<V>, bool), TaskError> {
        let id = self.load(key)?;
        let (old, existed) = self.apply_to(id, keep_old, f);
        Ok((id, old, existed))
    }

    fn apply_to(
        &mut self,
        id: SlotId,
        keep_old: bool,
        f: impl FnOnce(Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> (Option<V>, bool) {
        let slot = self.overlay.slot_mut(id);
        let old = slot.value.take();
        let kept = if keep_old { old.clone() } else { None };
        let existed = old.is_some();
        let timestamp = slot.timestamp;
        let (new, timestamp) = f(old.map(|value| ValueAndTimestamp { value, timestamp }));
        slot.value = new.filter(|v| !self.value_serde.is_null(v));
        slot.timestamp = timestamp.max(0);
        self.overlay.mark_dirty(id);
        (kept, existed)
    }

    /// The slot of a key, read from the backend if need be.
    fn load(&mut self, key: &K) -> Result<SlotId, TaskError> {
        if let Some(id) = self.overlay.find(key) {
            return Ok(id);
        }
        self.encode_key(key)?;
        let bytes = &self.key_bytes;
        let mut found = Ok(None);
        let mut len = 0;
        self.init
            .keyspace
            .get(bytes, &mut |stored| {
                len = stored.len();
                found = self.decode_value(stored);
            })
            .map_err(|source| TaskError::Backend { store: self.init.name.to_string(), source })?;
        let below = if len == 0 { Below::Absent } else { Below::Unknown };
        let (value, timestamp) = match found? {
            Some(v) => {
                self.overlay.learn_size(bytes.len() + len);
                (Some(v.value), v.timestamp)
            }
            None => (None, -1),
        };
        Ok(self.overlay.insert(key.clone(), below, value, timestamp))
    }

    /// The value of a pair of the keyspace; `None` for bytes that the serde reads as a null.
    pub(super) fn decode_value(
        &self,
        stored: &[u8],
    ) -> Result<Option<ValueAndTimestamp<V>>, TaskError> {
        let Some((timestamp, bytes)) = stored.split_first_chunk::<TIMESTAMP_LEN>() else {
            let e = SerdeError::Length {
                type_name: "a stored value",
                expected: TIMESTAMP_LEN,
                actual: stored.len(),
            };
            return Err(self.serde_error(Part::Value, e));
        };
        let value =
            self.value_serde.deserialize(bytes).map_err(|e| self.serde_error(Part::Value, e))?;
        let timestamp = i64::from_be_bytes(*timestamp);
        Ok((!self.value_serde.is_null(&value)).then_some(ValueAndTimestamp { value, timestamp }))
    }

    /// Writes the bytes of a key that is about to get a slot into their buffer.
    fn encode_key(&mut self, key: &K) -> Result<(), TaskError> {
        let present = serialize_nullable(&*self.key_serde, key, &mut self.key_bytes)
            .map_err(|e| self.serde_error(Part::Key, e))?;
        if !present {
            return Err(TaskError::NullKey { store: self.init.name.to_string() });
        }
        self.check_length(self.key_bytes.len())
    }

    pub(super) fn serde_error(&self, part: Part, source: SerdeError) -> TaskError {
        TaskError::StoreSerde { store: self.init.name.to_string(), part, source }
    }

    /// Serialises one slot into the two buffers; false when the value is a deletion.
    fn encode(&mut self, id: SlotId) -> Result<bool, TaskError> {
        let slot = self.overlay.slot(id);
        let Some(key) = slot.key() else { return Ok(false) };
        serialize_nullable(&*self.key_serde, key, &mut self.key_bytes).map_err(|e| {
            TaskError::StoreSerde { store: self.init.name.to_string(), part: Part::Key, source: e }
        })?;
        match &slot.value {
            None => Ok(false),
            Some(v) => {
                serialize_nullable(&*self.value_serde, v, &mut self.value_bytes).map_err(|e| {
                    TaskError::StoreSerde {
                        store: self.init.name.to_string(),
                        part: Part::Value,
                        source: e,
                    }
                })
            }
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> StateStore for KeyValueStore<K, V> {
    fn name(&self) -> &Arc<str> {
        &self.init.name
    }

    fn keyspace_name(&self) -> &Arc<str> {
        &self.init.keyspace_name
    }

    fn changelog(&self) -> Option<&ChangelogTarget> {
        self.init.changelog.as_ref()
    }

    fn seal(
        &mut self,
        collector: &mut dyn Collector,
        batch: &mut WriteBatch,
    ) -> Result<(), TaskError> {
        for at in 0..self.overlay.active().len() {
            let id = self.overlay.active()[at];
            if self.overlay.slot(id).is_nothing_new() {
                continue;
            }
            let present = self.encode(id)?;
            let timestamp = self.overlay.slot(id).timestamp;
            let value = present.then_some(&self.value_bytes[..]);
            if let Some(target) = &self.init.changelog {
                let record = Outgoing {
                    topic: &target.topic,
                    partition: Some(target.partition),
                    key: Some(&self.key_bytes),
                    value,
                    timestamp,
                    headers: &Headers::default(),
                    origin: Origin::Changelog(target.id),
                };
                collector.send(&record).map_err(|source| TaskError::Send {
                    topic: target.topic.to_string(),
                    source,
                })?;
            }
            self.restore(&self.key_bytes, value, timestamp, batch)?;
            let len = self.key_bytes.len() + if present { self.value_bytes.len() } else { 0 };
            self.overlay.learn_size(len);
        }
        self.overlay.seal();
        Ok(())
    }

    fn committed(&mut self) {
        self.overlay.release();
    }

    fn restore(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: TimestampMs,
        batch: &mut WriteBatch,
    ) -> Result<(), TaskError> {
        self.check_length(key.len())?;
        match value {
            Some(value) => {
                batch.put_parts(&self.init.keyspace_name, key, &[&timestamp.to_be_bytes(), value]);
            }
            None => batch.delete(&self.init.keyspace_name, key),
        }
        Ok(())
    }

    fn uncommitted_bytes(&self) -> usize {
        self.overlay.active_bytes()
    }
}

impl<K, V> KeyValueStore<K, V> {
    fn check_length(&self, length: usize) -> Result<(), TaskError> {
        let limit = MAX_KEY_BYTES;
        if length <= limit {
            return Ok(());
        }
        Err(TaskError::KeyTooLarge { store: self.init.name.to_string(), length, limit })
    }

    pub(super) fn keyspace(&self) -> &dyn Keyspace {
        &*self.init.keyspace
    }
}
