//! What the group decides, carried out: commit and give up, or take and restore.
//!
//! Order of a revocation: commit, end the tasks, then give the partitions up. The member keeps its
//! generation until the last, so the commit is still its own. Tasks never outlive a revocation:
//! the member may miss a generation without being told, in which another one changed their
//! stores. Data on disk stays, and a task that comes back follows its changelog from there.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use oncestream_core::commit::Fact;
use oncestream_core::task::{OffsetMetadata, Task};
use oncestream_core::{TaskId, TopicPartition};

use super::assignment::{self, Plan};
use super::restore::{LOOK_EVERY, UNSETTLED_LIMIT};
use super::tasks::{Entry, Phase};
use super::{Worker, WorkerState};
use crate::client_error::{ClientError, ClientFault as _};
use crate::error::StreamsError;
use crate::ports::{Cluster, Committed, GroupConsumer, Ports, Rebalance, Topics};

/// How long the committed offsets may be waited for at least, and how much longer than a
/// transaction that a crashed instance left open on them, which ends by its timeout.
const OFFSETS_DEADLINE: Duration = Duration::from_secs(120);
const OFFSETS_GRACE: Duration = Duration::from_secs(60);
/// How long brokers may take to agree about the partitions of topics.
pub(super) const COUNTS_DEADLINE: Duration = Duration::from_secs(5);
pub(super) const COUNTS_LOOK: Duration = Duration::from_millis(200);
/// How long a changelog may be unknown that was there before.
const GONE_LIMIT: Duration = Duration::from_secs(10);
const OFFSETS_STEP: Duration = Duration::from_secs(5);

