//! [`CogroupedKStream`]: several grouped streams that are aggregated into one table.
//!
//! Each stream has an aggregating node of its own, all on one store, and behind them a node that merges
//! what they forward. A stream's own time decides which of its records are late, as in Kafka Streams.

mod part;
mod windowed;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::graph::NodeId;
use oncestream_core::state::Kind;
use oncestream_core::task::Node;

use part::{How, Initializer, Part, StreamPart};
pub use windowed::{SessionWindowedCogroupedKStream, TimeWindowedCogroupedKStream};

use crate::dsl::{Data, Dsl, NextName, StoreKey};
use crate::grouped::KGroupedStream;
use crate::options::{Materialized, Named};
use crate::stream::PassThrough;
use crate::table::{Change, KTable, KeyOf, Made, TableSerdes, TableSpec, View};
use crate::windowed::Windows;

const PREFIX: &str = "COGROUPKSTREAM-AGGREGATE-";

/// Several grouped streams of one key, each with an aggregator: made by [`KGroupedStream::cogroup`].
///
/// ```
/// use oncestream_operators::StreamsBuilder;
/// let builder = StreamsBuilder::new();
/// let payments = builder.stream::<String, i64>("payments").group_by_key();
/// let refunds = builder.stream::<String, i64>("refunds").group_by_key();
/// payments
///     .cogroup(|_, amount, balance: i64| balance + amount)
///     .cogroup(&refunds, |_, amount, balance| balance - amount)
///     .aggregate(|| 0, "balances")
///     .to_stream()
///     .to("balances");
/// # assert!(builder.build().is_ok());
/// ```
pub struct CogroupedKStream<K, A> {
    dsl: Dsl,
    parts: Vec<Rc<dyn Part<K, A>>>,
    next_name: NextName,
}

impl<K: StoreKey, V: Data> KGroupedStream<K, V> {
    /// Begins a cogroup: `aggregator(&key, value, aggregate)` is what a record of this stream does to
    /// the aggregate. `None`, or a null to the store's serde, deletes it.
    ///
    /// See [`CogroupedKStream`].
    pub fn cogroup<A: Data, R, F>(&self, aggregator: F) -> CogroupedKStream<K, A>
    where
        R: Into<Option<A>>,
        F: Fn(&K, V, A) -> R + Send + Sync + 'static,
    {
        let dsl = self.stream.dsl.clone();
        let none = CogroupedKStream { dsl, parts: Vec::new(), next_name: NextName::default() };
        none.cogroup(self, aggregator)
    }
}

impl<K: StoreKey, A: Data> CogroupedKStream<K, A> {
    /// Adds a stream, with what its records do to the aggregate.
    #[must_use]
    pub fn cogroup<V: Data, R, F>(&self, grouped: &KGroupedStream<K, V>, aggregator: F) -> Self
    where
        R: Into<Option<A>>,
        F: Fn(&K, V, A) -> R + Send + Sync + 'static,
    {
        let mut more = self.clone();
        more.parts.push(Rc::new(StreamPart {
            grouped: grouped.clone(),
            aggregator: Arc::new(move |key: &K, value, all| aggregator(key, value, all).into()),
        }));
        more
    }

    /// The same streams; the next aggregation called on what this returns gets the name. A name that no
    /// aggregation gets is refused by `build`.
    #[must_use]
    pub fn named(&self, name: impl Into<Named>) -> Self {
        Self { next_name: self.dsl.next_name(name), ..self.clone() }
    }

    /// Aggregates the records of each key of all streams: it starts as `initializer()`. Records with a
    /// null key or value are dropped and counted. Under exactly once each record is folded in once.
    pub fn aggregate<I>(
        &self,
        initializer: I,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<K, A>
    where
        I: Fn() -> A + Send + Sync + 'static,
    {
        let materialized = materialized.into();
        let serdes = TableSerdes::of(&materialized);
        self.add(Arc::new(initializer), materialized, &How::Plain).with_serdes(serdes)
    }

    /// The same streams, aggregated in windows: see [`KGroupedStream::windowed_by`]. Results come on
    /// update.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{StreamsBuilder, TimeWindows};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks").group_by_key();
    /// let taps = builder.stream::<String, i64>("taps").group_by_key();
    /// clicks
    ///     .cogroup(|_, _, count: i64| count + 1)
    ///     .cogroup(&taps, |_, _, count| count + 1)
    ///     .windowed_by(TimeWindows::of_size_with_no_grace(Duration::from_secs(60)))
    ///     .aggregate(|| 0, "touched-per-minute");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn windowed_by<W: Windows>(&self, windows: W) -> W::Cogrouped<K, A> {
        windows.over_cogrouped(self.clone())
    }

    /// Adds the nodes and the store.
    fn add<O: StoreKey + KeyOf<K, Kd>, Kd: Kind<K>>(
        &self,
        initializer: Initializer<A>,
        materialized: Materialized<K, A, Kd>,
        how: &How<K, A>,
    ) -> KTable<O, A>
    where
        Kd::Key: StoreKey,
    {
        let dsl = &self.dsl;
        let store = materialized.store_name(dsl, PREFIX);
        let named = self.next_name.take();
        let parents: Vec<NodeId> = self.parts.iter().map(|part| part.partitioned(&store)).collect();
        let spec = TableSpec::new();
        let mut nodes = Vec::with_capacity(parents.len());
        for (at, (part, parent)) in self.parts.iter().zip(parents).enumerate() {
            let name = dsl.suffixed(named, &format!("-cogroup-agg-{at}"), PREFIX);
            nodes.push(part.add(&name, parent, &spec.of_part(at), initializer.clone(), how));
        }
        let name = dsl.suffixed(named, "-cogroup-merge", "COGROUPKSTREAM-MERGE-");
        let merge = dsl.graph(|g| {
            g.add_processor(&name, &nodes, &[], |b, id| {
                Ok(Box::new(PassThrough { out: b.downstream(id)? }) as Box<dyn Node<O, Change<A>>>)
            })
        });
        spec.add_store(dsl, &nodes, materialized, &store);
        let view = View::of_store::<K, Kd>(&store.name);
        KTable::new(dsl.clone(), merge, spec, Made::WithStore(view))
    }
}

impl<K, A> Clone for CogroupedKStream<K, A> {
    fn clone(&self) -> Self {
        let Self { dsl, parts, next_name } = self;
        Self { dsl: dsl.clone(), parts: parts.clone(), next_name: next_name.clone() }
    }
}

impl<K, A> fmt::Debug for CogroupedKStream<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CogroupedKStream")
            .field("streams", &self.parts.len())
            .finish_non_exhaustive()
    }
}
