//! `try_map_values`: another value for each record, by a function that may fail.

use std::any::type_name;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::task::{Context, Downstream, FailedAt, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Replaces each value by what `mapper(value)` gives. An error goes to
    /// `processing.exception.handler`, which stops, or drops the record.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder.stream::<String, String>("in").try_map_values(|v| v.parse::<i64>()).to("numbers");
    /// ```
    pub fn try_map_values<V2: Data, E, F>(&self, mapper: F) -> KStream<K, V2>
    where
        E: Into<BoxError> + 'static,
        F: Fn(V) -> Result<V2, E> + Send + Sync + 'static,
    {
        self.try_map_values_with_key(move |_, v| mapper(v))
    }

    /// Replaces each value by what `mapper(&key, value)` gives. An error goes to
    /// `processing.exception.handler`.
    pub fn try_map_values_with_key<V2: Data, E, F>(&self, mapper: F) -> KStream<K, V2>
    where
        E: Into<BoxError> + 'static,
        F: Fn(&K, V) -> Result<V2, E> + Send + Sync + 'static,
    {
        let mapper = Arc::new(mapper);
        self.add("KSTREAM-MAPVALUES-", Effect::Values, move |b, id| {
            let (name, out) = (b.node_name(id), b.downstream(id)?);
            Ok(Box::new(TryMapValues { mapper: mapper.clone(), name, out }))
        })
    }
}

struct TryMapValues<K, V2, F> {
    mapper: Arc<F>,
    name: Arc<str>,
    out: Downstream<K, V2>,
}

impl<K: Data, V, V2: Data, E, F> Node<K, V> for TryMapValues<K, V2, F>
where
    E: Into<BoxError>,
    F: Fn(&K, V) -> Result<V2, E>,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        match (self.mapper)(&key, value) {
            Ok(value) => self.out.forward(ctx, Record { key, value, timestamp, headers }),
            Err(error) => {
                let at = FailedAt { node: &self.name, timestamp, headers: &headers };
                ctx.processing_failed(at, type_name::<E>(), error.into())
            }
        }
    }
}
