//! [`TopologyTestDriver`]: runs a topology without Kafka, in milliseconds, and can crash it.
//!
//! The driver is a Kafka in memory, one worker with all tasks of the topology, and a state
//! backend. It has no threads and no clock of its own: time moves when the test says so.
//!
//! What a topology does here it does in the runtime, for both run the same tasks and the same
//! commit machine:
//! - Piped records are processed until no task has anything to do. With a commit interval of 0 a
//!   commit follows every record, as in Kafka Streams' driver. With a larger one a commit comes
//!   when the wall clock has advanced by that much, when a processor asks for it, or when the
//!   test calls [`TopologyTestDriver::commit`].
//! - All tasks share one transaction. What one sub-topology writes to a repartition topic is seen
//!   by the next after the commit, under exactly once; and at once, under at least once.
//! - After a crash only three things are left: committed records and offsets, records that are
//!   visible because no transaction hides them, and what was applied to the backend.

mod broker;
mod builder;
mod crash;
mod error;
mod io;
mod plan;
mod store;
mod worker;

use std::any::type_name;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::graph::Topology;
use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::state::{Backend, Kind, Store};
use oncestream_core::task::{Origin, Outgoing, Task};
use oncestream_core::{Record, TimestampMs, TopicPartition};

pub use broker::StoredRecord;
pub use builder::TopologyTestDriverBuilder;
pub use crash::CommitStep;
pub use error::DriverError;
pub use io::{TestInput, TestOutput};
pub use store::TestStore;

use broker::Broker;
use crash::CrashPlan;
use plan::Plan;
use worker::{Worker, WorkerEnv};

/// A rule of exactly once to break, to show that a test notices.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Offsets count when they are sent, not when the transaction commits.
    OffsetsOutsideTransaction,
    /// Stores are applied before the commit.
    ApplyBeforeCommit,
    /// Every restore reads the whole changelog.
    NoCheckpoints,
}

/// Runs a topology without Kafka.
///
/// ```
/// use oncestream_operators::{Materialized, StreamsBuilder};
/// use oncestream_testkit::TopologyTestDriver;
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<Option<String>, String>("lines")
///     .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
///     .group_by(|_, word| word.clone())
///     .count(Materialized::named("counts"))
///     .to_stream()
///     .to("counts");
///
/// let mut driver = TopologyTestDriver::builder(builder.build()?).partitions("lines", 3).build()?;
/// let lines = driver.input::<Option<String>, String>("lines");
/// let mut counts = driver.output::<String, Option<i64>>("counts");
/// driver.pipe(&lines, None, "to be or not to be".into(), 0)?;
/// assert_eq!(counts.read_last_per_key()?["be"], Some(2));
/// assert_eq!(driver.store::<String, i64>("counts")?.get(&"or".into())?, Some(1));
///
/// driver.crash();
/// driver.recover()?;
/// driver.pipe(&lines, None, "be".into(), 1)?;
/// assert_eq!(counts.read_last_per_key()?["be"], Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TopologyTestDriver {
    plan: Plan,
    broker: Rc<RefCell<Broker>>,
    backend: Arc<dyn Backend>,
    /// `None` after a crash.
    worker: Option<Worker>,
    crashes: CrashPlan,
    now_ms: i64,
    commit_interval_ms: i64,
    cache_max_bytes: usize,
    message_max_bytes: usize,
    sabotage: Option<Sabotage>,
}

impl TopologyTestDriver {
    /// Settings for a driver of this topology.
    pub fn builder(topology: Topology) -> TopologyTestDriverBuilder {
        TopologyTestDriverBuilder::new(topology)
    }

    /// An input topic, with the serdes of the types.
    pub fn input<K: HasSerde, V: HasSerde>(&self, topic: &str) -> TestInput<K, V> {
        self.input_with(topic, K::serde(), V::serde())
    }

    /// An input topic, with these serdes.
    pub fn input_with<K, V>(
        &self,
        topic: &str,
        key_serde: DynSerde<K>,
        value_serde: DynSerde<V>,
    ) -> TestInput<K, V> {
        TestInput { topic: topic.into(), key_serde, value_serde }
    }

    /// An output topic, with the serdes of the types.
    pub fn output<K: HasSerde, V: HasSerde>(&self, topic: &str) -> TestOutput<K, V> {
        self.output_with(topic, K::serde(), V::serde())
    }

    /// An output topic, with these serdes.
    pub fn output_with<K, V>(
        &self,
        topic: &str,
        key_serde: DynSerde<K>,
        value_serde: DynSerde<V>,
    ) -> TestOutput<K, V> {
        TestOutput::new(topic.into(), self.broker.clone(), key_serde, value_serde)
    }

