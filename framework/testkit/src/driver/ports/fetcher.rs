//! Reading partitions: positions, what was fetched and not taken, and, read committed, what a reader
//! must not see.
//!
//! It knows no group and no task.

use std::collections::{HashSet, VecDeque};

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, TopicName};
use oncestream_broker::{ControlKind, LogRecord, read_batches};
use oncestream_core::TopicPartition;
use oncestream_engine::ClientError;

use super::errors;
use super::link::{Link, text};

/// So much is fetched of a partition at once.
const PARTITION_BYTES: i32 = 1 << 20;

/// One partition that is read.
struct Reading {
    partition: TopicPartition,
    /// The next offset to fetch.
    position: i64,
    is_paused: bool,
    /// Taken by itself, and not with the others in turn.
    is_apart: bool,
    fetched: VecDeque<LogRecord>,
}

/// A reader of partitions.
pub(in super::super) struct Fetcher {
    link: Link,
    read_committed: bool,
    partitions: Vec<Reading>,
    /// What is apart from the next assignment on.
    apart: Vec<TopicPartition>,
    /// Whose turn it is: partitions are read in turn, record by record.
    turn: usize,
}

impl Fetcher {
    pub(in super::super) fn new(link: Link, read_committed: bool) -> Self {
        Self { link, read_committed, partitions: Vec::new(), apart: Vec::new(), turn: 0 }
    }

    /// Reads these partitions and no others. What was fetched before is void.
    pub(in super::super) fn assign(&mut self, positions: &[(TopicPartition, i64)]) {
        let reading = |(partition, position): &(TopicPartition, i64)| Reading {
            partition: partition.clone(),
            position: *position,
            is_paused: false,
            is_apart: self.apart.contains(partition),
            fetched: VecDeque::new(),
        };
        self.partitions = positions.iter().map(reading).collect();
        self.turn = 0;
    }

    /// Stops reading partitions, or reads them again.
    pub(super) fn pause(&mut self, partitions: &[TopicPartition], pause: bool) {
        for reading in &mut self.partitions {
            if partitions.contains(&reading.partition) {
                reading.is_paused = pause;
            }
        }
    }

    /// Takes these partitions apart, and no others, from the next assignment on.
    pub(super) fn take_apart(&mut self, partitions: &[TopicPartition]) {
        self.apart = partitions.to_vec();
    }

    /// The next visible record of one partition, or the offset at which there is none.
    pub(super) fn next_of(
        &mut self,
        partition: &TopicPartition,
    ) -> Result<Result<LogRecord, i64>, ClientError> {
        let Some(at) = self.partitions.iter().position(|r| r.partition == *partition) else {
            return Ok(Err(-1));
        };
        if self.partitions[at].fetched.is_empty() {
            self.fill(Some(at))?;
        }
        let reading = &mut self.partitions[at];
        Ok(reading.fetched.pop_front().ok_or(reading.position))
    }

    /// The next record that is visible, of any partition in turn.
    pub(super) fn next(&mut self) -> Result<Option<(TopicPartition, LogRecord)>, ClientError> {
        let count = self.partitions.len();
        self.fill(None)?;
        for step in 0..count {
            let at = (self.turn + step) % count;
            let reading = &mut self.partitions[at];
            if reading.is_paused || reading.is_apart {
                continue;
            }
            if let Some(record) = reading.fetched.pop_front() {
                self.turn = (at + 1) % count;
                return Ok(Some((reading.partition.clone(), record)));
            }
        }
        Ok(None)
    }

    /// The first visible record of each partition, if it has one.
    pub(in super::super) fn heads(&mut self) -> Result<Vec<Option<&LogRecord>>, ClientError> {
        self.fill(None)?;
        Ok(self.partitions.iter().map(|reading| reading.fetched.front()).collect())
    }

    /// Takes the first visible record of a partition.
    pub(in super::super) fn take(&mut self, at: usize) -> Option<(TopicPartition, LogRecord)> {
        let reading = self.partitions.get_mut(at)?;
        Some((reading.partition.clone(), reading.fetched.pop_front()?))
    }

    /// Fetches what is visible of one partition, or of all that are read in turn and of which nothing is
    /// at hand.
    fn fill(&mut self, only: Option<usize>) -> Result<(), ClientError> {
        loop {
            let is_wanted = |at: &usize| {
                let reading = &self.partitions[*at];
                let is_read = match only {
                    Some(only) => only == *at,
                    None => !reading.is_paused && !reading.is_apart,
                };
                is_read && reading.fetched.is_empty()
            };
            let wanted: Vec<usize> = (0..self.partitions.len()).filter(is_wanted).collect();
            if wanted.is_empty() {
                return Ok(());
            }
            let topics = wanted.iter().map(|at| wish(&self.partitions[*at])).collect();
            let request = FetchRequest::default()
                .with_max_bytes(i32::MAX)
                .with_isolation_level(i8::from(self.read_committed))
                .with_topics(topics);
            let answer = self.link.call(request)?;
            let told = answer.responses.iter().flat_map(|topic| &topic.partitions);
            let mut moved = false;
            for (at, data) in wanted.into_iter().zip(told) {
                errors::check(data.error_code)?;
                moved |= self.partitions[at].take_in(data, self.read_committed);
            }
            // A batch of nothing visible: what lies behind it may be.
            if !moved {
                return Ok(());
            }
        }
    }
}

fn wish(reading: &Reading) -> FetchTopic {
    let wish = FetchPartition::default()
        .with_partition(reading.partition.partition)
        .with_current_leader_epoch(-1)
        .with_fetch_offset(reading.position)
        .with_partition_max_bytes(PARTITION_BYTES);
    FetchTopic::default()
        .with_topic(TopicName(text(&reading.partition.topic)))
        .with_partitions(vec![wish])
}

impl Reading {
    /// Takes in what was fetched. True if the position moved and nothing was visible.
    fn take_in(&mut self, data: &PartitionData, read_committed: bool) -> bool {
        let Some(bytes) = &data.records else { return false };
        let read = read_batches(bytes);
        let aborted = data.aborted_transactions.iter().flatten();
        let mut aborted: Vec<(i64, i64)> =
            aborted.map(|a| (a.first_offset, a.producer_id.0)).collect();
        aborted.sort_unstable_by(|one, other| other.cmp(one));
        let mut void = HashSet::new();
        for record in read.records {
            while let Some((_, producer)) = aborted.pop_if(|(first, _)| *first <= record.offset) {
                void.insert(producer);
            }
            let producer = record.producer.map(|(id, _)| id);
            if let Some(control) = record.control {
                if let (ControlKind::Abort, Some(id)) = (control, producer) {
                    void.remove(&id);
                }
                continue;
            }
            let is_void = record.transactional && producer.is_some_and(|id| void.contains(&id));
            // A batch may begin before the position.
            if record.offset >= self.position && !(read_committed && is_void) {
                self.fetched.push_back(record);
            }
        }
        let before = self.position;
        self.position = read.next_offset.unwrap_or(before).max(before);
        self.fetched.is_empty() && self.position > before
    }
}
