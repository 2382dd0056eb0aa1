//! The store: its parts put together, over a kind. What a task does with it is in `commit`.
//!
//! In the keyspace a row is the time of a value and its bytes; in the changelog it is its bytes
//! alone, and the time is the record's, as in Kafka Streams.
//!
//! Invariants:
//! - A value that the serde calls null is a deletion. It is dropped wherever a value enters a
//!   slot or leaves the keyspace, so that nobody above needs to ask: no slot holds one.
//! - No slot has a null key: its bytes would be those of an empty key.
//! - No slot has a key larger than [`MAX_KEY_BYTES`](super::MAX_KEY_BYTES): it is refused with its
//!   record in hand, and not by the backend at a commit.
//! - No slot has a negative time: a changelog has no place for it, so it is 0 from the beginning.
//! - Once there is an order, each slot in a layer is in it, under its row key.

mod commit;
mod expire;
mod history;
mod newest;

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Arc;

use super::changelog::ChangelogWriter;
use super::codec::RowCodec;
use super::expiry::ExpiryIndex;
use super::instance::StoreInit;
use super::kinds::Kind;
use super::kinds::window::Recent;
use super::order::{Bounds, Direction, Order};
use super::overlay::{Below, Overlay, SlotId};
use super::pending::{Emission, Pending, PendingChanges, Update};
use super::range::{Parts, RangeIter, RowFilter};
use super::rows::Rows;
use super::{KeyValue, Keyspace, SealedLayer};
use crate::error::{Part, TaskError};
use crate::record::{Headers, TimestampMs};
use crate::serde::DynSerde;

/// A value with the time of the record that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueAndTimestamp<V> {
    /// The value.
    pub value: V,
    /// Event time.
    pub timestamp: TimestampMs,
}

/// A typed store of one task, of some kind. Handed to nodes by the task that owns it.
pub struct Store<K, V, Kd: Kind<K> = KeyValue> {
    keyspace_name: Arc<str>,
    keyspace: Arc<dyn Keyspace>,
    codec: RowCodec<K, V>,
    pub(super) kind: Kd,
    /// The note of the kind was read.
    is_noted: bool,
    overlay: Overlay<Kd::Key, V>,
    order: OnceCell<Order>,
    pending: PendingChanges<V>,
    changelog: ChangelogWriter,
    /// The rows of the sealed layers; `None` for one without rows.
    layers: VecDeque<Option<Arc<SealedLayer>>>,
    /// For the next layer.
    spare: Rows,
    /// Of a store with a time to live, once it was opened.
    index: Option<Box<ExpiryIndex>>,
    /// Of a window store that keeps duplicates, once it was used.
    pub(super) recent: Option<Box<Recent>>,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
}

