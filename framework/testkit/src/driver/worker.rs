//! The driver's one worker: its tasks, its producer, and the execution of the commit machine.
//!
//! As in the runtime, all tasks share one transaction, which begins at the first thing there is
//! to commit. Dropping the worker is a crash: tasks, overlays and the machine go; what is in the
//! broker and in the backend stays.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oncestream_core::TopicPartition;
use oncestream_core::commit::{Action, CommitMachine, CommitPermit, Failure, Guarantee, Symptom};
use oncestream_core::error::BoxError;
use oncestream_core::state::{
    Backend, CHECKPOINTS, CacheBudget, Checkpoint, Incarnation, WriteBatch,
};
use oncestream_core::task::{
    ChangelogId, Collector, Flushed, OffsetMetadata, Origin, Outgoing, RawRecord, RecordRefused,
    Task,
};

use super::broker::Broker;
use super::crash::{CommitStep, CrashPlan};
use super::plan::Plan;
use super::{DriverError, Sabotage};

type Fact = oncestream_core::commit::Fact<DriverError>;

/// How long a task may have records in work when a commit is due. What it waits for is outside the
/// driver, and so is this time.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// Sends what tasks write, and opens the transaction when there is something to send.
struct Producer {
    broker: Rc<RefCell<Broker>>,
    machine: CommitMachine<DriverError>,
    guarantee: Guarantee,
    message_max_bytes: usize,
    /// The offset after the last acknowledged record of each changelog.
    changelog_ends: HashMap<ChangelogId, i64>,
}

impl Producer {
    /// There is something to commit.
    fn work(&mut self) {
        if self.machine.on(Fact::Work) == Action::Begin {
            self.broker.borrow_mut().begin();
            self.machine.on(Fact::Done);
        }
    }

    fn transactional(&self) -> bool {
        self.guarantee == Guarantee::ExactlyOnce
    }
}

impl Collector for Producer {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), BoxError> {
        self.work();
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if bytes > self.message_max_bytes {
            let max = self.message_max_bytes;
            return Err(Box::new(RecordRefused::new(DriverError::TooLarge { bytes, max })));
        }
        let offset = self.broker.borrow_mut().append(record, self.transactional())?;
        if let Origin::Changelog(id) = record.origin {
            self.changelog_ends.insert(id, offset + 1);
        }
        Ok(())
    }

    fn partition_count(&mut self, topic: &str) -> Result<i32, BoxError> {
        Ok(self.broker.borrow_mut().partition_count(topic))
    }
}

/// What the worker needs of the driver's settings.
pub(super) struct WorkerEnv<'a> {
    pub(super) broker: &'a Rc<RefCell<Broker>>,
    pub(super) backend: &'a Arc<dyn Backend>,
    pub(super) plan: &'a Plan,
    pub(super) message_max_bytes: usize,
    pub(super) sabotage: Option<Sabotage>,
    pub(super) cache_max_bytes: usize,
    pub(super) now_ms: i64,
}

pub(super) struct Worker {
    tasks: Vec<Task>,
    /// The next offset to fetch, by task and input.
    fetched: Vec<Vec<i64>>,
    producer: Producer,
    backend: Arc<dyn Backend>,
    sabotage: Option<Sabotage>,
    last_commit_ms: i64,
    dropped: u64,
    restored: BTreeMap<String, u64>,
}

impl Worker {
    /// Settles what an earlier worker left open, makes the tasks, restores their stores and goes
    /// to the committed offsets.
    pub(super) fn start(env: &WorkerEnv<'_>) -> Result<Self, DriverError> {
        env.broker.borrow_mut().abort();
        env.backend.keyspace(CHECKPOINTS)?;
        let producer = Producer {
            broker: env.broker.clone(),
            machine: CommitMachine::new(env.plan.config.guarantee),
            guarantee: env.plan.config.guarantee,
            message_max_bytes: env.message_max_bytes,
            changelog_ends: HashMap::new(),
        };
        let mut worker = Self {
            tasks: Vec::new(),
            fetched: Vec::new(),
            producer,
            backend: env.backend.clone(),
            sabotage: env.sabotage,
            last_commit_ms: env.now_ms,
            dropped: 0,
            restored: BTreeMap::new(),
        };
        let budget = Rc::new(CacheBudget::new(env.cache_max_bytes));
        let mut first_changelog = 0;
        for (id, inputs) in &env.plan.tasks {
            let task = Task::new(
                &env.plan.topology,
                *id,
                inputs,
                &env.plan.config,
                &**env.backend,
                &budget,
                ChangelogId(first_changelog),
            )?;
            first_changelog += task.stores().len() as u32;
            worker.restore(&task)?;
            worker.add(task, env.now_ms)?;
        }
        Ok(worker)
    }

