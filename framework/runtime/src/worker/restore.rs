//! Stores follow their changelogs: from the checkpoint to the end, before their task runs.
//!
//! The end is the high watermark when the restore begins. Records are read committed, so the
//! last stable offset must have reached that end first; then the client's end-of-partition event
//! tells that everything up to it was read, transaction markers included. Comparing positions
//! with the end would wait for ever behind a marker.

use std::time::{Duration, Instant};

use std::sync::Arc;

use oncestream_core::commit::{Disposition, Fact};
use oncestream_core::state::{CHECKPOINTS, Checkpoint, StoreInstance, WriteBatch};
use oncestream_core::{TaskId, TopicPartition};
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::tasks::Phase;
use super::{Worker, wall_clock_ms};
use crate::clients::{
    LogContext, assignment, end_offset, is_transient, is_unsettled, raw_record, restore_consumer,
};
use crate::error::StreamsError;
use crate::metrics::RestoreMetrics;

/// So many records go into one batch of the backend.
const BATCH: usize = 20_000;
/// So many bytes end a batch before it is full.
const BATCH_BYTES: usize = 8 << 20;
/// How long one step may take before the group consumer is polled again.
const STEP: Duration = Duration::from_millis(100);
/// How often the last stable offset is asked for while it is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long one such request may hold up the tasks that run.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a changelog may be unknown to the clients, which learn of partitions from any broker.
const UNSETTLED_LIMIT: Duration = Duration::from_secs(60);

/// One store on its way to the end of its changelog.
struct Restore {
    task: TaskId,
    store: StoreInstance,
    partition: TopicPartition,
    /// Where to begin; the first record not in the store yet.
    from: i64,
    /// The high watermark when the restore began.
    target: i64,
    queue: Option<PartitionQueue<LogContext>>,
    metrics: RestoreMetrics,
}

/// The restores of a worker.
#[derive(Default)]
pub(super) struct Restorer {
    consumer: Option<Arc<BaseConsumer<LogContext>>>,
    /// Waiting for the last stable offset to reach the target.
    unstable: Vec<Restore>,
    active: Vec<Restore>,
    next_look: Option<Instant>,
    /// Since when a changelog is unknown that was known before.
    unsettled_since: Option<Instant>,
}

impl Restorer {
    pub(super) fn is_active(&self) -> bool {
        !self.active.is_empty() || !self.unstable.is_empty()
    }

    pub(super) fn is_restoring(&self, task: TaskId) -> bool {
        self.active.iter().chain(&self.unstable).any(|r| r.task == task)
    }

    /// Forgets what was to be restored. What was applied stays, with its checkpoint.
    pub(super) fn cancel(&mut self) {
        self.unstable.clear();
        self.active.clear();
        self.unsettled_since = None;
        self.rest();
    }

    /// Stops the consumer: what nobody reads would pile up in its queues.
    fn rest(&mut self) {
        if let Some(consumer) = &self.consumer
            && let Err(error) = assignment::unassign(consumer)
        {
            tracing::warn!(%error, "the restore consumer goes on fetching");
        }
    }

    /// Assigns everything active to the consumer, at the offsets reached.
    fn assign(&mut self, consumer: &Arc<BaseConsumer<LogContext>>) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for r in &mut self.active {
            let p = &r.partition;
            // Before the assignment, or what is fetched in between would go to the consumer's
            // own queue, which nobody reads. The client keeps a queue that was split apart.
            r.queue = consumer.split_partition_queue(&p.topic, p.partition);
            if r.queue.is_none() {
                return Err(KafkaError::Subscription(format!("no queue for {p}")));
            }
            list.add_partition_offset(&p.topic, p.partition, Offset::Offset(r.from))?;
        }
        assignment::assign(consumer, &list)
    }
}

/// What reading one changelog for a step gave.
enum Progress {
    More,
    Finished,
    /// The task belongs to another worker by now.
    Disowned,
    /// The changelog begins after the store's end: the store is to be rebuilt.
    CutOff,
}

impl Worker {
    /// The checkpoint of a store of a task.
    fn checkpoint(&self, keyspace: &str) -> Result<Option<Checkpoint>, StreamsError> {
        let backend = &self.shared.state_dir.backend;
        let checkpoints = backend.keyspace(CHECKPOINTS)?;
        let mut found = None;
        let read =
            checkpoints.get(keyspace.as_bytes(), &mut |bytes| found = Checkpoint::read(bytes));
        match read {
            Err(error) if error.damaged => {
                tracing::warn!(%error, "the checkpoints are damaged: stores are restored from the beginning");
                backend.drop_keyspace(CHECKPOINTS)?;
                Ok(None)
            }
            other => Ok(other.map(|()| found)?),
        }
    }

