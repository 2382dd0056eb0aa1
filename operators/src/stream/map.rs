//! `map`: another key and value for each record.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Replaces each record by the key and value of `mapper(key, value)`. A grouping after it
    /// sends the records through a repartition topic; where the key stays, use `map_values`.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").map(|name, id| (id, name)).to("by-id");
    /// ```
    pub fn map<K2: Data, V2: Data, F>(&self, mapper: F) -> KStream<K2, V2>
    where
        F: Fn(K, V) -> (K2, V2) + Send + Sync + 'static,
    {
        let mapper = Arc::new(mapper);
        self.add("KSTREAM-MAP-", Effect::Keys, move |b, id| {
            let out = b.downstream(id)?;
            Ok(Box::new(Map { mapper: mapper.clone(), out }))
        })
    }
}

struct Map<K2, V2, F> {
    mapper: Arc<F>,
    out: Downstream<K2, V2>,
}

impl<K, V, K2: Data, V2: Data, F> Node<K, V> for Map<K2, V2, F>
where
    F: Fn(K, V) -> (K2, V2),
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        let (key, value) = (self.mapper)(key, value);
        self.out.forward(ctx, Record { key, value, timestamp, headers })
    }
}
