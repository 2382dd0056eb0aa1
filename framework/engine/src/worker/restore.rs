//! Stores follow their changelogs: from the checkpoint to the end, before their task runs.
//!
//! The end is an offset: the high watermark that the leader tells when the restore begins. Records
//! are read committed, so the last stable offset must have reached that end first. Invariants:
//!
//! - A restore is finished when a record behind which the end lies was read, or when a broker says
//!   that there is nothing at an offset that is not before the end. A broker that answers a fetch
//!   (a follower, a new leader) may know an older end than the leader that was asked, so what it
//!   calls the end proves nothing by itself.
//! - Comparing the reader's position with the end would wait for ever behind a marker.

use std::time::{Duration, Instant};

use std::sync::Arc;

use oncestream_core::commit::{Fact, Symptom};
use oncestream_core::state::{Checkpoint, Incarnation, StoreInstance, WriteBatch};
use oncestream_core::{TaskId, TopicPartition};

use super::sabotage::Bug;
use super::tasks::Phase;
use super::{Failure, Worker};
use crate::client_error::{ClientError, ClientFault as _};
use crate::error::StreamsError;
use crate::metrics::RestoreMetrics;
use crate::ports::{ChangelogQueue, ChangelogReader, Clock, Cluster, Fetched, Ports};

/// So many records go into one batch of the backend.
const BATCH: usize = 20_000;
/// So many bytes end a batch before it is full.
const BATCH_BYTES: usize = 8 << 20;
/// How long one step may take before the group consumer is polled again.
const STEP: Duration = Duration::from_millis(100);
/// How often the last stable offset is asked for while it is awaited.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long one such request may hold up the tasks that run.
pub(crate) const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a changelog may be unknown to the clients, which learn of partitions from any broker.
pub(crate) const UNSETTLED_LIMIT: Duration = Duration::from_secs(60);
/// When the worker first logs that a restore waits for an open transaction, and how often then.
const TELL_AFTER: Duration = Duration::from_secs(10);
const TELL_EVERY: Duration = Duration::from_secs(60);

/// One store on its way to the end of its changelog.
struct Restore<Q> {
    task: TaskId,
    store: StoreInstance,
    partition: TopicPartition,
    /// Where to begin; the first record not in the store yet.
    from: i64,
    /// The high watermark when the restore began.
    target: i64,
    /// The changelog that is read, for the checkpoints.
    source: Incarnation,
    /// No input of the task has a committed offset, so there must not be a record.
    must_be_empty: bool,
    queue: Option<Q>,
    metrics: RestoreMetrics,
}

/// The restores of a worker.
pub(super) struct Restorer<C: ChangelogReader> {
    /// Made when it is needed first.
    changelogs: Option<C>,
    /// Waiting for the last stable offset to reach the target.
    unstable: Vec<Restore<C::Queue>>,
    active: Vec<Restore<C::Queue>>,
    next_look: Option<Instant>,
    /// When the worker next logs that a restore waits for an open transaction.
    next_told: Option<Instant>,
    /// Since when a changelog is unknown that was known before.
    unsettled_since: Option<Instant>,
}

impl<C: ChangelogReader> Default for Restorer<C> {
    fn default() -> Self {
        Self {
            changelogs: None,
            unstable: Vec::new(),
            active: Vec::new(),
            next_look: None,
            next_told: None,
            unsettled_since: None,
        }
    }
}

