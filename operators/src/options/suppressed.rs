//! [`Suppressed`]: how long a table's updates are kept back.

use std::fmt;
use std::time::Duration;

use oncestream_core::TimestampMs;
use oncestream_core::graph::ChangelogConfig;

use super::buffer_config::{Bounds, BufferConfig, StrictBuffer};
use super::named::Named;
use crate::windows::{Windowed, millis};

/// How long the updates of a table are kept back, and where: see
/// [`KTable::suppress`](crate::KTable::suppress).
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{BufferConfig, StreamsBuilder, Suppressed};
/// let builder = StreamsBuilder::new();
/// let a_minute = Suppressed::until_time_limit(
///     Duration::from_secs(60),
///     BufferConfig::max_records(10_000).emit_early_when_full(),
/// );
/// let clicks = builder.stream::<String, String>("clicks").group_by_key().count("clicks");
/// clicks.suppress(a_minute.with_name("once-a-minute")).to_stream().to("counts");
/// # assert!(builder.build().is_ok());
/// ```
///
/// # Time
///
/// The time is that of the results which reach the suppression, the greatest so far, and not the clock's.
/// It stands still while no result comes, and what waits then goes on waiting: a last window is not
/// emitted before a record behind it has come. With [`or_wall_clock`](Self::or_wall_clock), which Kafka
/// Streams does not have, the clock goes on in its place.
pub struct Suppressed<K> {
    pub(crate) name: Option<Named>,
    pub(crate) until: Until<K>,
    pub(crate) wall_clock_ms: Option<i64>,
    pub(crate) bounds: Bounds,
    pub(crate) changelog: Option<ChangelogConfig>,
}

/// What a result waits for.
pub(crate) enum Until<K> {
    /// So many milliseconds behind the first update.
    Limit(i64),
    /// The close of the window, whose end this tells.
    WindowCloses(fn(&K) -> TimestampMs),
}

impl<K> Clone for Until<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Until<K> {}

impl<K> Suppressed<Windowed<K>> {
    /// Emits the final result of each window, once: when the time of the results has come to the
    /// window's end and the grace of the windowed aggregation above. Results that are deleted by then
    /// are not emitted.
    ///
    /// The buffer must be strict, because one that emits early would emit results that are not final:
    ///
    /// ```compile_fail,E0308
    /// # use oncestream_operators::{BufferConfig, Suppressed, Windowed};
    /// let suppressed: Suppressed<Windowed<String>> =
    ///     Suppressed::until_window_closes(BufferConfig::max_records(1000));
    /// ```
    ///
    /// ```
    /// # use oncestream_operators::{BufferConfig, Suppressed, Windowed};
    /// let suppressed: Suppressed<Windowed<String>> =
    ///     Suppressed::until_window_closes(BufferConfig::max_records(1000).shut_down_when_full());
    /// # let _ = suppressed;
    /// ```
    pub fn until_window_closes(buffer: BufferConfig<StrictBuffer>) -> Self {
        Self::new(Until::WindowCloses(|window| window.end), buffer)
    }
}

impl<K> Suppressed<K> {
    /// Emits the last update of a key when the time of the results has gone on for `limit` since the
    /// first update that was kept back. Further updates replace it, and do not make it wait longer.
    ///
    /// With a limit of 0 nothing is kept back.
    pub fn until_time_limit<WhenFull>(limit: Duration, buffer: BufferConfig<WhenFull>) -> Self {
        Self::new(Until::Limit(millis(limit)), buffer)
    }

    fn new<WhenFull>(until: Until<K>, buffer: BufferConfig<WhenFull>) -> Self {
        let BufferConfig { bounds, changelog, .. } = buffer;
        Self { name: None, until, wall_clock_ms: None, bounds, changelog }
    }

    /// A name for the suppression; its store is called `<name>-store`. With a name, a suppression that is
    /// added or removed changes no other generated name. One that is removed loses what is in its buffer.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Named>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Lets results come without new input, by the wall clock. Kafka Streams has no such limit.
    ///
    /// - `until_time_limit`: a key is emitted at the latest when `limit` has passed on the clock since
    ///   its first update, also if the application was restarted in between.
    /// - `until_window_closes`: while no result comes for longer than `limit`, time goes on with the
    ///   clock. A window that lacks 20 seconds to its close is emitted after 20 seconds and `limit`
    ///   without a result. Each window is still emitted once: an update for a window that the clock
    ///   has closed is dropped and counted. So choose a limit that is longer than records may be held
    ///   up on their way.
    ///
    /// The clock is looked at ten times in each limit, but at most every 10 milliseconds and at least
    /// every second. What is due is emitted in a commit, which comes soon after that.
    #[must_use]
    pub fn or_wall_clock(mut self, limit: Duration) -> Self {
        self.wall_clock_ms = Some(millis(limit));
        self
    }
}

impl<K> Clone for Suppressed<K> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), changelog: self.changelog.clone(), ..*self }
    }
}

impl<K> fmt::Debug for Suppressed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = match self.until {
            Until::Limit(limit_ms) => format!("{limit_ms} ms"),
            Until::WindowCloses(_) => "the window closes".to_owned(),
        };
        f.debug_struct("Suppressed")
            .field("name", &self.name)
            .field("until", &until)
            .field("wall_clock_ms", &self.wall_clock_ms)
            .field("bounds", &self.bounds)
            .field("changelog", &self.changelog)
            .finish()
    }
}
