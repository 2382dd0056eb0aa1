//! A producer under measurement: it sends, counts what is acknowledged, and commits.
//!
//! librdkafka's events are served on a thread of their own, so an acknowledgement is timed when it
//! comes, whatever the sender does. Before a commit the sender waits for acknowledgements by
//! librdkafka's own flush, which ends the linger of what waits: the crate's flush looks every 100 ms.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig, ThreadedProducer,
};
use rdkafka::types::RDKafkaErrorCode;

use super::cluster::config;
use super::error::failed;
use super::payload::Payload;
use super::variant::SHARED;
use super::{CostError, Delivery, Plan, Variant};

/// How long librdkafka may take to settle what it has.
const LIMIT: Duration = Duration::from_secs(60);
/// The step in which a stop is noticed.
const STEP: Duration = Duration::from_millis(100);
/// A stop and a commit that is due are looked for after so many records.
const LOOK_EVERY: u64 = 64;

/// What became of records. The opaque of a record is the time when it was due, in microseconds since
/// `begun`, plus one; 0 is not timed.
struct Reports {
    begun: Instant,
    acknowledged: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    times_us: Vec<u64>,
    refused: Option<KafkaError>,
}

impl Reports {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn since(&self, due: usize) -> u64 {
        (self.begun.elapsed().as_micros() as u64).saturating_sub(due as u64 - 1)
    }

    fn due(&self, due: Instant) -> usize {
        due.saturating_duration_since(self.begun).as_micros() as usize + 1
    }
}

/// What librdkafka calls. Its log would only repeat the error.
struct Context(Arc<Reports>);

