//! How many partitions repartition topics have, given those of the broker's topics. Pure.
//!
//! Partitions are counted downstream: a sub-topology is as wide as its widest input. One that reads
//! nothing but patterns without a topic has no width yet, nor have the topics below it: they wait,
//! and the plan is made again when topics come.
//!
//! Topics of a co-partition group have equal counts. A repartition topic that was given none takes that
//! of the group: the users' topics decide, then repartition topics that were given one, then the widest
//! upstream of all (Kafka Streams' `CopartitionedTopicsEnforcer`). The topics of foreign-key joins follow
//! the tables that they are read beside.
//!
//! Invariant: a repartition topic that is there keeps its partitions if patterns feed it or are in its
//! group: their topics come and go, and records are spread over it by their keys, however many
//! partitions they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Graph, NodeId, NodeKind, SinkTopic, SourceTopics, SubTopology, TopicRef};
use crate::error::TopologyError;

/// How many tasks a sub-topology has, or partitions a topic.
pub(super) enum Width {
    /// So many: as many as the widest input has partitions.
    Known(i32),
    /// Its patterns match nothing yet, and it reads nothing else that is there.
    Waiting,
    /// A repartition topic it reads is not planned yet.
    Open,
}

/// The partition counts of inputs, as far as the plan has come.
pub(super) struct Counts {
    pub(super) known: BTreeMap<Arc<str>, i32>,
    waiting: BTreeSet<Arc<str>>,
}

impl Graph {
    /// Upstream first: a repartition topic is known once all inputs of its writers are known.
    ///
    /// # Errors
    /// Inputs that are not co-partitioned, a repartition topic whose count depends on itself.
    pub(super) fn partition_counts(
        &self,
        application_id: &str,
        there: &BTreeMap<Arc<str>, i32>,
    ) -> Result<Counts, TopologyError> {
        let mut counts = Counts { known: there.clone(), waiting: BTreeSet::new() };
        let mut open = Vec::new();
        for def in self.repartitions() {
            let topic = def.topic.clone();
            let name = topic.resolve(application_id);
            // What is there of our own is not asked unless it depends on patterns: the sources decide.
            let there = counts.known.remove(&name).filter(|_| self.depends_on_a_pattern(&topic));
            match def.partitions.or(there) {
                Some(n) => drop(counts.known.insert(name, n)),
                None => open.push((topic, name)),
            }
        }
        while !open.is_empty() {
            let before = open.len();
            open.retain(|(topic, name)| {
                match self.repartition_width(topic, application_id, &counts) {
                    Width::Open => return true,
                    Width::Waiting => drop(counts.waiting.insert(name.clone())),
                    Width::Known(n) => drop(counts.known.insert(name.clone(), n)),
                }
                false
            });
            if open.len() == before {
                let topic = open[0].1.to_string();
                return Err(TopologyError::UnknownPartitionCount { topic });
            }
        }
        for group in self.copartition_groups() {
            let inputs = self.input_counts(group, application_id, &counts.known);
            if inputs.iter().any(|(_, n)| *n != inputs[0].1) {
                let topics = inputs.into_iter().map(|(t, n)| (t.to_string(), n)).collect();
                return Err(TopologyError::NotCopartitioned { topics });
            }
        }
        Ok(counts)
    }

    /// The width of a sub-topology.
    pub(super) fn width(&self, sub: &SubTopology, application_id: &str, counts: &Counts) -> Width {
        let named = self.source_topics(sub).into_iter().map(|t| t.resolve(application_id));
        let is_open = |t: Arc<str>| !counts.known.contains_key(&t) && !counts.waiting.contains(&t);
        if named.into_iter().any(is_open) {
            return Width::Open;
        }
        let inputs = self.input_counts(&sub.nodes, application_id, &counts.known);
        inputs.iter().map(|(_, n)| *n).max().map_or(Width::Waiting, Width::Known)
    }

