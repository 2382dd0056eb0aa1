//! `aggregate`: a value of any type per key, from all its records. `count` and `reduce` stand on
//! the same node.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::serde::DynSerde;
use oncestream_core::task::{Context, Node};

use super::KGroupedStream;
use crate::dsl::{Data, StoreKey};
use crate::options::{Grouped, Materialized};
use crate::table::{KTable, Made, TableSpec, TableStore};

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
        self.fold("KSTREAM-AGGREGATE-", materialized.into(), move |key, value, old| {
            aggregator(key, value, old.unwrap_or_else(&initializer)).into()
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
        K: StoreKey,
        F: Fn(&K, V, Option<A>) -> Option<A> + Send + Sync + 'static,
    {
        let dsl = self.stream.dsl.clone();
        let store = materialized.store_name(&dsl, prefix);
        let name = dsl.name(self.next_name.take(), prefix);
        let parent = self.partitioned(&store);
        let Grouped { key_serde, value_serde, .. } = self.grouped.clone();
        let (spec, fold) = (TableSpec::new(), Arc::new(fold));
        let of_node = spec.clone();
        let node = dsl.graph(|g| {
            g.add_processor(&name, &[parent], &[], move |b, id| {
                Ok(Box::new(Aggregate {
                    table: TableStore::of_node(b, id, &of_node)?,
                    key_serde: key_serde.clone(),
                    value_serde: value_serde.clone(),
                    fold: fold.clone(),
                }) as Box<dyn Node<K, V>>)
            })
        });
        spec.add_store(&dsl, node, materialized, &store);
        KTable::new(dsl, node, spec, Made::WithStore)
    }
}

struct Aggregate<K, V, A, F> {
    table: Rc<RefCell<TableStore<K, A>>>,
    key_serde: DynSerde<K>,
    value_serde: DynSerde<V>,
    fold: Arc<F>,
}

impl<K: StoreKey, V: Data, A: Data, F> Node<K, V> for Aggregate<K, V, A, F>
where
    F: Fn(&K, V, Option<A>) -> Option<A>,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        if self.key_serde.is_null(&record.key) || self.value_serde.is_null(&record.value) {
            ctx.drop_record();
            return Ok(());
        }
        let Record { key, value, timestamp, headers } = record;
        let record = Record { key, value: (), timestamp, headers };
        self.table.borrow_mut().update(ctx, record, |key, old| {
            let (old, time) = match old {
                Some(old) => (Some(old.value), timestamp.max(old.timestamp)),
                None => (None, timestamp),
            };
            ((self.fold)(key, value, old), time)
        })
    }
}
