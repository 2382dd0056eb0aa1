//! [`KStream`]: a stream of records. Each operator is a file of this folder.

mod deduplicate;
mod filter;
mod filter_map;
mod filter_map_values;
mod flat_map;
mod flat_map_values;
mod for_each;
mod group_by;
mod join_global;
mod map;
mod map_values;
mod merge;
mod pass_through;
mod peek;
mod print;
mod process;
mod process_values;
mod repartition;
mod select_key;
mod split;
mod table_join;
mod to;
mod to_table;
mod try_filter;
mod try_flat_map_values;
mod try_map;
mod try_map_values;

use std::fmt;
use std::marker::PhantomData;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::NodeId;
use oncestream_core::task::{Node, TaskBuilder};

use crate::dsl::{Data, Dsl, NextName};
use crate::optimization::Effect;
use crate::options::Named;

pub(crate) use pass_through::PassThrough;
pub(crate) use repartition::{Hop, HopNames, JoinSide, ThroughTopic, TopicName};
pub use split::BranchedKStream;

/// A stream of records: each stands for itself.
///
/// A handle; cloning it gives another on the same stream. An operator called twice on one stream
/// makes two branches, and each sees every record.
///
/// ```
/// use oncestream_operators::StreamsBuilder;
/// let builder = StreamsBuilder::new();
/// let orders = builder.stream::<String, i64>("orders");
/// orders.filter(|_, amount| *amount >= 1000).to("large-orders");
/// orders.map_values(|amount| amount * 100).to("orders-in-cents");
/// # assert!(builder.build().is_ok());
/// ```
pub struct KStream<K, V> {
    pub(crate) dsl: Dsl,
    pub(crate) node: NodeId,
    /// The key may have changed since the records were last partitioned by it.
    pub(crate) repartition_required: bool,
    pub(crate) next_name: NextName,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for KStream<K, V> {
    fn clone(&self) -> Self {
        Self {
            dsl: self.dsl.clone(),
            node: self.node,
            repartition_required: self.repartition_required,
            next_name: self.next_name.clone(),
            types: PhantomData,
        }
    }
}

impl<K, V> fmt::Debug for KStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KStream")
            .field("node", &self.dsl.node_name(self.node))
            .finish_non_exhaustive()
    }
}

impl<K: Data, V: Data> KStream<K, V> {
    pub(crate) fn new(dsl: Dsl, node: NodeId, repartition_required: bool) -> Self {
        Self { dsl, node, repartition_required, next_name: NextName::default(), types: PhantomData }
    }

    /// The same stream; the next operator called on what this returns gets the name. A name that no
    /// operator gets is refused by `build`
    /// ([`TopologyError::UnusedName`]).
    #[must_use]
    pub fn named(&self, name: impl Into<Named>) -> Self {
        Self { next_name: self.dsl.next_name(name), ..self.clone() }
    }

    /// Adds an operator below this stream.
    pub(crate) fn add<K2: Data, V2: Data, F>(
        &self,
        prefix: &str,
        effect: Effect,
        factory: F,
    ) -> KStream<K2, V2>
    where
        F: Fn(&mut TaskBuilder<'_>, NodeId) -> Result<Box<dyn Node<K, V>>, TopologyError>
            + Send
            + Sync
            + 'static,
    {
        let name = self.dsl.name(self.next_name.take(), prefix);
        let node = self.dsl.graph(|g| g.add_processor(&name, &[self.node], &[], factory));
        self.dsl.note_effect(node, effect);
        KStream::new(self.dsl.clone(), node, self.repartition_required || effect == Effect::Keys)
    }
}
