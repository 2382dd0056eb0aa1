//! [`JoinWindows`]: how far apart in time records may be to be joined.

use std::time::Duration;

use super::millis;

/// How far apart in time two records of a key may be to be joined, and how long late ones are waited for.
///
/// A record of the left stream at time *t* is joined with those of the right stream from *t* - `before` to
/// *t* + `after`, both included. So a record of the right stream at *t* is joined with those of the left
/// one from *t* - `after` to *t* + `before`.
///
/// The window of a record closes when the newest record of both streams has a time behind the window's end
/// and the grace. Then a left or outer join tells of the record that was joined with none.
///
/// `build` refuses windows that end before they begin, and those that are with their grace longer than
/// `i64::MAX` milliseconds
/// ([`TopologyError::InvalidWindows`](oncestream_core::error::TopologyError::InvalidWindows)).
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{JoinWindows, StreamsBuilder};
/// let an_hour = Duration::from_secs(3600);
/// let builder = StreamsBuilder::new();
/// let orders = builder.stream::<String, String>("orders");
/// let payments = builder.stream::<String, i64>("payments");
/// // A payment comes with its order or up to an hour later.
/// let later = JoinWindows::of_time_difference_with_no_grace(an_hour).before(Duration::ZERO);
/// orders.join(&payments, later, |order, amount| format!("{order}: {amount}")).to("paid");
/// # assert!(builder.build().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinWindows {
    /// All in milliseconds.
    before: i64,
    after: i64,
    grace: i64,
}

impl JoinWindows {
    /// Records that are `difference` apart at most, in either order; late ones are waited for until `grace`
    /// after a window's end.
    pub fn of_time_difference_and_grace(difference: Duration, grace: Duration) -> Self {
        let difference = millis(difference);
        Self { before: difference, after: difference, grace: millis(grace) }
    }

    /// Records that are `difference` apart at most, in either order; late ones are not waited for.
    pub fn of_time_difference_with_no_grace(difference: Duration) -> Self {
        Self::of_time_difference_and_grace(difference, Duration::ZERO)
    }

    /// How much earlier than a left record a right one may be.
    #[must_use]
    pub fn before(self, difference: Duration) -> Self {
        Self { before: millis(difference), ..self }
    }

    /// How much later than a left record a right one may be.
    #[must_use]
    pub fn after(self, difference: Duration) -> Self {
        Self { after: millis(difference), ..self }
    }

    /// A right record is joined if it is later than a left one by `from_ms` to `to_ms` milliseconds. Negative
    /// is earlier, so that a window may lie wholly before or behind its record.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::JoinWindows;
    /// let grace = Duration::from_secs(1);
    /// let windows = JoinWindows::of_time_difference_and_grace(Duration::ZERO, grace);
    /// // Not the answer that comes at once, but the one that takes between a second and a minute.
    /// let slow = windows.between_ms(1_000, 60_000);
    /// assert_eq!((slow.before_ms(), slow.after_ms()), (-1_000, 60_000));
    /// ```
    #[must_use]
    pub fn between_ms(self, from_ms: i64, to_ms: i64) -> Self {
        Self { before: from_ms.saturating_neg(), after: to_ms, ..self }
    }

    /// How much earlier than a left record a right one may be, in milliseconds.
    pub fn before_ms(self) -> i64 {
        self.before
    }

    /// How much later than a left record a right one may be, in milliseconds.
    pub fn after_ms(self) -> i64 {
        self.after
    }

    /// How long after its end a window is open, in milliseconds.
    pub fn grace_ms(self) -> i64 {
        self.grace
    }

    /// Whether records of one time are joined.
    pub(crate) fn holds_its_record(self) -> bool {
        self.before >= 0 && self.after >= 0
    }

    /// How long stores keep records, in milliseconds.
    ///
    /// It is the length of a window and the grace, as in Kafka Streams. A row is shown until the newest one
    /// is this much later. Where a window ends at its record, or holds it not at all, that is too short:
    /// partners may come until the very time that the window and its grace end at.
    pub(crate) fn retention_ms(self) -> i64 {
        let Self { before, after, grace } = self;
        let open = before.max(after).saturating_add(1);
        before.saturating_add(after).max(open).saturating_add(grace)
    }

    pub(crate) fn retention(self) -> Duration {
        Duration::from_millis(self.retention_ms().unsigned_abs())
    }

    /// Why there can be no such windows.
    pub(crate) fn fault(self) -> Option<String> {
        let Self { before, after, grace } = self;
        let they = format!("they reach {before} ms back and {after} ms ahead");
        match before.checked_add(after) {
            Some(size) if size < 0 => Some(format!(
                "{they}, so they end before they begin; give an end that is not before the beginning"
            )),
            Some(size) if size.checked_add(grace).is_some() => None,
            _ => Some(format!(
                "{they}, and have a grace of {grace} ms, which is together more than 2^63-1 ms; give less"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(before: u64, after: u64, grace: u64) -> JoinWindows {
        JoinWindows::of_time_difference_and_grace(Duration::ZERO, Duration::from_millis(grace))
            .before(Duration::from_millis(before))
            .after(Duration::from_millis(after))
    }

    #[test]
    fn a_store_keeps_what_a_window_can_reach() {
        assert_eq!(windows(10, 5, 3).retention_ms(), 18);
        assert_eq!(windows(10, 0, 3).retention_ms(), 14, "until and with the record's own time");
        assert_eq!(windows(0, 0, 0).retention_ms(), 1);
        assert_eq!(
            windows(0, 0, 3).between_ms(4, 12).retention_ms(),
            16,
            "a window behind its record"
        );
        assert_eq!(windows(0, 0, 3).between_ms(-12, -4).retention_ms(), 16);
    }

    #[test]
    fn windows_that_are_longer_than_time_or_end_before_they_begin_are_refused() {
        let none = windows(0, 0, 0);
        assert_eq!(none.between_ms(5, 5).fault(), None);
        let refused = none.between_ms(5, 4).fault().unwrap();
        assert!(refused.contains("-5 ms back and 4 ms ahead"), "{refused}");
        assert_eq!(windows(1, 1, 1).fault(), None);
        let most = JoinWindows::of_time_difference_with_no_grace(Duration::MAX);
        let refused = most.fault().unwrap();
        assert!(refused.contains("9223372036854775807 ms back"), "{refused}");
        assert_eq!(most.before(Duration::ZERO).fault(), None);
    }
}
