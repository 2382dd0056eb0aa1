//! The clock of the workers: it stands still until a worker waits, or until the test moves it.
//!
//! When a worker waits, time passes for all, and for the broker too. When the test moves the clock, time
//! passes only for the workers: no session and no transaction of the broker times out by that. Otherwise
//! one large step would end the sessions of instances that, in steps, would have stayed alive.

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
