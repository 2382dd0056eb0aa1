//! The memory backend: one `BTreeMap` per keyspace, gone with the process.
//!
//! It knows nothing of disks: a store on it is restored from its changelog at every start.
//! Invariants: a commit takes the locks of all its keyspaces before its first write, in the order
//! of their names, so no read of a keyspace sees half of its writes and two commits never deadlock.
//! No lock is held while the caller of a range looks at a pair.

use crate::batch::{Resolved, resolve};
use crate::bounds::{self, OwnedBounds};
use crate::{check_key, not_open};
use oncestream_core::state::{Backend, BackendError, Keyspace, Pair, PairIter, WriteBatch};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::vec;

/// How many pairs a range copies each time it takes the lock.
const CHUNK: usize = 256;

/// A value is shared, so that `get` hands it out without a copy and without the lock.
type Map = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// Keyspaces in memory.
///
/// Exactly once holds with it: state that is lost is rebuilt from the committed changelog.
///
/// ```
/// use oncestream_core::state::Backend;
/// let backend = oncestream_stores::MemoryBackend::new();
/// backend.keyspace("counts")?;
/// assert_eq!(backend.keyspace_names(), ["counts"]);
/// # Ok::<(), oncestream_core::state::BackendError>(())
/// ```
#[derive(Default)]
pub struct MemoryBackend {
    keyspaces: RwLock<BTreeMap<String, Arc<MemoryKeyspace>>>,
}

#[derive(Default)]
struct MemoryKeyspace {
    map: RwLock<Map>,
}

impl MemoryBackend {
    /// A backend without keyspaces.
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend").field("keyspaces", &read(&self.keyspaces).len()).finish()
    }
}

impl Backend for MemoryBackend {
    fn keyspace(&self, name: &str) -> Result<Arc<dyn Keyspace>, BackendError> {
        Ok(write(&self.keyspaces).entry(name.to_owned()).or_default().clone())
    }

    fn drop_keyspace(&self, name: &str) -> Result<(), BackendError> {
        write(&self.keyspaces).remove(name);
        Ok(())
    }

    fn keyspace_names(&self) -> Vec<String> {
        read(&self.keyspaces).keys().cloned().collect()
    }

    fn commit(&self, batch: &WriteBatch) -> Result<(), BackendError> {
        let keyspaces = read(&self.keyspaces);
        let mut sections = Vec::new();
        for (name, ops) in batch.sections() {
            let keyspace = keyspaces.get(name).ok_or_else(|| not_open("memory", name))?;
            let writes = resolve(ops);
            writes.points.iter().try_for_each(|(key, _)| check_key("memory", name, key))?;
            sections.push((name, keyspace, writes));
        }
        sections.sort_by_key(|(name, _, _)| *name);
        let locked: Vec<_> = sections.into_iter().map(|(_, k, w)| (write(&k.map), w)).collect();
        // Each map stays locked until all are written.
        let mut written = Vec::with_capacity(locked.len());
        for (mut map, writes) in locked {
            apply(&mut map, &writes);
            written.push(map);
        }
        Ok(())
    }

    fn persist(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

impl Keyspace for MemoryKeyspace {
    fn get(&self, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), BackendError> {
        let value = read(&self.map).get(key).cloned();
        if let Some(value) = value {
            found(&value);
        }
        Ok(())
    }

    fn range<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a> {
        Box::new(Chunks::new(&self.map, bounds::owned(from, to), false))
    }

    fn range_rev<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a> {
        Box::new(Chunks::new(&self.map, bounds::owned(from, to), true))
    }
}

fn apply(map: &mut Map, writes: &Resolved<'_>) {
    for (from, to) in &writes.ranges {
        let range = (Bound::Included(*from), Bound::Excluded(*to));
        let gone: Vec<_> = map.range::<[u8], _>(range).map(|(key, _)| key.clone()).collect();
        for key in gone {
            map.remove(&key);
        }
    }
    for &(key, value) in &writes.points {
        match (value, map.get_mut(key)) {
            (Some(value), Some(known)) => *known = value.into(),
            (Some(value), None) => drop(map.insert(key.to_vec(), value.into())),
            (None, Some(_)) => drop(map.remove(key)),
            (None, None) => {}
        }
    }
}

/// A range that takes the lock once per [`CHUNK`] pairs.
struct Chunks<'a> {
    map: &'a RwLock<Map>,
    /// What is not copied yet.
    left: OwnedBounds,
    reverse: bool,
    done: bool,
    copied: vec::IntoIter<Pair>,
}

impl<'a> Chunks<'a> {
    fn new(map: &'a RwLock<Map>, left: OwnedBounds, reverse: bool) -> Self {
        Chunks { map, left, reverse, done: false, copied: Vec::new().into_iter() }
    }

    fn copy_next(&mut self) {
        let (from, to) = (&self.left.0, &self.left.1);
        let (from, to) = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        let mut chunk: Vec<Pair> = Vec::new();
        // `BTreeMap::range` panics on crossed bounds.
        if !bounds::is_empty(from, to) {
            let map = read(self.map);
            let pairs = map.range::<[u8], _>((from, to));
            let copy = |(key, value): (&Vec<u8>, &Arc<[u8]>)| (key.clone(), value.to_vec());
            if self.reverse {
                chunk.extend(pairs.rev().take(CHUNK).map(copy));
            } else {
                chunk.extend(pairs.take(CHUNK).map(copy));
            }
        }
        match chunk.last() {
            Some((last, _)) if self.reverse => self.left.1 = Bound::Excluded(last.clone()),
            Some((last, _)) => self.left.0 = Bound::Excluded(last.clone()),
            None => {}
        }
        self.done = chunk.len() < CHUNK;
        self.copied = chunk.into_iter();
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<Pair, BackendError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.copied.as_slice().is_empty() && !self.done {
            self.copy_next();
        }
        self.copied.next().map(Ok)
    }
}

// A lock is poisoned when a thread panicked under it. No caller's code runs under these locks, and
// what runs there leaves the maps whole, so the data is as good as before.

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
