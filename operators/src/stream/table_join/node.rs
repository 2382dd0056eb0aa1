//! The node of one task: looks each record's key up, and forwards what both give.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::DynSerde;
use oncestream_core::task::{Context, Downstream, FailedAt, Node};

use super::Join;
use crate::dsl::{Data, StoreKey};
use crate::grouped::fold::null_in;
use crate::refused::refused;
use crate::table::Reader;

pub(super) struct TableJoin<K, V, V2, R, F> {
    pub(super) table: Reader<K, V2>,
    pub(super) key_serde: DynSerde<K>,
    pub(super) value_serde: DynSerde<V>,
    /// Records without a key are joined with no value, and not dropped.
    pub(super) takes_null_keys: bool,
    pub(super) join: Arc<F>,
    pub(super) name: Arc<str>,
    pub(super) out: Downstream<K, R>,
}

impl<K, V, V2, R, F> Node<K, V> for TableJoin<K, V, V2, R, F>
where
    K: StoreKey,
    V: Data,
    V2: Data,
    R: Data,
    F: Join<K, V, V2, R>,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        match self.admit(ctx, &record) {
            Some(has_key) => self.answer(ctx, record, has_key),
            None => Ok(()),
        }
    }
}

impl<K, V, V2, R, F> TableJoin<K, V, V2, R, F>
where
    K: StoreKey,
    V: Data,
    V2: Data,
    R: Data,
    F: Join<K, V, V2, R>,
{
    /// Whether the record has a key; `None` for one that is dropped.
    pub(super) fn admit(&self, ctx: &mut Context<'_>, record: &Record<K, V>) -> Option<bool> {
        match null_in(record, &self.key_serde, &self.value_serde) {
            None => Some(true),
            Some(DropReason::NullKey)
                if self.takes_null_keys && !self.value_serde.is_null(&record.value) =>
            {
                Some(false)
            }
            Some(reason) => {
                ctx.drop_record(reason);
                None
            }
        }
    }

    /// Joins a record with what the table has for its key as of its time, and forwards what both give.
    pub(super) fn answer(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, V>,
        has_key: bool,
    ) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        let Self { table, join, .. } = self;
        let joined = if has_key {
            table.with_as_of(&key, timestamp, |found| {
                join(&key, &value, found.map(|(of_table, _)| of_table))
            })
        } else {
            Ok(join(&key, &value, None))
        };
        match joined {
            Ok(None) => Ok(()),
            Ok(Some(value)) => self.out.forward(ctx, Record { key, value, timestamp, headers }),
            Err(error) => {
                refused(ctx, FailedAt { node: &self.name, timestamp, headers: &headers }, error)
            }
        }
    }
}
