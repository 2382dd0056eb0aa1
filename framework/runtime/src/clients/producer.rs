//! The producer of a worker, with its transaction.
//!
//! Every transactional call is bounded in time. Deliveries are awaited by polling here, before
//! the client's own flush and commit: those poll in steps of 100 ms. How records are handed over is in
//! `hand_over.rs`, what becomes of them in `deliveries.rs`.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oncestream_core::commit::CommitPermit;
use oncestream_core::task::{ChangelogId, Position};
use oncestream_engine::ports::{DeliveryFailure, WorkerProducer};
use oncestream_engine::{ClientError, ClientFault as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer, PurgeConfig};

use super::consumer::Generation;
use super::deliveries::{Deliveries, DeliveryContext, Times};
use super::hand_over::{ALONE, now_ms};
use super::refused::Refusals;
use super::unknown::UnknownTopics;
use super::verdict::{client_error, error_of, is_of_time};
use super::{context, lists, native};
use crate::config::ClientSettings;

/// The step in which acknowledgements are awaited. librdkafka's clock has milliseconds.
const STEP: Duration = Duration::from_micros(100);
/// How often, in steps, and for how long the client then sends what still lingers. Its threads do so
/// only while it is told to, and may be slow to wake.
const FLUSH_EVERY: u32 = 20;
const FLUSH: Duration = Duration::from_millis(1);
/// A linger that is as good as none: a flush would cost more than it saves.
const SHORT_LINGER_MS: f64 = 5.0;
/// How much longer than its time a call may take.
const GRACE: Duration = Duration::from_secs(2);
/// How long a topic that the client does not know is asked for, at most.
const UNKNOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Waits so long for a call, and says that it timed out when it goes on for longer.
fn within(
    limit: Duration,
    call: impl FnOnce() -> Result<(), KafkaError> + Send + 'static,
) -> Result<(), KafkaError> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let run = move || drop(tell.send(call()));
    let started = std::thread::Builder::new().name("oncestream-offsets".to_owned()).spawn(run);
    match started.map(|_| told.recv_timeout(limit)) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) | Err(_) => Err(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut)),
    }
}

/// What was learnt of records and topics that were refused.
pub(crate) struct Lessons {
    refusals: Refusals,
    unknown: UnknownTopics,
}

/// A producer, transactional under exactly once.
pub(crate) struct KafkaProducer {
    /// Shared with a call that has not returned in its time.
    pub(super) client: Arc<BaseProducer<DeliveryContext>>,
    /// A transaction was begun, and neither committed nor aborted.
    open: Cell<bool>,
    pub(super) sent: u32,
    /// Records handed over since the last call of [`WorkerProducer::take_sent`].
    pub(super) records: u64,
    /// Partition counts, for custom partitioners. A topic that grows is seen after a restart.
    pub(super) partitions: HashMap<String, i32>,
    pub(super) refusals: Refusals,
    /// Topics that the client does not know, or no longer.
    pub(super) unknown: UnknownTopics,
    /// When the first record of the open transaction was handed over: with it the transaction
    /// begins at the broker, and its timeout.
    pub(super) first_sent: Option<Instant>,
    /// Batches grow for so long that waiting for it would cost a commit more than a flush does.
    lingers: bool,
    /// The times of the records since the last commit.
    pub(super) times: Times,
}

impl KafkaProducer {
    pub(crate) fn new(settings: &ClientSettings) -> Result<Self, KafkaError> {
        let client: BaseProducer<_> = context::create(settings, DeliveryContext::default())?;
        Ok(Self {
            client: Arc::new(client),
            open: Cell::new(false),
            sent: 0,
            records: 0,
            partitions: HashMap::new(),
            refusals: Refusals::default(),
            unknown: UnknownTopics::new(unknown_patience(settings)),
            first_sent: None,
            lingers: linger_ms(settings) > SHORT_LINGER_MS,
            times: Times::default(),
        })
    }
}

impl WorkerProducer for KafkaProducer {
    type Generation = Generation;
    type Lessons = Lessons;

    fn init(&self, timeout: Duration) -> Result<(), ClientError> {
        self.client.init_transactions(timeout).map_err(client_error)
    }

    fn begin(&mut self) -> Result<(), ClientError> {
        self.client.begin_transaction().map_err(client_error)?;
        self.open.set(true);
        self.first_sent = None;
        self.times = Times::default();
        Ok(())
    }

