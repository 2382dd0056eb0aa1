//! One global table: a task over all partitions of its topic, and how far it has come in each.
//!
//! The task never waits for an input that is empty, so a record is processed as soon as it is added.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::error::TaskError;
use oncestream_core::graph::{GlobalTableDef, Graph};
use oncestream_core::state::{CHECKPOINTS, CacheBudget, Checkpoint, Incarnation, WriteBatch};
use oncestream_core::task::{ChangelogId, Flushed, InputId, Task, TaskConfig};
use oncestream_core::{TaskId, TopicPartition};

use super::begin::Reading;
use super::forgotten;
use super::no_output::NoOutput;
use crate::client_error::{ClientError, ClientFault as _};
use crate::error::StreamsError;
use crate::metrics::RestoreMetrics;
use crate::ports::{ChangelogQueue, Clock, Stores, Taken, Topics};
use crate::settings::WorkerSettings;

/// So many records are taken of a partition before the next one's turn.
const AT_ONCE: usize = 1_000;
/// So many records, bytes, or so much time end a batch.
const BATCH: u64 = 20_000;
const BATCH_BYTES: usize = 8 << 20;
const STEP: Duration = Duration::from_millis(100);
/// After so many milliseconds without a record a partition is asked for its end.
const IDLE_MS: i64 = 10 * 60 * 1000;

/// One partition of its topic.
struct Input<Q> {
    id: InputId,
    partition: TopicPartition,
    /// The first offset that is not in the table.
    next: i64,
    /// The last stable offset at the start.
    target: i64,
    /// When the table was at its end last, in milliseconds of wall clock.
    as_of_ms: i64,
    queue: Option<Q>,
    metrics: RestoreMetrics,
}

/// One global table.
pub(super) struct Table<Q> {
    def: GlobalTableDef,
    pub(super) task: Task,
    inputs: Vec<Input<Q>>,
    source: Incarnation,
    batch: WriteBatch,
    /// Something was taken that is not applied.
    dirty: bool,
    is_restored: bool,
    /// Records that were read before it was.
    restored: u64,
    /// Records that were dropped since. Those of a restore were dropped by a life before, as a rule.
    pub(super) dropped: u64,
}

/// What a turn has done.
#[derive(Default)]
pub(super) struct Done {
    /// The table has come further in its topic.
    pub(super) moved: bool,
    pub(super) records: u64,
    pub(super) dropped: u64,
}

/// Why no more is taken of a partition.
enum Stopped {
    Read(ClientError),
    Task(TaskError),
}

impl<Q> Table<Q> {
    /// A table whose partitions are read so. Where one has no checkpoint, the first turn writes it.
    pub(super) fn new(
        def: &GlobalTableDef,
        readings: &[Reading],
        source: Incarnation,
        (topology, settings): (&Graph, &WorkerSettings),
        stores: &Arc<Stores>,
    ) -> Result<Self, StreamsError> {
        let of = |partition: usize| TopicPartition::new(def.topic.clone(), partition as i32);
        let partitions: Vec<TopicPartition> = (0..readings.len()).map(of).collect();
        let config = TaskConfig {
            guarantee: settings.guarantee,
            handlers: settings.handlers.clone(),
            max_task_idle_ms: -1,
            ..TaskConfig::new(&settings.application_id)
        };
        // What is committed is read from the backend, so nothing is worth keeping.
        let budget = Rc::new(CacheBudget::new(0));
        let id = TaskId { sub_topology: def.sub_topology, partition: 0 };
        let task = Task::new(
            topology,
            id,
            &partitions,
            &config,
            stores.backend(),
            &budget,
            ChangelogId(0),
        )
        .map_err(|error| StreamsError::build(id, error))?;
        let input = |((id, partition), reading): ((InputId, &TopicPartition), &Reading)| {
            let Reading { next, target, as_of_ms } = *reading;
            let metrics = RestoreMetrics::new(&def.store, partition.partition);
            let partition = partition.clone();
            Input { id, partition, next, target, as_of_ms, queue: None, metrics }
        };
        let inputs = task.inputs().zip(readings).map(input).collect();
        let (batch, def) = (WriteBatch::default(), def.clone());
        let mut table = Self {
            def,
            task,
            inputs,
            source,
            batch,
            dirty: true,
            is_restored: false,
            restored: 0,
            dropped: 0,
        };
        table.look_whether_restored();
        Ok(table)
    }

    /// Where each partition is to be read.
    pub(super) fn positions(&self) -> impl Iterator<Item = (TopicPartition, i64)> {
        self.inputs.iter().map(|input| (input.partition.clone(), input.next))
    }

    /// Takes a queue for each partition, in the order of [`Self::positions`].
    pub(super) fn set_queues(&mut self, queues: &mut impl Iterator<Item = Q>) {
        for input in &mut self.inputs {
            input.queue = queues.next();
        }
    }

    /// Whether all that was committed at the start can be read by tasks.
    pub(super) fn is_restored(&self) -> bool {
        self.is_restored
    }

    /// How many records were read before it was restored.
    pub(super) fn restored_records(&self) -> (&Arc<str>, u64) {
        (&self.def.store, self.restored)
    }

    fn look_whether_restored(&mut self) {
        self.is_restored = self.inputs.iter().all(|input| input.next >= input.target);
    }

    /// The partition that is furthest from its end: store, partition, the offset reached, the end.
    pub(super) fn furthest(&self) -> Option<(&Arc<str>, &TopicPartition, i64, i64)> {
        let behind = self.inputs.iter().filter(|input| input.next < input.target);
        let input = behind.max_by_key(|input| input.target - input.next)?;
        Some((&self.def.store, &input.partition, input.next, input.target))
    }

