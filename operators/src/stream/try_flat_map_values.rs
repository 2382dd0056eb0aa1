//! `try_flat_map_values`: any number of values for each record, by a function that may fail.

use std::any::type_name;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::task::{Context, Downstream, FailedAt, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Replaces each record by one for each value that `mapper(value)` gives, with the same key. An
    /// error goes to `processing.exception.handler`; nothing of the record has gone downstream.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_flat_map_values(|v| v.split(',').map(str::parse::<i64>).collect::<Result<Vec<_>, _>>())
    ///     .to("numbers");
    /// ```
    pub fn try_flat_map_values<V2: Data, I, E, F>(&self, mapper: F) -> KStream<K, V2>
    where
        I: IntoIterator<Item = V2> + 'static,
        E: Into<BoxError> + 'static,
        F: Fn(V) -> Result<I, E> + Send + Sync + 'static,
    {
        self.try_flat_map_values_with_key(move |_, value| mapper(value))
    }

    /// Replaces each record by one for each value that `mapper(&key, value)` gives, with the same key;
    /// see [`Self::try_flat_map_values`].
    pub fn try_flat_map_values_with_key<V2: Data, I, E, F>(&self, mapper: F) -> KStream<K, V2>
    where
        I: IntoIterator<Item = V2> + 'static,
        E: Into<BoxError> + 'static,
        F: Fn(&K, V) -> Result<I, E> + Send + Sync + 'static,
    {
        let mapper = Arc::new(mapper);
        self.add("KSTREAM-FLATMAPVALUES-", Effect::Values, move |b, id| {
            let (name, out) = (b.node_name(id), b.downstream(id)?);
            Ok(Box::new(TryFlatMapValues { mapper: mapper.clone(), name, out }))
        })
    }
}

struct TryFlatMapValues<K, V2, F> {
    mapper: Arc<F>,
    name: Arc<str>,
    out: Downstream<K, V2>,
}

impl<K: Data, V, V2: Data, I, E, F> Node<K, V> for TryFlatMapValues<K, V2, F>
where
    I: IntoIterator<Item = V2>,
    E: Into<BoxError>,
    F: Fn(&K, V) -> Result<I, E>,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        let values = match (self.mapper)(&key, value) {
            Ok(values) => values,
            Err(error) => {
                let at = FailedAt { node: &self.name, timestamp, headers: &headers };
                return ctx.processing_failed(at, type_name::<E>(), error.into());
            }
        };
        for value in values {
            let record = Record { key: key.clone(), value, timestamp, headers: headers.clone() };
            self.out.forward(ctx, record)?;
        }
        Ok(())
    }
}
