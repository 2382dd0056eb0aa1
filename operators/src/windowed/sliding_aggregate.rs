//! The node of aggregations in sliding windows: Kafka Streams' `KStreamSlidingWindowAggregate`.
//!
//! A record at `t` changes the windows of its key that hold `t`, and makes up to three: the one that ends
//! at `t` (its left window), the one that begins behind `t` (its right window) if later records are in it,
//! and the right window of the record before it. All of them are found in one backward range of the key.
//! The time of a stored aggregate is that of its newest record; the algorithm relies on it.
//!
//! Kafka Streams forwards a window twice where the left window of a record is the right window of the one
//! before. Here it comes once.

use std::cell::RefCell;
use std::rc::Rc;

use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::handlers::DropReason;
use oncestream_core::state::{ValueAndTimestamp, Window, WindowKey};
use oncestream_core::task::{Context, Node, TaskBuilder, TimeId};
use oncestream_core::{Headers, Record, TimestampMs};

use super::OfSize;
use super::closing::{Look, OpenWindows, key_bytes};
use super::time_aggregate::InWindows;
use crate::dsl::{Data, StoreKey};
use crate::grouped::fold::{Fold, null_in};
use crate::table::{TableSpec, TableStore};
use crate::windows::SlidingWindows;

pub(super) struct SlidingAggregate<K, V, A, F> {
    table: Rc<RefCell<TableStore<K, A, Window, OfSize>>>,
    difference_ms: i64,
    grace_ms: i64,
    setting: InWindows<K, V, F>,
    observed: TimeId,
    closing: Option<(Look, OpenWindows<WindowKey<K>>)>,
}

/// The record in hand, and up to when windows have closed.
struct InHand<'r, K, V> {
    record: &'r Record<K, V>,
    close: TimestampMs,
}

/// What the windows around a record's time say.
struct Around<A> {
    /// The aggregate of the window that holds the time and begins last, as it was before the record.
    right: Option<ValueAndTimestamp<A>>,
    /// That of the last window that ends before the time.
    left: Option<ValueAndTimestamp<A>>,
    /// The time of the record before.
    previous: Option<TimestampMs>,
    starts: Vec<TimestampMs>,
    has_left_window: bool,
    has_right_window: bool,
}

impl<A> Default for Around<A> {
    fn default() -> Self {
        Self {
            right: None,
            left: None,
            previous: None,
            starts: Vec::new(),
            has_left_window: false,
            has_right_window: false,
        }
    }
}

type Row<A> = (TimestampMs, ValueAndTimestamp<A>);

impl<K: StoreKey, V: Data, A: Data, F: Fold<K, V, A>> SlidingAggregate<K, V, A, F> {
    pub(super) fn instantiate(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<A>,
        windows: SlidingWindows,
        setting: InWindows<K, V, F>,
    ) -> Result<Self, TopologyError> {
        let observed = b.remembered_time(&spec.observed());
        let closing = Look::of(b, spec, setting.emit).map(|look| (look, OpenWindows::new()));
        let difference_ms = windows.time_difference_ms();
        let table = TableStore::windowed(b, id, spec, OfSize { size_ms: difference_ms })?;
        let grace_ms = windows.grace_ms();
        Ok(Self { table, difference_ms, grace_ms, setting, observed, closing })
    }

    /// A record of a time that windows of their full length can end at.
    fn process_any(
        &mut self,
        ctx: &mut Context<'_>,
        at: &InHand<'_, K, V>,
    ) -> Result<(), TaskError> {
        let (time, difference) = (at.record.timestamp, self.difference_ms);
        let mut around = Around::default();
        let mut held = Vec::new();
        let mut is_complete = false;
        {
            let table = self.table.borrow();
            let mut store = table.store();
            let times =
                time.saturating_sub(difference.saturating_mul(2)).max(0)..=time.saturating_add(1);
            for row in store.fetch_between_rev(&at.record.key, times)? {
                let (WindowKey { start, .. }, found) = row?;
                around.starts.push(start);
                let end = start.saturating_add(difference);
                if start > time {
                    around.has_right_window = true;
                } else if end > time {
                    around.right.get_or_insert_with(|| found.clone());
                    held.push((start, found));
                } else if end == time {
                    around.has_left_window = true;
                    is_complete = found.timestamp >= time;
                    around.previous = Some(found.timestamp);
                    held.push((start, found));
                    if is_complete {
                        break;
                    }
                } else {
                    around.previous = Some(found.timestamp);
                    around.left = Some(found);
                    break;
                }
            }
        }
        for row in held {
            self.update(ctx, at, row)?;
        }
        // A record of this very time was here before, so all its windows are there.
        if is_complete { Ok(()) } else { self.make_windows(ctx, at, around) }
    }

