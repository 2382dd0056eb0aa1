//! A worker: one OS thread with one group consumer and one producer, and the tasks the group
//! gave it.
//!
//! The thread polls, processes, restores and commits in turn; nothing it owns is shared but the
//! state directory. What to do about a commit is decided by the commit machine; this folder
//! executes it.

mod commit;
mod rebalance;
mod restore;
mod tasks;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oncestream_core::TopicPartition;
use oncestream_core::commit::{CommitMachine, Fact, Guarantee};
use oncestream_core::error::TaskError;
use oncestream_core::graph::Topology;
use oncestream_core::state::{CacheBudget, WriteBatch};
use oncestream_core::task::{ChangelogId, DeserializationPolicy, Task, TaskConfig};
use rdkafka::message::Message;

use crate::clients::{Admin, GroupConsumer, WorkerProducer, is_transient, raw_record};
use crate::config::{DeserializationHandler, StreamsConfig};
use crate::error::StreamsError;
use crate::metrics::WorkerMetrics;
use crate::state_dir::StateDir;
use restore::Restorer;
use tasks::TaskSet;

/// At most so many records are processed before the commit and the restore are looked at.
const BATCH: usize = 500;
/// How long the consumer is polled while a restore or an empty input is waited for.
const SHORT_WAIT: Duration = Duration::from_millis(2);

/// What all workers of an instance share.
pub(crate) struct Shared {
    pub(crate) config: StreamsConfig,
    pub(crate) topology: Topology,
    pub(crate) state_dir: StateDir,
    /// Shared with purges under way, which outlive a shutdown and its lock on the state.
    pub(crate) admin: Arc<Admin>,
    pub(crate) stop: Arc<AtomicBool>,
    /// Runs what is asynchronous: purging.
    pub(crate) runtime: tokio::runtime::Handle,
    /// Told when a worker starts or ends rebalancing.
    pub(crate) on_worker_state: Box<dyn Fn(usize, WorkerState) + Send + Sync>,
}

/// Where a worker stands, for the state of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerState {
    Rebalancing,
    Running,
}

/// Runs a worker to its end. Returns when asked to stop, or with the error that stopped it.
pub(crate) fn run(index: usize, shared: Arc<Shared>) -> Result<(), StreamsError> {
    guarded(index, || {
        let mut worker = Worker::new(index, shared)?;
        // After a panic only the producer is used again, to abort; the tasks are dropped.
        let result = guarded(index, || worker.run());
        worker.close(result)
    })
}

/// A panic of a user's function, as an error.
fn guarded(
    index: usize,
    work: impl FnOnce() -> Result<(), StreamsError>,
) -> Result<(), StreamsError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Err(StreamsError::Panicked { worker: index, message })
    })
}

struct Worker {
    index: usize,
    shared: Arc<Shared>,
    task_config: TaskConfig,
    budget: Rc<CacheBudget>,
    consumer: GroupConsumer,
    /// `None` only while it is being replaced.
    producer: Option<WorkerProducer>,
    tasks: TaskSet,
    restorer: Restorer,
    machine: CommitMachine,
    /// What the stores of the commit under way will apply.
    batch: WriteBatch,
    assigned: Vec<TopicPartition>,
    /// Where partitions without a committed offset began, since the last assignment.
    first_positions: HashMap<TopicPartition, i64>,
    /// The group has decided what is assigned, be it nothing.
    joined: bool,
    /// A revocation is being handled: tasks that fail are dropped, not started again.
    revoking: bool,
    paused: HashSet<TopicPartition>,
    next_changelog: ChangelogId,
    next_commit: Instant,
    next_purge: Instant,
    opened_at: Instant,
    /// Producers that failed for good in a row, without a commit in between.
    fatal_producers: u32,
    /// Failures in a row without a commit in between.
    failures: u32,
    /// Commits that succeeded.
    committed: u64,
    /// The last turn of the loop got something done.
    busy: bool,
    /// Why the commit failed, for the log or for the end.
    error: Option<StreamsError>,
    state: Option<WorkerState>,
    metrics: WorkerMetrics,
}

