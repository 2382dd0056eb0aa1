//! What is to be measured, and the order in which it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::cluster::{Cluster, topic_name};
use super::figures::{Costs, Figures, Measurement};
use super::run::{Load, measure};
use super::variant::COMPARED;
use super::{Batches, CostError, Delivery, Variant};

/// A producer's record holds its number, so that the topic can be checked.
const LEAST_RECORD_BYTES: usize = 8;
/// What brokers take by default, with room for the headers of a batch.
const MOST_RECORD_BYTES: usize = 1_000_000;
/// Share of the records with which each producer is tried before anything counts.
const WARM_UP: u64 = 5;

/// What is to be measured. It begins with defaults that give quotable figures in some minutes.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use oncestream_broker::Broker;
/// use oncestream_lab::cost::Plan;
///
/// let broker = Broker::builder().start_blocking()?;
/// let plan = Plan::new(broker.bootstrap_servers())
///     .records(100)
///     .paced(1_000, Duration::from_millis(20))
///     .rounds(1)
///     .commit_intervals([Duration::from_millis(10)]);
/// let costs = plan.run(&mut |progress| println!("{progress}"))?;
/// println!("{}", costs.table());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) servers: String,
    pub(super) records: u64,
    pub(super) record_bytes: usize,
    pub(super) rate: u32,
    pub(super) pace_for: Duration,
    pub(super) rounds: usize,
    pub(super) partitions: i32,
    pub(super) replication_factor: i32,
    pub(super) topic_settings: BTreeMap<String, String>,
    pub(super) client_settings: BTreeMap<String, String>,
    commit_intervals: Vec<Duration>,
    batches: Vec<Batches>,
    stopped: Arc<AtomicBool>,
}

/// What a plan is at.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The round; 0 is the one that warms up.
    pub round: usize,
    /// How many rounds count.
    pub rounds: usize,
    /// The producer that was measured.
    pub variant: Variant,
    /// What it did.
    pub records_per_second: f64,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.round {
            0 => f.write_str("warming up")?,
            round => write!(f, "round {round} of {}", self.rounds)?,
        }
        write!(f, ": {}: {:.0} records/s", self.variant, self.records_per_second)
    }
}

