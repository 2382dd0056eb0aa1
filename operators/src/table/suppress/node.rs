//! The node of one task: puts updates into the buffer, and emits what is due.
//!
//! Invariant: what has come is in the buffer before anything is emitted, so that a key whose update makes
//! itself due is emitted with it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::{Graph, NodeId};
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::DynSerde;
use oncestream_core::task::{
    BufferId, Context, Downstream, FailedAt, Node, Shared, TaskBuilder, TimeId,
};
use oncestream_core::{Record, TimestampMs};

use super::buffer::{Buffer, Kept};
use super::entry::{Entry, EntrySerde, Origin};
use super::wall_clock::WallClock;
use crate::dsl::{Data, StoreKey};
use crate::options::{Bounds, Suppressed, Until};
use crate::refused::refused;
use crate::table::Change;

/// When what is emitted.
pub(super) struct Rules<K> {
    pub(super) until: Until<K>,
    /// How long behind its place a key waits.
    pub(super) limit_ms: i64,
    pub(super) wall_clock_ms: Option<i64>,
    bounds: Bounds,
}

impl<K> Rules<K> {
    pub(super) fn new(suppressed: &Suppressed<K>, limit_ms: i64) -> Self {
        let Suppressed { until, wall_clock_ms, bounds, .. } = *suppressed;
        Self { until, limit_ms, wall_clock_ms, bounds }
    }

    fn place(&self, key: &K, timestamp: TimestampMs) -> TimestampMs {
        match self.until {
            Until::Limit(_) => timestamp,
            Until::WindowCloses(end) => end(key),
        }
    }
}

impl<K> Clone for Rules<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Rules<K> {}

pub(super) struct Suppress<K, V> {
    pub(super) rules: Rules<K>,
    pub(super) buffer: Buffer<K, V>,
    /// The greatest time of the results that have come.
    pub(super) observed: TimeId,
    pub(super) wall_clock: Option<WallClock>,
    /// For metrics.
    told: BufferId,
    name: Arc<str>,
    value_serde: DynSerde<V>,
    /// Of an update out of a cache.
    cached: Origin,
    out: Downstream<K, Change<V>>,
}

impl<K: StoreKey, V: Data> Suppress<K, V> {
    /// Makes the node of one task, on a store of this name.
    pub(super) fn instantiate(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        rules: Rules<K>,
        store: &Arc<str>,
        value_serde: DynSerde<V>,
    ) -> Result<Box<Shared<Self>>, TopologyError> {
        let out = b.downstream(id)?;
        let name = b.node_name(id);
        let changelog = Graph::changelog_topic(&b.config().application_id, store);
        let kept =
            Kept { bytes: rules.bounds.bytes.is_some(), arrivals: rules.waits_for_arrivals() };
        let serde = EntrySerde(value_serde.clone());
        // Of several topics the longest one, so that nothing is counted too small.
        let topic = b.topics_above(id).into_iter().max_by_key(|topic| topic.len());
        let partition = b.task_id().partition;
        let node = Rc::new(RefCell::new(Self {
            rules,
            buffer: Buffer::new(b.store(id, store)?, (store.clone(), changelog), serde, kept),
            observed: b.remembered_time(&format!("{store}-observed")),
            wall_clock: rules.wall_clock_ms.map(|limit_ms| WallClock::new(b, store, limit_ms)),
            told: b.buffer(store.clone()),
            name,
            value_serde,
            cached: Origin { topic: topic.unwrap_or_default(), partition, offset: -1 },
            out,
        }));
        if rules.wall_clock_ms.is_some() {
            b.on_lifecycle(node.clone());
            b.on_flush(id, node.clone());
        }
        Ok(Box::new(Shared(node)))
    }

    /// Emits what is due, and then what the buffer has no room for.
    pub(super) fn emit_due(&mut self, ctx: &mut Context<'_>) -> Result<(), TaskError> {
        let due = self.time(ctx).saturating_sub(self.rules.limit_ms);
        while self.buffer.first_place().is_some_and(|place| place <= due) {
            let first = self.buffer.take_first(ctx.time(self.observed))?;
            self.emit(ctx, first)?;
        }
        while let Some((held, limit, unit)) = self.over_capacity() {
            if !self.rules.bounds.emits_early {
                let (node, at) = (self.name.to_string(), ctx.record_metadata());
                return Err(TaskError::BufferFull { node, at, held, limit, unit });
            }
            let first = self.buffer.take_first(ctx.time(self.observed))?;
            self.emit(ctx, first)?;
        }
        self.tell(ctx);
        Ok(())
    }

    /// Tells metrics what waits.
    pub(super) fn tell(&self, ctx: &mut Context<'_>) {
        ctx.buffer_holds(self.told, self.buffer.held());
    }

    /// Forwards what was taken out of the buffer.
    pub(super) fn emit(
        &mut self,
        ctx: &mut Context<'_>,
        taken: Option<(K, Entry<V>)>,
    ) -> Result<(), TaskError> {
        let Some((key, Entry { timestamp, headers, before, new, .. })) = taken else {
            return Ok(());
        };
        // A window that was deleted before its end was never told of.
        if new.is_none() && matches!(self.rules.until, Until::WindowCloses(_)) {
            return Ok(());
        }
        ctx.buffer_emitted(self.told);
        let value = Change::latest(new, before);
        self.out.forward(ctx, Record { key, value, timestamp, headers })
    }

    /// What is more than may be, how much may be, and what is counted.
    fn over_capacity(&self) -> Option<(u64, u64, &'static str)> {
        let over = |held, limit: Option<u64>, unit| {
            let limit = limit.filter(|limit| held > *limit)?;
            Some((held, limit, unit))
        };
        let Bounds { records, bytes, .. } = self.rules.bounds;
        let too_many = over(self.buffer.records(), records, "records");
        too_many.or_else(|| over(self.buffer.bytes(), bytes, "bytes"))
    }

    fn origin(&self, ctx: &Context<'_>) -> Origin {
        match ctx.record_metadata() {
            Some(at) => Origin { topic: at.topic, partition: at.partition, offset: at.offset },
            None => self.cached.clone(),
        }
    }
}

impl<K: StoreKey, V: Data> Node<K, Change<V>> for Suppress<K, V> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value: Change { new, old, .. }, timestamp, headers } = record;
        ctx.advance_time(self.observed, timestamp);
        if let Some(clock) = &mut self.wall_clock {
            clock.saw_result(ctx.wall_clock_ms());
        }
        let place = self.rules.place(&key, timestamp);
        if self.is_closed(ctx, place) {
            ctx.drop_record(DropReason::LateRecord);
            return Ok(());
        }
        let present = |value: Option<V>| value.filter(|value| !self.value_serde.is_null(value));
        let (new, old) = (present(new), present(old));
        let update = Entry {
            place,
            timestamp,
            headers: headers.clone(),
            origin: self.origin(ctx),
            before: old.clone(),
            old,
            new,
            size: 0,
        };
        match self.buffer.put(key, ctx.wall_clock_ms(), update) {
            Ok(()) => self.emit_due(ctx),
            Err(error) => {
                refused(ctx, FailedAt { node: &self.name, timestamp, headers: &headers }, error)
            }
        }
    }
}
