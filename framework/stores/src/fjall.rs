//! The fjall backend: one database per instance, one fjall keyspace per keyspace.
//!
//! It knows nothing of stores or tasks. Invariants:
//! - A committed batch is in the operating system's page cache before `commit` returns, so it
//!   survives a process kill. It is not fsynced: a power cut may take the last batches, in order.
//! - The journal and the memtables are bounded over all keyspaces, because opening reads them back.
//! - A batch goes to fjall with each key once: its writes share one sequence number there.
//! - fjall 3.1 has no deletion of a range that is part of a batch, so the pairs of a range are looked
//!   up and deleted one by one in the batch, with the lock on batches held. The mark is none of them.
//! - fjall 3.1.13 forgets at every open how far its sequence numbers had come in its own table of
//!   keyspaces, and gives the numbers of dropped keyspaces again. Then an old tombstone hides a new
//!   keyspace, and the open after that deletes its data. So a keyspace of our own, [`SEQUENCE`],
//!   takes a sequence number before and after each change to that table, and some at each open:
//!   what is written to the table is then always newer than what is in it.
//! - fjall refuses the empty key, and [`marks`] takes the smallest one, so a key of zeros alone (the
//!   empty one too) is stored with two zeros more. That keeps the order, and every other key as it is.
//! - What is opened is the result of batches 1 to n, whatever happened to its files, or it is
//!   refused as damaged ([`marks`], [`check`], [`journal`]).

mod check;
mod journal;
mod marks;

use crate::batch::{Resolved, resolve};
use crate::{bounds, check_key, failed, not_open};
use fjall::{Database, Guard, KeyspaceCreateOptions, OwnedWriteBatch as FjallBatch, PersistMode};
use oncestream_core::state::{
    Backend, BackendError, Keyspace, MAX_KEY_BYTES, Pair, PairIter, WriteBatch,
};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::iter;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

const NAME: &str = "fjall";
/// fjall panics below this.
const LEAST_JOURNAL_BYTES: u64 = 64 * 1024 * 1024;
/// One thread is kept free for flushes, one compacts.
const WORKER_THREADS: usize = 2;
/// The keyspace that keeps sequence numbers from going back. Its name is refused to others.
const SEQUENCE: &str = "\0sequence";
/// More than one change to the table of keyspaces takes, with what runs beside it.
const SEQUENCE_NUMBERS_AT_OPEN: usize = 64;
/// fjall's limit, where it panics. That of keys is in [`MAX_KEY_BYTES`].
const MAX_NAME_BYTES: usize = u8::MAX as usize;

/// How much memory and disk a [`FjallBackend`] takes.
#[derive(Debug, Clone)]
pub struct FjallOptions {
    /// The cache of blocks read from disk, shared by all keyspaces, in bytes. Default 64 MiB.
    pub cache_bytes: u64,
    /// After so many bytes of batches all memtables are written out, so that the journal behind
    /// them can go, in bytes. It bounds the memory of all memtables together, and with the 64 MB
    /// fjall always keeps, what an open after a kill has to read. Default 64 MiB.
    pub max_journal_bytes: u64,
    /// The size at which one keyspace's memtable is written out, in bytes. A keyspace keeps the
    /// size it was made with. Default 16 MiB.
    pub memtable_bytes: u64,
}

impl Default for FjallOptions {
    fn default() -> Self {
        FjallOptions {
            cache_bytes: 64 * 1024 * 1024,
            max_journal_bytes: 64 * 1024 * 1024,
            memtable_bytes: 16 * 1024 * 1024,
        }
    }
}

/// Keyspaces in one fjall database.
///
/// Exactly once holds with it across process kills: a batch is there whole or not at all, and one
/// that was committed is there. The directory stays locked until the backend and every keyspace
/// taken from it are dropped.
///
/// ```
/// use oncestream_core::state::{Backend, WriteBatch};
/// use oncestream_stores::{FjallBackend, FjallOptions};
///
/// let dir = tempfile::tempdir()?;
/// let backend = FjallBackend::open(dir.path(), &FjallOptions::default())?;
/// backend.keyspace("counts")?;
/// let mut batch = WriteBatch::default();
/// batch.put("counts", b"word", b"7");
/// backend.commit(&batch)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FjallBackend {
    // Before `db`, so that the keyspaces go first.
    opened: RwLock<HashMap<String, Arc<FjallKeyspace>>>,
    sequence: fjall::Keyspace,
    db: Database,
    dir: PathBuf,
    options: FjallOptions,
    /// The number of the next batch. Locked while one is written, so that the numbers in the journals
    /// are consecutive.
    next_batch: Mutex<u64>,
    /// Bytes of batches since the memtables were last written out together.
    in_memtables_bytes: AtomicU64,
}

