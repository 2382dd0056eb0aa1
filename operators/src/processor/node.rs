//! The node around a processor: it gives it its context, names its errors, and leaves those of
//! the processor's own to the processing handler.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;

use oncestream_core::error::{BoxError, TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::task::{Context, FailedAt, Lifecycle, Node, ScheduleId, Shared, TaskBuilder};
use oncestream_core::{Headers, Record, TimestampMs};

use super::context::{NodeInfo, Outlet};
use super::{Processor, ProcessorContext};
use crate::dsl::Data;

pub(crate) struct ProcessorNode<P, KIn, VIn, KOut, VOut> {
    processor: P,
    info: NodeInfo,
    outlet: Outlet<KOut, VOut>,
    input: PhantomData<fn(KIn, VIn)>,
}

impl<P, KIn, VIn, KOut, VOut> ProcessorNode<P, KIn, VIn, KOut, VOut>
where
    P: Processor<KIn, VIn, KOut, VOut> + 'static,
    KIn: Data,
    VIn: Data,
    KOut: Data,
    VOut: Data,
{
    /// Makes the node of one task.
    pub(crate) fn instantiate(
        processor: P,
        b: &mut TaskBuilder<'_>,
        id: NodeId,
    ) -> Result<Box<dyn Node<KIn, VIn>>, TopologyError> {
        let out = b.downstream(id)?;
        let node = Rc::new(RefCell::new(Self {
            processor,
            info: NodeInfo {
                name: b.node_name(id),
                stores: b.connected_stores(id),
                punctuator: b.next_punctuator(),
                now: Rc::new(Cell::new(-1)),
            },
            outlet: Outlet { children: b.child_names(id), out, failure: None },
            input: PhantomData,
        }));
        b.on_lifecycle(node.clone());
        Ok(Box::new(Shared(node)))
    }

    /// Calls the processor with a context. `now` is the time its stores write with.
    fn call(
        &mut self,
        ctx: &mut Context<'_>,
        now: TimestampMs,
        f: impl FnOnce(&mut P, &mut ProcessorContext<'_, KOut, VOut>) -> Result<(), BoxError>,
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
                ctx.processing_failed(at, "std::error::Error", error)
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

impl<P, KIn, VIn, KOut, VOut> Node<KIn, VIn> for ProcessorNode<P, KIn, VIn, KOut, VOut>
where
    P: Processor<KIn, VIn, KOut, VOut> + 'static,
    KIn: Data,
    VIn: Data,
    KOut: Data,
    VOut: Data,
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<KIn, VIn>,
    ) -> Result<(), TaskError> {
        let (timestamp, headers) = (record.timestamp, record.headers.clone());
        let result = self.call(ctx, timestamp, |p, ctx| p.process(ctx, record));
        self.handled(ctx, timestamp, &headers, result)
    }
}

impl<P, KIn, VIn, KOut, VOut> Lifecycle for ProcessorNode<P, KIn, VIn, KOut, VOut>
where
    P: Processor<KIn, VIn, KOut, VOut> + 'static,
    KIn: Data,
    VIn: Data,
    KOut: Data,
    VOut: Data,
{
    fn init(&mut self, ctx: &mut Context<'_>) -> Result<(), TaskError> {
        let now = ctx.stream_time();
        self.call(ctx, now, Processor::init).map_err(|failure| match failure {
            Failure::Task(error) => error,
            Failure::Own(source) => {
                TaskError::Processor { node: self.info.name.to_string(), source }
            }
        })
    }

    fn punctuate(
        &mut self,
        ctx: &mut Context<'_>,
        schedule: ScheduleId,
        timestamp: TimestampMs,
    ) -> Result<(), TaskError> {
        let result = self.call(ctx, timestamp, |p, ctx| p.punctuate(ctx, schedule, timestamp));
        self.handled(ctx, timestamp, &Headers::default(), result)
    }

    fn close(&mut self) {
        self.processor.close();
    }
}
