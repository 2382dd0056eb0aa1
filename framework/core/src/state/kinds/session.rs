//! The session kind: rows by key, start and end of a session, which expire together.
//!
//! A row key is the number of a segment of time, then the key as Kafka Streams has it: the user's
//! key, the end, the start. The segment is that of the end, so order and expiry are those of the
//! ends; the changelog key is the row key behind the segment.
//!
//! Invariants:
//! - The note (time) is a function of the changelog: each admitted write goes there, also a deletion
//!   of nothing. Only what has expired before its commit does not.
//! - No row has a start before 0 or behind its end. A write of such a one is refused, and moves no
//!   time.

mod key;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::hash::Hash;
use std::ops::Bound;
use std::time::Duration;

use self::key::{SUFFIX_LEN, Span, parts, parts_behind_segment};
use super::Kind;
use super::key_ranges::greatest;
use super::segments::{SEGMENT_LEN, Segments};
use crate::error::TaskError;
use crate::record::TimestampMs;
use crate::serde::SerdeError;
use crate::state::order::Direction;
use crate::state::{RangeIter, Store, ValueAndTimestamp};

/// Segments are not negative, so no row begins like this.
const NOTE_KEY: &[u8] = &[0xff];
const NOTE_VERSION: u8 = 1;
const NOTE_LEN: usize = 17;

/// The kind of [`SessionStore`]: how long rows are kept, and what the store has seen.
#[derive(Clone, Debug)]
pub struct Session {
    segments: Segments,
}

/// What a row of a [`SessionStore`] is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey<K> {
    /// The user's key.
    pub key: K,
    /// When the session begins, in milliseconds; not negative.
    pub start: TimestampMs,
    /// When it ends, in milliseconds and included; not before its start.
    pub end: TimestampMs,
}

/// A typed session store of one task.
pub type SessionStore<K, V> = Store<K, V, Session>;

impl Session {
    /// Sessions that are kept until the latest end is `retention` later than theirs; at least a
    /// millisecond.
    pub fn new(retention: Duration) -> Self {
        Self { segments: Segments::new(retention) }
    }

    /// How long sessions are kept, in milliseconds.
    pub fn retention_ms(&self) -> i64 {
        self.segments.retention_ms()
    }

    fn advance(&mut self, span: Span) -> bool {
        span.is_possible() && self.segments.advance(span.end)
    }

    fn shows(&self, span: Span) -> bool {
        span.is_possible() && self.segments.is_live(span.end)
    }
}

impl<K> SessionKey<K> {
    fn span(&self) -> Span {
        Span { start: self.start, end: self.end }
    }
}

impl<K> Kind<K> for Session {
    type Key = SessionKey<K>;

    const FRAME: usize = SEGMENT_LEN + SUFFIX_LEN;
    const NOTE: Option<&'static [u8]> = Some(NOTE_KEY);

    fn scans(&self) -> bool {
        true
    }

    fn user_key(key: &SessionKey<K>) -> &K {
        &key.key
    }

    fn frame(&self, key: &SessionKey<K>, bytes: &mut Vec<u8>) {
        bytes.splice(0..0, self.segments.prefix(key.end));
        bytes.extend_from_slice(&key.span().suffix());
    }

    fn user_bytes<'a>(&self, row_key: &'a [u8]) -> Option<&'a [u8]> {
        parts(row_key).map(|(key, _)| key)
    }

    fn key(&self, key: K, row_key: &[u8]) -> Option<SessionKey<K>> {
        parts(row_key).map(|(_, Span { start, end })| SessionKey { key, start, end })
    }

    fn changelog_key<'a>(&self, row_key: &'a [u8]) -> &'a [u8] {
        row_key.get(SEGMENT_LEN..).unwrap_or_default()
    }

    fn row_key<'a>(
        &self,
        changelog_key: &'a [u8],
        _timestamp: TimestampMs,
    ) -> Option<Cow<'a, [u8]>> {
        let (_, span) = parts_behind_segment(changelog_key)?;
        Some(Cow::Owned([&self.segments.prefix(span.end), changelog_key].concat()))
    }

    fn admit(&mut self, key: &SessionKey<K>) -> bool {
        self.advance(key.span())
    }

    fn admit_row(&mut self, row_key: &[u8]) -> bool {
        parts(row_key).is_some_and(|(_, span)| self.advance(span))
    }

    fn is_live(&self, key: &SessionKey<K>) -> bool {
        self.shows(key.span())
    }

    fn is_row_live(&self, row_key: &[u8]) -> bool {
        parts(row_key).is_some_and(|(_, span)| self.shows(span))
    }

    fn take_expired(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.segments.take_expired()
    }

    fn note(&self) -> Vec<u8> {
        let mut note = Vec::with_capacity(NOTE_LEN);
        note.push(NOTE_VERSION);
        note.extend_from_slice(&self.segments.segment_ms().to_be_bytes());
        note.extend_from_slice(&self.segments.stream_time().to_be_bytes());
        note
    }

    fn read_note(&mut self, note: Option<&[u8]>) -> Result<(), SerdeError> {
        let Some(note) = note else {
            self.segments.resume(-1);
            return Ok(());
        };
        let refused =
            |message: String| SerdeError::Format { type_name: "a session store", message };
        let (segment_ms, time) = read_note(note).ok_or_else(|| {
            refused("its note is of another version or kind of store than this one".to_owned())
        })?;
        if segment_ms != self.segments.segment_ms() {
            return Err(refused(format!(
                "its rows lie in segments of {segment_ms} ms, and its retention now makes them {} \
                 ms; delete the store's state, which is then made again from its changelog",
                self.segments.segment_ms()
            )));
        }
        // What expired up to that time went with the note.
        self.segments.resume(time);
        Ok(())
    }
}

