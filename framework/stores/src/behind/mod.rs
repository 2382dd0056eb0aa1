//! A backend that lets batches wait in memory, and writes them down merged: a hot row once and not with
//! each commit.
//!
//! It knows no clock and has no thread: it writes when so many bytes wait, and whenever it is asked to.
//!
//! Invariants:
//! - A batch goes into memory whole, and what waits goes down as one batch. So what is found after a
//!   kill is the result of the first so many batches, in order, as with a backend that has lost its
//!   last ones. A checkpoint goes down together with the rows that it speaks of.
//! - Rows are found here until the backend below has them.
//! - What could not be written down stays, and the next batch is refused with the error.

mod keyspace;
mod waiting;

use oncestream_core::state::{Backend, BackendError, BatchOp, Keyspace, WriteBatch};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use keyspace::BehindKeyspace;
use waiting::Waiting;

use crate::{check_key, not_open};

const NAME: &str = "write behind";

type Opened = BTreeMap<String, Arc<BehindKeyspace>>;

/// Another backend with batches that wait in memory.
///
/// Exactly once holds with it, because a store on it is a checkpoint of its changelog: a kill takes the
/// batches that wait, and a restore brings them back. For a store without a changelog call
/// [`write_down`](Backend::write_down) after each batch.
///
/// ```
/// use std::sync::Arc;
/// use oncestream_core::state::{Backend, WriteBatch};
/// use oncestream_stores::{MemoryBackend, WriteBehind};
///
/// let disk = Arc::new(MemoryBackend::new());
/// let backend = WriteBehind::new(disk.clone(), 1 << 20);
/// let counts = backend.keyspace("counts")?;
/// let mut batch = WriteBatch::default();
/// batch.put("counts", b"word", b"7");
/// backend.commit(&batch)?;
///
/// let (mut seen, mut on_disk) = (0, 0);
/// counts.get(b"word", &mut |_| seen += 1)?;
/// disk.keyspace("counts")?.get(b"word", &mut |_| on_disk += 1)?;
/// assert_eq!((seen, on_disk), (1, 0));
/// backend.write_down()?;
/// disk.keyspace("counts")?.get(b"word", &mut |_| on_disk += 1)?;
/// assert_eq!(on_disk, 1);
/// # Ok::<(), oncestream_core::state::BackendError>(())
/// ```
pub struct WriteBehind {
    inner: Arc<dyn Backend>,
    max_bytes: usize,
    /// Read by whoever lets a batch wait, and written by whoever takes all that waits: neither sees
    /// half of the other.
    opened: RwLock<Opened>,
    waiting_bytes: AtomicUsize,
    /// Held while the backend below writes what waited, or drops a keyspace.
    writing: Mutex<()>,
    has_failed: AtomicBool,
}

impl WriteBehind {
    /// Lets up to so many bytes wait, about, in front of another backend.
    pub fn new(inner: Arc<dyn Backend>, max_bytes: usize) -> Self {
        Self {
            inner,
            max_bytes,
            opened: RwLock::default(),
            waiting_bytes: AtomicUsize::new(0),
            writing: Mutex::new(()),
            has_failed: AtomicBool::new(false),
        }
    }

    /// How much waits, about, in bytes.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes.load(Ordering::Relaxed)
    }

    fn opened(&self) -> RwLockReadGuard<'_, Opened> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened_mut(&self) -> RwLockWriteGuard<'_, Opened> {
        self.opened.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what waits if it is more than so many bytes. Call it with `writing` locked.
    fn write_more_than(&self, bytes: usize) -> Result<(), BackendError> {
        if self.waiting_bytes() <= bytes && !self.has_failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (taken, taken_bytes) = self.take();
        let mut batch = WriteBatch::default();
        for (keyspace, waiting) in &taken {
            waiting.write_to(&keyspace.name, &mut batch);
        }
        if let Err(error) = self.inner.commit(&batch) {
            self.waiting_bytes.fetch_add(taken_bytes, Ordering::Relaxed);
            self.has_failed.store(true, Ordering::Relaxed);
            return Err(error);
        }
        self.has_failed.store(false, Ordering::Relaxed);
        for (keyspace, waiting) in taken {
            keyspace.written(waiting);
        }
        Ok(())
    }

    /// Takes all that waits, and the bytes of it.
    fn take(&self) -> (Vec<(Arc<BehindKeyspace>, Arc<Waiting>)>, usize) {
        let opened = self.opened_mut();
        let of = |keyspace: &Arc<BehindKeyspace>| Some((keyspace.clone(), keyspace.take()?));
        (opened.values().filter_map(of).collect(), self.waiting_bytes.swap(0, Ordering::Relaxed))
    }
}

impl fmt::Debug for WriteBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehind")
            .field("inner", &self.inner)
            .field("max_bytes", &self.max_bytes)
            .field("waiting_bytes", &self.waiting_bytes())
            .finish_non_exhaustive()
    }
}

impl Backend for WriteBehind {
    fn keyspace(&self, name: &str) -> Result<Arc<dyn Keyspace>, BackendError> {
        if let Some(keyspace) = self.opened().get(name) {
            return Ok(keyspace.clone());
        }
        let inner = self.inner.keyspace(name)?;
        let mut opened = self.opened_mut();
        let new = || Arc::new(BehindKeyspace::new(name, inner));
        Ok(opened.entry(name.to_owned()).or_insert_with(new).clone())
    }

    fn drop_keyspace(&self, name: &str) -> Result<(), BackendError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // The batches before it go down before it. If they cannot, a keyspace that is damaged may be
        // the reason: it has to go all the same.
        let _ = self.write_more_than(0);
        self.opened_mut().remove(name);
        self.inner.drop_keyspace(name)
    }

    fn keyspace_names(&self) -> Vec<String> {
        self.inner.keyspace_names()
    }

    fn commit(&self, batch: &WriteBatch) -> Result<(), BackendError> {
        if self.has_failed.load(Ordering::Relaxed) {
            self.write_down()?;
        }
        {
            let opened = self.opened();
            let mut sections = Vec::new();
            for (name, ops) in batch.sections() {
                let keyspace = opened.get(name).ok_or_else(|| not_open(NAME, name))?;
                sections.push((keyspace, ops));
            }
            for (name, mut ops) in batch.sections() {
                ops.try_for_each(|op| match op {
                    BatchOp::Put { key, .. } | BatchOp::Delete { key } => {
                        check_key(NAME, name, key)
                    }
                    BatchOp::DeleteRange { .. } => Ok(()),
                })?;
            }
            let added = sections.into_iter().map(|(keyspace, ops)| keyspace.add(ops)).sum();
            self.waiting_bytes.fetch_add(added, Ordering::Relaxed);
        }
        if self.waiting_bytes() > self.max_bytes {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            // The batch waits, and so it is taken: an error is the next one's.
            let _ = self.write_more_than(self.max_bytes);
        }
        Ok(())
    }

    fn write_down(&self) -> Result<(), BackendError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_more_than(0)
    }

    fn persist(&self) -> Result<(), BackendError> {
        self.write_down()?;
        self.inner.persist()
    }

    fn seal(&self) -> Result<(), BackendError> {
        self.write_down()?;
        self.inner.seal()
    }
}
