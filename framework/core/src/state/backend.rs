//! What a state backend must offer: named keyspaces of ordered bytes, and one atomic batch.
//!
//! A backend is opened once per instance and shared by its workers. It knows nothing of types,
//! tasks or changelogs. Its one promise: a [`WriteBatch`] is applied whole or not at all, also
//! when the process is killed in the middle. A power cut may take the last batches, and so may a kill
//! where they wait in memory, but only the last ones: if a batch is there, all batches before it are.

use std::fmt::Debug;
use std::ops::Bound;
use std::sync::Arc;

use super::WriteBatch;

/// The largest key of a row, in bytes: every backend takes it, and none takes a larger one. fjall
/// has 16 bits for the length of a key, and two bytes of a key of zeros are taken by its backend.
pub const MAX_KEY_BYTES: usize = u16::MAX as usize - 2;

/// A backend failed. The message says what it was doing.
#[derive(Debug, thiserror::Error)]
#[error(
    "state backend {backend} could not {action}: {message}; check the disk and the permissions of the state directory"
)]
#[non_exhaustive]
pub struct BackendError {
    /// Which backend: `fjall`, `sled`, `memory`.
    pub backend: &'static str,
    /// What it could not do, such as `open keyspace counts-0`.
    pub action: String,
    /// What it said.
    pub message: String,
    /// What is on the disk is not what was written: it is to be thrown away and made anew, and
    /// nothing else helps. False where the disk is full, refuses, or may work the next time.
    pub damaged: bool,
}

impl BackendError {
    /// An error of a backend while it was doing something; `damaged` if the data must be thrown away.
    pub fn new(
        backend: &'static str,
        action: impl Into<String>,
        message: impl Into<String>,
        damaged: bool,
    ) -> Self {
        Self { backend, action: action.into(), message: message.into(), damaged }
    }
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

    /// Applies a batch: all of it or nothing, and what it says of a key in its order. Keyspaces it
    /// names must have been opened. A keyspace has one writer at a time: a pair that another batch
    /// puts into a range while that range is deleted may stay.
    ///
    /// # Errors
    /// When the disk refuses, or a key is larger than [`MAX_KEY_BYTES`]; nothing of the batch is
    /// then visible.
    fn commit(&self, batch: &WriteBatch) -> Result<(), BackendError>;

    /// Hands over to the operating system what batches have left in this process's memory, so that a
    /// kill does not take it. A backend that leaves nothing there has nothing to do.
    ///
    /// # Errors
    /// When the disk refuses. What waits goes on to wait.
    fn write_down(&self) -> Result<(), BackendError> {
        Ok(())
    }

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
}
