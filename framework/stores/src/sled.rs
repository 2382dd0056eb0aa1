//! The sled backend: one sled tree holds the pairs of all keyspaces.
//!
//! sled applies a batch atomically to one tree only, so there is one, and a keyspace is a number in
//! front of its keys. It knows nothing of stores or tasks. Layout:
//! - `0 name` -> number: a keyspace.
//! - `1 number` -> nothing: a keyspace that was dropped and whose pairs are being removed.
//! - `2 number key` -> value: a pair.
//!
//! Invariants: a number is given again only when nothing is stored under it. sled writes its log
//! in the background, so a kill may lose the last batches; what is left is batches 1 to n, whole.

use crate::batch::{Resolved, resolve};
use crate::bounds::OwnedBounds;
use crate::{bounds, check_key, failed, not_open};
use oncestream_core::state::{Backend, BackendError, Keyspace, Pair, PairIter, WriteBatch};
use sled::{Batch, Db};
use std::collections::HashMap;
use std::fmt;
use std::iter;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "sled";
const NAMES: u8 = 0;
const DROPPED: u8 = 1;
const PAIRS: u8 = 2;
/// The tag and the number in front of a key.
const PREFIX_BYTES: usize = 5;
/// Pairs removed in one batch when a keyspace is dropped.
const SWEEP_PAIRS: usize = 4096;
/// How long a locked database is waited for.
const UNLOCK_WAIT: Duration = Duration::from_secs(2);

/// How much memory a [`SledBackend`] takes, and how much a kill may cost it.
#[derive(Debug, Clone)]
pub struct SledOptions {
    /// The page cache, in bytes. Default 64 MiB.
    pub cache_bytes: u64,
    /// How often the log is written to the disk, in milliseconds. A kill loses the batches since;
    /// they are read again from the changelogs. Default 500.
    pub flush_every_ms: u64,
}

impl Default for SledOptions {
    fn default() -> Self {
        SledOptions { cache_bytes: 64 * 1024 * 1024, flush_every_ms: 500 }
    }
}

/// Keyspaces in one sled database.
///
/// Exactly once holds with it across process kills: what is left is whole batches in order, and
/// the lost ones are read again from the changelogs. The directory stays locked until the backend
/// and every keyspace taken from it are dropped.
///
/// ```
/// use oncestream_core::state::{Backend, WriteBatch};
/// use oncestream_stores::{SledBackend, SledOptions};
///
/// let dir = tempfile::tempdir()?;
/// let backend = SledBackend::open(dir.path(), &SledOptions::default())?;
/// backend.keyspace("counts")?;
/// let mut batch = WriteBatch::default();
/// batch.put("counts", b"word", b"7");
/// backend.commit(&batch)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SledBackend {
    db: Db,
    keyspaces: RwLock<Keyspaces>,
}

struct Keyspaces {
    by_name: HashMap<String, Arc<SledKeyspace>>,
    next_number: u32,
}

struct SledKeyspace {
    name: String,
    number: u32,
    db: Db,
}

impl SledBackend {
    /// Opens the database in a directory, making it if it is not there.
    ///
    /// # Errors
    /// When the directory cannot be written, is open elsewhere, or holds a damaged database.
    pub fn open(dir: &Path, options: &SledOptions) -> Result<Self, BackendError> {
        let db = open_when_unlocked(dir, options)
            .map_err(|e| failed(NAME, format!("open {}", dir.display()), e))?;
        let read_names = |e: &dyn fmt::Display| failed(NAME, "read the names of keyspaces", e);
        for entry in db.scan_prefix([DROPPED]) {
            let (key, _) = entry.map_err(|e| read_names(&e))?;
            sweep(&db, number_of(key.get(1..)).map_err(|e| read_names(&e))?)?;
        }
        let mut keyspaces = Keyspaces { by_name: HashMap::new(), next_number: 0 };
        for entry in db.scan_prefix([NAMES]) {
            let (key, number) = entry.map_err(|e| read_names(&e))?;
            let number = number_of(Some(&number)).map_err(|e| read_names(&e))?;
            let name = String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned();
            keyspaces.next_number = keyspaces.next_number.max(number + 1);
            keyspaces.by_name.insert(name.clone(), SledKeyspace::new(name, number, &db));
        }
        Ok(SledBackend { db, keyspaces: RwLock::new(keyspaces) })
    }
}

