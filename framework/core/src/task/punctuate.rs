//! Punctuations: when which node is called. Pure time arithmetic, as in Kafka Streams.
//!
//! Stream-time schedules are aligned to 0 and fire as soon as there is data; wall-clock
//! schedules fire first one interval after they were made. A schedule that is behind fires once,
//! then at its next regular time (Kafka Streams' `PunctuationSchedule`).

use crate::record::TimestampMs;

/// Which clock drives a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    next: TimestampMs,
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
            PunctuationType::WallClockTime => wall_clock_ms + interval_ms,
        };
        self.list.push(Schedule { id, punctuator, kind, interval_ms, next });
        id
    }

    pub(crate) fn cancel(&mut self, id: ScheduleId) {
        self.list.retain(|s| s.id != id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn is_due(&self, kind: PunctuationType, now: TimestampMs) -> bool {
        self.list.iter().any(|s| s.kind == kind && s.next <= now)
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
            .filter(|s| s.kind == kind && s.next <= now)
            .min_by_key(|s| (s.next, s.id.0))?;
        let mut next = due.next + due.interval_ms;
        if now >= next {
            let missed = (now - due.next) / due.interval_ms;
            next = due.next + (missed + 1) * due.interval_ms;
        }
        due.next = next;
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
}
