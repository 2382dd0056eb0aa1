//! [`TimeWindowedKStream`]: a stream in windows of one length.

use std::fmt;
use std::sync::Arc;

use oncestream_core::graph::NodeId;
use oncestream_core::task::{Node, TaskBuilder};

use super::sliding_aggregate::SlidingAggregate;
use super::time_aggregate::{InWindows, Starts, TimeAggregate};
use super::{FixedWindows, Kept};
use crate::dsl::{Data, StoreKey};
use crate::grouped::fold::{Aggregating, Counting, Fold, Reducing};
use crate::grouped::{AggregateFactory, KGroupedStream, count, reduce};
use crate::options::{Materialized, Named};
use crate::table::{KTable, TableSpec};
use crate::windows::{EmitStrategy, Windowed};

/// A grouped stream in time windows, sliding or unlimited ones: see
/// [`KGroupedStream::windowed_by`].
///
/// ```
/// use std::time::Duration;
/// use oncestream_operators::{EmitStrategy, StreamsBuilder, TimeWindows};
/// let builder = StreamsBuilder::new();
/// let minutes = TimeWindows::of_size_and_grace(Duration::from_secs(60), Duration::from_secs(5));
/// let in_minutes = builder.stream::<String, i64>("amounts").group_by_key().windowed_by(minutes);
/// in_minutes.count("counts");
/// let finals = in_minutes.emit_strategy(EmitStrategy::on_window_close());
/// finals.reduce(|sum, amount| sum + amount, "sums");
/// assert_eq!(builder.build().unwrap().store_names().len(), 2);
/// ```
pub struct TimeWindowedKStream<K, V> {
    grouped: KGroupedStream<K, V>,
    windows: FixedWindows,
    emit: EmitStrategy,
}

impl<K: StoreKey, V: Data> TimeWindowedKStream<K, V> {
    pub(super) fn new(grouped: KGroupedStream<K, V>, windows: FixedWindows) -> Self {
        Self { grouped, windows, emit: EmitStrategy::default() }
    }

    /// When results are forwarded; each update, if it is not called. Unlimited windows never close, so
    /// `build` refuses to emit them on close.
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

    /// Counts the records of each key in each window. Under exactly once each record counts once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{StreamsBuilder, TimeWindows};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks").group_by_key();
    /// let minute = TimeWindows::of_size_with_no_grace(Duration::from_secs(60));
    /// clicks.windowed_by(minute).count("clicks-per-minute");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn count(&self, materialized: impl Into<Materialized<K, i64>>) -> KTable<Windowed<K>, i64> {
        let materialized = materialized.into();
        materialized.burn_name(&self.grouped.stream.dsl, count::PREFIX);
        self.fold(count::PREFIX, materialized, Counting)
    }

    /// Combines the values of each key in each window, as [`KGroupedStream::reduce`] does. The value of
    /// a first record that is null deletes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{SlidingWindows, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let readings = builder.stream::<String, i64>("readings").group_by_key();
    /// let minute = SlidingWindows::of_time_difference_with_no_grace(Duration::from_secs(60));
    /// readings.windowed_by(minute).reduce(i64::max, "maxima");
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

    /// Folds the records of each key in each window into a value, as [`KGroupedStream::aggregate`] does.
    /// In time windows a record with a null value is folded in too; in sliding windows it is dropped.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{StreamsBuilder, TimeWindows};
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<String, i64>("orders").group_by_key();
    /// let hours = TimeWindows::of_size_with_no_grace(Duration::from_secs(3600));
    /// orders.windowed_by(hours).aggregate(|| 0_i64, |_, amount, sum| sum + amount, "turnover");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn aggregate<A: Data, R, I, F>(
        &self,
        initializer: I,
        aggregator: F,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<Windowed<K>, A>
    where
        R: Into<Option<A>>,
        I: Fn() -> A + Send + Sync + 'static,
        F: Fn(&K, V, A) -> R + Send + Sync + 'static,
    {
        let aggregating = Aggregating { initializer, aggregator };
        self.fold(count::PREFIX, materialized.into(), aggregating)
    }

    fn fold<A: Data, F: Fold<K, V, A>>(
        &self,
        prefix: &str,
        materialized: Materialized<K, A>,
        fold: F,
    ) -> KTable<Windowed<K>, A> {
        let (kept, fault) = self.windows.kept(&materialized, self.emit);
        let factory = self.grouped.window_node(self.windows, self.emit, kept, Arc::new(fold));
        let serdes = self.windows.serdes(&materialized);
        let table = self.grouped.aggregated(prefix, kept.windowed(materialized), factory);
        table.with_serdes(serdes).noted(kept, fault)
    }
}

impl<K: StoreKey, V: Data> KGroupedStream<K, V> {
    /// What makes the node of an aggregation in windows of one length.
    pub(crate) fn window_node<A: Data, F: Fold<K, V, A>>(
        &self,
        windows: FixedWindows,
        emit: EmitStrategy,
        kept: Kept,
        fold: Arc<F>,
    ) -> impl AggregateFactory<K, V, A> + use<K, V, A, F> {
        let grouped = self.grouped.clone();
        move |b: &mut TaskBuilder<'_>, id: NodeId, spec: &TableSpec<A>| {
            let setting = InWindows {
                fold: fold.clone(),
                key_serde: grouped.key_serde.clone(),
                value_serde: grouped.value_serde.clone(),
                emit,
                retention_ms: kept.retention_ms,
            };
            let node: Box<dyn Node<K, V>> = match windows {
                FixedWindows::Sliding(windows) => {
                    Box::new(SlidingAggregate::instantiate(b, id, spec, windows, setting)?)
                }
                FixedWindows::Time(windows) => {
                    let starts = Starts::Time(windows);
                    Box::new(TimeAggregate::instantiate(b, id, spec, starts, setting)?)
                }
                FixedWindows::Unlimited(windows) => {
                    let starts = Starts::Unlimited(windows);
                    Box::new(TimeAggregate::instantiate(b, id, spec, starts, setting)?)
                }
            };
            Ok(node)
        }
    }
}

impl<K, V> Clone for TimeWindowedKStream<K, V> {
    fn clone(&self) -> Self {
        Self { grouped: self.grouped.clone(), windows: self.windows, emit: self.emit }
    }
}

impl<K: Data, V: Data> fmt::Debug for TimeWindowedKStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeWindowedKStream")
            .field("grouped", &self.grouped)
            .field("windows", &self.windows)
            .field("emit", &self.emit)
            .finish()
    }
}
