//! The running task: records in, effects out, positions and stores to commit.
//!
//! Invariants:
//! - Nothing leaves a task but through the collector and the write batch.
//! - There is no undo: after an error or an abort the task is dropped and made anew, so that
//!   overlays, queues and the users' own processors all go back to what was committed.

use std::rc::Rc;
use std::sync::Arc;

use super::activity::Doing;
use super::buffers::BufferReport;
use super::builder::{BuildError, SharedFlush, SharedLifecycle, TaskBuilder};
use super::context::{ChangelogId, Collector, Context, TaskState};
use super::input::Input;
use super::node::Flushed;
use super::punctuate::{PunctuationType, Schedules};
use super::source::SourceInstance;
use super::times::TimeId;
use super::{OffsetMetadata, TaskConfig};
use crate::commit::Guarantee;
use crate::error::TaskError;
use crate::graph::{Graph, NodeId};
use crate::record::TimestampMs;
use crate::state::{Backend, CacheBudget, StoreInstance, WriteBatch};
use crate::{TaskId, TopicPartition};

/// One input partition of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InputId(pub(super) usize);

/// What to commit for one input partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset of the next record to process.
    pub offset: i64,
    /// What travels with it.
    pub metadata: OffsetMetadata,
}

/// A task of one worker. Not `Send`: its nodes share stores without locks.
pub struct Task {
    pub(super) state: TaskState,
    pub(super) config: TaskConfig,
    pub(super) inputs: Vec<Input>,
    stores: Vec<StoreInstance>,
    flushers: Vec<SharedFlush>,
    lifecycles: Vec<SharedLifecycle>,
    /// The stores with a time of their own.
    timed: Vec<(StoreInstance, TimeId)>,
    /// The topics that make stores again, and how many partitions each had.
    counted: Vec<(Arc<str>, TimeId)>,
    pub(super) doing: Doing,
    /// Records processed although an empty input was given up, since the last look.
    pub(super) enforced: u64,
    /// Something was processed since the last commit.
    pub(super) dirty: bool,
}

impl Task {
    /// Makes the nodes and opens the stores of one task.
    ///
    /// `partitions` are the task's inputs, with the names of topics as on the broker.
    /// `first_changelog` is the first of as many changelog ids as the sub-topology has stores.
    ///
    /// # Errors
    /// When nodes do not fit together, or a store cannot be opened.
    pub fn new(
        topology: &Graph,
        id: TaskId,
        partitions: &[TopicPartition],
        config: &TaskConfig,
        backend: &dyn Backend,
        budget: &Rc<CacheBudget>,
        first_changelog: ChangelogId,
    ) -> Result<Self, BuildError> {
        let built =
            TaskBuilder::build(topology, id, config, backend, budget.clone(), first_changelog)?;
        let mut task = Self {
            state: TaskState {
                task: id,
                stream_time: -1,
                wall_clock_ms: -1,
                schedules: Schedules::default(),
                times: built.times,
                buffers: built.buffers,
                released: Vec::new(),
                dropped: 0,
                drop_reason: None,
                commit_requested: false,
                handlers: config.handlers.clone(),
            },
            config: config.clone(),
            inputs: Vec::new(),
            stores: built.stores,
            flushers: built.flushers,
            lifecycles: built.lifecycles,
            timed: built.timed,
            counted: built.counted,
            doing: Doing::Nothing,
            enforced: 0,
            dirty: false,
        };
        for partition in partitions {
            task.add_input(topology, &built.sources, partition);
        }
        Ok(task)
    }

    fn add_input(
        &mut self,
        topology: &Graph,
        sources: &[(NodeId, SourceInstance)],
        partition: &TopicPartition,
    ) {
        let reader = topology.reader_of(&self.config.application_id, &partition.topic);
        let reader = reader.map(|(_, reader)| reader);
        let reader = reader.or_else(|| topology.global_reader_of(&partition.topic));
        let source = reader.and_then(|reader| sources.iter().find(|(id, _)| *id == reader));
        let Some((_, source)) = source else { return };
        self.inputs.push(Input::new(partition.clone(), source.0.queue()));
    }