    fn failed(&self, source: TaskError) -> StreamsError {
        let store = self.def.store.to_string();
        StreamsError::GlobalTable { store, source: Box::new(source) }
    }
}

impl<Q: ChangelogQueue> Table<Q> {
    /// Takes what is at hand, up to a batch, and applies it. `topics` asks the cluster.
    pub(super) fn turn(
        &mut self,
        clock: &impl Clock,
        stores: &Arc<Stores>,
        topics: impl Fn() -> Result<Topics, StreamsError>,
    ) -> Result<Done, StreamsError> {
        let mut done = Done::default();
        let until = clock.now() + STEP;
        let now_ms = clock.wall_clock_ms();
        loop {
            let mut at_hand = 0;
            for at in 0..self.inputs.len() {
                match self.take(at, now_ms, &mut done) {
                    Ok(taken) => at_hand += taken,
                    Err(Stopped::Task(error)) => return Err(self.failed(error)),
                    Err(Stopped::Read(error)) => self.read_failed(at, error, stores, &topics)?,
                }
            }
            let is_full = done.records >= BATCH || self.task.uncommitted_bytes() >= BATCH_BYTES;
            if at_hand == 0 || is_full || clock.now() >= until {
                break;
            }
        }
        done.dropped = self.task.take_dropped();
        if self.is_restored {
            self.dropped += done.dropped;
        }
        if self.dirty {
            done.moved = true;
            self.apply(stores)?;
        }
        Ok(done)
    }

    /// Takes what is at hand of one partition; says how much that was.
    fn take(&mut self, at: usize, now_ms: i64, done: &mut Done) -> Result<usize, Stopped> {
        let Self { task, inputs, dirty, is_restored, restored, .. } = self;
        let Input { id, next, as_of_ms, queue, metrics, .. } = &mut inputs[at];
        let Some(queue) = queue else { return Ok(0) };
        let before = done.records;
        let taken = queue.take_records(AT_ONCE, |taken| {
            match taken {
                Taken::Record(raw) => {
                    let offset = raw.offset;
                    task.add_record(*id, raw, now_ms, &mut NoOutput).map_err(Stopped::Task)?;
                    // With one partition it is processed already.
                    task.process_ready(1, now_ms, &mut NoOutput).map_err(Stopped::Task)?;
                    *next = offset + 1;
                    done.records += 1;
                }
                Taken::End { offset } if offset >= *next => {
                    (*next, *as_of_ms) = (offset, now_ms);
                }
                Taken::End { .. } => return Ok(()),
                Taken::Failed(error) => return Err(Stopped::Read(error)),
            }
            *dirty = true;
            Ok(())
        });
        if !*is_restored {
            *restored += done.records - before;
            metrics.records.increment(done.records - before);
        }
        taken
    }

    /// Asks for the ends of partitions that have been idle for long, of which nobody tells. What it is the end of
    /// has been so up to now, and the checkpoints are to say so, because deletions are forgotten with time.
    pub(super) fn look_at_idle(
        &mut self,
        now_ms: i64,
        end_of: impl Fn(&TopicPartition) -> Result<i64, ClientError>,
    ) -> Result<(), ClientError> {
        for input in &mut self.inputs {
            let is_idle = now_ms.saturating_sub(input.as_of_ms) >= IDLE_MS;
            if is_idle && end_of(&input.partition)? <= input.next {
                input.as_of_ms = now_ms;
                self.dirty = true;
            }
        }
        Ok(())
    }

    /// Puts rows and checkpoints down together.
    fn apply(&mut self, stores: &Arc<Stores>) -> Result<(), StreamsError> {
        let flushed = self.task.flush(&mut NoOutput, &mut self.batch);
        if flushed.map_err(|error| self.failed(error))? == Flushed::NotYet {
            return Ok(());
        }
        // A worker that finds the checkpoints damaged drops their keyspace.
        stores.backend().keyspace(CHECKPOINTS)?;
        for Input { partition, next, target, as_of_ms, metrics, .. } in &self.inputs {
            let (offset, source) = (*next, self.source.clone());
            let name = self.def.checkpoint_name(partition.partition);
            let written_at_ms = *as_of_ms;
            Checkpoint { offset, written_at_ms, source }.write(&name, &mut self.batch);
            metrics.remaining.set((*target - *next).max(0) as f64);
        }
        stores.apply_global(&self.batch)?;
        self.batch.clear();
        self.task.committed();
        self.dirty = false;
        if !self.is_restored {
            self.look_whether_restored();
        }
        Ok(())
    }

    /// What follows from an error of the reader: nothing, because it will try again, or it comes back.
    #[cold]
    fn read_failed(
        &self,
        at: usize,
        error: ClientError,
        stores: &Arc<Stores>,
        topics: impl Fn() -> Result<Topics, StreamsError>,
    ) -> Result<(), StreamsError> {
        let Input { partition: TopicPartition { topic, partition }, next, .. } = &self.inputs[at];
        // A topic may look unknown for a moment while brokers come and go.
        let is_there = || topics().map_or(true, |there| there.contains_key(topic));
        if error.is_transient() || error.is_unsettled() && is_there() {
            tracing::warn!(store = %self.def.store, %error, "the reader of global tables will try again");
            return Ok(());
        }
        if error.is_out_of_range() {
            // The next start builds the table anew.
            stores.apply_global(&forgotten(&self.def, self.inputs.len() as i32))?;
            let reason = format!("partition {partition} has no offset {next}");
            let (store, topic) = (self.def.store.to_string(), topic.to_string());
            return Err(StreamsError::GlobalTableStale { store, topic, reason });
        }
        let action = format!("reading the global table of {topic}-{partition}");
        Err(StreamsError::reading(action, topic, error))
    }
}
