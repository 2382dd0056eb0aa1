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
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::tasks::Phase;
use super::{Failure, Worker, wall_clock_ms};
use crate::clients::{
    Fetched, LogContext, PartitionQueue, assignment, end_offset, is_out_of_range, is_transient,
    is_unsettled, restore_consumer,
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
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long one such request may hold up the tasks that run.
pub(super) const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a changelog may be unknown to the clients, which learn of partitions from any broker.
pub(super) const UNSETTLED_LIMIT: Duration = Duration::from_secs(60);
/// When it is told first, and how often then, that a restore waits for an open transaction.
const TELL_AFTER: Duration = Duration::from_secs(10);
const TELL_EVERY: Duration = Duration::from_secs(60);

/// One store on its way to the end of its changelog.
struct Restore {
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
    /// When it is told next that an open transaction is waited for.
    next_told: Option<Instant>,
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
        self.next_told = None;
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

    /// Takes in what the client has to say: a token to be refreshed, an error of a connection.
    /// Records come by the queues of their partitions.
    fn listen(&self) {
        let Some(consumer) = &self.consumer else { return };
        while let Some(said) = consumer.poll(Duration::ZERO) {
            if let Err(error) = said {
                tracing::debug!(%error, "the restore consumer will try again");
            }
        }
    }

    /// Tells now and then that a transaction is waited for: one that hangs does not end by itself.
    fn tell_waiting(&mut self, r: &Restore, last_stable: i64) {
        let now = Instant::now();
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

    /// Assigns everything active to the consumer, at the offsets reached.
    fn assign(&mut self, consumer: &Arc<BaseConsumer<LogContext>>) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for r in &mut self.active {
            let p = &r.partition;
            // Before the assignment, or what is fetched in between would go to the consumer's
            // own queue, which nobody reads. The client keeps a queue that was split apart.
            r.queue = PartitionQueue::split(consumer, p);
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
    pub(super) fn watermarks(
        &self,
        partition: &TopicPartition,
    ) -> Result<(i64, i64), StreamsError> {
        let deadline = Instant::now() + UNSETTLED_LIMIT;
        loop {
            match self.shared.admin.watermarks(partition) {
                Ok(found) => return Ok(found),
                Err(e) if is_unsettled(&e) && Instant::now() < deadline && !self.is_stopping() => {
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
                let must_be_empty = entry.offsets_missing;
                let checkpoint = self.checkpoint(state.keyspace_name())?;
                let checkpoint = checkpoint.filter(|_| !must_be_empty);
                let from = checkpoint.map_or(low, |c| c.offset).max(low);
                if from >= high {
                    continue;
                }
                found.push(Restore {
                    task: entry.task.id(),
                    store: store.clone(),
                    from,
                    target: high,
                    source: self.source_of(&changelog.topic),
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
            let until = Instant::now() + STEP;
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
                Ok(last_stable) => {
                    self.restorer.unsettled_since = None;
                    self.restorer.tell_waiting(&r, last_stable);
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
        let read = r.read(&mut batch, until)?;
        if matches!(read.progress, Progress::CutOff) {
            return Ok(Progress::CutOff);
        }
        if read.next > r.from {
            let (offset, source) = (read.next, r.source.clone());
            let checkpoint = Checkpoint { offset, written_at_ms: wall_clock_ms(), source };
            checkpoint.write(r.store.state().keyspace_name(), &mut batch);
            if !self.shared.state_dir.apply(self.index, std::iter::once(r.task), &batch)? {
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

impl Restore {
    /// Adds records to the batch until nothing is at hand, it is full, the time is over or the end
    /// is reached. What the queue gives at once is taken to its end, or it would be lost.
    fn read(&mut self, batch: &mut WriteBatch, until: Instant) -> Result<Read, StreamsError> {
        let mut read = Read { progress: Progress::More, records: 0, next: self.from };
        let Some(queue) = &mut self.queue else { return Ok(read) };
        while (read.records as usize) < BATCH && batch.byte_len() < BATCH_BYTES {
            let mut at_hand = false;
            for fetched in queue.take() {
                at_hand = true;
                match fetched {
                    Fetched::Record { offset, .. } if self.must_be_empty => {
                        return Err(StreamsError::CommittedOffsetsLost {
                            task: self.task,
                            changelog: self.partition.topic.to_string(),
                            partition: self.partition.partition,
                            offset,
                        });
                    }
                    Fetched::Record { offset, timestamp, key, value } => {
                        if let Some(key) = key {
                            // Without a time is how time 0 is written.
                            let time = timestamp.max(0);
                            let restored = self.store.restore(key, value, time, batch);
                            restored.map_err(|source| StreamsError::ChangelogRecord {
                                task: self.task,
                                changelog: self.partition.topic.to_string(),
                                partition: self.partition.partition,
                                offset,
                                source: Box::new(source),
                            })?;
                        }
                        read.records += 1;
                        read.next = offset + 1;
                    }
                    Fetched::End { offset } => read.next = read.next.max(offset),
                    Fetched::Failed(e) if is_transient(&e) => {}
                    Fetched::Failed(e) if is_out_of_range(&e) => {
                        read.progress = Progress::CutOff;
                        return Ok(read);
                    }
                    Fetched::Failed(e) => {
                        let action = format!("reading changelog {}", self.partition);
                        return Err(StreamsError::reading(action, &self.partition.topic, e));
                    }
                }
            }
            if read.next >= self.target {
                read.progress = Progress::Finished;
                break;
            }
            if !at_hand || Instant::now() >= until {
                break;
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io;
    use std::net::TcpListener;
    use std::sync::Mutex;

    use super::*;
    use crate::config::StreamsConfig;

    /// What a subscriber of `tracing` was told, as text.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Told {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The records of a restore come by queues of their own, and nobody reads the main one by the way.
    #[test]
    fn what_the_restore_consumer_has_to_say_is_heard() {
        // A port that nobody listens on.
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let config = StreamsConfig::builder("app", &nobody).build().unwrap();
        let consumer = restore_consumer(&config.restore_consumer_settings(0)).unwrap();
        let restorer = Restorer { consumer: Some(consumer), ..Restorer::default() };
        let told = Told::default();
        let writer = told.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let until = Instant::now() + Duration::from_secs(60);
            while !String::from_utf8_lossy(&told.0.lock().unwrap()).contains(&nobody) {
                assert!(Instant::now() < until, "no error of a connection was told");
                restorer.listen();
                std::thread::yield_now();
            }
        });
    }
}