    /// librdkafka 2.12 looks for the group's coordinator as long as there is none to be found,
    /// whatever time it was given. So the call has a thread of its own, and is left behind, with
    /// its client, when its time is up.
    fn send_offsets(
        &self,
        offsets: &[Position],
        group: &Generation,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let offsets = lists::of_positions(offsets).map_err(client_error)?;
        let (client, group) = (Arc::clone(&self.client), Arc::clone(group));
        let call = move || client.send_offsets_to_transaction(&offsets, &group, timeout);
        within(timeout + GRACE, call).map_err(client_error)
    }

    fn open_for(&self) -> Duration {
        self.first_sent.map_or(Duration::ZERO, |sent| sent.elapsed())
    }

    fn commit(&self, permit: CommitPermit, timeout: Duration) -> Result<(), ClientError> {
        tracing::trace!(transaction = permit.transaction(), "committing");
        self.client.commit_transaction(timeout).map_err(client_error)?;
        self.open.set(false);
        Ok(())
    }

    /// A new producer fences what may still arrive. Kafka's own client raises its epoch for the same
    /// reason.
    fn purge(&self, timeout: Duration) -> bool {
        if !self.open.get() {
            return false;
        }
        self.client.purge(PurgeConfig::default().queue().inflight());
        let settled = self.await_deliveries(timeout);
        !settled || self.client.context().lock().stray
    }

    fn abort(&self, timeout: Duration) -> Result<(), ClientError> {
        if !self.open.get() {
            return Ok(());
        }
        self.client.abort_transaction(timeout).map_err(client_error)?;
        self.open.set(false);
        *self.client.context().lock() = Deliveries::default();
        Ok(())
    }

    fn poll(&self) {
        self.client.poll(Duration::ZERO);
    }

    fn await_deliveries(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut step = 0_u32;
        while self.client.in_flight_count() > 0 {
            if Instant::now() >= deadline {
                return false;
            }
            if self.lingers && step.is_multiple_of(FLUSH_EVERY) {
                native::flush(self.client.client(), FLUSH);
            }
            step = step.wrapping_add(1);
            self.await_report();
        }
        true
    }

    /// Given a time to wait, rdkafka's own poll is busy for the last millisecond of it, and never
    /// ends early.
    fn await_report(&self) {
        let before = self.client.in_flight_count();
        self.client.poll(Duration::ZERO);
        if self.client.in_flight_count() == before {
            std::thread::sleep(STEP);
        }
    }

    fn failure(&self) -> Option<DeliveryFailure> {
        let deliveries = self.client.context().lock();
        let Some(topic) = &deliveries.denied else {
            let failure = deliveries.failure.clone()?;
            let timestamp =
                if is_of_time(&failure.error) { self.times.farthest(now_ms()) } else { -1 };
            return Some(DeliveryFailure { timestamp, ..failure });
        };
        // The records that were thrown away with the transaction tell no reason.
        Some(DeliveryFailure {
            topic: topic.clone(),
            partition: -1,
            timestamp: -1,
            error: error_of(RDKafkaErrorCode::TopicAuthorizationFailed),
            is_refusal: false,
        })
    }

    fn learn_failure(&mut self, failure: &DeliveryFailure) {
        if failure.error.is_unknown_topic() {
            self.unknown.doubt(&failure.topic);
        }
    }

    fn is_denied(&self) -> bool {
        self.poll();
        self.client.context().lock().denied.is_some()
    }

    fn learn_refused(&mut self) {
        let _ = self.await_deliveries(ALONE);
        let refused = self.client.context().lock().take_refused();
        self.refusals.learn(refused);
    }

    fn into_lessons(self) -> Lessons {
        Lessons { refusals: self.refusals, unknown: self.unknown }
    }

    fn take_over(&mut self, lessons: Lessons) {
        (self.refusals, self.unknown) = (lessons.refusals, lessons.unknown);
    }

    fn take_refusal_applied(&mut self) -> bool {
        self.refusals.take_applied()
    }

    fn committed(&mut self) {
        self.refusals.committed();
        self.times = Times::default();
    }

    fn take_changelogs(&self) -> HashMap<ChangelogId, i64> {
        std::mem::take(&mut *self.client.context().lock()).changelogs()
    }

