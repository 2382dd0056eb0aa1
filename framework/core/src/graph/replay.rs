//! Stores that are brought back from the topic of their table, without a changelog.
//!
//! Invariant: the node of the table writes to the store what follows from the topic alone. So a task of the
//! source, that node and the store, and of nothing below them, makes the store again: see [`Graph::replay`].

use std::sync::Arc;

use super::{Graph, NodeDef, NodeId, NodeKind, SourceTopics, StoreDef, TopicRef};

impl Graph {
    /// The topic of the user's whose records make a store, if it is brought back from that.
    pub fn source_topic_of(&self, store: &StoreDef) -> Option<&Arc<str>> {
        self.source_of(store).map(|(_, topic)| topic)
    }

    fn source_of(&self, store: &StoreDef) -> Option<(NodeId, &Arc<str>)> {
        let source = *self.node(store.table?).parents.first()?;
        match &self.node(source).kind {
            NodeKind::Source(SourceTopics::Topics(topics)) => {
                Some((source, topics.first().and_then(TopicRef::user)?))
            }
            _ => None,
        }
    }

    /// The topic that a store follows after a start: its changelog, or that of its table. `None` if it is
    /// lost with its disk.
    pub fn followed_topic(&self, application_id: &str, store: &StoreDef) -> Option<Arc<str>> {
        let changelog =
            || store.changelog.as_ref().map(|_| Self::changelog_topic(application_id, &store.name));
        self.source_topic_of(store).cloned().or_else(changelog)
    }

    /// What makes a store again from the topic of its table: a graph of one sub-topology, of the source, the
    /// table's node and the store. `None` if the store is not brought back so.
    pub fn replay(&self, store: &str) -> Option<Self> {
        let def = self.store(store)?;
        let (source, _) = self.source_of(def)?;
        let alone = |id: NodeId, parents: &[usize], children: &[usize]| NodeDef {
            parents: parents.iter().copied().map(NodeId).collect(),
            children: children.iter().copied().map(NodeId).collect(),
            ..self.node(id).clone()
        };
        let nodes = vec![alone(source, &[], &[1]), alone(def.table?, &[0], &[])];
        let store = StoreDef { table: Some(NodeId(1)), ..def.clone() };
        Some(Self::new(nodes, Vec::new(), vec![store], Vec::new(), &[]))
    }
}
