//! The clock of the workers: it stands until somebody waits, or until the test moves it.
//!
//! Whoever waits lets time pass for all, the broker included. What the test moves by hand passes for
//! the workers alone: no session and no transaction of the broker's ends by that, for the test would
//! otherwise have to move it in steps, as a running instance lives through it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use oncestream_broker::LocalBroker;

use super::world::lock;

/// What was moved by hand.
#[derive(Default)]
pub(in super::super) struct HandClock {
    moved: Mutex<Duration>,
}

impl HandClock {
    pub(super) fn now(&self, broker: &LocalBroker) -> Instant {
        let now = broker.now();
        // At the end of all time it stands.
        now.checked_add(*lock(&self.moved)).unwrap_or(now)
    }

    /// Moves it by hand.
    pub(in super::super) fn advance(&self, broker: &LocalBroker, by_ms: i64) {
        let by = Duration::from_millis(u64::try_from(by_ms).unwrap_or(0));
        let mut moved = lock(&self.moved);
        *moved = moved.saturating_add(by);
        broker.set_wall_clock_ms(broker.now_ms().saturating_add(by_ms));
    }
}
