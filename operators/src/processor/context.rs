//! What a processor sees of its task, and its way downstream.
//!
//! Invariant: an error of an operator downstream cannot be lost. It is kept here, and the node
//! fails with it even if the processor goes on.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::handlers::DropReason;
use oncestream_core::task::{Context, Downstream, PunctuationType, PunctuatorId, ScheduleId};
use oncestream_core::{Record, RecordMetadata, TaskId, TimestampMs};

use super::stores::Now;
use super::{Processor, ProcessorError};

/// What a node knows of itself.
pub(crate) struct NodeInfo {
    pub(crate) name: Arc<str>,
    /// The type of the processor: what a dead letter has for the type of an error, whose own is not
    /// known.
    pub(crate) type_name: &'static str,
    pub(crate) punctuator: PunctuatorId,
    /// The time that store handles write with.
    pub(crate) now: Now,
}

/// What a schedule calls.
pub(crate) type Punctuator<P> =
    Rc<dyn Fn(&mut P, &mut ProcessorContext<'_, P>, TimestampMs) -> Result<(), BoxError>>;

/// The way downstream, and the schedules.
pub(crate) struct Outlet<P: Processor> {
    pub(crate) children: Vec<Arc<str>>,
    pub(crate) out: Downstream<P::KeyOut, P::ValueOut>,
    pub(crate) schedules: Vec<(ScheduleId, Punctuator<P>)>,
    /// The first failure downstream.
    pub(crate) failure: Option<TaskError>,
}

/// What every processor may know and do, beside forwarding. Contexts of processors lend it.
///
/// ```
/// use oncestream_operators::processor::ProcessingContext;
/// /// How long ago it was when the record in hand was made, by the times of records.
/// fn age_ms(ctx: &ProcessingContext<'_>, timestamp: i64) -> i64 {
///     ctx.stream_time() - timestamp
/// }
/// ```
pub struct ProcessingContext<'a> {
    context: Context<'a>,
    node: &'a NodeInfo,
}

impl ProcessingContext<'_> {
    /// The task that runs.
    pub fn task_id(&self) -> TaskId {
        self.context.task_id()
    }

    /// Where the record in hand came from; `None` in `init`, in punctuations, and for what a
    /// cache upstream emits at a commit.
    pub fn record_metadata(&self) -> Option<RecordMetadata> {
        self.context.record_metadata()
    }

    /// The largest record time of this task in milliseconds; -1 before the first record.
    pub fn stream_time(&self) -> TimestampMs {
        self.context.stream_time()
    }

    /// The wall clock in milliseconds, as of the last poll.
    pub fn current_system_time_ms(&self) -> TimestampMs {
        self.context.wall_clock_ms()
    }

    /// Counts a record that the processor drops, as the operators do with a null key or a late record:
    /// `dropped-records-total` of Kafka Streams. With
    /// `errors.dead.letter.queue.dropped.records.enable` the record that the task has read gets a dead
    /// letter, in the same transaction. One record gets one at most, and the first reason counts;
    /// punctuations, and what a cache upstream emits at a commit, have no such record.
    ///
    /// ```
    /// # use oncestream_core::error::TaskError;
    /// # use oncestream_core::state::Window;
    /// # use oncestream_core::TimestampMs;
    /// use oncestream_core::handlers::DropReason;
    /// # use oncestream_operators::processor::{ProcessingContext, StoreHandle};
    /// fn keep(
    ///     ctx: &mut ProcessingContext<'_>,
    ///     store: &StoreHandle<String, i64, Window>,
    ///     (key, start, value): (String, TimestampMs, i64),
    /// ) -> Result<(), TaskError> {
    ///     if !store.put_at(key, start, value)? {
    ///         ctx.drop_record(DropReason::LateRecord);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn drop_record(&mut self, reason: DropReason) {
        self.context.drop_record(reason);
    }

    /// Asks for a commit soon, before `commit.interval.ms` is over.
    pub fn request_commit(&mut self) {
        self.context.request_commit();
    }
}

impl fmt::Debug for ProcessingContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessingContext")
            .field("node", &self.node.name)
            .field("task", &self.task_id())
            .finish_non_exhaustive()
    }
}

