//! [`TopologyTestDriver`]: runs a topology without Kafka, in milliseconds, and can crash it.
//!
//! The driver is the embedded broker's state, one or more instances of the application, each with the
//! engine's worker and a disk, and a clock. It has no threads and no sockets, and time moves when the
//! test says so.
//!
//! What a topology does here it does in the runtime, for both run the same worker, on other ports:
//! - Piped records are processed until no instance has anything to do. With a commit interval of 0 a
//!   commit follows every record, as in Kafka Streams' driver. With a larger one a commit comes
//!   when the wall clock has advanced by that much, when a processor asks for it, or when the
//!   test calls [`TopologyTestDriver::commit`].
//! - A record that is piped to the topic of a global table is in the table before the next input is processed.
//! - All tasks of an instance share one transaction. What one sub-topology writes to a repartition
//!   topic is seen by the next after the commit, under exactly once; and at once, under at least once.
//! - After a crash only three things are left: what the broker holds, records that are visible because
//!   no transaction hides them, and what was applied to the disk. The session of an instance that
//!   crashes is over at once, as if its time had passed, so that no test has to wait for it; its
//!   transaction is open until the instance starts again, or until it times out.
//!
//! What is different from the runtime: a record may have time 0, or one far in the future; topics are
//! made by who writes to them; nothing is purged from repartition topics; a wall clock that the test
//! moves at once ends no session and no transaction ([`TopologyTestDriver::pass_time`] does).

mod builder;
mod crash;
mod debug;
mod error;
mod instance;
mod io;
mod lives;
mod ports;
mod records;
mod store;

use std::any::type_name;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::graph::{Graph, Topology};
use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::state::{Kind, Store};
use oncestream_core::task::Task;
use oncestream_core::{Headers, Record, TimestampMs};
use oncestream_engine::StreamsError;
use oncestream_engine::global::Globals;
use oncestream_engine::worker::Worker;

pub use builder::TopologyTestDriverBuilder;
pub use crash::CommitStep;
pub use error::DriverError;
pub use io::{TestInput, TestOutput};
pub(crate) use ports::raw;
pub use records::StoredRecord;
pub use store::TestStore;

use instance::Instance;
use ports::{LocalPorts, World};
use records::TestClient;

