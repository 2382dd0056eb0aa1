//! Executes what the commit machine decides.
//!
//! Invariants:
//! - Only [`Worker::drive`] executes actions, and each action's outcome goes back as a fact.
//! - The stores' batch is applied only for [`Action::Apply`], and cleared on every way back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use oncestream_core::commit::{Action, CommitMachine, CommitPermit, Disposition, Fact};
use oncestream_core::error::TaskError;
use oncestream_core::state::Checkpoint;
use oncestream_core::task::{ChangelogId, Position};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::tasks::Route;
use super::{Shared, Worker, wall_clock_ms};
use crate::clients::{Step, WorkerProducer, disposition};
use crate::error::StreamsError;

/// Longer than the coordinator may take to settle a transaction that a crash left open.
const INIT_TIMEOUT: Duration = Duration::from_secs(300);
/// The step in which that is tried; the worker can be stopped in between.
const INIT_STEP: Duration = Duration::from_secs(5);
/// A producer that fails for good so many times in a row, without a commit, stops the worker.
const MAX_FATAL: u32 = 5;
/// The longest pause before tasks that keep failing are started again.
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// The transactional id of a worker: stable across restarts, so that a restart fences what the
/// crash left open, and of this worker alone.
fn transactional_id(shared: &Shared, worker: usize) -> String {
    let (app, instance) = (shared.config.application_id(), &shared.state_dir.instance_id);
    format!("{app}-{instance}-{worker}")
}

/// Makes a worker's producer; under exactly once it fences and settles its predecessor.
pub(super) fn new_producer(
    shared: &Arc<Shared>,
    worker: usize,
) -> Result<WorkerProducer, StreamsError> {
    let exactly_once = shared.config.is_exactly_once();
    let id = exactly_once.then(|| transactional_id(shared, worker));
    let settings = shared.config.producer_settings(id.as_deref(), worker);
    let producer = WorkerProducer::new(&settings).map_err(|e| {
        StreamsError::client(format!("creating the producer of worker {worker}"), e)
    })?;
    if let Some(id) = id {
        init(shared, &producer, &id)?;
    }
    Ok(producer)
}

fn init(shared: &Shared, producer: &WorkerProducer, id: &str) -> Result<(), StreamsError> {
    let deadline = Instant::now() + INIT_TIMEOUT;
    loop {
        match producer.init(INIT_STEP) {
            Ok(()) => return Ok(()),
            // The same call may be resumed after a time-out.
            Err(KafkaError::Transaction(e))
                if e.is_retriable()
                    && Instant::now() < deadline
                    && !shared.stop.load(Ordering::Acquire) =>
            {
                tracing::info!(error = %e, id, "waiting for the transaction coordinator");
            }
            Err(e) => {
                let action = format!("initialising transactional id {id}");
                return Err(StreamsError::client(action, e));
            }
        }
    }
}

/// Opens a transaction for the first record of it. An error comes back as the fact to report.
pub(super) fn begin(
    machine: &mut CommitMachine,
    producer: &WorkerProducer,
    why: &mut Option<StreamsError>,
) -> Result<(), Fact> {
    if machine.on(Fact::Work) == Action::Begin
        && let Err(e) = producer.begin()
    {
        let fact = Fact::Failed(disposition(&e, Step::Transaction, producer.fatal()));
        *why = Some(StreamsError::client("beginning a transaction", e));
        return Err(fact);
    }
    Ok(())
}

/// A record that the client refuses at once is told like one that the broker refuses.
fn produce_error(error: StreamsError) -> StreamsError {
    match error {
        StreamsError::Task { task, source: TaskError::Send { topic, source } } => {
            match source.downcast::<KafkaError>() {
                Ok(source) => StreamsError::Produce { topic, partition: -1, source: *source },
                Err(source) => {
                    StreamsError::Task { task, source: TaskError::Send { topic, source } }
                }
            }
        }
        other => other,
    }
}

impl Worker {
    /// Opens a transaction if none is open. False if that failed and the tasks were started anew.
    pub(super) fn ensure_open(&mut self) -> Result<bool, StreamsError> {
        if self.machine.is_open() {
            return Ok(true);
        }
        let Some(producer) = &self.producer else { return Ok(false) };
        self.opened_at = Instant::now();
        match begin(&mut self.machine, producer, &mut self.error) {
            Ok(()) => Ok(true),
            Err(fact) => self.report(fact).map(|()| false),
        }
    }

