//! A worker: one OS thread with one group consumer and one producer, and the tasks the group
//! gave it.
//!
//! The thread polls, processes, restores and commits in turn; nothing it owns is shared but the
//! state directory. What to do about a commit is decided by the commit machine; this folder
//! executes it.

mod assignment;
mod commit;
mod denied;
mod group;
mod inputs;
mod local_stores;
mod pace;
mod participants;
mod poll;
mod positions;
mod producing;
mod rebalance;
mod recovery;
pub(crate) mod restore;
mod sabotage;
pub(crate) mod stale;
mod starts;
mod symptom;
mod tasks;
mod times;
mod topics;
mod waiting;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use oncestream_core::TopicPartition;
use oncestream_core::commit::CommitMachine;
use oncestream_core::graph::Graph;
use oncestream_core::state::CacheBudget;
use oncestream_core::task::{Task, TaskConfig};

use crate::error::StreamsError;
use crate::metrics::WorkerMetrics;
use crate::participant::Participant;
use crate::ports::{Clock, GroupConsumer, Ports};
use crate::settings::WorkerSettings;
use group::GroupWatch;
use local_stores::LocalStores;
use restore::Restorer;
use starts::Starts;
use tasks::{Route, TaskSet};
use times::Times;
use waiting::Waiting;

/// What the worker saw, with its error.
type Fact = oncestream_core::commit::Fact<StreamsError>;
type Failure = oncestream_core::commit::Failure<StreamsError>;

/// What all workers of an instance share.
pub struct Shared<P> {
    /// What workers must know of the configuration.
    pub settings: WorkerSettings,
    /// What they run.
    pub topology: Graph,
    /// What they have of the world.
    pub ports: P,
    /// Asks them to end.
    pub stop: Arc<AtomicBool>,
    /// Told when a worker starts or ends rebalancing.
    pub on_worker_state: Box<dyn Fn(usize, WorkerState) + Send + Sync>,
}

impl<P> fmt::Debug for Shared<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Where a worker stands, for the state of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// Partitions are being assigned, or stores restored.
    Rebalancing,
    /// All its tasks run.
    Running,
}

/// Runs a worker to its end. Returns when asked to stop, or with the error that stopped it.
///
/// # Errors
/// What stopped it: its transaction is aborted by then.
pub fn run<P: Ports>(index: usize, shared: Arc<Shared<P>>) -> Result<(), StreamsError> {
    guarded(index, || {
        let Some(mut worker) = Worker::new(index, shared)? else { return Ok(()) };
        // After a panic only the producer is used again, to abort; the tasks are dropped.
        let result = guarded(index, || worker.run()).map_err(|e| worker.located(e));
        let result = result.map_err(|e| worker.name_denied(e));
        guarded(index, || worker.close(result)).map_err(|e| worker.located(e))
    })
}

/// A panic of a user's function, as an error.
fn guarded(
    index: usize,
    work: impl FnOnce() -> Result<(), StreamsError>,
) -> Result<(), StreamsError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic_message(&*panic);
        Err(StreamsError::Panicked { worker: index, task: None, activity: None, message })
    })
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// A worker. Drop it without [`Worker::close`] to crash it.
pub struct Worker<P: Ports> {
    index: usize,
    shared: Arc<Shared<P>>,
    task_config: TaskConfig,
    budget: Rc<CacheBudget>,
    /// Shared with a record in hand, which borrows from it while the worker goes on.
    consumer: Rc<P::Consumer>,
    /// `None` only while it is being replaced.
    producer: Option<P::Producer>,
    tasks: TaskSet,
    restorer: Restorer<P::Changelogs>,
    machine: CommitMachine<StreamsError>,
    /// The first participant of each commit.
    stores: LocalStores,
    /// The others.
    participants: Vec<Box<dyn Participant>>,
    assigned: Vec<TopicPartition>,
    group: GroupWatch<P::Generation>,
    starts: Starts,
    waiting: Waiting,
    /// The group has decided what is assigned, even if that is nothing.
    joined: bool,
    /// A revocation is being handled: tasks that fail are dropped, not started again.
    revoking: bool,
    times: Times,
    /// The last record that was taken.
    last_taken: Option<(Route, i64)>,
    /// Commits that succeeded.
    committed: u64,
    /// Records that were dropped in them.
    dropped: u64,
    /// The last turn of the loop got something done.
    busy: bool,
    state: Option<WorkerState>,
    metrics: WorkerMetrics,
}

impl<P: Ports> fmt::Debug for Worker<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, state) = (&self.index, &self.state);
        f.debug_struct("Worker").field("index", index).field("state", state).finish_non_exhaustive()
    }
}

