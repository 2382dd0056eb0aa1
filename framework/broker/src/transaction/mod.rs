//! The transaction coordinator: transactional ids, producer ids and epochs, and what belongs to
//! each transaction.
//!
//! Decides and remembers; it writes no markers itself. A transaction that is to end is listed by
//! [`Transactions::take_due`]; the cluster writes its markers and calls [`Transactions::complete`].
//! Follows `TransactionCoordinator` and `TransactionMetadata` of Kafka 4.3.1, with the first
//! generation of transactions: clients add partitions, and a commit does not bump the epoch.

mod begin;
mod end;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;

/// Where a transactional id is. The names are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionState {
    /// Nothing was added yet.
    Empty,
    /// Partitions or offsets were added.
    Ongoing,
    /// A commit was decided; markers are being written.
    PrepareCommit,
    /// An abort was decided; markers are being written.
    PrepareAbort,
    /// The last transaction was committed.
    CompleteCommit,
    /// The last transaction was aborted.
    CompleteAbort,
}

impl TransactionState {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    fn is_ending(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }
}

/// A producer id with its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// One transactional id.
#[derive(Debug, Clone)]
struct Transaction {
    producer: Producer,
    /// The epoch before a bump its own producer asked for: a repeated request is known by it.
    last_epoch: i16,
    /// The producer id before the epochs of this one ran out.
    previous_producer_id: i64,
    timeout: Duration,
    state: TransactionState,
    partitions: BTreeSet<(String, i32)>,
    groups: BTreeSet<String>,
    started: Option<(Instant, i64)>,
    /// When the markers are to be written.
    markers_due: Option<Instant>,
}

/// A transaction as it is, for assertions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionView {
    /// The `transactional.id`.
    pub transactional_id: String,
    /// Its producer id.
    pub producer_id: i64,
    /// The epoch that may write. All older ones are fenced.
    pub producer_epoch: i16,
    /// Where it is.
    pub state: TransactionState,
    /// `transaction.timeout.ms` as the producer gave it.
    pub timeout_ms: i64,
    /// When the open transaction began, in milliseconds since 1970; -1 if none is open.
    pub started_ms: i64,
    /// The partitions in the transaction: topic and partition.
    pub partitions: Vec<(String, i32)>,
    /// The groups with offsets in the transaction.
    pub groups: Vec<String>,
}

/// A transaction whose markers are to be written.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) transactional_id: String,
    pub(crate) producer: Producer,
    pub(crate) commit: bool,
    pub(crate) partitions: BTreeSet<(String, i32)>,
    pub(crate) groups: BTreeSet<String>,
}

/// All transactional ids of the cluster.
#[derive(Debug)]
pub(crate) struct Transactions {
    by_id: BTreeMap<String, Transaction>,
    next_producer_id: i64,
    max_timeout: Duration,
    /// How long after the decision the markers are written.
    marker_delay: Duration,
    /// A fault: markers are held back.
    hold_markers: bool,
}

impl Transactions {
    pub(crate) fn new(max_timeout: Duration, marker_delay: Duration) -> Self {
        Self {
            by_id: BTreeMap::new(),
            next_producer_id: 1000,
            max_timeout,
            marker_delay,
            hold_markers: false,
        }
    }

    fn new_producer(&mut self) -> Producer {
        self.next_producer_id += 1;
        Producer { id: self.next_producer_id, epoch: 0 }
    }

    pub(crate) fn set_hold_markers(&mut self, hold: bool) {
        self.hold_markers = hold;
    }

    /// May this producer write to the partition in its transaction? The check of KIP-890 that
    /// partition leaders ask for. Answers the coordinator's codes.
    pub(crate) fn verify(
        &self,
        transactional_id: &str,
        producer: Producer,
        topic: &str,
        partition: i32,
    ) -> Result<(), ResponseError> {
        let transaction =
            self.by_id.get(transactional_id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        transaction.check(producer)?;
        if transaction.state.is_ending() {
            return Err(ResponseError::ConcurrentTransactions);
        }
        let added = transaction.partitions.iter().any(|(t, p)| *p == partition && t == topic);
        if added { Ok(()) } else { Err(ResponseError::TransactionAbortable) }
    }

    pub(crate) fn views(&self) -> Vec<TransactionView> {
        self.by_id.iter().map(|(id, transaction)| transaction.view(id)).collect()
    }

    pub(crate) fn view(&self, transactional_id: &str) -> Option<TransactionView> {
        self.by_id.get(transactional_id).map(|transaction| transaction.view(transactional_id))
    }

    /// A topic was deleted: nothing of it can be committed any more.
    pub(crate) fn forget_topic(&mut self, topic: &str) {
        for transaction in self.by_id.values_mut() {
            transaction.partitions.retain(|(t, _)| t != topic);
        }
    }
}

impl Transaction {
    fn new(producer: Producer, timeout: Duration) -> Self {
        Self {
            producer,
            last_epoch: -1,
            previous_producer_id: -1,
            timeout,
            state: TransactionState::Empty,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
            started: None,
            markers_due: None,
        }
    }

    fn check(&self, producer: Producer) -> Result<(), ResponseError> {
        if self.producer.id != producer.id {
            Err(ResponseError::InvalidProducerIdMapping)
        } else if self.producer.epoch != producer.epoch {
            Err(ResponseError::ProducerFenced)
        } else {
            Ok(())
        }
    }

    fn view(&self, transactional_id: &str) -> TransactionView {
        TransactionView {
            transactional_id: transactional_id.to_owned(),
            producer_id: self.producer.id,
            producer_epoch: self.producer.epoch,
            state: self.state,
            timeout_ms: self.timeout.as_millis() as i64,
            started_ms: self.started.map_or(-1, |(_, ms)| ms),
            partitions: self.partitions.iter().cloned().collect(),
            groups: self.groups.iter().cloned().collect(),
        }
    }
}
