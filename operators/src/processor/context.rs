//! What a processor sees of its task, and its way downstream.
//!
//! Invariant: an error of an operator downstream cannot be lost. It is kept here, and the node
//! fails with it even if the processor goes on.

use std::any::type_name;
use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::state::{Kind, Store, StoreInstance};
use oncestream_core::task::{Context, Downstream, PunctuationType, PunctuatorId, ScheduleId};
use oncestream_core::{Record, RecordMetadata, TaskId, TimestampMs};

use super::{ProcessorError, StoreHandle};
use crate::dsl::{Data, StoreKey};

/// What a node knows of itself.
pub(crate) struct NodeInfo {
    pub(crate) name: Arc<str>,
    pub(crate) stores: Vec<(Arc<str>, StoreInstance)>,
    pub(crate) punctuator: PunctuatorId,
    /// The time that store handles write with.
    pub(crate) now: Rc<Cell<TimestampMs>>,
}

/// The way downstream.
pub(crate) struct Outlet<K, V> {
    pub(crate) children: Vec<Arc<str>>,
    pub(crate) out: Downstream<K, V>,
    /// The first failure downstream.
    pub(crate) failure: Option<TaskError>,
}

/// What every processor may know and do, beside forwarding.
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

    /// Asks for a commit soon, before `commit.interval.ms` is over.
    pub fn request_commit(&mut self) {
        self.context.request_commit();
    }

    /// Calls `punctuate` each `interval` from now on; less than a millisecond counts as one.
    pub fn schedule(&mut self, interval: Duration, kind: PunctuationType) -> ScheduleId {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        self.context.schedule(self.node.punctuator, interval_ms, kind)
    }

    /// Ends a schedule. One that is gone already is fine.
    pub fn cancel(&mut self, schedule: ScheduleId) {
        self.context.cancel(schedule);
    }

    /// A store that this processor is connected to. Fetched once, in `init`, a handle may be
    /// kept.
    ///
    /// # Errors
    /// [`TopologyError::StoreType`] when the store is not connected to the processor, or has
    /// other types.
    pub fn store<K: StoreKey, V: Data>(
        &self,
        name: &str,
    ) -> Result<StoreHandle<K, V>, TopologyError> {
        self.store_of_kind(name)
    }

    /// A store of some kind that this processor is connected to: a window store, for instance.
    ///
    /// # Errors
    /// [`TopologyError::StoreType`] when the store is not connected to the processor, or has
    /// other types or another kind.
    pub fn store_of_kind<K: StoreKey, V: Data, Kd: Kind<K>>(
        &self,
        name: &str,
    ) -> Result<StoreHandle<K, V, Kd>, TopologyError> {
        let found = self.node.stores.iter().find(|(n, _)| &**n == name);
        let store = found.and_then(|(_, s)| s.downcast::<Store<K, V, Kd>>());
        let store = store.ok_or_else(|| TopologyError::StoreType {
            node: self.node.name.to_string(),
            store: name.to_owned(),
            asked: type_name::<Store<K, V, Kd>>(),
        })?;
        Ok(StoreHandle { store, now: self.node.now.clone() })
    }
}

/// What a [`Processor`](super::Processor) may know and do while it handles one record.
pub struct ProcessorContext<'a, K, V> {
    common: ProcessingContext<'a>,
    outlet: &'a mut Outlet<K, V>,
}

impl<'a, K, V> ProcessorContext<'a, K, V> {
    pub(crate) fn new(
        context: Context<'a>,
        node: &'a NodeInfo,
        outlet: &'a mut Outlet<K, V>,
    ) -> Self {
        Self { common: ProcessingContext { context, node }, outlet }
    }

    pub(crate) fn reborrow(&mut self) -> ProcessorContext<'_, K, V> {
        let ProcessingContext { context, node } = &mut self.common;
        ProcessorContext::new(context.reborrow(), node, self.outlet)
    }
}

impl<K: Data, V: Data> ProcessorContext<'_, K, V> {
    /// Hands a record to every operator downstream.
    ///
    /// # Errors
    /// [`ProcessorError::DownstreamFailed`]; the task fails, whatever the processor does next.
    pub fn forward(&mut self, record: Record<K, V>) -> Result<(), ProcessorError> {
        let result = self.outlet.out.forward(&mut self.common.context, record);
        self.keep(result)
    }

    /// Hands a record to one operator downstream, by its name.
    ///
    /// # Errors
    /// When there is no such child, or an operator downstream fails.
    pub fn forward_to(&mut self, child: &str, record: Record<K, V>) -> Result<(), ProcessorError> {
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

    fn keep(&mut self, result: Result<(), TaskError>) -> Result<(), ProcessorError> {
        result.map_err(|failure| {
            self.outlet.failure.get_or_insert(failure);
            ProcessorError::DownstreamFailed { node: self.common.node.name.to_string() }
        })
    }
}

impl<'a, K, V> Deref for ProcessorContext<'a, K, V> {
    type Target = ProcessingContext<'a>;

    fn deref(&self) -> &Self::Target {
        &self.common
    }
}

impl<K, V> DerefMut for ProcessorContext<'_, K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.common
    }
}
