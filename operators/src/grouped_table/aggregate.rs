//! `aggregate`: a value of any type per group. `count` and `reduce` stand on the same node.

use std::marker::PhantomData;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::serde::DynSerde;
use oncestream_core::state::KeyValue;
use oncestream_core::task::{Context, Node};

use super::KGroupedTable;
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;
use crate::table::{Change, KTable, Made, StoredTable, TableSerdes, TableSpec, View};

impl<K: StoreKey, V: Data> KGroupedTable<K, V> {
    /// Folds the entries of each group into a value: it starts as `initializer()`,
    /// `adder(&key, value, aggregate)` adds an entry, `subtractor(&key, value, aggregate)` takes
    /// one out. An entry that changes within its group is taken out, then added.
    ///
    /// `None` from either, or a null to the store's serde, deletes the group; the next entry begins
    /// with `initializer()` again. Under exactly once each change is folded in once.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .table::<String, i64>("stock")
    ///     .group_by(|item, left| (item.len() as i64, *left))
    ///     .aggregate(|| 0_i64, |_, v, sum| sum + v, |_, v, sum| sum - v, "sums");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn aggregate<T: Data, R, Q, I, A, S>(
        &self,
        initializer: I,
        adder: A,
        subtractor: S,
        materialized: impl Into<Materialized<K, T>>,
    ) -> KTable<K, T>
    where
        R: Into<Option<T>>,
        Q: Into<Option<T>>,
        I: Fn() -> T + Send + Sync + 'static,
        A: Fn(&K, V, T) -> R + Send + Sync + 'static,
        S: Fn(&K, V, T) -> Q + Send + Sync + 'static,
    {
        let add = move |key: &K, value, old: Option<T>| {
            adder(key, value, old.unwrap_or_else(&initializer)).into()
        };
        let subtract = move |key: &K, value, old| subtractor(key, value, old).into();
        self.fold("KTABLE-AGGREGATE-", add, subtract, materialized.into())
    }

    /// The node that all aggregations share.
    pub(super) fn fold<T: Data, A, S>(
        &self,
        prefix: &str,
        add: A,
        subtract: S,
        materialized: Materialized<K, T>,
    ) -> KTable<K, T>
    where
        A: Fn(&K, V, Option<T>) -> Option<T> + Send + Sync + 'static,
        S: Fn(&K, V, T) -> Option<T> + Send + Sync + 'static,
    {
        // Of a `reduce` too, in Kafka Streams.
        let store = materialized.store_name(&self.dsl, "KTABLE-AGGREGATE-");
        let (parent, name) = self.partitioned(&store, prefix);
        let value_serde = materialized.value_serde.clone();
        let (add, subtract) = (Arc::new(add), Arc::new(subtract));
        let spec = TableSpec::new();
        let of_node = spec.clone();
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[parent], &[], move |b, id| {
                Ok(Box::new(TableAggregate {
                    add: add.clone(),
                    subtract: subtract.clone(),
                    value_serde: value_serde.clone(),
                    table: StoredTable::of_node(b, id, &of_node)?,
                    input: PhantomData,
                }) as Box<dyn Node<K, Change<V>>>)
            })
        });
        let serdes = TableSerdes::of(&materialized);
        spec.add_store(&self.dsl, &[node], materialized, &store);
        let made = Made::WithStore(View::of_store::<K, KeyValue>(&store.name));
        KTable::new(self.dsl.clone(), node, spec, made).with_serdes(serdes)
    }
}

struct TableAggregate<K, V, T, A, S> {
    add: Arc<A>,
    subtract: Arc<S>,
    value_serde: DynSerde<T>,
    table: StoredTable<K, T>,
    input: PhantomData<fn(V)>,
}

impl<K: StoreKey, V: Data, T: Data, A, S> Node<K, Change<V>> for TableAggregate<K, V, T, A, S>
where
    A: Fn(&K, V, Option<T>) -> Option<T>,
    S: Fn(&K, V, T) -> Option<T>,
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value: Change { new, old, .. }, timestamp, headers } = record;
        let record = Record { key, value: (), timestamp, headers };
        self.table.update(ctx, record, |key, current| {
            let (current, time) = match current {
                Some(current) => (Some(current.value), timestamp.max(current.timestamp)),
                None => (None, timestamp),
            };
            // Out first, then in. What was never added is not taken out.
            let current = match (current, old) {
                (Some(current), Some(old)) => {
                    // If the group is gone, what is added now begins it anew.
                    let rest = (self.subtract)(key, old, current);
                    rest.filter(|rest| !self.value_serde.is_null(rest))
                }
                (current, _) => current,
            };
            let current = match new {
                Some(new) => (self.add)(key, new, current),
                None => current,
            };
            (current, time)
        })
    }
}
