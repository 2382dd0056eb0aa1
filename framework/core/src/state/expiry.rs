//! Which rows of a store with a time to live may have expired: an index beside the store, in a keyspace of
//! its own.
//!
//! An index row is a time and the key of a row, and has no value. The time is that of the row or a little
//! later ([`TimeToLive::due`]). When values of that time have expired the row has expired too, unless it was
//! written again: then it has another index row. So an index row that is met is dropped, and whether its
//! row goes with it is said by the row's own time. A time is one of values, not of their expiry: so an
//! index stays right when the time to live is changed.
//!
//! The index is made of the rows and is in no changelog. Where it is not there it is made anew.
//!
//! Invariants:
//! - Each row has an index row whose time is not before its own, but for keys that are too long for one. It
//!   goes down in the batch of the row.
//! - No index row is written before one that was met already: what is sealed and not yet in the backend is
//!   not passed.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use super::kinds::time_to_live::TimeToLive;
use super::rows::{BatchOp, Rows};
use super::{Backend, BackendError, Keyspace, MAX_KEY_BYTES, WriteBatch};
use crate::record::TimestampMs;

/// Behind all index rows, whose times are not negative: the index is complete.
const NOTE_KEY: &[u8] = &[0xff];
const NOTE_VERSION: u8 = 1;
const TIME_LEN: usize = 8;
/// How many index rows are written at once while an index is made.
const MADE_AT_ONCE: usize = 10_000;

/// The name of the keyspace with the index of the store in another one.
pub fn index_keyspace(keyspace: &str) -> String {
    format!("{keyspace}-expiry")
}

/// The time of a row.
pub(crate) fn time_of(row: &[u8]) -> Option<TimestampMs> {
    row.first_chunk().map(|time| i64::from_be_bytes(*time))
}

/// The rows of a store by when they may have expired.
pub(crate) struct ExpiryIndex {
    name: Arc<str>,
    keyspace: Arc<dyn Keyspace>,
    /// The last index row that was met.
    met: Option<Vec<u8>>,
    /// Until values of this time have expired, there is no index row to be met.
    next: TimestampMs,
    /// Of each seal that is not in the backend yet: the first time whose values were live. Its index rows
    /// are not before that.
    sealed: VecDeque<TimestampMs>,
    key_bytes: Vec<u8>,
}

impl ExpiryIndex {
    /// Opens the index of the store in this keyspace, and makes it if it is not there.
    pub(crate) fn open(
        backend: &dyn Backend,
        keyspace_name: &str,
        rows: &dyn Keyspace,
        ttl: &TimeToLive,
        time_of: impl Fn(&[u8], &[u8]) -> Option<TimestampMs>,
    ) -> Result<Self, BackendError> {
        let name: Arc<str> = index_keyspace(keyspace_name).into();
        let mut keyspace = backend.keyspace(&name)?;
        let mut note = None;
        keyspace.get(NOTE_KEY, &mut |found| note = Some(found == [NOTE_VERSION]))?;
        if note == Some(false) {
            backend.drop_keyspace(&name)?;
            keyspace = backend.keyspace(&name)?;
        }
        let (sealed, key_bytes) = (VecDeque::new(), Vec::new());
        let mut index = Self { name, keyspace, met: None, next: 0, sealed, key_bytes };
        if note != Some(true) {
            index.make(backend, rows, ttl, time_of)?;
        }
        Ok(index)
    }

    /// Drops the index of the store in this keyspace, if there is one.
    pub(crate) fn drop_of(backend: &dyn Backend, keyspace_name: &str) -> Result<(), BackendError> {
        let name = index_keyspace(keyspace_name);
        if backend.keyspace_names().contains(&name) {
            tracing::info!(
                store = keyspace_name,
                "the store has no time to live any more: its index of expiry is dropped"
            );
            backend.drop_keyspace(&name)?;
        }
        Ok(())
    }

    fn make(
        &mut self,
        backend: &dyn Backend,
        rows: &dyn Keyspace,
        ttl: &TimeToLive,
        time_of: impl Fn(&[u8], &[u8]) -> Option<TimestampMs>,
    ) -> Result<(), BackendError> {
        let (mut batch, mut made) = (WriteBatch::default(), 0_u64);
        for pair in rows.range(Bound::Unbounded, Bound::Unbounded) {
            let (key, row) = pair?;
            let Some(time) = time_of(&key, &row) else { continue };
            self.add(&key, time, ttl, &mut batch);
            made += 1;
            if batch.len() >= MADE_AT_ONCE {
                backend.commit(&batch)?;
                batch.clear();
            }
        }
        if made > 0 {
            tracing::info!(index = %self.name, rows = made, "an index of expiry was made");
        }
        // Last: without it the index is made again.
        batch.put(&self.name, NOTE_KEY, &[NOTE_VERSION]);
        backend.commit(&batch)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds a row of this time.
    pub(crate) fn add(
        &mut self,
        row_key: &[u8],
        timestamp: TimestampMs,
        ttl: &TimeToLive,
        batch: &mut WriteBatch,
    ) {
        // Its row is not deleted when it has expired, and is shown no more all the same.
        if row_key.len() + TIME_LEN > MAX_KEY_BYTES {
            return;
        }
        self.key_bytes.clear();
        self.key_bytes.extend_from_slice(&ttl.due(timestamp).to_be_bytes());
        self.key_bytes.extend_from_slice(row_key);
        batch.put(&self.name, &self.key_bytes, &[]);
    }

    /// Adds all rows of a seal that are put.
    pub(crate) fn seal(
        &mut self,
        rows: &Rows,
        ttl: &TimeToLive,
        time_of: impl Fn(&[u8], &[u8]) -> Option<TimestampMs>,
        batch: &mut WriteBatch,
    ) {
        for op in rows.iter() {
            if let BatchOp::Put { key, value } = op
                && let Some(time) = time_of(key, value)
            {
                // Rows of an earlier time may have been met already.
                self.add(key, time.max(ttl.first_live()), ttl, batch);
            }
        }
        self.sealed.push_back(ttl.first_live());
    }

    /// The oldest seal is in the backend.
    pub(crate) fn applied(&mut self) {
        self.sealed.pop_front();
    }

    /// The index rows that are met now, so many at most; each is given once.
    pub(crate) fn meet(
        &mut self,
        ttl: &TimeToLive,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, BackendError> {
        let first_live = self.sealed.front().copied().unwrap_or(ttl.first_live());
        if first_live <= self.next {
            return Ok(Vec::new());
        }
        let end = first_live.to_be_bytes();
        let from = self.met.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.keyspace.range(from, Bound::Excluded(&end));
        let met: Vec<Vec<u8>> =
            range.take(limit).map(|pair| pair.map(|(key, _)| key)).collect::<Result<_, _>>()?;
        if met.len() < limit {
            self.next = ttl.due(first_live);
        }
        if let Some(last) = met.last() {
            self.met = Some(last.clone());
        }
        Ok(met)
    }
}

/// The key of the row that an index row is of.
pub(crate) fn row_key(index_key: &[u8]) -> &[u8] {
    index_key.get(TIME_LEN..).unwrap_or_default()
}
