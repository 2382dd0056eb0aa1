//! The node of one task: which records pass.
//!
//! A row is the time and the offset of the last record that has passed with its id. One is enough: a record
//! that is not late is not earlier than what has passed by more than the window, so the times at which an id
//! passes only rise, and none but the last is within the window of what is still to come.
//!
//! Invariants:
//! - A row is there as long as a record that is not late can be within the window of it: until time has gone
//!   on by twice the window.
//! - Whether a record passes is a function of the rows and of the store's time, which is committed with the
//!   offsets.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::commit::Guarantee;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::DynSerde;
use oncestream_core::state::{KeyValueStore, StateStore};
use oncestream_core::task::{Context, Downstream, FailedAt, Node, TaskBuilder};
use oncestream_core::{Record, TimestampMs};

use super::scope::Scope;
use crate::dsl::{Data, StoreKey};
use crate::table::refused;

/// A record without an offset: a cache above forwards it.
const NO_OFFSET: i64 = -1;

/// How far apart the times of duplicates are.
#[derive(Clone, Copy)]
pub(super) struct Span {
    window_ms: i64,
}

impl Span {
    pub(super) const FOR_EVER: Self = Self { window_ms: i64::MAX };

    /// `None` for less than a millisecond.
    pub(super) fn of(window: Duration) -> Option<Self> {
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        (window_ms > 0).then_some(Self { window_ms })
    }

    /// How long a row is to live; `None` for ever.
    pub(super) fn remembered(self) -> Option<Duration> {
        let twice = self.window_ms.checked_mul(2)?.checked_add(1)?;
        Some(Duration::from_millis(twice.unsigned_abs()))
    }

    fn is_within(self, one: TimestampMs, other: TimestampMs) -> bool {
        one.abs_diff(other) <= self.window_ms.unsigned_abs()
    }

    fn is_late(self, timestamp: TimestampMs, time: TimestampMs) -> bool {
        timestamp < time.saturating_sub(self.window_ms)
    }
}

pub(super) struct Deduplicate<K, V, Id, S: Scope<K, Id>, F> {
    id: Arc<F>,
    id_serde: DynSerde<Id>,
    span: Span,
    seen: Rc<RefCell<KeyValueStore<S::Row, i64>>>,
    replay: Option<Replay>,
    name: Arc<str>,
    out: Downstream<K, V>,
}

impl<K: Data, V: Data, Id, S: Scope<K, Id>, F> Deduplicate<K, V, Id, S, F> {
    pub(super) fn instantiate(
        b: &mut TaskBuilder<'_>,
        at: NodeId,
        store: &str,
        span: Span,
        (id, id_serde): (Arc<F>, DynSerde<Id>),
    ) -> Result<Self, TopologyError> {
        let seen = b.store(at, store)?;
        let at_least_once = b.config().guarantee == Guarantee::AtLeastOnce;
        let replay = at_least_once.then_some(Replay { last_new: NO_OFFSET });
        Ok(Self { id, id_serde, span, seen, replay, name: b.node_name(at), out: b.downstream(at)? })
    }
}

impl<K: Data, V: Data, Id: StoreKey, S: Scope<K, Id>, F> Node<K, V> for Deduplicate<K, V, Id, S, F>
where
    F: Fn(&K, &V) -> Id,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        let id = (self.id)(&key, &value);
        let mut seen = self.seen.borrow_mut();
        seen.observe(timestamp);
        // `()` is null to its serde, and asks for one record of each key.
        if size_of::<Id>() > 0 && self.id_serde.is_null(&id) {
            drop(seen);
            return self.out.forward(ctx, Record { key, value, timestamp, headers });
        }
        if seen.time().is_some_and(|time| self.span.is_late(timestamp, time)) {
            ctx.drop_record(DropReason::LateForDeduplicate);
            return Ok(());
        }
        let offset = ctx.record_offset().unwrap_or(NO_OFFSET);
        let (row, rest) = S::row(key, id);
        let (span, replay) = (self.span, &self.replay);
        let mut again = false;
        let is_duplicate = |passed_offset: &i64, passed_at| {
            let is_it = *passed_offset == offset && passed_at == timestamp;
            again = is_it && replay.as_ref().is_some_and(|replay| replay.may_be(offset));
            !again && span.is_within(passed_at, timestamp)
        };
        let passes = seen.set_unless(&row, is_duplicate, offset, timestamp);
        drop(seen);
        match passes {
            Ok(true) => {
                if let Some(replay) = self.replay.as_mut().filter(|_| !again) {
                    replay.last_new = offset;
                }
                let key = S::key(row, rest);
                self.out.forward(ctx, Record { key, value, timestamp, headers })
            }
            Ok(false) => {
                ctx.drop_record(DropReason::Duplicate);
                Ok(())
            }
            Err(error) => {
                let at = FailedAt { node: &self.name, timestamp, headers: &headers };
                refused(ctx, at, error)
            }
        }
    }
}

/// At least once, a crash may leave the row of a record without what the record has led to. The record is
/// read again then, and must not be taken for its own duplicate.
struct Replay {
    /// The last offset whose record has made a row in this life of the task. Rows of one record are written
    /// one behind the other, so another of its rows that is met now was made in this life too.
    last_new: i64,
}

impl Replay {
    /// Whether the row of the record at this offset is of a life before.
    fn may_be(&self, offset: i64) -> bool {
        offset != NO_OFFSET && offset != self.last_new
    }
}
