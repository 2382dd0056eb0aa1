//! `aggregate`: a value of any type per key, from all its records. `count` and `reduce` stand on
//! the same node.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::serde::DynSerde;
use oncestream_core::state::Kind;
use oncestream_core::task::{Context, Node, TaskBuilder};

use super::KGroupedStream;
use super::fold::{Aggregating, Fold, null_in};
use crate::dsl::{Data, StoreKey};
use crate::options::{Grouped, Materialized};
use crate::table::{KTable, KeyOf, Made, StoredTable, TableSerdes, TableSpec, View};

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// Folds the records of each key into a value: it starts as `initializer()`, and each record
    /// makes it `aggregator(&key, value, aggregate)`. If that is `None`, or a null to the store's
    /// serde, the key is deleted, and its next record starts with `initializer()` again.
    ///
    /// Under exactly once each record is folded in once. The result's timestamp is the largest
    /// of the records folded in.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, i64>("in").group_by_key();
    /// grouped.aggregate(|| 0_i64, |_, v, sum| sum + v, "sums").to_stream().to("sums");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn aggregate<A: Data, R, I, F>(
        &self,
        initializer: I,
        aggregator: F,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<K, A>
    where
        K: StoreKey,
        R: Into<Option<A>>,
        I: Fn() -> A + Send + Sync + 'static,
        F: Fn(&K, V, A) -> R + Send + Sync + 'static,
    {
        let aggregating = Aggregating { initializer, aggregator };
        self.fold(super::count::PREFIX, materialized.into(), aggregating)
    }

    /// The node that aggregations without windows share.
    pub(super) fn fold<A: Data, F: Fold<K, V, A>>(
        &self,
        prefix: &str,
        materialized: Materialized<K, A>,
        fold: F,
    ) -> KTable<K, A>
    where
        K: StoreKey,
    {
        let serdes = TableSerdes::of(&materialized);
        let table = self.aggregated(prefix, materialized, self.plain_node(Arc::new(fold)));
        table.with_serdes(serdes)
    }

    /// What makes the node of an aggregation without windows.
    pub(crate) fn plain_node<A: Data, F: Fold<K, V, A>>(
        &self,
        fold: Arc<F>,
    ) -> impl AggregateFactory<K, V, A> + use<K, V, A, F>
    where
        K: StoreKey,
    {
        let Grouped { key_serde, value_serde, .. } = self.grouped.clone();
        move |b: &mut TaskBuilder<'_>, id: NodeId, spec: &TableSpec<A>| {
            Ok(Box::new(Aggregate {
                table: StoredTable::of_node(b, id, spec)?,
                key_serde: key_serde.clone(),
                value_serde: value_serde.clone(),
                fold: fold.clone(),
            }) as Box<dyn Node<K, V>>)
        }
    }

    /// Adds the node of an aggregation and its store, of any kind.
    pub(crate) fn aggregated<A: Data, R: StoreKey + KeyOf<K, Kd>, Kd: Kind<K>>(
        &self,
        prefix: &str,
        materialized: Materialized<K, A, Kd>,
        factory: impl AggregateFactory<K, V, A>,
    ) -> KTable<R, A>
    where
        K: StoreKey,
        Kd::Key: StoreKey,
    {
        let dsl = self.stream.dsl.clone();
        let store = materialized.store_name(&dsl, prefix);
        let name = dsl.name(self.next_name.take(), prefix);
        let parent = self.partitioned(&store);
        let spec = TableSpec::new();
        let node = self.add_aggregating(&name, parent, &spec, factory);
        spec.add_store(&dsl, &[node], materialized, &store);
        let view = View::of_store::<K, Kd>(&store.name);
        KTable::new(dsl, node, spec, Made::WithStore(view))
    }

    /// Adds a node that aggregates below `parent`.
    pub(crate) fn add_aggregating<A: Data>(
        &self,
        name: &str,
        parent: NodeId,
        spec: &TableSpec<A>,
        factory: impl AggregateFactory<K, V, A>,
    ) -> NodeId {
        let spec = spec.clone();
        self.stream.dsl.graph(|g| {
            g.add_processor(name, &[parent], &[], move |b, id| factory.make(b, id, &spec))
        })
    }
}

/// Makes the node of an aggregation for one task.
pub(crate) trait AggregateFactory<K, V, A>: Send + Sync + 'static {
    fn make(
        &self,
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<A>,
    ) -> Result<Box<dyn Node<K, V>>, TopologyError>;
}

impl<K, V, A, F> AggregateFactory<K, V, A> for F
where
    F: Fn(
            &mut TaskBuilder<'_>,
            NodeId,
            &TableSpec<A>,
        ) -> Result<Box<dyn Node<K, V>>, TopologyError>
        + Send
        + Sync
        + 'static,
{
    fn make(
        &self,
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<A>,
    ) -> Result<Box<dyn Node<K, V>>, TopologyError> {
        self(b, id, spec)
    }
}

struct Aggregate<K, V, A, F> {
    table: StoredTable<K, A>,
    key_serde: DynSerde<K>,
    value_serde: DynSerde<V>,
    fold: Arc<F>,
}

impl<K: StoreKey, V: Data, A: Data, F: Fold<K, V, A>> Node<K, V> for Aggregate<K, V, A, F> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        if let Some(reason) = null_in(&record, &self.key_serde, &self.value_serde) {
            ctx.drop_record(reason);
            return Ok(());
        }
        let Record { key, value, timestamp, headers } = record;
        let record = Record { key, value: (), timestamp, headers };
        let fold = &*self.fold;
        self.table.fold(ctx, record, || fold.initial(), |key, old| fold.fold(key, value, old))
    }
}