    /// Commits when it is time, when too much is uncommitted, or when a processor asked.
    pub(super) fn commit_if_due(&mut self) -> Result<(), StreamsError> {
        let now = Instant::now();
        let bytes = self.tasks.uncommitted_bytes();
        let too_much =
            self.shared.config.uncommitted_max_bytes().is_some_and(|max| bytes as u64 > max);
        let asked =
            self.tasks.running_tasks().fold(false, |asked, t| t.take_commit_request() | asked);
        if now < self.next_commit && !too_much && !asked {
            return Ok(());
        }
        self.metrics.uncommitted_bytes.set(bytes as f64);
        self.next_commit = now + self.shared.config.commit_interval();
        self.commit()?;
        self.purge_if_due();
        Ok(())
    }

    /// Commits what there is.
    pub(super) fn commit(&mut self) -> Result<(), StreamsError> {
        if !self.machine.is_open() || !self.tasks.needs_commit() {
            return Ok(());
        }
        let span = tracing::debug_span!("commit", worker = self.index);
        let _entered = span.enter();
        let started = Instant::now();
        let before = self.committed;
        self.report(Fact::CommitDue)?;
        if self.committed > before {
            self.metrics.committed(started.elapsed(), self.opened_at.elapsed());
        }
        Ok(())
    }

    /// Gives a fact to the machine and does what it asks for.
    pub(super) fn report(&mut self, fact: Fact) -> Result<(), StreamsError> {
        let action = self.machine.on(fact);
        self.drive(action)
    }

    /// Executes actions until there is nothing more to do.
    pub(super) fn drive(&mut self, mut action: Action) -> Result<(), StreamsError> {
        loop {
            tracing::trace!(worker = self.index, ?action);
            let fact = match action {
                Action::Nothing => return Ok(()),
                // Only `begin` opens transactions.
                Action::Begin => Fact::Done,
                Action::Flush => self.flush(),
                Action::SendOffsets => self.send_offsets(),
                Action::Commit(permit) => self.commit_transaction(permit),
                Action::Apply => self.apply(),
                Action::AbortAndRestart => self.abort_and_restart()?,
                Action::ReplaceAndRestart => self.replace_and_restart()?,
                Action::AbortAndDrop => self.abort_and_drop(),
                Action::Stop => return Err(self.stop_error()),
            };
            action = self.machine.on(fact);
        }
    }

    fn flush(&mut self) -> Fact {
        let Some(producer) = &mut self.producer else {
            return Fact::Failed(Disposition::OutcomeUnknown);
        };
        let mut failed = None;
        for task in self.tasks.running_tasks() {
            if let Err(source) = task.flush(producer, &mut self.batch) {
                failed = Some(StreamsError::Task { task: task.id(), source });
                break;
            }
        }
        if let Some(error) = failed {
            return self.classify_task_error(error);
        }
        let limit = if self.shared.config.is_exactly_once() {
            self.shared.config.transaction_timeout()
        } else {
            // Waiting longer would cost the membership in the group.
            self.shared.config.max_poll_interval() * 4 / 5
        };
        let in_time = producer.await_deliveries(limit);
        self.metrics.records_out.increment(producer.take_sent());
        if let Some(fact) = self.delivery_failed() {
            return fact;
        }
        if in_time {
            return Fact::Done;
        }
        self.error = Some(StreamsError::TimedOut {
            action: format!("worker {}: waiting for acknowledgements", self.index),
            waited: limit,
        });
        Fact::Failed(Disposition::AbortTransaction)
    }

    /// The positions to commit: what changed, or, if nothing did, one that is known, so that the
    /// broker checks the generation.
    fn positions(&mut self) -> Vec<Position> {
        let changed: Vec<Position> =
            self.tasks.running_tasks().flat_map(|t| t.positions().collect::<Vec<_>>()).collect();
        if !changed.is_empty() {
            return changed;
        }
        self.tasks
            .running_tasks()
            .flat_map(|t| t.known_positions().collect::<Vec<_>>())
            .take(1)
            .collect()
    }

    fn send_offsets(&mut self) -> Fact {
        let mut list = TopicPartitionList::new();
        for p in self.positions() {
            let mut element = list.add_partition(&p.partition.topic, p.partition.partition);
            if let Err(e) = element.set_offset(Offset::Offset(p.offset)) {
                return self.client_failed("setting an offset", e, Step::Transaction);
            }
            element.set_metadata(p.metadata.encode());
        }
        if list.count() == 0 {
            return Fact::Done;
        }
        if !self.shared.config.is_exactly_once() {
            return match self.consumer.commit(&list) {
                Ok(()) => Fact::Done,
                Err(e) => self.client_failed("committing offsets", e, Step::GroupCommit),
            };
        }
        // Asked for at each commit: it carries the generation that the broker checks.
        let (Some(group), Some(producer)) = (self.consumer.group_metadata(), &self.producer) else {
            return Fact::Failed(Disposition::RestoreTask);
        };
        match producer.send_offsets(&list, &group, self.call_timeout()) {
            Ok(()) => Fact::Done,
            Err(e) => {
                self.client_failed("sending offsets to the transaction", e, Step::Transaction)
            }
        }
    }

