//! Stores follow their changelogs: from the checkpoint to the end, before their task runs. A store without
//! one follows the topic of its table, to where the task will go on.
//!
//! The end of a changelog is an offset: the high watermark that the leader tells when the restore begins.
//! Records are read committed, so the last stable offset must have reached that end first. `store.rs` is one
//! store; a [`Replay`] makes rows of the records of a table's topic. Invariants:
//!
//! - A restore is finished when a record behind which the end lies was read, or when a broker says
//!   that there is nothing at an offset that is not before the end. A broker that answers a fetch
//!   (a follower, a new leader) may know an older end than the leader that was asked, so what it
//!   calls the end proves nothing by itself.
//! - Comparing the reader's position with the end would wait for ever behind a marker.

mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use oncestream_core::commit::{Fact, Symptom};
use oncestream_core::state::{StoreInstance, WriteBatch};
use oncestream_core::task::Replay;
use oncestream_core::{TaskId, TopicPartition};

use super::positions::END_PATIENCE;
use super::sabotage::Bug;
use super::tasks::{Entry, Phase};
use super::{Failure, Worker};
use crate::client_error::{ClientError, ClientFault as _};
use crate::error::StreamsError;
use crate::metrics::RestoreMetrics;
use crate::ports::{ChangelogReader, Clock, Cluster, Ports};
use store::{Progress, Restore, Way};

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
                task = %r.task, topic = %r.partition, last_stable, end = r.target,
                "a restore waits for a transaction that is open on its topic; if it does not \
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
                found.extend(self.restore_of(entry, store)?);
            }
        }
        self.restorer.unstable = found;
        Ok(())
    }

    /// How a store of a task comes to its end; `None` if it is there.
    fn restore_of(
        &self,
        entry: &Entry,
        store: &StoreInstance,
    ) -> Result<Option<Restore<<P::Changelogs as ChangelogReader>::Queue>>, StreamsError> {
        let state = store.state();
        let must_be_empty = entry.offsets_missing;
        let (partition, low, target) = match (state.changelog(), store.source()) {
            (Some(changelog), _) => {
                let partition = TopicPartition::new(changelog.topic.clone(), changelog.partition);
                let (low, high) = self.watermarks(&partition)?;
                (partition, low, high)
            }
            (None, Some(partition)) => {
                let Some(goes_on) = entry.task.known_offset(partition) else { return Ok(None) };
                // A log that ends before has lost records, which the consumer will find out.
                let patience = self.now() + END_PATIENCE;
                let (low, high) = self.end_after(partition, goes_on, patience)?;
                (partition.clone(), low, goes_on.min(high))
            }
            (None, None) => return Ok(None),
        };
        // Of a changelog its last record and the marker behind it.
        let target = if Bug::ShortRestore.is_planted() { target - 2 } else { target };
        let begins_anew = must_be_empty && store.source().is_none();
        let checkpoint = self.checkpoint(state.keyspace_name())?.filter(|_| !begins_anew);
        let from = checkpoint.map_or(low, |c| c.offset).max(low);
        if from >= target {
            return Ok(None);
        }
        let task = entry.task.id();
        let way = match store.source() {
            None => Way::Changelog { must_be_empty },
            Some(_) => {
                let backend = self.shared.ports.stores().backend();
                let (topology, config) = (&self.shared.topology, &self.task_config);
                let replay = Replay::new(topology, task, state.name(), &partition, config, backend);
                match replay.map_err(|e| StreamsError::build(task, e))? {
                    Some(replay) => Way::Replay(Box::new(replay)),
                    None => return Ok(None),
                }
            }
        };
        let source = self.stores.source_of(&partition.topic);
        let metrics = RestoreMetrics::new(state.name(), partition.partition);
        drop(state);
        let store = store.clone();
        Ok(Some(Restore {
            task,
            store,
            from,
            target,
            source,
            way,
            queue: None,
            metrics,
            partition,
        }))
    }

    /// Brings restoring stores a step further, and starts tasks that are through.
    pub(super) fn restore_step(&mut self) -> Result<(), StreamsError> {
        if self.restorer.is_active() {
            self.restorer.listen();
            self.activate_stable()?;
            let until = self.now() + STEP;
            let (mut at, mut fetches_too_much) = (0, false);
            while at < self.restorer.active.len() {
                let task = self.restorer.active[at].task;
                match self.restore_one(at, until)? {
                    Progress::More => at += 1,
                    Progress::Finished => {
                        let finished = self.restorer.active.swap_remove(at);
                        fetches_too_much |= finished.ends_before_its_topic();
                        finished.tell();
                    }
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
                    Progress::Failed(source) => {
                        let error = StreamsError::Task { task, source };
                        let failure = self.classify_task_error(error);
                        return self.report(Fact::Failed(failure));
                    }
                }
            }
            if !self.restorer.is_active() {
                self.restorer.rest();
            } else if fetches_too_much {
                self.restorer.assign().map_err(|e| StreamsError::client("restoring stores", e))?;
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
            // A client reads a partition once at a time; two tables of one topic are restored in turn.
            if self.restorer.active.iter().chain(&stable).any(|other| other.partition == *p) {
                unstable.push(r);
                continue;
            }
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
            tracing::info!(topic = %r.partition, from = r.from, to = r.target, "restoring");
        }
        self.restorer.active.extend(stable);
        self.restorer.assign().map_err(|e| StreamsError::client("restoring stores", e))
    }

    /// Reads for one store until nothing is at hand, the time is over or the end is reached.
    fn restore_one(&mut self, at: usize, until: Instant) -> Result<Progress, StreamsError> {
        let shared = Arc::clone(&self.shared);
        let clock = shared.ports.clock();
        let r = &mut self.restorer.active[at];
        let now_ms = clock.wall_clock_ms();
        let mut batch = WriteBatch::default();
        let read = r.read(&mut batch, now_ms, || clock.now() >= until)?;
        if matches!(read.progress, Progress::CutOff | Progress::Failed(_)) {
            return Ok(read.progress);
        }
        if read.next > r.from {
            r.note(read.next, clock.wall_clock_ms(), &mut batch);
            if !shared.ports.stores().apply(self.index, std::iter::once(r.task), &batch)? {
                return Ok(Progress::Disowned);
            }
            r.applied(read.next);
            self.busy = true;
        }
        r.metrics.records.increment(read.records);
        r.metrics.remaining.set((r.target - r.from).max(0) as f64);
        Ok(read.progress)
    }
}