    fn make_windows(
        &mut self,
        ctx: &mut Context<'_>,
        at: &InHand<'_, K, V>,
        around: Around<A>,
    ) -> Result<(), TaskError> {
        let (time, difference) = (at.record.timestamp, self.difference_ms);
        let behind = around.previous.map(|previous| previous.saturating_add(1));
        if let Some(start) = behind
            && !around.starts.contains(&start)
            && start.saturating_add(difference) >= time
        {
            self.begin(ctx, at, start)?;
        }
        let start = time - difference;
        // If it is the right window of the record before, it has just been made.
        if !around.has_left_window && behind != Some(start) {
            let holds_previous = around.previous.is_some_and(|previous| previous >= start);
            match around.left {
                Some(left) if holds_previous => {
                    let left = ValueAndTimestamp { timestamp: time, ..left };
                    self.update(ctx, at, (start, left))?;
                }
                _ => self.begin(ctx, at, start)?,
            }
        }
        if around.has_right_window {
            return Ok(());
        }
        self.copy_to_right(ctx, at, around.right)
    }

    /// A record that is so early that its left window would begin before 0: it is in the window that
    /// begins there, with all other such records.
    fn process_early(
        &mut self,
        ctx: &mut Context<'_>,
        at: &InHand<'_, K, V>,
    ) -> Result<(), TaskError> {
        let time = at.record.timestamp;
        let mut around = Around::default();
        let mut combined = None;
        let mut held = Vec::new();
        {
            let table = self.table.borrow();
            let mut store = table.store();
            for row in store.fetch_between(&at.record.key, 0..=time.saturating_add(1))? {
                let (WindowKey { start, .. }, found) = row?;
                around.starts.push(start);
                if start == 0 {
                    around.previous = (found.timestamp < time).then_some(found.timestamp);
                    combined = Some(found);
                } else if start <= time {
                    around.right = Some(found.clone());
                    held.push((start, found));
                } else {
                    around.has_right_window = true;
                }
            }
        }
        for row in held {
            self.update(ctx, at, row)?;
        }
        let right = around.right.or_else(|| combined.clone().filter(|c| c.timestamp > time));
        if !around.has_right_window {
            self.copy_to_right(ctx, at, right)?;
        }
        if let Some(start) = around.previous.map(|previous| previous.saturating_add(1))
            && !around.starts.contains(&start)
        {
            self.begin(ctx, at, start)?;
        }
        match combined {
            Some(combined) => self.update(ctx, at, (0, combined)),
            None => self.begin(ctx, at, 0),
        }
    }

    /// Folds the record into a window that has a value.
    fn update(
        &mut self,
        ctx: &mut Context<'_>,
        at: &InHand<'_, K, V>,
        (start, old): Row<A>,
    ) -> Result<(), TaskError> {
        self.put(ctx, at, start, Some(old))
    }

    /// Begins a window with the record.
    fn begin(
        &mut self,
        ctx: &mut Context<'_>,
        at: &InHand<'_, K, V>,
        start: TimestampMs,
    ) -> Result<(), TaskError> {
        self.put(ctx, at, start, None)
    }

    fn put(
        &mut self,
        ctx: &mut Context<'_>,
        at: &InHand<'_, K, V>,
        start: TimestampMs,
        old: Option<ValueAndTimestamp<A>>,
    ) -> Result<(), TaskError> {
        if start.saturating_add(self.difference_ms) < at.close {
            ctx.drop_record(DropReason::LateRecord);
            return Ok(());
        }
        let Record { key, value, timestamp, headers } = at.record.clone();
        let (old, time) = match old {
            Some(old) => (Some(old.value), old.timestamp.max(timestamp)),
            None => (None, timestamp),
        };
        let fold = &*self.setting.fold;
        let told = self.table.borrow().told_old(old.clone(), || fold.initial());
        let new = fold.fold(&key, value, old);
        let record = Record { key, value: (), timestamp, headers };
        self.set(ctx, record, start, (new, time), told)
    }

