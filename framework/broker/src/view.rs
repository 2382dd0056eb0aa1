//! What a test may look at: the cluster as it is at one moment.

use crate::cluster::Cluster;
use crate::group::GroupView;
use crate::log::ProducerView;
use crate::transaction::TransactionView;

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeView {
    /// Its number, counted from 1.
    pub id: i32,
    /// Its address, `host:port`.
    pub address: String,
    /// Does it answer?
    pub up: bool,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionView {
    /// Its topic.
    pub topic: String,
    /// Its number, counted from 0.
    pub partition: i32,
    /// The node that answers for it.
    pub leader: i32,
    /// Raised with every new leader.
    pub leader_epoch: i32,
    /// The first offset that can be read.
    pub start_offset: i64,
    /// Everything below is open to `read_committed`.
    pub last_stable_offset: i64,
    /// The offset of the next record.
    pub high_watermark: i64,
    /// The bytes of its batches.
    pub size_bytes: u64,
    /// The idempotent producers that wrote to it.
    pub producers: Vec<ProducerView>,
}

/// The cluster at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterView {
    /// All nodes.
    pub nodes: Vec<NodeView>,
    /// All partitions, by topic and number.
    pub partitions: Vec<PartitionView>,
    /// All groups, with their offsets.
    pub groups: Vec<GroupView>,
    /// All transactional ids.
    pub transactions: Vec<TransactionView>,
}

impl ClusterView {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let nodes = cluster.nodes.iter().map(|node| NodeView {
            id: node.id,
            address: format!("{}:{}", node.host, node.port),
            up: node.up,
        });
        let partitions = cluster.topics.iter().flat_map(|(name, topic)| {
            topic.partitions.iter().enumerate().map(move |(index, partition)| PartitionView {
                topic: name.to_owned(),
                partition: index as i32,
                leader: partition.leader,
                leader_epoch: partition.log.leader_epoch(),
                start_offset: partition.log.start_offset(),
                last_stable_offset: partition.log.last_stable_offset(),
                high_watermark: partition.log.high_watermark(),
                size_bytes: partition.log.size_bytes(),
                producers: partition.log.producers(),
            })
        });
        Self {
            nodes: nodes.collect(),
            partitions: partitions.collect(),
            groups: cluster.groups.list(),
            transactions: cluster.transactions.views(),
        }
    }

    /// A partition, if it exists.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionView> {
        self.partitions.iter().find(|p| p.partition == partition && p.topic == topic)
    }

    /// A group, if it exists.
    pub fn group(&self, group: &str) -> Option<&GroupView> {
        self.groups.iter().find(|g| g.group_id == group)
    }

    /// A transactional id, if it was ever initialised.
    pub fn transaction(&self, transactional_id: &str) -> Option<&TransactionView> {
        self.transactions.iter().find(|t| t.transactional_id == transactional_id)
    }
}