    /// Writes a record to an input topic and processes it. Its partition follows from the key,
    /// as with a Java producer.
    ///
    /// While the driver is down the record waits in the topic.
    ///
    /// # Errors
    /// When a serde or a task fails, or a crash was asked for.
    pub fn pipe<K, V>(
        &mut self,
        input: &TestInput<K, V>,
        key: K,
        value: V,
        timestamp: TimestampMs,
    ) -> Result<(), DriverError> {
        self.pipe_record(input, &Record::new(key, value, timestamp), None)
    }

    /// Writes a record with headers, to a partition if one is given, and processes it.
    ///
    /// # Errors
    /// As [`Self::pipe`].
    pub fn pipe_record<K, V>(
        &mut self,
        input: &TestInput<K, V>,
        record: &Record<K, V>,
        partition: Option<i32>,
    ) -> Result<(), DriverError> {
        self.produce(input, record, partition)?;
        self.run()
    }

    /// Writes a record and processes nothing; [`Self::run`] does. For tests of the order in
    /// which records that wait are taken.
    ///
    /// # Errors
    /// When a serde fails, or there is no such partition.
    pub fn produce<K, V>(
        &mut self,
        input: &TestInput<K, V>,
        record: &Record<K, V>,
        partition: Option<i32>,
    ) -> Result<(), DriverError> {
        let key = input.bytes(&*input.key_serde, &record.key)?;
        let value = input.bytes(&*input.value_serde, &record.value)?;
        let outgoing = Outgoing {
            topic: &input.topic,
            partition,
            key: key.as_deref(),
            value: value.as_deref(),
            timestamp: record.timestamp,
            headers: &record.headers,
            origin: Origin::Sink,
        };
        self.broker.borrow_mut().append(&outgoing, false)?;
        Ok(())
    }

    /// Processes what is visible until no task has anything to do, with the commits that are
    /// due. Does nothing while the driver is down.
    ///
    /// # Errors
    /// When a task fails, or a crash was asked for.
    pub fn run(&mut self) -> Result<(), DriverError> {
        if self.worker.is_none() {
            return Ok(());
        }
        loop {
            let mut progress = false;
            for task in 0..self.plan.tasks.len() {
                let now_ms = self.now_ms;
                if !self.guarded(|worker, _| worker.process_one(task, now_ms))? {
                    continue;
                }
                progress = true;
                let asked = self.guarded(|worker, _| Ok(worker.take_commit_request()))?;
                if asked || self.commit_interval_ms <= 0 {
                    self.commit_now()?;
                }
            }
            if !progress {
                return Ok(());
            }
        }
    }

    /// Moves the wall clock: runs the punctuations that are due, commits if the commit interval
    /// is over, and processes what became visible.
    ///
    /// # Errors
    /// When the driver is down, a task fails, or a crash was asked for.
    pub fn advance_wall_clock(&mut self, by_ms: i64) -> Result<(), DriverError> {
        self.now_ms += by_ms;
        let (now_ms, interval_ms) = (self.now_ms, self.commit_interval_ms);
        let due = self.guarded(|worker, _| {
            worker.punctuate_wall_clock(now_ms)?;
            Ok(worker.is_commit_due(now_ms, interval_ms) || worker.take_commit_request())
        })?;
        if due {
            self.commit_now()?;
        }
        self.run()
    }

    /// Commits once, then processes what became visible. That is not committed; see
    /// [`Self::commit_all`].
    ///
    /// # Errors
    /// When the driver is down, a task fails, or a crash was asked for.
    pub fn commit(&mut self) -> Result<(), DriverError> {
        self.commit_now()?;
        self.run()
    }

