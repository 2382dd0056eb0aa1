//! The port on the cluster, for what needs no membership: topics, ends of partitions, members of a group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use oncestream_core::TopicPartition;
use oncestream_core::graph::InternalTopics;
use oncestream_core::state::Incarnation;

use crate::client_error::ClientError;
use crate::error::StreamsError;

/// Topics of the cluster, with their partitions.
pub type Topics = BTreeMap<Arc<str>, i32>;

/// A group as its coordinator sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Every member has its assignment of this generation, or is about to get it.
    pub is_stable: bool,
    /// All members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMember {
    /// What the coordinator named it.
    pub id: String,
    /// What it named itself.
    pub client_id: String,
    /// Where it is.
    pub host: String,
    /// What it is assigned; nothing unless the group is stable.
    pub assignment: Vec<TopicPartition>,
}

/// The cluster, asked by an instance.
pub trait Cluster {
    /// Every topic with its number of partitions.
    ///
    /// # Errors
    /// No broker answers, or none lets us in.
    fn topics(&self) -> Result<Topics, StreamsError>;

    /// The first offset and the high watermark of a partition.
    ///
    /// # Errors
    /// The leader does not answer.
    fn watermarks(&self, partition: &TopicPartition) -> Result<(i64, i64), ClientError>;

    /// The bounds of many partitions: a glance that waits for no leader that is away.
    fn bounds(&self, partitions: &[TopicPartition]) -> Vec<Option<(i64, i64)>>;

    /// `delete.retention.ms` of an internal topic.
    fn delete_retention_ms(&self, topic: &str) -> i64;

    /// Which topics these are now: their ids, and the cluster's.
    ///
    /// # Errors
    /// An error comes with the topic that it is about.
    fn incarnations(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Incarnation>, (Arc<str>, ClientError)>;

    /// Asks for a group, and does not wait: the answer comes later, or never, and then the sender is
    /// dropped.
    fn ask_for_group(&self, group: &str) -> Receiver<Group>;

    /// Creates the internal topics that are missing, and checks those that are there.
    ///
    /// # Errors
    /// A topic cannot be made, or one that is there cannot be used.
    fn ensure(&self, topics: &InternalTopics) -> Result<(), StreamsError>;

    /// An error that names the right, if a missing one is why a topic is not seen.
    ///
    /// # Errors
    /// That error.
    fn check_visible(&self, topic: &str, operation: &'static str) -> Result<(), StreamsError>;

    /// Deletes the records of partitions before these offsets, some time. What cannot be deleted is
    /// deleted the next time.
    fn purge(&self, before: Vec<(TopicPartition, i64)>);

    /// The first of these topics that this user may not read. A consumer's error does not tell it,
    /// so each is tried by itself.
    fn unreadable(&self, worker: usize, topics: Vec<String>) -> Option<String>;
}
