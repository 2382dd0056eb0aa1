//! The window kind: rows by key and the start of a window, which expire together.
//!
//! A row key is the number of a segment of time, then the key as Kafka Streams has it: the user's
//! key, the start, a sequence number. So order and expiry are those of its segments, and a segment
//! goes with one range; the changelog key is the row key behind the segment. The time of a row is its
//! start.
//!
//! Invariants:
//! - The note (time and last sequence number) is a function of the changelog: each admitted write
//!   goes there, also a deletion of nothing. Only what has expired before its commit does not.
//! - No row has a start before 0.

mod key;
mod recent;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::hash::Hash;
use std::ops::{Bound, RangeInclusive};
use std::time::Duration;

use self::key::{SUFFIX_LEN, parts, suffix};
pub(in crate::state) use self::recent::Recent;
use super::Kind;
use super::key_ranges::greatest;
use super::segments::{SEGMENT_LEN, Segments};
use crate::error::TaskError;
use crate::record::TimestampMs;
use crate::serde::SerdeError;
use crate::state::order::Direction;
use crate::state::{RangeIter, Store, ValueAndTimestamp};

/// Sequence numbers begin again at 0 behind this one, as in Kafka Streams.
const LAST_SEQUENCE: u32 = i32::MAX as u32;
/// Segments are not negative, so no row begins like this.
const NOTE_KEY: &[u8] = &[0xff];
const NOTE_VERSION: u8 = 1;
const NOTE_LEN: usize = 21;

/// The kind of [`WindowStore`]: how long rows are kept, and what the store has seen.
#[derive(Clone, Debug)]
pub struct Window {
    segments: Segments,
    retain_duplicates: bool,
    sequence: u32,
}

/// What a row of a [`WindowStore`] is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowKey<K> {
    /// The user's key.
    pub key: K,
    /// When the window begins, in milliseconds.
    pub start: TimestampMs,
    /// Tells duplicates from each other; 0 in stores without.
    pub sequence: u32,
}

/// A typed window store of one task.
pub type WindowStore<K, V> = Store<K, V, Window>;

impl Window {
    /// Windows that are kept until the latest start is `retention` later than theirs; at least a
    /// millisecond.
    pub fn new(retention: Duration) -> Self {
        Self { segments: Segments::new(retention), retain_duplicates: false, sequence: 0 }
    }

    /// Keeps each value that is put, also of one key and start, as joins of streams need it. Nothing
    /// is deleted then but by time.
    #[must_use]
    pub fn retain_duplicates(mut self) -> Self {
        self.retain_duplicates = true;
        self
    }

    /// Lays rows in segments of this length, in milliseconds, instead of one made of the retention. If
    /// windows begin no closer to each other than that, all rows lie by their start and then their key.
    /// A key's windows are read segment by segment, so their number should be small.
    #[must_use]
    pub fn with_segments_of(self, segment_ms: i64) -> Self {
        Self { segments: self.segments.of_length(segment_ms), ..self }
    }

    /// How long windows are kept, in milliseconds.
    pub fn retention_ms(&self) -> i64 {
        self.segments.retention_ms()
    }
}

impl<K> Kind<K> for Window {
    type Key = WindowKey<K>;

    const FRAME: usize = SEGMENT_LEN + SUFFIX_LEN;
    const NOTE: Option<&'static [u8]> = Some(NOTE_KEY);

    fn scans(&self) -> bool {
        // Where duplicates are kept, ranges are the exception: see `recent`.
        !self.retain_duplicates
    }

    fn user_key(key: &WindowKey<K>) -> &K {
        &key.key
    }

    fn frame(&self, key: &WindowKey<K>, bytes: &mut Vec<u8>) {
        bytes.splice(0..0, self.segments.prefix(key.start));
        bytes.extend_from_slice(&suffix(key.start, key.sequence));
    }

