//! Marks: they tell at each opening that all keyspaces are of one age.
//!
//! fjall writes out each keyspace for itself and replays its journal on top. Where a journal is
//! missing or was cut short, one keyspace may be newer than another: a checkpoint newer than the
//! data it speaks of, and a store that is wrong in silence. So every batch has a number, and leaves
//! it in each keyspace it writes to, under [`MARK`], and once more in the keyspace
//! [`SEQUENCE`](super::SEQUENCE), under the name of the other. Beside it is a bound of the batch's
//! sequence number, for [`journal`](super::journal).
//!
//! The number of the last batch is kept under the name [`SEQUENCE`](super::SEQUENCE), too, where no
//! drop of a keyspace reaches it: numbers are never given twice.
//!
//! Invariant: a keyspace keeps a prefix of its batches, whatever is lost. So if the two numbers
//! are equal for every keyspace, each is as batches 1 to n left it, with the same n for all.

use std::collections::BTreeMap;

use oncestream_core::state::BackendError;

use super::{FjallBackend, SEQUENCE, check};

/// The key of a mark: the smallest fjall takes.
pub(super) const MARK: [u8; 1] = [0];
/// What a batch leaves: its number, and the next sequence number before it, which is not larger
/// than its own.
pub(super) type Mark = [u8; 16];
/// Instead of that: the keyspace is being dropped.
pub(super) const DROPPED: [u8; 8] = [0xff; 8];

pub(super) fn mark(number: u64, least_sequence_number: u64) -> Mark {
    let mut mark = [0; 16];
    mark[..8].copy_from_slice(&number.to_be_bytes());
    mark[8..].copy_from_slice(&least_sequence_number.to_be_bytes());
    mark
}

/// The number, and the bound of the sequence number.
pub(super) fn read_mark(mark: Mark) -> (u64, u64) {
    let value = u128::from_be_bytes(mark);
    ((value >> 64) as u64, value as u64)
}

/// The number that bytes tell which may be a mark.
fn number_in(bytes: &[u8]) -> Option<u64> {
    Mark::try_from(bytes).ok().map(|mark| read_mark(mark).0)
}

impl FjallBackend {
    /// The number of the last batch, whether its keyspaces are still there or not; 0 before the first.
    pub(super) fn last_batch(&self) -> Result<u64, BackendError> {
        let mut last = 0;
        for guard in self.sequence.iter() {
            let number = guard.value().map_err(|e| self.failed("read the marks", &e))?;
            last = last.max(number_in(&number).unwrap_or(0));
        }
        Ok(last)
    }

    /// Checks the marks of all keyspaces, and ends drops that were cut short.
    pub(super) fn check_marks(&self) -> Result<(), BackendError> {
        let read = |e: fjall::Error| self.failed("read the marks", &e);
        let mut told: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for guard in self.sequence.iter() {
            let (name, number) = guard.into_inner().map_err(read)?;
            if &*name != SEQUENCE.as_bytes() {
                told.insert(name.to_vec(), number.to_vec());
            }
        }
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
        }
        for (name, number) in told {
            if number != DROPPED {
                let reason = format!("keyspace {} is missing", String::from_utf8_lossy(&name));
                return Err(check::damaged(&self.dir, reason));
            }
            self.sequence.remove(name).map_err(read)?;
        }
        Ok(())
    }
}
