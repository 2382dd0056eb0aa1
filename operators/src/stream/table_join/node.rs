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
        let null = null_in(&record, &self.key_serde, &self.value_serde);
        let Record { key, value, timestamp, headers } = record;
        let Self { table, join, .. } = self;
        let joined = match null {
            None => table.with(&key, timestamp, |found| {
                join(&key, &value, found.map(|(of_table, _)| of_table))
            }),
            Some(DropReason::NullKey)
                if self.takes_null_keys && !self.value_serde.is_null(&value) =>
            {
                Ok(join(&key, &value, None))
            }
            Some(reason) => {
                ctx.drop_record(reason);
                return Ok(());
            }
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
