//! The producer of a worker: each record is a batch of its own, and what became of it is known at
//! once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName, TransactionalId};
use oncestream_broker::{BatchProducer, NewRecord, write_batch};
use oncestream_core::commit::CommitPermit;
use oncestream_core::error::{BoxError, Unproducible};
use oncestream_core::partitioner::partition_for_key;
use oncestream_core::task::{ChangelogId, Collector, Origin, Outgoing, Position, RecordRefused};
use oncestream_engine::ports::{DeliveryFailure, WorkerProducer};
use oncestream_engine::{ClientError, ErrorKind};

use super::super::crash::CommitStep;
use super::super::{DriverError, Sabotage};
use super::errors;
use super::link::{Link, text};
use super::offsets::{self, Generation};
use super::refusals::Refusals;
use super::site::{Phase, Site};
use super::transaction::Transaction;

/// How long a report is waited for that may come from outside the driver: really, and by its clock.
const REPORT: Duration = Duration::from_micros(100);

/// What became of the records since the last commit or abort.
#[derive(Default)]
struct Deliveries {
    failure: Option<DeliveryFailure>,
    /// The offset after the last acknowledged row of each changelog.
    changelogs: HashMap<ChangelogId, i64>,
}

/// A producer, transactional under exactly once.
pub(in super::super) struct LocalProducer {
    link: Link,
    transaction: RefCell<Transaction>,
    /// The next sequence number of each partition.
    sequences: HashMap<(String, i32), i32>,
    /// Records without a key go to the partitions in turn.
    keyless: HashMap<String, i32>,
    deliveries: RefCell<Deliveries>,
    refusals: Refusals,
    first_sent: Option<Instant>,
    sent: u64,
}

impl LocalProducer {
    pub(super) fn new(link: Link, transactional_id: Option<&str>, timeout: Duration) -> Self {
        let transaction = Transaction::new(link.clone(), transactional_id, timeout);
        Self {
            link,
            transaction: RefCell::new(transaction),
            sequences: HashMap::new(),
            keyless: HashMap::new(),
            deliveries: RefCell::default(),
            refusals: Refusals::default(),
            first_sent: None,
            sent: 0,
        }
    }

    fn site(&self) -> &Arc<Site> {
        &self.link.site
    }

    fn partition(&mut self, record: &Outgoing<'_>, count: i32) -> i32 {
        match (record.partition, record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_for_key(key, count),
            (None, None) => {
                let next = self.keyless.entry(record.topic.to_owned()).or_default();
                *next += 1;
                (*next - 1) % count
            }
        }
    }

    /// Sends a record and takes note of its acknowledgement.
    fn deliver(&mut self, record: &Outgoing<'_>, partition: i32) -> Result<(), ClientError> {
        let step = match record.origin {
            Origin::Changelog(_) => CommitStep::BeforeChangelog,
            Origin::Sink | Origin::DeadLetter => CommitStep::BeforeSend,
        };
        self.site().pass(step)?;
        let (identity, transactional_id) = {
            let mut transaction = self.transaction.borrow_mut();
            transaction.add_partition(record.topic, partition)?;
            (transaction.identify()?, transaction.transactional_id().map(str::to_owned))
        };
        let sequence = self.sequences.entry((record.topic.to_owned(), partition)).or_default();
        let headers: Vec<_> =
            record.headers.iter().map(|h| (h.key.as_str(), h.value.as_deref())).collect();
        let sent = NewRecord {
            timestamp_ms: time_of(record),
            key: record.key,
            value: record.value,
            headers: &headers,
        };
        let by = BatchProducer {
            id: identity.id,
            epoch: identity.epoch,
            sequence: *sequence,
            transactional: transactional_id.is_some(),
        };
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(write_batch(&[sent], Some(by))));
        let topic = TopicProduceData::default()
            .with_name(TopicName(text(record.topic)))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(transactional_id.map(|id| TransactionalId(text(&id))))
            .with_acks(-1)
            .with_topic_data(vec![topic]);
        let answer = self.link.call(request)?;
        let told = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let told = told.ok_or_else(errors::no_answer)?;
        errors::check(told.error_code)?;
        *sequence = sequence.checked_add(1).unwrap_or(0);
        self.site().world.arrived(record.topic, partition, told.base_offset);
        if let Origin::Changelog(id) = record.origin {
            self.deliveries.borrow_mut().changelogs.insert(id, told.base_offset + 1);
        }
        Ok(())
    }

    /// What a delivery that failed means: the transaction is lost, and the worker learns it later.
    fn failed(&mut self, record: &Outgoing<'_>, partition: i32, error: ClientError) {
        let is_refusal = record.origin == Origin::Sink && error.kind() == ErrorKind::Record;
        if is_refusal {
            self.refusals.refused(record, &error);
        }
        self.deliveries.borrow_mut().failure.get_or_insert(DeliveryFailure {
            topic: record.topic.to_owned(),
            partition,
            timestamp: -1,
            error,
            is_refusal,
        });
    }
}

/// The time a record is sent with: a row or a letter without one has the first of all.
fn time_of(record: &Outgoing<'_>) -> i64 {
    match record.origin {
        Origin::Sink => record.timestamp,
        Origin::Changelog(_) | Origin::DeadLetter => record.timestamp.max(0),
    }
}

