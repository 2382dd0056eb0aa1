//! The settings of a driver, by the names of the configuration they stand for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::commit::Guarantee;
use oncestream_core::graph::{TopicRef, Topology};
use oncestream_core::handlers::{
    DeserializationExceptionHandler, ErrorHandlers, ProcessingExceptionHandler,
    ProductionExceptionHandler,
};
use oncestream_core::state::Backend;
use oncestream_core::task::TaskConfig;
use oncestream_stores::MemoryBackend;

use super::broker::Broker;
use super::crash::CrashPlan;
use super::plan::Plan;
use super::{DriverError, Sabotage, TopologyTestDriver};

/// Settings of a [`TopologyTestDriver`]; made by [`TopologyTestDriver::builder`].
pub struct TopologyTestDriverBuilder {
    topology: Topology,
    config: TaskConfig,
    counts: BTreeMap<Arc<str>, i32>,
    default_partitions: i32,
    commit_interval_ms: i64,
    cache_max_bytes: usize,
    handlers: ErrorHandlers,
    message_max_bytes: usize,
    wall_clock_ms: i64,
    backend: Arc<dyn Backend>,
    sabotage: Option<Sabotage>,
}

impl TopologyTestDriverBuilder {
    pub(super) fn new(topology: Topology) -> Self {
        Self {
            topology,
            config: TaskConfig::new("test"),
            counts: BTreeMap::new(),
            default_partitions: 1,
            commit_interval_ms: 0,
            cache_max_bytes: 10 << 20,
            handlers: ErrorHandlers::default(),
            message_max_bytes: usize::MAX,
            wall_clock_ms: 0,
            backend: Arc::new(MemoryBackend::new()),
            sabotage: None,
        }
    }

    /// `application.id`, in front of internal topics; `test` without it.
    #[must_use]
    pub fn application_id(mut self, id: &str) -> Self {
        self.config.application_id = id.into();
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
        self.config.guarantee = guarantee;
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
        self.config.max_task_idle_ms = idle_ms;
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

    /// Where the stores' data lies; in memory without it. What is in it survives a crash.
    #[must_use]
    pub fn backend(mut self, backend: Arc<dyn Backend>) -> Self {
        self.backend = backend;
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
        let named = self.topology.sub_topologies().iter();
        let named: Vec<TopicRef> = named.flat_map(|sub| self.topology.source_topics(sub)).collect();
        let user = named.into_iter().filter_map(|topic| match topic {
            TopicRef::User(name) => Some(name),
            TopicRef::Repartition(_) => None,
        });
        for topic in user {
            self.counts.entry(topic).or_insert(self.default_partitions);
        }
        self.config.handlers = Arc::new(self.handlers);
        let (plan, internal) = Plan::new(self.topology, self.config, &self.counts)?;
        let mut broker = Broker::new(self.default_partitions);
        for (topic, partitions) in &self.counts {
            broker.create_topic(topic, *partitions);
        }
        for topic in &internal.repartitions {
            broker.create_topic(&topic.topic, topic.partitions);
        }
        for topic in &internal.changelogs {
            broker.create_topic(&topic.topic, topic.partitions);
        }
        let mut driver = TopologyTestDriver {
            plan,
            broker: Rc::new(RefCell::new(broker)),
            backend: self.backend,
            worker: None,
            crashes: CrashPlan::default(),
            now_ms: self.wall_clock_ms,
            commit_interval_ms: self.commit_interval_ms,
            cache_max_bytes: self.cache_max_bytes,
            message_max_bytes: self.message_max_bytes,
            sabotage: self.sabotage,
        };
        driver.recover()?;
        Ok(driver)
    }
}
