//! Segments of time: rows that expire together lie in one, and go with one range.
//!
//! A row has a time, and its key begins with the number of that time's segment. What else is in the
//! key is the kind's business. Time is the store's own: the latest that it was given. A row is shown
//! while its time is later than that less the retention, whether it is still there or not.
//!
//! Invariant: no row has a time before 0, so no segment is negative.

use std::ops::{Bound, RangeInclusive};
use std::time::Duration;

use crate::record::TimestampMs;
use crate::state::order::{Bounds, Direction};

/// The number of a segment in a row key.
pub(super) const SEGMENT_LEN: usize = 8;
/// Kafka Streams' least segment, in milliseconds.
const LEAST_SEGMENT_MS: i64 = 60_000;

/// How long rows are kept, and what the store has seen.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    retention_ms: i64,
    segment_ms: i64,
    /// The latest time; -1 before the first.
    stream_time: TimestampMs,
    /// Segments before this one were given out to be deleted.
    expired_before: i64,
}

impl Segments {
    /// Rows that are kept until the latest time is `retention` later than theirs; at least a
    /// millisecond.
    pub(super) fn new(retention: Duration) -> Self {
        let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX).max(1);
        let segment_ms = (retention_ms / 2).max(LEAST_SEGMENT_MS);
        Self { retention_ms, segment_ms, stream_time: -1, expired_before: 0 }
    }

    /// The same, in segments of this length; at least a millisecond.
    pub(super) fn of_length(self, segment_ms: i64) -> Self {
        Self { segment_ms: segment_ms.max(1), ..self }
    }

    pub(super) fn retention_ms(&self) -> i64 {
        self.retention_ms
    }

    pub(super) fn segment_ms(&self) -> i64 {
        self.segment_ms
    }

    pub(super) fn stream_time(&self) -> TimestampMs {
        self.stream_time
    }

    /// The bytes that a row key of this time begins with.
    pub(super) fn prefix(&self, time: TimestampMs) -> [u8; SEGMENT_LEN] {
        self.number(time).to_be_bytes()
    }

    /// Takes notice of the time of a write; false if it has expired already.
    pub(super) fn advance(&mut self, time: TimestampMs) -> bool {
        self.stream_time = self.stream_time.max(time);
        self.is_live(time)
    }

    /// Whether a row of this time is shown.
    pub(super) fn is_live(&self, time: TimestampMs) -> bool {
        time >= self.first_live()
    }

    /// Whether the segment of this time would be given up, as Kafka Streams counts it: a row that comes
    /// after it has expired and before that is taken there, and shown to nobody.
    pub(super) fn is_given_up(&self, time: TimestampMs) -> bool {
        let least = self.number(self.stream_time.saturating_sub(self.retention_ms));
        self.number(time) < least
    }

    /// What of these times is shown.
    pub(super) fn shown(
        &self,
        times: &RangeInclusive<TimestampMs>,
    ) -> Option<(TimestampMs, TimestampMs)> {
        let from = self.first_live().max(*times.start());
        let to = self.stream_time.min(*times.end());
        (from <= to).then_some((from, to))
    }

    /// One range for each segment of these times, made of the beginning of its row keys.
    pub(super) fn ranges(
        &self,
        (from, to): (TimestampMs, TimestampMs),
        direction: Direction,
        of_segment: impl Fn([u8; SEGMENT_LEN]) -> Bounds,
    ) -> Vec<Bounds> {
        let numbers = self.number(from)..=self.number(to);
        let mut ranges: Vec<Bounds> = numbers.map(|n| of_segment(n.to_be_bytes())).collect();
        if direction == Direction::Backwards {
            ranges.reverse();
        }
        ranges
    }

    /// All rows of the segments of these times.
    pub(super) fn whole(&self, (from, to): (TimestampMs, TimestampMs)) -> Bounds {
        (Bound::Included(self.prefix(from).to_vec()), Self::behind(self.prefix(to)))
    }

    /// The bound behind all rows of a segment.
    pub(super) fn behind(segment: [u8; SEGMENT_LEN]) -> Bound<Vec<u8>> {
        let next = i64::from_be_bytes(segment).saturating_add(1);
        Bound::Excluded(next.to_be_bytes().to_vec())
    }

    /// The rows of the segments that have expired since the last call.
    pub(super) fn take_expired(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let before = self.number(self.first_live());
        if before <= self.expired_before {
            return None;
        }
        let from = std::mem::replace(&mut self.expired_before, before);
        Some((from.to_be_bytes().to_vec(), before.to_be_bytes().to_vec()))
    }

    /// Goes on from a time of which all that has expired was deleted, -1 for none.
    pub(super) fn resume(&mut self, stream_time: TimestampMs) {
        self.stream_time = stream_time;
        self.expired_before = self.number(self.first_live());
    }

    fn number(&self, time: TimestampMs) -> i64 {
        time / self.segment_ms
    }

    /// The first time that is shown.
    pub(super) fn first_live(&self) -> TimestampMs {
        self.stream_time.saturating_sub(self.retention_ms).saturating_add(1).max(0)
    }
}
