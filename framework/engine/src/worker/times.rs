//! When the next commit and the next purge are due, and how long the open transaction is at work.

use std::time::{Duration, Instant};

use crate::settings::WorkerSettings;

/// The times of a worker's commits.
pub(super) struct Times {
    next_commit: Instant,
    next_purge: Instant,
    opened_at: Instant,
    /// The time spent on records since the transaction began.
    worked: Duration,
}

impl Times {
    pub(super) fn new(settings: &WorkerSettings, now: Instant) -> Self {
        Self {
            next_commit: now + settings.commit_interval,
            next_purge: now + settings.repartition_purge_interval,
            opened_at: now,
            worked: Duration::ZERO,
        }
    }

    /// A transaction is opened.
    pub(super) fn opened(&mut self, now: Instant) {
        (self.opened_at, self.worked) = (now, Duration::ZERO);
    }

    pub(super) fn open_for(&self, now: Instant) -> Duration {
        now - self.opened_at
    }

    /// So much time was spent on records.
    pub(super) fn add_work(&mut self, time: Duration) {
        self.worked += time;
    }

    pub(super) fn worked(&self) -> Duration {
        self.worked
    }

    /// When a batch of records has to end.
    pub(super) fn next_commit(&self) -> Instant {
        self.next_commit
    }

    /// A commit was tried, and this is when the next is due. One that takes longer than the interval
    /// must leave time to process something.
    pub(super) fn commit_ended(&mut self, interval: Duration, began: Instant, now: Instant) {
        self.next_commit = (began + interval).max(now + interval / 2);
    }

    /// Whether it is time to purge; the next time is later.
    pub(super) fn take_purge(&mut self, interval: Duration, now: Instant) -> bool {
        let is_due = now >= self.next_purge;
        if is_due {
            self.next_purge = now + interval;
        }
        is_due
    }
}
