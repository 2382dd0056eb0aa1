//! The node of aggregations in time windows and unlimited ones: Kafka Streams'
//! `KStreamWindowAggregate`.
//!
//! With the strategy on close, closed windows are forwarded before the record that closes them is put
//! into the store: in Kafka Streams the store learns the record's time first, and then shows no window
//! that its retention does not reach. What comes out is the same otherwise, because a record is never in
//! a window that it closes.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::DynSerde;
use oncestream_core::state::{Window, WindowKey};
use oncestream_core::task::{Context, Node, TaskBuilder, TimeId};
use oncestream_core::{Headers, Record, TimestampMs};

use super::OfSize;
use super::closing::Look;
use crate::dsl::{Data, StoreKey};
use crate::grouped::fold::Fold;
use crate::table::{TableSpec, TableStore};
use crate::windows::{EmitStrategy, TimeWindows, UnlimitedWindows};

/// What nodes of windows of one length have in common.
pub(super) struct InWindows<K, V, F> {
    pub(super) fold: Arc<F>,
    pub(super) key_serde: DynSerde<K>,
    pub(super) value_serde: DynSerde<V>,
    pub(super) emit: EmitStrategy,
    pub(super) retention_ms: i64,
}

/// Where windows begin.
#[derive(Clone, Copy)]
pub(super) enum Starts {
    Time(TimeWindows),
    Unlimited(UnlimitedWindows),
}

type Table<K, A> = Rc<RefCell<TableStore<K, A, Window, OfSize>>>;

pub(super) struct TimeAggregate<K, V, A, F> {
    table: Table<K, A>,
    windows: Starts,
    setting: InWindows<K, V, F>,
    observed: TimeId,
    look: Option<Look>,
}

impl<K: StoreKey, V: Data, A: Data, F: Fold<K, V, A>> TimeAggregate<K, V, A, F> {
    pub(super) fn instantiate(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<A>,
        windows: Starts,
        setting: InWindows<K, V, F>,
    ) -> Result<Self, TopologyError> {
        let size_ms = match windows {
            Starts::Time(windows) => windows.size_ms(),
            Starts::Unlimited(_) => i64::MAX,
        };
        let observed = b.remembered_time(&spec.observed());
        let look = Look::of(b, spec, setting.emit);
        let table = TableStore::windowed(b, id, spec, OfSize { size_ms })?;
        Ok(Self { table, windows, setting, observed, look })
    }

    /// Folds a record into one of its windows.
    fn put(
        &mut self,
        ctx: &mut Context<'_>,
        start: TimestampMs,
        Record { key, value, timestamp, headers }: Record<K, V>,
    ) -> Result<(), TaskError> {
        let fold = &*self.setting.fold;
        let record =
            Record { key: WindowKey { key, start, sequence: 0 }, value: (), timestamp, headers };
        let folded = |window: &WindowKey<K>, old| fold.fold(&window.key, value, old);
        let mut table = self.table.borrow_mut();
        if self.look.is_some() {
            table.fold_untold(ctx, record, folded)
        } else {
            table.fold(ctx, record, || fold.initial(), folded)
        }
    }

    /// Forwards the windows that have closed.
    fn close(
        &mut self,
        ctx: &mut Context<'_>,
        windows: TimeWindows,
        close: TimestampMs,
        record: (TimestampMs, &Headers),
    ) -> Result<(), TaskError> {
        let Some(look) = &mut self.look else { return Ok(()) };
        let (size_ms, advance_ms) = (windows.size_ms(), windows.advance_ms());
        let last = look.last(ctx);
        let first = if last < 0 { 0 } else { (last - size_ms).max(0) + 1 };
        let newest = record.0 / advance_ms * advance_ms;
        let in_danger = newest.saturating_sub(self.setting.retention_ms) >= first;
        if !look.is_due(ctx, close, in_danger) {
            return Ok(());
        }
        let upper = close - size_ms;
        // The first multiple of the advance that is not below `first`: no window begins in between.
        if (first + advance_ms - 1) / advance_ms * advance_ms > upper {
            return Ok(());
        }
        look.done(ctx, close);
        let mut table = self.table.borrow_mut();
        let closed = table.store().fetch_all(first..=upper)?.collect::<Result<Vec<_>, _>>();
        let mut closed = closed?;
        // Within a segment rows lie by key; windows come by their start.
        closed.sort_by_key(|(window, _)| window.start);
        for (window, found) in closed {
            table.forward(ctx, window, found, record.1.clone())?;
        }
        Ok(())
    }
}

impl<K: StoreKey, V: Data, A: Data, F: Fold<K, V, A>> Node<K, V> for TimeAggregate<K, V, A, F> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        if self.setting.key_serde.is_null(&record.key) {
            ctx.drop_record(DropReason::NullKey);
            return Ok(());
        }
        ctx.advance_time(self.observed, record.timestamp);
        let windows = match self.windows {
            Starts::Time(windows) => windows,
            Starts::Unlimited(windows) => {
                let start = windows.start_ms();
                return if record.timestamp >= start {
                    self.put(ctx, start, record)
                } else {
                    Ok(())
                };
            }
        };
        let close = ctx.time(self.observed).saturating_sub(windows.grace_ms());
        self.close(ctx, windows, close, (record.timestamp, &record.headers))?;
        let mut starts = windows.starts(record.timestamp).peekable();
        while let Some(start) = starts.next() {
            if start.saturating_add(windows.size_ms()) <= close {
                ctx.drop_record(DropReason::LateRecord);
            } else if starts.peek().is_some() {
                self.put(ctx, start, record.clone())?;
            } else {
                return self.put(ctx, start, record);
            }
        }
        Ok(())
    }
}
