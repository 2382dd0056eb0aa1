//! What requests and answers carried, of the kinds that delivery semantics are about.
//!
//! Looks at decoded messages only; it changes nothing and decides nothing.

use kafka_protocol::messages::{RequestKind, ResponseKind};

use crate::log::PartitionLog;

/// A batch of records in a produce request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchSent {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Id and epoch of the producer, if it is idempotent.
    pub producer: Option<(i64, i16)>,
    /// The sequence number of its first record, or -1.
    pub base_sequence: i32,
    /// How many records it has.
    pub records: i32,
    /// Written inside a transaction.
    pub transactional: bool,
}

/// What a request carried beside the names in its [`RequestRecord`](crate::RequestRecord).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestBody {
    /// Of `Produce`.
    Produce {
        /// The acknowledgements that the producer waits for: 0, 1, or -1 for all.
        acks: i16,
        /// Its batches, but for those that have no header that can be read.
        batches: Vec<BatchSent>,
    },
    /// Of `Fetch`.
    Fetch {
        /// Topic, partition and offset of each partition it asks for.
        positions: Vec<(String, i32, i64)>,
        /// Only committed records are wanted.
        read_committed: bool,
    },
    /// Of `OffsetCommit` and `TxnOffsetCommit`.
    Offsets {
        /// Topic, partition and offset.
        offsets: Vec<(String, i32, i64)>,
        /// Id and epoch of the producer in whose transaction they are.
        producer: Option<(i64, i16)>,
    },
    /// Of `AddPartitionsToTxn` and `AddOffsetsToTxn`.
    Add {
        /// Id and epoch of the producer.
        producer: (i64, i16),
        /// Topics and partitions; none for offsets.
        partitions: Vec<(String, i32)>,
    },
    /// Of `EndTxn`.
    End {
        /// Id and epoch of the producer.
        producer: (i64, i16),
        /// True for a commit, false for an abort.
        commit: bool,
    },
    /// Of any other.
    Other,
}

/// What an answer to `Fetch` carried of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Bytes of records.
    pub bytes: usize,
    /// The last stable offset that the answer told.
    pub last_stable_offset: i64,
    /// The high watermark that the answer told.
    pub high_watermark: i64,
    /// Aborted transactions whose records a reader of committed data has to skip: the producer's id and
    /// the first offset.
    pub aborted: Vec<(i64, i64)>,
}

/// What an answer carried beside the error code in its [`RequestRecord`](crate::RequestRecord).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerBody {
    /// To `Produce`: topic, partition and the offset of the first record; -1 where it was refused.
    Produce(Vec<(String, i32, i64)>),
    /// To `Fetch`: each partition with any records.
    Fetch(Vec<Fetched>),
    /// To `InitProducerId`: the producer's id and epoch.
    Producer(i64, i16),
    /// To any other, or there was none.
    Other,
}

pub(super) fn body_of(request: &RequestKind) -> RequestBody {
    use RequestKind as Q;
    match request {
        Q::Produce(r) => {
            let batches = r.topic_data.iter().flat_map(|topic| {
                topic.partition_data.iter().filter_map(|data| {
                    let info = PartitionLog::inspect(data.records.as_ref()?).ok()?;
                    Some(BatchSent {
                        topic: topic.name.to_string(),
                        partition: data.index,
                        producer: producer(info.producer_id, info.producer_epoch),
                        base_sequence: info.base_sequence,
                        records: info.record_count,
                        transactional: info.transactional,
                    })
                })
            });
            RequestBody::Produce { acks: r.acks, batches: batches.collect() }
        }
        Q::Fetch(r) => {
            let positions = r.topics.iter().flat_map(|topic| {
                let name = &topic.topic;
                topic.partitions.iter().map(|p| (name.to_string(), p.partition, p.fetch_offset))
            });
            let read_committed = r.isolation_level == 1;
            RequestBody::Fetch { positions: positions.collect(), read_committed }
        }
        Q::OffsetCommit(r) => {
            let offsets = r.topics.iter().flat_map(|topic| {
                let name = &topic.name;
                let partitions = topic.partitions.iter();
                partitions.map(|p| (name.to_string(), p.partition_index, p.committed_offset))
            });
            RequestBody::Offsets { offsets: offsets.collect(), producer: None }
        }
        Q::TxnOffsetCommit(r) => {
            let offsets = r.topics.iter().flat_map(|topic| {
                let name = &topic.name;
                let partitions = topic.partitions.iter();
                partitions.map(|p| (name.to_string(), p.partition_index, p.committed_offset))
            });
            let producer = producer(r.producer_id.0, r.producer_epoch);
            RequestBody::Offsets { offsets: offsets.collect(), producer }
        }
        Q::AddPartitionsToTxn(r) => {
            let partitions = r.v3_and_below_topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|partition| (topic.name.to_string(), *partition))
            });
            let producer = (r.v3_and_below_producer_id.0, r.v3_and_below_producer_epoch);
            RequestBody::Add { producer, partitions: partitions.collect() }
        }
        Q::AddOffsetsToTxn(r) => {
            let producer = (r.producer_id.0, r.producer_epoch);
            RequestBody::Add { producer, partitions: Vec::new() }
        }
        Q::EndTxn(r) => {
            RequestBody::End { producer: (r.producer_id.0, r.producer_epoch), commit: r.committed }
        }
        _ => RequestBody::Other,
    }
}

pub(super) fn body_of_answer(answer: &ResponseKind) -> AnswerBody {
    match answer {
        ResponseKind::Produce(r) => {
            let offsets = r.responses.iter().flat_map(|topic| {
                let partitions = topic.partition_responses.iter();
                partitions.map(|p| (topic.name.to_string(), p.index, p.base_offset))
            });
            AnswerBody::Produce(offsets.collect())
        }
        ResponseKind::Fetch(r) => {
            let records = r.responses.iter().flat_map(|topic| {
                topic.partitions.iter().map(|p| Fetched {
                    topic: topic.topic.to_string(),
                    partition: p.partition_index,
                    bytes: p.records.as_ref().map_or(0, bytes::Bytes::len),
                    last_stable_offset: p.last_stable_offset,
                    high_watermark: p.high_watermark,
                    aborted: {
                        let all = p.aborted_transactions.iter().flatten();
                        all.map(|aborted| (aborted.producer_id.0, aborted.first_offset)).collect()
                    },
                })
            });
            AnswerBody::Fetch(records.filter(|fetched| fetched.bytes > 0).collect())
        }
        ResponseKind::InitProducerId(r) if r.error_code == 0 => {
            AnswerBody::Producer(r.producer_id.0, r.producer_epoch)
        }
        _ => AnswerBody::Other,
    }
}

fn producer(id: i64, epoch: i16) -> Option<(i64, i16)> {
    (id >= 0).then_some((id, epoch))
}