    /// The partitions of a repartition topic that was given no number.
    fn repartition_width(&self, topic: &TopicRef, application_id: &str, counts: &Counts) -> Width {
        let Some(group) = self.group_of(topic) else {
            return self.upstream_width(std::slice::from_ref(topic), &[], application_id, counts);
        };
        let mut members = self.internal_of(group);
        let own: Vec<_> = members.iter().map(|topic| topic.resolve(application_id)).collect();
        // A topic of a foreign-key join has no say in the width of the table that it is read beside.
        // Otherwise two such topics could wait for each other.
        if members.iter().any(|topic| matches!(topic, TopicRef::Repartition(_))) {
            members.retain(|topic| matches!(topic, TopicRef::Repartition(_)));
        }
        let known = self.input_counts(group, application_id, &counts.known);
        let largest = |is_own: bool| {
            known.iter().filter(|(t, _)| own.contains(t) == is_own).map(|(_, n)| *n).max()
        };
        match largest(false).or_else(|| largest(true)) {
            Some(n) => Width::Known(n),
            None => self.upstream_width(&members, group, application_id, counts),
        }
    }

    /// The widest of those that write to these topics. Who reads the group itself is as wide as the
    /// group will be, and is not asked.
    fn upstream_width(
        &self,
        topics: &[TopicRef],
        group: &[NodeId],
        application_id: &str,
        counts: &Counts,
    ) -> Width {
        let mut widest = None;
        let mut waits = false;
        for sub in topics.iter().flat_map(|topic| self.writers(topic)) {
            if sub.nodes.iter().any(|node| group.contains(node)) {
                continue;
            }
            match self.width(sub, application_id, counts) {
                Width::Open => return Width::Open,
                Width::Waiting => waits = true,
                Width::Known(n) => widest = widest.max(Some(n)),
            }
        }
        if waits && widest.is_none() { Width::Waiting } else { Width::Known(widest.unwrap_or(1)) }
    }

    /// The topics that these nodes read, as far as their counts are known.
    fn input_counts(
        &self,
        nodes: &[NodeId],
        application_id: &str,
        counts: &BTreeMap<Arc<str>, i32>,
    ) -> Vec<(Arc<str>, i32)> {
        let reads = |topic: &str| {
            self.reader_of(application_id, topic).is_some_and(|(_, node)| nodes.contains(&node))
        };
        counts.iter().filter(|(t, _)| reads(t)).map(|(t, n)| (t.clone(), *n)).collect()
    }

    /// The co-partition group in which a topic is read.
    fn group_of(&self, topic: &TopicRef) -> Option<&[NodeId]> {
        let reads = |node: &NodeId| self.named_topics(*node).contains(topic);
        self.copartition_groups().iter().find(|group| group.iter().any(reads)).map(Vec::as_slice)
    }

    /// The internal topics that these nodes read.
    fn internal_of(&self, nodes: &[NodeId]) -> Vec<TopicRef> {
        let topics = nodes.iter().flat_map(|node| self.named_topics(*node));
        topics.filter(|topic| topic.user().is_none()).cloned().collect()
    }

    fn named_topics(&self, node: NodeId) -> &[TopicRef] {
        match &self.node(node).kind {
            NodeKind::Source(SourceTopics::Topics(topics)) => topics,
            _ => &[],
        }
    }

    fn depends_on_a_pattern(&self, topic: &TopicRef) -> bool {
        let is_pattern = |node: &NodeId| {
            matches!(self.node(*node).kind, NodeKind::Source(SourceTopics::Pattern(_)))
        };
        self.writers(topic).any(|sub| sub.nodes.iter().any(is_pattern))
            || self.group_of(topic).is_some_and(|group| group.iter().any(is_pattern))
    }

    /// The sub-topologies that write to a topic.
    fn writers<'a>(&'a self, topic: &'a TopicRef) -> impl Iterator<Item = &'a SubTopology> {
        let writes = move |kind: &NodeKind| matches!(kind, NodeKind::Sink(SinkTopic::Topic(t)) if t == topic);
        self.sub_topologies()
            .iter()
            .filter(move |sub| sub.nodes.iter().any(|id| writes(&self.node(*id).kind)))
    }
}
