//! The settings of a driver, by the names of the configuration they stand for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::commit::Guarantee;
use oncestream_core::graph::Topology;
use oncestream_core::handlers::{
    DeserializationExceptionHandler, ErrorHandlers, ProcessingExceptionHandler,
    ProductionExceptionHandler,
};
use oncestream_core::state::Backend;
use oncestream_engine::{AutoOffsetReset, Participant, WorkerSettings};
use oncestream_stores::MemoryBackend;

use super::instance::Instance;
use super::ports::{Options, World};
use super::records::TestClient;
use super::{DriverError, Sabotage, TopologyTestDriver};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// So many records are processed before the commit is looked at, unless one follows each.
const RECORDS_PER_TURN: usize = 500;

/// Makes what takes part in the commits of a worker, anew for each of its lives.
pub(super) type Participants = Vec<Arc<dyn Fn(usize) -> Box<dyn Participant> + Send + Sync>>;

/// Settings of a [`TopologyTestDriver`]; made by [`TopologyTestDriver::builder`].
///
/// ```
/// # use oncestream_operators::StreamsBuilder;
/// # use oncestream_testkit::TopologyTestDriver;
/// # let builder = StreamsBuilder::new();
/// # builder.stream::<String, Option<i64>>("in").to("out");
/// # let topology = builder.build()?;
/// let mut driver =
///     TopologyTestDriver::builder(topology).partitions("in", 2).commit_interval_ms(100).build()?;
/// let input = driver.input::<String, i64>("in");
/// driver.pipe(&input, "a".into(), 1, 0)?;
/// assert!(driver.topic("out").is_empty(), "nothing is committed yet");
/// driver.advance_wall_clock(100)?;
/// assert_eq!(driver.topic("out").len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TopologyTestDriverBuilder {
    pub(super) topology: Topology,
    pub(super) application_id: Arc<str>,
    pub(super) guarantee: Guarantee,
    max_task_idle_ms: i64,
    counts: BTreeMap<Arc<str>, i32>,
    default_partitions: i32,
    commit_interval_ms: i64,
    cache_max_bytes: usize,
    handlers: ErrorHandlers,
    message_max_bytes: usize,
    wall_clock_ms: i64,
    backends: Vec<Arc<dyn Backend>>,
    waiting_max_bytes: Option<usize>,
    instances: usize,
    participants: Participants,
    sabotage: Option<Sabotage>,
}

impl TopologyTestDriverBuilder {
    pub(super) fn new(topology: Topology) -> Self {
        Self {
            topology,
            application_id: "test".into(),
            guarantee: Guarantee::ExactlyOnce,
            max_task_idle_ms: 0,
            counts: BTreeMap::new(),
            default_partitions: 1,
            commit_interval_ms: 0,
            cache_max_bytes: 10 << 20,
            handlers: ErrorHandlers::default(),
            message_max_bytes: usize::MAX,
            wall_clock_ms: 0,
            backends: Vec::new(),
            waiting_max_bytes: None,
            instances: 1,
            participants: Vec::new(),
            sabotage: None,
        }
    }

    /// `application.id`, in front of internal topics; `test` without it.
    #[must_use]
    pub fn application_id(mut self, id: &str) -> Self {
        self.application_id = id.into();
        self
    }

    /// Gives a topic so many partitions. Topics that are not named here have one, unless
    /// [`Self::default_partitions`] says otherwise. A source that reads by a pattern finds the
    /// topics named here.
    #[must_use]
    pub fn partitions(mut self, topic: &str, partitions: i32) -> Self {
        self.counts.insert(topic.into(), partitions);
        self
    }

    /// The partitions of topics that are not named with [`Self::partitions`].
    #[must_use]
    pub fn default_partitions(mut self, partitions: i32) -> Self {
        self.default_partitions = partitions;
        self
    }

    /// `commit.interval.ms`, in milliseconds of the driver's wall clock. 0, the default, commits
    /// after every record, as Kafka Streams' driver does.
    #[must_use]
    pub fn commit_interval_ms(mut self, interval_ms: i64) -> Self {
        self.commit_interval_ms = interval_ms;
        self
    }

    /// `statestore.cache.max.bytes`; 10 MiB without it. 0 turns caching off.
    #[must_use]
    pub fn cache_max_bytes(mut self, bytes: usize) -> Self {
        self.cache_max_bytes = bytes;
        self
    }

    /// `processing.guarantee`; exactly once without it.
    #[must_use]
    pub fn guarantee(mut self, guarantee: Guarantee) -> Self {
        self.guarantee = guarantee;
        self
    }

    /// Where the wall clock starts, in milliseconds; 0 without it.
    #[must_use]
    pub fn wall_clock_ms(mut self, now_ms: i64) -> Self {
        self.wall_clock_ms = now_ms;
        self
    }

    /// `max.task.idle.ms`, in milliseconds of the driver's wall clock; 0 without it.
    #[must_use]
    pub fn max_task_idle_ms(mut self, idle_ms: i64) -> Self {
        self.max_task_idle_ms = idle_ms;
        self
    }

    /// What to do with a record that cannot be deserialised; log and fail without it.
    #[must_use]
    pub fn deserialization_exception_handler(
        mut self,
        handler: impl DeserializationExceptionHandler + 'static,
    ) -> Self {
        self.handlers.deserialization = Arc::new(handler);
        self
    }

