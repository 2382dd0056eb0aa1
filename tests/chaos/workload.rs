//! The three applications under fire: their topics, their instances and what is fed to them.
//!
//! | job | input | output |
//! |---|---|---|
//! | `pass_through` | each key's numbers from 0 on | the same |
//! | `word_count` | lines of four words; a repartition topic; no cache | every count of every word, from 1 on |
//! | `smoke` | each key's numbers, ever further from a middle | least, greatest and sum, cached |
//!
//! Knows nothing of faults. Invariant: what is fed is in the input topic once, or the run says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use oncestream_tests::app::{Guarantee, PARTITIONS};
use oncestream_tests::feed::lines;
use oncestream_tests::instance::Instance;
use oncestream_tests::kafka::{client, create_topics, kafka};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::verify::STEP;
use crate::watch::now_ms;

const KEYS: u64 = 64;
const VOCABULARY: usize = 400;
/// Records are fed in steps of this.
const FEED_STEP: Duration = Duration::from_millis(10);

/// How instances run. Sessions are short, so that take-overs are frequent.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) guarantee: Guarantee,
    pub(crate) session_ms: u64,
    /// What the runtime is told to do wrong.
    pub(crate) sabotage: Option<String>,
}

impl Settings {
    fn list(&self) -> Vec<String> {
        let mut list = vec![format!("session.timeout.ms={}", self.session_ms)];
        match self.guarantee {
            Guarantee::ExactlyOnce => {
                list.push("processing.guarantee=exactly_once".to_owned());
                list.push("commit.interval.ms=100".to_owned());
                list.push(format!("transaction.timeout.ms={}", self.session_ms - 1000));
            }
            Guarantee::AtLeastOnce => {
                list.push("processing.guarantee=at_least_once".to_owned());
                list.push("commit.interval.ms=1000".to_owned());
            }
        }
        list
    }
}

/// One application.
pub(crate) struct Workload {
    /// Its job and its name.
    pub(crate) job: &'static str,
    pub(crate) id: String,
    pub(crate) input: String,
    pub(crate) output: String,
    /// Records a second.
    pub(crate) rate: usize,
    settings: Settings,
    folder: PathBuf,
    starts: AtomicUsize,
}

impl Workload {
    /// All three, with their topics made; `rate` is shared among them.
    pub(crate) fn all(folder: &Path, settings: &Settings, rate: usize) -> Vec<Self> {
        // In per cent. A line of four words is more work than four records.
        [("pass_through", 45), ("word_count", 10), ("smoke", 45)]
            .into_iter()
            .map(|(job, part)| Self::new(job, folder, settings, rate * part / 100))
            .collect()
    }

    fn new(job: &'static str, folder: &Path, settings: &Settings, rate: usize) -> Self {
        let id = format!("chaos-{}", job.replace('_', "-"));
        let (input, output) = (format!("{id}-input"), format!("{id}-output"));
        create_topics(&[&input, &output], PARTITIONS);
        let (folder, settings) = (folder.join(job), settings.clone());
        Self { job, id, input, output, rate, settings, folder, starts: AtomicUsize::new(0) }
    }

