//! What is fed to an application, into every topic and partition as soon as it is there.
//!
//! Invariant: what is fed is in the input topics once, or the run says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use oncestream_tests::feed::lines;
use oncestream_tests::kafka::client;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::instance::{KEYS_OF_PLACE, PAIR_STEP};
use crate::verify::STEP;
use crate::watch::now_ms;
use crate::workload::Workload;

/// Keys of the smoke test.
const KEYS: u64 = 64;
/// Keys that each partition of the pass-through has for itself. The joins have as many, wherever they go.
const KEYS_OF_PARTITION: u64 = KEYS_OF_PLACE as u64;
const VOCABULARY: usize = 400;
/// Records are fed in steps of this.
const STEP_TIME: Duration = Duration::from_millis(10);
/// The producer learns of new partitions within this: longer than a fault lasts.
const LEARNING: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(1);

/// One record to be fed.
#[derive(Debug, PartialEq, Eq)]
struct Fed {
    /// The number of the topic.
    topic: usize,
    /// None: as the key says.
    partition: Option<i32>,
    key: Option<String>,
    value: Vec<u8>,
    /// None: that of the clock.
    timestamp_ms: Option<i64>,
}

/// What is fed next, of one job.
struct Source {
    job: &'static str,
    turn: u64,
    /// The time of the first numbers of the pairs.
    begin_ms: i64,
    line: Box<dyn FnMut() -> String + Send>,
    topics: usize,
    /// Of each partition its topic, its number and how many records it got.
    partitions: Vec<(usize, i32, u64)>,
}

impl Source {
    fn new(job: &'static str, seed: u64) -> Self {
        let line = Box::new(lines(seed, VOCABULARY));
        Self { job, turn: 0, begin_ms: now_ms(), line, topics: 0, partitions: Vec::new() }
    }

    /// Takes in how many partitions the topics have by now.
    fn learn(&mut self, counts: &[i32]) {
        for (topic, count) in counts.iter().enumerate() {
            let known = self.partitions.iter().filter(|p| p.0 == topic).count() as i32;
            self.partitions.extend((known..*count).map(|p| (topic, p, 0)));
        }
        self.topics = counts.len();
    }

    fn next(&mut self) -> Fed {
        let turn = self.turn;
        self.turn += 1;
        if self.job == "smoke" {
            // A round of all keys goes to one topic, so that each topic has all of them.
            let (key, n) = (turn % KEYS, turn / KEYS);
            let topic = (n % self.topics as u64) as usize;
            let value = number(n).to_be_bytes().to_vec();
            let key = Some(format!("k{key:02}"));
            return Fed { topic, partition: None, key, value, timestamp_ms: None };
        }
        let at = (turn % self.partitions.len() as u64) as usize;
        let (topic, p, fed) = &mut self.partitions[at];
        let (topic, mut partition, n) = (*topic, Some(*p), *fed);
        let mut timestamp_ms = None;
        *fed += 1;
        let place = format!("t{topic:02}p{:02}", *p);
        let (key, value) = match self.job {
            "word_count" => (None, format!("{} {place}", (self.line)())),
            job => {
                let (key, n) = (n % KEYS_OF_PARTITION, n / KEYS_OF_PARTITION);
                let mut value = n.to_string();
                if job != "pass_through" {
                    // The key decides, as it does for what goes through a topic of the application.
                    partition = None;
                }
                if job == "pairs" {
                    timestamp_ms = Some(self.begin_ms + n as i64 * PAIR_STEP.as_millis() as i64);
                    value = format!("{n} {}", now_ms());
                }
                (Some(format!("{place}k{key:02}")), value)
            }
        };
        Fed { topic, partition, key, value: value.into_bytes(), timestamp_ms }
    }
}

/// The n-th number of a key: every one is the least or the greatest so far.
fn number(n: u64) -> i64 {
    let n = n as i64;
    if n % 2 == 0 { STEP + n } else { STEP - n }
}

/// Feeds an application until told to stop: how many records are in its inputs.
///
/// # Errors
///
/// When a record was not acknowledged.
pub(crate) fn feed(workload: &Workload, seed: u64, stop: &AtomicBool) -> anyhow::Result<u64> {
    let mut source = Source::new(workload.job, seed);
    let deliveries = Deliveries::default();
    let producer: ThreadedProducer<Deliveries> = client()
        .set("enable.idempotence", "true")
        // Few and large batches: the brokers have enough to do.
        .set("linger.ms", "50")
        .set("partitioner", "murmur2_random")
        // Longer than any fault lasts.
        .set("message.timeout.ms", "600000")
        .set("retry.backoff.max.ms", "200")
        .create_with_context(deliveries.clone())?;
    let (started, mut sent) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        source.learn(&workload.inputs.counts());
        let names = workload.inputs.names();
        let due = (started.elapsed().as_secs_f64() * workload.rate as f64) as u64;
        while sent < due {
            let fed = source.next();
            send(&producer, &names[fed.topic], &fed)?;
            sent += 1;
        }
        std::thread::sleep(STEP_TIME);
    }
    producer.flush(Duration::from_mins(2))?;
    let (acknowledged, failure) = deliveries.take();
    if acknowledged != sent {
        bail!(
            "{acknowledged} of {sent} records fed to {} were acknowledged: {failure:?}",
            workload.id
        );
    }
    Ok(sent)
}

