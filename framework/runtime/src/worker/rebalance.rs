//! What the group decides, carried out: commit and give up, or take and restore.
//!
//! Order of a revocation: commit, end the tasks, then give the partitions up. The member keeps its
//! generation until the last, so the commit is still its own. Tasks never outlive a revocation:
//! the member may miss a generation without being told, in which another one changed their
//! stores. Data on disk stays, and a task that comes back follows its changelog from there.

use std::time::{Duration, Instant};

use oncestream_core::commit::Fact;
use oncestream_core::graph::{TopicRef, Topology};
use oncestream_core::task::{OffsetMetadata, Task};
use oncestream_core::{TaskId, TopicPartition};

use super::tasks::{Entry, Phase, wanted};
use super::{Worker, WorkerState, wall_clock_ms};
use crate::clients::{Committed, Rebalance, is_transient};
use crate::config::AutoOffsetReset;
use crate::error::StreamsError;

/// How long the committed offsets may be waited for: a transaction that a crashed instance left
/// open on them ends by its timeout.
const OFFSETS_DEADLINE: Duration = Duration::from_secs(120);
/// How long brokers may take to agree about the partitions of a changelog.
const COUNTS_DEADLINE: Duration = Duration::from_secs(5);
const COUNTS_LOOK: Duration = Duration::from_millis(200);
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
        self.tasks.close();
        self.drop_tasks();
        self.assigned.clear();
        self.joined = false;
        // Also after an error: a consumer that owes this call cannot be closed.
        let given_up = self.consumer.unassign();
        done?;
        given_up.map_err(|e| StreamsError::client("giving partitions up", e))
    }

    fn take(&mut self, partitions: Vec<TopicPartition>) -> Result<(), StreamsError> {
        tracing::info!(worker = self.index, ?partitions, "partitions assigned");
        self.drop_tasks();
        self.first_positions.clear();
        self.assigned = partitions;
        let created = self.ensure_internal_topics()?;
        self.check_changelogs()?;
        self.start_tasks()?;
        if created {
            // Those among them that are read have no reader yet.
            self.consumer.look_for_topics();
        }
        Ok(())
    }

    /// An input that gained partitions has none in the changelogs that follow it. Brokers learn of
    /// new partitions one after the other, so the counts are asked for more than once.
    fn check_changelogs(&self) -> Result<(), StreamsError> {
        let application_id = self.shared.config.application_id();
        let topology = &self.shared.topology;
        let tasks = wanted(topology, application_id, &self.assigned);
        let deadline = Instant::now() + COUNTS_DEADLINE;
        loop {
            let there = self.shared.admin.topics()?;
            let stores = tasks.keys().flat_map(|id| {
                let stores = &topology.sub_topologies()[id.sub_topology.0].stores;
                stores.iter().filter_map(|name| topology.store(name)).map(|def| (*id, def))
            });
            let lacking =
                stores.filter(|(_, def)| def.changelog.is_some()).find_map(|(id, def)| {
                    let topic = Topology::changelog_topic(application_id, &def.name).to_string();
                    let actual = *there.get(&*topic)?;
                    let expected = id.partition + 1;
                    (actual < expected).then_some(StreamsError::PartitionCount {
                        topic,
                        expected,
                        actual,
                    })
                });
            match lacking {
                None => return Ok(()),
                Some(error) if Instant::now() >= deadline => return Err(error),
                Some(_) => std::thread::sleep(COUNTS_LOOK),
            }
        }
    }

    /// Takes what is assigned at the committed offsets and makes its tasks. Between a failure
    /// and this call there are no tasks.
    pub(super) fn start_tasks(&mut self) -> Result<(), StreamsError> {
        let partitions = self.assigned.clone();
        let committed = self.committed(&partitions)?;
        let mut positions = Vec::with_capacity(partitions.len());
        for (partition, committed) in partitions.iter().zip(&committed) {
            let offset = match committed {
                Some(committed) => committed.offset,
                None => self.first_position(partition)?,
            };
            positions.push((partition.clone(), offset));
        }
        let application_id = self.shared.config.application_id().to_owned();
        for (id, inputs) in wanted(&self.shared.topology, &application_id, &partitions) {
            self.shared.state_dir.claim(id, self.index);
            self.make_task(id, inputs)?;
        }
        for entry in self.tasks.entries_mut() {
            let inputs: Vec<_> = entry.task.inputs().map(|(i, p)| (i, p.clone())).collect();
            for (input, partition) in inputs {
                let Some(at) = partitions.iter().position(|p| *p == partition) else { continue };
                let metadata =
                    committed[at].map_or(OffsetMetadata { partition_time: -1 }, |c| c.metadata);
                entry.task.set_committed(input, Some(positions[at].1), metadata);
            }
        }
        self.consumer
            .assign(&positions)
            .map_err(|e| StreamsError::client("taking partitions", e))?;
        let restoring = self.tasks.entries().iter().flat_map(|e| &e.partitions);
        self.consumer
            .pause(restoring)
            .map_err(|e| StreamsError::client("pausing partitions", e))?;
        self.metrics.tasks.set(self.tasks.entries().len() as f64);
        self.joined = true;
        self.start_restore()
    }

    /// Where a partition without a committed offset begins. Asked once per assignment: until
    /// something is committed, a failure must lead back to the same record, not to a newer end.
    fn first_position(&mut self, partition: &TopicPartition) -> Result<i64, StreamsError> {
        if let Some(known) = self.first_positions.get(partition) {
            return Ok(*known);
        }
        let (low, high) = self.watermarks(partition)?;
        let first = if self.is_repartition(&partition.topic) {
            // Ours from its first record, whatever is asked of the sources.
            low
        } else {
            match self.shared.config.auto_offset_reset() {
                AutoOffsetReset::Earliest => low,
                AutoOffsetReset::Latest => high,
                AutoOffsetReset::None => {
                    return Err(StreamsError::NoCommittedOffset {
                        topic: partition.topic.to_string(),
                        partition: partition.partition,
                    });
                }
            }
        };
        self.first_positions.insert(partition.clone(), first);
        Ok(first)
    }

    /// Whether a topic is a repartition topic of this application.
    pub(super) fn is_repartition(&self, topic: &str) -> bool {
        let application_id = self.shared.config.application_id();
        let names = self.shared.topology.repartitions().iter();
        names
            .map(|def| TopicRef::Repartition(def.name.clone()))
            .any(|own| &*own.resolve(application_id) == topic)
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
    ) -> Result<Vec<Option<Committed>>, StreamsError> {
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
        let mut resumed = Vec::new();
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
            if let Err(source) = entry.task.init(wall_clock_ms(), producer) {
                let fact = self.classify_task_error(StreamsError::Task { task: id, source });
                return self.report(fact);
            }
            drop(span);
            entry.phase = Phase::Running;
            self.consumer
                .resume(entry.partitions.iter())
                .map_err(|e| StreamsError::client("resuming partitions", e))?;
            resumed.extend_from_slice(&entry.partitions);
            tracing::info!(worker = self.index, task = %id, "task runs");
        }
        self.consumer.wake(resumed.iter());
        if self.tasks.all_running() && self.joined {
            self.set_state(WorkerState::Running);
        }
        Ok(())
    }
}
