//! Cogroups in windows.

use std::fmt;
use std::sync::Arc;

use super::CogroupedKStream;
use super::part::How;
use crate::dsl::{Data, StoreKey};
use crate::options::{Materialized, Named};
use crate::table::KTable;
use crate::windowed::{FixedWindows, kept_sessions, session_serdes};
use crate::windows::{EmitStrategy, SessionWindows, Windowed};

/// A cogroup in time windows, sliding or unlimited ones: see [`CogroupedKStream::windowed_by`].
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{StreamsBuilder, TimeWindows};
/// let builder = StreamsBuilder::new();
/// let paid = builder.stream::<String, i64>("paid").group_by_key();
/// let refunded = builder.stream::<String, i64>("refunded").group_by_key();
/// let hour = TimeWindows::of_size_with_no_grace(Duration::from_secs(3600));
/// paid.cogroup(|_, amount, sum: i64| sum + amount)
///     .cogroup(&refunded, |_, amount, sum| sum - amount)
///     .windowed_by(hour)
///     .aggregate(|| 0, "balances-per-hour");
/// # assert!(builder.build().is_ok());
/// ```
#[derive(Clone)]
pub struct TimeWindowedCogroupedKStream<K, A> {
    cogrouped: CogroupedKStream<K, A>,
    windows: FixedWindows,
}

impl<K: StoreKey, A: Data> TimeWindowedCogroupedKStream<K, A> {
    pub(crate) fn new(cogrouped: CogroupedKStream<K, A>, windows: FixedWindows) -> Self {
        Self { cogrouped, windows }
    }

    /// The same streams; the aggregation called on what this returns gets the name.
    #[must_use]
    pub fn named(&self, name: impl Into<Named>) -> Self {
        Self { cogrouped: self.cogrouped.named(name), windows: self.windows }
    }

    /// Aggregates the records of each key of all streams in each window: it starts as `initializer()`.
    pub fn aggregate<I>(
        &self,
        initializer: I,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<Windowed<K>, A>
    where
        I: Fn() -> A + Send + Sync + 'static,
    {
        let (windows, materialized) = (self.windows, materialized.into());
        let (kept, fault) = windows.kept(&materialized, EmitStrategy::on_window_update());
        let serdes = windows.serdes(&materialized);
        let materialized = kept.windowed(materialized);
        let table =
            self.cogrouped.add(Arc::new(initializer), materialized, &How::Fixed(windows, kept));
        table.with_serdes(serdes).noted(kept, fault)
    }
}

/// A cogroup in sessions: see [`CogroupedKStream::windowed_by`].
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{SessionWindows, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let pages = builder.stream::<String, String>("pages").group_by_key();
/// let searches = builder.stream::<String, String>("searches").group_by_key();
/// let visits = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_secs(1800));
/// pages
///     .cogroup(|_, _, steps: i64| steps + 1)
///     .cogroup(&searches, |_, _, steps| steps + 1)
///     .windowed_by(visits)
///     .aggregate(|| 0, |_, one, other| one + other, "steps-of-visits");
/// # assert!(builder.build().is_ok());
/// ```
#[derive(Clone)]
pub struct SessionWindowedCogroupedKStream<K, A> {
    cogrouped: CogroupedKStream<K, A>,
    windows: SessionWindows,
}

impl<K: StoreKey, A: Data> SessionWindowedCogroupedKStream<K, A> {
    pub(crate) fn new(cogrouped: CogroupedKStream<K, A>, windows: SessionWindows) -> Self {
        Self { cogrouped, windows }
    }

    /// The same streams; the aggregation called on what this returns gets the name.
    #[must_use]
    pub fn named(&self, name: impl Into<Named>) -> Self {
        Self { cogrouped: self.cogrouped.named(name), windows: self.windows }
    }

    /// Aggregates the records of all streams in each session: it starts as `initializer()`, and
    /// `merger(&key, one, two)` makes one value of two sessions that become one.
    pub fn aggregate<Q, I, M>(
        &self,
        initializer: I,
        merger: M,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<Windowed<K>, A>
    where
        Q: Into<Option<A>>,
        I: Fn() -> A + Send + Sync + 'static,
        M: Fn(&K, A, A) -> Q + Send + Sync + 'static,
    {
        let (windows, materialized) = (self.windows, materialized.into());
        let (kept, fault) = kept_sessions(windows, &materialized, EmitStrategy::on_window_update());
        let serdes = session_serdes(&materialized);
        let materialized = kept.sessions(materialized);
        let merger = Arc::new(move |key: &K, one, two| merger(key, one, two).into());
        let how = How::Sessions(windows, kept, merger);
        let table = self.cogrouped.add(Arc::new(initializer), materialized, &how);
        table.with_serdes(serdes).noted(kept, fault)
    }
}

impl<K, A> fmt::Debug for TimeWindowedCogroupedKStream<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeWindowedCogroupedKStream")
            .field("cogrouped", &self.cogrouped)
            .field("windows", &self.windows)
            .finish()
    }
}

impl<K, A> fmt::Debug for SessionWindowedCogroupedKStream<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWindowedCogroupedKStream")
            .field("cogrouped", &self.cogrouped)
            .field("windows", &self.windows)
            .finish()
    }
}