impl Collector for LocalProducer {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), BoxError> {
        if record.origin == Origin::Sink && record.timestamp < 0 {
            let (topic, timestamp) = (record.topic.to_owned(), record.timestamp);
            let refused = Unproducible::Timestamp { topic, timestamp };
            return Err(Box::new(RecordRefused::new(refused)));
        }
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        let max = self.site().world.options.message_max_bytes;
        if bytes > max {
            return Err(Box::new(RecordRefused::new(DriverError::TooLarge { bytes, max })));
        }
        if let Some(error) = self.refusals.known(record) {
            return Err(Box::new(RecordRefused::new(error)));
        }
        let count = self.site().world.partitions_to_write(record.topic)?;
        let partition = self.partition(record, count);
        if !(0..count).contains(&partition) {
            let topic = record.topic.to_owned();
            let missing = DriverError::NoPartition { topic, partition, partitions: count };
            return Err(Box::new(RecordRefused::new(missing)));
        }
        if self.first_sent.is_none() {
            self.first_sent = Some(self.site().now());
        }
        self.sent += 1;
        match self.deliver(record, partition) {
            Ok(()) => Ok(()),
            Err(error) if self.site().is_dead() => Err(Box::new(error)),
            Err(error) => {
                self.failed(record, partition, error);
                Ok(())
            }
        }
    }

    fn partition_count(&mut self, topic: &str) -> Result<i32, BoxError> {
        Ok(self.site().world.partitions_to_write(topic)?)
    }
}

impl WorkerProducer for LocalProducer {
    type Generation = Arc<Generation>;
    type Lessons = Refusals;

    fn init(&self, timeout: Duration) -> Result<(), ClientError> {
        self.site().pass(CommitStep::BeforeInit)?;
        self.transaction.borrow_mut().init(timeout).map(drop)
    }

    fn begin(&mut self) -> Result<(), ClientError> {
        self.site().pass(CommitStep::BeforeBegin)?;
        self.first_sent = None;
        Ok(())
    }

    fn send_offsets(
        &self,
        offsets: &[Position],
        group: &Arc<Generation>,
        _timeout: Duration,
    ) -> Result<(), ClientError> {
        self.site().pass(CommitStep::BeforeOffsets)?;
        if self.site().is_sabotaged(Sabotage::OffsetsOutsideTransaction) {
            return offsets::commit(&self.link, offsets, group);
        }
        self.transaction.borrow_mut().add_offsets(offsets, group)
    }

    /// Wants the permit, so that nothing else can commit.
    fn commit(&self, _permit: CommitPermit, _timeout: Duration) -> Result<(), ClientError> {
        let site = self.site();
        if site.is_sabotaged(Sabotage::ApplyBeforeCommit) {
            let mut transaction = self.transaction.borrow().clone();
            let of = site.clone();
            site.put_off(move || {
                of.pass(CommitStep::BeforeCommit)?;
                transaction.end(true)?;
                of.pass(CommitStep::AfterCommit)
            });
            self.transaction.borrow_mut().ended();
        } else {
            site.pass(CommitStep::BeforeCommit)?;
            self.transaction.borrow_mut().end(true)?;
            site.pass(CommitStep::AfterCommit)?;
        }
        site.set_phase(Phase::Committed);
        Ok(())
    }

    fn purge(&self, _timeout: Duration) -> bool {
        false
    }

    fn abort(&self, _timeout: Duration) -> Result<(), ClientError> {
        self.site().pass(CommitStep::BeforeAbort)?;
        self.site().set_phase(Phase::Idle);
        self.transaction.borrow_mut().end(false)?;
        *self.deliveries.borrow_mut() = Deliveries::default();
        Ok(())
    }

    fn open_for(&self) -> Duration {
        self.first_sent.map_or(Duration::ZERO, |sent| self.site().now() - sent)
    }

    fn poll(&self) {}

    fn await_deliveries(&self, _timeout: Duration) -> bool {
        if !self.site().is_exactly_once {
            self.site().set_phase(Phase::Flushed);
        }
        true
    }

    fn await_report(&self) {
        std::thread::sleep(REPORT);
        self.site().sleep(REPORT);
    }

    fn failure(&self) -> Option<DeliveryFailure> {
        self.deliveries.borrow().failure.clone()
    }

    fn learn_failure(&mut self, _failure: &DeliveryFailure) {}

    fn is_denied(&self) -> bool {
        false
    }

    fn learn_refused(&mut self) {
        self.refusals.learn();
    }

    fn into_lessons(self) -> Refusals {
        self.refusals
    }

    fn take_over(&mut self, lessons: Refusals) {
        self.refusals = lessons;
    }

    fn take_refusal_applied(&mut self) -> bool {
        self.refusals.take_applied()
    }

    fn committed(&mut self) {
        self.refusals.committed();
    }

    fn take_changelogs(&self) -> HashMap<ChangelogId, i64> {
        std::mem::take(&mut *self.deliveries.borrow_mut()).changelogs
    }

    fn fatal(&self) -> Option<ClientError> {
        None
    }

    fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }
}
