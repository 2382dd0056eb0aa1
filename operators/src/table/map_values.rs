//! `map_values` of a table: another value for each key. `filter_map_values` stands on the same node.

use std::marker::PhantomData;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::{Change, KTable, StoredTable, TableSpec, View};
use crate::dsl::{Data, StoreKey};

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Replaces each value by `mapper(value)`.
    ///
    /// The result has no store unless it is [materialized](Self::materialized). Without one, `mapper`
    /// must give the same for the same value, because it is called again for an old one where an
    /// operator below needs it; with one, it is called once for each change.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table::<i64, String>("users");
    /// users.map_values(|name| name.len() as i64).to_stream().to("lengths");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn map_values<V2: Data, F>(&self, mapper: F) -> KTable<K, V2>
    where
        F: Fn(V) -> V2 + Send + Sync + 'static,
    {
        self.map(move |_, value| Some(mapper(value)))
    }

    /// Replaces each value by `mapper(&key, value)`; see [`Self::map_values`].
    pub fn map_values_with_key<V2: Data, F>(&self, mapper: F) -> KTable<K, V2>
    where
        F: Fn(&K, V) -> V2 + Send + Sync + 'static,
    {
        self.map(move |key, value| Some(mapper(key, value)))
    }

    /// Replaces each value by what `mapper(value)` gives, and deletes the keys for which it gives
    /// `None`. It is what `mapValues` does in Kafka Streams with a mapper that gives null.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let ages = builder.table::<i64, String>("ages");
    /// ages.filter_map_values(|age| age.parse::<i64>().ok()).to_stream().to("numbers");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn filter_map_values<V2: Data, F>(&self, mapper: F) -> KTable<K, V2>
    where
        F: Fn(V) -> Option<V2> + Send + Sync + 'static,
    {
        self.map(move |_, value| mapper(value))
    }

    /// Replaces each value by what `mapper(&key, value)` gives; see [`Self::filter_map_values`].
    pub fn filter_map_values_with_key<V2: Data, F>(&self, mapper: F) -> KTable<K, V2>
    where
        F: Fn(&K, V) -> Option<V2> + Send + Sync + 'static,
    {
        self.map(mapper)
    }

    fn map<V2: Data, F>(&self, mapper: F) -> KTable<K, V2>
    where
        F: Fn(&K, V) -> Option<V2> + Send + Sync + 'static,
    {
        let spec = TableSpec::new();
        let (mapper, of_node) = (Arc::new(mapper), spec.clone());
        let of_view = mapper.clone();
        let view = move |above: View<K, V>| above.then(of_view.clone());
        self.add("KTABLE-MAPVALUES-", spec, view, move |b, id| {
            let mapper = mapper.clone();
            let Some(store) = of_node.store() else {
                let (has_old, out) = (of_node.has_old_values(), b.downstream(id)?);
                return Ok(Box::new(MapValues { mapper, has_old, out }));
            };
            let table = StoredTable::instantiate(b, id, &of_node, store)?;
            Ok(Box::new(MaterializedMapValues { mapper, table, input: PhantomData }))
        })
    }
}

struct MapValues<K, V2, F> {
    mapper: Arc<F>,
    has_old: bool,
    out: Downstream<K, Change<V2>>,
}

impl<K: Data, V: Data, V2: Data, F> Node<K, Change<V>> for MapValues<K, V2, F>
where
    F: Fn(&K, V) -> Option<V2>,
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value: Change { new, old, is_latest }, timestamp, headers } = record;
        let new = new.and_then(|v| (self.mapper)(&key, v));
        let old = old.filter(|_| self.has_old).and_then(|v| (self.mapper)(&key, v));
        let value = Change { new, old, is_latest };
        self.out.forward(ctx, Record { key, value, timestamp, headers })
    }
}

struct MaterializedMapValues<K, V, V2, F> {
    mapper: Arc<F>,
    table: StoredTable<K, V2>,
    input: PhantomData<fn(V)>,
}

impl<K: StoreKey, V: Data, V2: Data, F> Node<K, Change<V>> for MaterializedMapValues<K, V, V2, F>
where
    F: Fn(&K, V) -> Option<V2>,
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        let new = value.new.and_then(|v| (self.mapper)(&key, v));
        let record = Record { key, value: (), timestamp, headers };
        self.table.update(ctx, record, |_, _| (new, timestamp))
    }
}
