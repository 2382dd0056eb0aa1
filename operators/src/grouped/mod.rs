//! [`KGroupedStream`]: records grouped by key, ready to be aggregated.

mod aggregate;
pub(crate) mod count;
pub(crate) mod fold;
pub(crate) mod reduce;

pub(crate) use aggregate::AggregateFactory;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use oncestream_core::graph::NodeId;

use crate::dsl::{Data, NextName};
use crate::options::{Grouped, Named, StoreName};
use crate::stream::{HopNames, KStream, ThroughTopic, TopicName};

/// Records grouped by key. Every aggregation drops and counts records with a null key, and, but for
/// those in time windows and sessions, records with a null value, as in Kafka Streams.
///
/// ```
/// use oncestream_operators::StreamsBuilder;
/// let builder = StreamsBuilder::new();
/// let amounts = builder.stream::<String, i64>("orders").group_by_key();
/// amounts.count("orders-of-customers").to_stream().to("numbers-of-orders");
/// amounts.reduce(|sum, amount| sum + amount, "sums-of-customers").to_stream().to("sums");
/// # assert!(builder.build().is_ok());
/// ```
pub struct KGroupedStream<K, V> {
    pub(crate) stream: KStream<K, V>,
    pub(crate) grouped: Grouped<K, V>,
    /// The node that `group_by` has added, which has the grouping's name.
    selector: Option<NodeId>,
    pub(crate) next_name: NextName,
    /// The source behind the repartition topic that a named grouping shares between all its
    /// aggregations.
    shared: Rc<Cell<Option<NodeId>>>,
}

impl<K: Data, V: Data> KGroupedStream<K, V> {
    pub(crate) fn new(
        stream: KStream<K, V>,
        grouped: Grouped<K, V>,
        selector: Option<NodeId>,
    ) -> Self {
        Self { stream, grouped, selector, next_name: NextName::default(), shared: Rc::default() }
    }

    /// Gives the grouping a name, serdes, or both: see [`Grouped`]. It is to be called before the
    /// first aggregation.
    ///
    /// ```
    /// use oncestream_core::serde::HasSerde;
    /// use oncestream_operators::{Grouped, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<i64, String>("orders");
    /// let by_item = Grouped::with("by-item", String::serde(), String::serde());
    /// orders.group_by(|_, item| item.clone()).grouped(by_item).count("per-item");
    /// orders.group_by_key().grouped("by-user").count("per-user");
    /// let topics = builder.build().unwrap().internal_topics("app");
    /// assert!(topics.contains("app-by-item-repartition"));
    /// ```
    #[must_use = "the grouping without this call is the same one; go on with what it returns"]
    pub fn grouped(&self, grouped: impl Into<Grouped<K, V>>) -> Self {
        let grouped = grouped.into();
        if let (Some(node), Some(name)) = (self.selector, &grouped.name) {
            self.stream.dsl.graph(|g| g.rename(node, name));
        }
        let name = grouped.name.clone().or_else(|| self.grouped.name.clone());
        Self { grouped: Grouped { name, ..grouped }, shared: Rc::default(), ..self.clone() }
    }

    /// The same grouping; the next aggregation called on what this returns gets the name. A name that
    /// no aggregation gets is refused by `build`.
    #[must_use]
    pub fn named(&self, name: impl Into<Named>) -> Self {
        Self { next_name: self.stream.dsl.next_name(name), ..self.clone() }
    }

    /// The node to aggregate below: the stream itself, or the source of its repartition topic,
    /// named by the grouping or else by the store.
    pub(crate) fn partitioned(&self, store: &StoreName) -> NodeId {
        if !self.stream.repartition_required {
            return self.stream.node;
        }
        let names = HopNames::generate(&self.stream.dsl);
        let given = self.grouped.name.as_deref();
        if let (Some(_), Some(source)) = (given, self.shared.get()) {
            return source;
        }
        let name = given.unwrap_or(&store.name);
        let topic = TopicName { name, generated: given.is_none() && store.generated };
        let through = ThroughTopic {
            topic,
            key_serde: self.grouped.key_serde.clone(),
            value_serde: self.grouped.value_serde.clone(),
            partitions: None,
            partitioner: None,
        };
        let source = through.add_mergeable(&self.stream, names);
        self.shared.set(Some(source));
        source
    }
}

impl<K, V> Clone for KGroupedStream<K, V> {
    fn clone(&self) -> Self {
        Self {
            stream: self.stream.clone(),
            grouped: self.grouped.clone(),
            selector: self.selector,
            next_name: self.next_name.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<K, V> fmt::Debug for KGroupedStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KGroupedStream")
            .field("stream", &self.stream)
            .field("grouped", &self.grouped)
            .finish_non_exhaustive()
    }
}