struct FjallKeyspace {
    name: String,
    inner: fjall::Keyspace,
}

impl FjallBackend {
    /// Opens the database in a directory, making it if it is not there.
    ///
    /// # Errors
    /// When the directory cannot be written, is open elsewhere, or holds a damaged database; only
    /// the last says so in [`BackendError::damaged`].
    pub fn open(dir: &Path, options: &FjallOptions) -> Result<Self, BackendError> {
        // fjall panics over some of what it finds in damaged files.
        catch_unwind(AssertUnwindSafe(|| Self::open_checked(dir, options)))
            .unwrap_or_else(|_| Err(check::damaged(dir, "fjall panicked while it read the files")))
    }

    fn open_checked(dir: &Path, options: &FjallOptions) -> Result<Self, BackendError> {
        let lock = check::lock(dir)?;
        let sealed = check::files(dir)?;
        if sealed.is_none() {
            journal::in_order(dir)?;
        }
        // From here on the files change.
        check::unseal(dir)?;
        // fjall takes it for itself.
        drop(lock);
        let db = Database::builder(dir)
            .cache_size(options.cache_bytes)
            .max_journaling_size(options.max_journal_bytes.max(LEAST_JOURNAL_BYTES))
            .worker_threads(WORKER_THREADS)
            .open()
            .map_err(|e| check::fault(format!("open {}", dir.display()), &e))?;
        let sequence = db
            .keyspace(SEQUENCE, KeyspaceCreateOptions::default)
            .map_err(|e| check::fault(format!("open the marks in {}", dir.display()), &e))?;
        let backend = FjallBackend {
            opened: RwLock::default(),
            sequence,
            db,
            dir: dir.to_owned(),
            options: options.clone(),
            next_batch: Mutex::new(1),
            in_memtables_bytes: AtomicU64::new(0),
        };
        let last = backend.last_batch()?;
        *backend.next_batch() = last + 1;
        (0..SEQUENCE_NUMBERS_AT_OPEN)
            .try_for_each(|_| backend.take_sequence_number())
            .map_err(|e| backend.failed("take sequence numbers", &e))?;
        backend.check_marks()?;
        if sealed.is_some_and(|sealed| sealed > last) {
            return Err(check::damaged(dir, "batches of the last run are missing"));
        }
        Ok(backend)
    }

    fn failed(&self, action: &str, cause: &fjall::Error) -> BackendError {
        check::fault(format!("{action} in {}", self.dir.display()), cause)
    }

    fn next_batch(&self) -> MutexGuard<'_, u64> {
        self.next_batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create_options(&self) -> KeyspaceCreateOptions {
        KeyspaceCreateOptions::default().max_memtable_size(self.options.memtable_bytes)
    }

    /// Changes fjall's table of keyspaces, with a sequence number taken on either side. The one
    /// before is synced, because fjall syncs that table at once and the journal later.
    fn change_keyspaces<T>(
        &self,
        change: impl FnOnce(&Database) -> fjall::Result<T>,
    ) -> fjall::Result<T> {
        self.take_sequence_number()?;
        self.db.persist(PersistMode::SyncAll)?;
        let changed = change(&self.db)?;
        self.take_sequence_number()?;
        Ok(changed)
    }

    /// Uses up a sequence number, and keeps the number of the last batch: the keyspaces that tell it
    /// may all be dropped, and a number that is given twice looks like damage.
    fn take_sequence_number(&self) -> fjall::Result<()> {
        let last = self.next_batch().saturating_sub(1);
        self.sequence.insert(SEQUENCE, marks::mark(last, self.db.seqno()))
    }