impl fmt::Debug for SledBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledBackend").field("keyspaces", &self.keyspace_names().len()).finish()
    }
}

impl Backend for SledBackend {
    fn keyspace(&self, name: &str) -> Result<Arc<dyn Keyspace>, BackendError> {
        let mut keyspaces = self.keyspaces.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(keyspace) = keyspaces.by_name.get(name) {
            return Ok(keyspace.clone());
        }
        let number = keyspaces.next_number;
        self.db
            .insert(name_key(name), &number.to_be_bytes())
            .map_err(|e| failed(NAME, format!("open keyspace {name}"), e))?;
        keyspaces.next_number += 1;
        let keyspace = SledKeyspace::new(name.to_owned(), number, &self.db);
        keyspaces.by_name.insert(name.to_owned(), keyspace.clone());
        Ok(keyspace)
    }

    fn drop_keyspace(&self, name: &str) -> Result<(), BackendError> {
        let mut keyspaces = self.keyspaces.write().unwrap_or_else(PoisonError::into_inner);
        let Some(number) = keyspaces.by_name.get(name).map(|k| k.number) else {
            return Ok(());
        };
        // After this batch the keyspace is gone, also when a kill comes before the sweep.
        let mut batch = Batch::default();
        batch.remove(name_key(name));
        batch.insert(prefix(DROPPED, number).to_vec(), Vec::new());
        self.db.apply_batch(batch).map_err(|e| failed(NAME, format!("drop keyspace {name}"), e))?;
        keyspaces.by_name.remove(name);
        drop(keyspaces);
        sweep(&self.db, number)
    }

    fn keyspace_names(&self) -> Vec<String> {
        let keyspaces = self.keyspaces.read().unwrap_or_else(PoisonError::into_inner);
        keyspaces.by_name.keys().cloned().collect()
    }

    fn commit(&self, batch: &WriteBatch) -> Result<(), BackendError> {
        // Held to the end: a number must not be swept while pairs are written under it.
        let keyspaces = self.keyspaces.read().unwrap_or_else(PoisonError::into_inner);
        let mut writes = Batch::default();
        for (name, ops) in batch.sections() {
            let keyspace = keyspaces.by_name.get(name).ok_or_else(|| not_open(NAME, name))?;
            keyspace.add(&mut writes, &resolve(ops))?;
        }
        self.db.apply_batch(writes).map_err(|e| failed(NAME, "commit a batch", e))
    }

    fn persist(&self) -> Result<(), BackendError> {
        self.db.flush().map(drop).map_err(|e| failed(NAME, "flush the log", e))
    }
}

impl SledKeyspace {
    fn new(name: String, number: u32, db: &Db) -> Arc<Self> {
        Arc::new(SledKeyspace { name, number, db: db.clone() })
    }

    fn failed(&self, action: &str, cause: impl fmt::Display) -> BackendError {
        failed(NAME, format!("{action} keyspace {}", self.name), cause)
    }

    /// Adds writes to a batch, which in sled is a map: what is inserted last of a key is in it.
    fn add(&self, writes: &mut Batch, resolved: &Resolved<'_>) -> Result<(), BackendError> {
        for (from, to) in &resolved.ranges {
            let bounds = self.stored_bounds(Bound::Included(from), Bound::Excluded(to));
            for key in self.db.range(bounds).keys() {
                writes.remove(key.map_err(|e| self.failed("read a range of", e))?);
            }
        }
        for (key, value) in &resolved.points {
            check_key(NAME, &self.name, key)?;
            match value {
                Some(value) => writes.insert(self.stored_key(key), *value),
                None => writes.remove(self.stored_key(key)),
            }
        }
        Ok(())
    }

