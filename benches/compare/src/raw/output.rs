//! The producing half of the raw loop: sends, waits for acknowledgements, commits.
//!
//! Knows nothing of the jobs. Invariant: a transaction is open only between the first record (or
//! the first offset) of a commit interval and the commit that ends it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};

use crate::job::{Guarantee, RunSpec};

const TIMEOUT: Duration = Duration::from_secs(30);

/// The producer, and what it still owes.
pub(super) struct Output {
    producer: BaseProducer<Deliveries>,
    transactional: bool,
    in_transaction: bool,
    sent: u64,
}

/// Counts acknowledgements, so that waiting for them needs no flush.
#[derive(Default)]
struct Deliveries {
    acknowledged: AtomicU64,
    failed: AtomicBool,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        if result.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
    }
}

impl Output {
    pub(super) fn new(spec: &RunSpec) -> Result<Self> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &spec.bootstrap_servers)
            .set("enable.idempotence", "true")
            // The partitioner of Java producers; librdkafka's own breaks co-partitioning.
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", "1000000")
            // The first record after a commit meets CONCURRENT_TRANSACTIONS; the default
            // backoff of this retry grows to a second.
            .set("retry.backoff.ms", "2")
            .set("retry.backoff.max.ms", "10");
        let transactional = spec.guarantee == Guarantee::ExactlyOnce;
        if transactional {
            config.set("transactional.id", &spec.application_id);
        }
        let producer: BaseProducer<Deliveries> =
            config.create_with_context(Deliveries::default())?;
        if transactional {
            producer.init_transactions(TIMEOUT)?;
        }
        Ok(Self { producer, transactional, in_transaction: false, sent: 0 })
    }

    fn begin(&mut self) -> Result<()> {
        if self.transactional && !self.in_transaction {
            self.producer.begin_transaction()?;
            self.in_transaction = true;
        }
        Ok(())
    }

    /// Takes in acknowledgements, without waiting.
    pub(super) fn poll(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Queues one record, waiting for room in the client's queue.
    pub(super) fn send(
        &mut self,
        topic: &str,
        key: Option<&[u8]>,
        value: &[u8],
        timestamp: Option<i64>,
    ) -> Result<()> {
        self.begin()?;
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).payload(value);
        record.key = key;
        record.timestamp = timestamp;
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits for the deliveries, then commits the offsets.
    ///
    /// Waiting first is what keeps a commit short: `commit_transaction` would wait too, but in
    /// steps of 100 ms.
    pub(super) fn commit(
        &mut self,
        consumer: &BaseConsumer,
        offsets: &TopicPartitionList,
    ) -> Result<()> {
        if offsets.count() == 0 {
            return Ok(());
        }
        self.begin()?;
        let deliveries = self.producer.context().clone();
        let start = Instant::now();
        while deliveries.acknowledged.load(Ordering::Relaxed) < self.sent {
            self.producer.poll(Duration::from_millis(1));
            if start.elapsed() > TIMEOUT {
                bail!("records were not acknowledged within {TIMEOUT:?}");
            }
        }
        if deliveries.failed.load(Ordering::Relaxed) {
            bail!("a record was not delivered");
        }
        if self.transactional {
            let group = consumer.group_metadata().context("no group metadata")?;
            self.producer.send_offsets_to_transaction(offsets, &group, TIMEOUT)?;
            self.producer.commit_transaction(TIMEOUT)?;
            self.in_transaction = false;
        } else {
            consumer.commit(offsets, CommitMode::Sync)?;
        }
        Ok(())
    }
}
