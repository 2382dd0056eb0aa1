//! How a store with a time to live deletes what has expired: some rows with each commit.
//!
//! Nothing that is read depends on it, because a value that has expired is not shown. So a commit may leave
//! as many rows to the next ones as it likes.

use std::collections::HashSet;
use std::hash::Hash;
use std::ops::Bound;

use super::Store;
use crate::error::TaskError;
use crate::state::expiry::{ExpiryIndex, row_key, time_of};
use crate::state::kinds::Kind;
use crate::state::order::Direction;
use crate::state::rows::Rows;
use crate::state::{Backend, BackendError, WriteBatch};
use crate::task::Collector;

/// A commit looks at so many index rows, so that a jump of time that ends a million rows makes no commit
/// long: each costs a look-up, a deletion and a record of the changelog.
const LEAST_PER_COMMIT: usize = 1_000;
/// It looks at so many for each row that it writes, because each writes an index row too: with less, more
/// would come than go.
const PER_WRITE: usize = 2;

impl<K, V: Clone, Kd: Kind<K>> Store<K, V, Kd>
where
    Kd::Key: Hash + Eq + Clone,
{
    pub(super) fn open_expiry_index(&mut self, backend: &dyn Backend) -> Result<(), BackendError> {
        let Some(expiry) = self.kind.expiry() else {
            return ExpiryIndex::drop_of(backend, &self.keyspace_name);
        };
        let time_of = |key: &[u8], row: &[u8]| self.kind.row_time(key, row);
        let index =
            ExpiryIndex::open(backend, &self.keyspace_name, &*self.keyspace, expiry, time_of)?;
        self.index = Some(Box::new(index));
        Ok(())
    }

    /// Deletes some of the rows that have expired, in the changelog too. What was written since the last
    /// seal is left to its own.
    pub(super) fn expire(
        &mut self,
        collector: &mut dyn Collector,
        rows: &mut Rows,
        batch: &mut WriteBatch,
    ) -> Result<(), TaskError> {
        let limit = LEAST_PER_COMMIT.max(self.overlay.active().len() * PER_WRITE);
        let (Some(index), Some(expiry)) = (&mut self.index, self.kind.expiry()) else {
            return Ok(());
        };
        let (time, met) = (expiry.time(), index.meet(expiry, limit));
        let met = met.map_err(|e| self.codec.backend_error(e))?;
        let mut gone = HashSet::new();
        for index_key in &met {
            let key = row_key(index_key);
            if let Some(first) = self.kind.first_replaced(key) {
                self.expire_replaced(first, key, &mut gone, rows, batch)?;
            // It may have had two index rows.
            } else if !gone.contains(key) && self.has_expired(key)? {
                self.changelog.write(collector, key, None, time)?;
                rows.delete(key);
                gone.insert(key.to_vec());
            }
            if let Some(index) = &self.index {
                batch.delete(index.name(), index_key);
            }
        }
        Ok(())
    }

    /// Deletes the rows that one which was met has replaced, and that one too if it is a deletion. Those
    /// were met before it or have been with it, so there are few. The changelog keeps them: it is
    /// compacted, and a row that is restored is replaced again.
    fn expire_replaced(
        &mut self,
        first: Vec<u8>,
        met: &[u8],
        gone: &mut HashSet<Vec<u8>>,
        rows: &mut Rows,
        batch: &mut WriteBatch,
    ) -> Result<(), TaskError> {
        let bounds = (Bound::Included(first), Bound::Included(met.to_vec()));
        let (mut found, mut is_met, mut is_written) = (Vec::new(), false, false);
        for row in self.history(&bounds, Direction::Backwards) {
            let row = row?;
            if gone.contains(&row.row_key) {
                break;
            }
            if found.is_empty() && !is_met && row.row_key != met {
                return Ok(());
            }
            is_met = true;
            is_written |= row.is_active;
            let stays = row.row_key == met && !self.is_deletion(&row);
            if !stays {
                found.push(row.row_key);
            }
        }
        if let (true, Some(index), Some(expiry)) = (is_written, &mut self.index, self.kind.expiry())
        {
            // What was written since the last seal is not in the backend: later.
            index.add(met, expiry.time(), expiry, batch);
            return Ok(());
        }
        for key in found {
            rows.delete(&key);
            gone.insert(key);
        }
        Ok(())
    }

    /// Whether a row that was not written since the last seal is there and has expired.
    fn has_expired(&mut self, row_key: &[u8]) -> Result<bool, TaskError> {
        let user_key = self.user_key(row_key)?;
        let key = user_key.and_then(|user_key| self.kind.key(user_key, row_key));
        if let Some(key) = key
            && let Some(id) = self.overlay.find(self.overlay.hash(&key), &key)
        {
            let slot = self.overlay.slot(id);
            let is_there = slot.value.is_some() && !slot.is_active();
            return Ok(is_there && !self.kind.is_value_live(slot.timestamp));
        }
        let mut time = None;
        let read = self.keyspace.get(row_key, &mut |row| time = time_of(row));
        read.map_err(|e| self.codec.backend_error(e))?;
        Ok(time.is_some_and(|time| !self.kind.is_value_live(time)))
    }
}
