//! Where a topology begins: sources, tables, and `build`.

use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{SourceTopics, TopicRef, Topology};
use oncestream_core::serde::HasSerde;

use crate::dsl::{Data, Dsl};
use crate::options::Consumed;
use crate::stream::KStream;

/// Builds a topology.
///
/// A topic may be read more than once: streams and tables on the same topics, or on the same
/// pattern, share one source if their types, serdes and timestamp extractors agree, and each sees
/// every record. A table on `<K, V>` agrees with a stream on `<K, Option<V>>`.
///
/// ```
/// use oncestream_operators::StreamsBuilder;
/// let builder = StreamsBuilder::new();
/// builder.stream::<String, String>("in").filter(|_, v| !v.is_empty()).to("out");
/// let topology = builder.build().unwrap();
/// assert_eq!(topology.nodes().len(), 3);
/// ```
#[derive(Default)]
pub struct StreamsBuilder {
    pub(crate) dsl: Dsl,
}

impl StreamsBuilder {
    /// An empty topology.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream of the records of one topic, with the serdes of the types.
    ///
    /// Streams on one topic are one source, as in Kafka Streams:
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").filter(|_, v| *v < 0).to("losses");
    /// builder.stream::<String, i64>("in").filter(|_, v| *v > 0).to("gains");
    /// assert_eq!(builder.build().unwrap().nodes().len(), 5);
    /// ```
    pub fn stream<K: Data + HasSerde, V: Data + HasSerde>(&self, topic: &str) -> KStream<K, V> {
        self.stream_with(topic, Consumed::new())
    }

    /// A stream of the records of one topic.
    pub fn stream_with<K: Data, V: Data>(
        &self,
        topic: &str,
        consumed: Consumed<K, V>,
    ) -> KStream<K, V> {
        self.stream_of_topics(&[topic], consumed)
    }

    /// A stream of the records of several topics, without an order between them.
    pub fn stream_of_topics<K: Data, V: Data>(
        &self,
        topics: &[&str],
        consumed: Consumed<K, V>,
    ) -> KStream<K, V> {
        let topics = topics.iter().map(|t| TopicRef::User((*t).into())).collect();
        self.source(SourceTopics::Topics(topics), consumed)
    }

    /// A stream of the records of every topic whose whole name matches a regular expression,
    /// among them topics that are created later. There may be none yet.
    ///
    /// No topic may be matched by two patterns of a topology, or by a pattern and a name, and no
    /// pattern may match what the application writes: its outputs, its internal topics, its
    /// dead-letter topic.
    pub fn stream_of_pattern<K: Data, V: Data>(
        &self,
        pattern: &str,
        consumed: Consumed<K, V>,
    ) -> KStream<K, V> {
        self.source(SourceTopics::Pattern(Arc::from(pattern)), consumed)
    }

    fn source<K: Data, V: Data>(
        &self,
        topics: SourceTopics,
        consumed: Consumed<K, V>,
    ) -> KStream<K, V> {
        let name = self.dsl.name(consumed.name.as_ref(), "KSTREAM-SOURCE-");
        let node = self.dsl.source(&name, topics, consumed).node;
        KStream::new(self.dsl.clone(), node, false)
    }

    /// Checks the topology. What is added to streams and tables of this builder afterwards
    /// is in no topology.
    ///
    /// # Errors
    /// A name used twice, a cycle, an unknown store, no source; a topic that is read twice in
    /// different ways, or by a name and a pattern; a pattern that matches an output.
    pub fn build(self) -> Result<Topology, TopologyError> {
        self.dsl.take_graph().build()
    }
}
