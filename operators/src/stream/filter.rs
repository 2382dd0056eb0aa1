//! `filter` and `filter_not`: keep some records.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Keeps the records for which `predicate` is true.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").filter(|_, v| *v > 0).to("positive");
    /// ```
    pub fn filter<F>(&self, predicate: F) -> KStream<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        self.keep(predicate, true)
    }

    /// Keeps the records for which `predicate` is false.
    pub fn filter_not<F>(&self, predicate: F) -> KStream<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        self.keep(predicate, false)
    }

    fn keep<F>(&self, predicate: F, wanted: bool) -> KStream<K, V>
    where
        F: Fn(&K, &V) -> bool + Send + Sync + 'static,
    {
        let predicate = Arc::new(predicate);
        self.add("KSTREAM-FILTER-", Effect::Nothing, move |b, id| {
            let out = b.downstream(id)?;
            Ok(Box::new(Filter { predicate: predicate.clone(), wanted, out }))
        })
    }
}

struct Filter<K, V, F> {
    predicate: Arc<F>,
    wanted: bool,
    out: Downstream<K, V>,
}

impl<K: Data, V: Data, F: Fn(&K, &V) -> bool> Node<K, V> for Filter<K, V, F> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        if (self.predicate)(&record.key, &record.value) == self.wanted {
            self.out.forward(ctx, record)?;
        }
        Ok(())
    }
}
