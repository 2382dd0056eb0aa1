//! The producer of a worker, with its transaction, and what became of its records.
//!
//! Every transactional call is bounded in time. Deliveries are awaited by polling here, before
//! the client's own flush and commit: those poll in steps of 100 ms.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oncestream_core::error::{BoxError, Unproducible};
use oncestream_core::task::{ChangelogId, Collector, Origin, Outgoing, RecordRefused};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};

use super::deliveries::{DEAD_LETTER, Deliveries, DeliveryContext, DeliveryFailure, SINK, Times};
use super::refused::{Refusals, Suspicion};
use super::unknown::UnknownTopics;
use super::verdict::{Step, Verdict, is_of_time, is_unknown_topic, judge};
use super::{context, native};
use crate::config::ClientSettings;

/// How often the client is asked for acknowledgements while records are sent.
const POLL_EVERY: u32 = 256;
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
/// How long what is in flight may take while a suspect record is sent alone.
const ALONE: Duration = Duration::from_secs(5);

/// How long a topic that the client does not know is asked for, at most.
const UNKNOWN_PATIENCE: Duration = Duration::from_secs(10);

/// How long a question for the partitions of a topic may take.
const METADATA_LIMIT: Duration = Duration::from_secs(10);

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
pub(crate) struct WorkerProducer {
    /// Shared with a call that has not returned in its time.
    client: Arc<BaseProducer<DeliveryContext>>,
    /// A transaction was begun, and neither committed nor aborted.
    open: Cell<bool>,
    sent: u32,
    /// Records handed over since the last call of [`Self::take_sent`].
    records: u64,
    /// Partition counts, for custom partitioners. A topic that grows is seen after a restart.
    partitions: HashMap<String, i32>,
    refusals: Refusals,
    /// Topics that the client does not know, or no longer.
    unknown: UnknownTopics,
    /// When the first record of the open transaction was handed over: with it the transaction
    /// begins at the broker, and its timeout.
    first_sent: Option<Instant>,
    /// Batches grow for so long that waiting for it would cost a commit more than a flush does.
    lingers: bool,
    /// The times of the records since the last commit.
    times: Times,
}

impl WorkerProducer {
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

    /// Settles what an earlier producer with this transactional id left open, and fences it.
    pub(crate) fn init(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.client.init_transactions(timeout)
    }

    pub(crate) fn begin(&mut self) -> Result<(), KafkaError> {
        self.client.begin_transaction()?;
        self.open.set(true);
        self.first_sent = None;
        self.times = Times::default();
        Ok(())
    }

    /// Adds offsets to the transaction.
    ///
    /// librdkafka 2.12 looks for the group's coordinator as long as there is none to be found,
    /// whatever time it was given. So the call has a thread of its own, and is left behind, with
    /// its client, when its time is up.
    pub(crate) fn send_offsets(
        &self,
        offsets: TopicPartitionList,
        group: Arc<ConsumerGroupMetadata>,
        timeout: Duration,
    ) -> Result<(), KafkaError> {
        let client = Arc::clone(&self.client);
        within(timeout + GRACE, move || {
            client.send_offsets_to_transaction(&offsets, &group, timeout)
        })
    }

    /// For how long the broker may have had the transaction open; none if nothing was sent in it.
    pub(crate) fn open_for(&self) -> Duration {
        self.first_sent.map_or(Duration::ZERO, |sent| sent.elapsed())
    }

    /// Commits. Taking the permit by value means: once per transaction, and only if all went well.
    pub(crate) fn commit(
        &self,
        permit: oncestream_core::commit::CommitPermit,
        timeout: Duration,
    ) -> Result<(), KafkaError> {
        tracing::trace!(transaction = permit.transaction(), "committing");
        self.client.commit_transaction(timeout)?;
        self.open.set(false);
        Ok(())
    }

    /// Gives up what has no acknowledgement yet; an abort would wait for it. True if a record of
    /// the open transaction may still arrive at the broker.
    ///
    /// It would be taken for one of the next transaction of this producer, so there must be none:
    /// a new producer fences it. Kafka's own client raises its epoch for the same reason.
    pub(crate) fn purge(&self, timeout: Duration) -> bool {
        if !self.open.get() {
            return false;
        }
        self.client.purge(PurgeConfig::default().queue().inflight());
        let settled = self.await_deliveries(timeout);
        !settled || self.client.context().lock().stray
    }

