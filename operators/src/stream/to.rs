//! `to`: the end of a branch, a topic.

use std::sync::Arc;

use oncestream_core::graph::{SinkTopic, TopicRef};
use oncestream_core::serde::HasSerde;
use oncestream_core::task::{Destination, Sink};
use oncestream_core::{Record, RecordMetadata};

use super::KStream;
use crate::dsl::Data;
use crate::options::Produced;

impl<K: Data, V: Data> KStream<K, V> {
    /// Writes the stream to a topic, with the serdes of the types.
    ///
    /// Under exactly once the records are part of the transaction; a consumer with
    /// `isolation.level=read_committed` sees them when it commits.
    pub fn to(&self, topic: &str)
    where
        K: HasSerde,
        V: HasSerde,
    {
        self.to_with(topic, Produced::new());
    }

    /// Writes the stream to a topic.
    pub fn to_with(&self, topic: &str, produced: Produced<K, V>) {
        let topic = TopicRef::User(topic.into());
        self.sink(SinkTopic::Topic(topic.clone()), produced, move |b| {
            Destination::Topic(b.topic(&topic))
        });
    }

    /// Writes each record to the topic that `choose` names. The topics must exist. A name that no
    /// topic can have is the record's fault: the production handler is asked
    /// ([`Unproducible::TopicName`](oncestream_core::error::Unproducible::TopicName)).
    ///
    /// ```
    /// use oncestream_operators::{Produced, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .to_chosen(|r, _| if r.value < 0 { "bad".into() } else { "good".into() }, Produced::new());
    /// ```
    pub fn to_chosen<F>(&self, choose: F, produced: Produced<K, V>)
    where
        F: Fn(&Record<K, V>, Option<&RecordMetadata>) -> String + Send + Sync + 'static,
    {
        let choose = Arc::new(choose);
        self.sink(SinkTopic::Dynamic, produced, move |_| Destination::Dynamic(choose.clone()));
    }

    pub(crate) fn sink<D>(&self, topic: SinkTopic, produced: Produced<K, V>, destination: D)
    where
        D: Fn(&oncestream_core::task::TaskBuilder<'_>) -> Destination<K, V> + Send + Sync + 'static,
    {
        let Produced { key_serde, value_serde, partitioner, name } = produced;
        let name = self.dsl.name(name.as_ref().or(self.next_name.as_ref()), "KSTREAM-SINK-");
        self.dsl.graph(|g| {
            g.add_sink(&name, topic, &[self.node], move |b, id| {
                Ok(Box::new(Sink::new(
                    b.node_name(id),
                    destination(b),
                    key_serde.clone(),
                    value_serde.clone(),
                    partitioner.clone(),
                )))
            })
        });
    }
}