impl<P: Ports> Worker<P> {
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
        self.tasks.close();
        self.drop_tasks();
        self.assigned.clear();
        self.group.revoked();
        self.joined = false;
        // Also after an error: a consumer that owes this call cannot be closed.
        let given_up = self.consumer.unassign();
        done?;
        given_up.map_err(|e| StreamsError::client("giving partitions up", e))
    }

    fn take(&mut self, partitions: Vec<TopicPartition>) -> Result<(), StreamsError> {
        tracing::info!(worker = self.index, ?partitions, "partitions assigned");
        if self.machine.is_open() {
            // Not every assignment follows a revocation that was told (see `GroupConsumer::confirm`).
            // What is open is of a generation that is over: with its tasks gone, it must not be
            // committed.
            if !self.tasks.entries().is_empty() {
                tracing::warn!(worker = self.index, "an assignment came without a revocation");
            }
            self.revoking = true;
            let done = self.report(Fact::Lost);
            self.revoking = false;
            done?;
        }
        self.drop_tasks();
        self.assigned = partitions;
        self.group.assigned(self.now());
        let created = self.ensure_internal_topics()?;
        self.start_tasks()?;
        if created {
            // Those among them that are read have no reader yet.
            self.consumer.look_for_topics();
        }
        Ok(())
    }

    /// The tasks of the assignment, what of it is there, and all topics. Brokers learn of new topics and
    /// partitions one after the other, so what they tell is refused only if they tell it for a while.
    /// What they do not know after that is gone, and the group will learn so too.
    fn plan(&self) -> Result<(Plan, Vec<TopicPartition>, Topics), StreamsError> {
        let application_id = &*self.shared.settings.application_id;
        let deadline = self.now() + COUNTS_DEADLINE;
        loop {
            let there = self.topics()?;
            let is_there =
                |p: &&TopicPartition| there.get(&p.topic).is_some_and(|n| *n > p.partition);
            let known: Vec<_> = self.assigned.iter().filter(is_there).cloned().collect();
            let plan = assignment::plan(&self.shared.topology, application_id, &there, &known);
            let is_settled = plan.is_ok() && known.len() == self.assigned.len();
            if is_settled || self.now() >= deadline || self.is_stopping() {
                return plan.map(|plan| (plan, known, there));
            }
            self.sleep(COUNTS_LOOK);
        }
    }

    /// Every topic with its number of partitions. Brokers may be away for a while.
    pub(super) fn topics(&self) -> Result<Topics, StreamsError> {
        let deadline = self.now() + UNSETTLED_LIMIT;
        loop {
            match self.cluster().topics() {
                Err(error @ StreamsError::BrokerUnreachable { .. })
                    if self.now() < deadline && !self.is_stopping() =>
                {
                    tracing::warn!(worker = self.index, %error, "waiting for a broker");
                }
                there => return there,
            }
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }

    /// Takes what is assigned at the committed offsets and makes its tasks. Between a failure
    /// and this call there are no tasks.
    pub(super) fn start_tasks(&mut self) -> Result<(), StreamsError> {
        match self.make_tasks() {
            // On the way to the end nothing is waited for, and nothing is missed.
            Err(error) if self.is_stopping() => {
                tracing::info!(worker = self.index, %error, "stopping: no tasks are started");
                self.drop_tasks();
                Ok(())
            }
            done => done,
        }
    }

    fn make_tasks(&mut self) -> Result<(), StreamsError> {
        let (Plan { whole, waiting }, partitions, there) = self.plan()?;
        let committed = self.committed(&partitions)?;
        let offsets = self.first_positions(&partitions, &committed)?;
        self.find_sources(whole.keys())?;
        let positions: Vec<_> = partitions.iter().cloned().zip(offsets.iter().copied()).collect();
        for (id, inputs) in whole {
            self.shared.ports.stores().claim(id, self.index);
            let has_committed = |p: &TopicPartition| {
                partitions.iter().position(|q| q == p).is_some_and(|at| committed[at].is_some())
            };
            let offsets_missing = !inputs.iter().any(has_committed);
            let at = |p: &TopicPartition| partitions.iter().position(|q| q == p);
            let offset = |p: &TopicPartition| Some(committed[at(p)?].as_ref()?.offset);
            let known: Vec<_> = inputs.iter().map(|p| (p.clone(), offset(p))).collect();
            self.recover(id, &known)?;
            self.make_task(id, inputs, &positions, offsets_missing)?;
        }
        for entry in self.tasks.entries_mut() {
            let inputs: Vec<_> = entry.task.inputs().map(|(i, p)| (i, p.clone())).collect();
            for (input, partition) in inputs {
                let Some(at) = partitions.iter().position(|p| *p == partition) else { continue };
                let metadata = committed[at]
                    .as_ref()
                    .map_or_else(OffsetMetadata::unknown, |c| c.metadata.clone());
                entry.task.set_committed(input, Some(offsets[at]), &metadata);
            }
            let counted = entry.task.count_partitions(|topic| there.get(topic).copied());
            counted.map_err(|(topic, before, now)| StreamsError::TableTopicGrew {
                topic: topic.to_string(),
                before,
                now,
            })?;
        }
        self.consumer
            .take_apart(&self.tasks.inputs_of_several())
            .map_err(|e| StreamsError::client("reading inputs apart", e))?;
        self.consumer
            .assign(&positions)
            .map_err(|e| StreamsError::client("taking partitions", e))?;
        // Until its task runs, a partition is not read; if its task waits, for as long as it does.
        self.consumer
            .pause(&partitions)
            .map_err(|e| StreamsError::client("pausing partitions", e))?;
        self.metrics.tasks.set(self.tasks.entries().len() as f64);
        let held = self.starts_to_hold(&waiting, &partitions, &committed)?;
        self.starts.hold(held);
        self.waiting.begin(waiting, self.now());
        self.joined = true;
        self.start_restore()
    }

    /// The inputs of waiting tasks of which none has a committed offset, here or elsewhere.
    fn starts_to_hold(
        &mut self,
        waiting: &BTreeMap<TaskId, Vec<TopicPartition>>,
        partitions: &[TopicPartition],
        committed: &[Option<Committed>],
    ) -> Result<HashSet<TopicPartition>, StreamsError> {
        let application_id = self.shared.settings.application_id.clone();
        let mut held = HashSet::new();
        for (id, lacks) in waiting {
            let reader = |p: &TopicPartition| {
                let reader = self.shared.topology.reader_of(&application_id, &p.topic);
                reader.is_some_and(|(sub, _)| sub == id.sub_topology) && p.partition == id.partition
            };
            let own: Vec<_> = partitions.iter().zip(committed).filter(|(p, _)| reader(p)).collect();
            if own.iter().all(|(_, committed)| committed.is_none())
                && self.committed(lacks)?.iter().all(Option::is_none)
            {
                held.extend(own.into_iter().map(|(p, _)| p.clone()));
            }
        }
        Ok(held)
    }

    /// Learns which topics the stores of tasks follow, for their checkpoints.
    fn find_sources<'a>(
        &mut self,
        tasks: impl Iterator<Item = &'a TaskId>,
    ) -> Result<(), StreamsError> {
        let topology = &self.shared.topology;
        let application_id = &*self.shared.settings.application_id;
        let mut topics: Vec<Arc<str>> = tasks
            .flat_map(|id| &topology.sub_topologies()[id.sub_topology.0].stores)
            .filter_map(|name| topology.store(name))
            .filter_map(|def| topology.followed_topic(application_id, def))
            .collect();
        topics.sort();
        topics.dedup();
        let now = self.now();
        let deadline = |topic: &str, e: &ClientError| {
            // A broker that is new or behind is believed sooner about what was there before.
            let is_gone = e.is_unknown_topic() && self.stores.knows_source(topic);
            now + if is_gone { GONE_LIMIT } else { UNSETTLED_LIMIT }
        };
        loop {
            match self.cluster().incarnations(&topics) {
                Ok(found) => {
                    self.stores.set_sources(topics.into_iter().zip(found).collect());
                    return Ok(());
                }
                Err((topic, e))
                    if e.is_unsettled()
                        && self.now() < deadline(&topic, &e)
                        && !self.is_stopping() =>
                {
                    self.sleep(LOOK_EVERY);
                }
                Err((topic, e)) => {
                    let action =
                        format!("asking for the id of topic {topic}, which a store follows");
                    return Err(StreamsError::reading(action, &topic, e));
                }
            }
        }
    }

    fn make_task(
        &mut self,
        id: TaskId,
        partitions: Vec<TopicPartition>,
        positions: &[(TopicPartition, i64)],
        offsets_missing: bool,
    ) -> Result<(), StreamsError> {
        self.discard_stale_stores(id, positions)?;
        let sub = &self.shared.topology.sub_topologies()[id.sub_topology.0];
        let first = self.stores.take_changelog_ids(sub.stores.len());
        let task = Task::new(
            &self.shared.topology,
            id,
            &partitions,
            &self.task_config,
            self.shared.ports.stores().backend(),
            &self.budget,
            first,
        )
        .map_err(|e| StreamsError::build(id, e))?;
        let phase = Phase::Restoring;
        self.tasks.push(Entry { task, partitions, phase, offsets_missing, buffers: Vec::new() });
        Ok(())
    }

    fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<Committed>>, StreamsError> {
        let deadline = self.now() + offsets_patience(self.shared.settings.transaction_timeout);
        loop {
            match self.consumer.committed(partitions, OFFSETS_STEP) {
                Ok(committed) => return Ok(committed),
                Err(e) if e.is_transient() && self.now() < deadline && !self.is_stopping() => {
                    tracing::info!(worker = self.index, error = %e, "waiting for the committed offsets");
                }
                Err(e) => return Err(StreamsError::client("reading the committed offsets", e)),
            }
        }
    }

    /// Starts the processors of tasks whose stores are restored and lets their records flow.
    pub(super) fn start_restored(&mut self) -> Result<(), StreamsError> {
        let is_ready = |e: &&Entry| {
            e.phase == Phase::Restoring
                && self.group.is_confirmed()
                && !self.restorer.is_restoring(e.task.id())
                && !self.starts.has_any_of(&e.partitions)
        };
        let ready: Vec<TaskId> =
            self.tasks.entries().iter().filter(is_ready).map(|e| e.task.id()).collect();
        let mut resumed = Vec::new();
        let now_ms = self.wall_clock_ms();
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
            let span = tracing::debug_span!("task", %id).entered();
            if let Err(source) = entry.task.init(now_ms, producer) {
                let failure = self.classify_task_error(StreamsError::Task { task: id, source });
                return self.report(Fact::Failed(failure));
            }
            drop(span);
            entry.phase = Phase::Running;
            self.consumer
                .resume(&entry.partitions)
                .map_err(|e| StreamsError::client("resuming partitions", e))?;
            resumed.extend_from_slice(&entry.partitions);
            tracing::info!(worker = self.index, task = %id, "task runs");
        }
        self.consumer.wake(&resumed);
        if self.tasks.all_running() && self.waiting.is_empty() && self.joined {
            self.set_state(WorkerState::Running);
        }
        Ok(())
    }
}

/// How long committed offsets are waited for that a transaction with this timeout may hold back.
fn offsets_patience(transaction_timeout: Duration) -> Duration {
    (transaction_timeout + OFFSETS_GRACE).max(OFFSETS_DEADLINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_a_crash_left_open_is_outlasted_whatever_its_timeout() {
        for seconds in [1, 10, 60, 119, 120, 300, 900] {
            let timeout = Duration::from_secs(seconds);
            assert!(offsets_patience(timeout) > timeout, "{timeout:?}");
        }
    }
}
