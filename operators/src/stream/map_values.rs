//! `map_values`: another value for each record; the key stays, and with it the partition.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Replaces each value by `mapper(value)`.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder.stream::<String, String>("in").map_values(|v| v.len() as i64).to("lengths");
    /// ```
    pub fn map_values<V2: Data, F>(&self, mapper: F) -> KStream<K, V2>
    where
        F: Fn(V) -> V2 + Send + Sync + 'static,
    {
        self.map_values_with_key(move |_, v| mapper(v))
    }

    /// Replaces each value by `mapper(&key, value)`.
    pub fn map_values_with_key<V2: Data, F>(&self, mapper: F) -> KStream<K, V2>
    where
        F: Fn(&K, V) -> V2 + Send + Sync + 'static,
    {
        let mapper = Arc::new(mapper);
        self.add("KSTREAM-MAPVALUES-", Effect::Values, move |b, id| {
            let out = b.downstream(id)?;
            Ok(Box::new(MapValues { mapper: mapper.clone(), out }))
        })
    }
}

struct MapValues<K, V2, F> {
    mapper: Arc<F>,
    out: Downstream<K, V2>,
}

impl<K: Data, V, V2: Data, F: Fn(&K, V) -> V2> Node<K, V> for MapValues<K, V2, F> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        let value = (self.mapper)(&key, value);
        self.out.forward(ctx, Record { key, value, timestamp, headers })
    }
}
