//! One store on its way to the end of what it follows.

use oncestream_core::error::TaskError;
use oncestream_core::state::{Checkpoint, Incarnation, StoreInstance, WriteBatch};
use oncestream_core::task::Replay;
use oncestream_core::{TaskId, TopicPartition};

use crate::client_error::{ClientError, ClientFault as _};
use crate::error::StreamsError;
use crate::metrics::RestoreMetrics;
use crate::ports::{ChangelogQueue, Fetched, Taken};
use crate::worker::sabotage::Bug;

/// So many records go into one batch of the backend.
const BATCH: usize = 20_000;
/// So many bytes end a batch before it is full.
const BATCH_BYTES: usize = 8 << 20;

/// One store on its way to the end of its changelog, or of the part of its table's topic that its task has
/// read.
pub(super) struct Restore<Q> {
    pub(super) task: TaskId,
    pub(super) store: StoreInstance,
    pub(super) partition: TopicPartition,
    /// Where to begin; the first record not in the store yet.
    pub(super) from: i64,
    /// Where to end: of a changelog the high watermark when the restore began, of a table's topic the offset
    /// where its task goes on.
    pub(super) target: i64,
    /// The topic that is read, for the checkpoints.
    pub(super) source: Incarnation,
    pub(super) way: Way,
    pub(super) queue: Option<Q>,
    pub(super) metrics: RestoreMetrics,
}

/// How records come into the store.
pub(super) enum Way {
    /// Those of its changelog are its rows.
    Changelog {
        /// No input of the task has a committed offset, so there must not be a record.
        must_be_empty: bool,
    },
    /// Those of its table's topic are processed again.
    Replay(Box<Replay>),
}

/// What reading one topic for a step gave.
pub(super) enum Progress {
    More,
    Finished,
    /// The task belongs to another worker by now.
    Disowned,
    /// The topic begins after the store's end: the store is to be rebuilt.
    CutOff,
    /// A record could not be processed again.
    Failed(TaskError),
}

/// What was read of a topic in one step.
pub(super) struct Read {
    pub(super) progress: Progress,
    pub(super) records: u64,
    /// The first offset that was not read.
    pub(super) next: i64,
}

/// Why a batch is not taken to its end.
enum Interrupted {
    CutOff,
    Task(TaskError),
    Failed(StreamsError),
}

impl From<TaskError> for Interrupted {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}

impl<Q: ChangelogQueue> Restore<Q> {
    /// Adds records to the batch until nothing is at hand, it is full, the time is over or the end
    /// is reached.
    pub(super) fn read(
        &mut self,
        batch: &mut WriteBatch,
        now_ms: i64,
        is_over: impl Fn() -> bool,
    ) -> Result<Read, StreamsError> {
        let mut read = Read { progress: Progress::More, records: 0, next: self.from };
        let Some(mut queue) = self.queue.take() else { return Ok(read) };
        let done = self.read_from(&mut queue, &mut read, batch, now_ms, is_over);
        self.queue = Some(queue);
        match done.and_then(|()| self.flush(batch)) {
            Ok(()) if read.next >= self.target => read.progress = Progress::Finished,
            Ok(()) => {}
            Err(Interrupted::CutOff) => read.progress = Progress::CutOff,
            Err(Interrupted::Task(error)) => read.progress = Progress::Failed(error),
            Err(Interrupted::Failed(error)) => return Err(error),
        }
        Ok(read)
    }

    /// What a queue gives of a changelog at once is taken to its end, or it would be lost.
    fn read_from(
        &mut self,
        queue: &mut Q,
        read: &mut Read,
        batch: &mut WriteBatch,
        now_ms: i64,
        is_over: impl Fn() -> bool,
    ) -> Result<(), Interrupted> {
        while (read.records as usize) < BATCH && self.waiting_bytes(batch) < BATCH_BYTES {
            let at_hand = match self.way {
                Way::Changelog { must_be_empty } => {
                    queue.take(|fetched| self.take(fetched, must_be_empty, read, batch))?
                }
                Way::Replay(_) => {
                    queue.take_records(1, |taken| self.replay(taken, now_ms, read))?
                }
            };
            if read.next >= self.target || at_hand == 0 || is_over() {
                break;
            }
        }
        Ok(())
    }

    fn flush(&mut self, batch: &mut WriteBatch) -> Result<(), Interrupted> {
        match &mut self.way {
            Way::Replay(replay) => Ok(replay.flush(batch)?),
            Way::Changelog { .. } => Ok(()),
        }
    }

    /// The bytes that are to go into the backend with this batch.
    fn waiting_bytes(&self, batch: &WriteBatch) -> usize {
        match &self.way {
            Way::Replay(replay) => replay.uncommitted_bytes(),
            Way::Changelog { .. } => batch.byte_len(),
        }
    }

    /// Adds one thing of the changelog to the batch.
    fn take(
        &self,
        fetched: Fetched<'_>,
        must_be_empty: bool,
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
            Fetched::Record { offset, .. } if must_be_empty => {
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
            Fetched::Failed(error) => self.read_failed(error),
        }
    }

    /// Processes one thing of the table's topic again. What lies behind the end is the task's, when it runs.
    fn replay(
        &mut self,
        taken: Taken<'_>,
        now_ms: i64,
        read: &mut Read,
    ) -> Result<(), Interrupted> {
        match (taken, &mut self.way) {
            (Taken::Record(raw), Way::Replay(replay)) if raw.offset < self.target => {
                let offset = raw.offset;
                replay.process(raw, now_ms)?;
                read.records += 1;
                read.next = offset + 1;
                Ok(())
            }
            (Taken::Record(_), _) => {
                read.next = self.target;
                Ok(())
            }
            (Taken::End { offset }, _) => {
                read.next = read.next.max(offset.min(self.target));
                Ok(())
            }
            (Taken::Failed(error), _) => self.read_failed(error),
        }
    }

    fn read_failed(&self, error: ClientError) -> Result<(), Interrupted> {
        if error.is_transient() {
            return Ok(());
        }
        if error.is_out_of_range() {
            return Err(Interrupted::CutOff);
        }
        let action = format!("restoring a store from {}", self.partition);
        Err(Interrupted::Failed(StreamsError::reading(action, &self.partition.topic, error)))
    }

    /// What was read is in the batch: so is how far that is.
    pub(super) fn note(&self, next: i64, written_at_ms: i64, batch: &mut WriteBatch) {
        let checkpoint = Checkpoint { offset: next, written_at_ms, source: self.source.clone() };
        checkpoint.write(self.store.state().keyspace_name(), batch);
    }

    /// Whether there may be more behind the end, which would be fetched for nobody.
    pub(super) fn ends_before_its_topic(&self) -> bool {
        matches!(self.way, Way::Replay(_))
    }

    /// Tells what was left out of a table: as a rule, what was when it came first. If all is, its serdes do not
    /// know what they wrote before.
    pub(super) fn tell(&self) {
        if let Way::Replay(replay) = &self.way
            && replay.dropped() > 0
        {
            let (store, dropped) = (self.store.state().name().clone(), replay.dropped());
            tracing::warn!(task = %self.task, %store, topic = %self.partition, dropped, "records were left out while a table was restored from its topic");
        }
    }

    /// The batch is in the backend.
    pub(super) fn applied(&mut self, next: i64) {
        self.from = next;
        if let Way::Replay(replay) = &mut self.way {
            replay.applied();
        }
    }
}
