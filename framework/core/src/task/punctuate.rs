//! Punctuations: when which node is called. Pure time arithmetic, as in Kafka Streams.
//!
//! Stream-time schedules are aligned to 0 and fire as soon as there is data; wall-clock
//! schedules fire first one interval after they were made. A schedule that is behind fires once,
//! then at its next regular time (Kafka Streams' `PunctuationSchedule`). A wall clock that is set
//! back makes its schedules fire once, and from then on at the new time: they would sleep until
//! the old time comes again. A schedule that has fired at the last millisecond there is has no next
//! time.

use crate::record::TimestampMs;

/// Which clock drives a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PunctuationType {
    /// Advances with the records' times alone.
    StreamTime,
    /// Advances with the system's clock.
    WallClockTime,
}

/// A node that can be called by a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PunctuatorId(pub(crate) usize);

/// One schedule, for cancelling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScheduleId(u64);

#[derive(Debug)]
struct Schedule {
    id: ScheduleId,
    punctuator: PunctuatorId,
    kind: PunctuationType,
    interval_ms: i64,
    /// `None` when it has fired at the end of time.
    next: Option<TimestampMs>,
}

impl Schedule {
    fn is_due(&self, now: TimestampMs) -> bool {
        match self.next {
            Some(next) => next <= now || self.is_set_back(next, now),
            None => self.is_set_back(TimestampMs::MAX, now),
        }
    }

    /// The next time is never further away than one interval, unless the clock was set back.
    fn is_set_back(&self, next: TimestampMs, now: TimestampMs) -> bool {
        self.kind == PunctuationType::WallClockTime
            && now < TimestampMs::MAX
            && next.saturating_sub(now) > self.interval_ms
    }

    /// The first regular time after `now`.
    fn next_after(&self, now: TimestampMs) -> Option<TimestampMs> {
        match self.next {
            // Wide, since a clock may jump from one end of time to the other.
            Some(next) if next <= now => {
                let (from, step) = (i128::from(next), i128::from(self.interval_ms));
                let missed = (i128::from(now) - from) / step;
                i64::try_from(from + (missed + 1) * step).ok()
            }
            // The clock was set back.
            _ => now.checked_add(self.interval_ms),
        }
    }
}

/// The schedules of one task.
#[derive(Debug, Default)]
pub(crate) struct Schedules {
    list: Vec<Schedule>,
    made: u64,
}

impl Schedules {
    pub(crate) fn add(
        &mut self,
        punctuator: PunctuatorId,
        interval_ms: i64,
        kind: PunctuationType,
        wall_clock_ms: TimestampMs,
    ) -> ScheduleId {
        let interval_ms = interval_ms.max(1);
        let id = ScheduleId(self.made);
        self.made += 1;
        let next = match kind {
            PunctuationType::StreamTime => 0,
            PunctuationType::WallClockTime => wall_clock_ms.saturating_add(interval_ms),
        };
        self.list.push(Schedule { id, punctuator, kind, interval_ms, next: Some(next) });
        id
    }

    pub(crate) fn cancel(&mut self, id: ScheduleId) {
        self.list.retain(|s| s.id != id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn is_due(&self, kind: PunctuationType, now: TimestampMs) -> bool {
        self.list.iter().any(|s| s.kind == kind && s.is_due(now))
    }

    /// The due schedule with the earliest time, moved on to its next time.
    pub(crate) fn take_due(
        &mut self,
        kind: PunctuationType,
        now: TimestampMs,
    ) -> Option<(PunctuatorId, ScheduleId)> {
        let due = self
            .list
            .iter_mut()
            .filter(|s| s.kind == kind && s.is_due(now))
            .min_by_key(|s| (s.next, s.id.0))?;
        due.next = due.next_after(now);
        Some((due.punctuator, due.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_time_is_aligned_to_zero_and_fires_once_when_behind() {
        let mut s = Schedules::default();
        s.add(PunctuatorId(0), 10, PunctuationType::StreamTime, 1_000);
        assert!(s.take_due(PunctuationType::StreamTime, 25).is_some());
        assert!(s.take_due(PunctuationType::StreamTime, 25).is_none());
        assert!(s.take_due(PunctuationType::StreamTime, 29).is_none());
        assert!(s.take_due(PunctuationType::StreamTime, 30).is_some());
    }

    #[test]
    fn wall_clock_waits_one_interval_and_cancel_ends_it() {
        let mut s = Schedules::default();
        let id = s.add(PunctuatorId(0), 10, PunctuationType::WallClockTime, 100);
        assert!(s.take_due(PunctuationType::WallClockTime, 109).is_none());
        assert!(s.take_due(PunctuationType::WallClockTime, 110).is_some());
        s.cancel(id);
        assert!(s.take_due(PunctuationType::WallClockTime, 500).is_none());
    }

    #[test]
    fn a_wall_clock_that_jumps_fires_once_each_time_and_goes_on_from_there() {
        let wall = PunctuationType::WallClockTime;
        let mut s = Schedules::default();
        s.add(PunctuatorId(0), 10, wall, 1_000_000);
        for now in [1_000_010, 9_000_000, 500, -500, i64::MAX - 5] {
            assert!(s.is_due(wall, now), "{now}");
            assert!(s.take_due(wall, now).is_some(), "{now}");
            assert!(s.take_due(wall, now).is_none(), "a burst at {now}");
        }
        let mut s = Schedules::default();
        s.add(PunctuatorId(0), 10, wall, 1_000_000);
        assert!(s.take_due(wall, 500).is_some());
        assert!(s.take_due(wall, 509).is_none());
        assert!(s.take_due(wall, 510).is_some());
        // One of hours is not due before its time.
        s.add(PunctuatorId(0), i64::MAX, wall, 1_000);
        assert!(s.take_due(wall, 515).is_none());
    }

    #[test]
    fn at_the_end_of_time_a_schedule_fires_once() {
        for kind in [PunctuationType::StreamTime, PunctuationType::WallClockTime] {
            for interval_ms in [1, 10, 7_777, i64::MAX] {
                let mut s = Schedules::default();
                s.add(PunctuatorId(0), interval_ms, kind, 0);
                assert!(s.take_due(kind, i64::MAX).is_some(), "{kind:?} {interval_ms}");
                for _ in 0..2 {
                    assert!(!s.is_due(kind, i64::MAX), "{kind:?} {interval_ms}");
                    assert!(s.take_due(kind, i64::MAX).is_none(), "{kind:?} {interval_ms}");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_comes_back_from_the_end_of_time_fires_again() {
        let wall = PunctuationType::WallClockTime;
        let mut s = Schedules::default();
        s.add(PunctuatorId(0), 10, wall, 0);
        assert!(s.take_due(wall, i64::MAX).is_some());
        assert!(s.take_due(wall, 500).is_some());
        assert!(s.take_due(wall, 509).is_none());
        assert!(s.take_due(wall, 510).is_some());
    }
}
