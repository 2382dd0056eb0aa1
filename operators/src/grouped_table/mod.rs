//! [`KGroupedTable`]: the entries of a table under other keys, ready to be aggregated.

mod aggregate;
mod count;
mod reduce;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::graph::NodeId;

use crate::dsl::{Data, Dsl};
use crate::options::{Grouped, Named};
use crate::stream::Hop;
use crate::table::ChangeSerde;

/// The entries of a table, grouped by a new key. An aggregation adds what comes into a group and
/// subtracts what leaves it.
pub struct KGroupedTable<K, V> {
    pub(crate) dsl: Dsl,
    node: NodeId,
    grouped: Grouped<K, V>,
    next_name: Option<Named>,
    /// The source behind the repartition topic that a named grouping shares between all its
    /// aggregations.
    shared: Rc<Cell<Option<NodeId>>>,
}

impl<K: Data, V: Data> KGroupedTable<K, V> {
    pub(crate) fn new(dsl: Dsl, node: NodeId, grouped: Grouped<K, V>) -> Self {
        Self { dsl, node, grouped, next_name: None, shared: Rc::default() }
    }

    /// The same grouping; the next aggregation called on what this returns gets the name.
    #[must_use]
    pub fn named(&self, name: impl Into<Named>) -> Self {
        Self {
            dsl: self.dsl.clone(),
            node: self.node,
            grouped: self.grouped.clone(),
            next_name: Some(name.into()),
            shared: self.shared.clone(),
        }
    }

    /// The source behind the repartition topic, and the name of the aggregation. Names are made
    /// in the order of Kafka Streams.
    fn partitioned(&self, store: &str, prefix: &str) -> (NodeId, String) {
        let sink_name = self.dsl.suffixed(self.next_name.as_ref(), "-sink", "KSTREAM-SINK-");
        let source_name = self.dsl.suffixed(self.next_name.as_ref(), "-source", "KSTREAM-SOURCE-");
        let name = self.dsl.name(self.next_name.as_ref(), prefix);
        let named = self.grouped.name.as_deref();
        if let (Some(_), Some(source)) = (named, self.shared.get()) {
            return (source, name);
        }
        let topic = self.dsl.graph(|g| g.add_repartition(named.unwrap_or(store), None));
        let hop = Hop {
            topic,
            sink_name,
            source_name,
            key_serde: self.grouped.key_serde.clone(),
            value_serde: Arc::new(ChangeSerde::new(self.grouped.value_serde.clone())),
            partitioner: None,
        };
        let source = hop.add(&self.dsl, self.node);
        self.shared.set(Some(source));
        (source, name)
    }
}