    /// fjall writes out a memtable when that one is full, and trims its journal only then. Many
    /// small keyspaces would fill the journal for long before one of them is.
    fn bound_journal(
        &self,
        opened: &HashMap<String, Arc<FjallKeyspace>>,
        batch_bytes: u64,
    ) -> Result<(), BackendError> {
        let before = self.in_memtables_bytes.fetch_add(batch_bytes, Ordering::Relaxed);
        if before + batch_bytes < self.options.max_journal_bytes {
            return Ok(());
        }
        self.in_memtables_bytes.store(0, Ordering::Relaxed);
        for keyspace in opened.values().map(|k| &k.inner).chain([&self.sequence]) {
            let action = || format!("write out keyspace {}", &**keyspace.name());
            keyspace.rotate_memtable().map_err(|e| self.failed(&action(), &e))?;
        }
        Ok(())
    }
}

impl fmt::Debug for FjallBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallBackend")
            .field("keyspaces", &self.db.keyspace_count())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Backend for FjallBackend {
    fn keyspace(&self, name: &str) -> Result<Arc<dyn Keyspace>, BackendError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(keyspace) = opened.get(name) {
            return Ok(keyspace.clone());
        }
        let action = || format!("open keyspace {name}");
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
            let limit = format!("a name has 1 to {MAX_NAME_BYTES} bytes, none of them zero");
            return Err(failed(NAME, action(), limit));
        }
        let open = |db: &Database| db.keyspace(name, || self.create_options());
        let inner = if self.db.keyspace_exists(name) {
            open(&self.db)
        } else {
            self.change_keyspaces(open)
        };
        let inner = inner.map_err(|e| self.failed(&action(), &e))?;
        let keyspace = Arc::new(FjallKeyspace { name: name.to_owned(), inner });
        opened.insert(name.to_owned(), keyspace.clone());
        Ok(keyspace)
    }

    fn drop_keyspace(&self, name: &str) -> Result<(), BackendError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        opened.remove(name);
        if name == SEQUENCE || !self.db.keyspace_exists(name) {
            return Ok(());
        }
        self.db
            .keyspace(name, || self.create_options())
            .and_then(|keyspace| {
                // First, because the mark that goes now may be the only one with the last number.
                self.take_sequence_number()?;
                self.sequence.insert(name, marks::DROPPED)?;
                self.change_keyspaces(|db| db.delete_keyspace(keyspace))?;
                self.sequence.remove(name)
            })
            .map_err(|e| self.failed(&format!("drop keyspace {name}"), &e))
    }

    fn keyspace_names(&self) -> Vec<String> {
        let names = self.db.list_keyspace_names();
        names.iter().map(ToString::to_string).filter(|name| name != SEQUENCE).collect()
    }

    fn commit(&self, batch: &WriteBatch) -> Result<(), BackendError> {
        if batch.is_empty() {
            // It would take a number and leave no mark: a seal would miss it for ever.
            return Ok(());
        }
        // Held to the end: a keyspace dropped in between would swallow its part of the batch.
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        // `with_capacity` leaves the durability unset, and the batch in this process's buffer.
        let mut writes = FjallBatch::with_capacity(self.db.clone(), batch.len())
            .durability(Some(PersistMode::Buffer));
        let mut written = Vec::new();
        for (name, ops) in batch.sections() {
            let keyspace = opened.get(name).ok_or_else(|| not_open(NAME, name))?;
            let resolved = resolve(ops);
            keyspace.add(&mut writes, &resolved)?;
            written.push((keyspace, resolved));
        }
        let mut number = self.next_batch();
        let mut expired_bytes = 0;
        for (keyspace, resolved) in &written {
            expired_bytes += keyspace.add_ranges(&mut writes, resolved)?;
        }
        // `seqno` is outside fjall's documentation; its version is held for that, too.
        let mark = marks::mark(*number, self.db.seqno());
        for (keyspace, _) in written {
            writes.insert(&keyspace.inner, marks::MARK, mark);
            writes.insert(&self.sequence, &*keyspace.name, mark);
        }
        writes.commit().map_err(|e| self.failed("commit a batch", &e))?;
        *number += 1;
        drop(number);
        self.bound_journal(&opened, (batch.byte_len() + expired_bytes) as u64)
    }

    fn persist(&self) -> Result<(), BackendError> {
        self.db.persist(PersistMode::SyncAll).map_err(|e| self.failed("sync the journal", &e))
    }

    fn seal(&self) -> Result<(), BackendError> {
        self.persist()?;
        // What is there, not what was counted: a batch may have been refused, a keyspace dropped.
        check::seal(&self.dir, self.last_batch()?)
    }
}

