//! The running task: records in, effects out, positions and stores to commit.
//!
//! Invariants:
//! - Nothing leaves a task but through the collector and the write batch.
//! - There is no undo: after an error or an abort the task is dropped and made anew, so that
//!   overlays, queues and the users' own processors all go back to what was committed.

use std::rc::Rc;

use super::activity::Aside;
use super::builder::{BuildError, SharedFlush, SharedLifecycle, TaskBuilder};
use super::context::{ChangelogId, Collector, Context, TaskState};
use super::failed::SourceBytes;
use super::input::Input;
use super::node::Flushed;
use super::punctuate::{PunctuationType, Schedules};
use super::source::{Head, RawRecord, SourceInstance};
use super::{OffsetMetadata, TaskConfig};
use crate::commit::Guarantee;
use crate::error::TaskError;
use crate::graph::{NodeId, Topology};
use crate::record::TimestampMs;
use crate::state::{Backend, CacheBudget, StoreInstance, WriteBatch};
use crate::{TaskId, TopicPartition};

/// One input partition of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InputId(usize);

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
    config: TaskConfig,
    sources: Vec<(NodeId, SourceInstance)>,
    stores: Vec<StoreInstance>,
    flushers: Vec<SharedFlush>,
    lifecycles: Vec<SharedLifecycle>,
    idle_since_ms: Option<TimestampMs>,
    /// Something was processed since the last commit.
    dirty: bool,
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
        topology: &Topology,
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
                inputs: Vec::new(),
                current: None,
                aside: Aside::Nothing,
                schedules: Schedules::default(),
                dropped: 0,
                commit_requested: false,
                handlers: config.handlers.clone(),
            },
            config: config.clone(),
            sources: built.sources,
            stores: built.stores,
            flushers: built.flushers,
            lifecycles: built.lifecycles,
            idle_since_ms: None,
            dirty: false,
        };
        for partition in partitions {
            task.add_input(topology, partition);
        }
        Ok(task)
    }

    fn add_input(&mut self, topology: &Topology, partition: &TopicPartition) {
        let reader = topology.reader_of(&self.config.application_id, &partition.topic);
        let source =
            reader.and_then(|(_, reader)| self.sources.iter().position(|(id, _)| *id == reader));
        let Some(source) = source else { return };
        let queue = self.state.inputs.iter().filter(|i| i.source == source).count();
        self.sources[source].1.0.add_queue();
        self.state.inputs.push(Input::new(partition.clone(), source, queue));
    }

    /// The task's id.
    pub fn id(&self) -> TaskId {
        self.state.task
    }

    /// Its input partitions, in the order of their [`InputId`].
    pub fn inputs(&self) -> impl Iterator<Item = (InputId, &TopicPartition)> {
        self.state.inputs.iter().enumerate().map(|(at, input)| (InputId(at), &input.partition))
    }

    /// How many input partitions it has.
    pub fn input_count(&self) -> usize {
        self.state.inputs.len()
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
    pub fn set_committed(&mut self, input: InputId, offset: Option<i64>, metadata: OffsetMetadata) {
        let time = metadata.partition_time;
        let at = &mut self.state.inputs[input.0];
        at.set_committed(offset);
        self.sources[at.source].1.0.set_partition_time(at.queue, time);
        self.state.stream_time = time.max(self.state.stream_time);
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
        self.state.aside = Aside::Start;
        for node in &self.lifecycles {
            let mut ctx = Context { state: &mut self.state, collector, source: None };
            node.borrow_mut().init(&mut ctx)?;
        }
        self.state.aside = Aside::Nothing;
        Ok(())
    }

    /// Ends the users' processors, on a clean close.
    pub fn close(&mut self) {
        self.state.aside = Aside::Close;
        for node in &self.lifecycles {
            node.borrow_mut().close();
        }
        self.state.aside = Aside::Nothing;
    }

    /// Takes a record in. With one input it is processed at once, otherwise it waits in its
    /// queue for [`Self::process_ready`].
    ///
    /// # Errors
    /// Any; the task must then be dropped.
    pub fn add_record(
        &mut self,
        input: InputId,
        raw: RawRecord<'_>,
        now_ms: TimestampMs,
        collector: &mut dyn Collector,
    ) -> Result<(), TaskError> {
        let single = self.state.inputs.len() == 1;
        let at = &mut self.state.inputs[input.0];
        if let Err(taken) = at.take(raw.offset) {
            return Err(self.went_back(input, raw.offset, taken));
        }
        let (source, queue) = (&mut self.sources[at.source].1.0, at.queue);
        self.state.wall_clock_ms = now_ms;
        self.state.current = Some((input.0, raw.offset));
        let bytes = SourceBytes { key: raw.key, value: raw.value };
        let mut ctx = Context { state: &mut self.state, collector, source: Some(&bytes) };
        if single {
            source.process(&mut ctx, queue, raw)?;
            self.dirty = true;
            if !self.state.schedules.is_empty() {
                self.punctuate_stream_time(collector)?;
            }
        } else {
            source.enqueue(&mut ctx, queue, raw)?;
            // Dropped, and nothing before it waits: the position has moved on.
            self.dirty |= source.queued(queue) == 0;
        }
        self.state.current = None;
        Ok(())
    }

    /// To process a record again would count it twice, and the lower position would be committed.
    #[cold]
    fn went_back(&self, input: InputId, offset: i64, taken: i64) -> TaskError {
        let partition = &self.state.inputs[input.0].partition;
        TaskError::WentBack {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            offset,
            taken,
        }
    }

    /// Processes up to `max` waiting records, the smallest timestamp first, and says how many.
    ///
    /// # Errors
    /// Any; the task must then be dropped.
    pub fn process_ready(
        &mut self,
        max: usize,
        now_ms: TimestampMs,
        collector: &mut dyn Collector,
    ) -> Result<usize, TaskError> {
        if self.state.inputs.len() < 2 {
            return Ok(0);
        }
        self.state.wall_clock_ms = now_ms;
        for done in 0..max {
            let Some((input, offset)) = self.next_input(now_ms) else { return Ok(done) };
            let at = &self.state.inputs[input];
            let (source, queue) = (&mut self.sources[at.source].1.0, at.queue);
            self.state.current = Some((input, offset));
            let mut ctx = Context { state: &mut self.state, collector, source: None };
            source.process_head(&mut ctx, queue)?;
            self.dirty = true;
            self.state.current = None;
            if !self.state.schedules.is_empty() {
                self.punctuate_stream_time(collector)?;
            }
        }
        Ok(max)
    }

    /// The input whose head has the smallest time, and that head's offset, unless an empty input is
    /// worth waiting for.
    fn next_input(&mut self, now_ms: TimestampMs) -> Option<(usize, i64)> {
        let mut best: Option<(Head, usize)> = None;
        let mut all_full = true;
        for (at, input) in self.state.inputs.iter().enumerate() {
            match self.sources[input.source].1.0.head(input.queue) {
                Some(head) if best.is_none_or(|(best, _)| head.timestamp < best.timestamp) => {
                    best = Some((head, at));
                }
                Some(_) => {}
                None => all_full = false,
            }
        }
        let (head, at) = best?;
        let next = (at, head.offset);
        if all_full || self.config.max_task_idle_ms <= 0 {
            self.idle_since_ms = None;
            return Some(next);
        }
        // A clock that was set back would have it wait until the old time comes again.
        let since = self.idle_since_ms.map_or(now_ms, |since| since.min(now_ms));
        self.idle_since_ms = Some(since);
        (now_ms.saturating_sub(since) >= self.config.max_task_idle_ms).then_some(next)
    }

    /// Whether an input has so many records waiting that its partition should be paused.
    pub fn is_full(&self, input: InputId) -> bool {
        self.queued(input) >= self.config.buffered_records_per_partition
    }

    /// Whether so few records wait for an input that its partition may flow again.
    pub fn is_half_empty(&self, input: InputId) -> bool {
        self.queued(input) <= self.config.buffered_records_per_partition / 2
    }

    /// How many records wait for one input.
    pub fn queued(&self, input: InputId) -> usize {
        let at = &self.state.inputs[input.0];
        self.sources[at.source].1.0.queued(at.queue)
    }

    fn punctuate_stream_time(&mut self, collector: &mut dyn Collector) -> Result<(), TaskError> {
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
        self.state.current = None;
        while let Some((punctuator, schedule)) = self.state.schedules.take_due(kind, now) {
            self.dirty = true;
            self.state.aside = Aside::Punctuation;
            let node = self.lifecycles[punctuator.0].clone();
            let mut ctx = Context { state: &mut self.state, collector, source: None };
            node.borrow_mut().punctuate(&mut ctx, schedule, now)?;
            self.state.aside = Aside::Nothing;
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

    /// Records dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.state.dropped)
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
        self.state.current = None;
        self.state.aside = Aside::Flush;
        for keeper in &self.flushers {
            let mut ctx = Context { state: &mut self.state, collector, source: None };
            // What is downstream of a node that is not done yet may get more from it.
            if keeper.borrow_mut().flush(&mut ctx)? == Flushed::NotYet {
                self.state.aside = Aside::Nothing;
                return Ok(Flushed::NotYet);
            }
        }
        let in_work = self.state.inputs.iter().any(Input::holds_any);
        if in_work && self.config.guarantee == Guarantee::ExactlyOnce {
            self.state.aside = Aside::Nothing;
            return Ok(Flushed::NotYet);
        }
        for store in &self.stores {
            store.store.borrow_mut().seal(collector, batch)?;
        }
        self.state.aside = Aside::Nothing;
        Ok(Flushed::Done)
    }

    /// The positions that changed since the last commit.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.all_positions(Input::changed)
    }

    /// Every position that is known, changed or not. A transaction without a changed position
    /// commits one of these, so that the broker checks its generation.
    pub fn known_positions(&self) -> impl Iterator<Item = Position> {
        self.all_positions(Input::position)
    }

    fn all_positions(
        &self,
        of: impl Fn(&Input, Option<i64>) -> Option<i64>,
    ) -> impl Iterator<Item = Position> {
        self.state.inputs.iter().filter_map(move |input| {
            let source = &self.sources[input.source].1.0;
            let offset = of(input, source.head(input.queue).map(|head| head.offset))?;
            let metadata = OffsetMetadata { partition_time: source.partition_time(input.queue) };
            Some(Position { partition: input.partition.clone(), offset, metadata })
        })
    }

    /// Second half of a commit: it succeeded, and the batch is in the backend.
    pub fn committed(&mut self) {
        self.dirty = false;
        for input in &mut self.state.inputs {
            let waiting = self.sources[input.source].1.0.head(input.queue);
            let position = input.position(waiting.map(|head| head.offset));
            input.set_committed(position);
        }
        for store in &self.stores {
            store.store.borrow_mut().committed();
        }
    }
}
