//! How a worker's producer hands records to the client: what is sent at once, what is waited for, and
//! what is refused here.
//!
//! Invariant: an error is a `ClientError` in its box, so that the engine can judge it, or a
//! `RecordRefused` where the record alone is at fault.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oncestream_core::commit::Verdict;
use oncestream_core::error::{BoxError, Unproducible};
use oncestream_core::task::{Collector, Origin, Outgoing, RecordRefused};
use oncestream_engine::ports::WorkerProducer;
use oncestream_engine::{ClientFault as _, Step};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};

use super::deliveries::{DEAD_LETTER, SINK};
use super::producer::KafkaProducer;
use super::refused::Suspicion;
use super::verdict::{client_error, error_of};

/// How often the client is asked for acknowledgements while records are sent.
const POLL_EVERY: u32 = 256;
/// How long what is in flight may take while a suspect record is sent alone.
pub(super) const ALONE: Duration = Duration::from_secs(5);
/// How long a question for the partitions of a topic may take.
const METADATA_LIMIT: Duration = Duration::from_secs(10);

impl Collector for KafkaProducer {
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
            let client = self.client.client();
            let metadata =
                client.fetch_metadata(Some(topic), METADATA_LIMIT).map_err(client_error)?;
            let count = metadata.topics().first().map_or(0, |t| t.partitions().len()) as i32;
            if count > 0 {
                self.unknown.found(topic);
                self.partitions.insert(topic.to_owned(), count);
                return Ok(count);
            }
            // Not believed at once, as for a record without a partitioner.
            if !self.unknown.await_topic(topic, &self.client) {
                let unknown = error_of(RDKafkaErrorCode::UnknownTopic);
                return Err(Box::new(RecordRefused::new(unknown)));
            }
        }
    }
}

impl KafkaProducer {
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
                let error = error_of(RDKafkaErrorCode::UnknownTopicOrPartition);
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
            let error = client_error(error);
            match error.judge(Step::HandOver, None) {
                Verdict::Retry if error.is_unknown_topic() => {
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

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn owned_headers(headers: &oncestream_core::Headers) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new(), |list, h| {
        list.insert(Header { key: &h.key, value: h.value.as_ref() })
    })
}
