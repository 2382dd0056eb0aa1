//! Producers and readers of the chapters: librdkafka's own, with what chapters need around them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oncestream_broker::Broker;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::LabError;
use crate::stage::LIMIT;

/// A client's configuration: brokers, `client.id`, short waits between tries, and `settings` on top.
pub(crate) fn config(servers: &str, client_id: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("client.id", client_id)
        .set("retry.backoff.ms", "10")
        .set("retry.backoff.max.ms", "50")
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "50")
        .set_log_level(RDKafkaLogLevel::Emerg);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}

pub(crate) fn failed(what: &str) -> impl Fn(KafkaError) -> LabError + '_ {
    move |source| LabError::Client { what: what.to_owned(), source }
}

/// What became of a message, as its producer was told.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) value: String,
    /// Partition and offset, or the error.
    pub(crate) outcome: Result<(i32, i64), RDKafkaErrorCode>,
}

/// Keeps what librdkafka tells, and its log out of the terminal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<Vec<Delivery>>>, Arc<AtomicI64>);

impl ClientContext for Reports {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}

    /// Only one number of each partition is wanted; all of them are much to parse every few
    /// milliseconds.
    fn stats_raw(&self, statistics: &[u8]) {
        let statistics = String::from_utf8_lossy(statistics);
        let partitions = statistics.split("\"msgs_inflight\":").skip(1);
        let in_flight = partitions.filter_map(|rest| {
            let number = rest.trim_start().split(|letter: char| !letter.is_ascii_digit()).next()?;
            number.parse::<i64>().ok()
        });
        self.1.store(in_flight.sum(), Ordering::Relaxed);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let message = match result {
            Ok(message) | Err((_, message)) => message,
        };
        let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
        let outcome = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
        };
        let delivery = Delivery { value, outcome };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
    }
}

/// A producer, librdkafka's own.
pub(crate) struct Sender {
    producer: ThreadedProducer<Reports>,
    reports: Reports,
    sent: std::cell::Cell<usize>,
    name: String,
}

impl Sender {
    pub(crate) fn open(
        servers: &str,
        client_id: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self, LabError> {
        let reports = Reports::default();
        // What stands later counts.
        let settings = [&[("linger.ms", "0")], settings].concat();
        let producer = config(servers, client_id, &settings)
            .create_with_context(reports.clone())
            .map_err(failed(client_id))?;
        Ok(Self { producer, reports, sent: std::cell::Cell::new(0), name: client_id.to_owned() })
    }

    /// librdkafka's producer, for transactions.
    pub(crate) fn client(&self) -> &ThreadedProducer<Reports> {
        &self.producer
    }

    /// How many messages are under way and not answered, by librdkafka's statistics, which it writes
    /// if `statistics.interval.ms` is set.
    pub(crate) fn in_flight(&self) -> i64 {
        self.reports.1.load(Ordering::Relaxed)
    }

    /// Hands a message to librdkafka, which sends it when it can.
    pub(crate) fn send(&self, topic: &str, partition: i32, value: &str) -> Result<(), LabError> {
        self.send_bytes(topic, partition, None, value.as_bytes())
    }

    /// The same, of bytes and with a key.
    pub(crate) fn send_bytes(
        &self,
        topic: &str,
        partition: i32,
        key: Option<&[u8]>,
        value: &[u8],
    ) -> Result<(), LabError> {
        let mut record: BaseRecord<'_, [u8], [u8]> =
            BaseRecord::to(topic).partition(partition).payload(value);
        record.key = key;
        self.producer.send(record).map_err(|(error, _)| failed(&self.name)(error))?;
        self.sent.set(self.sent.get() + 1);
        Ok(())
    }

    /// Waits until librdkafka has told of each message what became of it.
    pub(crate) fn wait(&self) -> Result<Vec<Delivery>, LabError> {
        let until = Instant::now() + LIMIT;
        loop {
            let told = self.reports.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if told.len() >= self.sent.get() {
                return Ok(told);
            }
            if Instant::now() > until {
                let what = format!("the deliveries of {}", self.name);
                return Err(LabError::Late { what, seconds: LIMIT.as_secs() });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a message and waits for what becomes of it.
    pub(crate) fn deliver(
        &self,
        topic: &str,
        partition: i32,
        value: &str,
    ) -> Result<Delivery, LabError> {
        self.send(topic, partition, value)?;
        let told = self.wait()?;
        let what = format!("the delivery of {value}");
        told.into_iter()
            .rfind(|delivery| delivery.value == value)
            .ok_or(LabError::Late { what, seconds: LIMIT.as_secs() })
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // What waits would be sent on the way out, for as long as the broker is away.
        let flags = rdkafka::producer::PurgeConfig::default().queue().inflight();
        self.producer.purge(flags);
    }
}

/// A consumer, librdkafka's own, that commits when it is told to.
pub(crate) fn consumer(
    servers: &str,
    client_id: &str,
    settings: &[(&str, &str)],
) -> Result<BaseConsumer<Reports>, LabError> {
    config(servers, client_id, settings)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "10")
        .create_with_context(Reports::default())
        .map_err(failed(client_id))
}

/// The values that a consumer reads from a topic, in the order of partitions and offsets.
///
/// `isolation` is that of the consumer: `read_committed` or `read_uncommitted`.
pub(crate) fn read(broker: &Broker, topic: &str, isolation: &str) -> Result<Vec<String>, LabError> {
    let what = format!("reading {topic}");
    let settings =
        [("group.id", "reader"), ("isolation.level", isolation), ("enable.partition.eof", "true")];
    let consumer = consumer(broker.bootstrap_servers(), "reader", &settings)?;
    let view = broker.view();
    let partitions: Vec<i32> =
        view.partitions.iter().filter(|p| p.topic == topic).map(|p| p.partition).collect();
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition_offset(topic, *partition, Offset::Beginning).map_err(failed(&what))?;
    }
    consumer.assign(&list).map_err(failed(&what))?;
    let mut values = vec![Vec::new(); partitions.len()];
    let mut open = partitions.len();
    let until = Instant::now() + LIMIT;
    while open > 0 {
        match consumer.poll(Duration::from_millis(50)) {
            Some(Ok(message)) => {
                let value = String::from_utf8_lossy(message.payload().unwrap_or_default());
                if let Some(values) = values.get_mut(message.partition() as usize) {
                    values.push(value.into_owned());
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(failed(&what)(error)),
            None if Instant::now() > until => {
                return Err(LabError::Late { what, seconds: LIMIT.as_secs() });
            }
            None => {}
        }
    }
    Ok(values.concat())
}

impl ConsumerContext for Reports {}