    /// What to do when a user's function fails; log and fail without it.
    #[must_use]
    pub fn processing_exception_handler(
        mut self,
        handler: impl ProcessingExceptionHandler + 'static,
    ) -> Self {
        self.handlers.processing = Arc::new(handler);
        self
    }

    /// What to do with a record that a sink cannot write; log and fail without it.
    #[must_use]
    pub fn production_exception_handler(
        mut self,
        handler: impl ProductionExceptionHandler + 'static,
    ) -> Self {
        self.handlers.production = Arc::new(handler);
        self
    }

    /// `producer.message.max.bytes`: the producer refuses a larger key and value. No bound without
    /// it.
    #[must_use]
    pub fn message_max_bytes(mut self, bytes: usize) -> Self {
        self.message_max_bytes = bytes;
        self
    }

    /// Where the stores' data lies; in memory without it. What is in it survives a crash. With several
    /// instances, the first call is for the first, and so on.
    #[doc(hidden)]
    #[must_use]
    pub fn backend(mut self, backend: Arc<dyn Backend>) -> Self {
        self.backends.push(backend);
        self
    }

    /// Lets committed rows of stores wait in memory until they have so many bytes, about, as an instance
    /// on Kafka lets them wait for `statestore.write.interval.ms`. A crash takes those that wait, and the
    /// changelogs bring them back. Without it they are on the disk after each commit.
    #[must_use]
    pub fn write_behind(mut self, max_bytes: usize) -> Self {
        self.waiting_max_bytes = Some(max_bytes);
        self
    }

    /// How many instances the application has; one without it. Each has a worker and a disk of its own,
    /// and the group assigns partitions to them as Kafka does.
    #[must_use]
    pub fn instances(mut self, count: usize) -> Self {
        self.instances = count.max(1);
        self
    }

    /// Writes a dead letter to this topic for each record that operators drop although nothing failed,
    /// such as a late one: what `errors.dead.letter.queue.dropped.records.enable` sets.
    #[must_use]
    pub fn dropped_records_to(mut self, topic: &str) -> Self {
        self.handlers.dropped_records_topic = Some(topic.into());
        self
    }

    /// What changes together with the transactions of each instance, beside its stores. It is made anew
    /// whenever an instance starts, so that what it keeps in memory is lost in a crash.
    #[doc(hidden)]
    #[must_use]
    pub fn participant(
        mut self,
        make: impl Fn(usize) -> Box<dyn Participant> + Send + Sync + 'static,
    ) -> Self {
        self.participants.push(Arc::new(make));
        self
    }

    /// Breaks a rule of exactly once, to show that a test notices.
    #[doc(hidden)]
    #[must_use]
    pub fn sabotage(mut self, sabotage: Sabotage) -> Self {
        self.sabotage = Some(sabotage);
        self
    }

    /// Makes the topics and starts the tasks.
    ///
    /// # Errors
    /// When the topology does not fit the topics, or a task cannot be made.
    pub fn build(mut self) -> Result<TopologyTestDriver, DriverError> {
        for topic in self.topology.source_topics() {
            self.counts.entry(topic).or_insert(self.default_partitions);
        }
        let options = Options {
            default_partitions: self.default_partitions,
            message_max_bytes: self.message_max_bytes,
            sabotage: self.sabotage,
        };
        let world = Arc::new(World::new(options, self.wall_clock_ms));
        for (topic, partitions) in &self.counts {
            world.create_topic(topic, *partitions, &[])?;
        }
        let handlers = Arc::new(self.handlers.clone());
        let mut backends = std::mem::take(&mut self.backends).into_iter();
        let instances = (1..=self.instances).map(|number| {
            let backend = backends.next().unwrap_or_else(|| Arc::new(MemoryBackend::new()));
            let settings = self.settings(number, &handlers);
            Instance::new(settings, backend, self.waiting_max_bytes, self.participants.clone())
        });
        let mut driver = TopologyTestDriver {
            instances: instances.collect(),
            client: TestClient::new(&world),
            application_id: self.application_id,
            topology: self.topology,
            world,
        };
        driver.recover()?;
        driver.world.crashes().restart();
        Ok(driver)
    }

    /// The settings of an instance's worker.
    fn settings(&self, number: usize, handlers: &Arc<ErrorHandlers>) -> WorkerSettings {
        let interval = u64::try_from(self.commit_interval_ms).unwrap_or(0);
        WorkerSettings {
            application_id: self.application_id.clone(),
            instance_id: format!("instance-{number}").into(),
            bootstrap_servers: "the driver".into(),
            guarantee: self.guarantee,
            commit_interval: Duration::from_millis(interval),
            poll: Duration::ZERO,
            transaction_timeout: Duration::from_secs(10),
            session_timeout: Duration::from_secs(45),
            max_poll_interval: Duration::from_mins(5),
            // Tests look at what repartition topics hold.
            repartition_purge_interval: NEVER,
            auto_offset_reset: AutoOffsetReset::Earliest,
            cache_max_bytes: self.cache_max_bytes,
            uncommitted_max_bytes: None,
            buffered_records_per_partition: 1000,
            records_per_turn: if interval == 0 { 1 } else { RECORDS_PER_TURN },
            max_task_idle_ms: self.max_task_idle_ms,
            global_restore_timeout: NEVER,
            dead_letter_topic: None,
            handlers: handlers.clone(),
            has_own_client_ids: true,
        }
    }
}
