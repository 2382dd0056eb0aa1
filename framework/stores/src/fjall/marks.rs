//! Marks: they tell at each opening that all keyspaces are of one age.
//!
//! fjall writes out each keyspace for itself and replays its journal on top. Where a journal is
//! missing or was cut short, one keyspace may be newer than another: a checkpoint newer than the
//! data it speaks of, and a store that is wrong in silence. So every batch has a number, and leaves
//! it in each keyspace it writes to, under [`MARK`], and once more in the keyspace
//! [`SEQUENCE`](super::SEQUENCE), under the name of the other.
//!
//! Invariant: a keyspace keeps a prefix of its batches, whatever is lost. So if the two numbers
//! are equal for every keyspace, each is as the batches up to one and the same left it.

use std::collections::BTreeMap;

use oncestream_core::state::BackendError;

use super::{FjallBackend, SEQUENCE, check};

/// The key of a mark: the smallest fjall takes.
pub(super) const MARK: [u8; 1] = [0];
/// Instead of a number: the keyspace is being dropped.
pub(super) const DROPPED: [u8; 8] = [0xff; 8];

impl FjallBackend {
    /// The largest number that a keyspace tells; 0 before the first batch.
    pub(super) fn last_batch(&self) -> Result<u64, BackendError> {
        let mut last = 0;
        for guard in self.sequence.iter() {
            let number = guard.value().map_err(|e| self.failed("read the marks", &e))?;
            if let Ok(number) = <[u8; 8]>::try_from(&*number)
                && number != DROPPED
            {
                last = last.max(u64::from_be_bytes(number));
            }
        }
        Ok(last)
    }

    /// Checks the marks of all keyspaces, ends drops that were cut short, and tells the last batch.
    pub(super) fn check_marks(&self) -> Result<u64, BackendError> {
        let read = |e: fjall::Error| self.failed("read the marks", &e);
        let mut told: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for guard in self.sequence.iter() {
            let (name, number) = guard.into_inner().map_err(read)?;
            if &*name != SEQUENCE.as_bytes() {
                told.insert(name.to_vec(), number.to_vec());
            }
        }
        let mut last = 0;
        for name in self.db.list_keyspace_names() {
            if &*name == SEQUENCE {
                continue;
            }
            let told = told.remove(name.as_bytes());
            let keyspace = self.db.keyspace(&name, || self.create_options()).map_err(read)?;
            if told.as_deref() == Some(&DROPPED) {
                let dropped = self.change_keyspaces(|db| db.delete_keyspace(keyspace));
                dropped.and_then(|()| self.sequence.remove(&*name)).map_err(read)?;
                continue;
            }
            let found = keyspace.get(MARK).map_err(read)?;
            if told.as_deref() != found.as_deref() {
                let reason = format!("keyspace {name} is of another age than the others");
                return Err(check::damaged(&self.dir, reason));
            }
            let number = told.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
            last = last.max(number);
        }
        for (name, number) in told {
            if number != DROPPED {
                let reason = format!("keyspace {} is missing", String::from_utf8_lossy(&name));
                return Err(check::damaged(&self.dir, reason));
            }
            self.sequence.remove(name).map_err(read)?;
        }
        Ok(last)
    }
}
