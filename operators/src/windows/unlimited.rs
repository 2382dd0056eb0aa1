//! [`UnlimitedWindows`].

use oncestream_core::TimestampMs;

/// One window for each key, which begins at a time and never ends. Records from before it are left out,
/// and no record is late.
///
/// ```
/// use oncestream_operators::{StreamsBuilder, UnlimitedWindows};
/// let since_2020 = UnlimitedWindows::of().start_on(1_577_836_800_000);
/// let builder = StreamsBuilder::new();
/// let orders = builder.stream::<String, i64>("orders").group_by_key();
/// let totals = orders.windowed_by(since_2020).reduce(|sum, v| sum + v, "totals");
/// # assert!(builder.build().is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnlimitedWindows {
    start_ms: TimestampMs,
}

impl UnlimitedWindows {
    /// A window that begins at 0, the year 1970.
    pub fn of() -> Self {
        Self::default()
    }

    /// A window that begins at this time, in milliseconds. One before 0 is refused by `build`
    /// ([`TopologyError::InvalidWindows`](oncestream_core::error::TopologyError::InvalidWindows)).
    #[must_use]
    pub fn start_on(mut self, start_ms: TimestampMs) -> Self {
        self.start_ms = start_ms;
        self
    }

    /// When the window begins, in milliseconds.
    pub fn start_ms(self) -> TimestampMs {
        self.start_ms
    }

    /// Why there can be no such window.
    pub(crate) fn fault(self) -> Option<String> {
        (self.start_ms < 0)
            .then(|| format!("they begin at {} ms, and must begin at 0 or later", self.start_ms))
    }
}