/// What a [`Processor`] may know and do while it handles one record.
///
/// ```
/// use oncestream_core::Record;
/// use oncestream_core::error::BoxError;
/// use oncestream_operators::processor::{Processor, ProcessorContext};
///
/// /// Forwards each amount with the partition that it came from, and large ones to `alarms` alone.
/// struct Route;
///
/// impl Processor for Route {
///     type KeyIn = String;
///     type ValueIn = i64;
///     type KeyOut = i32;
///     type ValueOut = i64;
///
///     fn process(
///         &mut self,
///         ctx: &mut ProcessorContext<'_, Self>,
///         record: Record<String, i64>,
///     ) -> Result<(), BoxError> {
///         let from = ctx.record_metadata().map_or(-1, |at| at.partition);
///         let record = record.with_key(from);
///         if record.value > 1_000_000 {
///             ctx.forward_to("alarms", record)?;
///         } else {
///             ctx.forward(record)?;
///         }
///         Ok(())
///     }
/// }
/// ```
pub struct ProcessorContext<'a, P: Processor> {
    common: ProcessingContext<'a>,
    outlet: &'a mut Outlet<P>,
}

impl<'a, P: Processor> ProcessorContext<'a, P> {
    pub(crate) fn new(context: Context<'a>, node: &'a NodeInfo, outlet: &'a mut Outlet<P>) -> Self {
        Self { common: ProcessingContext { context, node }, outlet }
    }

    pub(crate) fn reborrow(&mut self) -> ProcessorContext<'_, P> {
        let ProcessingContext { context, node } = &mut self.common;
        ProcessorContext::new(context.reborrow(), node, self.outlet)
    }

    /// Hands a record to every operator downstream.
    ///
    /// # Errors
    /// [`ProcessorError::DownstreamFailed`]; the task fails, whatever the processor does next.
    pub fn forward(
        &mut self,
        record: Record<P::KeyOut, P::ValueOut>,
    ) -> Result<(), ProcessorError> {
        let result = self.outlet.out.forward(&mut self.common.context, record);
        self.keep(result)
    }

    /// Hands a record to one operator downstream, by its name.
    ///
    /// # Errors
    /// When there is no such child, or an operator downstream fails.
    pub fn forward_to(
        &mut self,
        child: &str,
        record: Record<P::KeyOut, P::ValueOut>,
    ) -> Result<(), ProcessorError> {
        let at = self.outlet.children.iter().position(|c| &**c == child);
        match at.and_then(|at| self.outlet.out.child(at)) {
            Some(child) => {
                let result = child.process(&mut self.common.context, record);
                self.keep(result)
            }
            None => Err(ProcessorError::UnknownChild {
                node: self.common.node.name.to_string(),
                child: child.to_owned(),
                children: self.outlet.children.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    /// Calls `punctuator` each `interval` from now on; less than a millisecond counts as one. It gets
    /// the processor, its context, and stream time or wall-clock time in milliseconds, by the kind of
    /// the schedule. A method of the processor is one: `Self::tell_all`.
    ///
    /// An error of it is handled as one of [`Processor::process`].
    pub fn schedule<F>(
        &mut self,
        interval: Duration,
        kind: PunctuationType,
        punctuator: F,
    ) -> ScheduleId
    where
        F: Fn(&mut P, &mut ProcessorContext<'_, P>, TimestampMs) -> Result<(), BoxError> + 'static,
    {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        let ProcessingContext { context, node } = &mut self.common;
        let schedule = context.schedule(node.punctuator, interval_ms, kind);
        self.outlet.schedules.push((schedule, Rc::new(punctuator)));
        schedule
    }

    /// Ends a schedule. One that is gone already is fine.
    pub fn cancel(&mut self, schedule: ScheduleId) {
        self.common.context.cancel(schedule);
        self.outlet.schedules.retain(|(id, _)| *id != schedule);
    }

    /// Has something else go downstream.
    pub(super) fn downstream(
        &mut self,
        forward: impl FnOnce(&mut Context<'_>) -> Result<(), TaskError>,
    ) -> Result<(), ProcessorError> {
        let result = forward(&mut self.common.context);
        self.keep(result)
    }

    fn keep(&mut self, result: Result<(), TaskError>) -> Result<(), ProcessorError> {
        result.map_err(|failure| {
            self.outlet.failure.get_or_insert(failure);
            ProcessorError::DownstreamFailed { node: self.common.node.name.to_string() }
        })
    }
}

impl<P: Processor> fmt::Debug for ProcessorContext<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProcessorContext").field(&self.common).finish()
    }
}

impl<'a, P: Processor> Deref for ProcessorContext<'a, P> {
    type Target = ProcessingContext<'a>;

    fn deref(&self) -> &Self::Target {
        &self.common
    }
}

impl<P: Processor> DerefMut for ProcessorContext<'_, P> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.common
    }
}
