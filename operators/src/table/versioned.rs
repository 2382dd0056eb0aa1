//! The store of a table by its own keys, with versions or without, in one task.
//!
//! A store with versions has no cache, and takes an update that comes out of order without taking it for
//! the newest: as Kafka Streams' nodes on a `VersionedKeyValueStore`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::handlers::DropReason;
use oncestream_core::state::{ValueAndTimestamp, VersionPut, VersionedStore};
use oncestream_core::task::{Context, Downstream, FailedAt, TaskBuilder};
use oncestream_core::{Headers, Record, TimestampMs};

use super::made::{StoreSpec, TableSpec};
use super::store::initial_if;
use super::{Change, TableStore};
use crate::dsl::{Data, StoreKey};
use crate::refused::refused;

/// Takes updates and forwards changes.
pub(crate) enum StoredTable<K, V> {
    Newest(Rc<RefCell<TableStore<K, V>>>),
    Versions(VersionedTable<K, V>),
}

/// A table whose store has versions.
pub(crate) struct VersionedTable<K, V> {
    store: Rc<RefCell<VersionedStore<K, V>>>,
    keep_old: bool,
    /// As of [`TableStore`].
    initial_is_old: bool,
    name: Arc<str>,
    out: Downstream<K, Change<V>>,
}

impl<K: StoreKey, V: Data> StoredTable<K, V> {
    /// Makes it for one task.
    pub(crate) fn instantiate(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<V>,
        store: &StoreSpec<V>,
    ) -> Result<Self, TopologyError> {
        if store.history_ms.is_none() {
            return Ok(Self::Newest(TableStore::instantiate(b, id, spec, store)?));
        }
        Ok(Self::Versions(VersionedTable {
            store: b.store(id, &store.name)?,
            keep_old: spec.has_old_values(),
            initial_is_old: !spec.asks_for_told_before(),
            name: b.node_name(id),
            out: b.downstream(id)?,
        }))
    }

    /// Makes it for one task of a node that always has a store.
    pub(crate) fn of_node(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<V>,
    ) -> Result<Self, TopologyError> {
        let store = spec
            .store()
            .ok_or_else(|| TopologyError::NoStore { node: b.node_name(id).to_string() })?;
        Self::instantiate(b, id, spec, store)
    }

    /// Sets the key of `record` to what `f` makes of the old value; its time is the second of what `f`
    /// gives.
    pub(crate) fn update(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, ()>,
        f: impl FnOnce(&K, Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(), TaskError> {
        match self {
            Self::Newest(table) => table.borrow_mut().update(ctx, record, f),
            Self::Versions(table) => table.update(ctx, record, |old| old, f),
        }
    }

    /// Sets the key of `record` to what `f` makes of the old value. The result's time is the latest of
    /// what is in it.
    pub(crate) fn fold(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, ()>,
        initial: impl FnOnce() -> Option<V>,
        f: impl FnOnce(&K, Option<V>) -> Option<V>,
    ) -> Result<(), TaskError> {
        match self {
            Self::Newest(table) => table.borrow_mut().fold(ctx, record, initial, f),
            Self::Versions(table) => {
                let (timestamp, initial_is_old) = (record.timestamp, table.initial_is_old);
                let told = |old: Option<V>| old.or_else(|| initial_if(initial_is_old, initial));
                table.update(ctx, record, told, |key, old| match old {
                    Some(old) => (f(key, Some(old.value)), timestamp.max(old.timestamp)),
                    None => (f(key, None), timestamp),
                })
            }
        }
    }

    /// Whether the operators below may have been told of a value for the key.
    pub(crate) fn may_have_told(&self, key: &K) -> Result<bool, TaskError> {
        match self {
            Self::Newest(table) => table.borrow().may_have_told(key),
            Self::Versions(table) => Ok(table.store.borrow_mut().newest(key)?.is_some()),
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
        match self {
            Self::Newest(table) => table.borrow().refused(ctx, timestamp, headers, error),
            Self::Versions(table) => table.refused(ctx, timestamp, headers, error),
        }
    }
}

impl<K: StoreKey, V: Data> VersionedTable<K, V> {
    /// `told_old` makes the old value to tell of, of that which is newest in the store.
    fn update(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, ()>,
        told_old: impl FnOnce(Option<V>) -> Option<V>,
        f: impl FnOnce(&K, Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(), TaskError> {
        let Record { key, timestamp, headers, .. } = record;
        let put = self.put(&key, f);
        let (put, Change { new, old, .. }, time) = match put {
            Ok(put) => put,
            Err(error) => return self.refused(ctx, timestamp, &headers, error),
        };
        if put == VersionPut::Expired {
            ctx.drop_record(DropReason::BeforeHistory);
            return Ok(());
        }
        let old = if self.keep_old { told_old(old) } else { None };
        let value = Change { new, old, is_latest: put == VersionPut::Newest };
        self.out.forward(ctx, Record { key, value, timestamp: time, headers })
    }

    /// Puts what `f` makes of the newest value; that is the old one.
    fn put(
        &self,
        key: &K,
        f: impl FnOnce(&K, Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(VersionPut, Change<V>, TimestampMs), TaskError> {
        let mut store = self.store.borrow_mut();
        let found = store.newest(key)?;
        let old = found.as_ref().filter(|_| self.keep_old).map(|found| found.value.clone());
        let (new, time) = f(key, found);
        let new = store.present(new);
        let put = store.put_version(key.clone(), new.clone(), time)?;
        Ok((put, Change::latest(new, old), time))
    }

    #[cold]
    fn refused(
        &self,
        ctx: &mut Context<'_>,
        timestamp: TimestampMs,
        headers: &Headers,
        error: TaskError,
    ) -> Result<(), TaskError> {
        refused(ctx, FailedAt { node: &self.name, timestamp, headers }, error)
    }
}
