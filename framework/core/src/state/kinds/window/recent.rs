//! Where the rows of a key lie that were put since the store was opened: for stores that keep duplicates,
//! which joins of streams read once for each record.
//!
//! A range of a backend costs several times what a look-up does, and most records of a join have no
//! partner, or one. So the number of each row is kept here by the hash of its key: a key without rows costs
//! no more than that look-up, and one with a few rows is read row by row, out of the cache for the most
//! part.
//!
//! Invariants:
//! - All rows that begin at `known_from` or later are here, unless they have expired. What begins earlier
//!   is read as a range.
//! - Two keys of one hash share their rows, so a row is looked up by its key before it is given.
//! - It takes at most [`MAX_ROWS`] rows, and forgets whole slices of time, the earliest first.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash};
use std::ops::RangeInclusive;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::key::parts;
use super::{Window, WindowKey, WindowStore};
use crate::error::TaskError;
use crate::record::TimestampMs;
use crate::state::order::Direction;

/// How many rows a store knows at most, at about 28 bytes each.
const MAX_ROWS: usize = 1 << 20;
/// A retention has so many slices.
const SLICES: i64 = 4;
/// A key with more rows than this is read as a range: a range finds the rows of a key side by side.
const ROWS_OF_A_KEY: usize = 8;
/// So many rows of a key are looked at, the last one first, before a range is read instead: a slice may have
/// many that lie outside the times that are asked for.
const STEPS: usize = 32;
/// Ends the chain of a key.
const NONE: u32 = u32::MAX;

/// Numbers of rows by the hashes of their keys, in slices of time.
pub(in crate::state) struct Recent {
    slice_ms: i64,
    slices: BTreeMap<i64, Slice>,
    rows: usize,
    max_rows: usize,
    known_from: TimestampMs,
    hasher: DefaultHashBuilder,
    found: Vec<(TimestampMs, u32)>,
}

#[derive(Default)]
struct Slice {
    keys: HashTable<Key>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy)]
struct Key {
    hash: u32,
    /// Its last row.
    row: u32,
}

#[derive(Clone, Copy)]
struct Row {
    start: TimestampMs,
    sequence: u32,
    /// The row of the same hash that was put before.
    before: u32,
}

impl Recent {
    /// Knows the rows of a store from now on, which has none that begins later than `stream_time`.
    fn new(retention_ms: i64, stream_time: TimestampMs) -> Self {
        Self {
            slice_ms: (retention_ms / SLICES).max(1),
            slices: BTreeMap::new(),
            rows: 0,
            max_rows: MAX_ROWS,
            known_from: stream_time.saturating_add(1),
            hasher: DefaultHashBuilder::default(),
            found: Vec::new(),
        }
    }

    fn hash(&self, key: &impl Hash) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }

    /// A row was put. Rows that begin before `first_live` have expired.
    fn add(&mut self, hash: u32, start: TimestampMs, sequence: u32, first_live: TimestampMs) {
        let at = start / self.slice_ms;
        if !self.slices.contains_key(&at) {
            let live = first_live / self.slice_ms;
            while self.slices.first_key_value().is_some_and(|(first, _)| *first < live) {
                self.forget_first();
            }
        }
        if start < self.known_from {
            return;
        }
        let slice = self.slices.entry(at).or_default();
        let new = slice.rows.len() as u32;
        let known = slice.keys.find_mut(spread(hash), |key| key.hash == hash);
        let before = known.map_or(NONE, |key| std::mem::replace(&mut key.row, new));
        if before == NONE {
            let key = Key { hash, row: new };
            slice.keys.insert_unique(spread(hash), key, |key| spread(key.hash));
        }
        slice.rows.push(Row { start, sequence, before });
        self.rows += 1;
        while self.rows > self.max_rows && self.forget_first() {}
    }

    fn forget_first(&mut self) -> bool {
        let Some((at, slice)) = self.slices.pop_first() else { return false };
        self.rows -= slice.rows.len();
        let end = at.saturating_add(1).saturating_mul(self.slice_ms);
        self.known_from = self.known_from.max(end);
        true
    }

    /// The rows of a hash that begin in these times, in order; `None` where a range is to be read.
    fn find(&mut self, hash: u32, (from, to): (TimestampMs, TimestampMs)) -> Option<()> {
        self.found.clear();
        if from < self.known_from {
            return None;
        }
        let mut steps = 0;
        for slice in self.slices.range(from / self.slice_ms..=to / self.slice_ms) {
            let Slice { keys, rows } = slice.1;
            let key = keys.find(spread(hash), |key| key.hash == hash);
            let mut next = key.map_or(NONE, |key| key.row);
            while let Some(row) = rows.get(next as usize) {
                next = row.before;
                steps += 1;
                if steps > STEPS {
                    return None;
                }
                if (from..=to).contains(&row.start) {
                    if self.found.len() == ROWS_OF_A_KEY {
                        return None;
                    }
                    self.found.push((row.start, row.sequence));
                }
            }
        }
        self.found.sort_unstable();
        Some(())
    }
}

