//! The nodes of a join of tables: one side, and the one behind both sides.
//!
//! A side takes the changes of its own table and reads the other one. The result has the later time of
//! both values. Where nothing can have been told of a key, nothing is.
//!
//! Invariant: when all changes were told, a key has the result of both values, and none if there is none.
//! So a deletion is told also where the other table has no value any more, if that was not told yet: because
//! it waits in a cache, or because one update takes both values. Kafka Streams keeps such a result.

use std::marker::PhantomData;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::handlers::DropReason;
use oncestream_core::task::{Context, Downstream, FailedAt, Node, TaskBuilder};

use super::Join;
use crate::dsl::{Data, StoreKey};
use crate::refused::refused;
use crate::stream::PassThrough;
use crate::table::{Change, Reader, StoredTable, TableSpec, View};

/// When a side tells nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// There is no result without a value of the other table.
    pub(super) needs_other: bool,
    /// When a deletion is told though the other table has no value either.
    pub(super) last: Last,
    /// Values of a table go without being told of, so nobody knows what a key had: a result that is not
    /// there is always told.
    pub(super) forgets: bool,
}

/// When a deletion is told though the other table has no value either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// Never: who may be alone tells it.
    Never,
    /// If the other table has not told its own deletion yet.
    Untold,
    /// Always: one update may take both values.
    Always,
}

/// What a factory gives.
type Instance<K, V> = Result<Box<dyn Node<K, V>>, TopologyError>;

/// What makes the node of one side. `other` is the table on the other side.
pub(super) fn side_factory<K, V, V2, R, F>(
    spec: &TableSpec<R>,
    other: View<K, V2>,
    rules: Rules,
    join: F,
) -> impl Fn(&mut TaskBuilder<'_>, NodeId) -> Instance<K, Change<V>>
+ Send
+ Sync
+ 'static
+ use<K, V, V2, R, F>
where
    K: StoreKey,
    V: Data,
    V2: Data,
    R: Data,
    F: Join<K, V, V2, R>,
{
    let (spec, join) = (spec.clone(), Arc::new(join));
    move |b, id| {
        Ok(Box::new(Side {
            other: other.reader(b, id)?,
            rules,
            // With a store, the old value is what the store had.
            has_old: spec.has_old_values() && spec.store().is_none(),
            join: join.clone(),
            name: b.node_name(id),
            out: b.downstream(id)?,
            own: PhantomData,
        }))
    }
}

/// What makes the node behind both sides.
pub(super) fn merge_factory<K: StoreKey, R: Data>(
    spec: &TableSpec<R>,
) -> impl Fn(&mut TaskBuilder<'_>, NodeId) -> Instance<K, Change<R>> + Send + Sync + 'static + use<K, R>
{
    let spec = spec.clone();
    move |b, id| {
        let Some(store) = spec.store() else {
            return Ok(Box::new(PassThrough { out: b.downstream(id)? }));
        };
        Ok(Box::new(Stored { table: StoredTable::instantiate(b, id, &spec, store)? }))
    }
}

struct Side<K, V, V2, R, F> {
    other: Reader<K, V2>,
    rules: Rules,
    has_old: bool,
    join: Arc<F>,
    name: Arc<str>,
    out: Downstream<K, Change<R>>,
    own: PhantomData<fn(V)>,
}

impl<K, V, V2, R, F> Node<K, Change<V>> for Side<K, V, V2, R, F>
where
    K: StoreKey,
    V: Data,
    V2: Data,
    R: Data,
    F: Join<K, V, V2, R>,
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value: Change { new, old, is_latest }, timestamp, headers } = record;
        if !is_latest {
            ctx.drop_record(DropReason::OutOfOrder);
            return Ok(());
        }
        let Self { other, rules, has_old, join, .. } = self;
        let Rules { needs_other, last, forgets } = *rules;
        // Asked before the store is lent.
        let is_last = match last {
            Last::Never => false,
            Last::Untold => new.is_none() && other.is_untold(&key),
            Last::Always => new.is_none(),
        };
        let joined = other.with(&key, timestamp, |found| {
            let nothing_told = needs_other || new.is_none() && old.is_none();
            if found.is_none() && nothing_told && !is_last && !forgets {
                return None;
            }
            let (other, time) = found.unzip();
            let old = if *has_old { join(&key, old.as_ref(), other) } else { None };
            let change = Change::latest(join(&key, new.as_ref(), other), old);
            Some((change, time.map_or(timestamp, |time| timestamp.max(time))))
        });
        match joined {
            Ok(None) => Ok(()),
            Ok(Some((value, timestamp))) => {
                self.out.forward(ctx, Record { key, value, timestamp, headers })
            }
            Err(error) => {
                refused(ctx, FailedAt { node: &self.name, timestamp, headers: &headers }, error)
            }
        }
    }
}

/// Puts results into the store of the joined table.
struct Stored<K, R> {
    table: StoredTable<K, R>,
}

impl<K: StoreKey, R: Data> Node<K, Change<R>> for Stored<K, R> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<R>>,
    ) -> Result<(), TaskError> {
        let Record { key, value: Change { new, .. }, timestamp, headers } = record;
        let record = Record { key, value: (), timestamp, headers };
        self.table.update(ctx, record, |_, _| (new, timestamp))
    }
}
