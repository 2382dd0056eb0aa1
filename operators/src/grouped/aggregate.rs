//! `aggregate`: a value of any type per key, from all its records. `count` and `reduce` stand on
//! the same node.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::serde::DynSerde;
use oncestream_core::state::{KeyValueStore, ValueAndTimestamp};
use oncestream_core::task::{CacheFlush, Context, Downstream, Node, Shared, TaskBuilder};

use super::KGroupedStream;
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;
use crate::table::{Change, KTable, OldValues};

impl<K: StoreKey, V: Data> KGroupedStream<K, V> {
    /// Folds the records of each key into a value: it starts as `initializer()`, and each record
    /// makes it `aggregator(&key, value, aggregate)`.
    ///
    /// Under exactly once each record is folded in once. The result's timestamp is the largest
    /// of the records folded in.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .aggregate(|| 0_i64, |_, v, sum| sum + v, Materialized::named("sums"));
    /// ```
    pub fn aggregate<A: Data, I, F>(
        &self,
        initializer: I,
        aggregator: F,
        materialized: Materialized<K, A>,
    ) -> KTable<K, A>
    where
        I: Fn() -> A + Send + Sync + 'static,
        F: Fn(&K, V, A) -> A + Send + Sync + 'static,
    {
        self.fold("KSTREAM-AGGREGATE-", materialized, move |key, value, old| {
            Some(aggregator(key, value, old.unwrap_or_else(&initializer)))
        })
    }

    /// The node that all aggregations share: `fold(&key, value, old)` is the new value.
    pub(crate) fn fold<A: Data, F>(
        &self,
        prefix: &str,
        materialized: Materialized<K, A>,
        fold: F,
    ) -> KTable<K, A>
    where
        F: Fn(&K, V, Option<A>) -> Option<A> + Send + Sync + 'static,
    {
        let dsl = self.stream.dsl.clone();
        let name = dsl.name(None, prefix);
        let parent = self.partitioned(&materialized.name);
        let store: Arc<str> = materialized.name.as_str().into();
        let caching = materialized.caching;
        let old_values = OldValues::default();
        let (key_serde, value_serde) =
            (self.grouped.key_serde.clone(), self.grouped.value_serde.clone());
        let (fold, wanted) = (Arc::new(fold), old_values.clone());
        let node = dsl.graph(|g| {
            materialized.add_to(g);
            let store_name = store.clone();
            g.add_processor(&name, &[parent], &[store], move |b, id| {
                Aggregate::instantiate(
                    b,
                    id,
                    &store_name,
                    caching,
                    &key_serde,
                    &value_serde,
                    &fold,
                    &wanted,
                )
            })
        });
        KTable::new(dsl, node, old_values)
    }
}

struct Aggregate<K, V, A, F> {
    store: Rc<RefCell<KeyValueStore<K, A>>>,
    key_serde: DynSerde<K>,
    value_serde: DynSerde<V>,
    fold: Arc<F>,
    caching: bool,
    keep_old: bool,
    out: Downstream<K, Change<A>>,
}

impl<K: StoreKey, V: Data, A: Data, F> Aggregate<K, V, A, F>
where
    F: Fn(&K, V, Option<A>) -> Option<A> + 'static,
{
    #[allow(clippy::too_many_arguments)] // One call, in `fold` above.
    fn instantiate(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        store: &str,
        caching: bool,
        key_serde: &DynSerde<K>,
        value_serde: &DynSerde<V>,
        fold: &Arc<F>,
        old_values: &OldValues,
    ) -> Result<Box<dyn Node<K, V>>, TopologyError> {
        let caching = caching && b.caching_enabled();
        let node = Rc::new(RefCell::new(Self {
            store: b.store(id, store)?,
            key_serde: key_serde.clone(),
            value_serde: value_serde.clone(),
            fold: fold.clone(),
            caching,
            keep_old: old_values.wanted(),
            out: b.downstream(id)?,
        }));
        if caching {
            b.on_flush(id, node.clone());
        }
        Ok(Box::new(Shared(node)))
    }
}

impl<K: StoreKey, V: Data, A: Data, F> Node<K, V> for Aggregate<K, V, A, F>
where
    F: Fn(&K, V, Option<A>) -> Option<A>,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        if self.key_serde.is_null(&key) || self.value_serde.is_null(&value) {
            ctx.drop_record();
            return Ok(());
        }
        let fold = |old: Option<ValueAndTimestamp<A>>| {
            let (old, time) = match old {
                Some(old) => (Some(old.value), timestamp.max(old.timestamp)),
                None => (None, timestamp),
            };
            ((self.fold)(&key, value, old), time)
        };
        let mut store = self.store.borrow_mut();
        if self.caching {
            return store.update_cached(&key, self.keep_old, headers, fold);
        }
        let update = store.update(&key, self.keep_old, fold)?;
        drop(store);
        let change = Change { new: update.new, old: update.old };
        let record = Record { key, value: change, timestamp: update.timestamp, headers };
        self.out.forward(ctx, record)
    }
}

impl<K: StoreKey, V, A: Data, F> CacheFlush for Aggregate<K, V, A, F> {
    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), TaskError> {
        crate::table::forward_emissions(&self.store, &mut self.out, ctx)
    }
}

/// Leaves records with a null key out: they cannot be partitioned by it.
pub(super) struct DropNullKeys<K, V> {
    pub(super) key_serde: DynSerde<K>,
    pub(super) out: Downstream<K, V>,
}

impl<K: Data, V: Data> Node<K, V> for DropNullKeys<K, V> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        if self.key_serde.is_null(&record.key) {
            return Ok(());
        }
        self.out.forward(ctx, record)
    }
}
