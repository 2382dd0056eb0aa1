//! The port of time.

use std::time::{Duration, Instant};

/// Tells the time, and lets it pass.
pub trait Clock {
    /// The moment, for time-outs and intervals.
    fn now(&self) -> Instant;

    /// Milliseconds since 1970, for timestamps and punctuations.
    fn wall_clock_ms(&self) -> i64;

    /// Lets so much time pass.
    fn sleep(&self, time: Duration);
}
