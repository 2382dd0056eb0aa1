//! The store of a table in one task, and what goes downstream from it.
//!
//! With caching, each key that a commit changed is forwarded once, at the commit; without, every
//! update is forwarded at once.

use std::any::type_name;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::{GraphBuilder, NodeId};
use oncestream_core::state::{KeyValue, Kind, Store, ValueAndTimestamp};
use oncestream_core::task::{Context, Downstream, FailedAt, Flush, Flushed, TaskBuilder};
use oncestream_core::{Headers, Record, TimestampMs};

use super::{Change, OldValues};
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;

/// What a node's factory keeps of a [`Materialized`].
#[derive(Clone)]
pub(crate) struct TableSpec {
    store: Arc<str>,
    caching: bool,
    old_values: OldValues,
}

impl TableSpec {
    /// The stores of the node.
    pub(crate) fn stores(&self) -> [Arc<str>; 1] {
        [self.store.clone()]
    }
}

impl<K: Data, V: Data, Kd: Kind<K>> Materialized<K, V, Kd>
where
    Kd::Key: StoreKey,
{
    /// For [`TableStore::instantiate`].
    pub(crate) fn spec(&self, old_values: &OldValues) -> TableSpec {
        TableSpec {
            store: self.name.as_str().into(),
            caching: self.caching,
            old_values: old_values.clone(),
        }
    }

    /// Adds the store to the graph.
    pub(crate) fn add_to(self, graph: &mut GraphBuilder) {
        let Self { kind, name, key_serde, value_serde, changelog, .. } = self;
        graph.add_store(&name, changelog, move |init| {
            Store::of_kind(kind.clone(), init, key_serde.clone(), value_serde.clone())
        });
    }
}

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
        spec: &TableSpec,
    ) -> Result<Rc<RefCell<Self>>, TopologyError> {
        let caching = spec.caching && b.caching_enabled();
        let table = Rc::new(RefCell::new(Self {
            store: b.store(id, &spec.store)?,
            caching,
            keep_old: spec.old_values.wanted(),
            name: b.node_name(id),
            out: b.downstream(id)?,
        }));
        if caching {
            b.on_flush(id, table.clone());
        }
        Ok(table)
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
        let mut store = self.store.borrow_mut();
        let f = |old| f(&key, old);
        let updated = if self.caching {
            let kept = headers.clone();
            store.update_cached(&key, self.keep_old, timestamp, kept, f).map(|()| None)
        } else {
            store.update(&key, self.keep_old, f).map(Some)
        };
        drop(store);
        match updated {
            Ok(Some(update)) => {
                let value = Change { new: update.new, old: update.old };
                self.out.forward(ctx, Record { key, value, timestamp: update.timestamp, headers })
            }
            Ok(None) => Ok(()),
            Err(error) => self.refused(ctx, timestamp, &headers, error),
        }
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
        let pending = self.store.borrow_mut().take_pending();
        for change in pending {
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
        Ok(Flushed::Done)
    }
}
