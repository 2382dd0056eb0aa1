//! The node of aggregations in sessions: Kafka Streams' `KStreamSessionWindowAggregate`.
//!
//! A record and the sessions that it touches become one session. With the strategy on close, closed
//! sessions are forwarded after the old ones are taken away and before the new one is put: in between
//! the store still shows all that a jump of time will have it forget.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::DynSerde;
use oncestream_core::state::{Session, SessionKey};
use oncestream_core::task::{Context, Node, TaskBuilder, TimeId};
use oncestream_core::{Headers, Record, TimestampMs};

use super::OfSession;
use super::closing::{Look, OpenWindows, key_bytes};
use crate::dsl::{Data, StoreKey};
use crate::grouped::fold::Merge;
use crate::table::{TableSpec, TableStore};
use crate::windows::{EmitStrategy, SessionWindows};

pub(super) struct SessionAggregate<K, V, A, F> {
    table: Rc<RefCell<TableStore<K, A, Session, OfSession>>>,
    windows: SessionWindows,
    fold: Arc<F>,
    key_serde: DynSerde<K>,
    value: std::marker::PhantomData<fn(V)>,
    observed: TimeId,
    closing: Option<(Look, OpenWindows<SessionKey<K>>)>,
    shown_ms: i64,
}

/// What is needed to make one for a task.
pub(super) struct SessionSetting<F> {
    pub(super) windows: SessionWindows,
    pub(super) emit: EmitStrategy,
    pub(super) fold: Arc<F>,
    /// For how long behind the latest end the store shows sessions.
    pub(super) shown_ms: i64,
}

impl<K: StoreKey, V: Data, A: Data, F: Merge<K, V, A>> SessionAggregate<K, V, A, F> {
    pub(super) fn instantiate(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<A>,
        key_serde: DynSerde<K>,
        setting: SessionSetting<F>,
    ) -> Result<Self, TopologyError> {
        let SessionSetting { windows, emit, fold, shown_ms } = setting;
        let observed = b.remembered_time(&spec.observed());
        let closing = Look::of(b, spec, emit).map(|look| (look, OpenWindows::new()));
        let table = TableStore::windowed(b, id, spec, OfSession)?;
        let value = std::marker::PhantomData;
        Ok(Self { table, windows, fold, key_serde, value, observed, closing, shown_ms })
    }

    /// The sessions that a record of a key joins, and the session that they become.
    #[allow(clippy::type_complexity, reason = "a list of rows beside what they become")]
    fn joined(
        &self,
        key: &K,
        time: TimestampMs,
    ) -> Result<(Vec<(SessionKey<K>, A)>, SessionKey<K>), TaskError> {
        let gap = self.windows.inactivity_gap_ms();
        let table = self.table.borrow();
        let mut store = table.store();
        let mut whole = SessionKey { key: key.clone(), start: time, end: time };
        let mut old = Vec::new();
        for row in store.find_sessions(key, time.saturating_sub(gap), time.saturating_add(gap))? {
            let (session, found) = row?;
            whole.start = whole.start.min(session.start);
            whole.end = whole.end.max(session.end);
            old.push((session, found.value));
        }
        Ok((old, whole))
    }

    /// Takes a session back that has become part of another.
    fn take_back(
        &mut self,
        ctx: &mut Context<'_>,
        session: SessionKey<K>,
        value: A,
        headers: &Headers,
    ) -> Result<(), TaskError> {
        let mut table = self.table.borrow_mut();
        let timestamp = session.end;
        let headers = headers.clone();
        let Some((_, open)) = &mut self.closing else {
            let record = Record { key: session, value: (), timestamp, headers };
            return table.replace(ctx, record, (None, timestamp), Some(value));
        };
        let bytes = key_bytes(&self.key_serde, table.name(), &session.key)?;
        open.remove((session.end, session.start), bytes);
        let record = Record { key: session, value: (), timestamp, headers };
        table.replace_untold(ctx, record, (None, timestamp))
    }

    fn put(
        &mut self,
        ctx: &mut Context<'_>,
        session: SessionKey<K>,
        value: Option<A>,
        headers: Headers,
    ) -> Result<(), TaskError> {
        let mut table = self.table.borrow_mut();
        let timestamp = session.end;
        let Some((_, open)) = &mut self.closing else {
            let record = Record { key: session, value: (), timestamp, headers };
            return table.replace(ctx, record, (value, timestamp), None);
        };
        let bytes = key_bytes(&self.key_serde, table.name(), &session.key)?;
        if value.is_some() {
            open.insert((session.end, session.start), bytes, session.clone());
        } else {
            open.remove((session.end, session.start), bytes);
        }
        let record = Record { key: session, value: (), timestamp, headers };
        table.replace_untold(ctx, record, (value, timestamp))
    }

    /// Forwards the sessions that have closed.
    fn close(
        &mut self,
        ctx: &mut Context<'_>,
        close: TimestampMs,
        (newest, headers): (TimestampMs, &Headers),
    ) -> Result<(), TaskError> {
        self.read_open(ctx)?;
        let Some((look, open)) = &mut self.closing else { return Ok(()) };
        let mut table = self.table.borrow_mut();
        let forgotten = newest.saturating_sub(self.shown_ms);
        let in_danger = open.first().is_some_and(|first| first <= forgotten);
        if !look.is_due(ctx, close, in_danger) || close <= 0 {
            return Ok(());
        }
        look.done(ctx, close);
        for session in open.take_before(close) {
            let found = table.store().get(&session)?;
            if let Some(found) = found {
                table.forward(ctx, session, found, headers.clone())?;
            }
        }
        Ok(())
    }

    /// Finds the open sessions when a task has begun.
    fn read_open(&mut self, ctx: &Context<'_>) -> Result<(), TaskError> {
        let Some((look, open)) = &mut self.closing else { return Ok(()) };
        if !open.is_to_be_read() {
            return Ok(());
        }
        let last = look.last(ctx);
        let table = self.table.borrow();
        let rows = table.store().all()?.collect::<Result<Vec<_>, _>>()?;
        for (session, _) in rows {
            if session.end >= last {
                let bytes = key_bytes(&self.key_serde, table.name(), &session.key)?;
                open.insert((session.end, session.start), bytes, session);
            }
        }
        Ok(())
    }
}

impl<K: StoreKey, V: Data, A: Data, F: Merge<K, V, A>> Node<K, V> for SessionAggregate<K, V, A, F> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        if self.key_serde.is_null(&record.key) {
            ctx.drop_record(DropReason::NullKey);
            return Ok(());
        }
        let Record { key, value, timestamp: time, headers } = record;
        ctx.advance_time(self.observed, time);
        let behind = self.windows.grace_ms().saturating_add(self.windows.inactivity_gap_ms());
        let close = ctx.time(self.observed).saturating_sub(behind);
        self.read_open(ctx)?;
        let (old, whole) = self.joined(&key, time)?;
        if whole.end < close {
            ctx.drop_record(DropReason::LateRecord);
            return self.close(ctx, close, (time, &headers));
        }
        let mut merged = self.fold.initial();
        for (_, value) in &old {
            merged = self.fold.merge(&key, merged, value.clone());
        }
        let is_new = (whole.start, whole.end) == (time, time);
        let is_caching = self.table.borrow().is_caching();
        for (session, value) in old {
            // Where each key is told once, what is put again below is not taken back.
            if !(is_new || is_caching && session == whole) {
                self.take_back(ctx, session, value, &headers)?;
            }
        }
        self.close(ctx, close, (time, &headers))?;
        let value = self.fold.fold(&key, value, merged);
        self.put(ctx, whole, value, headers)
    }
}
