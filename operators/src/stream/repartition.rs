//! `repartition`: through a topic of the application's own, partitioned anew. Groupings, tables and
//! joins go through the same helpers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::graph::{GraphBuilder, NodeId, SinkTopic, SourceTopics, TopicRef};
use oncestream_core::serde::DynSerde;
use oncestream_core::task::{
    Context, Destination, Downstream, Node, Partitioner, Sink, SourceConfig, SourceInstance,
};

use super::KStream;
use crate::dsl::{Data, Dsl};
use crate::optimization::{MergedHop, RepartitionHop};
use crate::options::Repartitioned;

/// Kafka Streams adds it to a topic's name unless it is there.
const SUFFIX: &str = "-repartition";

impl<K: Data, V: Data> KStream<K, V> {
    /// Writes the stream to the topic `<application.id>-<name>-repartition` and goes on with
    /// what is read from it. Everything after it may run in more, or fewer, tasks.
    ///
    /// The topic is the application's: it is created with the first start, and its records are
    /// part of the transactions. Records with a null key are left out.
    ///
    /// ```
    /// use oncestream_operators::{Repartitioned, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let stream = builder.stream::<String, i64>("in");
    /// stream.repartition("again").to("out");
    /// stream.named("wide").repartition(Repartitioned::new().partitions(12)).to("out");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn repartition(&self, repartitioned: impl Into<Repartitioned<K, V>>) -> KStream<K, V> {
        let repartitioned = repartitioned.into();
        let Repartitioned { name, key_serde, value_serde, partitions, partitioner } = repartitioned;
        let given = name.or_else(|| self.next_name.take().map(|name| name.as_str().to_owned()));
        let generated = given.is_none();
        let name = given.unwrap_or_else(|| self.dsl.generated("KSTREAM-REPARTITION-"));
        let names = HopNames::generate(&self.dsl);
        let topic = TopicName { name: &name, generated };
        let through = ThroughTopic { topic, key_serde, value_serde, partitions, partitioner };
        let node = through.add(self, names, std::convert::identity);
        KStream::new(self.dsl.clone(), node, false)
    }

    /// The node to join below: the stream itself, or the source of its repartition topic. As in Kafka
    /// Streams, a join without a name shares the topic of the join of this stream before it, whether that
    /// has a name or not. The first one's topic takes the name of the stream.
    ///
    /// Null keys are left out, unless a left or outer join follows: see [`Dsl::keep_null_keys`].
    pub(crate) fn partitioned_for_join(&self, side: JoinSide<K, V>) -> NodeId {
        if !self.repartition_required {
            return self.node;
        }
        let names = HopNames::generate(&self.dsl);
        let generated = side.topic.is_none();
        if let Some(shared) = self.dsl.join_source(self.node).filter(|_| generated) {
            return shared;
        }
        let name = side.topic.unwrap_or_else(|| self.dsl.node_name(self.node));
        let through = ThroughTopic {
            topic: TopicName { name: &name, generated },
            key_serde: side.key_serde,
            value_serde: side.value_serde,
            partitions: None,
            partitioner: None,
        };
        let source = through.add_mergeable(self, names);
        self.dsl.keep_join_source(self.node, source);
        source
    }
}

/// How a side of a join is repartitioned, if it must be.
pub(crate) struct JoinSide<K, V> {
    /// The topic's name, if the user gave one: that of the join, for a join of streams with `-left` or
    /// `-right` behind it.
    pub(crate) topic: Option<String>,
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
}

/// The name of a repartition topic.
#[derive(Clone, Copy)]
pub(crate) struct TopicName<'a> {
    pub(crate) name: &'a str,
    pub(crate) generated: bool,
}

/// The three names that Kafka Streams generates for each repartitioning. It uses up their numbers also
/// where it takes other names, so the names that follow depend on it.
pub(crate) struct HopNames {
    sink: String,
    filter: String,
    source: String,
}

impl HopNames {
    pub(crate) fn generate(dsl: &Dsl) -> Self {
        let [sink, filter, source] =
            ["KSTREAM-SINK-", "KSTREAM-FILTER-", "KSTREAM-SOURCE-"].map(|p| dsl.generated(p));
        Self { sink, filter, source }
    }

    /// As in Kafka Streams, they are taken where the topic has a generated name, and what looks like
    /// one; otherwise the topic's name begins them.
    fn for_topic(self, name: &str) -> Self {
        let number = name.rsplit_once('-').map_or("", |(_, number)| number);
        let is_number = number.len() == 10 && number.bytes().all(|b| b.is_ascii_digit());
        if name.starts_with("KSTREAM") && is_number {
            return self;
        }
        Self::of_topic(name)
    }

    /// Those that the topic's name begins.
    fn of_topic(name: &str) -> Self {
        Self {
            sink: format!("{name}{SUFFIX}-sink"),
            filter: format!("{name}{SUFFIX}-filter"),
            source: format!("{name}{SUFFIX}-source"),
        }
    }
}

/// A way through a repartition topic that is to be made.
pub(crate) struct ThroughTopic<'a, K, V> {
    pub(crate) topic: TopicName<'a>,
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    pub(crate) partitions: Option<i32>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
}

