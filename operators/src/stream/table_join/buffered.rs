//! The node of a join with a grace: its records wait, and are then joined as of their times.
//!
//! The rules are those of Kafka Streams' `KStreamKTableJoinProcessor` with a buffer, but for a record
//! without a key in a left join: Kafka Streams fails with a null pointer, and here it is joined with no
//! value, at once.
//!
//! Invariant: what is due is a function of the store and of the remembered time, both of which are
//! committed. So a crash changes no result.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::task::{Context, FailedAt, Node, TaskBuilder, TimeId};

use super::Join;
use super::buffer::Buffer;
use super::node::TableJoin;
use crate::dsl::{Data, StoreKey};
use crate::refused::refused;
use crate::table::Origin;

pub(super) struct Buffered<K, V, V2, R, F> {
    join: TableJoin<K, V, V2, R, F>,
    buffer: Buffer<K, V>,
    grace_ms: i64,
    /// The latest time of a record that has waited.
    observed: TimeId,
}

impl<K, V, V2, R, F> Buffered<K, V, V2, R, F>
where
    K: StoreKey,
    V: Data,
    V2: Data,
    R: Data,
    F: Join<K, V, V2, R>,
{
    pub(super) fn instantiate(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        join: TableJoin<K, V, V2, R, F>,
        store: &Arc<str>,
        grace_ms: i64,
    ) -> Result<Self, TopologyError> {
        Ok(Self {
            join,
            buffer: Buffer::new(b.store(id, store)?),
            grace_ms,
            observed: b.remembered_time(&format!("{store}-observed")),
        })
    }

    fn due(&self, ctx: &Context<'_>) -> i64 {
        ctx.time(self.observed).saturating_sub(self.grace_ms)
    }
}

impl<K, V, V2, R, F> Node<K, V> for Buffered<K, V, V2, R, F>
where
    K: StoreKey,
    V: Data,
    V2: Data,
    R: Data,
    F: Join<K, V, V2, R>,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Some(has_key) = self.join.admit(ctx, &record) else { return Ok(()) };
        let timestamp = record.timestamp;
        if !has_key || timestamp < self.due(ctx) {
            return self.join.answer(ctx, record, has_key);
        }
        let headers = record.headers.clone();
        if let Err(error) = self.buffer.put(record, origin(ctx)) {
            let at = FailedAt { node: &self.join.name, timestamp, headers: &headers };
            return refused(ctx, at, error);
        }
        ctx.advance_time(self.observed, timestamp);
        let (due, now) = (self.due(ctx), ctx.time(self.observed));
        while let Some(record) = self.buffer.take_due(due, now)? {
            self.join.answer(ctx, record, true)?;
        }
        Ok(())
    }
}

/// Where the record comes from; nothing is known of one out of a cache.
fn origin(ctx: &Context<'_>) -> Origin {
    match ctx.record_metadata() {
        Some(at) => Origin { topic: at.topic, partition: at.partition, offset: at.offset },
        None => Origin { topic: "".into(), partition: -1, offset: -1 },
    }
}