/// The bits that a table looks at, made of those that an entry keeps: a table takes its cell from the
/// lower ones, and a mark in the cell from the upper ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl<K: Hash + Eq + Clone, V: Clone> WindowStore<K, V> {
    /// Takes notice of a row that was put, where duplicates are kept.
    pub(super) fn remember(&mut self, hash: u32, start: TimestampMs, sequence: u32) {
        let first_live = self.kind.segments.first_live();
        if let Some(recent) = &mut self.recent {
            recent.add(hash, start, sequence, first_live);
        }
    }

    /// The hash by which a row of this key is remembered.
    pub(super) fn hash_of_recent(&mut self, key: &K) -> u32 {
        self.open_recent().hash(key)
    }

    /// The rows are known from the first use on: what a restore has put before is told by its time.
    fn open_recent(&mut self) -> &mut Recent {
        let Window { segments, .. } = &self.kind;
        self.recent.get_or_insert_with(|| {
            Box::new(Recent::new(segments.retention_ms(), segments.stream_time()))
        })
    }

    /// Lends the windows of a key that begin in these times, the earliest first: the start of each window
    /// and its value, which are not cloned. They are those that [`Self::fetch_between`] gives.
    ///
    /// # Errors
    /// As [`Self::fetch_between`], and what `f` fails with.
    pub fn lend_between(
        &mut self,
        key: &K,
        times: RangeInclusive<TimestampMs>,
        mut f: impl FnMut(TimestampMs, &V) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        self.recall()?;
        if self.kind.retain_duplicates && self.find_recent(key, &times) {
            return self.lend_recent(key, f);
        }
        let windows = self.windows_of(key, &times, Direction::Forwards)?;
        windows.lend(|row_key, value, _| match parts(row_key) {
            Some((_, start, _)) => f(start, value),
            None => Ok(()),
        })
    }

    /// Finds the rows of a key without a look at the backend; false if that is not possible.
    fn find_recent(&mut self, key: &K, times: &RangeInclusive<TimestampMs>) -> bool {
        let shown = self.kind.segments.shown(times);
        let recent = self.open_recent();
        let Some(times) = shown else {
            recent.found.clear();
            return true;
        };
        let hash = recent.hash(key);
        recent.find(hash, times).is_some()
    }

    /// Lends the rows that were found.
    fn lend_recent(
        &mut self,
        key: &K,
        mut f: impl FnMut(TimestampMs, &V) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let Some(recent) = self.recent.as_mut().filter(|recent| !recent.found.is_empty()) else {
            return Ok(());
        };
        let found = std::mem::take(&mut recent.found);
        let mut at = WindowKey { key: key.clone(), start: 0, sequence: 0 };
        for (start, sequence) in &found {
            (at.start, at.sequence) = (*start, *sequence);
            if let Some((value, _)) = self.lend(&at)? {
                f(*start, value)?;
            }
        }
        if let Some(recent) = &mut self.recent {
            recent.found = found;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(recent: &mut Recent, hash: u32, times: (i64, i64)) -> Option<Vec<(i64, u32)>> {
        recent.find(hash, times).map(|()| recent.found.clone())
    }

    #[test]
    fn rows_of_a_key_are_found_in_their_times_and_in_order() {
        let mut recent = Recent::new(100, 9);
        for (number, start) in [70, 12, 10, 40, 70].into_iter().zip(1..) {
            recent.add(7, number, start, 0);
        }
        recent.add(8, 40, 9, 0);
        assert_eq!(found(&mut recent, 7, (11, 70)), Some(vec![(12, 2), (40, 4), (70, 1), (70, 5)]));
        assert_eq!(found(&mut recent, 8, (10, 39)), Some(vec![]));
        assert_eq!(found(&mut recent, 9, (10, 99)), Some(vec![]));
    }

    #[test]
    fn what_began_before_it_was_opened_is_read_as_a_range() {
        let mut recent = Recent::new(100, 50);
        recent.add(7, 50, 1, 0);
        recent.add(7, 51, 2, 0);
        assert_eq!(found(&mut recent, 7, (50, 99)), None);
        assert_eq!(found(&mut recent, 7, (51, 99)), Some(vec![(51, 2)]));
    }

    #[test]
    fn a_key_of_many_rows_is_read_as_a_range() {
        let mut recent = Recent::new(100, -1);
        for sequence in 0..9 {
            recent.add(7, i64::from(sequence), sequence, 0);
        }
        assert_eq!(found(&mut recent, 7, (0, 99)), None);
        assert_eq!(found(&mut recent, 7, (1, 99)).map(|rows| rows.len()), Some(ROWS_OF_A_KEY));
    }

    #[test]
    fn a_key_of_many_rows_outside_the_times_is_read_as_a_range() {
        let mut recent = Recent::new(1_000_000, -1);
        for sequence in 0..33 {
            recent.add(7, i64::from(sequence) * 1000, sequence, 0);
        }
        recent.add(8, 32_000, 33, 0);
        assert_eq!(found(&mut recent, 7, (32_000, 32_000)), None);
        assert_eq!(found(&mut recent, 8, (32_000, 32_000)), Some(vec![(32_000, 33)]));
    }

    #[test]
    fn it_holds_what_is_live_and_no_more_than_its_bound() {
        let mut recent = Recent::new(100, -1);
        for start in 0..10_000 {
            recent.add(start as u32, start, 0, (start - 99).max(0));
        }
        assert!(recent.rows <= 150, "{} rows of which 100 are live", recent.rows);
        assert_eq!(found(&mut recent, 9_901, (9_900, 9_999)), Some(vec![(9_901, 0)]));
        recent.max_rows = 60;
        recent.add(1, 10_000, 0, 9_901);
        assert_eq!(found(&mut recent, 1, (10_000, 10_000)), Some(vec![(10_000, 0)]));
        assert_eq!(found(&mut recent, 9_901, (9_901, 10_000)), None, "it was forgotten");
        assert!(recent.rows <= 60);
    }
}