/// How many records were acknowledged, and why one was not.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<(u64, Option<String>)>>);

impl Deliveries {
    fn take(&self) -> (u64, Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(_) => all.0 += 1,
            Err((error, _)) => {
                all.1.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

fn send(producer: &ThreadedProducer<Deliveries>, topic: &str, fed: &Fed) -> anyhow::Result<()> {
    let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(topic).payload(&*fed.value);
    record.timestamp = Some(fed.timestamp_ms.unwrap_or_else(now_ms));
    record.key = fed.key.as_deref();
    record.partition = fed.partition;
    let started = Instant::now();
    loop {
        let (error, back) = match producer.send(record) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        record = back;
        match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => {
                std::thread::sleep(STEP_TIME);
            }
            // A topic has grown, and the producer looks by itself every five minutes. The answer
            // may have been lost with a broker; the next one tells.
            KafkaError::MessageProduction(RDKafkaErrorCode::UnknownPartition)
                if started.elapsed() < LEARNING =>
            {
                if producer.client().fetch_metadata(Some(topic), ANSWER).is_err() {
                    std::thread::sleep(STEP_TIME);
                }
            }
            error => return Err(error).with_context(|| format!("feeding {topic}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::number_and_time_ms;

    fn source(job: &'static str, counts: &[i32]) -> Source {
        let mut source = Source::new(job, 1);
        source.learn(counts);
        source
    }

    #[test]
    fn a_key_of_the_pass_through_stays_in_its_partition_when_topics_grow_and_appear() {
        let mut source = source("pass_through", &[2]);
        let mut places = std::collections::BTreeMap::new();
        let mut numbers = std::collections::BTreeMap::new();
        for counts in [&[2][..], &[3], &[3, 1], &[4, 5]] {
            source.learn(counts);
            for _ in 0..500 {
                let fed = source.next();
                let place = (fed.topic, fed.partition);
                let key = fed.key.unwrap();
                assert_eq!(*places.entry(key.clone()).or_insert(place), place, "{key}");
                let number: &mut u64 = numbers.entry(key).or_default();
                assert_eq!(String::from_utf8(fed.value).unwrap(), number.to_string());
                *number += 1;
            }
        }
        assert_eq!(places.len(), 9 * KEYS_OF_PARTITION as usize);
    }

    #[test]
    fn the_numbers_of_a_pair_are_a_step_apart_whatever_the_clock_says() {
        let mut source = source("pairs", &[2, 2]);
        let mut times = std::collections::BTreeMap::new();
        for _ in 0..500 {
            let fed = source.next();
            assert_eq!(fed.partition, None);
            let (number, _) = number_and_time_ms(std::str::from_utf8(&fed.value).unwrap());
            let times: &mut Vec<i64> = times.entry((fed.topic, fed.key)).or_default();
            assert_eq!(number, times.len() as i64);
            times.push(fed.timestamp_ms.unwrap());
        }
        let step_ms = PAIR_STEP.as_millis() as i64;
        assert!(times.values().all(|times| times.windows(2).all(|t| t[0] + step_ms == t[1])));
        assert_eq!(times.len(), 4 * KEYS_OF_PARTITION as usize);
    }

    #[test]
    fn a_line_names_the_partition_it_goes_to() {
        let mut source = source("word_count", &[1, 1]);
        let fed = [source.next(), source.next()];
        let last = |fed: &Fed| {
            let line = String::from_utf8(fed.value.clone()).unwrap();
            line.split_whitespace().last().unwrap().to_owned()
        };
        assert_eq!([last(&fed[0]), last(&fed[1])], ["t00p00", "t01p00"]);
        assert_eq!([fed[0].topic, fed[1].topic], [0, 1]);
    }

    #[test]
    fn every_topic_of_the_smoke_test_has_every_key() {
        let mut source = source("smoke", &[4, 4, 4]);
        let fed: Vec<Fed> = (0..3 * KEYS).map(|_| source.next()).collect();
        for topic in 0..3 {
            let keys: std::collections::BTreeSet<_> =
                fed.iter().filter(|f| f.topic == topic).map(|f| f.key.clone()).collect();
            assert_eq!(keys.len(), KEYS as usize);
        }
    }
}
