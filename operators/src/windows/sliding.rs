//! [`SlidingWindows`].

use std::time::Duration;

use super::millis;

/// Windows of one length that begin and end at records: two records are in one window if their times
/// differ by the time difference at most. A window holds its start and its end.
///
/// A record is late when the newest record is later by more than the time difference and the grace: it
/// is dropped and counted. A difference of 0 is refused by `build`
/// ([`TopologyError::InvalidWindows`](oncestream_core::error::TopologyError::InvalidWindows)).
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{SlidingWindows, StreamsBuilder};
/// let a_minute = Duration::from_secs(60);
/// let windows = SlidingWindows::of_time_difference_and_grace(a_minute, Duration::from_secs(5));
/// let builder = StreamsBuilder::new();
/// let failures = builder.stream::<String, String>("failed-logins").group_by_key();
/// let together = failures.windowed_by(windows).count("failures-within-a-minute");
/// # assert!(builder.build().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindows {
    difference_ms: i64,
    grace_ms: i64,
}

impl SlidingWindows {
    /// Windows that take late records until `grace` after their end.
    pub fn of_time_difference_and_grace(difference: Duration, grace: Duration) -> Self {
        Self { difference_ms: millis(difference), grace_ms: millis(grace) }
    }

    /// Windows that take no record once a newer one has come from behind their end.
    pub fn of_time_difference_with_no_grace(difference: Duration) -> Self {
        Self::of_time_difference_and_grace(difference, Duration::ZERO)
    }

    /// The greatest difference of two records' times in a window, in milliseconds.
    pub fn time_difference_ms(self) -> i64 {
        self.difference_ms
    }

    /// How long after its end a window takes records, in milliseconds.
    pub fn grace_ms(self) -> i64 {
        self.grace_ms
    }

    /// Why there can be no such windows.
    pub(crate) fn fault(self) -> Option<String> {
        (self.difference_ms == 0)
            .then(|| "their time difference is 0 ms, and must be at least 1 ms".to_owned())
    }
}