    fn stored_key(&self, key: &[u8]) -> Vec<u8> {
        [&prefix(PAIRS, self.number), key].concat()
    }

    fn stored_bounds(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> OwnedBounds {
        let (first, end) = all_of(self.number);
        let from = match from {
            Bound::Unbounded => first,
            bound => bound.map(|key| self.stored_key(key)),
        };
        let to = match to {
            Bound::Unbounded => end,
            bound => bound.map(|key| self.stored_key(key)),
        };
        (from, to)
    }

    fn pair(&self, entry: sled::Result<(sled::IVec, sled::IVec)>) -> Result<Pair, BackendError> {
        let (key, value) = entry.map_err(|e| self.failed("read a range of", e))?;
        Ok((key.get(PREFIX_BYTES..).unwrap_or_default().to_vec(), value.to_vec()))
    }
}

impl Keyspace for SledKeyspace {
    fn get(&self, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), BackendError> {
        let value = self.db.get(self.stored_key(key)).map_err(|e| self.failed("read", e))?;
        if let Some(value) = value {
            found(&value);
        }
        Ok(())
    }

    fn range<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a> {
        if bounds::is_empty(from, to) {
            return Box::new(iter::empty());
        }
        let entries = self.db.range(self.stored_bounds(from, to));
        Box::new(entries.map(|entry| self.pair(entry)))
    }

    fn range_rev<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a> {
        if bounds::is_empty(from, to) {
            return Box::new(iter::empty());
        }
        let entries = self.db.range(self.stored_bounds(from, to));
        Box::new(entries.rev().map(|entry| self.pair(entry)))
    }
}

/// A database that was just dropped is still locked until sled's threads are done with its file,
/// and sled offers nothing to wait for them. So a locked one is tried again for a while.
fn open_when_unlocked(dir: &Path, options: &SledOptions) -> sled::Result<Db> {
    let config = || {
        sled::Config::new()
            .path(dir)
            .cache_capacity(options.cache_bytes)
            .flush_every_ms(Some(options.flush_every_ms))
    };
    let start = Instant::now();
    loop {
        match config().open() {
            Err(sled::Error::Io(e))
                if e.to_string().contains("acquire lock") && start.elapsed() < UNLOCK_WAIT =>
            {
                thread::sleep(UNLOCK_WAIT / 500);
            }
            opened => return opened,
        }
    }
}

/// Removes the pairs of a dropped keyspace, and last the mark that it was dropped.
fn sweep(db: &Db, number: u32) -> Result<(), BackendError> {
    let gone = |e: sled::Error| failed(NAME, format!("sweep dropped keyspace {number}"), e);
    loop {
        let mut batch = Batch::default();
        let mut pairs = 0;
        for key in db.range(all_of(number)).keys().take(SWEEP_PAIRS) {
            batch.remove(key.map_err(gone)?);
            pairs += 1;
        }
        if pairs < SWEEP_PAIRS {
            batch.remove(&prefix(DROPPED, number));
        }
        db.apply_batch(batch).map_err(gone)?;
        if pairs < SWEEP_PAIRS {
            return Ok(());
        }
    }
}

fn prefix(tag: u8, number: u32) -> [u8; PREFIX_BYTES] {
    let [a, b, c, d] = number.to_be_bytes();
    [tag, a, b, c, d]
}

fn name_key(name: &str) -> Vec<u8> {
    [&[NAMES], name.as_bytes()].concat()
}

/// The bounds of all pairs of a keyspace.
fn all_of(number: u32) -> OwnedBounds {
    let end = match number.checked_add(1) {
        Some(next) => prefix(PAIRS, next).to_vec(),
        None => vec![PAIRS + 1],
    };
    (Bound::Included(prefix(PAIRS, number).to_vec()), Bound::Excluded(end))
}

fn number_of(bytes: Option<&[u8]>) -> Result<u32, &'static str> {
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_be_bytes).ok_or("a keyspace number has not four bytes")
}
