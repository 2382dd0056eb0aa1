//! `map_values` of a table: another value for each key.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::{Change, KTable, OldValues, TableStore};
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;

impl<K: Data, V: Data> KTable<K, V> {
    /// Replaces each value by `mapper(value)`. The result has no store; `mapper` must give the
    /// same for the same value, as it may be called again for an old one.
    ///
    /// A mapper that gives an `Option` makes a table of `Option`s: its `None` is a deletion in
    /// every store and topic that it reaches, but as there is no serde here that knows it, the
    /// operators right below are called with it. [`Self::map_values_materialized`] deletes at once.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table("users", Materialized::<i64, String>::named("users"));
    /// users.map_values(|name| name.len() as i64).to_stream().to("lengths");
    /// ```
    pub fn map_values<V2: Data, F>(&self, mapper: F) -> KTable<K, V2>
    where
        F: Fn(V) -> V2 + Send + Sync + 'static,
    {
        self.map_values_with_key(move |_, value| mapper(value))
    }

    /// Replaces each value by `mapper(&key, value)`. The result has no store.
    pub fn map_values_with_key<V2: Data, F>(&self, mapper: F) -> KTable<K, V2>
    where
        F: Fn(&K, V) -> V2 + Send + Sync + 'static,
    {
        let name = self.dsl.name(self.next_name.as_ref(), "KTABLE-MAPVALUES-");
        let old_values = OldValues::below(&self.old_values);
        let (mapper, wanted) = (Arc::new(mapper), old_values.clone());
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &[], move |b, id| {
                let out = b.downstream(id)?;
                let node = MapValues { mapper: mapper.clone(), keep_old: wanted.wanted(), out };
                Ok(Box::new(node) as Box<dyn Node<K, Change<V>>>)
            })
        });
        KTable::new(self.dsl.clone(), node, old_values)
    }
}

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Like [`Self::map_values_with_key`], with a store for the result. `mapper` is called once
    /// for each change; a null from it deletes the key.
    pub fn map_values_materialized<V2: Data, F>(
        &self,
        mapper: F,
        materialized: Materialized<K, V2>,
    ) -> KTable<K, V2>
    where
        F: Fn(&K, V) -> V2 + Send + Sync + 'static,
    {
        let name = self.dsl.name(self.next_name.as_ref(), "KTABLE-MAPVALUES-");
        let old_values = OldValues::default();
        let spec = materialized.spec(&old_values);
        let mapper = Arc::new(mapper);
        let node = self.dsl.graph(|g| {
            materialized.add_to(g);
            g.add_processor(&name, &[self.node], &spec.stores(), move |b, id| {
                let table = TableStore::instantiate(b, id, &spec)?;
                let node =
                    MaterializedMapValues { mapper: mapper.clone(), table, input: PhantomData };
                Ok(Box::new(node) as Box<dyn Node<K, Change<V>>>)
            })
        });
        KTable::new(self.dsl.clone(), node, old_values)
    }
}

struct MapValues<K, V2, F> {
    mapper: Arc<F>,
    keep_old: bool,
    out: Downstream<K, Change<V2>>,
}

impl<K: Data, V: Data, V2: Data, F: Fn(&K, V) -> V2> Node<K, Change<V>> for MapValues<K, V2, F> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value: Change { new, old }, timestamp, headers } = record;
        let new = new.map(|v| (self.mapper)(&key, v));
        let old = old.filter(|_| self.keep_old).map(|v| (self.mapper)(&key, v));
        self.out.forward(ctx, Record { key, value: Change { new, old }, timestamp, headers })
    }
}

struct MaterializedMapValues<K, V, V2, F> {
    mapper: Arc<F>,
    table: Rc<RefCell<TableStore<K, V2>>>,
    input: PhantomData<fn(V)>,
}

impl<K: StoreKey, V: Data, V2: Data, F: Fn(&K, V) -> V2> Node<K, Change<V>>
    for MaterializedMapValues<K, V, V2, F>
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        let new = value.new.map(|v| (self.mapper)(&key, v));
        let record = Record { key, value: (), timestamp, headers };
        self.table.borrow_mut().update(ctx, record, |_, _| (new, timestamp))
    }
}
