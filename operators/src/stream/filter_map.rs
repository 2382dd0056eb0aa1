//! `filter_map`: another key and value for some records; the others are left out.
//!
//! Kafka Streams has no such operator. Its results are those of `flat_map` with one pair or none, with
//! the name of its own among the generated ones.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Keeps the records for which `mapper(key, value)` gives a key and a value, with those. A record
    /// without is left out and, as with `filter`, not counted as dropped. A grouping after it sends
    /// the records through a repartition topic; where the key stays, use `filter_map_values`.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder
    ///     .stream::<Option<String>, String>("lines")
    ///     .filter_map(|_, line| {
    ///         let (user, amount) = line.split_once(' ')?;
    ///         Some((user.to_owned(), amount.parse::<i64>().ok()?))
    ///     })
    ///     .to("amounts");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn filter_map<K2: Data, V2: Data, F>(&self, mapper: F) -> KStream<K2, V2>
    where
        F: Fn(K, V) -> Option<(K2, V2)> + Send + Sync + 'static,
    {
        let mapper = Arc::new(mapper);
        self.add("KSTREAM-FILTERMAP-", Effect::Keys, move |b, id| {
            let out = b.downstream(id)?;
            Ok(Box::new(FilterMap { mapper: mapper.clone(), out }))
        })
    }
}

struct FilterMap<K2, V2, F> {
    mapper: Arc<F>,
    out: Downstream<K2, V2>,
}

impl<K, V, K2: Data, V2: Data, F> Node<K, V> for FilterMap<K2, V2, F>
where
    F: Fn(K, V) -> Option<(K2, V2)>,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        match (self.mapper)(key, value) {
            Some((key, value)) => self.out.forward(ctx, Record { key, value, timestamp, headers }),
            None => Ok(()),
        }
    }
}
