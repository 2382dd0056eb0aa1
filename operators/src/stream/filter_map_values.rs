//! `filter_map_values`: another value for some records; the others are left out. The key stays, and
//! with it the partition.
//!
//! Kafka Streams has no such operator. Its results are those of `map_values`, `filter` and
//! `map_values` in a row, with one node and one number among the generated names.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Keeps the records for which `mapper(value)` gives a value, with that value. A record without
    /// one is left out and, as with `filter`, not counted as dropped.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .filter_map_values(|v| v.parse::<i64>().ok())
    ///     .to("numbers");
    /// ```
    pub fn filter_map_values<V2: Data, F>(&self, mapper: F) -> KStream<K, V2>
    where
        F: Fn(V) -> Option<V2> + Send + Sync + 'static,
    {
        self.filter_map_values_with_key(move |_, v| mapper(v))
    }

    /// Keeps the records for which `mapper(&key, value)` gives a value, with that value.
    pub fn filter_map_values_with_key<V2: Data, F>(&self, mapper: F) -> KStream<K, V2>
    where
        F: Fn(&K, V) -> Option<V2> + Send + Sync + 'static,
    {
        let mapper = Arc::new(mapper);
        self.add("KSTREAM-FILTERMAPVALUES-", Effect::Values, move |b, id| {
            let out = b.downstream(id)?;
            Ok(Box::new(FilterMapValues { mapper: mapper.clone(), out }))
        })
    }
}

struct FilterMapValues<K, V2, F> {
    mapper: Arc<F>,
    out: Downstream<K, V2>,
}

impl<K, V, V2, F> Node<K, V> for FilterMapValues<K, V2, F>
where
    K: Data,
    V2: Data,
    F: Fn(&K, V) -> Option<V2>,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        match (self.mapper)(&key, value) {
            Some(value) => self.out.forward(ctx, Record { key, value, timestamp, headers }),
            None => Ok(()),
        }
    }
}
