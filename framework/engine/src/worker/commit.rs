//! Executes what the commit machine decides.
//!
//! Invariants:
//! - Only [`Worker::drive`] executes actions, and each action's outcome goes back as a fact.
//! - Participants apply only for [`Action::Apply`], and discard on every way back.
//! - Tasks are told that they are committed after the last step only, whichever that is.

use std::sync::Arc;
use std::time::Duration;

use oncestream_core::TaskId;
use oncestream_core::commit::{Action, CommitPermit, Symptom};
use oncestream_core::error::TaskError;
use oncestream_core::state::WriteBatch;
use oncestream_core::task::{Flushed, Position, Task};

use super::sabotage::Bug;
use super::{Fact, Failure, Worker};
use crate::error::StreamsError;
use crate::ports::{Clock, Cluster, GroupConsumer, Ports, WorkerProducer};
use crate::verdict::Step;

/// How long offsets may take to be sent. librdkafka's call may not return while coordinators come
/// and go, and after the time-out of the transaction there is no use in waiting.
const OFFSETS_LIMIT: Duration = Duration::from_secs(10);

impl<P: Ports> Worker<P> {
    /// Commits when it is time, when too much is uncommitted, or when a processor asked.
    pub(super) fn commit_if_due(&mut self) -> Result<(), StreamsError> {
        let now = self.now();
        let bytes = self.tasks.uncommitted_bytes();
        let too_much =
            self.shared.settings.uncommitted_max_bytes.is_some_and(|max| bytes as u64 > max);
        let asked =
            self.tasks.running_tasks().fold(false, |asked, t| t.take_commit_request() | asked);
        let refused = self.producer.as_mut().is_some_and(P::Producer::take_refusal_applied);
        let full = self.machine.room() == 0;
        if now < self.times.next_commit() && !too_much && !asked && !refused && !full {
            return Ok(());
        }
        self.metrics.uncommitted_bytes.set(bytes as f64);
        let interval = self.shared.settings.commit_interval;
        let done = self.commit();
        self.times.commit_ended(interval, now, self.shared.ports.clock().now());
        done?;
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
        let started = self.now();
        let before = self.committed;
        self.report(Fact::CommitDue)?;
        if self.committed > before {
            let now = self.now();
            self.metrics.committed(now - started, self.times.open_for(now));
        }
        Ok(())
    }

