//! The versioned kind: each key has its versions by time, and a row for each.
//!
//! A version is valid from its own time until the next version of its key begins. A deletion is a version
//! without a value. The row key has the time, and the changelog record has it as its own: so a row is a
//! function of one changelog record, and a restore makes the same rows in whatever order the records are.
//!
//! Time is the store's own: the latest of a version that was put. The history begins the history retention
//! before it. A version that ended by then is not shown, and its row goes with one of the next commits:
//! `super::super::expiry`.
//! The newest version of a key is kept for ever.
//!
//! Invariants:
//! - The note (time) is a function of the changelog: each version that is admitted goes there.
//! - The last record of a key in the changelog is its newest version: one that is put behind a newer one is
//!   followed by that once more. Compaction keeps the last record, so it never keeps an older version
//!   instead of the newest.
//! - No version begins before 0.

mod key;
mod read;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use self::key::{FRAME_LEN, first_of, frame, is_of_one_key, parts};
pub(in crate::state) use self::key::{between, version_time};
use super::Kind;
use super::time_to_live::TimeToLive;
use crate::record::TimestampMs;
use crate::serde::SerdeError;
use crate::state::{Pair, Store};

/// Behind all rows: no key is so long.
const NOTE_KEY: &[u8] = &[0xff, 0xff];
const NOTE_VERSION: u8 = 1;
const NOTE_LEN: usize = 9;

/// The kind of [`VersionedStore`]: how long versions are kept, and what the store has seen.
#[derive(Clone, Copy, Debug)]
pub struct Versioned {
    retention_ms: i64,
    /// What is live by it may be put, and asked for.
    history: TimeToLive,
}

/// What a row of a [`VersionedStore`] is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionKey<K> {
    /// The user's key.
    pub key: K,
    /// When the version begins, in milliseconds.
    pub from: TimestampMs,
}

/// A version of a key: its value, and when that was valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<V> {
    /// The value.
    pub value: V,
    /// When it begins, in milliseconds: the time of the record that put it.
    pub valid_from: TimestampMs,
    /// When it ends, in milliseconds and excluded; `None` while no version has followed.
    pub valid_to: Option<TimestampMs>,
}

/// What became of a version that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionPut {
    /// It is the newest of its key.
    Newest,
    /// It came out of order: a newer one is there.
    Older {
        /// When the next version of the key begins, in milliseconds.
        valid_to: TimestampMs,
    },
    /// It is older than the history, and nothing was changed. Count the record as dropped.
    Expired,
}

/// A typed versioned store of one task.
pub type VersionedStore<K, V> = Store<K, V, Versioned>;

impl Versioned {
    /// Versions that are kept until the latest time of one is `history_retention` later than their end.
    /// A version may come late by as much.
    pub fn new(history_retention: Duration) -> Self {
        let retention_ms = i64::try_from(history_retention.as_millis()).unwrap_or(i64::MAX);
        let lives = Duration::from_millis(retention_ms.unsigned_abs().saturating_add(1));
        Self { retention_ms, history: TimeToLive::of(lives) }
    }

    /// How long versions are kept, in milliseconds.
    pub fn history_retention_ms(&self) -> i64 {
        self.retention_ms
    }

    /// The first time as of which versions are shown.
    pub(in crate::state) fn first_shown(&self) -> TimestampMs {
        self.history.first_live().max(0)
    }
}

impl<K> Kind<K> for Versioned {
    type Key = VersionKey<K>;

    const FRAME: usize = FRAME_LEN;
    const NOTE: Option<&'static [u8]> = Some(NOTE_KEY);
    const KEEPS_DELETIONS: bool = true;

    fn scans(&self) -> bool {
        true
    }

    fn user_key(key: &VersionKey<K>) -> &K {
        &key.key
    }

    fn frame(&self, key: &VersionKey<K>, bytes: &mut Vec<u8>) {
        frame(bytes, key.from);
    }

    fn user_bytes<'a>(&self, row_key: &'a [u8]) -> Option<&'a [u8]> {
        parts(row_key).map(|(key, _)| key)
    }

    fn key(&self, key: K, row_key: &[u8]) -> Option<VersionKey<K>> {
        parts(row_key).map(|(_, from)| VersionKey { key, from })
    }

    fn changelog_key<'a>(&self, row_key: &'a [u8]) -> &'a [u8] {
        parts(row_key).map_or(&[], |(key, _)| key)
    }

    fn row_key<'a>(
        &self,
        changelog_key: &'a [u8],
        timestamp: TimestampMs,
    ) -> Option<Cow<'a, [u8]>> {
        let mut row_key = changelog_key.to_vec();
        frame(&mut row_key, timestamp.max(0));
        Some(Cow::Owned(row_key))
    }

    fn admit(&mut self, key: &VersionKey<K>) -> bool {
        let is_live = self.history.is_live(key.from);
        self.history.observe(key.from);
        is_live
    }

    /// A changelog that Kafka Streams has written has those that were too late, too.
    fn admit_row(&mut self, row_key: &[u8]) -> bool {
        parts(row_key).is_some_and(|(_, from)| {
            let is_live = self.history.is_live(from);
            self.history.observe(from);
            is_live
        })
    }

    fn history_ms(&self) -> Option<i64> {
        Some(self.retention_ms)
    }

    fn expiry(&self) -> Option<&TimeToLive> {
        Some(&self.history)
    }

    fn row_time(&self, row_key: &[u8], _row: &[u8]) -> Option<TimestampMs> {
        parts(row_key).map(|(_, from)| from)
    }

    fn first_replaced(&self, row_key: &[u8]) -> Option<Vec<u8>> {
        first_of(row_key)
    }

    fn shows(&self, (row_key, row): &Pair, next: Option<&[u8]>) -> bool {
        let is_past = |row_key: &[u8]| {
            parts(row_key).is_none_or(|(_, from)| from <= self.history.first_live())
        };
        match next.filter(|next| is_of_one_key(row_key, next)) {
            Some(next) if is_past(next) => false,
            _ => !row.is_empty() || !is_past(row_key),
        }
    }

    fn note(&self) -> Vec<u8> {
        let mut note = Vec::with_capacity(NOTE_LEN);
        note.push(NOTE_VERSION);
        note.extend_from_slice(&self.history.time().to_be_bytes());
        note
    }

    fn read_note(&mut self, note: Option<&[u8]>) -> Result<(), SerdeError> {
        *self = Self::new(Duration::from_millis(self.retention_ms.unsigned_abs()));
        let Some(note) = note else { return Ok(()) };
        let time = note.strip_prefix(&[NOTE_VERSION]).and_then(|time| time.try_into().ok());
        let time = time.ok_or_else(|| SerdeError::Format {
            type_name: "a versioned store",
            message: "its note is of another version than this one".to_owned(),
        })?;
        self.history.observe(i64::from_be_bytes(time));
        Ok(())
    }
}