    /// Empties the stores of a task that cannot be brought up to date from where they are: no
    /// checkpoint, one past the changelog's end (the topic was deleted), one before its
    /// beginning, or one so old that tombstones may be missing. Call it before the task is made.
    pub(super) fn discard_stale_stores(&self, id: TaskId) -> Result<(), StreamsError> {
        let shared = &self.shared;
        let sub = &shared.topology.sub_topologies()[id.sub_topology.0];
        for def in sub.stores.iter().filter_map(|name| shared.topology.store(name)) {
            if def.changelog.is_none() {
                continue;
            }
            let keyspace = id.keyspace_name(&def.name);
            let reason = match self.checkpoint(&keyspace)? {
                None => "it has no checkpoint",
                Some(c) => {
                    let application_id = shared.config.application_id();
                    let topic = oncestream_core::graph::Topology::changelog_topic(
                        application_id,
                        &def.name,
                    );
                    let retention_ms = shared.admin.delete_retention_ms(&topic);
                    let partition = TopicPartition::new(topic, id.partition);
                    let (low, high) = self.watermarks(&partition)?;
                    if c.offset > high {
                        "its checkpoint lies past the end of its changelog"
                    } else if c.offset < low {
                        "its changelog begins after its checkpoint"
                    } else if wall_clock_ms().saturating_sub(c.written_at_ms) > retention_ms
                        // The marker of the last transaction alone hides no tombstone.
                        && c.offset + 1 < high
                    {
                        "its checkpoint is older than the changelog's delete.retention.ms"
                    } else {
                        continue;
                    }
                }
            };
            tracing::info!(store = %def.name, task = %id, reason, "the store is restored from the beginning");
            // The checkpoint first: without it, data of any kind is known to be stale.
            if !self.forget_checkpoint(id, &keyspace)? {
                return Ok(());
            }
            shared.state_dir.backend.persist()?;
            shared.state_dir.backend.drop_keyspace(&keyspace)?;
        }
        Ok(())
    }

    /// Deletes a checkpoint, so that the store is restored from the beginning. False if the task
    /// belongs to another worker.
    pub(super) fn forget_checkpoint(
        &self,
        task: TaskId,
        keyspace: &str,
    ) -> Result<bool, StreamsError> {
        let mut batch = WriteBatch::default();
        self.shared.state_dir.backend.keyspace(CHECKPOINTS)?;
        batch.delete(CHECKPOINTS, keyspace.as_bytes());
        self.shared.state_dir.apply(self.index, std::iter::once(task), &batch)
    }

    pub(super) fn watermarks(
        &self,
        partition: &TopicPartition,
    ) -> Result<(i64, i64), StreamsError> {
        let deadline = Instant::now() + UNSETTLED_LIMIT;
        loop {
            match self.shared.admin.watermarks(partition) {
                Ok(found) => return Ok(found),
                Err(e) if is_unsettled(&e) && Instant::now() < deadline => {
                    std::thread::sleep(LOOK_EVERY);
                }
                Err(e) => {
                    let action = format!("reading the end of {partition}");
                    return Err(StreamsError::reading(action, &partition.topic, e));
                }
            }
        }
    }

    /// Finds what the restoring tasks have to read.
    pub(super) fn start_restore(&mut self) -> Result<(), StreamsError> {
        self.restorer.cancel();
        let mut found = Vec::new();
        for entry in self.tasks.entries().iter().filter(|e| e.phase == Phase::Restoring) {
            for store in entry.task.stores() {
                let state = store.state();
                let Some(changelog) = state.changelog() else { continue };
                let partition = TopicPartition::new(changelog.topic.clone(), changelog.partition);
                let (low, high) = self.watermarks(&partition)?;
                let checkpoint = self.checkpoint(state.keyspace_name())?;
                let from = checkpoint.map_or(low, |c| c.offset).max(low);
                if from >= high {
                    continue;
                }
                found.push(Restore {
                    task: entry.task.id(),
                    store: store.clone(),
                    from,
                    target: high,
                    queue: None,
                    metrics: RestoreMetrics::new(state.name(), partition.partition),
                    partition,
                });
            }
        }
        self.restorer.unstable = found;
        Ok(())
    }

