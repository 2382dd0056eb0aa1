//! Emission by the wall clock, which Kafka Streams does not have.
//!
//! A schedule looks whether something is due, and asks for a commit. It is emitted in that commit, when
//! the caches above have emitted: an update that waits in a cache is then with its key, and not late.

use oncestream_core::TimestampMs;
use oncestream_core::error::TaskError;
use oncestream_core::task::{
    Context, Flush, Flushed, Lifecycle, PunctuationType, PunctuatorId, ScheduleId, TaskBuilder,
    TimeId,
};

use super::node::{Rules, Suppress};
use crate::dsl::{Data, StoreKey};
use crate::options::Until;

/// How often in a limit the clock is looked at, and the bounds of that interval in milliseconds.
const LOOKS: i64 = 10;
const SHORTEST_MS: i64 = 10;
const LONGEST_MS: i64 = 1000;

/// What a node with a limit on the wall clock remembers.
pub(super) struct WallClock {
    limit_ms: i64,
    punctuator: PunctuatorId,
    /// When the last result came, or the task started.
    last_result: TimestampMs,
    /// What was found due when.
    due: Option<TimestampMs>,
    /// How far time has gone on with the clock: windows that close by then are closed for good.
    closed: TimeId,
}

impl WallClock {
    /// For the node on this store, which is told of its life next.
    pub(super) fn new(b: &mut TaskBuilder<'_>, store: &str, limit_ms: i64) -> Self {
        Self {
            limit_ms,
            punctuator: b.next_punctuator(),
            last_result: -1,
            due: None,
            closed: b.remembered_time(&format!("{store}-closed")),
        }
    }

    /// A result has come.
    pub(super) fn saw_result(&mut self, now: TimestampMs) {
        self.last_result = now;
    }

    /// How long ago the limit has passed without a result; `None` if it has not.
    fn idle_ms(&self, now: TimestampMs) -> Option<i64> {
        let idle = now.saturating_sub(self.last_result).saturating_sub(self.limit_ms);
        (idle >= 0).then_some(idle)
    }
}

impl<K> Rules<K> {
    /// Whether keys wait for the wall clock one by one.
    pub(super) fn waits_for_arrivals(&self) -> bool {
        self.wall_clock_ms.is_some() && matches!(self.until, Until::Limit(_))
    }
}

impl<K: StoreKey, V: Data> Suppress<K, V> {
    /// The time of the results, or as far as the clock has gone on in its place.
    pub(super) fn time(&self, ctx: &Context<'_>) -> TimestampMs {
        let closed = self.wall_clock.as_ref().map(|clock| ctx.time(clock.closed));
        closed.unwrap_or(-1).max(ctx.time(self.observed))
    }

    /// Whether the clock has closed the window with this end, and emitted it.
    pub(super) fn is_closed(&self, ctx: &Context<'_>, end: TimestampMs) -> bool {
        let Some(clock) = &self.wall_clock else { return false };
        matches!(self.rules.until, Until::WindowCloses(_))
            && end <= ctx.time(clock.closed).saturating_sub(self.rules.limit_ms)
    }

    /// How far time goes on with the clock.
    fn time_by_clock(&self, ctx: &Context<'_>, now: TimestampMs) -> Option<TimestampMs> {
        let idle = self.wall_clock.as_ref()?.idle_ms(now)?;
        let observed = ctx.time(self.observed);
        (observed >= 0).then(|| observed.saturating_add(idle))
    }

    fn is_due(&self, ctx: &Context<'_>, now: TimestampMs) -> bool {
        let Some(limit_ms) = self.rules.wall_clock_ms else { return false };
        if self.rules.waits_for_arrivals() {
            let arrived_by = now.saturating_sub(limit_ms);
            return self.buffer.first_arrival().is_some_and(|arrival| arrival <= arrived_by);
        }
        let Some(time) = self.time_by_clock(ctx, now) else { return false };
        let due = time.saturating_sub(self.rules.limit_ms);
        self.buffer.first_place().is_some_and(|place| place <= due)
    }

    fn emit_by_clock(&mut self, ctx: &mut Context<'_>, now: TimestampMs) -> Result<(), TaskError> {
        if self.rules.waits_for_arrivals() {
            while self.is_due(ctx, now) {
                let earliest = self.buffer.take_earliest(ctx.time(self.observed))?;
                self.emit(ctx, earliest)?;
            }
            self.tell(ctx);
            return Ok(());
        }
        // What the caches above have emitted just now may have ended the silence.
        if !self.is_due(ctx, now) {
            return Ok(());
        }
        if let (Some(time), Some(clock)) = (self.time_by_clock(ctx, now), &self.wall_clock) {
            ctx.advance_time(clock.closed, time);
        }
        self.emit_due(ctx)
    }
}

impl<K: StoreKey, V: Data> Lifecycle for Suppress<K, V> {
    fn init(&mut self, ctx: &mut Context<'_>) -> Result<(), TaskError> {
        let Some(clock) = &mut self.wall_clock else { return Ok(()) };
        clock.last_result = ctx.wall_clock_ms();
        let interval_ms = (clock.limit_ms / LOOKS).clamp(SHORTEST_MS, LONGEST_MS);
        ctx.schedule(clock.punctuator, interval_ms, PunctuationType::WallClockTime);
        Ok(())
    }

    fn punctuate(
        &mut self,
        ctx: &mut Context<'_>,
        _: ScheduleId,
        now: TimestampMs,
    ) -> Result<(), TaskError> {
        self.buffer.load()?;
        if self.is_due(ctx, now)
            && let Some(clock) = &mut self.wall_clock
        {
            clock.due = Some(now);
            ctx.request_commit();
        }
        Ok(())
    }

    fn close(&mut self) {}
}

impl<K: StoreKey, V: Data> Flush for Suppress<K, V> {
    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<Flushed, TaskError> {
        if let Some(now) = self.wall_clock.as_mut().and_then(|clock| clock.due.take()) {
            self.emit_by_clock(ctx, now)?;
        }
        Ok(Flushed::Done)
    }
}