impl Worker {
    fn new(index: usize, shared: Arc<Shared>) -> Result<Self, StreamsError> {
        let config = &shared.config;
        let producer = commit::new_producer(&shared, index)?;
        let topics = tasks::subscription(&shared.topology, config.application_id())?;
        let consumer = GroupConsumer::subscribe(&config.consumer_settings(index), &topics)
            .map_err(|e| StreamsError::client(format!("subscribing to {topics:?}"), e))?;
        let guarantee =
            if config.is_exactly_once() { Guarantee::ExactlyOnce } else { Guarantee::AtLeastOnce };
        let per_worker = config.cache_max_bytes() / config.num_stream_threads() as u64;
        let task_config = TaskConfig {
            deserialization: match config.deserialization_handler() {
                DeserializationHandler::Fail => DeserializationPolicy::Fail,
                DeserializationHandler::Continue => DeserializationPolicy::Continue,
            },
            buffered_records_per_partition: config.buffered_records_per_partition(),
            max_task_idle_ms: config.max_task_idle_ms(),
            ..TaskConfig::new(config.application_id())
        };
        let now = Instant::now();
        Ok(Self {
            index,
            task_config,
            budget: Rc::new(CacheBudget::new(usize::try_from(per_worker).unwrap_or(usize::MAX))),
            consumer,
            producer: Some(producer),
            tasks: TaskSet::default(),
            restorer: Restorer::default(),
            machine: CommitMachine::new(guarantee),
            batch: WriteBatch::default(),
            assigned: Vec::new(),
            first_positions: HashMap::new(),
            joined: false,
            revoking: false,
            paused: HashSet::new(),
            next_changelog: ChangelogId(0),
            next_commit: now + config.commit_interval(),
            next_purge: now + config.repartition_purge_interval(),
            opened_at: now,
            fatal_producers: 0,
            failures: 0,
            committed: 0,
            busy: true,
            error: None,
            state: None,
            metrics: WorkerMetrics::new(index),
            shared,
        })
    }

    fn run(&mut self) -> Result<(), StreamsError> {
        self.set_state(WorkerState::Rebalancing);
        while !self.shared.stop.load(Ordering::Acquire) {
            self.poll()?;
            while let Some(event) = self.consumer.next_rebalance() {
                self.rebalance(event)?;
            }
            self.restore_step()?;
            self.process_waiting()?;
            self.punctuate()?;
            self.commit_if_due()?;
        }
        Ok(())
    }

    /// Commits what was processed, or aborts it after an error, and ends the tasks.
    fn close(mut self, result: Result<(), StreamsError>) -> Result<(), StreamsError> {
        self.revoking = true;
        let result = match result {
            Ok(()) => {
                let action = self.machine.on(Fact::CommitDue);
                let done = self.drive(action);
                self.tasks.close();
                done
            }
            Err(error) => {
                self.abort_quietly();
                Err(error)
            }
        };
        self.tasks.clear();
        result
    }

    /// How long to wait for the first record: not at all while other work goes on, and shortly
    /// while it waits for something itself.
    fn poll_timeout(&mut self) -> Duration {
        let busy = std::mem::take(&mut self.busy);
        if self.restorer.is_active() || self.tasks.has_waiting() {
            return if busy { Duration::ZERO } else { SHORT_WAIT };
        }
        let until_commit = self.next_commit.saturating_duration_since(Instant::now());
        let wait = self.shared.config.poll().min(Duration::from_millis(100));
        // The client's clock has milliseconds; less would spin.
        if self.machine.is_open() {
            wait.min(until_commit.max(Duration::from_millis(1)))
        } else {
            wait
        }
    }

    /// Takes up to [`BATCH`] records from the consumer and processes them.
    fn poll(&mut self) -> Result<(), StreamsError> {
        let mut timeout = self.poll_timeout();
        let mut now_ms = -1;
        let mut taken = 0_u64;
        let mut failed = None;
        let mut pace = Pace::new();
        while (taken as usize) < BATCH && !pace.is_past(self.next_commit) {
            let message = match self.consumer.poll(timeout) {
                None => break,
                Some(Ok(message)) => message,
                Some(Err(error)) if is_transient(&error) => {
                    tracing::warn!(worker = self.index, %error, "the consumer will try again");
                    break;
                }
                Some(Err(error)) => {
                    return Err(StreamsError::client("reading input topics", error));
                }
            };
            if timeout > Duration::ZERO || now_ms < 0 {
                timeout = Duration::ZERO;
                now_ms = wall_clock_ms();
            }
            let Some(route) = self.tasks.route(message.topic(), message.partition()) else {
                continue;
            };
            // A failure to begin starts the tasks again, and this record is read again.
            let Some(producer) = &mut self.producer else { break };
            if !self.machine.is_open() {
                self.opened_at = Instant::now();
                if let Err(fact) = commit::begin(&mut self.machine, producer, &mut self.error) {
                    failed = Some(fact);
                    break;
                }
            }
            let Some(task) = self.tasks.running(route) else { continue };
            let raw = raw_record(&message);
            if let Err(source) = task.add_record(route.input, raw, now_ms, producer) {
                failed = Some(self.task_failed(route, source));
                break;
            }
            taken += 1;
        }
        self.busy |= taken > 0;
        self.metrics.records_in.increment(taken);
        match failed.or_else(|| self.delivery_failed()) {
            None => Ok(()),
            Some(fact) => self.report(fact),
        }
    }

