//! The offsets of one group: committed ones, and those that wait for their transaction's marker.
//!
//! Owns which commit wins: the one that was made last, by a counter that stands for the position
//! in Kafka's log. Does not know members or generations.
//! Invariant: a pending offset is visible to nobody before the marker of its producer.

use std::collections::BTreeMap;

use super::request::OffsetToCommit;
use super::view::CommittedOffset;

type TopicPartition = (String, i32);

#[derive(Debug, Clone)]
struct Stored {
    committed: CommittedOffset,
    position: u64,
}

/// Committed and pending offsets.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    committed: BTreeMap<TopicPartition, Stored>,
    /// By producer id. A later epoch of a producer writes over what an earlier one left.
    pending: BTreeMap<i64, BTreeMap<TopicPartition, Stored>>,
    position: u64,
}

impl Offsets {
    /// Stores an offset: at once, or pending for a producer's transaction.
    pub(super) fn store(&mut self, offset: OffsetToCommit, producer_id: Option<i64>) {
        self.position += 1;
        let committed = CommittedOffset {
            offset: offset.offset,
            leader_epoch: offset.leader_epoch,
            metadata: Some(offset.metadata.unwrap_or_default()),
        };
        let partitions = match producer_id {
            None => &mut self.committed,
            Some(producer_id) => self.pending.entry(producer_id).or_default(),
        };
        let stored = Stored { committed, position: self.position };
        partitions.insert((offset.topic, offset.partition), stored);
    }

    /// The marker of a producer's transaction: its pending offsets become visible, unless a plain
    /// commit was made after them, or go.
    pub(super) fn end_transaction(&mut self, producer_id: i64, commit: bool) {
        let pending = self.pending.remove(&producer_id).unwrap_or_default();
        if !commit {
            return;
        }
        for (partition, stored) in pending {
            let existing = self.committed.get(&partition);
            if existing.is_none_or(|existing| existing.position < stored.position) {
                self.committed.insert(partition, stored);
            }
        }
    }

    /// The visible offset of a partition.
    pub(super) fn get(&self, partition: &TopicPartition) -> Option<&CommittedOffset> {
        self.committed.get(partition).map(|stored| &stored.committed)
    }

    /// True if some transaction has yet to decide on the partition's offset.
    pub(super) fn is_unstable(&self, partition: &TopicPartition) -> bool {
        self.pending.values().any(|partitions| partitions.contains_key(partition))
    }

    /// All visible offsets, by topic and partition.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &CommittedOffset)> {
        self.committed.iter().map(|(partition, stored)| (partition, &stored.committed))
    }

    /// All pending offsets: producer id, topic and partition, offset.
    pub(super) fn iter_pending(&self) -> impl Iterator<Item = (i64, &TopicPartition, i64)> {
        self.pending.iter().flat_map(|(producer_id, partitions)| {
            let offset = |(partition, stored): (_, &Stored)| {
                (*producer_id, partition, stored.committed.offset)
            };
            partitions.iter().map(offset)
        })
    }

    /// Drops the offsets of the partitions that `gone` names, pending ones included.
    pub(super) fn remove(&mut self, gone: impl Fn(&TopicPartition) -> bool) {
        self.committed.retain(|partition, _| !gone(partition));
        for partitions in self.pending.values_mut() {
            partitions.retain(|partition, _| !gone(partition));
        }
        self.pending.retain(|_, partitions| !partitions.is_empty());
    }

    /// True if there is neither a committed nor a pending offset.
    pub(super) fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }
}
