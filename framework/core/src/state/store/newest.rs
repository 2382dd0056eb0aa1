//! The newest version of each key of a versioned store, in memory: what most reads and writes need.
//!
//! It lies in a slot of its own, beside those of versions. Nobody marks it dirty, so it goes with the clock
//! algorithm, and is found again by the last row of its key.
//!
//! Invariant: what the slot says is what the rows and the uncommitted slots say. No version that is newer
//! is written but through [`Store::put_version`].

use std::hash::Hash;
use std::ops::Bound;

use super::Store;
use crate::error::TaskError;
use crate::record::TimestampMs;
use crate::state::kinds::versioned::{between, version_time};
use crate::state::order::Direction;
use crate::state::overlay::{Below, SlotId};
use crate::state::{ValueAndTimestamp, VersionKey, VersionPut, Versioned};

/// In place of the time of a version: the newest one. No version begins before 0.
const NEWEST: TimestampMs = -1;

/// The key of a slot, borrowed: it hashes as a [`VersionKey`].
#[derive(Hash)]
struct SlotKey<'a, K> {
    key: &'a K,
    from: TimestampMs,
}

impl<K: Hash + Eq + Clone, V: Clone> Store<K, V, Versioned> {
    /// Sets the value of a key from this time on, until its next version; `None`, or a value that the
    /// serde calls null, deletes it. A version of the same time is replaced.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn put_version(
        &mut self,
        key: K,
        value: Option<V>,
        timestamp: TimestampMs,
    ) -> Result<VersionPut, TaskError> {
        let (from, value) = (timestamp.max(0), self.present(value));
        let newest = self.newest_slot(&key)?;
        if from < self.kind.first_shown() {
            return Ok(VersionPut::Expired);
        }
        let slot = self.overlay.slot_mut(newest);
        let known = slot.timestamp;
        if from >= known {
            slot.value.clone_from(&value);
            slot.timestamp = from;
            self.put(VersionKey { key, from }, value, from)?;
            return Ok(VersionPut::Newest);
        }
        let newest = slot.value.clone();
        let valid_to = self.next_version(&key, from)?.unwrap_or(known);
        self.put_older(key, value, from, (newest, known))?;
        Ok(VersionPut::Older { valid_to })
    }

    /// Puts a version behind a newer one. That goes to the changelog behind it once more.
    fn put_older(
        &mut self,
        key: K,
        value: Option<V>,
        from: TimestampMs,
        (newest, known): (Option<V>, TimestampMs),
    ) -> Result<(), TaskError> {
        let is_active = |store: &mut Self, key: &VersionKey<K>| {
            let id = store.overlay.find(store.overlay.hash(key), key)?;
            store.overlay.slot(id).is_active().then_some(id)
        };
        let older = VersionKey { key, from };
        let newer = VersionKey { key: older.key.clone(), from: known };
        let was_written = is_active(self, &older).is_some();
        self.put(older, value, from)?;
        if was_written {
            return Ok(());
        }
        match is_active(self, &newer) {
            Some(id) => self.overlay.tell_again(id),
            None => {
                self.put(newer, newest, known)?;
            }
        }
        Ok(())
    }

    /// The value, if it is one: `None` for what the serde calls null.
    pub fn present(&self, value: Option<V>) -> Option<V> {
        value.filter(|value| !self.is_null(value))
    }

    /// The newest value of a key, and when it begins; `None` if the newest version is a deletion.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn newest(&mut self, key: &K) -> Result<Option<ValueAndTimestamp<V>>, TaskError> {
        self.as_of(key, TimestampMs::MAX)
    }

    /// The value of a key as of a time, and when it begins. Of a time that the history does not reach, it
    /// is the newest value or none.
    ///
    /// # Errors
    /// As [`Self::newest`].
    pub fn as_of(
        &mut self,
        key: &K,
        timestamp: TimestampMs,
    ) -> Result<Option<ValueAndTimestamp<V>>, TaskError> {
        self.with_as_of(key, timestamp, |found| {
            found.map(|(value, timestamp)| ValueAndTimestamp { value: value.clone(), timestamp })
        })
    }

    /// What `f` makes of the value of a key as of a time, which it is lent: see [`Self::as_of`].
    ///
    /// # Errors
    /// As [`Self::newest`].
    pub fn with_as_of<R>(
        &mut self,
        key: &K,
        timestamp: TimestampMs,
        f: impl FnOnce(Option<(&V, TimestampMs)>) -> R,
    ) -> Result<R, TaskError> {
        let id = self.newest_slot(key)?;
        let slot = self.overlay.slot(id);
        if slot.timestamp <= timestamp {
            return Ok(f(slot.value.as_ref().map(|value| (value, slot.timestamp))));
        }
        if timestamp < self.kind.first_shown() {
            return Ok(f(None));
        }
        let found = self.version_row(key, Bound::Included(timestamp))?;
        Ok(f(found.as_ref().and_then(|(value, from)| value.as_ref().map(|value| (value, *from)))))
    }

    /// The slot of the newest version of a key; its time is [`NEWEST`] if there is none.
    fn newest_slot(&mut self, key: &K) -> Result<SlotId, TaskError> {
        self.recall()?;
        let hash = self.overlay.hash_as(&SlotKey { key, from: NEWEST });
        let is_it = |known: &VersionKey<K>| known.from == NEWEST && known.key == *key;
        if let Some(id) = self.overlay.find_as(hash, is_it) {
            return Ok(id);
        }
        let slot_key = VersionKey { key: key.clone(), from: NEWEST };
        self.encode_key(&slot_key)?;
        let (value, from) = self.version_row(key, Bound::Unbounded)?.unwrap_or((None, NEWEST));
        Ok(self.overlay.insert(hash, slot_key, Below::Unknown, value, from))
    }

    /// When the version of a key begins that follows a time.
    fn next_version(&self, key: &K, from: TimestampMs) -> Result<Option<TimestampMs>, TaskError> {
        let Some(key) = self.bound_bytes(key)? else { return Ok(None) };
        let bounds = between(&key, Bound::Excluded(from), Bound::Unbounded);
        let row = self.history(&bounds, Direction::Forwards).next().transpose()?;
        Ok(row.map(|row| version_time(&row.row_key)))
    }

    /// The last version of a key up to a time: its value, and when it begins.
    fn version_row(
        &self,
        key: &K,
        to: Bound<TimestampMs>,
    ) -> Result<Option<(Option<V>, TimestampMs)>, TaskError> {
        let Some(key) = self.bound_bytes(key)? else { return Ok(None) };
        let bounds = between(&key, Bound::Unbounded, to);
        let row = self.history(&bounds, Direction::Backwards).next().transpose()?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((self.value_of(&row)?, version_time(&row.row_key))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_borrowed_key_hashes_as_one_that_is_owned() {
        use std::hash::{BuildHasher, RandomState};
        let hasher = RandomState::new();
        let owned = VersionKey { key: "k".to_owned(), from: 7 };
        let borrowed = SlotKey { key: &"k".to_owned(), from: 7 };
        assert_eq!(hasher.hash_one(&owned), hasher.hash_one(&borrowed));
    }
}