impl<K: Data, V2: Data> ThroughTopic<'_, K, V2> {
    /// Sends a stream through the topic and gives the source behind it. Null keys are left out, unless a
    /// left or outer join follows: see [`Dsl::keep_null_keys`].
    pub(crate) fn add<V: Data>(
        self,
        stream: &KStream<K, V>,
        names: HopNames,
        convert: fn(V) -> V2,
    ) -> NodeId {
        let TopicName { name, generated } = self.topic;
        let name = name.strip_suffix(SUFFIX).unwrap_or(name);
        if generated {
            stream.dsl.note_generated_repartition(name);
        }
        let partitioned = self.partitions;
        let way = Way {
            key_serde: self.key_serde,
            value_serde: self.value_serde,
            partitioner: self.partitioner,
            convert,
        };
        let hop = stream.dsl.graph(|g| {
            let topic = g.add_repartition(name, partitioned);
            way.add(g, stream.node, topic, names.for_topic(name))
        });
        let source = hop.source;
        stream.dsl.note_hop(hop);
        source
    }

    /// [`Self::add`] for a topic of which the optimisation may make one for several.
    pub(crate) fn add_mergeable(self, stream: &KStream<K, V2>, names: HopNames) -> NodeId {
        let (key_serde, value_serde) = (self.key_serde.clone(), self.value_serde.clone());
        let serdes = [key_serde.identity(), value_serde.identity()];
        let source = self.add(stream, names, std::convert::identity);
        let make = Box::new(move |g: &mut GraphBuilder, parent, topic: TopicRef| {
            let name = topic.name().clone();
            let topic = g.add_repartition(&name, None);
            let convert = std::convert::identity;
            let way = Way { key_serde, value_serde, partitioner: None, convert };
            way.add(g, parent, topic, HopNames::of_topic(&name))
        });
        stream.dsl.note_mergeable(source, MergedHop { serdes, make });
        source
    }
}

/// How records of `K` and `V` go through a topic, and come out of it as `K` and `V2`.
struct Way<K, V, V2> {
    key_serde: DynSerde<K>,
    value_serde: DynSerde<V2>,
    partitioner: Option<Partitioner<K, V2>>,
    convert: fn(V) -> V2,
}

impl<K: Data, V: Data, V2: Data> Way<K, V, V2> {
    /// Adds the nodes below `parent`.
    fn add(
        self,
        g: &mut GraphBuilder,
        parent: NodeId,
        topic: TopicRef,
        names: HopNames,
    ) -> RepartitionHop {
        let Self { key_serde, value_serde, partitioner, convert } = self;
        let keeps_null_keys = Arc::new(AtomicBool::new(false));
        let (of_node, keeps) = (key_serde.clone(), keeps_null_keys.clone());
        let filter = g.add_processor(&names.filter, &[parent], &[], move |b, id| {
            let out = b.downstream::<K, V2>(id)?;
            let key_serde = of_node.clone();
            let keeps_null_keys = keeps.load(Ordering::Relaxed);
            let node = IntoTopic { key_serde, keeps_null_keys, convert, out };
            Ok(Box::new(node) as Box<dyn Node<K, V>>)
        });
        let hop = Hop {
            topic: topic.clone(),
            sink_name: names.sink,
            source_name: names.source,
            key_serde,
            value_serde,
            partitioner,
        };
        let (sink, source) = hop.add_to(g, &[filter]);
        RepartitionHop { topic, filter, sink, source, keeps_null_keys, merged: None }
    }
}

/// Leaves records with a null key out, without counting them: they cannot be partitioned by it. Where a
/// left or outer join follows, they are kept and go to any partition (KIP-962).
struct IntoTopic<K, V, V2> {
    key_serde: DynSerde<K>,
    keeps_null_keys: bool,
    convert: fn(V) -> V2,
    out: Downstream<K, V2>,
}

impl<K: Data, V, V2: Data> Node<K, V> for IntoTopic<K, V, V2> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        if !self.keeps_null_keys && self.key_serde.is_null(&record.key) {
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
        self.add_below(dsl, &[parent])
    }

    /// [`Self::add`] below several nodes.
    pub(crate) fn add_below(self, dsl: &Dsl, parents: &[NodeId]) -> NodeId {
        let (_, source) = dsl.graph(|g| self.add_to(g, parents));
        source
    }

    /// Adds the sink and the source.
    fn add_to(self, g: &mut GraphBuilder, parents: &[NodeId]) -> (NodeId, NodeId) {
        let Self { topic, sink_name, source_name, key_serde, value_serde, partitioner } = self;
        let config = SourceConfig {
            key_serde: key_serde.clone(),
            value_serde: value_serde.clone(),
            timestamp_extractor: None,
            drop_null_keys: false,
        };
        let to = topic.clone();
        let sink =
            g.add_sink(&sink_name, SinkTopic::Topic(topic.clone()), parents, move |b, id| {
                Ok(Box::new(Sink::new(
                    b.node_name(id),
                    Destination::Topic(b.topic(&to)),
                    key_serde.clone(),
                    value_serde.clone(),
                    partitioner.clone(),
                )))
            });
        let source = g.add_source(&source_name, SourceTopics::Topics(vec![topic]), move |b, id| {
            SourceInstance::new(b, id, config.clone())
        });
        (sink, source)
    }
}
