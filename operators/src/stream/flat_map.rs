//! `flat_map`: any number of keys and values for each record.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Replaces each record by one for each pair of `mapper(key, value)`. A grouping after it
    /// sends the records through a repartition topic.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("edges")
    ///     .flat_map(|from, to| [(from.clone(), to), (to.to_string(), to)])
    ///     .to("both-ways");
    /// ```
    pub fn flat_map<K2: Data, V2: Data, I, F>(&self, mapper: F) -> KStream<K2, V2>
    where
        I: IntoIterator<Item = (K2, V2)>,
        F: Fn(K, V) -> I + Send + Sync + 'static,
    {
        let mapper = Arc::new(mapper);
        self.add("KSTREAM-FLATMAP-", Effect::Keys, move |b, id| {
            let out = b.downstream(id)?;
            Ok(Box::new(FlatMap { mapper: mapper.clone(), out }))
        })
    }
}

struct FlatMap<K2, V2, F> {
    mapper: Arc<F>,
    out: Downstream<K2, V2>,
}

impl<K, V, K2: Data, V2: Data, I, F> Node<K, V> for FlatMap<K2, V2, F>
where
    I: IntoIterator<Item = (K2, V2)>,
    F: Fn(K, V) -> I,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        for (key, value) in (self.mapper)(key, value) {
            self.out.forward(ctx, Record { key, value, timestamp, headers: headers.clone() })?;
        }
        Ok(())
    }
}
