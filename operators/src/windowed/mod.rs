//! Aggregations in windows.
//!
//! [`TimeWindowedKStream`] and [`SessionWindowedKStream`] are what a user holds. Under them is one node
//! for each kind of window: `time_aggregate`, `sliding_aggregate`, `session_aggregate`. A node's own time,
//! the latest that it has seen, decides what is late and what has closed; it is committed with the
//! offsets, so a crash changes nothing.

mod closing;
mod kept;
mod session;
mod session_aggregate;
mod sliding_aggregate;
mod time;
mod time_aggregate;

use oncestream_core::state::{SessionKey, Window, WindowKey};

pub(crate) use kept::{Kept, kept_sessions, session_serdes};
pub use session::SessionWindowedKStream;
pub use time::TimeWindowedKStream;

use crate::cogrouped::{
    CogroupedKStream, SessionWindowedCogroupedKStream, TimeWindowedCogroupedKStream,
};
use crate::dsl::{Data, StoreKey};
use crate::grouped::KGroupedStream;
use crate::processor::StoreRef;
use crate::table::{Forwarded, KTable};
use crate::windows::{SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows, Windowed};

/// What a stream can be aggregated in: [`TimeWindows`], [`SlidingWindows`], [`UnlimitedWindows`],
/// [`SessionWindows`]. See [`KGroupedStream::windowed_by`].
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{KGroupedStream, StreamsBuilder, TimeWindowedKStream, TimeWindows};
/// let builder = StreamsBuilder::new();
/// let clicks: KGroupedStream<String, i64> = builder.stream("clicks").group_by_key();
/// // What comes of it depends on the windows.
/// let windows = TimeWindows::of_size_with_no_grace(Duration::from_secs(60));
/// let _in_minutes: TimeWindowedKStream<String, i64> = clicks.windowed_by(windows);
/// ```
pub trait Windows: sealed::Windows {
    /// The stream in these windows.
    type Stream<K: StoreKey, V: Data>;

    /// Puts a stream into them.
    #[doc(hidden)]
    fn over<K: StoreKey, V: Data>(self, grouped: KGroupedStream<K, V>) -> Self::Stream<K, V>;

    /// The cogroup in these windows.
    type Cogrouped<K: StoreKey, A: Data>;

    /// Puts a cogroup into them.
    #[doc(hidden)]
    fn over_cogrouped<K: StoreKey, A: Data>(
        self,
        cogrouped: CogroupedKStream<K, A>,
    ) -> Self::Cogrouped<K, A>;
}

mod sealed {
    pub trait Windows {}
    impl Windows for super::TimeWindows {}
    impl Windows for super::SlidingWindows {}
    impl Windows for super::UnlimitedWindows {}
    impl Windows for super::SessionWindows {}
}

/// Windows whose length is known beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FixedWindows {
    Time(TimeWindows),
    Sliding(SlidingWindows),
    Unlimited(UnlimitedWindows),
}

macro_rules! fixed {
    ($($windows:ident $kind:ident),+) => {$(
        impl Windows for $windows {
            type Stream<K: StoreKey, V: Data> = TimeWindowedKStream<K, V>;

            fn over<K: StoreKey, V: Data>(
                self,
                grouped: KGroupedStream<K, V>,
            ) -> TimeWindowedKStream<K, V> {
                TimeWindowedKStream::new(grouped, FixedWindows::$kind(self))
            }

            type Cogrouped<K: StoreKey, A: Data> = TimeWindowedCogroupedKStream<K, A>;

            fn over_cogrouped<K: StoreKey, A: Data>(
                self,
                cogrouped: CogroupedKStream<K, A>,
            ) -> TimeWindowedCogroupedKStream<K, A> {
                TimeWindowedCogroupedKStream::new(cogrouped, FixedWindows::$kind(self))
            }
        }
    )+};
}

fixed!(TimeWindows Time, SlidingWindows Sliding, UnlimitedWindows Unlimited);

impl Windows for SessionWindows {
    type Stream<K: StoreKey, V: Data> = SessionWindowedKStream<K, V>;

    fn over<K: StoreKey, V: Data>(
        self,
        grouped: KGroupedStream<K, V>,
    ) -> SessionWindowedKStream<K, V> {
        SessionWindowedKStream::new(grouped, self)
    }

    type Cogrouped<K: StoreKey, A: Data> = SessionWindowedCogroupedKStream<K, A>;

    fn over_cogrouped<K: StoreKey, A: Data>(
        self,
        cogrouped: CogroupedKStream<K, A>,
    ) -> SessionWindowedCogroupedKStream<K, A> {
        SessionWindowedCogroupedKStream::new(cogrouped, self)
    }
}

impl<K: StoreKey, V: Data> KGroupedStream<K, V> {
    /// Groups the records of each key by their times too: what is called on the result aggregates each
    /// window by itself, under keys that are [`Windowed`].
    ///
    /// A record is late when it comes after the window's end and its grace, by the times of the records
    /// that came to the same partition: it is dropped and counted. Under exactly once each record is in
    /// each of its windows once, and which records were late does not change by a crash.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{StreamsBuilder, TimeWindows};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("clicks")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of_size_with_no_grace(Duration::from_secs(60)))
    ///     .count("clicks-per-minute")
    ///     .to_stream()
    ///     .map(|page, count| (page.key, format!("{} from {} on", count.unwrap_or(0), page.start)))
    ///     .to("reports");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn windowed_by<W: Windows>(&self, windows: W) -> W::Stream<K, V> {
        windows.over(self.clone())
    }
}

impl<K: StoreKey, V: Data> KTable<Windowed<K>, V> {
    /// The store of an aggregation in time windows, sliding or unlimited ones, for processors: see
    /// [`KTable::store`].
    pub fn window_store(&self) -> StoreRef<K, V, Window> {
        self.store_of_kind()
    }

    /// The store of an aggregation in sessions, for processors: see [`KTable::store`].
    pub fn session_store(&self) -> StoreRef<K, V, oncestream_core::state::Session> {
        self.store_of_kind()
    }
}

/// A row of a window store is forwarded with the end of its window.
#[derive(Clone, Copy)]
pub(crate) struct OfSize {
    pub(crate) size_ms: i64,
}

impl<K> Forwarded<WindowKey<K>> for OfSize {
    type Key = Windowed<K>;

    fn key(&self, row_key: WindowKey<K>) -> Windowed<K> {
        let WindowKey { key, start, .. } = row_key;
        Windowed { key, start, end: start.saturating_add(self.size_ms) }
    }
}

/// A row of a session store says all.
#[derive(Clone, Copy)]
pub(crate) struct OfSession;

impl<K> Forwarded<SessionKey<K>> for OfSession {
    type Key = Windowed<K>;

    fn key(&self, row_key: SessionKey<K>) -> Windowed<K> {
        let SessionKey { key, start, end } = row_key;
        Windowed { key, start, end }
    }
}
