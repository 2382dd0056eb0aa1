//! [`KGroupedStream`]: records grouped by key, ready to be aggregated.

mod aggregate;
mod count;

use oncestream_core::graph::{NodeId, SinkTopic, SourceTopics};
use oncestream_core::task::{Destination, Sink, SourceConfig, SourceInstance};

use crate::dsl::Data;
use crate::options::Grouped;
use crate::stream::KStream;

/// Records grouped by key. Records with a null key or a null value are dropped and counted by
/// every aggregation, as in Kafka Streams.
pub struct KGroupedStream<K, V> {
    pub(crate) stream: KStream<K, V>,
    pub(crate) grouped: Grouped<K, V>,
}

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// The node to aggregate below: the stream itself, or the source of its repartition topic,
    /// named by the grouping or else by the store.
    pub(crate) fn partitioned(&self, store: &str) -> NodeId {
        let stream = &self.stream;
        if !stream.repartition_required {
            return stream.node;
        }
        let name = self.grouped.name.as_deref().unwrap_or(store);
        repartition(stream, name, None, &self.grouped)
    }
}

/// Sends a stream through a repartition topic and gives the source behind it. Records with a
/// null key cannot be grouped and are left out.
fn repartition<K: Data, V: Data>(
    stream: &KStream<K, V>,
    name: &str,
    partitions: Option<i32>,
    grouped: &Grouped<K, V>,
) -> NodeId {
    let key_serde = grouped.key_serde.clone();
    let config = SourceConfig {
        key_serde: grouped.key_serde.clone(),
        value_serde: grouped.value_serde.clone(),
        timestamp_extractor: None,
    };
    let (sink_key, sink_value) = (config.key_serde.clone(), config.value_serde.clone());
    stream.dsl.graph(|g| {
        let topic = g.add_repartition(name, partitions);
        let filter = g.add_processor(
            &format!("{name}-repartition-filter"),
            &[stream.node],
            &[],
            move |b, id| {
                let out = b.downstream::<K, V>(id)?;
                Ok(Box::new(aggregate::DropNullKeys { key_serde: key_serde.clone(), out }))
            },
        );
        let to = topic.clone();
        g.add_sink(
            &format!("{name}-repartition-sink"),
            SinkTopic::Topic(topic.clone()),
            &[filter],
            move |b, _| {
                let destination = Destination::Topic(b.topic(&to));
                Ok(Box::new(Sink::new(destination, sink_key.clone(), sink_value.clone(), None)))
            },
        );
        g.add_source(
            &format!("{name}-repartition-source"),
            SourceTopics::Topics(vec![topic]),
            move |b, id| SourceInstance::new(b, id, config.clone()),
        )
    })
}