    fn user_bytes<'a>(&self, row_key: &'a [u8]) -> Option<&'a [u8]> {
        parts(row_key).map(|(key, _, _)| key)
    }

    fn key(&self, key: K, row_key: &[u8]) -> Option<WindowKey<K>> {
        parts(row_key).map(|(_, start, sequence)| WindowKey { key, start, sequence })
    }

    fn changelog_key<'a>(&self, row_key: &'a [u8]) -> &'a [u8] {
        row_key.get(SEGMENT_LEN..).unwrap_or_default()
    }

    fn row_key<'a>(
        &self,
        changelog_key: &'a [u8],
        _timestamp: TimestampMs,
    ) -> Option<Cow<'a, [u8]>> {
        let start = changelog_key.len().checked_sub(SUFFIX_LEN)?;
        let start = changelog_key.get(start..)?.first_chunk()?;
        let segment = self.segments.prefix(i64::from_be_bytes(*start));
        Some(Cow::Owned([&segment, changelog_key].concat()))
    }

    fn admit(&mut self, key: &WindowKey<K>) -> bool {
        self.segments.advance(key.start)
    }

    fn admit_row(&mut self, row_key: &[u8]) -> bool {
        let Some((_, start, sequence)) = parts(row_key) else { return false };
        self.sequence = sequence;
        self.segments.advance(start)
    }

    fn is_live(&self, key: &WindowKey<K>) -> bool {
        self.segments.is_live(key.start)
    }

    fn is_row_live(&self, row_key: &[u8]) -> bool {
        parts(row_key).is_some_and(|(_, start, _)| self.segments.is_live(start))
    }

    fn take_expired(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.segments.take_expired()
    }

    fn note(&self) -> Vec<u8> {
        let mut note = Vec::with_capacity(NOTE_LEN);
        note.push(NOTE_VERSION);
        note.extend_from_slice(&self.segments.segment_ms().to_be_bytes());
        note.extend_from_slice(&self.segments.stream_time().to_be_bytes());
        note.extend_from_slice(&self.sequence.to_be_bytes());
        note
    }

    fn read_note(&mut self, note: Option<&[u8]>) -> Result<(), SerdeError> {
        let Some(note) = note else {
            self.segments.resume(-1);
            self.sequence = 0;
            return Ok(());
        };
        let refused = |message: String| SerdeError::Format { type_name: "a window store", message };
        let (segment_ms, time, sequence) = read_note(note)
            .ok_or_else(|| refused("its note is of another version than this one".to_owned()))?;
        if segment_ms != self.segments.segment_ms() {
            return Err(refused(format!(
                "its rows lie in segments of {segment_ms} ms, and its retention now makes them {} \
                 ms; delete the store's state, which is then made again from its changelog",
                self.segments.segment_ms()
            )));
        }
        // What expired up to that time went with the note.
        self.segments.resume(time);
        self.sequence = sequence;
        Ok(())
    }
}

/// The segment's length, the time and the sequence number.
fn read_note(note: &[u8]) -> Option<(i64, TimestampMs, u32)> {
    let rest = note.strip_prefix(&[NOTE_VERSION])?;
    let (segment_ms, rest) = rest.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let sequence = rest.try_into().ok()?;
    Some((i64::from_be_bytes(*segment_ms), i64::from_be_bytes(*time), u32::from_be_bytes(sequence)))
}

/// Entries of windows, in the order of their segments, then of their rows' bytes.
type Windows<'a, K, V> = RangeIter<'a, K, V, Window>;