    /// The commit before the end. If it fails, its transaction is aborted, and the next owner of the
    /// partitions processes these records again. It is no failure if the partitions have another owner
    /// already.
    pub(super) fn last_commit(&mut self) -> Result<(), StreamsError> {
        let (before, due) = (self.committed, self.tasks.needs_commit());
        drop(self.machine.take_cause());
        self.report(Fact::CommitDue)?;
        match self.machine.take_cause() {
            Some(error) if due && self.committed == before && !error.is_of_group() => {
                Err(StreamsError::LastCommit { worker: self.index, source: Box::new(error) })
            }
            _ => Ok(()),
        }
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
            let last = self.machine.ends_commit(&action);
            let fact = match action {
                Action::Nothing => return Ok(()),
                Action::Begin => self.begin_transaction(),
                Action::Flush => self.flush(),
                Action::SendOffsets => self.send_offsets(),
                Action::Commit(permit) => self.commit_transaction(permit),
                Action::Apply => self.apply(),
                Action::Learn => self.learn_refused(),
                Action::Discard => self.discard_damaged(),
                Action::AbortAndRestart(pause) => self.abort_and_restart(pause)?,
                Action::ReplaceAndRestart(pause) => self.replace_and_restart(pause)?,
                Action::AbortAndDrop => self.abort_and_drop(),
                Action::Stop(ending) => return Err(self.stop_error(ending)),
            };
            if last && matches!(fact, Fact::Done) {
                self.settled();
            }
            action = self.machine.on(fact);
        }
    }

    fn flush(&mut self) -> Fact {
        let Some(producer) = &mut self.producer else {
            return Fact::Failed(Failure::silent(Symptom::NoProducer));
        };
        let limit = if self.shared.settings.is_exactly_once() {
            self.shared.settings.transaction_timeout
        } else {
            // Waiting longer would cost the membership in the group.
            self.shared.settings.max_poll_interval * 4 / 5
        };
        let shared = Arc::clone(&self.shared);
        let clock = shared.ports.clock();
        let began = clock.now();
        let mut flushed = Ok(());
        for task in self.tasks.running_tasks() {
            let _span = tracing::debug_span!("task", id = %task.id()).entered();
            flushed =
                flush_task(task, producer, self.stores.batch(), || clock.now() >= began + limit);
            if flushed.is_err() {
                break;
            }
        }
        self.times.add_work(clock.now() - began);
        match flushed {
            Ok(()) => {}
            Err(Unflushed::Failed(task, source)) => {
                let error = StreamsError::Task { task, source };
                return Fact::Failed(self.classify_task_error(error));
            }
            Err(Unflushed::Late(task)) => {
                let action =
                    format!("worker {}: task {task}: the work on records in hand", self.index);
                return Fact::Failed(late(action, limit));
            }
        }
        let in_time = producer.await_deliveries(limit);
        self.metrics.records_out.increment(producer.take_sent());
        if let Some(failure) = self.delivery_failed() {
            return Fact::Failed(failure);
        }
        if in_time {
            return self.prepare();
        }
        Fact::Failed(late(format!("worker {}: waiting for acknowledgements", self.index), limit))
    }

    /// The positions to commit: what changed, or, if nothing did, one that is known, so that the
    /// broker checks the generation.
    pub(super) fn positions(&mut self) -> Vec<Position> {
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
        let positions = self.positions();
        if positions.is_empty() {
            return Fact::Done;
        }
        // The broker would take positions of no generation at all without a check, and answers a
        // static member that has given its membership up like one that has a twin.
        if self.consumer.is_rebalancing() {
            return Fact::Failed(Failure::silent(Symptom::Moved));
        }
        if !self.shared.settings.is_exactly_once() || Bug::OffsetsOutside.is_planted() {
            return match self.consumer.commit(&positions) {
                Ok(()) => Fact::Done,
                Err(e) => {
                    Fact::Failed(self.client_failed("committing offsets", e, Step::GroupCommit))
                }
            };
        }
        // It carries the generation that the broker checks.
        let (Some(group), Some(producer)) = (self.group.generation(), &self.producer) else {
            return Fact::Failed(Failure::silent(Symptom::Moved));
        };
        let limit = self.shared.settings.transaction_timeout.max(OFFSETS_LIMIT);
        match producer.send_offsets(&positions, group, limit) {
            Ok(()) => Fact::Done,
            Err(e) => {
                let action = "sending offsets to the transaction";
                Fact::Failed(self.client_failed(action, e, Step::Transaction))
            }
        }
    }

    fn commit_transaction(&mut self, permit: CommitPermit) -> Fact {
        if Bug::ApplyFirst.is_planted() {
            self.apply();
        }
        let Some(producer) = &self.producer else {
            return Fact::Failed(Failure::silent(Symptom::NoProducer));
        };
        let transaction = permit.transaction();
        match producer.commit(permit, self.call_timeout()) {
            Ok(()) => Fact::Done,
            Err(e) => {
                let action = format!("committing transaction {transaction}");
                Fact::Failed(self.client_failed(&action, e, Step::Transaction))
            }
        }
    }

    /// The last step of a commit succeeded: nothing of it will be taken back.
    fn settled(&mut self) {
        let mut dropped = 0;
        for entry in self.tasks.running_entries() {
            entry.task.committed();
            dropped += entry.task.take_dropped();
            entry.tell_buffers();
        }
        self.dropped += dropped;
        self.metrics.records_dropped.increment(dropped);
        if let Some(producer) = &mut self.producer {
            producer.committed();
        }
        self.committed += 1;
    }

    /// How long one transactional call may take.
    pub(super) fn call_timeout(&self) -> Duration {
        self.shared.settings.transaction_timeout.max(Duration::from_secs(30))
    }

    /// Deletes what repartition topics hold before the committed offsets.
    pub(super) fn purge_if_due(&mut self) {
        let now = self.now();
        if !self.times.take_purge(self.shared.settings.repartition_purge_interval, now) {
            return;
        }
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
            self.cluster().purge(before);
        }
    }
}

/// Something was not there in its time, and may be the next time.
fn late(action: String, waited: Duration) -> Failure {
    Failure::new(Symptom::Late, StreamsError::TimedOut { action, waited })
}

/// Why a task is not flushed.
enum Unflushed {
    Failed(TaskId, TaskError),
    /// It still has records in work when the time is over.
    Late(TaskId),
}

/// Flushes a task, and waits for the records that its nodes hold.
fn flush_task(
    task: &mut Task,
    producer: &mut impl WorkerProducer,
    batch: &mut WriteBatch,
    is_over: impl Fn() -> bool,
) -> Result<(), Unflushed> {
    loop {
        match task.flush(producer, batch) {
            Ok(Flushed::Done) => return Ok(()),
            Ok(Flushed::NotYet) if is_over() => {
                return Err(Unflushed::Late(task.id()));
            }
            Ok(Flushed::NotYet) => producer.await_report(),
            Err(source) => return Err(Unflushed::Failed(task.id(), source)),
        }
    }
}