    /// Processes the records that wait in tasks with several inputs, and pauses partitions whose
    /// queue is full.
    fn process_waiting(&mut self) -> Result<(), StreamsError> {
        if !self.tasks.has_waiting() || !self.ensure_open()? {
            return Ok(());
        }
        let now_ms = wall_clock_ms();
        let mut failed = None;
        if let Some(producer) = &mut self.producer {
            for task in self.tasks.running_tasks() {
                match process_ready(task, now_ms, self.next_commit, producer) {
                    Ok(done) => self.busy |= done > 0,
                    Err(source) => {
                        failed = Some(StreamsError::Task { task: task.id(), source });
                        break;
                    }
                }
            }
        }
        if let Some(error) = failed {
            let fact = self.classify_task_error(error);
            return self.report(fact);
        }
        let (full, ready) = self.tasks.back_pressure(&self.paused);
        let failed = |e| StreamsError::client("pausing partitions", e);
        self.consumer.pause(full.iter()).map_err(failed)?;
        self.consumer.resume(ready.iter()).map_err(failed)?;
        self.paused.extend(full);
        for partition in ready {
            self.paused.remove(&partition);
        }
        Ok(())
    }

    /// Runs the wall-clock punctuations that are due.
    fn punctuate(&mut self) -> Result<(), StreamsError> {
        let now_ms = wall_clock_ms();
        if !self.tasks.running_tasks().any(|t| t.is_punctuation_due(now_ms))
            || !self.ensure_open()?
        {
            return Ok(());
        }
        let mut failed = None;
        if let Some(producer) = &mut self.producer {
            for task in self.tasks.running_tasks() {
                if let Err(source) = task.punctuate_wall_clock(now_ms, producer) {
                    failed = Some(StreamsError::Task { task: task.id(), source });
                    break;
                }
            }
        }
        match failed {
            None => Ok(()),
            Some(error) => {
                let fact = self.classify_task_error(error);
                self.report(fact)
            }
        }
    }

    fn set_state(&mut self, state: WorkerState) {
        if self.state != Some(state) {
            self.state = Some(state);
            (self.shared.on_worker_state)(self.index, state);
        }
    }
}

/// Processes waiting records of one task, up to a batch of them or until a commit is due.
fn process_ready(
    task: &mut Task,
    now_ms: i64,
    next_commit: Instant,
    producer: &mut WorkerProducer,
) -> Result<usize, TaskError> {
    let mut done = 0;
    let mut pace = Pace::new();
    while done < BATCH && !pace.is_past(next_commit) {
        if task.process_ready(1, now_ms, producer)? == 0 {
            break;
        }
        done += 1;
    }
    Ok(done)
}

/// Looks at the clock now and then: seldom while records are quick, at each record while they
/// are slow, so that slow records do not make a batch outlive its transaction.
struct Pace {
    every: u32,
    left: u32,
    looked: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { every: 1, left: 1, looked: Instant::now() }
    }

    /// Whether `deadline` was over at the last look.
    fn is_past(&mut self, deadline: Instant) -> bool {
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        let now = Instant::now();
        let quick = now.duration_since(self.looked) < Duration::from_millis(1);
        self.every = if quick { (self.every * 2).min(64) } else { 1 };
        self.left = self.every;
        self.looked = now;
        // The first look is before the first record: one is always processed.
        self.every > 2 && now >= deadline
    }
}

/// Milliseconds since the Unix epoch.
fn wall_clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