    /// Brings restoring stores a step further, and starts tasks that are through.
    pub(super) fn restore_step(&mut self) -> Result<(), StreamsError> {
        if self.restorer.is_active() {
            self.activate_stable()?;
            let until = Instant::now() + STEP;
            let mut at = 0;
            while at < self.restorer.active.len() {
                let task = self.restorer.active[at].task;
                match self.restore_one(at, until)? {
                    Progress::More => at += 1,
                    Progress::Finished => drop(self.restorer.active.swap_remove(at)),
                    Progress::Disowned => {
                        self.restorer.active.retain(|r| r.task != task);
                        self.restorer.unstable.retain(|r| r.task != task);
                        self.tasks.remove(task);
                        at = 0;
                    }
                    Progress::CutOff => {
                        let keyspace =
                            self.restorer.active[at].store.state().keyspace_name().clone();
                        self.forget_checkpoint(task, &keyspace)?;
                        return self.report(Fact::Failed(Disposition::RestoreTask));
                    }
                }
            }
            if !self.restorer.is_active() {
                self.restorer.rest();
            }
        }
        if self.tasks.entries().iter().any(|e| e.phase == Phase::Restoring)
            || self.state != Some(super::WorkerState::Running)
        {
            self.start_restored()?;
        }
        Ok(())
    }

    /// Moves restores on whose last stable offset has reached their target: what a commit under
    /// way wrote is then readable, and what an abort left is known to be void.
    fn activate_stable(&mut self) -> Result<(), StreamsError> {
        let now = Instant::now();
        if self.restorer.unstable.is_empty() || self.restorer.next_look.is_some_and(|at| now < at) {
            return Ok(());
        }
        self.restorer.next_look = Some(now + LOOK_EVERY);
        let consumer = match &self.restorer.consumer {
            Some(consumer) => consumer.clone(),
            None => restore_consumer(&self.shared.config.restore_consumer_settings(self.index))
                .map_err(|e| StreamsError::client("creating the restore consumer", e))?,
        };
        self.restorer.consumer = Some(consumer.clone());
        let mut stable = Vec::new();
        let mut unstable = Vec::new();
        for r in std::mem::take(&mut self.restorer.unstable) {
            let p = &r.partition;
            // Read committed: the end it tells is the last stable offset.
            match end_offset(&consumer, p, LOOK_TIMEOUT) {
                Ok(last_stable) if last_stable >= r.target => stable.push(r),
                Ok(_) => {
                    self.restorer.unsettled_since = None;
                    unstable.push(r);
                }
                Err(e) if is_transient(&e) => unstable.push(r),
                Err(e)
                    if is_unsettled(&e)
                        && now - *self.restorer.unsettled_since.get_or_insert(now)
                            < UNSETTLED_LIMIT =>
                {
                    unstable.push(r);
                }
                Err(e) => {
                    let action = format!("reading the end of {p}");
                    return Err(StreamsError::reading(action, &p.topic, e));
                }
            }
        }
        self.restorer.unstable = unstable;
        if stable.is_empty() {
            return Ok(());
        }
        for r in &stable {
            tracing::info!(changelog = %r.partition, from = r.from, to = r.target, "restoring");
        }
        self.restorer.active.extend(stable);
        self.restorer.assign(&consumer).map_err(|e| StreamsError::client("reading changelogs", e))
    }

    /// Reads one changelog until nothing is at hand, the time is over or the end is reached.
    fn restore_one(&mut self, at: usize, until: Instant) -> Result<Progress, StreamsError> {
        let r = &mut self.restorer.active[at];
        let mut batch = WriteBatch::default();
        let mut records = 0_u64;
        let mut finished = false;
        let mut next = r.from;
        if let Some(queue) = &r.queue {
            while (records as usize) < BATCH && batch.byte_len() < BATCH_BYTES {
                match queue.poll(Duration::ZERO) {
                    None => break,
                    Some(Ok(message)) => {
                        let raw = raw_record(&message);
                        if let Some(key) = raw.key {
                            r.store.state().restore(key, raw.value, raw.timestamp, &mut batch);
                        }
                        records += 1;
                        next = message.offset() + 1;
                        finished = next >= r.target;
                    }
                    Some(Err(KafkaError::PartitionEOF(_))) => {
                        finished = true;
                        next = next.max(r.target);
                    }
                    Some(Err(e)) if is_transient(&e) => break,
                    Some(Err(e)) if is_cut_off(&e) => return Ok(Progress::CutOff),
                    Some(Err(e)) => {
                        let action = format!("reading changelog {}", r.partition);
                        return Err(StreamsError::reading(action, &r.partition.topic, e));
                    }
                }
                if finished || Instant::now() >= until {
                    break;
                }
            }
        }
        if next > r.from {
            let checkpoint = Checkpoint { offset: next, written_at_ms: wall_clock_ms() };
            checkpoint.write(r.store.state().keyspace_name(), &mut batch);
            if !self.shared.state_dir.apply(self.index, std::iter::once(r.task), &batch)? {
                return Ok(Progress::Disowned);
            }
            r.from = next;
            self.busy = true;
        }
        r.metrics.records.increment(records);
        r.metrics.remaining.set((r.target - r.from).max(0) as f64);
        Ok(if finished { Progress::Finished } else { Progress::More })
    }
}

/// The changelog has no record at the offset asked for any more.
fn is_cut_off(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
    )
}
