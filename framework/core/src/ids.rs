//! Names for things: tasks and their parts. Newtypes, so that a partition is never an index.

use std::fmt;

/// Index of a sub-topology, counted from 0 in the order of its first node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubTopologyId(pub usize);

/// One unit of work: a sub-topology over one partition of each of its source topics.
///
/// Prints as in Kafka Streams: `0_3` is partition 3 of sub-topology 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The sub-topology.
    pub sub_topology: SubTopologyId,
    /// The partition of every source topic of it.
    pub partition: i32,
}

impl TaskId {
    /// Task `sub_topology`_`partition`.
    pub const fn new(sub_topology: usize, partition: i32) -> Self {
        Self { sub_topology: SubTopologyId(sub_topology), partition }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.sub_topology.0, self.partition)
    }
}

/// A topic and partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: std::sync::Arc<str>,
    /// The partition.
    pub partition: i32,
}

impl TopicPartition {
    /// `topic`-`partition`.
    pub fn new(topic: impl Into<std::sync::Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
