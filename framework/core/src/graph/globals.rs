//! Global tables: topics that each instance reads as a whole, beside the tasks of the group.
//!
//! The source of one, its node and its store are a sub-topology of their own. It has its number among the
//! others, as in Kafka Streams, and makes no tasks: whoever asks what tasks read passes over it.
//!
//! Invariant: the topic of a global table has no other reader in its topology.

use std::sync::Arc;

use regex::Regex;

use super::inputs::reads;
use super::{Graph, NodeDef, NodeId, NodeKind, SourceTopics, SubTopology, TopicRef};
use crate::SubTopologyId;
use crate::error::TopologyError;

/// A global table of a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalTableDef {
    /// Its own sub-topology.
    pub sub_topology: SubTopologyId,
    /// Its source.
    pub source: NodeId,
    /// Its topic.
    pub topic: Arc<str>,
    /// Its store.
    pub store: Arc<str>,
}

impl GlobalTableDef {
    /// The keyspace of its store. No task has one of this name, since those end in a partition.
    pub fn keyspace_name(&self) -> String {
        keyspace_name(&self.store)
    }

    /// What the checkpoint of a partition of its topic stands under. No store has this name, since none has a
    /// `/` in it.
    pub fn checkpoint_name(&self, partition: i32) -> String {
        format!("{}/{partition}", self.keyspace_name())
    }
}

/// The keyspace of a global store.
fn keyspace_name(store: &str) -> String {
    format!("{store}-global")
}

/// The global tables of a graph, in the order of their sources.
pub(super) fn tables(nodes: &[NodeDef], sub_topologies: &[SubTopology]) -> Vec<GlobalTableDef> {
    let table = |(at, node): (usize, &NodeDef)| {
        let NodeKind::Source(SourceTopics::Global(topic)) = &node.kind else { return None };
        let source = NodeId(at);
        let sub_topology = sub_topologies.iter().position(|sub| sub.nodes.contains(&source))?;
        let store = sub_topologies[sub_topology].stores.first()?.clone();
        let (sub_topology, topic) = (SubTopologyId(sub_topology), topic.clone());
        Some(GlobalTableDef { sub_topology, source, topic, store })
    };
    nodes.iter().enumerate().filter_map(table).collect()
}

/// Checks that nobody else reads the topics of global tables.
pub(super) fn check(nodes: &[NodeDef], patterns: &[(NodeId, Regex)]) -> Result<(), TopologyError> {
    for (at, node) in nodes.iter().enumerate() {
        let NodeKind::Source(SourceTopics::Global(topic)) = &node.kind else { continue };
        let reads_it = |(other, node): &(usize, &NodeDef)| match &node.kind {
            NodeKind::Source(SourceTopics::Topics(topics)) => {
                topics.iter().any(|named| matches!(named, TopicRef::User(name) if name == topic))
            }
            NodeKind::Source(SourceTopics::Global(other_topic)) => {
                *other > at && other_topic == topic
            }
            _ => false,
        };
        let named = nodes.iter().enumerate().find(reads_it).map(|(_, node)| node);
        let matching = patterns.iter().find(|(_, pattern)| pattern.is_match(topic));
        if let Some(other) = named.or(matching.map(|(id, _)| &nodes[id.0])) {
            let (topic, other) = (topic.to_string(), reads(other));
            return Err(TopologyError::GlobalTopicRead { topic, other });
        }
    }
    Ok(())
}

impl Graph {
    /// Whether a sub-topology is that of a global table: it makes no tasks.
    pub fn is_global(&self, sub: &SubTopology) -> bool {
        self.global_tables().iter().any(|table| sub.nodes.contains(&table.source))
    }

    /// The source of the global table of a topic.
    pub(crate) fn global_reader_of(&self, topic: &str) -> Option<NodeId> {
        let of_topic = self.global_tables().iter().find(|table| *table.topic == *topic);
        of_topic.map(|table| table.source)
    }
}
