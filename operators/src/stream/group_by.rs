//! `group_by` and `group_by_key`: what aggregations work on.

use oncestream_core::serde::HasSerde;

use super::KStream;
use crate::dsl::{Data, NextName};
use crate::grouped::KGroupedStream;
use crate::options::Grouped;

impl<K: Data, V: Data> KStream<K, V> {
    /// Groups by a new key. The records go through a repartition topic.
    ///
    /// A name and other serdes are given to what this returns: [`KGroupedStream::grouped`]. A name
    /// that was [given before](Self::named) is the grouping's.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder.stream::<Option<String>, String>("words").group_by(|_, v| v.clone()).count("counts");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn group_by<K2, F>(&self, selector: F) -> KGroupedStream<K2, V>
    where
        K2: Data + HasSerde,
        V: HasSerde,
        F: Fn(&K, &V) -> K2 + Send + Sync + 'static,
    {
        // As in Kafka Streams, the grouping's name is the node's.
        let keyed = self.select_key(selector);
        let selector = keyed.node;
        KGroupedStream::new(keyed, self.grouping(), Some(selector))
    }

    /// Groups by the key. The records go through a repartition topic if an operator before may
    /// have changed the key.
    ///
    /// A name and other serdes are given to what this returns: [`KGroupedStream::grouped`]. A name
    /// that was [given before](Self::named) is the grouping's.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").group_by_key().count("counts");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn group_by_key(&self) -> KGroupedStream<K, V>
    where
        K: HasSerde,
        V: HasSerde,
    {
        let stream = Self { next_name: NextName::default(), ..self.clone() };
        KGroupedStream::new(stream, self.grouping(), None)
    }

    fn grouping<K2: HasSerde, V2: HasSerde>(&self) -> Grouped<K2, V2> {
        let name = self.next_name.take().map(|named| named.as_str().to_owned());
        Grouped { name, ..Grouped::new() }
    }
}
