//! The node around a processor: it gives it its context, and names its errors.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;

use oncestream_core::error::{BoxError, TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::task::{Context, Lifecycle, Node, ScheduleId, Shared, TaskBuilder};
use oncestream_core::{Record, TimestampMs};

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
    ) -> Result<(), TaskError> {
        self.info.now.set(now);
        let mut context = ProcessorContext::new(ctx.reborrow(), &self.info, &mut self.outlet);
        let result = f(&mut self.processor, &mut context);
        if let Some(failure) = self.outlet.failure.take() {
            return Err(failure);
        }
        result.map_err(|error| match error.downcast::<TaskError>() {
            // A store's error has its own name already.
            Ok(error) => *error,
            Err(source) => TaskError::Processor { node: self.info.name.to_string(), source },
        })
    }
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
        self.call(ctx, record.timestamp, |p, ctx| p.process(ctx, record))
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
        self.call(ctx, now, Processor::init)
    }

    fn punctuate(
        &mut self,
        ctx: &mut Context<'_>,
        schedule: ScheduleId,
        timestamp: TimestampMs,
    ) -> Result<(), TaskError> {
        self.call(ctx, timestamp, |p, ctx| p.punctuate(ctx, schedule, timestamp))
    }

    fn close(&mut self) {
        self.processor.close();
    }
}