    /// Aborts what is open. After [`Self::purge`], or it waits for acknowledgements.
    pub(crate) fn abort(&self, timeout: Duration) -> Result<(), KafkaError> {
        if !self.open.get() {
            return Ok(());
        }
        self.client.abort_transaction(timeout)?;
        self.open.set(false);
        *self.client.context().lock() = Deliveries::default();
        Ok(())
    }

    /// Serves acknowledgements without waiting.
    pub(crate) fn poll(&self) {
        self.client.poll(Duration::ZERO);
    }

    /// Sends what lingers, and waits until no record is without an acknowledgement or failure. False
    /// after `timeout`.
    pub(crate) fn await_deliveries(&self, timeout: Duration) -> bool {
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

    /// Serves a report of deliveries, or waits a moment for one. Given a time to wait, rdkafka's
    /// own poll is busy for the last millisecond of it, and never ends early.
    pub(crate) fn await_report(&self) {
        let before = self.client.in_flight_count();
        self.client.poll(Duration::ZERO);
        if self.client.in_flight_count() == before {
            std::thread::sleep(STEP);
        }
    }

    /// The first failed delivery of the transaction.
    pub(crate) fn failure(&self) -> Option<DeliveryFailure> {
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
            error: KafkaError::MessageProduction(RDKafkaErrorCode::TopicAuthorizationFailed),
            is_refusal: false,
        })
    }

    /// Takes note of why a delivery failed, for the records that come next.
    pub(crate) fn learn_failure(&mut self, failure: &DeliveryFailure) {
        if is_unknown_topic(&failure.error) {
            self.unknown.doubt(&failure.topic);
        }
    }

    /// Whether the transaction is lost because a topic may not be written to.
    pub(crate) fn is_denied(&self) -> bool {
        self.poll();
        self.client.context().lock().denied.is_some()
    }

    /// Takes in what the broker has refused since the last abort, so that the tasks may process
    /// their records again.
    pub(crate) fn learn_refused(&mut self) {
        let _ = self.await_deliveries(ALONE);
        let refused = self.client.context().lock().take_refused();
        self.refusals.learn(refused);
    }

    /// What goes over to the producer that replaces this one.
    pub(crate) fn into_lessons(self) -> Lessons {
        Lessons { refusals: self.refusals, unknown: self.unknown }
    }

    pub(crate) fn take_over(&mut self, lessons: Lessons) {
        (self.refusals, self.unknown) = (lessons.refusals, lessons.unknown);
    }

    /// True once after a known refused record met its handler.
    pub(crate) fn take_refusal_applied(&mut self) -> bool {
        self.refusals.take_applied()
    }

    /// A commit succeeded.
    pub(crate) fn committed(&mut self) {
        self.refusals.committed();
        self.times = Times::default();
    }

    /// The changelog positions of the transaction that was just committed.
    pub(crate) fn take_changelogs(&self) -> HashMap<ChangelogId, i64> {
        std::mem::take(&mut *self.client.context().lock()).changelogs
    }

    /// The client's own fatal error.
    pub(crate) fn fatal(&self) -> Option<RDKafkaErrorCode> {
        self.client.client().fatal_error().map(|(code, _)| code)
    }

    pub(crate) fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.records)
    }

    /// Sends a record of which something is known already.
    #[cold]
    fn produce_warily(&mut self, record: &Outgoing<'_>) -> Result<(), BoxError> {
        match self.refusals.suspicion(record) {
            Suspicion::Guilty(error) => Err(Box::new(RecordRefused::new(error))),
            // The transaction is lost already: nothing is learnt from this one.
            Suspicion::Suspect if self.failure().is_none() => {
                let _ = self.await_deliveries(ALONE);
                self.produce(record)?;
                let done = self.await_deliveries(ALONE);
                match self.failure() {
                    _ if !done => {}
                    None => self.refusals.tried(record, false),
                    Some(failure) if failure.is_refusal => self.refusals.tried(record, true),
                    // Lost for a reason that says nothing about this record.
                    Some(_) => {}
                }
                Ok(())
            }
            Suspicion::Suspect | Suspicion::None => self.produce(record),
        }
    }

    /// Hands a record to the client; waits while its queue is full.
    fn produce(&mut self, record: &Outgoing<'_>) -> Result<(), BoxError> {
        let origin = match record.origin {
            Origin::Sink => SINK,
            Origin::DeadLetter => DEAD_LETTER,
            Origin::Changelog(id) => id.0 as usize + 1,
        };
        let mut next: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(record.topic, origin).timestamp(time_of(record));
        self.times.add(record.timestamp);
        next.partition = record.partition;
        next.key = record.key;
        next.payload = record.value;
        if !record.headers.is_empty() {
            next.headers = Some(owned_headers(record.headers));
        }
        while self.unknown.is_doubted(record.topic) {
            if !self.unknown.await_topic(record.topic, &self.client) {
                let code = RDKafkaErrorCode::UnknownTopicOrPartition;
                let error = KafkaError::MessageProduction(code);
                return Err(Box::new(RecordRefused::new(error)));
            }
        }
        if self.first_sent.is_none() {
            self.first_sent = Some(Instant::now());
        }
        loop {
            let (error, back) = match self.client.send(next) {
                Ok(()) => break,
                Err(refused) => refused,
            };
            next = back;
            match judge(&error, Step::HandOver, None) {
                Verdict::Retry if is_unknown_topic(&error) => {
                    if !self.unknown.await_topic(record.topic, &self.client) {
                        return Err(Box::new(RecordRefused::new(error)));
                    }
                }
                Verdict::Retry => {
                    self.await_report();
                    if let Some(failure) = self.failure() {
                        return Err(Box::new(failure.error));
                    }
                }
                // The client has not taken it: the transaction is as it was.
                Verdict::Refused => return Err(Box::new(RecordRefused::new(error))),
                _ => return Err(Box::new(error)),
            }
        }
        if !self.unknown.is_empty() {
            self.unknown.found(record.topic);
        }
        self.records += 1;
        self.sent += 1;
        if self.sent >= POLL_EVERY {
            self.sent = 0;
            self.poll();
        }
        Ok(())
    }
}

