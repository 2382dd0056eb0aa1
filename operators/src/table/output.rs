//! Where a table that is a topic, or a stream, puts its updates: into its store, or straight on.

use oncestream_core::Record;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::serde::DynSerde;
use oncestream_core::task::{Context, Downstream, TaskBuilder};

use super::made::TableSpec;
use super::{Change, StoredTable};
use crate::dsl::{Data, StoreKey};

pub(crate) enum TableOutput<K, V> {
    Stored(StoredTable<K, V>),
    Forwarded { value_serde: DynSerde<V>, out: Downstream<K, Change<V>> },
}

impl<K: StoreKey, V: Data> TableOutput<K, V> {
    /// Makes it for one task. `value_serde` knows the nulls where there is no store.
    pub(crate) fn instantiate(
        b: &mut TaskBuilder<'_>,
        id: NodeId,
        spec: &TableSpec<V>,
        value_serde: &DynSerde<V>,
    ) -> Result<Self, TopologyError> {
        Ok(match spec.store() {
            Some(store) => Self::Stored(StoredTable::instantiate(b, id, spec, store)?),
            None => Self::Forwarded { value_serde: value_serde.clone(), out: b.downstream(id)? },
        })
    }

    /// Sets a key, or deletes it.
    pub(crate) fn set(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Option<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        match self {
            Self::Stored(table) => {
                let record = Record { key, value: (), timestamp, headers };
                table.update(ctx, record, |_, _| (value, timestamp))
            }
            Self::Forwarded { value_serde, out } => {
                let new = value.filter(|value| !value_serde.is_null(value));
                let value = Change::latest(new, None);
                out.forward(ctx, Record { key, value, timestamp, headers })
            }
        }
    }
}
