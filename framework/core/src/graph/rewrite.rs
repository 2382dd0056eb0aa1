//! Changes of a graph that is there already: what optimisations of a topology are made of.
//!
//! Nodes keep their ids until [`GraphBuilder::build`], which leaves out those that were taken out and
//! numbers the others anew, parents first. Invariant: a node stands behind all its parents, so who gives a
//! node a parent that was added later also says where that parent stands ([`GraphBuilder::place_behind`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{GraphBuilder, NodeDef, NodeId, NodeKind, SourceTopics, TopicRef};
use crate::error::TopologyError;
use crate::task::{Node, NodeHandle, TaskBuilder};

/// What is different from the order in which nodes were added.
#[derive(Default)]
pub(super) struct Rewritten {
    taken_out: BTreeSet<NodeId>,
    /// The nodes that stand right behind another one.
    behind: BTreeMap<NodeId, NodeId>,
}

impl GraphBuilder {
    /// The nodes that take records from a node.
    pub fn children(&self, node: NodeId) -> &[NodeId] {
        self.nodes.get(node.0).map_or(&[], |node| &node.children)
    }

    /// Takes a node out of the graph, and gives its name back. Its children lose a parent.
    pub fn take_out(&mut self, node: NodeId) {
        let Some(def) = self.nodes.get_mut(node.0) else { return };
        let (parents, children) =
            (std::mem::take(&mut def.parents), std::mem::take(&mut def.children));
        self.names.remove(&def.name);
        for parent in parents {
            self.remove_parent(node, parent);
        }
        for child in children {
            self.remove_parent(child, node);
        }
        self.rewritten.taken_out.insert(node);
    }

    /// Takes a store out of the graph. No node may be connected to it any more.
    pub fn take_out_store(&mut self, store: &str) {
        self.stores.retain(|def| &*def.name != store);
    }

    /// Takes a repartition topic out of the graph. No node may read or write it any more.
    pub fn take_out_repartition(&mut self, topic: &TopicRef) {
        self.repartitions.retain(|def| def.topic != *topic);
    }

    /// Lets a node take the records of one more parent.
    pub fn add_parent(&mut self, node: NodeId, parent: NodeId) {
        let Some(def) = self.nodes.get_mut(node.0) else { return };
        if !def.parents.contains(&parent) {
            def.parents.push(parent);
            if let Some(parent) = self.nodes.get_mut(parent.0) {
                parent.children.push(node);
            }
        }
    }

    /// Lets a node take no more records of a parent.
    pub fn remove_parent(&mut self, node: NodeId, parent: NodeId) {
        if let Some(def) = self.nodes.get_mut(node.0) {
            def.parents.retain(|at| *at != parent);
        }
        if let Some(def) = self.nodes.get_mut(parent.0) {
            def.children.retain(|at| *at != node);
        }
    }

    /// Lets a node stand right behind another one, which was not placed so itself: behind those that were
    /// placed there before.
    pub fn place_behind(&mut self, node: NodeId, other: NodeId) {
        self.rewritten.behind.insert(node, other);
    }

    /// Names another node wherever one was said to be co-partitioned.
    pub fn replace_copartitioned(&mut self, node: NodeId, with: NodeId) {
        let named = self.copartitioned.iter_mut().flatten();
        named.filter(|named| **named == node).for_each(|named| *named = with);
    }

    /// Gives a processor other stores and another factory.
    pub fn replace_processor<K, V, F>(&mut self, node: NodeId, stores: &[Arc<str>], factory: F)
    where
        K: 'static,
        V: 'static,
        F: Fn(&mut TaskBuilder<'_>, NodeId) -> Result<Box<dyn Node<K, V>>, TopologyError>
            + Send
            + Sync
            + 'static,
    {
        let Some(def) = self.nodes.get_mut(node.0) else { return };
        def.stores = stores.to_vec();
        def.factory = Arc::new(move |b, id| Ok(NodeHandle::node(factory(b, id)?)));
    }

    /// Lets a store with a changelog be brought back from the topic of the source above its table's node, and
    /// takes the changelog out. Nothing changes if that source reads anything else than one topic of the user's.
    ///
    /// The node must be the only one that writes to the store, and must write what follows from the records of
    /// that topic alone.
    pub fn follow_source(&mut self, store: &str, table: NodeId) {
        let source = self.parents(table).first().and_then(|source| self.nodes.get(source.0));
        let reads_one = source.is_some_and(|source| match &source.kind {
            NodeKind::Source(SourceTopics::Topics(topics)) => {
                matches!(topics[..], [TopicRef::User(_)])
            }
            _ => false,
        });
        let def = self.stores.iter_mut().find(|def| &*def.name == store);
        if let Some(def) = def.filter(|def| reads_one && def.changelog.is_some()) {
            (def.changelog, def.table) = (None, Some(table));
        }
    }

    /// Numbers the nodes anew, if any was taken out or placed.
    pub(super) fn arrange(&mut self) {
        let Rewritten { taken_out, behind } = std::mem::take(&mut self.rewritten);
        if taken_out.is_empty() && behind.is_empty() {
            return;
        }
        let mut order: Vec<NodeId> =
            (0..self.nodes.len()).map(NodeId).filter(|id| !taken_out.contains(id)).collect();
        order.sort_by_key(|id| match behind.get(id) {
            Some(other) => (*other, true, *id),
            None => (*id, false, *id),
        });
        let numbers: BTreeMap<NodeId, NodeId> =
            order.iter().enumerate().map(|(at, id)| (*id, NodeId(at))).collect();
        let renumbered = |ids: &[NodeId]| -> Vec<NodeId> {
            ids.iter().filter_map(|id| numbers.get(id).copied()).collect()
        };
        let arranged = order.iter().map(|id| {
            let def = &self.nodes[id.0];
            let mut children = renumbered(&def.children);
            // As if they had been added in this order.
            children.sort_unstable();
            NodeDef { parents: renumbered(&def.parents), children, ..def.clone() }
        });
        self.nodes = arranged.collect();
        for store in &mut self.stores {
            store.table = store.table.and_then(|table| numbers.get(&table).copied());
        }
        for group in &mut self.copartitioned {
            *group = renumbered(group);
        }
    }
}
