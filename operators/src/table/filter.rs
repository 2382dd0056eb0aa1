//! `filter` and `filter_not` of a table: some keys only.
//!
//! A key whose value no longer passes is deleted downstream. Old values are always asked for, as
//! in Kafka Streams, so that a key that never passed is not deleted there.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::serde::DynSerde;
use oncestream_core::task::{Context, Downstream, Node};

use super::{Change, KTable, OldValues, TableStore};
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;

impl<K: Data, V: Data> KTable<K, V> {
    /// The keys whose value makes `predicate` true. The result has no store.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let stock = builder.table("stock", Materialized::<String, i64>::named("stock"));
    /// stock.filter(|_, left| *left < 10).to_stream().to("to-order");
    /// ```
    pub fn filter<F>(&self, predicate: F) -> KTable<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        self.keep(predicate)
    }

    /// The keys whose value makes `predicate` false. The result has no store.
    pub fn filter_not<F>(&self, predicate: F) -> KTable<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        self.keep(move |key, value| !predicate(key, value))
    }

    fn keep<F>(&self, predicate: F) -> KTable<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        let name = self.dsl.name(self.next_name.as_ref(), "KTABLE-FILTER-");
        self.old_values.ask();
        let predicate = Arc::new(predicate);
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &[], move |b, id| {
                let out = b.downstream(id)?;
                let node = Filter { predicate: predicate.clone(), out };
                Ok(Box::new(node) as Box<dyn Node<K, Change<V>>>)
            })
        });
        KTable::new(self.dsl.clone(), node, OldValues::below(&self.old_values))
    }
}

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Like [`Self::filter`], with a store for the result.
    pub fn filter_materialized<F>(
        &self,
        predicate: F,
        materialized: Materialized<K, V>,
    ) -> KTable<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        self.keep_materialized(predicate, materialized)
    }

    /// Like [`Self::filter_not`], with a store for the result.
    pub fn filter_not_materialized<F>(
        &self,
        predicate: F,
        materialized: Materialized<K, V>,
    ) -> KTable<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        self.keep_materialized(move |key, value| !predicate(key, value), materialized)
    }

    fn keep_materialized<F>(&self, predicate: F, materialized: Materialized<K, V>) -> KTable<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        let name = self.dsl.name(self.next_name.as_ref(), "KTABLE-FILTER-");
        let old_values = OldValues::default();
        // The node itself needs them; they come from its own store.
        old_values.ask();
        let spec = materialized.spec(&old_values);
        let value_serde = materialized.value_serde.clone();
        let predicate = Arc::new(predicate);
        let node = self.dsl.graph(|g| {
            materialized.add_to(g);
            g.add_processor(&name, &[self.node], &spec.stores(), move |b, id| {
                let table = TableStore::instantiate(b, id, &spec)?;
                let (predicate, value_serde) = (predicate.clone(), value_serde.clone());
                let node = MaterializedFilter { predicate, value_serde, table };
                Ok(Box::new(node) as Box<dyn Node<K, Change<V>>>)
            })
        });
        KTable::new(self.dsl.clone(), node, old_values)
    }
}

struct Filter<K, V, F> {
    predicate: Arc<F>,
    out: Downstream<K, Change<V>>,
}

impl<K: Data, V: Data, F: Fn(&K, &V) -> bool> Node<K, Change<V>> for Filter<K, V, F> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value: Change { new, old }, timestamp, headers } = record;
        let new = new.filter(|v| (self.predicate)(&key, v));
        let old = old.filter(|v| (self.predicate)(&key, v));
        if new.is_none() && old.is_none() {
            return Ok(());
        }
        self.out.forward(ctx, Record { key, value: Change { new, old }, timestamp, headers })
    }
}

struct MaterializedFilter<K, V, F> {
    predicate: Arc<F>,
    value_serde: DynSerde<V>,
    table: Rc<RefCell<TableStore<K, V>>>,
}

impl<K: StoreKey, V: Data, F: Fn(&K, &V) -> bool> Node<K, Change<V>>
    for MaterializedFilter<K, V, F>
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        // A null is a deletion, of which no predicate is asked.
        let present = value.new.filter(|v| !self.value_serde.is_null(v));
        let new = present.filter(|v| (self.predicate)(&key, v));
        let mut table = self.table.borrow_mut();
        if new.is_none() {
            match table.contains(&key) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return table.refused(ctx, timestamp, &headers, error),
            }
        }
        let record = Record { key, value: (), timestamp, headers };
        table.update(ctx, record, |_, _| (new, timestamp))
    }
}
