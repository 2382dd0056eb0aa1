//! A checked graph, cut into sub-topologies: what engines run. Immutable, cheap to share between threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::Regex;

use super::copartition;
use super::globals::{self, GlobalTableDef};
use super::{
    NodeDef, NodeId, NodeKind, RepartitionDef, SinkTopic, SourceTopics, StoreDef, TopicRef,
};
use crate::SubTopologyId;

/// Nodes that run together in one task: connected by forwarding or by a shared store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubTopology {
    /// Its nodes, parents first.
    pub nodes: Vec<NodeId>,
    /// Its stores, in the order they were added.
    pub stores: Vec<Arc<str>>,
}

/// What [`GraphBuilder::build`](super::GraphBuilder::build) gives: everything needed to make tasks.
///
/// Cloning shares the graph.
#[derive(Clone)]
pub struct Graph {
    inner: Arc<Inner>,
}

struct Inner {
    nodes: Vec<NodeDef>,
    patterns: Vec<(NodeId, Regex)>,
    stores: Vec<StoreDef>,
    repartitions: Vec<RepartitionDef>,
    sub_topologies: Vec<SubTopology>,
    copartition_groups: Vec<Vec<NodeId>>,
    global_tables: Vec<GlobalTableDef>,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph")
            .field("nodes", &self.inner.nodes.iter().map(|n| &n.name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Graph {
    pub(super) fn new(
        nodes: Vec<NodeDef>,
        patterns: Vec<(NodeId, Regex)>,
        stores: Vec<StoreDef>,
        repartitions: Vec<RepartitionDef>,
        copartitioned: &[Vec<NodeId>],
    ) -> Self {
        let sub_topologies = cut(&nodes, &stores);
        let copartition_groups = copartition::groups(&nodes, &sub_topologies, copartitioned);
        let global_tables = globals::tables(&nodes, &sub_topologies);
        let inner = Inner {
            nodes,
            patterns,
            stores,
            repartitions,
            sub_topologies,
            copartition_groups,
            global_tables,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The source that reads a topic of the broker, and its sub-topology. Sources that name the
    /// topic come before those whose pattern matches it.
    pub fn reader_of(&self, application_id: &str, topic: &str) -> Option<(SubTopologyId, NodeId)> {
        let named = self.inner.nodes.iter().position(|node| match &node.kind {
            NodeKind::Source(SourceTopics::Topics(topics)) => {
                topics.iter().any(|t| &*t.resolve(application_id) == topic)
            }
            _ => false,
        });
        let matched = || self.inner.patterns.iter().find(|(_, regex)| regex.is_match(topic));
        let node = named.map(NodeId).or_else(|| matched().map(|(id, _)| *id))?;
        let sub = self.inner.sub_topologies.iter().position(|s| s.nodes.contains(&node))?;
        Some((SubTopologyId(sub), node))
    }

    /// The sources that read by a pattern, each with its pattern for whole names.
    pub(super) fn patterns(&self) -> &[(NodeId, Regex)] {
        &self.inner.patterns
    }

    /// Whether some source reads by a pattern, so that its topics may come while it runs.
    pub fn has_patterns(&self) -> bool {
        !self.inner.patterns.is_empty()
    }

    /// All nodes; a [`NodeId`] is an index here.
    pub fn nodes(&self) -> &[NodeDef] {
        &self.inner.nodes
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &NodeDef {
        &self.inner.nodes[id.0]
    }

    /// All stores.
    pub fn stores(&self) -> &[StoreDef] {
        &self.inner.stores
    }

    /// A store by name.
    pub fn store(&self, name: &str) -> Option<&StoreDef> {
        self.inner.stores.iter().find(|s| &*s.name == name)
    }

    /// All repartition topics.
    pub fn repartitions(&self) -> &[RepartitionDef] {
        &self.inner.repartitions
    }

    /// The sub-topologies; a [`crate::SubTopologyId`] is an index here.
    pub fn sub_topologies(&self) -> &[SubTopology] {
        &self.inner.sub_topologies
    }

    /// The sources whose topics must have equal numbers of partitions, by groups.
    pub fn copartition_groups(&self) -> &[Vec<NodeId>] {
        &self.inner.copartition_groups
    }

    /// The global tables, in the order in which they were added.
    pub fn global_tables(&self) -> &[GlobalTableDef] {
        &self.inner.global_tables
    }

    /// The user's topics that sources name, those of global tables among them; patterns are not.
    pub fn user_sources(&self) -> BTreeSet<Arc<str>> {
        let named = self.inner.sub_topologies.iter().flat_map(|sub| self.source_topics(sub));
        let user = named.filter_map(|topic| topic.user().cloned());
        user.chain(self.global_tables().iter().map(|table| table.topic.clone())).collect()
    }

    /// The patterns that sources name.
    pub fn user_patterns(&self) -> BTreeSet<Arc<str>> {
        let subs = self.inner.sub_topologies.iter();
        subs.flat_map(|sub| self.source_patterns(sub)).map(|(_, pattern)| pattern).collect()
    }

    /// The user's topics that sinks name.
    pub fn user_sinks(&self) -> BTreeSet<Arc<str>> {
        let named = self.inner.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Sink(SinkTopic::Topic(TopicRef::User(topic))) => Some(topic.clone()),
            _ => None,
        });
        named.collect()
    }

    /// The topics that the sources of one sub-topology name; patterns are not among them, nor is the topic
    /// of a global table, which is no input of a task.
    pub fn source_topics(&self, sub: &SubTopology) -> Vec<TopicRef> {
        sub.nodes
            .iter()
            .filter_map(|id| match &self.node(*id).kind {
                NodeKind::Source(SourceTopics::Topics(topics)) => Some(topics.clone()),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// The patterns that the sources of one sub-topology name, with their nodes.
    pub fn source_patterns(&self, sub: &SubTopology) -> Vec<(NodeId, Arc<str>)> {
        sub.nodes
            .iter()
            .filter_map(|id| match &self.node(*id).kind {
                NodeKind::Source(SourceTopics::Pattern(p)) => Some((*id, p.clone())),
                _ => None,
            })
            .collect()
    }
}

/// Groups nodes that forward to each other or share a store. Groups are numbered in the order of
/// their first nodes, so that upstream comes before downstream, as in Kafka Streams
/// (`makeNodeGroups`).
fn cut(nodes: &[NodeDef], stores: &[StoreDef]) -> Vec<SubTopology> {
    let mut groups = Groups::new(nodes.len());
    let mut first_user: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, node) in nodes.iter().enumerate() {
        for parent in &node.parents {
            groups.join(parent.0, at);
        }
        for store in &node.stores {
            let first = *first_user.entry(store).or_insert(at);
            groups.join(first, at);
        }
    }
    let mut roots: Vec<usize> = Vec::new();
    for at in 0..nodes.len() {
        let root = groups.root(at);
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    roots
        .into_iter()
        .map(|root| {
            let members: Vec<NodeId> =
                (0..nodes.len()).filter(|n| groups.root(*n) == root).map(NodeId).collect();
            let used = |name: &Arc<str>| members.iter().any(|n| nodes[n.0].stores.contains(name));
            let stores = stores.iter().map(|s| s.name.clone()).filter(used).collect();
            SubTopology { nodes: members, stores }
        })
        .collect()
}

/// Union-find over node indices.
pub(super) struct Groups(Vec<usize>);

impl Groups {
    pub(super) fn new(len: usize) -> Self {
        Self((0..len).collect())
    }

    pub(super) fn root(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    pub(super) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}