    /// Commits until everything piped has gone through every sub-topology and is committed.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_all(&mut self) -> Result<(), DriverError> {
        self.run()?;
        while self.guarded(|worker, _| Ok(worker.is_open()))? {
            self.commit()?;
        }
        Ok(())
    }

    fn commit_now(&mut self) -> Result<(), DriverError> {
        let now_ms = self.now_ms;
        self.guarded(|worker, crashes| worker.commit(crashes, now_ms))
    }

    /// Runs `f` on the worker. After an error the worker is dropped: there is no undo.
    fn guarded<R>(
        &mut self,
        f: impl FnOnce(&mut Worker, &mut CrashPlan) -> Result<R, DriverError>,
    ) -> Result<R, DriverError> {
        let worker = self.worker.as_mut().ok_or(DriverError::Down)?;
        let result = f(worker, &mut self.crashes);
        if result.is_err() {
            self.worker = None;
        }
        result
    }

    /// Crashes at the next such step of a commit: the call that commits fails with
    /// [`DriverError::Crashed`].
    pub fn crash_at(&mut self, step: CommitStep) {
        self.crashes.at_step(step);
    }

    /// Crashes at the n-th step of a commit, counted from 1 since the driver was built. With
    /// [`Self::commit_steps`] a test can crash at every step in turn.
    pub fn crash_at_count(&mut self, count: u64) {
        self.crashes.at_count(count);
    }

    /// How many steps of commits were passed since the driver was built.
    pub fn commit_steps(&self) -> u64 {
        self.crashes.passed()
    }

    /// Crashes now: everything in memory is lost.
    pub fn crash(&mut self) {
        self.worker = None;
    }

    /// Crashes now and loses the disk as well: the stores come back from their changelogs alone.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn crash_and_lose_disk(&mut self) -> Result<(), DriverError> {
        self.crash();
        for keyspace in self.backend.keyspace_names() {
            self.backend.drop_keyspace(&keyspace)?;
        }
        Ok(())
    }

    /// True after a crash or an error, until [`Self::recover`].
    pub fn is_down(&self) -> bool {
        self.worker.is_none()
    }

    /// Starts the tasks anew: the open transaction is aborted, stores are restored from their
    /// checkpoints on, and processing goes on from the committed offsets. A driver that runs is
    /// crashed first.
    ///
    /// # Errors
    /// When a task cannot be made or fails, or another crash was asked for.
    pub fn recover(&mut self) -> Result<(), DriverError> {
        self.crash();
        let worker = Worker::start(&WorkerEnv {
            broker: &self.broker,
            backend: &self.backend,
            plan: &self.plan,
            message_max_bytes: self.message_max_bytes,
            sabotage: self.sabotage,
            cache_max_bytes: self.cache_max_bytes,
            now_ms: self.now_ms,
        })?;
        self.worker = Some(worker);
        self.run()
    }

    /// How many changelog records the last start read back, by store. Stores that were up to
    /// date are not among them.
    pub fn restored_records(&self) -> BTreeMap<String, u64> {
        self.worker.as_ref().map(|worker| worker.restored().clone()).unwrap_or_default()
    }

    /// The records dropped since the last start: null keys, late records, records that could
    /// not be read.
    pub fn dropped_records(&self) -> u64 {
        self.worker.as_ref().map_or(0, Worker::dropped)
    }

    /// The running tasks; none while the driver is down.
    pub fn tasks(&self) -> &[Task] {
        self.worker.as_ref().map_or(&[], Worker::tasks)
    }

    /// The wall clock, in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// A key-value store, with what is not committed yet.
    ///
    /// # Errors
    /// When the driver is down, or no task has a store of that name and types.
    pub fn store<K, V>(&self, name: &str) -> Result<TestStore<'_, K, V>, DriverError>
    where
        K: Hash + Eq + Clone + 'static,
        V: Clone + 'static,
    {
        self.store_of_kind(name)
    }

    /// A store of some kind, with what is not committed yet: a window store, for instance.
    ///
    /// # Errors
    /// When the driver is down, or no task has a store of that name, types and kind.
    pub fn store_of_kind<K, V, Kd>(
        &self,
        name: &str,
    ) -> Result<TestStore<'_, K, V, Kd>, DriverError>
    where
        K: Hash + Eq + Clone + 'static,
        V: Clone + 'static,
        Kd: Kind<K>,
    {
        if self.is_down() {
            return Err(DriverError::Down);
        }
        let mut parts = Vec::new();
        for task in self.tasks() {
            for instance in task.stores() {
                let named = &**instance.state().name() == name;
                if let Some(store) = instance.downcast::<Store<K, V, Kd>>().filter(|_| named) {
                    parts.push((task.id(), store));
                }
            }
        }
        if parts.is_empty() {
            let (store, types) = (name.to_owned(), type_name::<(K, V, Kd)>());
            return Err(DriverError::NoStore { store, types });
        }
        Ok(TestStore::new(parts))
    }

    /// The committed records of a store's changelog, in the order of arrival.
    pub fn changelog(&self, store: &str) -> Vec<StoredRecord> {
        let topic = Topology::changelog_topic(&self.plan.config.application_id, store);
        self.topic(&topic)
    }

    /// The committed records of any topic, by its name on the broker, in the order of arrival.
    pub fn topic(&self, topic: &str) -> Vec<StoredRecord> {
        self.broker.borrow().all_committed(topic)
    }

    /// The names of all topics, internal ones among them.
    pub fn topic_names(&self) -> Vec<Arc<str>> {
        self.broker.borrow().topic_names()
    }

    /// The committed offset of an input partition: the next record to process.
    pub fn committed_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        let partition = TopicPartition::new(topic, partition);
        self.broker.borrow().committed_offset(&partition).map(|(offset, _)| *offset)
    }
}
