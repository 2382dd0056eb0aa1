//! [`TimeWindows`]: tumbling and hopping windows.

use std::time::Duration;

use oncestream_core::TimestampMs;

use super::millis;

/// Windows of one length that begin at fixed times: tumbling ones, each where the last one ends, or
/// hopping ones, which overlap. The first begins at 0, the year 1970. A window holds its start and not
/// its end.
///
/// A record is late for a window when the newest record has a time of the window's end and the grace
/// or later: it is dropped and counted.
///
/// Windows of a size or an advance of 0, or with an advance above the size, are refused by `build`
/// ([`TopologyError::InvalidWindows`](oncestream_core::error::TopologyError::InvalidWindows)).
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{StreamsBuilder, TimeWindows};
/// let minute = TimeWindows::of_size_and_grace(Duration::from_secs(60), Duration::from_secs(5));
/// let builder = StreamsBuilder::new();
/// let clicks = builder.stream::<String, String>("clicks").group_by_key();
/// let per_minute = clicks.windowed_by(minute).count("clicks-per-minute");
/// let each_second = clicks.windowed_by(minute.advance_by(Duration::from_secs(1))).count("moving");
/// # assert!(builder.build().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindows {
    /// All in milliseconds.
    size: i64,
    advance: i64,
    grace: i64,
}

impl TimeWindows {
    /// Tumbling windows that take late records until `grace` after their end.
    pub fn of_size_and_grace(size: Duration, grace: Duration) -> Self {
        Self { size: millis(size), advance: millis(size), grace: millis(grace) }
    }

    /// Tumbling windows that take no record once a newer one has come from behind their end.
    pub fn of_size_with_no_grace(size: Duration) -> Self {
        Self::of_size_and_grace(size, Duration::ZERO)
    }

    /// Hopping windows: one begins every `advance`.
    #[must_use]
    pub fn advance_by(mut self, advance: Duration) -> Self {
        self.advance = millis(advance);
        self
    }

    /// How long a window is, in milliseconds.
    pub fn size_ms(self) -> i64 {
        self.size
    }

    /// How far apart windows begin, in milliseconds.
    pub fn advance_ms(self) -> i64 {
        self.advance
    }

    /// How long after its end a window takes records, in milliseconds.
    pub fn grace_ms(self) -> i64 {
        self.grace
    }

    /// The starts of the windows that hold a time, in their order.
    pub(crate) fn starts(self, time: TimestampMs) -> impl Iterator<Item = TimestampMs> {
        let advance = self.advance;
        // `TimeWindows.windowsFor`; none begins before 0.
        let earliest = time.saturating_sub(self.size).saturating_add(advance).max(0);
        let first = earliest / advance * advance;
        std::iter::successors(Some(first), move |start| start.checked_add(advance))
            .take_while(move |start| *start <= time)
    }

    /// Why there can be no such windows.
    pub(crate) fn fault(self) -> Option<String> {
        if self.size == 0 {
            Some("their size is 0 ms, and must be at least 1 ms".to_owned())
        } else if self.advance == 0 || self.advance > self.size {
            Some(format!(
                "they advance by {} ms, and must advance by 1 ms at least and by their size of {} ms \
                 at most",
                self.advance, self.size
            ))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(size: u64, advance: u64, time: TimestampMs) -> Vec<TimestampMs> {
        let windows = TimeWindows::of_size_with_no_grace(Duration::from_millis(size));
        windows.advance_by(Duration::from_millis(advance)).starts(time).collect()
    }

    /// Values of `TimeWindowsTest` in Apache Kafka, and the ends of time.
    #[test]
    fn a_time_is_in_the_windows_of_kafka_streams() {
        assert_eq!(starts(12, 5, 21), [10, 15, 20]);
        assert_eq!(starts(12, 12, 21), [12]);
        assert_eq!(starts(10, 4, 3), [0]);
        assert_eq!(starts(10, 4, 0), [0]);
        let last = starts(10, 10, i64::MAX);
        assert_eq!(last, [i64::MAX / 10 * 10]);
    }
}
