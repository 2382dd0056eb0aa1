//! The records of a left or outer join that were joined with none so far: what both nodes of the join have
//! in common.
//!
//! The rules are those of Kafka Streams' `KStreamKStreamJoin`, but for records out of order: there such a
//! record is told of at once if its window has ended, and joined later all the same if a partner comes
//! within the grace. Here it waits as long as any other.
//!
//! Invariant: what decides when a record is told of is committed with the offsets: the newest time of both
//! streams, and the mark from which on something may have closed. As in Kafka Streams, a look leaves the
//! mark at the last record that it has seen; so records are told of later than they could be, and looks are
//! few.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use oncestream_core::TimestampMs;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::state::KeyValueStore;
use oncestream_core::task::{Context, MarkId, TaskBuilder, TimeId};

use super::row::{LeftOrRight, Waiting, WaitingKey};
use crate::dsl::{Data, StoreKey};
use crate::windows::{JoinWindows, millis};

/// No record waits.
const NONE: TimestampMs = TimestampMs::MAX;

type Store<K, L, R> = KeyValueStore<WaitingKey<K>, Waiting<L, R>>;
/// Records of one key, time and side.
type Row<K, L, R> = (WaitingKey<K>, Waiting<L, R>);

pub(super) struct NonMatches<K, L, R> {
    store: Rc<RefCell<Store<K, L, R>>>,
    windows: JoinWindows,
    /// The newest time of both streams.
    observed: TimeId,
    first: MarkId,
    interval_ms: i64,
    /// The wall clock of the next look.
    next_ms: TimestampMs,
}

impl<K: StoreKey, L: Data, R: Data> NonMatches<K, L, R> {
    /// What the nodes on this store have in common.
    pub(super) fn in_common(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        store: &str,
        windows: JoinWindows,
        look_every: Duration,
    ) -> Result<Rc<RefCell<Self>>, TopologyError> {
        b.in_common(store, |b| {
            Ok(Self {
                store: b.store(id, store)?,
                windows,
                observed: b.remembered_time(&format!("{store}-observed")),
                first: b.remembered_mark(&format!("{store}-first")),
                interval_ms: millis(look_every),
                next_ms: TimestampMs::MIN,
            })
        })
    }

    /// A record of this time has come to either stream.
    pub(super) fn observe(&self, ctx: &mut Context<'_>, time: TimestampMs) {
        ctx.advance_time(self.observed, time);
    }

    /// Whether no record has been newer.
    pub(super) fn is_newest(&self, ctx: &Context<'_>, time: TimestampMs) -> bool {
        time == ctx.time(self.observed)
    }

    /// Whether the window of a record has closed.
    pub(super) fn has_closed(&self, ctx: &Context<'_>, time: TimestampMs, is_left: bool) -> bool {
        time.saturating_add(self.open_for_ms(is_left)) < ctx.time(self.observed)
    }

    /// How long behind its record a window is open.
    fn open_for_ms(&self, is_left: bool) -> i64 {
        let reach_ms = if is_left { self.windows.after_ms() } else { self.windows.before_ms() };
        reach_ms.saturating_add(self.windows.grace_ms())
    }

    /// A record waits for a partner.
    pub(super) fn wait(
        &self,
        ctx: &mut Context<'_>,
        key: WaitingKey<K>,
        value: LeftOrRight<L, R>,
    ) -> Result<(), TaskError> {
        let time = key.timestamp;
        let first = ctx.mark(self.first).map_or(time, |first| first.min(time));
        self.store.borrow_mut().update_untold(key, time, |_, old| {
            let waiting = match old {
                Some(found) => {
                    let mut waiting = found.value;
                    waiting.more.push(value);
                    waiting
                }
                None => Waiting::one(value),
            };
            (Some(waiting), time)
        })?;
        ctx.set_mark(self.first, first);
        Ok(())
    }

    /// Whether some record may wait.
    pub(super) fn may_hold(&self, ctx: &Context<'_>) -> bool {
        ctx.mark(self.first) != Some(NONE)
    }

    /// Records have found a partner of this time: they wait no more.
    pub(super) fn found(&self, key: &WaitingKey<K>, time: TimestampMs) -> Result<(), TaskError> {
        self.store.borrow_mut().delete_present(key, time)?;
        Ok(())
    }

    /// Takes the records whose window has closed, if it is time to look: the earliest first, of one time
    /// those of the right stream, and then by their keys' bytes. A record of this side has come.
    pub(super) fn take_closed(
        &mut self,
        ctx: &mut Context<'_>,
        is_left: bool,
    ) -> Result<Vec<Row<K, L, R>>, TaskError> {
        let first = ctx.mark(self.first);
        let may_have_closed = match first {
            None => true,
            // Nothing waits, but the interval begins.
            Some(NONE) => self.open_for_ms(is_left) > 0,
            Some(first) => self.has_closed(ctx, first, is_left),
        };
        let now_ms = ctx.wall_clock_ms();
        if !may_have_closed || now_ms < self.next_ms {
            return Ok(Vec::new());
        }
        self.next_ms = now_ms.saturating_add(self.interval_ms);
        if first == Some(NONE) {
            return Ok(Vec::new());
        }
        let (closed, first) = self.look(ctx)?;
        ctx.set_mark(self.first, first);
        let mut store = self.store.borrow_mut();
        for (key, _) in &closed {
            store.delete_present(key, ctx.time(self.observed))?;
        }
        Ok(closed)
    }

    /// What has closed, and the time of the last record that was seen.
    fn look(&self, ctx: &Context<'_>) -> Result<(Vec<Row<K, L, R>>, TimestampMs), TaskError> {
        let store = self.store.borrow();
        let (mut closed, mut last) = (Vec::new(), NONE);
        let (mut is_left_open, mut is_right_open) = (false, false);
        for row in store.all()? {
            let (key, found) = row?;
            last = key.timestamp;
            if is_left_open && is_right_open {
                break;
            }
            if self.has_closed(ctx, key.timestamp, key.is_left) {
                closed.push((key, found.value));
            } else if key.is_left {
                is_left_open = true;
            } else {
                is_right_open = true;
            }
        }
        Ok((closed, last))
    }
}
