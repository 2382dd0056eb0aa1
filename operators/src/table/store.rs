//! The store of a table in one task, and what goes downstream from it.
//!
//! With caching, each key that a commit changed is forwarded once, at the commit; without, every
//! update is forwarded at once. Where nobody listens nothing is remembered.

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
use crate::refused::refused;

/// How the key of a row is forwarded.
pub(crate) trait Forwarded<R>: Clone + 'static {
    type Key;

    fn key(&self, row_key: R) -> Self::Key;
}

/// As it is.
#[derive(Clone)]
pub(crate) struct AsItIs;

impl<R> Forwarded<R> for AsItIs {
    type Key = R;

    fn key(&self, row_key: R) -> R {
        row_key
    }
}

/// Takes updates and forwards changes.
pub(crate) struct TableStore<K, V, Kd: Kind<K> = KeyValue, Fw: Forwarded<Kd::Key> = AsItIs> {
    store: Rc<RefCell<Store<K, V, Kd>>>,
    caching: bool,
    keep_old: bool,
    /// What an aggregation begins with is an old value, as in Kafka Streams.
    initial_is_old: bool,
    name: Arc<str>,
    forwarded: Fw,
    out: Downstream<Fw::Key, Change<V>>,
}

impl<K: Data, V: Data> TableStore<K, V>
where
    K: StoreKey,
{
    /// Makes it for one task.
    pub(crate) fn instantiate(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<V>,
        store: &StoreSpec<V>,
    ) -> Result<Rc<RefCell<Self>>, TopologyError> {
        Self::forwarding(b, id, spec, store, AsItIs)
    }
}

