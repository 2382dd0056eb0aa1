//! The node around a processor: it gives it its context, names its errors, and leaves those of
//! the processor's own to the processing handler.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use oncestream_core::error::{BoxError, TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::state::StoreInstance;
use oncestream_core::task::{
    Context, Downstream, FailedAt, Lifecycle, Node, ScheduleId, Shared, TaskBuilder,
};
use oncestream_core::{Headers, Record, TimestampMs};

use super::context::{NodeInfo, Outlet};
use super::stores::Now;
use super::{Processor, ProcessorContext};

pub(crate) struct ProcessorNode<P: Processor> {
    processor: P,
    info: NodeInfo,
    outlet: Outlet<P>,
    /// Those of its stores whose values expire.
    timed: Vec<StoreInstance>,
}

impl<P: Processor> ProcessorNode<P> {
    /// Makes the node of one task. `type_name` is what the user calls the processor; `supply` makes
    /// it, and its stores write with the time in the cell.
    pub(crate) fn instantiate(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        type_name: &'static str,
        supply: impl FnOnce(&TaskBuilder<'_>, &Now) -> Result<P, TopologyError>,
    ) -> Result<Box<dyn Node<P::KeyIn, P::ValueIn>>, TopologyError> {
        let out = b.downstream(id)?;
        Self::with_outlet(b, id, type_name, out, supply)
    }

    /// [`Self::instantiate`] for a processor that does not forward to the children itself.
    pub(crate) fn with_outlet(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        type_name: &'static str,
        out: Downstream<P::KeyOut, P::ValueOut>,
        supply: impl FnOnce(&TaskBuilder<'_>, &Now) -> Result<P, TopologyError>,
    ) -> Result<Box<dyn Node<P::KeyIn, P::ValueIn>>, TopologyError> {
        let now = Now::new(Cell::new(-1));
        let node = Rc::new(RefCell::new(Self {
            processor: supply(b, &now)?,
            info: NodeInfo {
                name: b.node_name(id),
                type_name,
                punctuator: b.next_punctuator(),
                now,
            },
            outlet: Outlet {
                children: b.child_names(id),
                out,
                schedules: Vec::new(),
                failure: None,
            },
            timed: b.timed_stores(id),
        }));
        b.on_lifecycle(node.clone());
        Ok(Box::new(Shared(node)))
    }

    /// Calls the processor with a context. `now` is the time its stores write with.
    fn call(
        &mut self,
        ctx: &mut Context<'_>,
        now: TimestampMs,
        f: impl FnOnce(&mut P, &mut ProcessorContext<'_, P>) -> Result<(), BoxError>,
    ) -> Result<(), Failure> {
        self.info.now.set(now);
        let mut context = ProcessorContext::new(ctx.reborrow(), &self.info, &mut self.outlet);
        let result = f(&mut self.processor, &mut context);
        if let Some(failure) = self.outlet.failure.take() {
            return Err(Failure::Task(failure));
        }
        result.map_err(|error| match error.downcast::<TaskError>() {
            // A store has refused what the processor gave it.
            Ok(error) if error.is_of_record() => Failure::Own(error),
            // A store's error has its own name already.
            Ok(error) => Failure::Task(*error),
            Err(source) => Failure::Own(source),
        })
    }

    /// Leaves the processor's own error to the processing handler.
    fn handled(
        &self,
        ctx: &mut Context<'_>,
        timestamp: TimestampMs,
        headers: &Headers,
        result: Result<(), Failure>,
    ) -> Result<(), TaskError> {
        match result {
            Ok(()) => Ok(()),
            Err(Failure::Task(error)) => Err(error),
            Err(Failure::Own(error)) => {
                let at = FailedAt { node: &self.info.name, timestamp, headers };
                ctx.processing_failed(at, self.info.type_name, error)
            }
        }
    }
}

/// Whose error it is.
enum Failure {
    /// Of a store, or of an operator downstream whose handler has failed on it.
    Task(TaskError),
    /// The processor's own, or a store's about the key it was given.
    Own(BoxError),
}

impl<P: Processor> Node<P::KeyIn, P::ValueIn> for ProcessorNode<P> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<P::KeyIn, P::ValueIn>,
    ) -> Result<(), TaskError> {
        let (timestamp, headers) = (record.timestamp, record.headers.clone());
        self.timed.iter().for_each(|store| store.observe(timestamp));
        let result = self.call(ctx, timestamp, |p, ctx| p.process(ctx, record));
        self.handled(ctx, timestamp, &headers, result)
    }
}

impl<P: Processor> Lifecycle for ProcessorNode<P> {
    fn init(&mut self, ctx: &mut Context<'_>) -> Result<(), TaskError> {
        let now = ctx.stream_time();
        self.call(ctx, now, Processor::init).map_err(|failure| match failure {
            Failure::Task(error) => error,
            Failure::Own(source) => {
                TaskError::Processor { node: self.info.name.to_string(), at: None, source }
            }
        })
    }

    fn punctuate(
        &mut self,
        ctx: &mut Context<'_>,
        schedule: ScheduleId,
        timestamp: TimestampMs,
    ) -> Result<(), TaskError> {
        let found = self.outlet.schedules.iter().find(|(id, _)| *id == schedule);
        let Some((_, punctuator)) = found else { return Ok(()) };
        let punctuator = punctuator.clone();
        let result = self.call(ctx, timestamp, |p, ctx| punctuator(p, ctx, timestamp));
        self.handled(ctx, timestamp, &Headers::default(), result)
    }

    fn close(&mut self) {
        self.processor.close();
    }
}