impl FjallKeyspace {
    fn failed(&self, action: &str, cause: &fjall::Error) -> BackendError {
        check::fault(format!("{action} keyspace {}", self.name), cause)
    }

    fn add(&self, writes: &mut FjallBatch, resolved: &Resolved<'_>) -> Result<(), BackendError> {
        for (key, value) in &resolved.points {
            check_key(NAME, &self.name, key)?;
            let key = stored_key(key);
            if value.is_some_and(|v| u32::try_from(v.len()).is_err()) {
                let fault = "a value is too long: values have less than 4 GiB";
                return Err(failed(NAME, format!("commit to keyspace {}", self.name), fault));
            }
            match value {
                Some(value) => writes.insert(&self.inner, &*key, *value),
                None => writes.remove(&self.inner, &*key),
            }
        }
        Ok(())
    }

    /// Deletes the pairs of the ranges, but for keys that are written by themselves; gives the bytes
    /// of their keys.
    fn add_ranges(
        &self,
        writes: &mut FjallBatch,
        resolved: &Resolved<'_>,
    ) -> Result<usize, BackendError> {
        let mut bytes = 0;
        for (at, (from, to)) in resolved.ranges.iter().enumerate() {
            let Some(pairs) = self.pairs(Bound::Included(from), Bound::Excluded(to)) else {
                continue;
            };
            for guard in pairs {
                let stored = guard.key().map_err(|e| self.failed("read a range of", &e))?;
                let key = given_key(&stored);
                let earlier = &resolved.ranges[..at];
                let is_gone = earlier.iter().any(|(from, to)| *from <= key && key < *to);
                if !is_gone && !resolved.has_point(key) {
                    bytes += stored.len();
                    writes.remove(&self.inner, stored);
                }
            }
        }
        Ok(bytes)
    }

    fn pairs(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Option<fjall::Iter> {
        let stored = |bound: Bound<&[u8]>| bound.map(|key| stored_key(key).into_owned());
        let (from, to) = (bounds::short_from(from), bounds::short_to(to));
        if bounds::is_empty(from, to) {
            return None;
        }
        let from = match stored(from) {
            Bound::Unbounded => Bound::Excluded(marks::MARK.to_vec()),
            given => given,
        };
        Some(self.inner.range::<Vec<u8>, _>((from, stored(to))))
    }

    fn pair(&self, guard: Guard) -> Result<Pair, BackendError> {
        let (key, value) = guard.into_inner().map_err(|e| self.failed("read a range of", &e))?;
        Ok((given_key(&key).to_vec(), value.to_vec()))
    }
}

impl Keyspace for FjallKeyspace {
    fn get(&self, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), BackendError> {
        if key.len() > MAX_KEY_BYTES {
            return Ok(());
        }
        let value = self.inner.get(stored_key(key)).map_err(|e| self.failed("read", &e))?;
        if let Some(value) = value {
            found(&value);
        }
        Ok(())
    }

    fn range<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a> {
        match self.pairs(from, to) {
            Some(pairs) => Box::new(pairs.map(|guard| self.pair(guard))),
            None => Box::new(iter::empty()),
        }
    }

    fn range_rev<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a> {
        match self.pairs(from, to) {
            Some(pairs) => Box::new(pairs.rev().map(|guard| self.pair(guard))),
            None => Box::new(iter::empty()),
        }
    }
}

/// A key as fjall holds it: one of zeros alone gets two zeros more. Such keys sort before all
/// others and by length among themselves, before and after.
fn stored_key(key: &[u8]) -> Cow<'_, [u8]> {
    if key.iter().any(|byte| *byte != 0) {
        return Cow::Borrowed(key);
    }
    Cow::Owned(vec![0; key.len() + 2])
}

/// The key behind a stored one.
fn given_key(stored: &[u8]) -> &[u8] {
    match stored {
        [0, 0, shorter @ ..] if shorter.iter().all(|byte| *byte == 0) => shorter,
        _ => stored,
    }
}
