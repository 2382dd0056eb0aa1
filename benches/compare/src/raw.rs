//! The jobs as a loop written by hand on rdkafka: poll, process, produce, commit.
//!
//! It shows what librdkafka can do on one thread when nobody has to write a library: byte keys,
//! no serdes, no restore, no rebalance, no recovery. Every error ends the process, and with it
//! the run. It is tuned as well as we know how; each setting below says why.
//!
//! `count` and `wordcount` keep their counts in memory. At a commit each dirty key gives one
//! record to the output and one to a changelog topic, as in Kafka Streams with its cache; what
//! the loop leaves out is the local store on disk. `wordcount` is both halves in one loop:
//! lines go out as words to a repartition topic, words come back from it and are counted.
//!
//! Invariant: at an idle moment no transaction is open, so SIGTERM may end the process anywhere
//! once all is committed.

mod output;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use rustc_hash::FxHashMap;

use self::output::Output;
use crate::job::{COMMIT_INTERVAL_MS, Job, RunSpec};

/// Runs `spec` until the process is ended.
///
/// # Errors
/// At the first error of any kind.
pub(crate) fn raw(spec: &RunSpec) -> Result<()> {
    let consumer = consumer(spec)?;
    let mut topics = vec![spec.input.as_str()];
    let repartition = spec.repartition();
    if spec.job == Job::WordCount {
        topics.push(&repartition);
    }
    consumer.subscribe(&topics)?;

    let mut output = Output::new(spec)?;
    let mut work = Work { spec, repartition: &repartition, counts: Counts::default() };
    let mut positions = Positions::new(&topics, spec.partitions as usize);
    let mut due = Instant::now() + Duration::from_millis(COMMIT_INTERVAL_MS);
    let mut polled = 0_u32;
    loop {
        let message = consumer.poll(Duration::from_millis(5)).transpose()?;
        if let Some(message) = &message {
            let from_repartition = topics.len() > 1 && message.topic() == repartition.as_str();
            work.process(message, from_repartition, &mut output)?;
            positions.passed(usize::from(from_repartition), message);
        }
        polled = polled.wrapping_add(1);
        if message.is_none() || polled.is_multiple_of(256) {
            output.poll();
            if Instant::now() >= due {
                work.flush(&mut output)?;
                output.commit(&consumer, &positions.take()?)?;
                due = Instant::now() + Duration::from_millis(COMMIT_INTERVAL_MS);
            }
        }
    }
}

fn consumer(spec: &RunSpec) -> Result<BaseConsumer> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", &spec.bootstrap_servers)
        .set("group.id", &spec.application_id)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        // With the default, 1000, fetching pauses for a second whenever the queue is full.
        .set("fetch.queue.backoff.ms", "5")
        .create()?)
}

/// The job itself.
struct Work<'a> {
    spec: &'a RunSpec,
    repartition: &'a str,
    counts: Counts,
}

impl Work<'_> {
    fn process(
        &mut self,
        message: &BorrowedMessage<'_>,
        from_repartition: bool,
        output: &mut Output,
    ) -> Result<()> {
        let timestamp = message.timestamp().to_millis();
        match self.spec.job {
            Job::Map => {
                let value = message.payload().unwrap_or_default().to_ascii_uppercase();
                output.send(&self.spec.output, message.key(), &value, timestamp)
            }
            Job::WordCount if !from_repartition => {
                let line = std::str::from_utf8(message.payload().unwrap_or_default())?;
                for word in line.split_whitespace() {
                    let word = word.as_bytes();
                    output.send(self.repartition, Some(word), word, timestamp)?;
                }
                Ok(())
            }
            Job::WindowCount | Job::StreamJoin | Job::TableJoin => {
                bail!("the loop written by hand has no windows and no joins")
            }
            Job::Count | Job::WordCount => {
                self.counts.add(message.key().context("a null key")?, timestamp);
                Ok(())
            }
        }
    }

    /// One record per dirty key to the changelog and one to the output.
    fn flush(&mut self, output: &mut Output) -> Result<()> {
        let changelog = self.spec.changelog();
        for id in self.counts.dirty.drain(..) {
            let entry = &mut self.counts.entries[id];
            entry.dirty = false;
            let count = entry.count.to_be_bytes();
            output.send(&changelog, Some(&entry.key), &count, entry.timestamp)?;
            output.send(&self.spec.output, Some(&entry.key), &count, entry.timestamp)?;
        }
        Ok(())
    }
}

/// Counts per key, and which of them changed since the last flush.
#[derive(Default)]
struct Counts {
    ids: FxHashMap<Box<[u8]>, usize>,
    entries: Vec<Entry>,
    dirty: Vec<usize>,
}

struct Entry {
    key: Box<[u8]>,
    count: u64,
    timestamp: Option<i64>,
    dirty: bool,
}

impl Counts {
    fn add(&mut self, key: &[u8], timestamp: Option<i64>) {
        let id = if let Some(id) = self.ids.get(key) {
            *id
        } else {
            let id = self.entries.len();
            self.ids.insert(key.into(), id);
            self.entries.push(Entry { key: key.into(), count: 0, timestamp: None, dirty: false });
            id
        };
        let entry = &mut self.entries[id];
        entry.count += 1;
        entry.timestamp = entry.timestamp.max(timestamp);
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push(id);
        }
    }
}

/// The next offset of every partition that moved since the last commit.
struct Positions<'a> {
    topics: &'a [&'a str],
    partitions: usize,
    next: Vec<Option<i64>>,
}

impl<'a> Positions<'a> {
    fn new(topics: &'a [&'a str], partitions: usize) -> Self {
        Self { topics, partitions, next: vec![None; topics.len() * partitions] }
    }

    fn passed(&mut self, topic: usize, message: &BorrowedMessage<'_>) {
        let at = topic * self.partitions + message.partition() as usize;
        self.next[at] = Some(message.offset() + 1);
    }

    fn take(&mut self) -> Result<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (at, next) in self.next.iter_mut().enumerate() {
            if let Some(next) = next.take() {
                let topic = self.topics[at / self.partitions];
                let partition = (at % self.partitions) as i32;
                list.add_partition_offset(topic, partition, Offset::Offset(next))?;
            }
        }
        Ok(list)
    }
}
