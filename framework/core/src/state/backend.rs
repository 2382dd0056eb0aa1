//! What a state backend must offer: named keyspaces of ordered bytes, and one atomic batch.
//!
//! A backend is opened once per instance and shared by its workers. It knows nothing of types,
//! tasks or changelogs. Its one promise: a [`WriteBatch`] is applied whole or not at all, also
//! when the process is killed in the middle. It need not survive a power cut with the last
//! batches in place, but what is left must be a prefix of the batches, in order.

use std::fmt::Debug;
use std::ops::Bound;
use std::sync::Arc;

/// The largest key of a row, in bytes: every backend takes it, and none takes a larger one. fjall
/// has 16 bits for the length of a key, and two bytes of a key of zeros are taken by its backend.
pub const MAX_KEY_BYTES: usize = u16::MAX as usize - 2;

/// A backend failed. The message says what it was doing.
#[derive(Debug, thiserror::Error)]
#[error(
    "state backend {backend}: {action}: {message}; check the disk and the permissions of the state directory"
)]
pub struct BackendError {
    /// Which backend: `fjall`, `sled`, `memory`.
    pub backend: &'static str,
    /// What it was doing, with the name of the keyspace.
    pub action: String,
    /// What it said.
    pub message: String,
    /// What is on the disk is not what was written: it is to be thrown away and made anew, and
    /// nothing else helps. False where the disk is full, refuses, or may work the next time.
    pub damaged: bool,
}

/// A key and its value, as bytes.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An iterator over pairs in the order of their keys' bytes.
pub type PairIter<'a> = Box<dyn Iterator<Item = Result<Pair, BackendError>> + 'a>;

/// One database of an instance.
pub trait Backend: Send + Sync + Debug {
    /// Opens a keyspace, making it if it is not there. Opening twice gives the same data.
    ///
    /// # Errors
    /// When the disk refuses.
    fn keyspace(&self, name: &str) -> Result<Arc<dyn Keyspace>, BackendError>;

    /// Removes a keyspace and all it holds. One that is not there is fine.
    ///
    /// # Errors
    /// When the disk refuses.
    fn drop_keyspace(&self, name: &str) -> Result<(), BackendError>;

    /// The names of all keyspaces, in no order.
    fn keyspace_names(&self) -> Vec<String>;

    /// Applies a batch: all of it or nothing. Keyspaces it names must have been opened.
    ///
    /// # Errors
    /// When the disk refuses, or a key is larger than [`MAX_KEY_BYTES`]; nothing of the batch is
    /// then visible.
    fn commit(&self, batch: &WriteBatch) -> Result<(), BackendError>;

    /// Writes what is buffered to the disk and waits for it.
    ///
    /// # Errors
    /// When the disk refuses.
    fn persist(&self) -> Result<(), BackendError>;

    /// The last call of a clean shutdown: [`persist`](Self::persist), and whatever lets the next
    /// opening see that the files changed meanwhile.
    ///
    /// # Errors
    /// When the disk refuses.
    fn seal(&self) -> Result<(), BackendError> {
        self.persist()
    }
}

/// One ordered map of bytes. A key larger than [`MAX_KEY_BYTES`] is not in it, and may be asked for;
/// as a bound of a range it stands where it would be.
pub trait Keyspace: Send + Sync {
    /// Calls `found` with the value of `key`, if there is one, without copying it.
    ///
    /// # Errors
    /// When the disk refuses.
    fn get(&self, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), BackendError>;

    /// Pairs between two bounds, in byte order, as of now: later writes may or may not be seen.
    fn range<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a>;

    /// The same backwards.
    fn range_rev<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a>;

    /// An estimate of the number of pairs, cheap to get.
    fn approximate_len(&self) -> usize;
}

/// Writes to several keyspaces that go down together. Bytes lie in one buffer.
///
/// ```
/// use oncestream_core::state::WriteBatch;
/// let mut batch = WriteBatch::default();
/// batch.put("counts", b"word", b"7");
/// batch.delete("counts", b"gone");
/// assert_eq!(batch.len(), 2);
/// ```
#[derive(Default, Debug)]
pub struct WriteBatch {
    bytes: Vec<u8>,
    sections: Vec<Section>,
    len: usize,
}

#[derive(Debug)]
struct Section {
    keyspace: Arc<str>,
    ops: Vec<Op>,
}

#[derive(Debug, Clone, Copy)]
struct Op {
    start: usize,
    key_len: usize,
    /// `None` deletes the key.
    value_len: Option<usize>,
}

/// One write of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOp<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value; `None` deletes the key.
    pub value: Option<&'a [u8]>,
}

impl WriteBatch {
    /// Sets a key.
    pub fn put(&mut self, keyspace: &str, key: &[u8], value: &[u8]) {
        self.push(keyspace, key, Some(&[value]));
    }

    /// Sets a key to the concatenation of `parts`, without an intermediate buffer.
    pub fn put_parts(&mut self, keyspace: &str, key: &[u8], parts: &[&[u8]]) {
        self.push(keyspace, key, Some(parts));
    }

    /// Removes a key.
    pub fn delete(&mut self, keyspace: &str, key: &[u8]) {
        self.push(keyspace, key, None);
    }

    fn push(&mut self, keyspace: &str, key: &[u8], value: Option<&[&[u8]]>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let value_len = value.map(|parts| {
            for part in parts {
                self.bytes.extend_from_slice(part);
            }
            self.bytes.len() - start - key.len()
        });
        let op = Op { start, key_len: key.len(), value_len };
        // Writes come in runs of one keyspace: the last section is nearly always the right one.
        match self.sections.iter_mut().rev().find(|s| &*s.keyspace == keyspace) {
            Some(section) => section.ops.push(op),
            None => self.sections.push(Section { keyspace: keyspace.into(), ops: vec![op] }),
        }
        self.len += 1;
    }

    /// The number of writes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The size of all keys and values, in bytes.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the writes and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.sections.clear();
        self.len = 0;
    }

    /// The writes by keyspace, each keyspace once, its writes in the order they were made.
    pub fn sections(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = BatchOp<'_>>)> {
        self.sections.iter().map(|s| (&*s.keyspace, s.ops.iter().map(|op| self.op(*op))))
    }

    fn op(&self, op: Op) -> BatchOp<'_> {
        let value_start = op.start + op.key_len;
        BatchOp {
            key: &self.bytes[op.start..value_start],
            value: op.value_len.map(|len| &self.bytes[value_start..value_start + len]),
        }
    }
}
