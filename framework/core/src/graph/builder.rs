//! Collects the nodes and stores of a topology and checks their names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::checked::Graph;
use super::rewrite::Rewritten;
use super::{
    ChangelogConfig, NodeDef, NodeId, NodeKind, RepartitionDef, SinkTopic, SourceTopics, StoreDef,
    TopicRef, inputs, names,
};
use crate::error::TopologyError;
use crate::state::{StateStore, StoreInit, StoreInstance};
use crate::task::{Node, NodeHandle, SourceInstance, TaskBuilder};

/// Nodes in the order they were added, parents first. Faults are kept and told by `build`.
#[derive(Default)]
pub struct GraphBuilder {
    pub(super) nodes: Vec<NodeDef>,
    pub(super) stores: Vec<StoreDef>,
    pub(super) repartitions: Vec<RepartitionDef>,
    pub(super) copartitioned: Vec<Vec<NodeId>>,
    pub(super) names: HashSet<Arc<str>>,
    pub(super) rewritten: Rewritten,
    fault: Option<TopologyError>,
}

impl GraphBuilder {
    /// Adds a source. The factory makes the typed source of one task.
    pub fn add_source<F>(&mut self, name: &str, topics: SourceTopics, factory: F) -> NodeId
    where
        F: Fn(&mut TaskBuilder<'_>, NodeId) -> Result<SourceInstance, TopologyError>
            + Send
            + Sync
            + 'static,
    {
        self.add(
            name,
            NodeKind::Source(topics),
            &[],
            &[],
            Arc::new(move |b, id| Ok(NodeHandle::source(factory(b, id)?))),
        )
    }

    /// Adds a processor below `parents`, connected to `stores`. A parent that is named twice counts
    /// once: two streams that share a source and are merged give each record once, as in Kafka
    /// Streams.
    pub fn add_processor<K, V, F>(
        &mut self,
        name: &str,
        parents: &[NodeId],
        stores: &[Arc<str>],
        factory: F,
    ) -> NodeId
    where
        K: 'static,
        V: 'static,
        F: Fn(&mut TaskBuilder<'_>, NodeId) -> Result<Box<dyn Node<K, V>>, TopologyError>
            + Send
            + Sync
            + 'static,
    {
        self.add(
            name,
            NodeKind::Processor,
            parents,
            stores,
            Arc::new(move |b, id| Ok(NodeHandle::node(factory(b, id)?))),
        )
    }

    /// Adds a sink below `parents`.
    pub fn add_sink<K, V, F>(
        &mut self,
        name: &str,
        topic: SinkTopic,
        parents: &[NodeId],
        factory: F,
    ) -> NodeId
    where
        K: 'static,
        V: 'static,
        F: Fn(&mut TaskBuilder<'_>, NodeId) -> Result<Box<dyn Node<K, V>>, TopologyError>
            + Send
            + Sync
            + 'static,
    {
        self.add(
            name,
            NodeKind::Sink(topic),
            parents,
            &[],
            Arc::new(move |b, id| Ok(NodeHandle::node(factory(b, id)?))),
        )
    }

    /// Adds a store.
    pub fn add_store<S, F>(&mut self, name: &str, changelog: Option<ChangelogConfig>, factory: F)
    where
        S: StateStore + 'static,
        F: Fn(StoreInit) -> S + Send + Sync + 'static,
    {
        self.check_new_store(name);
        self.stores.push(StoreDef {
            name: name.into(),
            changelog,
            table: None,
            is_global: false,
            factory: Arc::new(move |init| StoreInstance::new(factory(init))),
        });
    }

    /// Adds the store of a global table. Only nodes below the table's source may be connected to it;
    /// others read it with [`TaskBuilder::global_table`].
    pub fn add_global_store<S, F>(&mut self, name: &str, factory: F)
    where
        S: StateStore + 'static,
        F: Fn(StoreInit) -> S + Send + Sync + 'static,
    {
        self.add_store(name, None, factory);
        if let Some(store) = self.stores.last_mut() {
            store.is_global = true;
        }
    }

    /// Gives a store another name.
    pub fn rename_store(&mut self, store: &str, name: &str) {
        if store == name {
            return;
        }
        self.check_new_store(name);
        let Some(renamed) = self.stores.iter_mut().find(|s| &*s.name == store) else { return };
        let name: Arc<str> = name.into();
        renamed.name = name.clone();
        let uses = self.nodes.iter_mut().flat_map(|node| &mut node.stores);
        uses.filter(|used| &***used == store).for_each(|used| *used = name.clone());
    }

    fn check_new_store(&mut self, name: &str) {
        self.check_name("store", name);
        if self.stores.iter().any(|s| &*s.name == name) {
            self.fail(TopologyError::DuplicateName { kind: "store", name: name.to_owned() });
        }
    }

    /// Adds a repartition topic.
    pub fn add_repartition(&mut self, name: &str, partitions: Option<i32>) -> TopicRef {
        if let Some(partitions) = partitions.filter(|partitions| *partitions < 1) {
            self.fail(TopologyError::InvalidPartitions { name: name.to_owned(), partitions });
        }
        self.add_internal("repartition topic", name, TopicRef::Repartition, partitions)
    }

    /// Adds a topic of a foreign-key join. It has as many partitions as the table beside which it is read,
    /// so it is to be [co-partitioned](Self::copartition) with that.
    pub fn add_foreign_key_topic(&mut self, name: &str) -> TopicRef {
        self.add_internal("foreign-key topic", name, TopicRef::ForeignKey, None)
    }

    fn add_internal(
        &mut self,
        kind: &'static str,
        name: &str,
        made: fn(Arc<str>) -> TopicRef,
        partitions: Option<i32>,
    ) -> TopicRef {
        self.check_name(kind, name);
        let topic = made(name.into());
        if self.repartitions.iter().any(|r| r.topic == topic) {
            self.fail(TopologyError::DuplicateName { kind, name: name.to_owned() });
        }
        self.repartitions.push(RepartitionDef { topic: topic.clone(), partitions });
        topic
    }

    /// Says that records of these nodes meet by their keys, as in a join: the topics that they come from
    /// must have equal numbers of partitions. A repartition topic among them that was given no number
    /// takes that of the others. Sources of a sub-topology with a store need not be named.
    pub fn copartition(&mut self, nodes: &[NodeId]) {
        if nodes.iter().any(|node| node.0 >= self.nodes.len()) {
            self.fail(TopologyError::ForeignHandle { node: "a co-partitioned one".to_owned() });
        }
        self.copartitioned.push(nodes.to_vec());
    }

    /// Connects a node that is there to a store that is there.
    pub fn connect(&mut self, node: NodeId, store: &str) {
        let store = self.stores.iter().find(|s| &*s.name == store).map(|s| s.name.clone());
        match (self.nodes.get_mut(node.0), store) {
            (Some(node), Some(store)) => node.stores.push(store),
            _ => self.fail(TopologyError::ForeignHandle { node: "a connected one".to_owned() }),
        }
    }

    /// Gives a node another name.
    pub fn rename(&mut self, node: NodeId, name: &str) {
        self.check_name("node", name);
        let Some(renamed) = self.nodes.get_mut(node.0) else { return };
        let name: Arc<str> = name.into();
        let before = std::mem::replace(&mut renamed.name, name.clone());
        if before == name {
            return;
        }
        // A name that two nodes have is a fault already.
        self.names.remove(&before);
        if !self.names.insert(name.clone()) {
            self.fail(TopologyError::DuplicateName { kind: "node", name: name.to_string() });
        }
    }

    /// The name of a node.
    pub fn node_name(&self, node: NodeId) -> Option<&Arc<str>> {
        self.nodes.get(node.0).map(|node| &node.name)
    }

    /// The nodes that a node takes records from.
    pub fn parents(&self, node: NodeId) -> &[NodeId] {
        self.nodes.get(node.0).map_or(&[], |node| &node.parents)
    }

    /// The stores that a node uses.
    pub fn stores(&self, node: NodeId) -> &[Arc<str>] {
        self.nodes.get(node.0).map_or(&[], |node| &node.stores)
    }

    /// The node of a name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| &*node.name == name).map(NodeId)
    }

    /// Remembers the first fault, for `build` to tell.
    pub fn fail(&mut self, fault: TopologyError) {
        self.fault.get_or_insert(fault);
    }

    /// Whether `build` will fail. Nodes may then be connected in ways that no graph has.
    pub fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    fn check_name(&mut self, kind: &'static str, name: &str) {
        let valid = (1..=200).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !valid {
            self.fail(TopologyError::InvalidName { kind, name: name.to_owned() });
        }
    }

    fn add(
        &mut self,
        name: &str,
        kind: NodeKind,
        parents: &[NodeId],
        stores: &[Arc<str>],
        factory: super::NodeFactory,
    ) -> NodeId {
        self.check_name("node", name);
        let id = NodeId(self.nodes.len());
        let name: Arc<str> = name.into();
        if !self.names.insert(name.clone()) {
            self.fail(TopologyError::DuplicateName { kind: "node", name: name.to_string() });
        }
        let mut parents = parents.to_vec();
        let mut seen = HashSet::new();
        parents.retain(|parent| seen.insert(*parent));
        for parent in &parents {
            match self.nodes.get_mut(parent.0) {
                Some(parent) => parent.children.push(id),
                None => self.fail(TopologyError::ForeignHandle { node: name.to_string() }),
            }
        }
        self.nodes.push(NodeDef {
            name,
            kind,
            parents,
            children: Vec::new(),
            stores: stores.to_vec(),
            factory,
        });
        id
    }

    /// Checks the graph and cuts it into sub-topologies.
    ///
    /// # Errors
    /// The first fault found: a name used twice, an unknown store, a cycle, no source, a topic
    /// that two sources read, a pattern that matches an output, a topic that no broker could have.
    pub fn build(mut self) -> Result<Graph, TopologyError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.arrange();
        let is_read = |kind: &NodeKind| match kind {
            NodeKind::Source(topics) => !matches!(topics, SourceTopics::Global(_)),
            _ => false,
        };
        if !self.nodes.iter().any(|node| is_read(&node.kind)) {
            return Err(TopologyError::NoSource);
        }
        for node in &self.nodes {
            for store in &node.stores {
                if !self.stores.iter().any(|s| s.name == *store) {
                    return Err(TopologyError::UnknownStore {
                        node: node.name.to_string(),
                        store: store.to_string(),
                    });
                }
            }
        }
        names::check(&self.nodes, &self.stores, &self.repartitions)?;
        let patterns = inputs::compile(&self.nodes)?;
        inputs::check(&self.nodes, &patterns)?;
        no_cycle(&self.nodes)?;
        Ok(Graph::new(self.nodes, patterns, self.stores, self.repartitions, &self.copartitioned))
    }
}

/// Follows nodes and topics from each source; a way back to a node on the path is a cycle.
fn no_cycle(nodes: &[NodeDef]) -> Result<(), TopologyError> {
    let mut readers: HashMap<&TopicRef, usize> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        if let NodeKind::Source(SourceTopics::Topics(topics)) = &node.kind {
            readers.extend(topics.iter().map(|t| (t, at)));
        }
    }
    let next = |at: usize| -> Vec<usize> {
        let mut next: Vec<usize> = nodes[at].children.iter().map(|c| c.0).collect();
        if let NodeKind::Sink(SinkTopic::Topic(topic)) = &nodes[at].kind {
            next.extend(readers.get(topic));
        }
        next
    };
    // 0: not seen, 1: on the path, 2: done.
    let mut mark = vec![0_u8; nodes.len()];
    for start in 0..nodes.len() {
        let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
        if mark[start] == 0 {
            mark[start] = 1;
            path.push((start, next(start)));
        }
        while let Some((at, todo)) = path.last_mut() {
            let Some(child) = todo.pop() else {
                mark[*at] = 2;
                path.pop();
                continue;
            };
            if mark[child] == 1 {
                let from = path.iter().position(|(n, _)| *n == child).unwrap_or(0);
                let mut names: Vec<String> =
                    path[from..].iter().map(|(n, _)| nodes[*n].name.to_string()).collect();
                names.push(nodes[child].name.to_string());
                return Err(TopologyError::Cycle { path: names });
            }
            if mark[child] == 0 {
                mark[child] = 1;
                path.push((child, next(child)));
            }
        }
    }
    Ok(())
}
