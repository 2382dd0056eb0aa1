//! Kafka in memory: partitions with transaction markers, one transactional producer, offsets.
//!
//! It knows nothing of tasks and types. As in Kafka:
//! - Records of a transaction take their offsets when they are sent. A marker at the end of each
//!   partition touched settles them, and takes an offset of its own.
//! - A reader of committed records stops at the first record of the open transaction, and skips
//!   markers and aborted records.
//! - Offsets sent into a transaction count from its commit on.
//! - Records that are sent outside any transaction are visible at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use oncestream_core::partitioner::partition_for_key;
use oncestream_core::task::{Outgoing, Position};
use oncestream_core::{Headers, TimestampMs, TopicPartition};

use super::DriverError;

/// A record as it lies in a topic, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
    /// The key; `None` is null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is null.
    pub value: Option<Vec<u8>>,
    /// Event time.
    pub timestamp: TimestampMs,
    /// Headers.
    pub headers: Headers,
    /// The order of arrival over all partitions.
    pub(super) sequence: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Committed,
    Aborted,
}

enum Entry {
    Record(Fate, StoredRecord),
    Marker,
}

#[derive(Default)]
struct Topic {
    partitions: Vec<Vec<Entry>>,
    /// Records without a key go to the partitions in turn.
    next_keyless: usize,
}

#[derive(Default)]
struct Transaction {
    records: Vec<(Arc<str>, i32, i64)>,
    offsets: Vec<Position>,
}

/// The offset to go on from, and the metadata that was committed with it.
type Committed = (i64, String);

pub(super) struct Broker {
    topics: BTreeMap<Arc<str>, Topic>,
    default_partitions: i32,
    committed: BTreeMap<TopicPartition, Committed>,
    open: Option<Transaction>,
    sequence: u64,
}

impl Broker {
    pub(super) fn new(default_partitions: i32) -> Self {
        Self {
            topics: BTreeMap::new(),
            default_partitions,
            committed: BTreeMap::new(),
            open: None,
            sequence: 0,
        }
    }

    pub(super) fn create_topic(&mut self, name: &str, partitions: i32) {
        let topic = self.topics.entry(name.into()).or_default();
        if topic.partitions.is_empty() {
            topic.partitions.resize_with(partitions.max(1) as usize, Vec::new);
        }
    }

    /// The number of partitions; the topic is made if it is not there.
    pub(super) fn partition_count(&mut self, topic: &str) -> i32 {
        if !self.topics.contains_key(topic) {
            self.create_topic(topic, self.default_partitions);
        }
        self.topics[topic].partitions.len() as i32
    }

    /// The names of all topics.
    pub(super) fn topic_names(&self) -> Vec<Arc<str>> {
        self.topics.keys().cloned().collect()
    }

    /// Appends a record and gives its offset. With `in_transaction` it is part of the open one.
    pub(super) fn append(
        &mut self,
        record: &Outgoing<'_>,
        in_transaction: bool,
    ) -> Result<i64, DriverError> {
        let count = self.partition_count(record.topic);
        let Some((name, _)) = self.topics.get_key_value(record.topic) else { return Ok(-1) };
        let name = name.clone();
        let Some(topic) = self.topics.get_mut(record.topic) else { return Ok(-1) };
        let partition = match (record.partition, record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_for_key(key, count),
            (None, None) => {
                topic.next_keyless += 1;
                (topic.next_keyless - 1) as i32 % count
            }
        };
        let Some(log) = topic.partitions.get_mut(partition as usize) else {
            let topic = record.topic.to_owned();
            return Err(DriverError::NoPartition { topic, partition, partitions: count });
        };
        let offset = log.len() as i64;
        self.sequence += 1;
        let stored = StoredRecord {
            partition,
            offset,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            timestamp: record.timestamp,
            headers: record.headers.clone(),
            sequence: self.sequence,
        };
        let mut fate = Fate::Committed;
        if in_transaction {
            let open = self.open.get_or_insert_default();
            open.records.push((name, partition, offset));
            fate = Fate::Open;
        }
        log.push(Entry::Record(fate, stored));
        Ok(offset)
    }

    pub(super) fn begin(&mut self) {
        self.open = Some(Transaction::default());
    }

    /// Sends positions: into the open transaction, or to the group at once.
    pub(super) fn send_offsets(&mut self, positions: Vec<Position>, in_transaction: bool) {
        match &mut self.open {
            Some(open) if in_transaction => open.offsets.extend(positions),
            _ => self.commit_offsets(positions),
        }
    }

    fn commit_offsets(&mut self, positions: Vec<Position>) {
        for position in positions {
            let committed = (position.offset, position.metadata.encode());
            self.committed.insert(position.partition, committed);
        }
    }

    pub(super) fn commit(&mut self) {
        if let Some(open) = self.open.take() {
            self.settle(&open.records, Fate::Committed);
            self.commit_offsets(open.offsets);
        }
    }

    /// What a new producer with the same transactional id does to the old one's transaction.
    pub(super) fn abort(&mut self) {
        if let Some(open) = self.open.take() {
            self.settle(&open.records, Fate::Aborted);
        }
    }

    fn settle(&mut self, records: &[(Arc<str>, i32, i64)], fate: Fate) {
        let mut touched: Vec<(Arc<str>, i32)> = Vec::new();
        for (topic, partition, offset) in records {
            let log = self.topics.get_mut(topic).map(|t| &mut t.partitions[*partition as usize]);
            if let Some(Entry::Record(of, _)) = log.and_then(|log| log.get_mut(*offset as usize)) {
                *of = fate;
            }
            touched.push((topic.clone(), *partition));
        }
        touched.sort();
        touched.dedup();
        for (topic, partition) in touched {
            if let Some(topic) = self.topics.get_mut(&topic) {
                topic.partitions[partition as usize].push(Entry::Marker);
            }
        }
    }

    /// The first committed record at or after an offset.
    pub(super) fn next_committed(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
    ) -> Option<&StoredRecord> {
        let log = self.topics.get(topic)?.partitions.get(partition as usize)?;
        let first = usize::try_from(from).unwrap_or(0);
        for entry in log.get(first..)? {
            match entry {
                Entry::Record(Fate::Committed, record) => return Some(record),
                Entry::Record(Fate::Open, _) => return None,
                Entry::Record(Fate::Aborted, _) | Entry::Marker => {}
            }
        }
        None
    }

    /// Every committed record of a topic, in the order of arrival.
    pub(super) fn all_committed(&self, topic: &str) -> Vec<StoredRecord> {
        let mut all = Vec::new();
        let partitions = self.topics.get(topic).map_or(0, |t| t.partitions.len() as i32);
        for partition in 0..partitions {
            let mut from = 0;
            while let Some(record) = self.next_committed(topic, partition, from) {
                from = record.offset + 1;
                all.push(record.clone());
            }
        }
        all.sort_by_key(|r| r.sequence);
        all
    }

    /// The offset after everything in a partition, markers and open records included.
    pub(super) fn end_offset(&self, topic: &str, partition: i32) -> i64 {
        let log = self.topics.get(topic).and_then(|t| t.partitions.get(partition as usize));
        log.map_or(0, |log| log.len() as i64)
    }

    pub(super) fn committed_offset(&self, partition: &TopicPartition) -> Option<&Committed> {
        self.committed.get(partition)
    }
}
