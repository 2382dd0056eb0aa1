//! `flat_map_values`: any number of values for each record, with its key.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Replaces each record by one for each value of `mapper(value)`, with the same key.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder
    ///     .stream::<Option<String>, String>("lines")
    ///     .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    ///     .to("words");
    /// ```
    pub fn flat_map_values<V2: Data, I, F>(&self, mapper: F) -> KStream<K, V2>
    where
        I: IntoIterator<Item = V2>,
        F: Fn(V) -> I + Send + Sync + 'static,
    {
        self.flat_map_values_with_key(move |_, value| mapper(value))
    }

    /// Replaces each record by one for each value of `mapper(&key, value)`, with the same key.
    pub fn flat_map_values_with_key<V2: Data, I, F>(&self, mapper: F) -> KStream<K, V2>
    where
        I: IntoIterator<Item = V2>,
        F: Fn(&K, V) -> I + Send + Sync + 'static,
    {
        let mapper = Arc::new(mapper);
        self.add("KSTREAM-FLATMAPVALUES-", Effect::Values, move |b, id| {
            let out = b.downstream(id)?;
            Ok(Box::new(FlatMapValues { mapper: mapper.clone(), out }))
        })
    }
}

struct FlatMapValues<K, V2, F> {
    mapper: Arc<F>,
    out: Downstream<K, V2>,
}

impl<K: Data, V, V2: Data, I, F> Node<K, V> for FlatMapValues<K, V2, F>
where
    I: IntoIterator<Item = V2>,
    F: Fn(&K, V) -> I,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        for value in (self.mapper)(&key, value) {
            let record = Record { key: key.clone(), value, timestamp, headers: headers.clone() };
            self.out.forward(ctx, record)?;
        }
        Ok(())
    }
}