impl Plan {
    /// All producers, on the Kafka at these addresses.
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self {
            servers: bootstrap_servers.into(),
            records: 500_000,
            record_bytes: 100,
            rate: 1_000,
            pace_for: Duration::from_secs(3),
            rounds: 5,
            partitions: 6,
            replication_factor: -1,
            topic_settings: BTreeMap::new(),
            client_settings: BTreeMap::new(),
            commit_intervals: [10, 100, 1000].map(Duration::from_millis).to_vec(),
            batches: Batches::ALL.to_vec(),
            stopped: Arc::default(),
        }
    }

    /// Records that each producer sends as fast as it can. The default is 500,000.
    #[must_use]
    pub fn records(mut self, records: u64) -> Self {
        self.records = records;
        self
    }

    /// The size of a record's value in bytes; it has no key. The default is 100.
    #[must_use]
    pub fn record_bytes(mut self, bytes: usize) -> Self {
        self.record_bytes = bytes;
        self
    }

    /// Records a second for the latency, and for how long. The default is 1,000 for 3 s.
    #[must_use]
    pub fn paced(mut self, records_per_second: u32, time: Duration) -> Self {
        self.rate = records_per_second;
        self.pace_for = time;
        self
    }

    /// How often each producer is measured. The default is 5.
    #[must_use]
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// Partitions of each topic. The default is 6.
    #[must_use]
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = partitions;
        self
    }

    /// Replicas of each partition. The default, -1, is the brokers'.
    #[must_use]
    pub fn replication_factor(mut self, replicas: i32) -> Self {
        self.replication_factor = replicas;
        self
    }

    /// A setting of the topics, such as `min.insync.replicas`.
    #[must_use]
    pub fn topic_setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.topic_settings.insert(key.into(), value.into());
        self
    }

    /// A setting of all clients, under librdkafka's name: how to reach the brokers, or compression.
    ///
    /// # Errors
    ///
    /// [`CostError::Compared`] if producers differ in it.
    pub fn client_setting(
        mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, CostError> {
        let key = key.into();
        if COMPARED.contains(&key.as_str()) {
            return Err(CostError::Compared { key });
        }
        self.client_settings.insert(key, value.into());
        Ok(self)
    }

    /// How often transactional producers commit, one producer each. The default is every 10, 100
    /// and 1000 ms.
    #[must_use]
    pub fn commit_intervals(mut self, intervals: impl IntoIterator<Item = Duration>) -> Self {
        self.commit_intervals = intervals.into_iter().collect();
        self
    }

    /// Which batches are measured. The default is both.
    #[must_use]
    pub fn batches(mut self, batches: impl IntoIterator<Item = Batches>) -> Self {
        self.batches = batches.into_iter().collect();
        self
    }

    /// The producers, in the order in which they are told.
    pub fn variants(&self) -> Vec<Variant> {
        let transactional = self
            .commit_intervals
            .iter()
            .map(|interval| Delivery::Transactional { commit_interval: *interval });
        let deliveries: Vec<_> = [Delivery::AcksOne, Delivery::AcksAll, Delivery::Idempotent]
            .into_iter()
            .chain(transactional)
            .collect();
        let of = |batches| deliveries.iter().map(move |d| Variant { delivery: *d, batches });
        self.batches.iter().flat_map(|batches| of(*batches)).collect()
    }

    /// Makes a run end soon with [`CostError::Stopped`], its topic deleted, and every later one at
    /// once. May be called from another thread, on a clone.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn check_stopped(&self) -> Result<(), CostError> {
        if self.stopped.load(Ordering::Relaxed) { Err(CostError::Stopped) } else { Ok(()) }
    }

    /// Measures: once with few records and for nothing, then in as many rounds as were asked for,
    /// every second one in reverse, so that what changes with time meets all producers alike.
    ///
    /// Each producer gets a topic of its own, which is deleted afterwards, also if something fails.
    /// It blocks; from asynchronous code call it on a thread of its own.
    ///
    /// # Errors
    ///
    /// The first thing that kept a figure from being right: see [`CostError`].
    pub fn run(&self, progress: &mut dyn FnMut(&Progress)) -> Result<Costs, CostError> {
        self.check()?;
        let cluster = Cluster::reach(self)?;
        let mut measurements: Vec<Measurement> =
            self.variants().into_iter().map(Measurement::new).collect();
        let mut conditions = None;
        for round in 0..=self.rounds {
            let count = measurements.len();
            for turn in 0..count {
                let at = if round.is_multiple_of(2) { turn } else { count - 1 - turn };
                let Some(measurement) = measurements.get_mut(at) else { continue };
                let variant = measurement.variant;
                let load = self.load(round);
                let figures = self.on_a_topic(&cluster, |topic| {
                    if conditions.is_none() {
                        conditions = Some(cluster.conditions(self, topic));
                    }
                    measure(self, variant, topic, load)
                })?;
                let records_per_second = figures.records_per_second;
                let rounds = self.rounds;
                progress(&Progress { round, rounds, variant, records_per_second });
                if round > 0 {
                    measurement.runs.push(figures);
                }
            }
        }
        let conditions = conditions.unwrap_or_default();
        Ok(Costs { conditions, measurements })
    }

    fn load(&self, round: usize) -> Load {
        let paced = (self.pace_for.as_secs_f64() * f64::from(self.rate)).ceil() as u64;
        let share = if round == 0 { WARM_UP } else { 1 };
        Load { records: (self.records / share).max(1), paced: (paced / share).max(1) }
    }

    /// A topic is made for one producer and deleted, whatever happens.
    fn on_a_topic(
        &self,
        cluster: &Cluster,
        work: impl FnOnce(&str) -> Result<Figures, CostError>,
    ) -> Result<Figures, CostError> {
        self.check_stopped()?;
        let topic = topic_name();
        let outcome = cluster.create(self, &topic).and_then(|()| work(&topic));
        match (outcome, cluster.delete(&topic)) {
            (outcome, Ok(())) => outcome,
            (outcome, Err(error)) => {
                let outcome = outcome.map_or_else(|error| error.to_string(), |_| "measured".into());
                Err(CostError::Left { topic, outcome, error: Box::new(error) })
            }
        }
    }

    fn check(&self) -> Result<(), CostError> {
        let refuse = |what, reason: &str| Err(CostError::Plan { what, reason: reason.to_owned() });
        if self.records == 0 {
            return refuse("records", "at least one is needed");
        }
        if !(LEAST_RECORD_BYTES..=MOST_RECORD_BYTES).contains(&self.record_bytes) {
            return refuse("bytes of a record", "8 to 1000000 are possible");
        }
        if self.rate == 0 || self.pace_for.is_zero() {
            return refuse("the pace", "one record a second is the least, and some time is needed");
        }
        if self.rounds == 0 {
            return refuse("rounds", "at least one is needed");
        }
        if self.partitions < 1 {
            return refuse("partitions", "at least one is needed");
        }
        if self.batches.is_empty() {
            return refuse("batches", "small, large or both");
        }
        let long = Duration::from_secs(30);
        if self.commit_intervals.iter().any(|interval| interval.is_zero() || *interval > long) {
            return refuse("commit intervals", "1 ms to 30 s are possible");
        }
        Ok(())
    }
}
