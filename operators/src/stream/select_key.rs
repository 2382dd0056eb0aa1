//! `select_key`: another key for each record.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Replaces each key by `selector(&key, &value)`. A grouping after it sends the records
    /// through a repartition topic.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder.stream::<Option<String>, String>("in").select_key(|_, v| v.clone()).to("keyed");
    /// ```
    pub fn select_key<K2: Data, F>(&self, selector: F) -> KStream<K2, V>
    where
        F: Fn(&K, &V) -> K2 + Send + Sync + 'static,
    {
        let selector = Arc::new(selector);
        self.add("KSTREAM-KEY-SELECT-", Effect::Keys, move |b, id| {
            let out = b.downstream(id)?;
            Ok(Box::new(SelectKey { selector: selector.clone(), out }))
        })
    }
}

struct SelectKey<K2, V, F> {
    selector: Arc<F>,
    out: Downstream<K2, V>,
}

impl<K, V: Data, K2: Data, F: Fn(&K, &V) -> K2> Node<K, V> for SelectKey<K2, V, F> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let key = (self.selector)(&record.key, &record.value);
        self.out.forward(ctx, record.with_key(key))
    }
}
