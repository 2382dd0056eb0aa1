//! What a node sees while it runs: where the record came from, the times, and the way out.
//!
//! A [`Context`] lives for one record, one punctuation or one flush. It borrows the task's
//! bookkeeping and the worker's [`Collector`]; it owns nothing.

use std::sync::Arc;

use super::buffers::{BufferId, Buffered, Buffers};
use super::failed::SourceBytes;
use super::ledger::{Held, Ledger};
use super::punctuate::{PunctuationType, PunctuatorId, ScheduleId, Schedules};
use super::run::InputId;
use super::times::{MarkId, TimeId, Times};
use crate::error::BoxError;
use crate::handlers::{DropReason, ErrorHandlers};
use crate::record::{Headers, RecordMetadata, TimestampMs};
use crate::{TaskId, TopicPartition};

/// Index of a changelog partition among those of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChangelogId(pub u32);

/// Who sends a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A sink node.
    Sink,
    /// A store; the acknowledged offset is its changelog position.
    Changelog(ChangelogId),
    /// A handler, about a record that failed.
    DeadLetter,
}

/// A record on its way to the producer, as bytes.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; `None` lets the producer's partitioner choose by the key.
    pub partition: Option<i32>,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
    /// Event time.
    pub timestamp: TimestampMs,
    /// Headers.
    pub headers: &'a Headers,
    /// Who sends it.
    #[doc(hidden)]
    pub origin: Origin,
}

/// Takes what a task writes. Under exactly once, all of it belongs to the open transaction.
pub trait Collector {
    /// Hands a record to the producer. It may be buffered; failures of delivery show at commit.
    ///
    /// # Errors
    /// When the record can never be sent: too large, or a producer that is gone. Where the record
    /// alone is at fault the error is a [`RecordRefused`](super::RecordRefused).
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), BoxError>;

    /// The number of partitions of a topic, for custom partitioners.
    ///
    /// # Errors
    /// When the topic is not there.
    fn partition_count(&mut self, topic: &str) -> Result<i32, BoxError>;
}

/// The task's bookkeeping that contexts borrow.
#[derive(Debug)]
pub(crate) struct TaskState {
    pub(crate) task: TaskId,
    /// The largest record time processed so far; -1 before the first.
    pub(crate) stream_time: TimestampMs,
    pub(crate) wall_clock_ms: TimestampMs,
    pub(crate) schedules: Schedules,
    pub(crate) times: Times,
    pub(crate) buffers: Buffers,
    /// Records that nodes have released, and the ledgers of their inputs do not know of yet.
    pub(crate) released: Vec<Held>,
    pub(crate) dropped: u64,
    /// Why the record in hand was dropped first, if a dead letter is to tell.
    pub(crate) drop_reason: Option<DropReason>,
    pub(crate) commit_requested: bool,
    pub(crate) handlers: Arc<ErrorHandlers>,
}

/// The record in hand: where it came from.
pub(crate) struct InHand<'a> {
    pub(crate) input: InputId,
    pub(crate) partition: &'a TopicPartition,
    pub(crate) offset: i64,
    pub(crate) ledger: &'a mut Ledger,
    /// For handlers: in the client's buffer, or kept in a queue. None where no handler asks.
    pub(crate) bytes: SourceBytes<'a>,
}

impl InHand<'_> {
    fn reborrow(&mut self) -> InHand<'_> {
        let Self { input, partition, offset, ref mut ledger, bytes } = *self;
        InHand { input, partition, offset, ledger, bytes }
    }
}

/// What a node may know and do while it handles one record.
pub struct Context<'a> {
    pub(crate) state: &'a mut TaskState,
    pub(crate) collector: &'a mut dyn Collector,
    /// None in punctuations and flushes.
    pub(crate) record: Option<InHand<'a>>,
}

