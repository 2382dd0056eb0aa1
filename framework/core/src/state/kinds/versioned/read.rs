//! Reading the history of a key, and all keys.

use std::hash::Hash;
use std::ops::{Bound, RangeInclusive};

use super::{NOTE_KEY, Version, VersionedStore, between, is_of_one_key, version_time};
use crate::error::TaskError;
use crate::record::TimestampMs;
use crate::state::order::{Bounds, Direction};

/// A version, with a deletion for one.
type Row<V> = (TimestampMs, Option<V>);

impl<K: Hash + Eq + Clone, V: Clone> VersionedStore<K, V> {
    /// The versions of a key that are valid at some time of these, the earliest first. Those that the
    /// history does not reach are not among them, but for the newest.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn versions(
        &mut self,
        key: &K,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Vec<Version<V>>, TaskError> {
        let newest = self.newest(key)?.map(|found| Version {
            value: found.value,
            valid_from: found.timestamp,
            valid_to: None,
        });
        let (first, last) = (*times.start().max(&self.kind.first_shown()), *times.end());
        if times.is_empty() {
            return Ok(Vec::new());
        }
        if last < first {
            return Ok(newest.filter(|newest| newest.valid_from <= last).into_iter().collect());
        }
        let Some(bytes) = self.bound_bytes(key)? else { return Ok(Vec::new()) };
        let before = between(&bytes, Bound::Unbounded, Bound::Included(first));
        let begin = self.history(&before, Direction::Backwards).next().transpose()?;
        let begin = begin.map_or(first, |row| version_time(&row.row_key));
        let mut rows = Vec::new();
        for row in self.history(
            &between(&bytes, Bound::Included(begin), Bound::Unbounded),
            Direction::Forwards,
        ) {
            let row = row?;
            let from = version_time(&row.row_key);
            rows.push((from, self.value_of(&row)?));
            if from > last {
                break;
            }
        }
        Ok(versions_of(rows).filter(|version| version.valid_from <= last).collect())
    }

    /// The version of a key as of a time, with its end. [`Self::as_of`] reads less.
    ///
    /// # Errors
    /// As [`Self::versions`].
    pub fn version_as_of(
        &mut self,
        key: &K,
        timestamp: TimestampMs,
    ) -> Result<Option<Version<V>>, TaskError> {
        Ok(self.versions(key, timestamp..=timestamp)?.pop())
    }

    /// Sets no value from this time on, and gives the version that was valid before; `None` if there was
    /// none, or if the time is older than the history: then nothing is changed.
    ///
    /// # Errors
    /// As [`Self::versions`].
    pub fn delete_version(
        &mut self,
        key: K,
        timestamp: TimestampMs,
    ) -> Result<Option<Version<V>>, TaskError> {
        let before = self.version_as_of(&key, timestamp.max(0))?;
        let put = self.put_version(key, None, timestamp)?;
        Ok(before.filter(|_| put != super::VersionPut::Expired))
    }

    /// Every key with its versions, the earliest first: those that the history reaches, and the newest.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn all_versions(&mut self) -> Result<Vec<(K, Version<V>)>, TaskError> {
        self.recall()?;
        let first = self.kind.first_shown();
        let all: Bounds = (Bound::Unbounded, Bound::Excluded(NOTE_KEY.to_vec()));
        let (mut found, mut rows, mut last) = (Vec::new(), Vec::new(), None::<Vec<u8>>);
        let mut end = |row_key: Option<Vec<u8>>, rows: Vec<Row<V>>| -> Result<(), TaskError> {
            let key = row_key.map(|row_key| self.user_key(&row_key)).transpose()?;
            let Some(key) = key.flatten() else { return Ok(()) };
            let shown = versions_of(rows).filter(|v| v.valid_to.is_none_or(|to| to > first));
            found.extend(shown.map(|version| (key.clone(), version)));
            Ok(())
        };
        for row in self.history(&all, Direction::Forwards) {
            let row = row?;
            if !last.as_ref().is_some_and(|last| is_of_one_key(last, &row.row_key)) {
                end(last.take(), std::mem::take(&mut rows))?;
            }
            rows.push((version_time(&row.row_key), self.value_of(&row)?));
            last = Some(row.row_key);
        }
        end(last, rows)?;
        Ok(found)
    }
}

/// Each version ends where the next one begins.
fn versions_of<V>(rows: Vec<Row<V>>) -> impl Iterator<Item = Version<V>> {
    let mut rows = rows.into_iter().peekable();
    std::iter::from_fn(move || {
        loop {
            let (valid_from, value) = rows.next()?;
            let valid_to = rows.peek().map(|(next, _)| *next);
            if let Some(value) = value {
                return Some(Version { value, valid_from, valid_to });
            }
        }
    })
}