impl ClientContext for Context {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, due: usize) {
        match result {
            Ok(_) => {
                self.0.acknowledged.fetch_add(1, Ordering::Relaxed);
                if due > 0 {
                    let time_us = self.0.since(due);
                    self.0.told().times_us.push(time_us);
                }
            }
            Err((error, _)) => {
                self.0.told().refused.get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// A transaction that is open at the client.
struct Open {
    begun: Instant,
    /// When its timed records were due.
    due: Vec<usize>,
}

/// A producer.
pub(super) struct Sender<'a> {
    plan: &'a Plan,
    variant: Variant,
    topic: &'a str,
    producer: ThreadedProducer<Context>,
    reports: Arc<Reports>,
    payload: Payload,
    sent: u64,
    open: Option<Open>,
    committed_us: Vec<u64>,
}

/// What a producer did.
pub(super) struct Sent {
    pub(super) records: u64,
    pub(super) acknowledged: u64,
    /// The times to acknowledgements.
    pub(super) acknowledged_us: Vec<u64>,
    /// The times to commits.
    pub(super) committed_us: Vec<u64>,
}

impl<'a> Sender<'a> {
    /// Connects; a transactional one fences nobody, because its id is its topic's unique name.
    pub(super) fn open(
        plan: &'a Plan,
        variant: Variant,
        topic: &'a str,
    ) -> Result<Self, CostError> {
        let reports = Arc::new(Reports {
            begun: Instant::now(),
            acknowledged: AtomicU64::new(0),
            told: Mutex::default(),
        });
        let mut config = config(plan);
        for (key, value) in SHARED {
            if !plan.client_settings.contains_key(*key) {
                config.set(*key, *value);
            }
        }
        for (key, value) in variant.delivery.settings().iter().chain(variant.batches.settings()) {
            config.set(*key, *value);
        }
        if variant.delivery.is_transactional() {
            config.set("transactional.id", topic);
        }
        let what = || format!("a producer with {variant}");
        let producer: ThreadedProducer<Context> =
            config.create_with_context(Context(Arc::clone(&reports))).map_err(failed(what()))?;
        if variant.delivery.is_transactional() {
            producer.init_transactions(LIMIT).map_err(failed(what()))?;
        }
        let payload = Payload::new(plan.record_bytes);
        let committed_us = Vec::new();
        let open = None;
        Ok(Self { plan, variant, topic, producer, reports, payload, sent: 0, open, committed_us })
    }

    /// Connects to the leaders of all partitions, with a record each.
    pub(super) fn warm_up(&mut self) -> Result<(), CostError> {
        for _ in 0..self.plan.partitions {
            self.send(None)?;
        }
        self.settle()
    }

    /// Sends records as fast as librdkafka takes them.
    pub(super) fn at_full_speed(&mut self, records: u64) -> Result<(), CostError> {
        for _ in 0..records {
            self.send(None)?;
            if self.sent.is_multiple_of(LOOK_EVERY) {
                self.look()?;
            }
        }
        self.settle()
    }

    /// Sends records at the plan's rate. A record's time begins when it is due, also if the sender
    /// is still busy with a commit then.
    pub(super) fn paced(&mut self, records: u64) -> Result<(), CostError> {
        let begun = Instant::now();
        for record in 0..records {
            let at = record as f64 / f64::from(self.plan.rate);
            let due = begun + Duration::from_secs_f64(at);
            self.wait_until(due)?;
            self.send(Some(due))?;
        }
        self.settle()
    }

    /// What came of it, after all is settled.
    pub(super) fn finish(mut self) -> Sent {
        Sent {
            records: self.sent,
            acknowledged: self.reports.acknowledged.load(Ordering::Relaxed),
            acknowledged_us: std::mem::take(&mut self.reports.told().times_us),
            committed_us: std::mem::take(&mut self.committed_us),
        }
    }

    fn send(&mut self, due: Option<Instant>) -> Result<(), CostError> {
        let due = due.map_or(0, |due| self.reports.due(due));
        self.begin(due)?;
        let partition = (self.sent % u64::from(self.plan.partitions.unsigned_abs())) as i32;
        let value = self.payload.numbered(self.sent);
        loop {
            let record: BaseRecord<'_, (), [u8], usize> =
                BaseRecord::with_opaque_to(self.topic, due).partition(partition).payload(value);
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.plan.check_stopped()?;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(unacknowledged(self.variant, self.topic, error)),
            }
        }
        self.sent += 1;
        Ok(())
    }

    /// A transaction begins with its first record: one without any cannot be committed everywhere.
    fn begin(&mut self, due: usize) -> Result<(), CostError> {
        if !self.variant.delivery.is_transactional() {
            return Ok(());
        }
        if self.open.is_none() {
            let what = format!("beginning a transaction of {}", self.variant);
            self.producer.begin_transaction().map_err(failed(what))?;
        }
        let open = self.open.get_or_insert_with(|| Open { begun: Instant::now(), due: Vec::new() });
        if due > 0 {
            open.due.push(due);
        }
        Ok(())
    }

    /// Commits if it is time, and notices what went wrong.
    fn look(&mut self) -> Result<(), CostError> {
        self.plan.check_stopped()?;
        self.check_reports()?;
        match self.commit_at() {
            Some(at) if Instant::now() >= at => self.settle(),
            _ => Ok(()),
        }
    }

    fn commit_at(&self) -> Option<Instant> {
        let Delivery::Transactional { commit_interval } = self.variant.delivery else {
            return None;
        };
        self.open.as_ref().map(|open| open.begun + commit_interval)
    }

    fn wait_until(&mut self, due: Instant) -> Result<(), CostError> {
        loop {
            self.look()?;
            let now = Instant::now();
            if now >= due {
                return Ok(());
            }
            let next = self.commit_at().map_or(due, |at| at.min(due));
            std::thread::sleep(next.saturating_duration_since(now).min(STEP));
        }
    }

    /// Waits for all acknowledgements, and commits what is open.
    fn settle(&mut self) -> Result<(), CostError> {
        let until = Instant::now() + LIMIT;
        while self.producer.in_flight_count() > 0 {
            self.plan.check_stopped()?;
            self.check_reports()?;
            if Instant::now() > until {
                let what = format!("the acknowledgements of {}", self.variant);
                return Err(CostError::Late { what, seconds: LIMIT.as_secs() });
            }
            oncestream_runtime::flush(self.producer.client(), STEP);
        }
        self.check_reports()?;
        if let Some(open) = &mut self.open {
            let what = format!("a commit of {}", self.variant);
            self.producer.commit_transaction(LIMIT).map_err(failed(what))?;
            let reports = &self.reports;
            self.committed_us.extend(open.due.drain(..).map(|due| reports.since(due)));
            self.open = None;
        }
        Ok(())
    }

    fn check_reports(&self) -> Result<(), CostError> {
        match self.reports.told().refused.clone() {
            Some(error) => Err(unacknowledged(self.variant, self.topic, error)),
            None => Ok(()),
        }
    }
}

fn unacknowledged(variant: Variant, topic: &str, error: KafkaError) -> CostError {
    CostError::Unacknowledged { variant, topic: topic.to_owned(), error: Box::new(error) }
}

impl Drop for Sender<'_> {
    fn drop(&mut self) {
        // After an error records may still wait, and would be sent on the way out.
        self.producer.purge(PurgeConfig::default().queue().inflight());
        if self.open.is_some() {
            // Brokers would keep it until it times out. If they are gone, they do.
            let _ = self.producer.abort_transaction(Duration::from_secs(5));
        }
    }
}