/// Kafka's "no timestamp".
const NO_TIME: i64 = -1;

/// The time a record is sent with; librdkafka takes 0 for the present.
///
/// - A row of a changelog of time 0 has none, and a restore makes that 0 again.
/// - A dead letter has the time of the record it stands for, which may be why that one was refused:
///   no letter lies in the future, and one that would have no time, or time 0, has the present.
fn time_of(record: &Outgoing<'_>) -> i64 {
    match record.origin {
        Origin::Changelog(_) if record.timestamp <= 0 => NO_TIME,
        Origin::DeadLetter if record.timestamp <= 0 => now_ms(),
        Origin::DeadLetter => record.timestamp.min(now_ms()),
        Origin::Sink | Origin::Changelog(_) => record.timestamp,
    }
}

/// Whether a record has a time that would be another one when it is read.
fn has_no_time(record: &Outgoing<'_>) -> bool {
    record.origin == Origin::Sink && record.timestamp <= 0
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
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

fn owned_headers(headers: &oncestream_core::Headers) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new(), |list, h| {
        list.insert(Header { key: &h.key, value: h.value.as_ref() })
    })
}

impl Collector for WorkerProducer {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), BoxError> {
        if has_no_time(record) {
            let (topic, timestamp) = (record.topic.to_owned(), record.timestamp);
            let refused = Unproducible::Timestamp { topic, timestamp };
            return Err(Box::new(RecordRefused::new(refused)));
        }
        if self.refusals.is_empty() { self.produce(record) } else { self.produce_warily(record) }
    }

    fn partition_count(&mut self, topic: &str) -> Result<i32, BoxError> {
        if let Some(count) = self.partitions.get(topic) {
            return Ok(*count);
        }
        loop {
            let metadata = self.client.client().fetch_metadata(Some(topic), METADATA_LIMIT)?;
            let count = metadata.topics().first().map_or(0, |t| t.partitions().len()) as i32;
            if count > 0 {
                self.unknown.found(topic);
                self.partitions.insert(topic.to_owned(), count);
                return Ok(count);
            }
            // Not believed at once, as for a record without a partitioner.
            if !self.unknown.await_topic(topic, &self.client) {
                let unknown = KafkaError::MessageProduction(RDKafkaErrorCode::UnknownTopic);
                return Err(Box::new(RecordRefused::new(unknown)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use oncestream_broker::{Action, Api, Broker, Fault};
    use oncestream_core::Headers;

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
    fn with_a_record(broker: &Broker) -> WorkerProducer {
        with_a_record_and(broker, &[])
    }

    fn with_a_record_and(broker: &Broker, settings: &[(&str, &str)]) -> WorkerProducer {
        broker.create_topic("out", 1).unwrap();
        let config = StreamsConfig::builder("app", broker.bootstrap_servers());
        let set =
            |config: StreamsConfigBuilder, (key, value): &(&str, &str)| config.set(key, value);
        let config = settings.iter().try_fold(config, set).unwrap().build().unwrap();
        let settings = config.producer_settings(Some("id"), 0);
        let mut producer = WorkerProducer::new(&settings).unwrap();
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