impl<K: Hash + Eq + Clone, V: Clone> WindowStore<K, V> {
    /// Sets the value of a key for the window that begins at `start`; `None`, or a value that the
    /// serde calls null, deletes it. With duplicates kept, each value is one more, and a null is
    /// none.
    ///
    /// False if nothing was written: the window has expired, or begins before 1970. Count such
    /// records as dropped.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn put_at(
        &mut self,
        key: K,
        start: TimestampMs,
        value: Option<V>,
        timestamp: TimestampMs,
    ) -> Result<bool, TaskError> {
        self.recall()?;
        if !self.kind.retain_duplicates {
            return self.put(WindowKey { key, start, sequence: 0 }, value, timestamp);
        }
        let is_null = value.as_ref().is_none_or(|v| self.is_null(v));
        if is_null || !self.kind.segments.is_live(start) {
            return Ok(false);
        }
        let last = self.kind.sequence;
        let sequence = if last < LAST_SEQUENCE { last + 1 } else { 0 };
        let hash = self.hash_of_recent(&key);
        let is_put = self.put(WindowKey { key, start, sequence }, value, timestamp)?;
        if is_put {
            self.kind.sequence = sequence;
            self.remember(hash, start, sequence);
        }
        Ok(is_put)
    }

    /// Whether a window is so late that Kafka Streams' store on disk counts it as dropped: not only it
    /// has expired, but the whole segment of half a retention, or a minute, that it lies in.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn has_given_up(&mut self, start: TimestampMs) -> Result<bool, TaskError> {
        self.recall()?;
        Ok(self.kind.segments.is_given_up(start))
    }

    /// The value of a key for the window that begins at `start`; the first, where duplicates are
    /// kept.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn fetch(
        &mut self,
        key: &K,
        start: TimestampMs,
    ) -> Result<Option<ValueAndTimestamp<V>>, TaskError> {
        if !self.kind.retain_duplicates {
            return self.get(&WindowKey { key: key.clone(), start, sequence: 0 });
        }
        let first = self.fetch_between(key, start..=start)?.next().transpose()?;
        Ok(first.map(|(_, found)| found))
    }

    /// The windows of a key that begin in these times, the earliest first.
    ///
    /// # Errors
    /// When the key cannot be serialised, or the backend fails. Reading errors come from the
    /// iterator too.
    pub fn fetch_between(
        &mut self,
        key: &K,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Windows<'_, K, V>, TaskError> {
        self.windows_of(key, &times, Direction::Forwards)
    }

    /// [`Self::fetch_between`], backwards.
    ///
    /// # Errors
    /// As [`Self::fetch_between`].
    pub fn fetch_between_rev(
        &mut self,
        key: &K,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Windows<'_, K, V>, TaskError> {
        self.windows_of(key, &times, Direction::Backwards)
    }

    /// The windows of the keys from `from` to `to`, by their bytes and both included, that begin in
    /// these times. A bound that the serde calls null is open. They come segment by segment, in each
    /// by key and start.
    ///
    /// # Errors
    /// As [`Self::fetch_between`].
    pub fn fetch_range(
        &mut self,
        from: &K,
        to: &K,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Windows<'_, K, V>, TaskError> {
        self.windows_of_range((from, to), &times, Direction::Forwards)
    }

    /// [`Self::fetch_range`], backwards.
    ///
    /// # Errors
    /// As [`Self::fetch_between`].
    pub fn fetch_range_rev(
        &mut self,
        from: &K,
        to: &K,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Windows<'_, K, V>, TaskError> {
        self.windows_of_range((from, to), &times, Direction::Backwards)
    }

    /// All windows that begin in these times, segment by segment, in each by key and start.
    ///
    /// # Errors
    /// As [`Self::fetch_between`].
    pub fn fetch_all(
        &mut self,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Windows<'_, K, V>, TaskError> {
        self.windows(&times, Direction::Forwards)
    }

    /// [`Self::fetch_all`], backwards.
    ///
    /// # Errors
    /// As [`Self::fetch_between`].
    pub fn fetch_all_rev(
        &mut self,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Windows<'_, K, V>, TaskError> {
        self.windows(&times, Direction::Backwards)
    }

    /// All windows, as [`Self::fetch_all`].
    ///
    /// # Errors
    /// As [`Self::fetch_between`].
    pub fn all(&mut self) -> Result<Windows<'_, K, V>, TaskError> {
        self.windows(&(0..=i64::MAX), Direction::Forwards)
    }

    /// [`Self::all`], backwards.
    ///
    /// # Errors
    /// As [`Self::fetch_between`].
    pub fn all_rev(&mut self) -> Result<Windows<'_, K, V>, TaskError> {
        self.windows(&(0..=i64::MAX), Direction::Backwards)
    }

    fn windows_of(
        &mut self,
        key: &K,
        times: &RangeInclusive<TimestampMs>,
        direction: Direction,
    ) -> Result<Windows<'_, K, V>, TaskError> {
        self.recall()?;
        let (Some(key), Some(times)) = (self.bound_bytes(key)?, self.kind.segments.shown(times))
        else {
            return self.scan(Vec::new(), direction, None);
        };
        let ranges = self.kind.segments.ranges(times, direction, |segment| {
            let from = [&segment, &key[..], &suffix(times.0, 0)].concat();
            let to = [&segment, &key[..], &suffix(times.1, u32::MAX)].concat();
            (Bound::Included(from), Bound::Included(to))
        });
        // Longer keys that begin with this one lie between its windows.
        let is_of_key = move |row_key: &[u8]| parts(row_key).is_some_and(|(of, _, _)| of == key);
        self.scan(ranges, direction, Some(Box::new(is_of_key)))
    }

    fn windows_of_range(
        &mut self,
        keys: (&K, &K),
        times: &RangeInclusive<TimestampMs>,
        direction: Direction,
    ) -> Result<Windows<'_, K, V>, TaskError> {
        self.recall()?;
        let (first, last) = (self.bound_bytes(keys.0)?, self.bound_bytes(keys.1)?);
        let Some(times) = self.kind.segments.shown(times) else {
            return self.scan(Vec::new(), direction, None);
        };
        let ranges = self.kind.segments.ranges(times, direction, |segment| {
            let from = [&segment, first.as_deref().unwrap_or_default()].concat();
            let to = last.as_ref().map_or_else(
                || Segments::behind(segment),
                |last| {
                    let to = greatest(last, &suffix(times.1, u32::MAX));
                    Bound::Included([&segment, &to[..]].concat())
                },
            );
            (Bound::Included(from), to)
        });
        let is_given = move |row_key: &[u8]| {
            parts(row_key).is_some_and(|(key, start, _)| {
                first.as_deref().is_none_or(|first| first <= key)
                    && last.as_deref().is_none_or(|last| key <= last)
                    && (times.0..=times.1).contains(&start)
            })
        };
        self.scan(ranges, direction, Some(Box::new(is_given)))
    }

    fn windows(
        &mut self,
        times: &RangeInclusive<TimestampMs>,
        direction: Direction,
    ) -> Result<Windows<'_, K, V>, TaskError> {
        self.recall()?;
        let Some(times) = self.kind.segments.shown(times) else {
            return self.scan(Vec::new(), direction, None);
        };
        let bounds = self.kind.segments.whole(times);
        let is_given = move |row_key: &[u8]| {
            parts(row_key).is_some_and(|(_, start, _)| (times.0..=times.1).contains(&start))
        };
        self.scan(vec![bounds], direction, Some(Box::new(is_given)))
    }
}