/// The segment's length and the time.
fn read_note(note: &[u8]) -> Option<(i64, TimestampMs)> {
    let rest = note.strip_prefix(&[NOTE_VERSION])?;
    let (segment_ms, rest) = rest.split_first_chunk()?;
    Some((i64::from_be_bytes(*segment_ms), i64::from_be_bytes(rest.try_into().ok()?)))
}

/// Entries of sessions, in the order of their segments, then of their rows' bytes.
type Sessions<'a, K, V> = RangeIter<'a, K, V, Session>;

impl<K: Hash + Eq + Clone, V: Clone> SessionStore<K, V> {
    /// Sets the value of a session; `None`, or a value that the serde calls null, deletes it.
    ///
    /// False if nothing was written: the session has expired, begins before 1970, or ends before it
    /// begins. Count such records as dropped.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn put_session(
        &mut self,
        key: SessionKey<K>,
        value: Option<V>,
        timestamp: TimestampMs,
    ) -> Result<bool, TaskError> {
        self.put(key, value, timestamp)
    }

    /// The value of the session of a key that begins at `start` and ends at `end`.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn fetch_session(
        &mut self,
        key: &K,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<Option<ValueAndTimestamp<V>>, TaskError> {
        self.get(&SessionKey { key: key.clone(), start, end })
    }

    /// The sessions of a key that end at `earliest_end` or later and begin at `latest_start` or
    /// earlier, by their end and then their start. `find_sessions(key, t - gap, t + gap)` are those
    /// that a record of the time `t` joins to one.
    ///
    /// # Errors
    /// When the key cannot be serialised, or the backend fails. Reading errors come from the
    /// iterator too.
    pub fn find_sessions(
        &mut self,
        key: &K,
        earliest_end: TimestampMs,
        latest_start: TimestampMs,
    ) -> Result<Sessions<'_, K, V>, TaskError> {
        self.sessions_of(key, (earliest_end, latest_start), Direction::Forwards)
    }

    /// [`Self::find_sessions`], backwards.
    ///
    /// # Errors
    /// As [`Self::find_sessions`].
    pub fn find_sessions_rev(
        &mut self,
        key: &K,
        earliest_end: TimestampMs,
        latest_start: TimestampMs,
    ) -> Result<Sessions<'_, K, V>, TaskError> {
        self.sessions_of(key, (earliest_end, latest_start), Direction::Backwards)
    }

    /// The sessions of a key, by their end and then their start.
    ///
    /// # Errors
    /// As [`Self::find_sessions`].
    pub fn fetch(&mut self, key: &K) -> Result<Sessions<'_, K, V>, TaskError> {
        self.sessions_of(key, (0, i64::MAX), Direction::Forwards)
    }

    /// [`Self::fetch`], backwards.
    ///
    /// # Errors
    /// As [`Self::find_sessions`].
    pub fn fetch_rev(&mut self, key: &K) -> Result<Sessions<'_, K, V>, TaskError> {
        self.sessions_of(key, (0, i64::MAX), Direction::Backwards)
    }

    /// The sessions of the keys from `from` to `to`, by their bytes and both included. A bound that
    /// the serde calls null is open. They come segment by segment, in each by key, end and start.
    ///
    /// # Errors
    /// As [`Self::find_sessions`].
    pub fn fetch_range(&mut self, from: &K, to: &K) -> Result<Sessions<'_, K, V>, TaskError> {
        self.sessions_of_range((from, to), (0, i64::MAX), Direction::Forwards)
    }

    /// [`Self::fetch_range`], backwards.
    ///
    /// # Errors
    /// As [`Self::find_sessions`].
    pub fn fetch_range_rev(&mut self, from: &K, to: &K) -> Result<Sessions<'_, K, V>, TaskError> {
        self.sessions_of_range((from, to), (0, i64::MAX), Direction::Backwards)
    }

    /// Those of [`Self::fetch_range`] that end at `earliest_end` or later and begin at `latest_start`
    /// or earlier.
    ///
    /// # Errors
    /// As [`Self::find_sessions`].
    pub fn find_sessions_range(
        &mut self,
        from: &K,
        to: &K,
        earliest_end: TimestampMs,
        latest_start: TimestampMs,
    ) -> Result<Sessions<'_, K, V>, TaskError> {
        self.sessions_of_range((from, to), (earliest_end, latest_start), Direction::Forwards)
    }

    /// [`Self::find_sessions_range`], backwards.
    ///
    /// # Errors
    /// As [`Self::find_sessions`].
    pub fn find_sessions_range_rev(
        &mut self,
        from: &K,
        to: &K,
        earliest_end: TimestampMs,
        latest_start: TimestampMs,
    ) -> Result<Sessions<'_, K, V>, TaskError> {
        self.sessions_of_range((from, to), (earliest_end, latest_start), Direction::Backwards)
    }

    /// All sessions, segment by segment, in each by key, end and start.
    ///
    /// # Errors
    /// As [`Self::find_sessions`].
    pub fn all(&mut self) -> Result<Sessions<'_, K, V>, TaskError> {
        self.sessions(Direction::Forwards)
    }

    /// [`Self::all`], backwards.
    ///
    /// # Errors
    /// As [`Self::find_sessions`].
    pub fn all_rev(&mut self) -> Result<Sessions<'_, K, V>, TaskError> {
        self.sessions(Direction::Backwards)
    }

    fn sessions_of(
        &mut self,
        key: &K,
        (earliest_end, latest_start): (TimestampMs, TimestampMs),
        direction: Direction,
    ) -> Result<Sessions<'_, K, V>, TaskError> {
        self.recall()?;
        let ends = self.kind.segments.shown(&(earliest_end..=i64::MAX));
        let (Some(key), Some(ends)) = (self.bound_bytes(key)?, ends) else {
            return self.scan(Vec::new(), direction, None);
        };
        let first = Span { start: 0, end: ends.0 }.suffix();
        let last = Span { start: i64::MAX, end: ends.1 }.suffix();
        let ranges = self.kind.segments.ranges(ends, direction, |segment| {
            let from = [&segment, &key[..], &first].concat();
            let to = [&segment, &key[..], &last].concat();
            (Bound::Included(from), Bound::Included(to))
        });
        // Longer keys that begin with this one lie between its sessions.
        let is_given = move |row_key: &[u8]| {
            parts(row_key).is_some_and(|(of, span)| of == key && span.start <= latest_start)
        };
        self.scan(ranges, direction, Some(Box::new(is_given)))
    }

    fn sessions_of_range(
        &mut self,
        keys: (&K, &K),
        (earliest_end, latest_start): (TimestampMs, TimestampMs),
        direction: Direction,
    ) -> Result<Sessions<'_, K, V>, TaskError> {
        self.recall()?;
        let (first, last) = (self.bound_bytes(keys.0)?, self.bound_bytes(keys.1)?);
        let Some(ends) = self.kind.segments.shown(&(earliest_end..=i64::MAX)) else {
            return self.scan(Vec::new(), direction, None);
        };
        let suffix = Span { start: i64::MAX, end: ends.1 }.suffix();
        let ranges = self.kind.segments.ranges(ends, direction, |segment| {
            let from = [&segment, first.as_deref().unwrap_or_default()].concat();
            let to = last.as_ref().map_or_else(
                || Segments::behind(segment),
                |last| Bound::Included([&segment, &greatest(last, &suffix)[..]].concat()),
            );
            (Bound::Included(from), to)
        });
        let is_given = move |row_key: &[u8]| {
            parts(row_key).is_some_and(|(key, span)| {
                first.as_deref().is_none_or(|first| first <= key)
                    && last.as_deref().is_none_or(|last| key <= last)
                    && ends.0 <= span.end
                    && span.start <= latest_start
            })
        };
        self.scan(ranges, direction, Some(Box::new(is_given)))
    }

    fn sessions(&mut self, direction: Direction) -> Result<Sessions<'_, K, V>, TaskError> {
        self.recall()?;
        let ends = self.kind.segments.shown(&(0..=i64::MAX));
        let ranges = ends.map(|ends| self.kind.segments.whole(ends)).into_iter().collect();
        self.scan(ranges, direction, None)
    }
}
