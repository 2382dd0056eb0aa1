//! [`SessionWindowedKStream`]: a stream in sessions.

use std::fmt;
use std::sync::Arc;

use oncestream_core::graph::NodeId;
use oncestream_core::task::{Node, TaskBuilder};

use super::session_aggregate::{SessionAggregate, SessionSetting};
use super::{Kept, kept_sessions, session_serdes};
use crate::dsl::{Data, StoreKey};
use crate::grouped::fold::{Aggregating, Counting, Merge, Merging, Reducing};
use crate::grouped::{AggregateFactory, KGroupedStream, count, reduce};
use crate::options::{Materialized, Named};
use crate::table::{KTable, TableSpec};
use crate::windows::{EmitStrategy, SessionWindows, Windowed};

/// A grouped stream in sessions: see [`KGroupedStream::windowed_by`].
///
/// A session that grows, or joins another, is a new one: on update a deletion of the old ones is
/// forwarded, and then the new one.
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{SessionWindows, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let visits = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_secs(1800));
/// let pages = builder.stream::<String, String>("pages").group_by_key().windowed_by(visits);
/// pages.count("pages-of-visits");
/// pages.reduce(|first, _| first, "first-pages");
/// assert_eq!(builder.build().unwrap().store_names().len(), 2);
/// ```
pub struct SessionWindowedKStream<K, V> {
    grouped: KGroupedStream<K, V>,
    windows: SessionWindows,
    emit: EmitStrategy,
}

impl<K: StoreKey, V: Data> SessionWindowedKStream<K, V> {
    pub(super) fn new(grouped: KGroupedStream<K, V>, windows: SessionWindows) -> Self {
        Self { grouped, windows, emit: EmitStrategy::default() }
    }

    /// When results are forwarded; each update, if it is not called.
    #[must_use]
    pub fn emit_strategy(&self, emit: EmitStrategy) -> Self {
        Self { emit, ..self.clone() }
    }

    /// The same stream; the next aggregation called on what this returns gets the name. A name that no
    /// aggregation gets is refused by `build`.
    #[must_use]
    pub fn named(&self, name: impl Into<Named>) -> Self {
        Self { grouped: self.grouped.named(name), ..self.clone() }
    }

    /// Counts the records of each session. Under exactly once each record counts once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{SessionWindows, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks").group_by_key();
    /// let visits = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_secs(1800));
    /// clicks.windowed_by(visits).count("clicks-per-visit");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn count(&self, materialized: impl Into<Materialized<K, i64>>) -> KTable<Windowed<K>, i64> {
        let materialized = materialized.into();
        materialized.burn_name(&self.grouped.stream.dsl, count::PREFIX);
        self.fold(count::PREFIX, materialized, Counting)
    }

    /// Combines the values of each session, as [`KGroupedStream::reduce`] does. Sessions that become
    /// one are combined by the reducer too, the earlier one first.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{SessionWindows, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let readings = builder.stream::<String, i64>("readings").group_by_key();
    /// let bursts = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_secs(5));
    /// readings.windowed_by(bursts).reduce(i64::max, "maxima");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn reduce<R, F>(
        &self,
        reducer: F,
        materialized: impl Into<Materialized<K, V>>,
    ) -> KTable<Windowed<K>, V>
    where
        R: Into<Option<V>>,
        F: Fn(V, V) -> R + Send + Sync + 'static,
    {
        self.fold(reduce::PREFIX, materialized.into(), Reducing(reducer))
    }

    /// Folds the records of each session into a value. `merger(&key, one, two)` makes one value of two
    /// sessions that become one; its first is `initializer()` at first. A record with a null value is
    /// folded in too.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{SessionWindows, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<String, i64>("orders").group_by_key();
    /// let visits = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_secs(1800));
    /// orders.windowed_by(visits).aggregate(
    ///     || 0_i64,
    ///     |_, amount, sum| sum + amount,
    ///     |_, one, two| one + two,
    ///     "turnover",
    /// );
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn aggregate<A: Data, R, Q, I, F, M>(
        &self,
        initializer: I,
        aggregator: F,
        merger: M,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<Windowed<K>, A>
    where
        R: Into<Option<A>>,
        Q: Into<Option<A>>,
        I: Fn() -> A + Send + Sync + 'static,
        F: Fn(&K, V, A) -> R + Send + Sync + 'static,
        M: Fn(&K, A, A) -> Q + Send + Sync + 'static,
    {
        let merging = Merging { aggregating: Aggregating { initializer, aggregator }, merger };
        self.fold(count::PREFIX, materialized.into(), merging)
    }

    fn fold<A: Data, F: Merge<K, V, A>>(
        &self,
        prefix: &str,
        materialized: Materialized<K, A>,
        fold: F,
    ) -> KTable<Windowed<K>, A> {
        let (kept, fault) = kept_sessions(self.windows, &materialized, self.emit);
        let factory = self.grouped.session_node(self.windows, self.emit, kept, Arc::new(fold));
        let serdes = session_serdes(&materialized);
        let table = self.grouped.aggregated(prefix, kept.sessions(materialized), factory);
        table.with_serdes(serdes).noted(kept, fault)
    }
}

impl<K: StoreKey, V: Data> KGroupedStream<K, V> {
    /// What makes the node of an aggregation in sessions.
    pub(crate) fn session_node<A: Data, F: Merge<K, V, A>>(
        &self,
        windows: SessionWindows,
        emit: EmitStrategy,
        kept: Kept,
        fold: Arc<F>,
    ) -> impl AggregateFactory<K, V, A> + use<K, V, A, F> {
        let key_serde = self.grouped.key_serde.clone();
        move |b: &mut TaskBuilder<'_>, id: NodeId, spec: &TableSpec<A>| {
            let shown_ms = kept.retention_ms;
            let setting = SessionSetting { windows, emit, fold: fold.clone(), shown_ms };
            let node = SessionAggregate::instantiate(b, id, spec, key_serde.clone(), setting)?;
            Ok(Box::new(node) as Box<dyn Node<K, V>>)
        }
    }
}

impl<K, V> Clone for SessionWindowedKStream<K, V> {
    fn clone(&self) -> Self {
        Self { grouped: self.grouped.clone(), windows: self.windows, emit: self.emit }
    }
}

impl<K: Data, V: Data> fmt::Debug for SessionWindowedKStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWindowedKStream")
            .field("grouped", &self.grouped)
            .field("windows", &self.windows)
            .field("emit", &self.emit)
            .finish()
    }
}
