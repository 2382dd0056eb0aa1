//! What the group decides, carried out: commit and suspend, or take and restore.
//!
//! Order of a revocation: commit, suspend the tasks, then give the partitions up. The member
//! keeps its generation until the last, so the commit is still its own. Between a revocation and
//! the next assignment stores stay open, and a task that comes back goes on with a warm cache.

use std::time::{Duration, Instant};

use oncestream_core::commit::Fact;
use oncestream_core::task::Task;
use oncestream_core::{TaskId, TopicPartition};

use super::tasks::{Entry, Phase, wanted};
use super::{Worker, WorkerState, wall_clock_ms};
use crate::clients::{Rebalance, is_transient};
use crate::error::StreamsError;

/// How long the committed offsets may be waited for: a transaction that a crashed instance left
/// open on them ends by its timeout.
const OFFSETS_DEADLINE: Duration = Duration::from_secs(120);
const OFFSETS_STEP: Duration = Duration::from_secs(5);

impl Worker {
    pub(super) fn rebalance(&mut self, event: Rebalance) -> Result<(), StreamsError> {
        self.set_state(WorkerState::Rebalancing);
        match event {
            Rebalance::Assign(partitions) => self.take(partitions),
            Rebalance::Revoke(partitions) => self.give_up(&partitions, false),
            Rebalance::Lost(partitions) => self.give_up(&partitions, true),
        }
    }

    fn give_up(&mut self, partitions: &[TopicPartition], lost: bool) -> Result<(), StreamsError> {
        tracing::info!(worker = self.index, lost, ?partitions, "partitions revoked");
        self.revoking = true;
        let done = if lost { self.report(Fact::Lost) } else { self.commit() };
        self.revoking = false;
        done?;
        if lost {
            self.drop_tasks();
        }
        self.restorer.cancel();
        // A task whose restore was cut short starts anew, from its checkpoint.
        self.tasks.retain(|e| {
            e.phase == Phase::Running || !e.partitions.iter().any(|p| partitions.contains(p))
        });
        for entry in self.tasks.entries_mut() {
            if entry.partitions.iter().any(|p| partitions.contains(p)) {
                entry.phase = Phase::Suspended;
                entry.task.clear_queues();
            }
        }
        self.assigned.retain(|p| !partitions.contains(p));
        self.joined = !self.assigned.is_empty();
        self.paused.retain(|p| !partitions.contains(p));
        self.consumer
            .unassign(partitions)
            .map_err(|e| StreamsError::client("giving partitions up", e))
    }

    fn take(&mut self, partitions: Vec<TopicPartition>) -> Result<(), StreamsError> {
        tracing::info!(worker = self.index, ?partitions, "partitions assigned");
        if self.consumer.is_cooperative() {
            let known = self.assigned.clone();
            self.assigned.extend(partitions.iter().filter(|p| !known.contains(p)).cloned());
            // With new partitions a task may get more inputs: commit, then make it anew.
            self.commit()?;
            self.restorer.cancel();
            self.tasks.retain(|e| e.phase == Phase::Running);
        } else {
            self.assigned.clone_from(&partitions);
        }
        self.assign_and_start(&partitions)
    }

    /// Starts the tasks of everything assigned, from what is committed.
    pub(super) fn start_tasks(&mut self) -> Result<(), StreamsError> {
        let partitions = self.assigned.clone();
        if self.consumer.is_cooperative() {
            self.consumer
                .unassign(&partitions)
                .map_err(|e| StreamsError::client("reading partitions again", e))?;
        }
        self.assign_and_start(&partitions)
    }

