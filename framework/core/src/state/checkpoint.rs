//! How far a store's local data follows its changelog. Written in the same batch as the data.
//!
//! The format is our own and fixed: a version byte, the offset and the wall-clock time of the
//! commit in milliseconds, both big-endian. Invariant: the offset never passes what is committed
//! in the changelog.

use super::WriteBatch;

/// The keyspace that holds the checkpoints of all stores of an instance.
pub const CHECKPOINTS: &str = "oncestream-checkpoints";

const VERSION: u8 = 1;
const LEN: usize = 17;

/// How far one store has followed its changelog partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The next changelog offset to read.
    pub offset: i64,
    /// When it was written, in milliseconds of wall clock; tells a store that missed tombstones.
    pub written_at_ms: i64,
}

impl Checkpoint {
    /// Adds this checkpoint to the batch that holds the data it speaks of.
    pub fn write(self, keyspace: &str, batch: &mut WriteBatch) {
        let mut bytes = [0; LEN];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.offset.to_be_bytes());
        bytes[9..].copy_from_slice(&self.written_at_ms.to_be_bytes());
        batch.put(CHECKPOINTS, keyspace.as_bytes(), &bytes);
    }

    /// Reads one back; `None` for bytes that are not a checkpoint of a known version.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version != VERSION || bytes.len() != LEN {
            return None;
        }
        let (offset, time) = rest.split_at(8);
        Some(Self {
            offset: i64::from_be_bytes(offset.try_into().ok()?),
            written_at_ms: i64::from_be_bytes(time.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::BatchOp;

    #[test]
    fn a_checkpoint_reads_back_and_anything_else_does_not() {
        let checkpoint = Checkpoint { offset: 1 << 40, written_at_ms: -1 };
        let mut batch = WriteBatch::default();
        checkpoint.write("counts-0", &mut batch);
        let (_, mut ops) = batch.sections().next().expect("one section");
        let BatchOp { value: Some(bytes), .. } = ops.next().expect("one op") else {
            panic!("a put")
        };
        assert_eq!(Checkpoint::read(bytes), Some(checkpoint));
        assert_eq!(Checkpoint::read(&bytes[..16]), None);
        assert_eq!(Checkpoint::read(b""), None);
        let mut other = bytes.to_vec();
        other[0] = 9;
        assert_eq!(Checkpoint::read(&other), None);
    }
}