    /// The right window of the record has what the last window around it had, without the record.
    fn copy_to_right(
        &mut self,
        ctx: &mut Context<'_>,
        at: &InHand<'_, K, V>,
        right: Option<ValueAndTimestamp<A>>,
    ) -> Result<(), TaskError> {
        let Record { key, timestamp, headers, .. } = at.record;
        let Some(right) = right.filter(|right| right.timestamp > *timestamp) else { return Ok(()) };
        let (key, timestamp, headers) = (key.clone(), *timestamp, headers.clone());
        let record = Record { key, value: (), timestamp, headers };
        self.set(ctx, record, timestamp + 1, (Some(right.value), right.timestamp), None)
    }

    fn set(
        &mut self,
        ctx: &mut Context<'_>,
        Record { key, timestamp, headers, .. }: Record<K, ()>,
        start: TimestampMs,
        new: (Option<A>, TimestampMs),
        told: Option<A>,
    ) -> Result<(), TaskError> {
        let mut table = self.table.borrow_mut();
        let row_key = WindowKey { key, start, sequence: 0 };
        let Some((_, open)) = &mut self.closing else {
            let record = Record { key: row_key, value: (), timestamp, headers };
            return table.replace(ctx, record, new, told);
        };
        let bytes = key_bytes(&self.setting.key_serde, table.name(), &row_key.key)?;
        if new.0.is_some() {
            open.insert((start, 0), bytes, row_key.clone());
        } else {
            open.remove((start, 0), bytes);
        }
        table.replace_untold(ctx, Record { key: row_key, value: (), timestamp, headers }, new)
    }

    /// Forwards the windows that have closed.
    fn close(
        &mut self,
        ctx: &mut Context<'_>,
        close: TimestampMs,
        (newest, headers): (TimestampMs, &Headers),
    ) -> Result<(), TaskError> {
        let Some((look, open)) = &mut self.closing else { return Ok(()) };
        let mut table = self.table.borrow_mut();
        if open.is_to_be_read() {
            let first = (look.last(ctx).saturating_sub(self.difference_ms)).max(0);
            let rows = table.store().fetch_all(first..=TimestampMs::MAX)?.collect::<Vec<_>>();
            for row in rows {
                let (row_key, _) = row?;
                let bytes = key_bytes(&self.setting.key_serde, table.name(), &row_key.key)?;
                open.insert((row_key.start, 0), bytes, row_key);
            }
        }
        let forgotten = newest.saturating_sub(self.setting.retention_ms);
        let in_danger = open.first().is_some_and(|first| first <= forgotten);
        if !look.is_due(ctx, close, in_danger) || close <= self.difference_ms {
            return Ok(());
        }
        look.done(ctx, close);
        for row_key in open.take_before(close - self.difference_ms) {
            let found = table.store().get(&row_key)?;
            if let Some(found) = found {
                table.forward(ctx, row_key, found, headers.clone())?;
            }
        }
        Ok(())
    }
}

impl<K: StoreKey, V: Data, A: Data, F: Fold<K, V, A>> Node<K, V> for SlidingAggregate<K, V, A, F> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let InWindows { key_serde, value_serde, .. } = &self.setting;
        if let Some(reason) = null_in(&record, key_serde, value_serde) {
            ctx.drop_record(reason);
            return Ok(());
        }
        let time = record.timestamp;
        ctx.advance_time(self.observed, time);
        let close = ctx.time(self.observed).saturating_sub(self.grace_ms);
        if time.saturating_add(self.difference_ms) < close {
            ctx.drop_record(DropReason::LateRecord);
            return Ok(());
        }
        let at = InHand { record: &record, close };
        if time < self.difference_ms {
            return self.process_early(ctx, &at);
        }
        self.close(ctx, close, (time, &record.headers))?;
        self.process_any(ctx, &at)
    }
}