impl<C: ChangelogReader> Restorer<C> {
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
        self.next_told = None;
        self.rest();
    }

    /// Reads nothing: what nobody takes would pile up.
    fn rest(&mut self) {
        if let Some(changelogs) = &mut self.changelogs {
            changelogs.rest();
        }
    }

    fn listen(&mut self) {
        if let Some(changelogs) = &mut self.changelogs {
            changelogs.listen();
        }
    }

    /// Tells now and then that a transaction is waited for: one that hangs does not end by itself.
    fn tell_waiting(&mut self, r: &Restore<C::Queue>, last_stable: i64, now: Instant) {
        let Some(at) = self.next_told else {
            self.next_told = Some(now + TELL_AFTER);
            return;
        };
        if now >= at {
            self.next_told = Some(now + TELL_EVERY);
            tracing::warn!(
                task = %r.task, changelog = %r.partition, last_stable, end = r.target,
                "a restore waits for a transaction that is open on its changelog; if it does not \
                 end by its timeout, kafka-transactions.sh find-hanging tells its producer"
            );
        }
    }

    /// Reads everything active, from the offsets reached.
    fn assign(&mut self) -> Result<(), ClientError> {
        let Some(changelogs) = &mut self.changelogs else { return Ok(()) };
        let positions: Vec<_> = self.active.iter().map(|r| (r.partition.clone(), r.from)).collect();
        let queues = changelogs.assign(&positions)?;
        for (r, queue) in self.active.iter_mut().zip(queues) {
            r.queue = Some(queue);
        }
        Ok(())
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

impl<P: Ports> Worker<P> {
    pub(super) fn watermarks(
        &self,
        partition: &TopicPartition,
    ) -> Result<(i64, i64), StreamsError> {
        let deadline = self.now() + UNSETTLED_LIMIT;
        loop {
            match self.cluster().watermarks(partition) {
                Ok(found) => return Ok(found),
                Err(e) if e.is_unsettled() && self.now() < deadline && !self.is_stopping() => {
                    self.sleep(LOOK_EVERY);
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
                let must_be_empty = entry.offsets_missing;
                let checkpoint = self.checkpoint(state.keyspace_name())?;
                let checkpoint = checkpoint.filter(|_| !must_be_empty);
                let from = checkpoint.map_or(low, |c| c.offset).max(low);
                // Its last record and the marker behind it.
                let high = if Bug::ShortRestore.is_planted() { high - 2 } else { high };
                if from >= high {
                    continue;
                }
                found.push(Restore {
                    task: entry.task.id(),
                    store: store.clone(),
                    from,
                    target: high,
                    source: self.stores.source_of(&changelog.topic),
                    must_be_empty,
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
            self.restorer.listen();
            self.activate_stable()?;
            let until = self.now() + STEP;
            let mut at = 0;
            while at < self.restorer.active.len() {
                let task = self.restorer.active[at].task;
                match self.restore_one(at, until)? {
                    Progress::More => at += 1,
                    Progress::Finished => drop(self.restorer.active.swap_remove(at)),
                    Progress::Disowned => {
                        tracing::warn!(worker = self.index, %task, "a task moved to another worker during its restore");
                        return self.report(Fact::Failed(Failure::silent(Symptom::Moved)));
                    }
                    Progress::CutOff => {
                        let keyspace =
                            self.restorer.active[at].store.state().keyspace_name().clone();
                        self.forget_checkpoint(task, &keyspace)?;
                        return self.report(Fact::Failed(Failure::silent(Symptom::Moved)));
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
        let now = self.now();
        if self.restorer.unstable.is_empty() || self.restorer.next_look.is_some_and(|at| now < at) {
            return Ok(());
        }
        self.restorer.next_look = Some(now + LOOK_EVERY);
        let changelogs = match self.restorer.changelogs.take() {
            Some(changelogs) => changelogs,
            None => self.shared.ports.changelogs(self.index)?,
        };
        let mut stable = Vec::new();
        let mut unstable = Vec::new();
        for r in std::mem::take(&mut self.restorer.unstable) {
            let p = &r.partition;
            // Read committed: the end it tells is the last stable offset.
            match changelogs.last_stable(p, LOOK_TIMEOUT) {
                Ok(last_stable) if last_stable >= r.target => stable.push(r),
                Ok(last_stable) => {
                    self.restorer.unsettled_since = None;
                    self.restorer.tell_waiting(&r, last_stable, now);
                    unstable.push(r);
                }
                Err(e) if e.is_transient() => unstable.push(r),
                Err(e)
                    if e.is_unsettled()
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
        self.restorer.changelogs = Some(changelogs);
        self.restorer.unstable = unstable;
        if stable.is_empty() {
            return Ok(());
        }
        for r in &stable {
            tracing::info!(changelog = %r.partition, from = r.from, to = r.target, "restoring");
        }
        self.restorer.active.extend(stable);
        self.restorer.assign().map_err(|e| StreamsError::client("reading changelogs", e))
    }

    /// Reads one changelog until nothing is at hand, the time is over or the end is reached.
    fn restore_one(&mut self, at: usize, until: Instant) -> Result<Progress, StreamsError> {
        let shared = Arc::clone(&self.shared);
        let clock = shared.ports.clock();
        let r = &mut self.restorer.active[at];
        let mut batch = WriteBatch::default();
        let read = r.read(&mut batch, || clock.now() >= until)?;
        if matches!(read.progress, Progress::CutOff) {
            return Ok(Progress::CutOff);
        }
        if read.next > r.from {
            let (offset, source) = (read.next, r.source.clone());
            let checkpoint = Checkpoint { offset, written_at_ms: clock.wall_clock_ms(), source };
            checkpoint.write(r.store.state().keyspace_name(), &mut batch);
            if !shared.ports.stores().apply(self.index, std::iter::once(r.task), &batch)? {
                return Ok(Progress::Disowned);
            }
            r.from = read.next;
            self.busy = true;
        }
        r.metrics.records.increment(read.records);
        r.metrics.remaining.set((r.target - r.from).max(0) as f64);
        Ok(read.progress)
    }
}

/// What was read of a changelog in one step.
struct Read {
    progress: Progress,
    records: u64,
    /// The first offset that was not read.
    next: i64,
}

/// Why a batch of a changelog is not taken to its end.
enum Interrupted {
    CutOff,
    Failed(StreamsError),
}

impl<Q: ChangelogQueue> Restore<Q> {
    /// Adds records to the batch until nothing is at hand, it is full, the time is over or the end
    /// is reached. What the queue gives at once is taken to its end, or it would be lost.
    fn read(
        &mut self,
        batch: &mut WriteBatch,
        is_over: impl Fn() -> bool,
    ) -> Result<Read, StreamsError> {
        let mut read = Read { progress: Progress::More, records: 0, next: self.from };
        let Some(mut queue) = self.queue.take() else { return Ok(read) };
        while (read.records as usize) < BATCH && batch.byte_len() < BATCH_BYTES {
            let at_hand = match queue.take(|fetched| self.take(fetched, &mut read, batch)) {
                Ok(at_hand) => at_hand,
                Err(Interrupted::CutOff) => {
                    read.progress = Progress::CutOff;
                    break;
                }
                Err(Interrupted::Failed(error)) => return Err(error),
            };
            if read.next >= self.target {
                read.progress = Progress::Finished;
                break;
            }
            if at_hand == 0 || is_over() {
                break;
            }
        }
        self.queue = Some(queue);
        Ok(read)
    }

    /// Adds one thing of the changelog to the batch.
    fn take(
        &mut self,
        fetched: Fetched<'_>,
        read: &mut Read,
        batch: &mut WriteBatch,
    ) -> Result<(), Interrupted> {
        let (changelog, partition) = (&self.partition.topic, self.partition.partition);
        match fetched {
            Fetched::Record { offset, .. }
                if offset >= self.target && Bug::ShortRestore.is_planted() =>
            {
                Ok(())
            }
            Fetched::Record { offset, .. } if self.must_be_empty => {
                Err(Interrupted::Failed(StreamsError::CommittedOffsetsLost {
                    task: self.task,
                    changelog: changelog.to_string(),
                    partition,
                    offset,
                }))
            }
            Fetched::Record { offset, timestamp, key, value } => {
                if let Some(key) = key {
                    // Without a time is how time 0 is written.
                    let restored = self.store.restore(key, value, timestamp.max(0), batch);
                    restored.map_err(|source| {
                        Interrupted::Failed(StreamsError::ChangelogRecord {
                            task: self.task,
                            changelog: changelog.to_string(),
                            partition,
                            offset,
                            source: Box::new(source),
                        })
                    })?;
                }
                read.records += 1;
                read.next = offset + 1;
                Ok(())
            }
            Fetched::End { offset } => {
                read.next = read.next.max(offset);
                Ok(())
            }
            Fetched::Failed(e) if e.is_transient() => Ok(()),
            Fetched::Failed(e) if e.is_out_of_range() => Err(Interrupted::CutOff),
            Fetched::Failed(e) => {
                let action = format!("reading changelog {}", self.partition);
                Err(Interrupted::Failed(StreamsError::reading(action, changelog, e)))
            }
        }
    }
}