    fn fatal(&self) -> Option<ClientError> {
        self.client.client().fatal_error().map(|(code, _)| error_of(code))
    }

    fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.records)
    }
}

/// How long a topic may be unknown: half of the time that a record has to be delivered.
fn unknown_patience(settings: &ClientSettings) -> Duration {
    let limit = settings.get("message.timeout.ms").and_then(|ms| ms.parse().ok());
    limit.map_or(UNKNOWN_PATIENCE, |ms| Duration::from_millis(ms) / 2).min(UNKNOWN_PATIENCE)
}

/// For how long batches may grow, in milliseconds.
fn linger_ms(settings: &ClientSettings) -> f64 {
    let given = settings.get("linger.ms").or_else(|| settings.get("queue.buffering.max.ms"));
    given.and_then(|ms| ms.parse().ok()).unwrap_or(SHORT_LINGER_MS)
}

#[cfg(test)]
mod tests {
    use oncestream_broker::{Action, Api, Broker, Fault};
    use oncestream_core::Headers;
    use oncestream_core::task::{Collector as _, Origin, Outgoing};

    use super::*;
    use crate::config::{StreamsConfig, StreamsConfigBuilder};

    const LIMIT: Duration = Duration::from_secs(30);

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !is_so() {
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A producer with one record in an open transaction.
    fn with_a_record(broker: &Broker) -> KafkaProducer {
        with_a_record_and(broker, &[])
    }

    fn with_a_record_and(broker: &Broker, settings: &[(&str, &str)]) -> KafkaProducer {
        broker.create_topic("out", 1).unwrap();
        let config = StreamsConfig::builder("app", broker.bootstrap_servers());
        let set =
            |config: StreamsConfigBuilder, (key, value): &(&str, &str)| config.set(key, value);
        let config = settings.iter().try_fold(config, set).unwrap().build().unwrap();
        let settings = config.producer_settings(Some("id"), 0);
        let mut producer = KafkaProducer::new(&settings).unwrap();
        producer.init(LIMIT).unwrap();
        producer.begin().unwrap();
        let record = Outgoing {
            topic: "out",
            partition: Some(0),
            key: None,
            value: Some(b"value"),
            timestamp: 1,
            headers: &Headers::default(),
            origin: Origin::Sink,
        };
        producer.send(&record).unwrap();
        producer
    }

    /// The client puts what was in flight back into its queue when the connection is lost.
    #[test]
    fn a_record_that_was_sent_before_its_connection_was_lost_may_still_arrive() {
        let broker = Broker::builder().start_blocking().unwrap();
        let sent = Fault::on(Api::Produce).always().then(Action::Disconnect);
        let sent = broker.faults().add(sent);
        let producer = with_a_record(&broker);
        wait_until("two requests", || broker.faults().fired(sent) >= 2);
        assert!(producer.purge(LIMIT), "it was taken for one that was never sent");
    }

    #[test]
    fn a_record_that_was_acknowledged_cannot_arrive_again() {
        let broker = Broker::builder().start_blocking().unwrap();
        let producer = with_a_record(&broker);
        assert!(producer.await_deliveries(LIMIT));
        assert!(!producer.purge(LIMIT));
        producer.abort(LIMIT).unwrap();
    }

    #[test]
    fn whoever_waits_for_deliveries_does_not_wait_for_batches_to_grow() {
        let broker = Broker::builder().start_blocking().unwrap();
        let slow = [("transaction.timeout.ms", "600000"), ("producer.linger.ms", "250000")];
        let producer = with_a_record_and(&broker, &slow);
        assert!(producer.await_deliveries(LIMIT));
    }

    #[test]
    fn a_call_that_does_not_return_is_left_behind_as_timed_out() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let outcome = within(Duration::from_millis(20), move || {
            let _ = held.recv();
            Ok(())
        });
        let code = outcome.unwrap_err().rdkafka_error_code();
        assert_eq!(code, Some(RDKafkaErrorCode::OperationTimedOut));
        drop(release);
        assert!(within(Duration::from_secs(60), || Ok(())).is_ok());
        let failed = within(Duration::from_secs(60), || Err(KafkaError::Canceled));
        assert!(matches!(failed, Err(KafkaError::Canceled)));
    }
}
