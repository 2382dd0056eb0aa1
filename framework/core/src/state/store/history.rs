//! The rows of a store with those that say that something was deleted, one by one and as they lie: for
//! kinds whose deletions are rows.

use std::hash::Hash;

use super::{Order, Store};
use crate::error::TaskError;
use crate::state::kinds::Kind;
use crate::state::order::{Bounds, Direction, Merge, MergedRow};
use crate::state::overlay::SlotId;

/// A row, as it is without the next commits.
pub(in crate::state) struct HistoryRow {
    pub(in crate::state) row_key: Vec<u8>,
    /// Whether it was written since the last seal.
    pub(in crate::state) is_active: bool,
    content: Content,
}

enum Content {
    Slot(SlotId),
    Row(Vec<u8>),
}

impl<K, V: Clone, Kd: Kind<K>> Store<K, V, Kd>
where
    Kd::Key: Hash + Eq + Clone,
{
    /// The rows between two keys.
    pub(in crate::state) fn history(
        &self,
        bounds: &Bounds,
        direction: Direction,
    ) -> impl Iterator<Item = Result<HistoryRow, TaskError>> {
        static EMPTY: Order = Order::new();
        let order = self.order.get().unwrap_or(&EMPTY);
        let mut merge = Merge::new(order, &*self.keyspace, bounds, direction);
        std::iter::from_fn(move || {
            let row = merge.as_mut()?.next()?;
            Some(row.map_err(|e| self.codec.backend_error(e)).map(|row| match row {
                MergedRow::Uncommitted(row_key, id) => HistoryRow {
                    row_key: row_key.to_vec(),
                    is_active: self.overlay.slot(id).is_active(),
                    content: Content::Slot(id),
                },
                MergedRow::Stored((row_key, row)) => {
                    HistoryRow { row_key, is_active: false, content: Content::Row(row) }
                }
            }))
        })
    }

    /// Whether the row says that something was deleted.
    pub(in crate::state) fn is_deletion(&self, row: &HistoryRow) -> bool {
        match &row.content {
            Content::Slot(id) => self.overlay.slot(*id).value.is_none(),
            Content::Row(row) => row.is_empty(),
        }
    }

    /// The value of the row; `None` for a deletion, and for what the serde reads as a null.
    pub(in crate::state) fn value_of(&self, row: &HistoryRow) -> Result<Option<V>, TaskError> {
        match &row.content {
            Content::Slot(id) => Ok(self.overlay.slot(*id).value.clone()),
            Content::Row(row) if row.is_empty() => Ok(None),
            Content::Row(row) => Ok(self.codec.read_row(row)?.map(|found| found.value)),
        }
    }
}