impl<K, V: Clone, Kd: Kind<K>> Store<K, V, Kd>
where
    Kd::Key: Hash + Eq + Clone,
{
    /// A store of a kind on a keyspace.
    pub fn of_kind(
        kind: Kd,
        init: StoreInit,
        key_serde: DynSerde<K>,
        value_serde: DynSerde<V>,
    ) -> Self {
        let StoreInit { name, keyspace_name, keyspace, changelog, serde_topic, budget } = init;
        Self {
            keyspace_name,
            keyspace,
            codec: RowCodec::new(name, serde_topic, key_serde, value_serde),
            order: if kind.scans() { OnceCell::from(Order::new()) } else { OnceCell::new() },
            kind,
            is_noted: false,
            overlay: Overlay::new(budget),
            pending: PendingChanges::new(),
            changelog: ChangelogWriter::new(changelog),
            layers: VecDeque::new(),
            spare: Rows::default(),
            index: None,
            recent: None,
            key_bytes: Vec::new(),
            value_bytes: Vec::new(),
        }
    }

    /// Gives headers to each of its changelog's records that is not a tombstone, for a format that
    /// says so there. A restore does not look at them.
    #[must_use]
    pub fn with_changelog_headers(mut self, headers: Headers) -> Self {
        self.changelog.set_headers(headers);
        self
    }

    /// Stops keeping uncommitted rows in order, which the first range began, for a store of which no
    /// further range is read.
    pub fn forget_order(&mut self) {
        if !self.kind.scans() {
            self.order = OnceCell::new();
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn get(&mut self, key: &Kd::Key) -> Result<Option<ValueAndTimestamp<V>>, TaskError> {
        let found = self.lend(key)?;
        Ok(found.map(|(value, timestamp)| ValueAndTimestamp { value: value.clone(), timestamp }))
    }

    /// The value of a key and its time, without a copy.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn lend(&mut self, key: &Kd::Key) -> Result<Option<(&V, TimestampMs)>, TaskError> {
        self.recall()?;
        if !self.kind.is_live(key) {
            return Ok(None);
        }
        let id = self.load(key)?;
        let slot = self.overlay.slot(id);
        let live = slot.value.as_ref().filter(|_| self.kind.is_value_live(slot.timestamp));
        Ok(live.map(|value| (value, slot.timestamp)))
    }

    /// Whether a change of the key waits to be told with the commit: see [`Self::update_cached`].
    pub fn is_untold(&mut self, key: &Kd::Key) -> bool {
        let hash = self.overlay.hash(key);
        let found = self.overlay.find(hash, key);
        found.is_some_and(|id| !self.overlay.slot(id).last_change.is_none())
    }

    /// Takes notice of the time of a record that has come to the store: by it values expire, where they
    /// have a time to live. Call it before the record is worked on.
    #[inline]
    pub fn observe(&mut self, time: TimestampMs) {
        self.kind.observe(time);
    }

    /// Whether it forgets values without telling anybody.
    pub fn forgets_values(&self) -> bool {
        self.kind.time_to_live().is_some()
    }

    /// Whether a row of this key would be shown. One that has expired is not, and is not written.
    ///
    /// # Errors
    /// When the backend fails.
    #[inline]
    pub fn is_live(&mut self, key: &Kd::Key) -> Result<bool, TaskError> {
        self.recall()?;
        Ok(self.kind.is_live(key))
    }

    /// Sets a key; `None`, or a value that the serde calls null, deletes it. False if that is too
    /// late, because the row has expired already: nothing is changed.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn put(
        &mut self,
        key: Kd::Key,
        value: Option<V>,
        timestamp: TimestampMs,
    ) -> Result<bool, TaskError> {
        self.recall()?;
        let hash = self.overlay.hash(&key);
        let found = self.overlay.find(hash, &key);
        if found.is_none() {
            self.encode_key(&key)?;
        }
        if !self.kind.admit(&key) {
            return Ok(false);
        }
        let id = match found {
            Some(id) => id,
            None => self.overlay.insert(hash, key, Below::Unknown, None, timestamp),
        };
        let slot = self.overlay.slot_mut(id);
        slot.value = value.filter(|v| !self.codec.is_null(v));
        slot.timestamp = timestamp.max(0);
        self.mark_dirty(id, found.is_none())?;
        Ok(true)
    }

    /// Deletes a key if it has a value; whether it had one. `timestamp` is that of the deletion.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn delete_present(
        &mut self,
        key: &Kd::Key,
        timestamp: TimestampMs,
    ) -> Result<bool, TaskError> {
        self.recall()?;
        if !self.kind.is_live(key) {
            return Ok(false);
        }
        let id = self.load(key)?;
        let slot = self.overlay.slot_mut(id);
        if slot.value.is_none() || !self.kind.is_value_live(slot.timestamp) {
            return Ok(false);
        }
        slot.value = None;
        slot.timestamp = timestamp.max(0);
        self.mark_dirty(id, false)?;
        Ok(true)
    }

    /// Reads, computes and writes with one look-up. `f` gets the old value and its time, and
    /// gives the new ones. The old value is moved into `f`; it is kept only for `keep_old`.
    /// `None`, or a value that the serde calls null, deletes the key. A row that has expired has no
    /// old value, and keeps no new one.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn update(
        &mut self,
        key: &Kd::Key,
        keep_old: bool,
        f: impl FnOnce(Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<Update<V>, TaskError> {
        if !self.admit(key)? {
            let (_, timestamp) = f(None);
            return Ok(Update { old: None, new: None, timestamp });
        }
        let id = self.load(key)?;
        let (old, _) = self.apply_to(id, keep_old, |_, old| f(old));
        self.mark_dirty(id, false)?;
        let slot = self.overlay.slot(id);
        Ok(Update { old, new: slot.value.clone(), timestamp: slot.timestamp })
    }

    /// Sets a key with one look-up, unless `keeps` says that its value, which has this time, is to stay.
    /// True if it was set.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn set_unless(
        &mut self,
        key: &Kd::Key,
        keeps: impl FnOnce(&V, TimestampMs) -> bool,
        value: V,
        timestamp: TimestampMs,
    ) -> Result<bool, TaskError> {
        if !self.admit(key)? {
            return Ok(false);
        }
        let id = self.load(key)?;
        let slot = self.overlay.slot_mut(id);
        let live = slot.value.as_ref().filter(|_| self.kind.is_value_live(slot.timestamp));
        if live.is_some_and(|value| keeps(value, slot.timestamp)) {
            return Ok(false);
        }
        slot.value = Some(value).filter(|value| !self.codec.is_null(value));
        slot.timestamp = timestamp.max(0);
        self.mark_dirty(id, false)?;
        Ok(true)
    }

    /// Like [`Self::update`], but the change is remembered for [`Self::take_pending`]. A
    /// deletion has the time of the record that caused it, whatever time `f` gives, as in the
    /// caches of Kafka Streams.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn update_cached(
        &mut self,
        key: Kd::Key,
        keep_old: bool,
        record_time: TimestampMs,
        headers: Headers,
        f: impl FnOnce(&Kd::Key, Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(), TaskError> {
        if !self.admit(&key)? {
            return Ok(());
        }
        let id = self.load_owned(key)?;
        // The old value to tell of is the one before the first change of this commit.
        let known = self.overlay.slot(id).last_change;
        let (old, existed) = self.apply_timed(id, keep_old && known.is_none(), record_time, f)?;
        self.overlay.slot_mut(id).last_change = if known.is_none() {
            // What has expired was not told of: its deletion is.
            let existed = existed || self.forgets_values();
            self.pending.add(Pending { slot: id, old, existed, headers, last: 0 })
        } else {
            self.pending.change_again(id, known, headers)
        };
        Ok(())
    }

    /// [`Self::update_cached`] where nobody will ask for the change.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn update_untold(
        &mut self,
        key: Kd::Key,
        record_time: TimestampMs,
        f: impl FnOnce(&Kd::Key, Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(), TaskError> {
        if self.admit(&key)? {
            let id = self.load_owned(key)?;
            self.apply_timed(id, false, record_time, f)?;
        }
        Ok(())
    }

    /// The changes since the last call, each key once, in the order of their last change. Ask
    /// [`Self::emission`] for each; the store is free to be used in between.
    pub fn take_pending(&mut self) -> Vec<Pending<V>> {
        let overlay = &mut self.overlay;
        self.pending.take(|slot| std::mem::take(&mut overlay.slot_mut(slot).last_change))
    }

    /// Takes the list of [`Self::take_pending`] back, when all of it was told, for its memory.
    pub fn recycle(&mut self, told: Vec<Pending<V>>) {
        self.pending.recycle(told);
    }

    /// What to forward for a change; nothing for a key that was absent before and is absent now.
    pub fn emission(&self, pending: Pending<V>) -> Option<Emission<Kd::Key, V>> {
        let slot = self.overlay.slot(pending.slot);
        if !pending.existed && slot.value.is_none() {
            return None;
        }
        let (old, new, timestamp) = (pending.old, slot.value.clone(), slot.timestamp);
        let update = Update { old, new, timestamp };
        Some(Emission { key: slot.key()?.clone(), update, headers: pending.headers })
    }

    /// Whether the serde of the values calls this one null.
    pub(super) fn is_null(&self, value: &V) -> bool {
        self.codec.is_null(value)
    }

    /// Ranges of rows one behind the other, with what is not committed yet. The kinds make their
    /// own ways to read of it.
    pub(super) fn scan<'a>(
        &'a self,
        ranges: Vec<Bounds>,
        direction: Direction,
        filter: Option<RowFilter<'a>>,
    ) -> Result<RangeIter<'a, K, V, Kd>, TaskError> {
        let order = match self.order.get() {
            Some(order) => order,
            None => {
                let order = self.ordered()?;
                self.order.get_or_init(|| order)
            }
        };
        let Self { kind, codec, overlay, keyspace, .. } = self;
        let parts = Parts { kind, codec, overlay, order, keyspace: &**keyspace };
        Ok(RangeIter::new(parts, ranges, direction, filter))
    }

    /// The bytes of a row's key.
    pub(super) fn row_key(&self, key: &Kd::Key) -> Result<Vec<u8>, TaskError> {
        let mut bytes = Vec::new();
        encode(&self.kind, &self.codec, Some(key), &mut bytes)?;
        Ok(bytes)
    }

    /// The user's key of a row; `None` for a row key of another form.
    pub(super) fn user_key(&self, row_key: &[u8]) -> Result<Option<K>, TaskError> {
        let bytes = self.kind.user_bytes(row_key);
        bytes.map(|bytes| self.codec.read_key(bytes)).transpose()
    }

    /// The bytes of a bound; `None` for a null.
    pub(super) fn bound_bytes(&self, key: &K) -> Result<Option<Vec<u8>>, TaskError> {
        let mut bytes = Vec::new();
        Ok(self.codec.write_bound(key, &mut bytes)?.then_some(bytes))
    }

    /// Reads the note of the kind, if it has one and that was not done. It cannot be done when the
    /// store is made: a restore comes after that.
    #[inline]
    pub(super) fn recall(&mut self) -> Result<(), TaskError> {
        if Kd::NOTE.is_none() || self.is_noted {
            return Ok(());
        }
        self.read_note()
    }

    #[cold]
    fn read_note(&mut self) -> Result<(), TaskError> {
        self.kind = with_note(&self.kind, &*self.keyspace, &self.codec)?;
        self.is_noted = true;
        Ok(())
    }

    /// Takes notice of a write; false if it is too late.
    #[inline]
    fn admit(&mut self, key: &Kd::Key) -> Result<bool, TaskError> {
        self.recall()?;
        Ok(self.kind.admit(key))
    }

    fn apply_to(
        &mut self,
        id: SlotId,
        keep_old: bool,
        f: impl FnOnce(&Kd::Key, Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> (Option<V>, bool) {
        let Some((key, value, timestamp)) = self.overlay.slot_mut(id).parts_mut() else {
            return (None, false);
        };
        let old = value.take().filter(|_| self.kind.is_value_live(*timestamp));
        let kept = if keep_old { old.clone() } else { None };
        let existed = old.is_some();
        let old = old.map(|value| ValueAndTimestamp { value, timestamp: *timestamp });
        let (new, time) = f(key, old);
        *value = new.filter(|v| !self.codec.is_null(v));
        *timestamp = time.max(0);
        (kept, existed)
    }

    /// [`Self::apply_to`], but a deletion has the time of its record. The slot is then dirty.
    fn apply_timed(
        &mut self,
        id: SlotId,
        keep_old: bool,
        record_time: TimestampMs,
        f: impl FnOnce(&Kd::Key, Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(Option<V>, bool), TaskError> {
        let told = self.apply_to(id, keep_old, f);
        let slot = self.overlay.slot_mut(id);
        if slot.value.is_none() {
            slot.timestamp = record_time.max(0);
        }
        self.mark_dirty(id, false)?;
        Ok(told)
    }

    /// Puts a slot into the active layer, and into the order if there is one. `encoded` says that
    /// its row key is in the buffer.
    #[inline]
    fn mark_dirty(&mut self, id: SlotId, encoded: bool) -> Result<(), TaskError> {
        if self.overlay.mark_dirty(id) && self.order.get().is_some() {
            return self.put_in_order(id, encoded);
        }
        Ok(())
    }

    #[inline(never)]
    fn put_in_order(&mut self, id: SlotId, encoded: bool) -> Result<(), TaskError> {
        if !encoded {
            encode(&self.kind, &self.codec, self.overlay.slot(id).key(), &mut self.key_bytes)?;
        }
        if let Some(order) = self.order.get_mut() {
            order.insert(self.key_bytes.clone(), id);
        }
        Ok(())
    }

    /// All uncommitted slots by row key.
    fn ordered(&self) -> Result<Order, TaskError> {
        let mut order = Order::new();
        for id in self.overlay.uncommitted() {
            let mut bytes = Vec::new();
            encode(&self.kind, &self.codec, self.overlay.slot(id).key(), &mut bytes)?;
            order.insert(bytes, id);
        }
        Ok(order)
    }

    /// The slot of a key, read from the backend if need be.
    fn load(&mut self, key: &Kd::Key) -> Result<SlotId, TaskError> {
        let hash = self.overlay.hash(key);
        if let Some(id) = self.overlay.find(hash, key) {
            return Ok(id);
        }
        let (below, value, timestamp) = self.read(key)?;
        Ok(self.overlay.insert(hash, key.clone(), below, value, timestamp))
    }

    /// [`Self::load`] for a key that nobody needs afterwards.
    fn load_owned(&mut self, key: Kd::Key) -> Result<SlotId, TaskError> {
        let hash = self.overlay.hash(&key);
        if let Some(id) = self.overlay.find(hash, &key) {
            return Ok(id);
        }
        let (below, value, timestamp) = self.read(&key)?;
        Ok(self.overlay.insert(hash, key, below, value, timestamp))
    }

    /// What the backend has for a key.
    fn read(&mut self, key: &Kd::Key) -> Result<(Below, Option<V>, TimestampMs), TaskError> {
        self.encode_key(key)?;
        let mut found = Ok(None);
        let mut len = 0;
        self.keyspace
            .get(&self.key_bytes, &mut |stored| {
                len = stored.len();
                if !(Kd::KEEPS_DELETIONS && stored.is_empty()) {
                    found = self.codec.read_row(stored);
                }
            })
            .map_err(|e| self.codec.backend_error(e))?;
        let below = if len == 0 { Below::Absent } else { Below::Unknown };
        Ok(match found? {
            Some(v) => {
                self.overlay.learn_size(self.key_bytes.len() + len);
                (below, Some(v.value), v.timestamp)
            }
            None => (below, None, -1),
        })
    }

    /// Writes the row key of a key that is about to get a slot into its buffer.
    fn encode_key(&mut self, key: &Kd::Key) -> Result<(), TaskError> {
        encode(&self.kind, &self.codec, Some(key), &mut self.key_bytes)
    }
}

/// Writes a row key into an emptied buffer.
fn encode<K, V, Kd: Kind<K>>(
    kind: &Kd,
    codec: &RowCodec<K, V>,
    key: Option<&Kd::Key>,
    out: &mut Vec<u8>,
) -> Result<(), TaskError> {
    let Some(key) = key else { return Ok(()) };
    codec.write_key(Kd::user_key(key), Kd::FRAME, out)?;
    kind.frame(key, out);
    Ok(())
}

/// The kind with the note of a keyspace.
fn with_note<K, V, Kd: Kind<K>>(
    kind: &Kd,
    keyspace: &dyn Keyspace,
    codec: &RowCodec<K, V>,
) -> Result<Kd, TaskError> {
    let mut kind = kind.clone();
    let Some(note) = Kd::NOTE else { return Ok(kind) };
    let mut read = None;
    keyspace
        .get(note, &mut |bytes| read = Some(kind.read_note(Some(bytes))))
        .map_err(|e| codec.backend_error(e))?;
    let read = read.unwrap_or_else(|| kind.read_note(None));
    read.map_err(|e| codec.error(Part::Value, e))?;
    Ok(kind)
}