    /// Takes `partitions` at their committed offsets and makes the tasks of all that is assigned.
    fn assign_and_start(&mut self, partitions: &[TopicPartition]) -> Result<(), StreamsError> {
        let committed = self.committed(partitions)?;
        let positions: Vec<_> = partitions
            .iter()
            .zip(&committed)
            .map(|(p, c)| (p.clone(), c.map(|c| c.offset)))
            .collect();
        let application_id = self.shared.config.application_id().to_owned();
        let wanted = wanted(&self.shared.topology, &application_id, &self.assigned);
        self.tasks.retain(|e| wanted.get(&e.task.id()) == Some(&e.partitions));
        for (id, inputs) in wanted {
            self.shared.state_dir.claim(id, self.index);
            if self.tasks.find(id).is_none() {
                self.make_task(id, inputs)?;
            }
        }
        for entry in self.tasks.entries_mut() {
            if entry.phase == Phase::Suspended {
                entry.phase = Phase::Running;
            }
            let inputs: Vec<_> = entry.task.inputs().map(|(i, p)| (i, p.clone())).collect();
            for (input, partition) in inputs {
                let at = partitions.iter().position(|p| *p == partition);
                if let Some(Some(c)) = at.map(|at| committed[at]) {
                    entry.task.set_committed(input, Some(c.offset), c.metadata);
                }
            }
        }
        let incremental = self.consumer.is_cooperative();
        self.consumer
            .assign(&positions, incremental)
            .map_err(|e| StreamsError::client("taking partitions", e))?;
        let restoring = self.tasks.entries().iter().filter(|e| e.phase == Phase::Restoring);
        self.consumer
            .pause(restoring.flat_map(|e| &e.partitions))
            .map_err(|e| StreamsError::client("pausing partitions", e))?;
        self.metrics.tasks.set(self.tasks.entries().len() as f64);
        self.joined = true;
        self.start_restore()
    }

    fn make_task(
        &mut self,
        id: TaskId,
        partitions: Vec<TopicPartition>,
    ) -> Result<(), StreamsError> {
        self.discard_stale_stores(id)?;
        let sub = &self.shared.topology.sub_topologies()[id.sub_topology.0];
        let first = self.take_changelog_ids(sub.stores.len());
        let task = Task::new(
            &self.shared.topology,
            id,
            &partitions,
            &self.task_config,
            &*self.shared.state_dir.backend,
            &self.budget,
            first,
        )
        .map_err(|e| StreamsError::build(id, e))?;
        self.tasks.push(Entry { task, partitions, phase: Phase::Restoring });
        Ok(())
    }

    fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<crate::clients::Committed>>, StreamsError> {
        let deadline = Instant::now() + OFFSETS_DEADLINE;
        loop {
            match self.consumer.committed(partitions, OFFSETS_STEP) {
                Ok(committed) => return Ok(committed),
                Err(e) if is_transient(&e) && Instant::now() < deadline => {
                    tracing::info!(worker = self.index, error = %e, "waiting for the committed offsets");
                }
                Err(e) => return Err(StreamsError::client("reading the committed offsets", e)),
            }
        }
    }

    /// Starts the processors of tasks whose stores are restored and lets their records flow.
    pub(super) fn start_restored(&mut self) -> Result<(), StreamsError> {
        let restorer = &self.restorer;
        let ready: Vec<TaskId> = self
            .tasks
            .entries()
            .iter()
            .filter(|e| e.phase == Phase::Restoring && !restorer.is_restoring(e.task.id()))
            .map(|e| e.task.id())
            .collect();
        for id in ready {
            if self.tasks.find(id).is_some_and(|e| e.task.has_processors())
                && !self.ensure_open()?
            {
                return Ok(());
            }
            let (Some(entry), Some(producer)) =
                (self.tasks.entries_mut().find(|e| e.task.id() == id), &mut self.producer)
            else {
                return Ok(());
            };
            if let Err(source) = entry.task.init(wall_clock_ms(), producer) {
                let fact = self.classify_task_error(StreamsError::Task { task: id, source });
                return self.report(fact);
            }
            entry.phase = Phase::Running;
            self.consumer
                .resume(entry.partitions.iter())
                .map_err(|e| StreamsError::client("resuming partitions", e))?;
            tracing::info!(worker = self.index, task = %id, "task runs");
        }
        if self.tasks.all_running() && self.joined {
            self.set_state(WorkerState::Running);
        }
        Ok(())
    }
}
