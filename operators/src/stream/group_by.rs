//! `group_by` and `group_by_key`: what aggregations work on.

use oncestream_core::serde::HasSerde;

use super::KStream;
use crate::dsl::Data;
use crate::grouped::KGroupedStream;
use crate::options::{Grouped, Named};

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
        // As in Kafka Streams, the grouping's name is the node's.
        let named = grouped.name.as_deref().map(Named::new).or_else(|| self.next_name.clone());
        let keyed = KStream { next_name: named, ..self.clone() }.select_key(selector);
        KGroupedStream::new(keyed, grouped)
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
        KGroupedStream::new(self.clone(), grouped)
    }
}
