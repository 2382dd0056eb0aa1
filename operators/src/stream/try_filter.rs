//! `try_filter`: keep some records, by a function that may fail.

use std::any::type_name;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::task::{Context, Downstream, FailedAt, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Keeps the records for which `predicate` gives true. An error goes to
    /// `processing.exception.handler`.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_filter(|_, v| v.parse::<i64>().map(|n| n > 0))
    ///     .to("positive");
    /// ```
    pub fn try_filter<E, F>(&self, predicate: F) -> KStream<K, V>
    where
        E: Into<BoxError> + 'static,
        F: Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
    {
        let predicate = Arc::new(predicate);
        self.add("KSTREAM-FILTER-", Effect::Nothing, move |b, id| {
            let (name, out) = (b.node_name(id), b.downstream(id)?);
            Ok(Box::new(TryFilter { predicate: predicate.clone(), name, out }))
        })
    }
}

struct TryFilter<K, V, F> {
    predicate: Arc<F>,
    name: Arc<str>,
    out: Downstream<K, V>,
}

impl<K: Data, V: Data, E, F> Node<K, V> for TryFilter<K, V, F>
where
    E: Into<BoxError>,
    F: Fn(&K, &V) -> Result<bool, E>,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        match (self.predicate)(&record.key, &record.value) {
            Ok(true) => self.out.forward(ctx, record),
            Ok(false) => Ok(()),
            Err(error) => {
                let Record { timestamp, headers, .. } = record;
                let at = FailedAt { node: &self.name, timestamp, headers: &headers };
                ctx.processing_failed(at, type_name::<E>(), error.into())
            }
        }
    }
}
