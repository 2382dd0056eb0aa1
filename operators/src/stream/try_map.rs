//! `try_map`: another key and value for each record, by a function that may fail.

use std::any::type_name;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::task::{Context, Downstream, FailedAt, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Replaces each record by the key and value that `mapper(key, value)` gives. An error goes to
    /// `processing.exception.handler`. A grouping after it sends the records through a repartition
    /// topic; where the key stays, use `try_map_values`.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_map(|name, id| id.parse::<i64>().map(|id| (id, name)))
    ///     .to("by-id");
    /// ```
    pub fn try_map<K2: Data, V2: Data, E, F>(&self, mapper: F) -> KStream<K2, V2>
    where
        E: Into<BoxError> + 'static,
        F: Fn(K, V) -> Result<(K2, V2), E> + Send + Sync + 'static,
    {
        let mapper = Arc::new(mapper);
        self.add("KSTREAM-MAP-", Effect::Keys, move |b, id| {
            let (name, out) = (b.node_name(id), b.downstream(id)?);
            Ok(Box::new(TryMap { mapper: mapper.clone(), name, out }))
        })
    }
}

struct TryMap<K2, V2, F> {
    mapper: Arc<F>,
    name: Arc<str>,
    out: Downstream<K2, V2>,
}

impl<K, V, K2: Data, V2: Data, E, F> Node<K, V> for TryMap<K2, V2, F>
where
    E: Into<BoxError>,
    F: Fn(K, V) -> Result<(K2, V2), E>,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        match (self.mapper)(key, value) {
            Ok((key, value)) => self.out.forward(ctx, Record { key, value, timestamp, headers }),
            Err(error) => {
                let at = FailedAt { node: &self.name, timestamp, headers: &headers };
                ctx.processing_failed(at, type_name::<E>(), error.into())
            }
        }
    }
}