impl<P: Ports> Worker<P> {
    /// A worker that has not joined its group yet, with a producer that has fenced its predecessor.
    /// `None` if the application is to stop before that is done.
    ///
    /// # Errors
    /// A client cannot be made, or the coordinator refuses the producer.
    pub fn new(index: usize, shared: Arc<Shared<P>>) -> Result<Option<Self>, StreamsError> {
        let settings = &shared.settings;
        let Some(producer) = producing::new_producer(&shared, index)? else { return Ok(None) };
        let subscription = tasks::subscription(&shared.topology, &settings.application_id);
        let consumer = shared.ports.consumer(index, &subscription)?;
        let guarantee = settings.guarantee;
        let task_config = TaskConfig {
            guarantee,
            handlers: settings.handlers.clone(),
            buffered_records_per_partition: settings.buffered_records_per_partition,
            max_task_idle_ms: settings.max_task_idle_ms,
            ..TaskConfig::new(&settings.application_id)
        };
        let now = shared.ports.clock().now();
        Ok(Some(Self {
            index,
            task_config,
            budget: Rc::new(CacheBudget::new(settings.cache_max_bytes)),
            consumer: Rc::new(consumer),
            producer: Some(producer),
            tasks: TaskSet::default(),
            restorer: Restorer::default(),
            machine: CommitMachine::new(guarantee),
            stores: LocalStores::new(shared.ports.stores().clone()),
            participants: shared.ports.participants(index),
            assigned: Vec::new(),
            group: GroupWatch::default(),
            starts: Starts::default(),
            waiting: Waiting::new(now),
            joined: false,
            revoking: false,
            times: Times::new(settings, now),
            last_taken: None,
            committed: 0,
            dropped: 0,
            busy: true,
            state: None,
            metrics: WorkerMetrics::new(index),
            shared,
        }))
    }

    fn run(&mut self) -> Result<(), StreamsError> {
        let waits = self.waits_for_topics()?;
        self.set_state(if waits { WorkerState::Running } else { WorkerState::Rebalancing });
        while !self.shared.stop.load(Ordering::Acquire) {
            self.turn()?;
        }
        Ok(())
    }

    /// One turn of the loop: takes records in, follows the group, restores, processes, and commits if
    /// that is due.
    ///
    /// # Errors
    /// What the worker cannot get over: give it to [`Worker::close`].
    pub fn turn(&mut self) -> Result<(), StreamsError> {
        if let Some(error) = self.shared.ports.stores().take_failure() {
            return Err(error.into());
        }
        self.poll()?;
        while let Some(event) = self.consumer.next_rebalance() {
            self.rebalance(event)?;
        }
        self.look_at_group()?;
        self.look_after_waiting()?;
        self.commit_starts()?;
        self.restore_step()?;
        self.take_inputs()?;
        self.process_waiting()?;
        self.punctuate()?;
        self.commit_if_due()
    }

    /// Commits what was processed, or aborts it after an error, and ends the tasks.
    ///
    /// # Errors
    /// The error that was given, or that of the last commit.
    pub fn close(&mut self, result: Result<(), StreamsError>) -> Result<(), StreamsError> {
        self.revoking = true;
        let result = match result {
            Ok(()) => {
                let done = self.last_commit();
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

    /// A panic with the task that was in the middle of something, and what that was.
    fn located(&self, error: StreamsError) -> StreamsError {
        let StreamsError::Panicked { worker, task: None, activity: None, message } = error else {
            return error;
        };
        let doing = |entry: &tasks::Entry| Some((entry.task.id(), entry.task.activity()?));
        let (task, activity) = self.tasks.entries().iter().find_map(doing).unzip();
        // Nothing of a task: the record before it says most of where it was.
        let message = match self.last_taken {
            Some(_) if task.is_none() => {
                format!("{message} (after the record {})", self.last_record())
            }
            _ => message,
        };
        StreamsError::Panicked { worker, task, activity, message }
    }

    fn set_state(&mut self, state: WorkerState) {
        if self.state != Some(state) {
            self.state = Some(state);
            (self.shared.on_worker_state)(self.index, state);
        }
    }

    /// Whether the last turn got something done, so that the next should come at once.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether the group has assigned, and all tasks run.
    pub fn is_settled(&self) -> bool {
        self.state == Some(WorkerState::Running)
    }

    /// The tasks, those among them that are being restored included.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.entries().iter().map(|entry| &entry.task)
    }

    /// How many commits have succeeded.
    pub fn commits(&self) -> u64 {
        self.committed
    }

    /// How many records were dropped, those of the open transaction among them.
    pub fn dropped(&self) -> u64 {
        self.dropped + self.tasks().map(Task::dropped).sum::<u64>()
    }

    /// Commits what there is, whether it is due or not.
    ///
    /// # Errors
    /// As [`Worker::turn`].
    pub fn commit_now(&mut self) -> Result<(), StreamsError> {
        self.commit()
    }

    fn now(&self) -> Instant {
        self.shared.ports.clock().now()
    }

    fn wall_clock_ms(&self) -> i64 {
        self.shared.ports.clock().wall_clock_ms()
    }

    fn sleep(&self, time: Duration) {
        self.shared.ports.clock().sleep(time);
    }

    fn cluster(&self) -> &P::Cluster {
        self.shared.ports.cluster()
    }
}