    /// The task's id.
    pub fn id(&self) -> TaskId {
        self.state.task
    }

    /// Its input partitions, in the order of their [`InputId`].
    pub fn inputs(&self) -> impl Iterator<Item = (InputId, &TopicPartition)> {
        self.inputs.iter().enumerate().map(|(at, input)| (InputId(at), &input.partition))
    }

    /// How many input partitions it has.
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// Whether users' processors run in it.
    pub fn has_processors(&self) -> bool {
        !self.lifecycles.is_empty()
    }

    /// Its stores.
    pub fn stores(&self) -> &[StoreInstance] {
        &self.stores
    }

    /// The largest record time processed; -1 before the first record.
    pub fn stream_time(&self) -> TimestampMs {
        self.state.stream_time
    }

    /// Takes over what was committed for an input: the offset, and the time, so that stream time
    /// survives a restart.
    pub fn set_committed(
        &mut self,
        input: InputId,
        offset: Option<i64>,
        metadata: &OffsetMetadata,
    ) {
        let time = metadata.partition_time;
        let at = &mut self.inputs[input.0];
        at.ledger.set_committed(offset);
        at.queue.set_partition_time(time);
        self.state.stream_time = time.max(self.state.stream_time);
        self.state.times.recall(&metadata.times);
        for (store, time) in &self.timed {
            store.observe(self.state.times.get(*time));
        }
    }

    /// Takes notice of how many partitions the topics have that make its stores again. Call it after
    /// [`Self::set_committed`]. A topic that has more than it had at a commit is told, with both numbers: the
    /// rows of some keys are in the store of another partition.
    ///
    /// # Errors
    /// The topic, how many it had, and how many it has.
    pub fn count_partitions(
        &mut self,
        count_of: impl Fn(&str) -> Option<i32>,
    ) -> Result<(), (Arc<str>, i64, i32)> {
        for (topic, id) in &self.counted {
            let Some(now) = count_of(topic) else { continue };
            let before = self.state.times.get(*id);
            if (0..i64::from(now)).contains(&before) {
                return Err((topic.clone(), before, now));
            }
            self.state.times.advance(*id, i64::from(now));
        }
        Ok(())
    }

    /// Starts the users' processors. Call it once, after the stores are restored.
    ///
    /// # Errors
    /// What a processor's `init` fails with.
    pub fn init(
        &mut self,
        now_ms: TimestampMs,
        collector: &mut dyn Collector,
    ) -> Result<(), TaskError> {
        self.state.wall_clock_ms = now_ms;
        // A processor may write while it starts.
        self.dirty |= self.has_processors();
        self.doing = Doing::Start;
        for node in &self.lifecycles {
            let mut ctx = Context { state: &mut self.state, collector, record: None };
            node.borrow_mut().init(&mut ctx)?;
        }
        self.doing = Doing::Nothing;
        Ok(())
    }

    /// Ends the users' processors, on a clean close.
    pub fn close(&mut self) {
        self.doing = Doing::Close;
        for node in &self.lifecycles {
            node.borrow_mut().close();
        }
        self.doing = Doing::Nothing;
    }

    pub(super) fn punctuate_stream_time(
        &mut self,
        collector: &mut dyn Collector,
    ) -> Result<(), TaskError> {
        self.punctuate(PunctuationType::StreamTime, self.state.stream_time, collector)
    }

    /// Whether a wall-clock punctuation is due.
    pub fn is_punctuation_due(&self, now_ms: TimestampMs) -> bool {
        self.state.schedules.is_due(PunctuationType::WallClockTime, now_ms)
    }

    /// Runs the wall-clock punctuations that are due.
    ///
    /// # Errors
    /// Any; the task must then be dropped.
    pub fn punctuate_wall_clock(
        &mut self,
        now_ms: TimestampMs,
        collector: &mut dyn Collector,
    ) -> Result<(), TaskError> {
        if self.state.schedules.is_empty() {
            return Ok(());
        }
        self.state.wall_clock_ms = now_ms;
        self.punctuate(PunctuationType::WallClockTime, now_ms, collector)
    }