    /// Brings the stores of a task from their checkpoints to the end of their changelogs.
    fn restore(&mut self, task: &Task) -> Result<(), DriverError> {
        let checkpoints = self.backend.keyspace(CHECKPOINTS)?;
        for instance in task.stores() {
            // A restore borrows the store for itself.
            let (name, keyspace, target) = {
                let store = instance.state();
                (store.name().clone(), store.keyspace_name().clone(), store.changelog().cloned())
            };
            let Some(target) = target else { continue };
            let mut found = None;
            checkpoints.get(keyspace.as_bytes(), &mut |bytes| {
                found = Checkpoint::read(bytes);
            })?;
            let found = found.filter(|_| self.sabotage != Some(Sabotage::NoCheckpoints));
            let mut from = found.map_or(0, |c| c.offset);
            let broker = self.producer.broker.borrow();
            let mut batch = WriteBatch::default();
            while let Some(record) = broker.next_committed(&target.topic, target.partition, from) {
                from = record.offset + 1;
                if let Some(key) = record.key.as_deref() {
                    instance
                        .restore(key, record.value.as_deref(), record.timestamp, &mut batch)
                        .map_err(|source| DriverError::Task { task: task.id(), source })?;
                }
                *self.restored.entry(name.to_string()).or_default() += 1;
            }
            if !batch.is_empty() {
                // Markers behind the last record need no second look.
                let offset = broker.end_offset(&target.topic, target.partition);
                checkpoint(offset, self.last_commit_ms).write(&keyspace, &mut batch);
                self.backend.commit(&batch)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, mut task: Task, now_ms: i64) -> Result<(), DriverError> {
        let inputs: Vec<_> = task.inputs().map(|(id, tp)| (id, tp.clone())).collect();
        let mut fetched = Vec::new();
        for (id, partition) in inputs {
            let committed = self.producer.broker.borrow().committed_offset(&partition).cloned();
            let (offset, metadata) = match committed {
                Some((offset, text)) => (Some(offset), OffsetMetadata::decode(&text)),
                None => (None, OffsetMetadata { partition_time: -1 }),
            };
            task.set_committed(id, offset, metadata);
            fetched.push(offset.unwrap_or(0));
        }
        let id = task.id();
        task.init(now_ms, &mut self.producer)
            .map_err(|source| DriverError::Task { task: id, source })?;
        self.tasks.push(task);
        self.fetched.push(fetched);
        Ok(())
    }

    pub(super) fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    pub(super) fn restored(&self) -> &BTreeMap<String, u64> {
        &self.restored
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn is_commit_due(&self, now_ms: i64, interval_ms: i64) -> bool {
        now_ms - self.last_commit_ms >= interval_ms
    }

    /// Lets one task take in what is visible and process at most one record. False when it had
    /// nothing to do.
    pub(super) fn process_one(&mut self, at: usize, now_ms: i64) -> Result<bool, DriverError> {
        let inputs: Vec<_> = self.tasks[at].inputs().map(|(id, tp)| (id, tp.clone())).collect();
        let single = inputs.len() == 1;
        let mut took = false;
        let mut processed = false;
        for (input, (id, partition)) in inputs.into_iter().enumerate() {
            while !self.tasks[at].is_full(id) {
                let from = self.fetched[at][input];
                let Some(record) = self.fetch(&partition, from) else {
                    self.tasks[at].input_at_end(id, from, now_ms);
                    break;
                };
                self.fetched[at][input] = record.offset + 1;
                took = true;
                let raw = RawRecord {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                    headers: record.headers,
                    unreadable_headers: None,
                };
                let task = &mut self.tasks[at];
                task.add_record(id, raw, now_ms, &mut self.producer)
                    .map_err(|source| DriverError::Task { task: task.id(), source })?;
                if single {
                    processed = true;
                    break;
                }
            }
        }
        let task = &mut self.tasks[at];
        if !single {
            processed = task
                .process_ready(1, now_ms, &mut self.producer)
                .map_err(|source| DriverError::Task { task: task.id(), source })?
                > 0;
        }
        self.dropped += task.take_dropped();
        if task.needs_commit() {
            self.producer.work();
        }
        Ok(processed || (took && task.needs_commit()))
    }

    fn fetch(&self, partition: &TopicPartition, from: i64) -> Option<super::StoredRecord> {
        let broker = self.producer.broker.borrow();
        broker.next_committed(&partition.topic, partition.partition, from).cloned()
    }

    /// True once after a processor of any task asked for a commit.
    pub(super) fn take_commit_request(&mut self) -> bool {
        // Every task is asked: each forgets its request.
        self.tasks.iter_mut().filter_map(|t| t.take_commit_request().then_some(())).count() > 0
    }

    pub(super) fn punctuate_wall_clock(&mut self, now_ms: i64) -> Result<(), DriverError> {
        for task in &mut self.tasks {
            task.punctuate_wall_clock(now_ms, &mut self.producer)
                .map_err(|source| DriverError::Task { task: task.id(), source })?;
            if task.needs_commit() {
                self.producer.work();
            }
        }
        Ok(())
    }

    /// True while there is something that is not committed.
    pub(super) fn is_open(&self) -> bool {
        self.producer.machine.is_open()
    }

    /// Executes what the commit machine asks for, until the commit is over.
    pub(super) fn commit(
        &mut self,
        crashes: &mut CrashPlan,
        now_ms: i64,
    ) -> Result<(), DriverError> {
        let mut batch = WriteBatch::default();
        let mut action = self.producer.machine.on(Fact::CommitDue);
        self.last_commit_ms = now_ms;
        while action != Action::Nothing {
            let last = self.producer.machine.ends_commit(&action);
            let fact = match action {
                Action::Flush => self.flush(&mut batch, crashes)?,
                Action::SendOffsets => {
                    if !last {
                        crashes.pass(CommitStep::BeforeOffsets)?;
                    }
                    self.send_offsets(&batch, now_ms)?;
                    if last {
                        crashes.pass(CommitStep::AfterCommit)?;
                    }
                    Fact::Done
                }
                Action::Commit(permit) => {
                    crashes.pass(CommitStep::BeforeCommit)?;
                    self.commit_transaction(permit)
                }
                Action::Apply => {
                    // At least once, the stores come before the offsets.
                    let step =
                        if last { CommitStep::AfterCommit } else { CommitStep::BeforeOffsets };
                    crashes.pass(step)?;
                    self.apply(&mut batch, now_ms)?;
                    crashes.pass(CommitStep::AfterApply)?;
                    Fact::Done
                }
                // No call of this driver fails halfway, so that nothing else is asked for.
                _ => Fact::Failed(Failure::silent(Symptom::Fatal)),
            };
            if last {
                self.tasks.iter_mut().for_each(Task::committed);
            }
            action = self.producer.machine.on(fact);
            if matches!(action, Action::Stop(_)) {
                return Err(DriverError::Down);
            }
        }
        Ok(())
    }

    fn flush(
        &mut self,
        batch: &mut WriteBatch,
        crashes: &mut CrashPlan,
    ) -> Result<Fact, DriverError> {
        crashes.pass(CommitStep::BeforeFlush)?;
        for task in &mut self.tasks {
            let id = task.id();
            let failed = |source| DriverError::Task { task: id, source };
            let until = Instant::now() + FLUSH_LIMIT;
            while task.flush(&mut self.producer, batch).map_err(failed)? == Flushed::NotYet {
                if Instant::now() > until {
                    return Err(DriverError::NotFlushed { task: id, waited: FLUSH_LIMIT });
                }
                std::thread::yield_now();
            }
            crashes.pass(CommitStep::MidFlush)?;
        }
        Ok(Fact::Done)
    }

    fn send_offsets(&mut self, batch: &WriteBatch, now_ms: i64) -> Result<(), DriverError> {
        let mut positions: Vec<_> = self.tasks.iter().flat_map(Task::positions).collect();
        if positions.is_empty() {
            positions.extend(self.tasks.iter().flat_map(Task::known_positions).take(1));
        }
        let inside = self.producer.transactional()
            && self.sabotage != Some(Sabotage::OffsetsOutsideTransaction);
        self.producer.broker.borrow_mut().send_offsets(positions, inside);
        if self.sabotage == Some(Sabotage::ApplyBeforeCommit) {
            self.backend.commit(batch)?;
            let mut checkpoints = WriteBatch::default();
            self.write_checkpoints(&mut checkpoints, now_ms);
            self.backend.commit(&checkpoints)?;
        }
        Ok(())
    }

    /// Wants the permit, so that nothing else can commit.
    fn commit_transaction(&self, _permit: CommitPermit) -> Fact {
        self.producer.broker.borrow_mut().commit();
        Fact::Done
    }

    /// Stores and checkpoints go down in one batch.
    fn apply(&mut self, batch: &mut WriteBatch, now_ms: i64) -> Result<(), DriverError> {
        if self.sabotage != Some(Sabotage::ApplyBeforeCommit) {
            self.write_checkpoints(batch, now_ms);
            self.backend.commit(batch)?;
        }
        Ok(())
    }

    fn write_checkpoints(&mut self, batch: &mut WriteBatch, now_ms: i64) {
        for instance in self.tasks.iter().flat_map(Task::stores) {
            let store = instance.state();
            let end = store.changelog().and_then(|t| self.producer.changelog_ends.remove(&t.id));
            if let Some(offset) = end {
                checkpoint(offset, now_ms).write(store.keyspace_name(), batch);
            }
        }
    }
}

/// Of the driver's own topics, which have no ids.
fn checkpoint(offset: i64, written_at_ms: i64) -> Checkpoint {
    Checkpoint { offset, written_at_ms, source: Incarnation::default() }
}
