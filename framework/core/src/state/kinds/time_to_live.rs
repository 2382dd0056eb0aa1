//! How long a value is shown after it was written.
//!
//! Time is the store's own: the latest time of a record that has come to it, and not the clock's. A value
//! is shown while its time is later than that less the time to live, as a row of a window store by its
//! retention. Whether its row is still there does not matter.
//!
//! Invariant: without a limit there is no time. No record is later than `time`, and each value is late
//! enough, so that a store without a limit pays two comparisons.

use std::time::Duration;

use crate::record::TimestampMs;

/// A key that is written all the time has so many index rows, and one more.
const PARTS: i64 = 4;

/// How long values are shown, and what the store has seen.
#[derive(Clone, Copy, Debug)]
pub struct TimeToLive {
    /// `None` for ever.
    ttl_ms: Option<i64>,
    /// The latest time; -1 before the first record.
    time: TimestampMs,
    /// The first time whose values are shown.
    first_live: TimestampMs,
}

impl TimeToLive {
    pub(super) const UNLIMITED: Self =
        Self { ttl_ms: None, time: TimestampMs::MAX, first_live: TimestampMs::MIN };

    /// At least a millisecond.
    pub(super) fn of(ttl: Duration) -> Self {
        let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX).max(1);
        Self { ttl_ms: Some(ttl_ms), time: -1, first_live: TimestampMs::MIN }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.ttl_ms.is_some()
    }

    /// The latest time of a record; -1 before the first.
    pub(crate) fn time(&self) -> TimestampMs {
        self.time
    }

    /// The first time whose values are shown.
    pub(crate) fn first_live(&self) -> TimestampMs {
        self.first_live
    }

    /// Takes notice of the time of a record.
    #[inline]
    pub(super) fn observe(&mut self, time: TimestampMs) {
        if time > self.time {
            self.advance(time);
        }
    }

    fn advance(&mut self, time: TimestampMs) {
        let Some(ttl_ms) = self.ttl_ms else { return };
        self.time = time;
        self.first_live = time.saturating_sub(ttl_ms).saturating_add(1);
    }

    /// Whether a value of this time is shown.
    #[inline]
    pub(super) fn is_live(&self, timestamp: TimestampMs) -> bool {
        timestamp >= self.first_live
    }

    /// The end of the part of the time to live that a time is in: a row is looked at when values of that
    /// end have expired, and so has the row, unless it was written again.
    pub(crate) fn due(&self, timestamp: TimestampMs) -> TimestampMs {
        let part_ms = (self.ttl_ms.unwrap_or(1) / PARTS).max(1);
        (timestamp - timestamp.rem_euclid(part_ms)).saturating_add(part_ms - 1)
    }
}

impl Default for TimeToLive {
    fn default() -> Self {
        Self::UNLIMITED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_while_it_is_later_than_time_less_its_time_to_live() {
        let mut ttl = TimeToLive::of(Duration::from_millis(10));
        assert!(ttl.is_live(0), "no record has come");
        for (time, first) in [(0, -9), (9, 0), (10, 1), (3, 1), (i64::MAX, i64::MAX - 9)] {
            ttl.observe(time);
            assert_eq!(ttl.first_live(), first, "at {time}");
            assert!(ttl.is_live(first) && !ttl.is_live(first - 1), "at {time}");
        }
        let mut longest = TimeToLive::of(Duration::MAX);
        longest.observe(i64::MAX - 1);
        assert!(longest.is_live(0));
        longest.observe(i64::MAX);
        assert!(longest.is_live(1) && !longest.is_live(0));
    }

    #[test]
    fn without_a_limit_there_is_no_time_and_nothing_expires() {
        let mut never = TimeToLive::default();
        never.observe(i64::MAX);
        assert!(never.is_live(0) && never.is_live(-1) && !never.is_limited());
    }

    #[test]
    fn a_row_is_looked_at_not_before_it_has_expired() {
        for (ttl_ms, time, due) in
            [(1, 7, 7), (7, 7, 7), (8, 7, 7), (8, 8, 9), (100, 24, 24), (100, 25, 49)]
        {
            assert_eq!(TimeToLive::of(Duration::from_millis(ttl_ms)).due(time), due, "{ttl_ms}");
        }
        for ttl in [Duration::from_millis(1), Duration::from_secs(3600), Duration::MAX] {
            for time in [0, 1, 3_600_000, i64::MAX - 1, i64::MAX] {
                assert!(TimeToLive::of(ttl).due(time) >= time, "{ttl:?} {time}");
            }
        }
    }
}