    fn punctuate(
        &mut self,
        kind: PunctuationType,
        now: TimestampMs,
        collector: &mut dyn Collector,
    ) -> Result<(), TaskError> {
        if now < 0 {
            return Ok(());
        }
        while let Some((punctuator, schedule)) = self.state.schedules.take_due(kind, now) {
            self.dirty = true;
            self.doing = Doing::Punctuation;
            let node = self.lifecycles[punctuator.0].clone();
            let mut ctx = Context { state: &mut self.state, collector, record: None };
            node.borrow_mut().punctuate(&mut ctx, schedule, now)?;
            self.settle();
            self.doing = Doing::Nothing;
        }
        Ok(())
    }

    /// True when something was processed since the last commit.
    pub fn needs_commit(&self) -> bool {
        self.dirty
    }

    /// True once after a processor asked for a commit.
    pub fn take_commit_request(&mut self) -> bool {
        std::mem::take(&mut self.state.commit_requested)
    }

    /// Records dropped that [`Self::take_dropped`] has not told yet.
    pub fn dropped(&self) -> u64 {
        self.state.dropped
    }

    /// Records processed since the last call although another input was empty at its end, and the task
    /// gave up waiting for it: that input may get an earlier record.
    pub fn take_enforced(&mut self) -> u64 {
        std::mem::take(&mut self.enforced)
    }

    /// Records dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.state.dropped)
    }

    /// What buffers of suppressions hold, and what they have emitted since the last call.
    pub fn take_buffers(&mut self) -> impl Iterator<Item = BufferReport> {
        self.state.buffers.take()
    }

    /// An estimate of the bytes written to stores since the last commit.
    pub fn uncommitted_bytes(&self) -> usize {
        self.stores.iter().map(|s| s.store.borrow().uncommitted_bytes()).sum()
    }

    /// First half of a commit: caches emit, and each dirty key goes to its changelog and into
    /// `batch`.
    ///
    /// The answer is [`Flushed::NotYet`] while a node says so, and under exactly once while a record
    /// is held. Call it again then, and give the task no record before it has answered
    /// [`Flushed::Done`].
    ///
    /// # Errors
    /// Any; the task must then be dropped.
    pub fn flush(
        &mut self,
        collector: &mut dyn Collector,
        batch: &mut WriteBatch,
    ) -> Result<Flushed, TaskError> {
        self.doing = Doing::Flush;
        for keeper in &self.flushers {
            let mut ctx = Context { state: &mut self.state, collector, record: None };
            // What is downstream of a node that is not done yet may get more from it.
            if keeper.borrow_mut().flush(&mut ctx)? == Flushed::NotYet {
                self.doing = Doing::Nothing;
                return Ok(Flushed::NotYet);
            }
        }
        self.settle();
        let in_work = self.inputs.iter().any(|input| input.ledger.holds_any());
        if in_work && self.config.guarantee == Guarantee::ExactlyOnce {
            self.doing = Doing::Nothing;
            return Ok(Flushed::NotYet);
        }
        for (store, time) in &self.timed {
            self.state.times.advance(*time, store.state().time().unwrap_or(-1));
        }
        for store in &self.stores {
            store.store.borrow_mut().seal(collector, batch)?;
        }
        self.doing = Doing::Nothing;
        Ok(Flushed::Done)
    }

    /// The positions that changed since the last commit.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.inputs.iter().filter_map(|input| input.changed(&self.state.times))
    }

    /// The position of one input, if it changed since the last commit.
    pub fn changed_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.inputs.iter().find(|input| input.partition == *partition)?.changed_offset()
    }

    /// The position of one input, if it is known.
    pub fn known_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.inputs.iter().find(|input| input.partition == *partition)?.offset()
    }

    /// Every position that is known, changed or not. A transaction without a changed position
    /// commits one of these, so that the broker checks its generation.
    pub fn known_positions(&self) -> impl Iterator<Item = Position> {
        self.inputs.iter().filter_map(|input| input.position(&self.state.times))
    }

    /// Second half of a commit: it succeeded, and the batch is in the backend.
    pub fn committed(&mut self) {
        self.dirty = false;
        self.inputs.iter_mut().for_each(Input::committed);
        for store in &self.stores {
            store.store.borrow_mut().committed();
        }
    }
}
