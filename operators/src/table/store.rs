//! The store of a table in one task, and what goes downstream from it.
//!
//! With caching, each key that a commit changed is forwarded once, at the commit; without, every
//! update is forwarded at once. Where nobody listens nothing is remembered.

use std::any::type_name;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::state::{KeyValue, Kind, Store, ValueAndTimestamp};
use oncestream_core::task::{Context, Downstream, FailedAt, Flush, Flushed, TaskBuilder};
use oncestream_core::{Headers, Record, TimestampMs};

use super::Change;
use super::made::{StoreSpec, TableSpec};
use crate::dsl::{Data, StoreKey};

/// Takes updates and forwards changes, with the key that rows of the kind have.
pub(crate) struct TableStore<K, V, Kd: Kind<K> = KeyValue> {
    store: Rc<RefCell<Store<K, V, Kd>>>,
    caching: bool,
    keep_old: bool,
    name: Arc<str>,
    out: Downstream<Kd::Key, Change<V>>,
}

impl<K: Data, V: Data, Kd: Kind<K>> TableStore<K, V, Kd>
where
    Kd::Key: StoreKey,
{
    /// Makes it for one task.
    pub(crate) fn instantiate(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<V>,
        store: &StoreSpec<V>,
    ) -> Result<Rc<RefCell<Self>>, TopologyError> {
        let caching = store.caching && b.caching_enabled();
        let table = Rc::new(RefCell::new(Self {
            store: b.store(id, &store.name)?,
            caching,
            keep_old: spec.has_old_values(),
            name: b.node_name(id),
            out: b.downstream(id)?,
        }));
        if caching {
            b.on_flush(id, table.clone());
        }
        Ok(table)
    }

    /// Makes it for one task of a node that always has a store.
    pub(crate) fn of_node(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<V>,
    ) -> Result<Rc<RefCell<Self>>, TopologyError> {
        let store = spec
            .store()
            .ok_or_else(|| TopologyError::NoStore { node: b.node_name(id).to_string() })?;
        Self::instantiate(b, id, spec, store)
    }

    /// Whether the table has a value for the key.
    pub(crate) fn contains(&self, key: &Kd::Key) -> Result<bool, TaskError> {
        Ok(self.store.borrow_mut().get(key)?.is_some())
    }

    /// Sets the key of `record` to what `f` makes of the old value; its time is the second of
    /// what `f` gives.
    pub(crate) fn update(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<Kd::Key, ()>,
        f: impl FnOnce(&Kd::Key, Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(), TaskError> {
        let Record { key, timestamp, headers, .. } = record;
        if !self.caching {
            let updated = self.store.borrow_mut().update(&key, self.keep_old, |old| f(&key, old));
            return match updated {
                Ok(update) => {
                    let value = Change { new: update.new, old: update.old };
                    let timestamp = update.timestamp;
                    self.out.forward(ctx, Record { key, value, timestamp, headers })
                }
                Err(error) => self.refused(ctx, timestamp, &headers, error),
            };
        }
        let mut store = self.store.borrow_mut();
        let updated = if self.out.is_none() {
            store.update_untold(key, timestamp, f)
        } else {
            store.update_cached(key, self.keep_old, timestamp, headers.clone(), f)
        };
        drop(store);
        updated.or_else(|error| self.refused(ctx, timestamp, &headers, error))
    }

    /// Leaves an error that is the record's fault to the processing handler. `Ok` means: drop it.
    #[cold]
    pub(crate) fn refused(
        &self,
        ctx: &mut Context<'_>,
        timestamp: TimestampMs,
        headers: &Headers,
        error: TaskError,
    ) -> Result<(), TaskError> {
        if !error.is_of_record() {
            return Err(error);
        }
        let at = FailedAt { node: &self.name, timestamp, headers };
        ctx.processing_failed(at, type_name::<TaskError>(), Box::new(error))
    }
}

impl<K: Data, V: Data, Kd: Kind<K>> Flush for TableStore<K, V, Kd>
where
    Kd::Key: StoreKey,
{
    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<Flushed, TaskError> {
        let mut pending = self.store.borrow_mut().take_pending();
        for change in pending.drain(..) {
            // Not borrowed while the record is forwarded: a node below may use the store.
            let emission = self.store.borrow().emission(change);
            let Some(emission) = emission else { continue };
            let update = emission.update;
            let record = Record {
                key: emission.key,
                value: Change { new: update.new, old: update.old },
                timestamp: update.timestamp,
                headers: emission.headers,
            };
            self.out.forward(ctx, record)?;
        }
        self.store.borrow_mut().recycle(pending);
        Ok(Flushed::Done)
    }
}