    /// Its stores.
    pub(crate) fn stores(&self) -> &'static [&'static str] {
        match self.job {
            "word_count" => &["counts"],
            "smoke" => &["min", "max", "sum"],
            _ => &[],
        }
    }

    pub(crate) fn changelog(&self, store: &str) -> String {
        format!("{}-{store}-changelog", self.id)
    }

    /// How long the group waits for a member that is silent.
    pub(crate) fn session(&self) -> Duration {
        Duration::from_millis(self.settings.session_ms)
    }

    /// The topics it reads, upstream first.
    pub(crate) fn sources(&self) -> Vec<String> {
        let mut sources = vec![self.input.clone()];
        if self.job == "word_count" {
            sources.push(format!("{}-counts-repartition", self.id));
        }
        sources
    }

    /// The topics it writes.
    pub(crate) fn written(&self) -> Vec<String> {
        let mut topics = self.sources().split_off(1);
        topics.extend(self.stores().iter().map(|store| self.changelog(store)));
        topics.push(self.output.clone());
        topics
    }

    pub(crate) fn state_dir(&self, slot: usize) -> PathBuf {
        self.folder.join(format!("state-{slot}"))
    }

    /// Starts an instance in a slot: this program again, in its other role.
    pub(crate) fn start(&self, slot: usize) -> anyhow::Result<Instance> {
        std::fs::create_dir_all(&self.folder)?;
        let state_dir = self.state_dir(slot).display().to_string();
        let mut args = vec!["instance".to_owned()];
        for (flag, value) in [
            ("--bootstrap-servers", kafka().bootstrap_servers()),
            ("--application-id", &self.id),
            ("--job", self.job),
            ("--input", &self.input),
            ("--output", &self.output),
            ("--state-dir", &state_dir),
        ] {
            args.extend([flag.to_owned(), value.to_owned()]);
        }
        let mut set = self.settings.list();
        if self.job == "word_count" {
            // Every count is seen, so that every record is checked and not only the last.
            set.push("statestore.cache.max.bytes=0".to_owned());
        }
        args.extend(set.into_iter().flat_map(|setting| ["--set".to_owned(), setting]));
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.join(format!("{start:04}-instance-{slot}.log"));
        let sabotage = self.settings.sabotage.as_deref();
        let environment: Vec<_> =
            sabotage.map(|s| ("ONCESTREAM_SABOTAGE", s)).into_iter().collect();
        Ok(Instance::start_with(&std::env::current_exe()?, &args, &environment, log))
    }

    /// The last line that the last instance in a slot logged.
    pub(crate) fn last_words(&self, slot: usize) -> String {
        let suffix = format!("-instance-{slot}.log");
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let logs = files.map(|f| f.path()).filter(|p| p.to_string_lossy().ends_with(&suffix));
        let text = logs.max().and_then(|log| std::fs::read_to_string(log).ok());
        text.and_then(|t| t.lines().last().map(str::to_owned)).unwrap_or_default()
    }

    /// Feeds its input until told to stop: how many records are in it.
    pub(crate) fn feed(&self, seed: u64, stop: &AtomicBool) -> anyhow::Result<u64> {
        let mut turn = 0;
        let mut line = lines(seed, VOCABULARY);
        let mut next = || {
            let (key, n) = (turn % KEYS, turn / KEYS);
            turn += 1;
            match self.job {
                "word_count" => (None, line().into_bytes()),
                "smoke" => (Some(format!("k{key:02}")), number(n).to_be_bytes().to_vec()),
                _ => (Some(format!("k{key:02}")), n.to_string().into_bytes()),
            }
        };
        let deliveries = Deliveries::default();
        let producer: ThreadedProducer<Deliveries> = client()
            .set("enable.idempotence", "true")
            // Few and large batches: the brokers have enough to do.
            .set("linger.ms", "50")
            .set("partitioner", "murmur2_random")
            .set("sticky.partitioning.linger.ms", "0")
            // Longer than any fault lasts.
            .set("message.timeout.ms", "600000")
            .set("retry.backoff.max.ms", "200")
            .create_with_context(deliveries.clone())?;
        let (started, mut sent) = (Instant::now(), 0);
        while !stop.load(Ordering::Relaxed) {
            let due = (started.elapsed().as_secs_f64() * self.rate as f64) as u64;
            while sent < due {
                let (key, value) = next();
                send(&producer, &self.input, key.as_deref(), &value)?;
                sent += 1;
            }
            std::thread::sleep(FEED_STEP);
        }
        producer.flush(Duration::from_mins(2))?;
        let acknowledged = deliveries.0.load(Ordering::Relaxed);
        if acknowledged != sent {
            bail!("{acknowledged} of {sent} records fed to {} were acknowledged", self.input);
        }
        Ok(sent)
    }
}

/// The n-th number of a key: every one is the least or the greatest so far.
fn number(n: u64) -> i64 {
    let n = n as i64;
    if n % 2 == 0 { STEP + n } else { STEP - n }
}

/// How many records were acknowledged.
#[derive(Clone, Default)]
struct Deliveries(Arc<AtomicU64>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.0.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
    }
}

fn send(
    producer: &ThreadedProducer<Deliveries>,
    topic: &str,
    key: Option<&str>,
    value: &[u8],
) -> anyhow::Result<()> {
    let mut record: BaseRecord<'_, str, [u8]> =
        BaseRecord::to(topic).payload(value).timestamp(now_ms());
    record.key = key;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                std::thread::sleep(FEED_STEP);
            }
            Err((e, _)) => return Err(e).context("feeding"),
        }
    }
}
