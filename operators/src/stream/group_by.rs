//! `group_by` and `group_by_key`: what aggregations work on.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::serde::HasSerde;
use oncestream_core::task::{Context, Downstream, Node};

use super::KStream;
use crate::dsl::Data;
use crate::grouped::KGroupedStream;
use crate::options::Grouped;

impl<K: Data, V: Data> KStream<K, V> {
    /// Groups by a new key. The records go through a repartition topic.
    pub fn group_by<K2, F>(&self, selector: F) -> KGroupedStream<K2, V>
    where
        K2: Data + HasSerde,
        V: HasSerde,
        F: Fn(&K, &V) -> K2 + Send + Sync + 'static,
    {
        self.group_by_with(selector, Grouped::new())
    }

    /// Groups by a new key, with a name and serdes for the repartition topic.
    pub fn group_by_with<K2, F>(
        &self,
        selector: F,
        grouped: Grouped<K2, V>,
    ) -> KGroupedStream<K2, V>
    where
        K2: Data,
        F: Fn(&K, &V) -> K2 + Send + Sync + 'static,
    {
        let selector = Arc::new(selector);
        let keyed = self.add("KSTREAM-KEY-SELECT-", true, move |b, id| {
            let out = b.downstream(id)?;
            Ok(Box::new(SelectKey { selector: selector.clone(), out }))
        });
        KGroupedStream { stream: keyed, grouped }
    }

    /// Groups by the key. The records go through a repartition topic if an operator before may
    /// have changed the key.
    pub fn group_by_key(&self) -> KGroupedStream<K, V>
    where
        K: HasSerde,
        V: HasSerde,
    {
        self.group_by_key_with(Grouped::new())
    }

    /// Groups by the key, with a name and serdes for the repartition topic.
    pub fn group_by_key_with(&self, grouped: Grouped<K, V>) -> KGroupedStream<K, V> {
        KGroupedStream { stream: self.clone(), grouped }
    }
}

pub(super) struct SelectKey<K2, V, F> {
    pub(super) selector: Arc<F>,
    pub(super) out: Downstream<K2, V>,
}

impl<K, V: Data, K2: Data, F: Fn(&K, &V) -> K2> Node<K, V> for SelectKey<K2, V, F> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let key = (self.selector)(&record.key, &record.value);
        self.out.forward(ctx, record.with_key(key))
    }
}