impl<K: Data, V: Data, Kd: Kind<K>, Fw: Forwarded<Kd::Key>> TableStore<K, V, Kd, Fw>
where
    Kd::Key: StoreKey,
    Fw::Key: Data,
{
    fn forwarding(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<V>,
        store: &StoreSpec<V>,
        forwarded: Fw,
    ) -> Result<Rc<RefCell<Self>>, TopologyError> {
        let caching = store.caching && b.caching_enabled();
        let table = Rc::new(RefCell::new(Self {
            store: b.store(id, &store.name)?,
            caching,
            keep_old: spec.has_old_values(),
            initial_is_old: !spec.asks_for_told_before(),
            name: b.node_name(id),
            forwarded,
            out: b.downstream(id)?,
        }));
        if caching {
            b.on_flush(id, table.clone());
        }
        Ok(table)
    }

    /// Makes it for one task of a node that always has a store, and forwards the keys of its rows so.
    pub(crate) fn windowed(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<V>,
        forwarded: Fw,
    ) -> Result<Rc<RefCell<Self>>, TopologyError> {
        let store = spec
            .store()
            .ok_or_else(|| TopologyError::NoStore { node: b.node_name(id).to_string() })?;
        Self::forwarding(b, id, spec, store, forwarded)
    }

    /// Whether the operators below may have been told of a value for the key.
    pub(crate) fn may_have_told(&self, key: &Kd::Key) -> Result<bool, TaskError> {
        let mut store = self.store.borrow_mut();
        Ok(store.forgets_values() || store.get(key)?.is_some())
    }

    /// The store, for what a node needs to look up.
    pub(crate) fn store(&self) -> std::cell::RefMut<'_, Store<K, V, Kd>> {
        self.store.borrow_mut()
    }

    /// The name of the node, for errors.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether each key is forwarded once, at the commit.
    pub(crate) fn is_caching(&self) -> bool {
        self.caching
    }

    /// Sets the key of `record` to what `f` makes of the old value. The result's time is the latest of
    /// what is in it.
    pub(crate) fn fold(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<Kd::Key, ()>,
        initial: impl FnOnce() -> Option<V>,
        f: impl FnOnce(&Kd::Key, Option<V>) -> Option<V>,
    ) -> Result<(), TaskError> {
        let timestamp = record.timestamp;
        self.update_from(ctx, record, initial, |key, old| match old {
            Some(old) => (f(key, Some(old.value)), timestamp.max(old.timestamp)),
            None => (f(key, None), timestamp),
        })
    }

    /// [`Self::fold`] where nobody is to hear of it.
    pub(crate) fn fold_untold(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<Kd::Key, ()>,
        f: impl FnOnce(&Kd::Key, Option<V>) -> Option<V>,
    ) -> Result<(), TaskError> {
        let Record { key, timestamp, headers, .. } = record;
        let updated = self.store.borrow_mut().update_untold(key, timestamp, |key, old| match old {
            Some(old) => (f(key, Some(old.value)), timestamp.max(old.timestamp)),
            None => (f(key, None), timestamp),
        });
        updated.or_else(|error| self.refused(ctx, timestamp, &headers, error))
    }

    /// Sets the key of `record` to a value and its time, for a node that has looked the old one up.
    pub(crate) fn replace(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<Kd::Key, ()>,
        new: (Option<V>, TimestampMs),
        old: Option<V>,
    ) -> Result<(), TaskError> {
        self.tell(ctx, record, |_| old, |_, _| new)
    }

    /// [`Self::replace`] where nobody is to hear of it.
    pub(crate) fn replace_untold(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<Kd::Key, ()>,
        new: (Option<V>, TimestampMs),
    ) -> Result<(), TaskError> {
        let Record { key, timestamp, headers, .. } = record;
        let updated = self.store.borrow_mut().update_untold(key, timestamp, |_, _| new);
        updated.or_else(|error| self.refused(ctx, timestamp, &headers, error))
    }

    /// Forwards a row that the store has.
    pub(crate) fn forward(
        &mut self,
        ctx: &mut Context<'_>,
        row_key: Kd::Key,
        found: ValueAndTimestamp<V>,
        headers: Headers,
    ) -> Result<(), TaskError> {
        let ValueAndTimestamp { value, timestamp } = found;
        let value = Change::latest(Some(value), None);
        let key = self.forwarded.key(row_key);
        self.out.forward(ctx, Record { key, value, timestamp, headers })
    }

    /// Sets the key of `record` to what `f` makes of the old value; its time is the second of
    /// what `f` gives.
    pub(crate) fn update(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<Kd::Key, ()>,
        f: impl FnOnce(&Kd::Key, Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(), TaskError> {
        self.tell(ctx, record, |old| old, f)
    }

    /// [`Self::update`], but without a cache the old value of a first one is `initial`, as in Kafka
    /// Streams.
    fn update_from(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<Kd::Key, ()>,
        initial: impl FnOnce() -> Option<V>,
        f: impl FnOnce(&Kd::Key, Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(), TaskError> {
        let initial_is_old = self.initial_is_old;
        self.tell(ctx, record, |old| old.or_else(|| initial_if(initial_is_old, initial)), f)
    }

    /// The old value to tell of, where an aggregation begins with this one.
    pub(crate) fn told_old(
        &self,
        old: Option<V>,
        initial: impl FnOnce() -> Option<V>,
    ) -> Option<V> {
        old.or_else(|| initial_if(self.initial_is_old, initial))
    }

    /// Updates a key and tells of it: now, with the old value that `told_old` makes of the store's, or
    /// at the commit.
    fn tell(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<Kd::Key, ()>,
        told_old: impl FnOnce(Option<V>) -> Option<V>,
        f: impl FnOnce(&Kd::Key, Option<ValueAndTimestamp<V>>) -> (Option<V>, TimestampMs),
    ) -> Result<(), TaskError> {
        let Record { key, timestamp, headers, .. } = record;
        let mut store = self.store.borrow_mut();
        store.observe(timestamp);
        if !store.is_live(&key)? {
            drop(store);
            // What the store would forget at once is a result all the same.
            let (new, timestamp) = f(&key, None);
            let old = if self.keep_old { told_old(None) } else { None };
            let (key, value) = (self.forwarded.key(key), Change::latest(new, old));
            return self.out.forward(ctx, Record { key, value, timestamp, headers });
        }
        if !self.caching {
            let updated = store.update(&key, self.keep_old, |old| f(&key, old));
            drop(store);
            return match updated {
                Ok(update) => {
                    let old = if self.keep_old { told_old(update.old) } else { None };
                    let value = Change::latest(update.new, old);
                    let (timestamp, key) = (update.timestamp, self.forwarded.key(key));
                    self.out.forward(ctx, Record { key, value, timestamp, headers })
                }
                Err(error) => self.refused(ctx, timestamp, &headers, error),
            };
        }
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
        refused(ctx, FailedAt { node: &self.name, timestamp, headers }, error)
    }
}

impl<K: Data, V: Data, Kd: Kind<K>, Fw: Forwarded<Kd::Key>> Flush for TableStore<K, V, Kd, Fw>
where
    Kd::Key: StoreKey,
    Fw::Key: Data,
{
    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<Flushed, TaskError> {
        let mut pending = self.store.borrow_mut().take_pending();
        for change in pending.drain(..) {
            // Not borrowed while the record is forwarded: a node below may use the store.
            let emission = self.store.borrow().emission(change);
            let Some(emission) = emission else { continue };
            let update = emission.update;
            let record = Record {
                key: self.forwarded.key(emission.key),
                value: Change::latest(update.new, update.old),
                timestamp: update.timestamp,
                headers: emission.headers,
            };
            self.out.forward(ctx, record)?;
        }
        self.store.borrow_mut().recycle(pending);
        Ok(Flushed::Done)
    }
}

/// What an aggregation begins with, if that is an old value.
pub(super) fn initial_if<V>(is_old: bool, initial: impl FnOnce() -> Option<V>) -> Option<V> {
    if is_old { initial() } else { None }
}