impl Context<'_> {
    /// The same context for a shorter time, for a context that wraps this one.
    pub fn reborrow(&mut self) -> Context<'_> {
        let record = self.record.as_mut().map(InHand::reborrow);
        Context { state: self.state, collector: self.collector, record }
    }

    /// The same context with the bytes of the record in hand.
    pub(crate) fn with_bytes<'b>(&'b mut self, bytes: SourceBytes<'b>) -> Context<'b> {
        let record = self.record.as_mut().map(|record| InHand { bytes, ..record.reborrow() });
        Context { state: self.state, collector: self.collector, record }
    }

    /// The task that runs.
    pub fn task_id(&self) -> TaskId {
        self.state.task
    }

    /// The largest record time this task has processed; -1 before the first record.
    pub fn stream_time(&self) -> TimestampMs {
        self.state.stream_time
    }

    /// The wall clock, in milliseconds; as of the last poll, not of this instant.
    pub fn wall_clock_ms(&self) -> TimestampMs {
        self.state.wall_clock_ms
    }

    /// Where the record in hand came from; `None` in punctuations and while caches flush.
    pub fn record_metadata(&self) -> Option<RecordMetadata> {
        self.record.as_ref().map(|InHand { partition, offset, .. }| RecordMetadata {
            topic: partition.topic.clone(),
            partition: partition.partition,
            offset: *offset,
        })
    }

    /// The offset of the record in hand; `None` in punctuations and while caches flush.
    #[inline]
    pub fn record_offset(&self) -> Option<i64> {
        self.record.as_ref().map(|record| record.offset)
    }

    /// Keeps the record in hand in work after [`Node::process`](super::Node::process) has returned:
    /// its offset is not committed until it is [released](Self::release). Records of one input may be
    /// released in any order. `None` where no record is in hand, in punctuations and flushes.
    ///
    /// Under exactly once nothing is committed while a record is held, since what later records did
    /// could not be told from what is to be done again: a commit waits, so a node that holds records
    /// answers [`Flushed::NotYet`](super::Flushed::NotYet) until it has released them. At least once,
    /// a commit may leave held records out; after a crash they are processed again, and so are the
    /// records behind them.
    pub fn hold(&mut self) -> Option<Held> {
        let InHand { input, offset, ledger, .. } = self.record.as_mut()?;
        ledger.hold(*offset);
        Some(Held { input: *input, offset: *offset })
    }

    /// The record is done.
    pub fn release(&mut self, held: Held) {
        self.state.released.push(held);
    }

    /// Counts a record that was dropped although nothing failed: a null key in an aggregation, or a
    /// late record. If dead letters of such records are wanted, the record in hand gets one as it was
    /// read, once the operators are done with it; the first reason counts. In punctuations and flushes
    /// no record is in hand.
    pub fn drop_record(&mut self, reason: DropReason) {
        self.count_dropped();
        let has_letters = self.state.handlers.dropped_records_topic.is_some();
        if self.record.is_some() && has_letters && reason.is_told() {
            self.state.drop_reason.get_or_insert(reason);
        }
    }

    /// Counts a record that was dropped because a later one takes its place: nothing is lost, so no dead
    /// letter tells of it.
    pub fn count_dropped(&mut self) {
        self.state.dropped += 1;
    }

    /// A time that the node remembers across restarts; -1 at first. See
    /// [`TaskBuilder::remembered_time`](super::TaskBuilder::remembered_time).
    #[inline]
    pub fn time(&self, id: TimeId) -> TimestampMs {
        self.state.times.get(id)
    }

    /// Sets a remembered time, if it is later than the one before.
    #[inline]
    pub fn advance_time(&mut self, id: TimeId, to: TimestampMs) {
        self.state.times.advance(id, to);
    }

    /// A mark that the node remembers across restarts, once it was set. See
    /// [`TaskBuilder::remembered_mark`](super::TaskBuilder::remembered_mark).
    #[inline]
    pub fn mark(&self, id: MarkId) -> Option<TimestampMs> {
        self.state.times.mark(id)
    }

    /// Sets a mark, also to an earlier time.
    #[inline]
    pub fn set_mark(&mut self, id: MarkId, to: TimestampMs) {
        self.state.times.set_mark(id, to);
    }

    /// Tells metrics how much waits in a buffer now.
    #[inline]
    pub fn buffer_holds(&mut self, id: BufferId, now: Buffered) {
        self.state.buffers.holds(id, now);
    }

    /// Tells metrics that a result was emitted out of a buffer.
    #[inline]
    pub fn buffer_emitted(&mut self, id: BufferId) {
        self.state.buffers.emitted(id);
    }

    /// Asks for a commit soon, before `commit.interval.ms` is over.
    pub fn request_commit(&mut self) {
        self.state.commit_requested = true;
    }

    /// Calls the punctuator each `interval_ms` from now on.
    pub fn schedule(
        &mut self,
        punctuator: PunctuatorId,
        interval_ms: i64,
        kind: PunctuationType,
    ) -> ScheduleId {
        let now = self.state.wall_clock_ms;
        self.state.schedules.add(punctuator, interval_ms, kind, now)
    }

    /// Ends a schedule. One that is gone already is fine.
    pub fn cancel(&mut self, schedule: ScheduleId) {
        self.state.schedules.cancel(schedule);
    }
}