/// What an instance that waits for something waits at once, and in all: long enough for a transaction
/// of another one to time out.
const WAIT_STEP: Duration = Duration::from_millis(50);
const WAIT_LIMIT: Duration = Duration::from_secs(15);
/// For how long the instances may find their way back without coming to rest, by their clock: longer than
/// any of them waits for something.
const RUN_LIMIT: Duration = Duration::from_mins(10);

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
/// use oncestream_operators::StreamsBuilder;
/// use oncestream_testkit::TopologyTestDriver;
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<Option<String>, String>("lines")
///     .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
///     .group_by(|_, word| word.clone())
///     .count("counts")
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
    world: Arc<World>,
    instances: Vec<Instance>,
    client: TestClient,
    topology: Topology,
    application_id: Arc<str>,
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
        TestInput::new(topic.into(), key_serde, value_serde)
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
        TestOutput::new(topic.into(), self.client.reader(topic), key_serde, value_serde)
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
        self.pipe_record(input, Record::new(key, value, timestamp))
    }

    /// Writes a record with a null in place of a value, and processes it: a deletion for a table.
    ///
    /// # Errors
    /// As [`Self::pipe`].
    pub fn pipe_null<K, V>(
        &mut self,
        input: &TestInput<K, V>,
        key: K,
        timestamp: TimestampMs,
    ) -> Result<(), DriverError> {
        let written = input.written(&key, None, timestamp, Headers::new())?;
        self.client.append(&written.outgoing())?;
        self.run()
    }

    /// Writes a record with its headers, and processes it.
    ///
    /// # Errors
    /// As [`Self::pipe`].
    pub fn pipe_record<K, V>(
        &mut self,
        input: &TestInput<K, V>,
        record: Record<K, V>,
    ) -> Result<(), DriverError> {
        self.produce(input, record)?;
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
        record: Record<K, V>,
    ) -> Result<(), DriverError> {
        let Record { key, value, timestamp, headers } = record;
        let written = input.written(&key, Some(&value), timestamp, headers)?;
        self.client.append(&written.outgoing())
    }

    /// Processes what is visible until no task has anything to do, with the commits that are
    /// due. Does nothing while the driver is down.
    ///
    /// An instance that waits for another one, or for a transaction that one has left open, lets time
    /// pass for a while.
    ///
    /// # Errors
    /// When a task fails, or a crash was asked for.
    pub fn run(&mut self) -> Result<(), DriverError> {
        let mut waited = Duration::ZERO;
        let began = self.world.broker.now();
        loop {
            if self.world.broker.now() - began > RUN_LIMIT {
                self.crash();
                return Err(DriverError::NoRest { waited: RUN_LIMIT });
            }
            let before = self.commit_steps();
            let (mut busy, mut settled) = (false, true);
            for instance in &mut self.instances {
                busy |= instance.catch_up()?;
                let turned = instance.with_worker(|worker| {
                    worker.turn()?;
                    Ok((worker.is_busy(), worker.is_settled()))
                })?;
                let (is_busy, is_settled) = turned.unwrap_or((false, true));
                busy |= is_busy;
                settled &= is_settled;
            }
            if busy || self.commit_steps() > before {
                continue;
            }
            if settled || waited >= WAIT_LIMIT {
                return Ok(());
            }
            self.world.broker.advance(WAIT_STEP);
            waited += WAIT_STEP;
        }
    }

    /// Moves the wall clock: runs the punctuations that are due, commits if the commit interval
    /// is over, and processes what became visible.
    ///
    /// # Errors
    /// When the driver is down, a task fails, or a crash was asked for.
    pub fn advance_wall_clock(&mut self, by_ms: i64) -> Result<(), DriverError> {
        self.world.clock.advance(&self.world.broker, by_ms);
        self.check_up()?;
        self.run()
    }

    /// Lets time pass bit by bit, as running instances live through it: commits come when they are due,
    /// and what instances that are down have left open times out.
    ///
    /// # Errors
    /// As [`Self::advance_wall_clock`].
    pub fn pass_time(&mut self, by_ms: i64) -> Result<(), DriverError> {
        self.check_up()?;
        let until = self.now_ms().saturating_add(by_ms);
        while self.now_ms() < until {
            self.world.broker.advance(WAIT_STEP);
            self.run()?;
        }
        Ok(())
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
        while self.commit_now()? {
            self.run()?;
        }
        Ok(())
    }

    /// Commits what there is. False if there was nothing.
    fn commit_now(&mut self) -> Result<bool, DriverError> {
        self.check_up()?;
        let mut committed = false;
        for instance in &mut self.instances {
            let before = instance.worker_if_up().map_or(0, Worker::commits);
            committed |= instance.with_worker(commit(before))?.unwrap_or(false);
        }
        Ok(committed)
    }

    fn check_up(&self) -> Result<(), DriverError> {
        if self.is_down() { Err(DriverError::Down) } else { Ok(()) }
    }

    /// How many changelog records the last start read back, by store. Stores that were up to
    /// date are not among them. The changelog of a global table is its topic. A table whose topic is its changelog
    /// goes by the name of the topic.
    pub fn restored_records(&self) -> BTreeMap<String, u64> {
        let mut by_store = BTreeMap::new();
        for (topic, records) in self.instances.iter().flat_map(Instance::restored_records) {
            let store = topic.strip_prefix(&format!("{}-", self.application_id));
            let store = store.and_then(|rest| rest.strip_suffix("-changelog")).unwrap_or(&topic);
            *by_store.entry(store.to_owned()).or_default() += records;
        }
        let globals = self.instances.iter().filter_map(Instance::globals);
        for (store, records) in globals.flat_map(Globals::restored_records) {
            *by_store.entry(store.to_string()).or_default() += records;
        }
        by_store
    }

    /// The records dropped since the last start: null keys, late records, records that could
    /// not be read.
    pub fn dropped_records(&self) -> u64 {
        let workers = self.instances.iter().filter_map(Instance::worker_if_up);
        let globals = self.instances.iter().filter_map(Instance::globals);
        workers.map(Worker::dropped).chain(globals.map(Globals::dropped)).sum()
    }

    /// The running tasks, instance by instance; none while the driver is down.
    #[doc(hidden)]
    pub fn tasks(&self) -> Vec<&Task> {
        self.instances.iter().flat_map(Instance::tasks).collect()
    }

    /// The running tasks of one instance, counted from 0.
    #[doc(hidden)]
    pub fn tasks_of(&self, instance: usize) -> Vec<&Task> {
        self.instances.get(instance).into_iter().flat_map(Instance::tasks).collect()
    }

    /// The wall clock, in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.world.broker.now_ms()
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
        // Each instance has the whole of a global table.
        let globals = self.instances.iter().find_map(Instance::globals);
        for task in self.tasks().into_iter().chain(globals.into_iter().flat_map(Globals::tasks)) {
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
        self.topic(&Graph::changelog_topic(&self.application_id, store))
    }

    /// The committed records of any topic, by its name on the broker, in the order of arrival.
    pub fn topic(&self, topic: &str) -> Vec<StoredRecord> {
        if self.world.partition_count(topic).is_none() {
            return Vec::new();
        }
        let reader = self.client.reader(topic);
        std::iter::from_fn(|| reader.next()).collect()
    }

    /// The names of all topics, internal ones among them.
    pub fn topic_names(&self) -> Vec<Arc<str>> {
        self.world.topic_names()
    }

    /// The committed offset of an input partition: the next record to process.
    pub fn committed_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        let view = self.world.broker.view();
        let offsets = &view.group(&self.application_id)?.offsets;
        let found = offsets.iter().find(|(t, p, _)| t == topic && *p == partition);
        found.map(|(_, _, committed)| committed.offset)
    }
}

/// Commits what a worker has, and says whether that was anything.
fn commit(before: u64) -> impl FnOnce(&mut Worker<LocalPorts>) -> Result<bool, StreamsError> {
    move |worker| {
        worker.commit_now()?;
        Ok(worker.commits() > before)
    }
}
