//! [`SessionWindows`].

use std::time::Duration;

use super::millis;

/// Windows that last as long as records of a key follow each other: a gap of more than the inactivity
/// gap ends a session. A session holds its start and its end, the times of its first and last record.
///
/// A record that lies between two sessions joins them to one. It is late when the session that it would
/// be in ends before the newest record less the gap and the grace: it is dropped and counted.
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{SessionWindows, StreamsBuilder};
/// let visits = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_secs(30 * 60));
/// let builder = StreamsBuilder::new();
/// let clicks = builder.stream::<String, String>("clicks").group_by_key();
/// let per_visit = clicks.windowed_by(visits).count("clicks-per-visit");
/// # assert!(builder.build().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionWindows {
    gap_ms: i64,
    grace_ms: i64,
}

impl SessionWindows {
    /// Sessions that take late records until `grace` after the gap behind them.
    pub fn of_inactivity_gap_and_grace(gap: Duration, grace: Duration) -> Self {
        Self { gap_ms: millis(gap), grace_ms: millis(grace) }
    }

    /// Sessions that take no record once a newer one has come from behind the gap.
    pub fn of_inactivity_gap_with_no_grace(gap: Duration) -> Self {
        Self::of_inactivity_gap_and_grace(gap, Duration::ZERO)
    }

    /// The greatest distance of a record from its session, in milliseconds.
    pub fn inactivity_gap_ms(self) -> i64 {
        self.gap_ms
    }

    /// How long after the gap a session takes records, in milliseconds.
    pub fn grace_ms(self) -> i64 {
        self.grace_ms
    }
}
