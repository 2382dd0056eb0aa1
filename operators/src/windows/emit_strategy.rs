//! [`EmitStrategy`]: when the result of a window is forwarded.

use std::time::Duration;

/// When a windowed aggregation forwards results: each update, or the final result of each window once.
///
/// On close, a window's result is forwarded when the newest record is so late that none can come for the
/// window any more. Without a new record no window closes. The result comes once, also after a crash.
///
/// Kafka Streams looks for closed windows once a second of the wall clock, and loses results when time
/// jumps by more than the store's retention. Here the default is to look with each record, and what a
/// jump closes is forwarded before it is forgotten.
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{EmitStrategy, StreamsBuilder, TimeWindows};
/// let minute = TimeWindows::of_size_with_no_grace(Duration::from_secs(60));
/// let builder = StreamsBuilder::new();
/// let clicks = builder.stream::<String, String>("clicks").group_by_key();
/// let final_counts =
///     clicks.windowed_by(minute).emit_strategy(EmitStrategy::on_window_close()).count("final");
/// # assert!(builder.build().is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmitStrategy {
    /// The least time between two looks for closed windows; `None` to emit on update.
    pub(crate) on_close: Option<Duration>,
}

impl EmitStrategy {
    /// Each update is forwarded; with caching, the last one of each commit. The default.
    pub fn on_window_update() -> Self {
        Self { on_close: None }
    }

    /// The last result of a window is forwarded when the window has closed, and nothing before.
    pub fn on_window_close() -> Self {
        Self { on_close: Some(Duration::ZERO) }
    }

    /// Looks for closed windows at most once in this time of the wall clock. It changes nothing for a
    /// strategy that emits on update.
    #[must_use]
    pub fn at_most_every(self, interval: Duration) -> Self {
        Self { on_close: self.on_close.map(|_| interval) }
    }
}
