//! `to`: the end of a branch, a topic.

use oncestream_core::graph::SinkTopic;
use oncestream_core::task::{Destination, Sink, TaskBuilder};

use super::KStream;
use crate::dsl::Data;
use crate::options::{Produced, ProducedTo};

impl<K: Data, V: Data> KStream<K, V> {
    /// Writes the stream to a topic, or each record to the topic that a function chooses.
    ///
    /// Under exactly once the records are part of the transaction; a consumer with
    /// `isolation.level=read_committed` sees them when it commits.
    ///
    /// ```
    /// use oncestream_core::Record;
    /// use oncestream_operators::{Produced, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let stream = builder.stream::<String, i64>("in");
    /// stream.to("out");
    /// stream.to(Produced::chosen(|r: &Record<String, i64>, _| if r.value < 0 { "bad" } else { "good" }));
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn to(&self, produced: impl Into<Produced<K, V>>) {
        let Produced { to, key_serde, value_serde, partitioner, name } = produced.into();
        let named = name.as_ref().or_else(|| self.next_name.take());
        let name = self.dsl.name(named, "KSTREAM-SINK-");
        let topic = match &to {
            ProducedTo::Topic(topic) => SinkTopic::Topic(topic.clone()),
            ProducedTo::Chosen(_) => SinkTopic::Dynamic,
        };
        let destination = move |b: &TaskBuilder<'_>| match &to {
            ProducedTo::Topic(topic) => Destination::Topic(b.topic(topic)),
            ProducedTo::Chosen(choose) => Destination::Dynamic(choose.clone()),
        };
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