    fn commit_transaction(&mut self, permit: CommitPermit) -> Fact {
        let Some(producer) = &self.producer else {
            return Fact::Failed(Disposition::OutcomeUnknown);
        };
        let transaction = permit.transaction();
        match producer.commit(permit, self.call_timeout()) {
            Ok(()) => Fact::Done,
            Err(e) => {
                let action = format!("committing transaction {transaction}");
                self.client_failed(&action, e, Step::Transaction)
            }
        }
    }

    /// Puts data and changelog offsets of all stores down together.
    fn apply(&mut self) -> Fact {
        let now_ms = wall_clock_ms();
        let Some(producer) = &self.producer else { return Fact::Failed(Disposition::Fatal) };
        let offsets = producer.take_changelogs();
        for task in self.tasks.running_tasks() {
            for (id, keyspace) in task.changelogs() {
                if let Some(offset) = offsets.get(&id) {
                    let checkpoint = Checkpoint { offset: *offset, written_at_ms: now_ms };
                    checkpoint.write(&keyspace, &mut self.batch);
                }
            }
        }
        let owned = self.tasks.entries().iter().map(|e| e.task.id());
        match self.shared.state_dir.apply(self.index, owned, &self.batch) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(
                    worker = self.index,
                    "a task moved to another worker during its commit"
                );
                // What is committed is committed; the tasks follow their changelogs from here.
                return Fact::Failed(Disposition::RestoreTask);
            }
            Err(error) => {
                self.error = Some(error);
                return Fact::Failed(Disposition::Fatal);
            }
        }
        self.batch.clear();
        let mut dropped = 0;
        for task in self.tasks.running_tasks() {
            task.committed();
            dropped += task.take_dropped();
        }
        self.metrics.records_dropped.increment(dropped);
        self.failures = 0;
        self.fatal_producers = 0;
        self.committed += 1;
        Fact::Done
    }

    /// One way back from every failure: nothing of the transaction stays, in Kafka or here.
    fn abort_and_restart(&mut self) -> Result<Fact, StreamsError> {
        self.log_failure("aborting and starting the tasks again");
        if let Some(fact) = self.abort_transaction() {
            return Ok(fact);
        }
        self.restart_tasks()?;
        Ok(Fact::Done)
    }

    fn replace_and_restart(&mut self) -> Result<Fact, StreamsError> {
        self.log_failure("replacing the producer and starting the tasks again");
        // Dropped first: two producers with one transactional id never live at a time.
        self.producer = None;
        self.producer = Some(new_producer(&self.shared, self.index)?);
        self.restart_tasks()?;
        Ok(Fact::Done)
    }

    fn abort_and_drop(&mut self) -> Fact {
        self.log_failure("aborting: the partitions are gone");
        self.drop_tasks();
        self.abort_transaction().unwrap_or(Fact::Done)
    }

    /// Aborts the open transaction; a fact if that failed. At least once there is none, but
    /// records without an acknowledgement are waited for, or given up with their producer, so that
    /// none overtakes its repetition.
    fn abort_transaction(&mut self) -> Option<Fact> {
        self.metrics.aborts.increment(1);
        let Some(producer) = &self.producer else {
            return Some(Fact::Failed(Disposition::OutcomeUnknown));
        };
        if !self.shared.config.is_exactly_once() {
            if !producer.await_deliveries(INIT_STEP) {
                // What it still holds is dropped with it; the tasks will send it again.
                return Some(Fact::Failed(Disposition::OutcomeUnknown));
            }
            drop(producer.take_changelogs());
            return None;
        }
        match producer.abort(self.call_timeout()) {
            Ok(()) => None,
            Err(e) => Some(self.client_failed("aborting a transaction", e, Step::Transaction)),
        }
    }

    /// On the way to the end: what is open is aborted if that is possible.
    pub(super) fn abort_quietly(&mut self) {
        if self.shared.config.is_exactly_once()
            && let Some(producer) = &self.producer
            && let Err(error) = producer.abort(self.call_timeout())
        {
            tracing::warn!(worker = self.index, %error, "the open transaction is left to its timeout");
        }
    }

    /// Drops the tasks and, unless they are being given up, starts them again from what is
    /// committed.
    fn restart_tasks(&mut self) -> Result<(), StreamsError> {
        self.drop_tasks();
        // A rebalance that waits to be handled decides what is assigned.
        if self.revoking || self.consumer.is_rebalancing() {
            return Ok(());
        }
        self.failures += 1;
        if self.failures > 1 {
            let backoff = Duration::from_millis(20 << self.failures.min(10)).min(MAX_BACKOFF);
            std::thread::sleep(backoff);
        }
        self.start_tasks()
    }

    pub(super) fn drop_tasks(&mut self) {
        self.restorer.cancel();
        self.tasks.clear();
        self.batch.clear();
        self.paused.clear();
    }

    /// How long one transactional call may take.
    fn call_timeout(&self) -> Duration {
        self.shared.config.transaction_timeout().max(Duration::from_secs(30))
    }

    /// The first delivery that failed, as a fact.
    pub(super) fn delivery_failed(&mut self) -> Option<Fact> {
        let producer = self.producer.as_ref()?;
        producer.poll();
        let failure = producer.failure()?;
        let step = if self.shared.config.is_exactly_once() {
            Step::TransactionalDelivery
        } else {
            Step::PlainDelivery
        };
        let fact = self.judge(&failure.error, step);
        self.error = Some(StreamsError::Produce {
            topic: failure.topic,
            partition: failure.partition,
            source: failure.error,
        });
        Some(fact)
    }

    pub(super) fn task_failed(&mut self, route: Route, source: TaskError) -> Fact {
        let error = StreamsError::Task { task: self.tasks.task_id(route), source };
        self.classify_task_error(error)
    }

    /// A user's or a serde's fault stops; a producer's is judged by what it said.
    pub(super) fn classify_task_error(&mut self, error: StreamsError) -> Fact {
        let mut fact = Fact::Failed(Disposition::Fatal);
        if let StreamsError::Task { source: TaskError::Send { source, .. }, .. } = &error
            && let Some(kafka) = source.downcast_ref::<KafkaError>()
        {
            let step = if self.shared.config.is_exactly_once() {
                Step::TransactionalDelivery
            } else {
                Step::PlainDelivery
            };
            fact = self.judge(kafka, step);
        }
        self.error = Some(produce_error(error));
        fact
    }

    /// What to do about a client's error, in the light of what happened before.
    fn judge(&mut self, error: &KafkaError, step: Step) -> Fact {
        let fatal = self.producer.as_ref().and_then(WorkerProducer::fatal);
        let mut found = disposition(error, step, fatal);
        let outlived = self.opened_at.elapsed() >= self.shared.config.transaction_timeout();
        if found == Disposition::Fenced && outlived {
            // Its own time-out has ended the transaction, not a rival.
            found = Disposition::OutcomeUnknown;
        }
        if fatal.is_some() && found == Disposition::OutcomeUnknown {
            self.fatal_producers += 1;
            if self.fatal_producers > MAX_FATAL {
                found = Disposition::Fatal;
            }
        }
        Fact::Failed(found)
    }

    fn client_failed(&mut self, action: &str, error: KafkaError, step: Step) -> Fact {
        let fact = self.judge(&error, step);
        self.error = Some(StreamsError::client(format!("worker {}: {action}", self.index), error));
        fact
    }

    fn log_failure(&mut self, then: &str) {
        match self.error.take() {
            Some(error) => tracing::warn!(worker = self.index, %error, "{then}"),
            None => tracing::warn!(worker = self.index, "{then}"),
        }
    }

    fn stop_error(&mut self) -> StreamsError {
        self.error.take().unwrap_or_else(|| StreamsError::Fenced {
            transactional_id: transactional_id(&self.shared, self.index),
        })
    }

    /// Deletes what repartition topics hold before the committed offsets.
    fn purge_if_due(&mut self) {
        let now = Instant::now();
        if now < self.next_purge {
            return;
        }
        self.next_purge = now + self.shared.config.repartition_purge_interval();
        let known: Vec<_> = self
            .tasks
            .running_tasks()
            .flat_map(|t| t.known_positions().collect::<Vec<_>>())
            .collect();
        let before: Vec<_> = known
            .into_iter()
            .filter(|p| self.is_repartition(&p.partition.topic))
            .map(|p| (p.partition, p.offset))
            .collect();
        if !before.is_empty() {
            let admin = self.shared.admin.clone();
            self.shared.runtime.spawn(async move { admin.purge(before).await });
        }
    }

    /// The next free changelog ids.
    pub(super) fn take_changelog_ids(&mut self, count: usize) -> ChangelogId {
        let first = self.next_changelog;
        self.next_changelog = ChangelogId(first.0.wrapping_add(count as u32));
        first
    }
}
