//! The system's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oncestream_engine::ports::Clock;

/// The clocks of the system: one that only goes on for intervals, and the one on the wall.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_clock_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
