//! `repartition`: through a topic of the application's own, partitioned anew. Groupings and
//! tables go through the same helpers.

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::graph::{NodeId, SinkTopic, SourceTopics, TopicRef};
use oncestream_core::serde::DynSerde;
use oncestream_core::task::{
    Context, Destination, Downstream, Node, Partitioner, Sink, SourceConfig, SourceInstance,
    TaskBuilder,
};

use super::KStream;
use crate::dsl::{Data, Dsl};
use crate::options::Repartitioned;

/// Kafka Streams adds it to a topic's name unless it is there.
const SUFFIX: &str = "-repartition";

impl<K: Data, V: Data> KStream<K, V> {
    /// Writes the stream to the topic `<application.id>-<name>-repartition` and goes on with
    /// what is read from it. Everything after it may run in more, or fewer, tasks.
    ///
    /// The topic is the application's: it is created with the first start, and its records are
    /// part of the transactions. Records with a null key are left out.
    pub fn repartition(&self, options: Repartitioned<K, V>) -> KStream<K, V> {
        burn_names(&self.dsl);
        let node = through_topic(self, options, std::convert::identity);
        KStream::new(self.dsl.clone(), node, false)
    }
}

/// Kafka Streams generates three names for each repartitioning, also where others are used. The
/// numbers of the names that follow depend on it.
pub(crate) fn burn_names(dsl: &Dsl) {
    for prefix in ["KSTREAM-SINK-", "KSTREAM-FILTER-", "KSTREAM-SOURCE-"] {
        dsl.generated(prefix);
    }
}

/// Sends a stream through a repartition topic and gives the source behind it. Kafka Streams
/// leaves null keys out here, unless a left or outer join follows.
pub(crate) fn through_topic<K: Data, V: Data, V2: Data>(
    stream: &KStream<K, V>,
    options: Repartitioned<K, V2>,
    convert: fn(V) -> V2,
) -> NodeId {
    let name = options.name.strip_suffix(SUFFIX).unwrap_or(&options.name).to_owned();
    let key_serde = options.key_serde.clone();
    let (topic, filter) = stream.dsl.graph(|g| {
        let topic = g.add_repartition(&name, options.partitions);
        let filter = g.add_processor(
            &format!("{name}{SUFFIX}-filter"),
            &[stream.node],
            &[],
            move |b: &mut TaskBuilder<'_>, id| {
                let out = b.downstream::<K, V2>(id)?;
                let key_serde = key_serde.clone();
                Ok(Box::new(IntoTopic { key_serde, convert, out }) as Box<dyn Node<K, V>>)
            },
        );
        (topic, filter)
    });
    let hop = Hop {
        topic,
        sink_name: format!("{name}{SUFFIX}-sink"),
        source_name: format!("{name}{SUFFIX}-source"),
        key_serde: options.key_serde,
        value_serde: options.value_serde,
        partitioner: options.partitioner,
    };
    hop.add(&stream.dsl, filter)
}

/// Leaves records with a null key out, without counting them: they cannot be partitioned by it.
struct IntoTopic<K, V, V2> {
    key_serde: DynSerde<K>,
    convert: fn(V) -> V2,
    out: Downstream<K, V2>,
}

impl<K: Data, V, V2: Data> Node<K, V> for IntoTopic<K, V, V2> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        if self.key_serde.is_null(&record.key) {
            return Ok(());
        }
        self.out.forward(ctx, record.map_value(self.convert))
    }
}

/// Into a topic and out of it again.
pub(crate) struct Hop<K, V> {
    pub(crate) topic: TopicRef,
    pub(crate) sink_name: String,
    pub(crate) source_name: String,
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
}

impl<K: Data, V: Data> Hop<K, V> {
    /// Adds the sink below `parent`, and the source.
    pub(crate) fn add(self, dsl: &Dsl, parent: NodeId) -> NodeId {
        let Self { topic, sink_name, source_name, key_serde, value_serde, partitioner } = self;
        let config = SourceConfig {
            key_serde: key_serde.clone(),
            value_serde: value_serde.clone(),
            timestamp_extractor: None,
            drop_null_keys: false,
        };
        let to = topic.clone();
        dsl.graph(|g| {
            g.add_sink(&sink_name, SinkTopic::Topic(topic.clone()), &[parent], move |b, id| {
                Ok(Box::new(Sink::new(
                    b.node_name(id),
                    Destination::Topic(b.topic(&to)),
                    key_serde.clone(),
                    value_serde.clone(),
                    partitioner.clone(),
                )))
            });
            g.add_source(&source_name, SourceTopics::Topics(vec![topic]), move |b, id| {
                SourceInstance::new(b, id, config.clone())
            })
        })
    }
}
