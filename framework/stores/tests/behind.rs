//! What a kill finds of batches that wait in memory, and what becomes of them when a disk refuses.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use oncestream_core::state::{Backend, BackendError, Keyspace, Pair, WriteBatch};
use oncestream_stores::{MemoryBackend, WriteBehind};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A disk that counts its batches, and that can be full.
#[derive(Debug, Default)]
struct Disk {
    memory: MemoryBackend,
    batches: AtomicUsize,
    is_full: AtomicBool,
}

impl Backend for Disk {
    fn keyspace(&self, name: &str) -> Result<Arc<dyn Keyspace>, BackendError> {
        self.memory.keyspace(name)
    }

    fn drop_keyspace(&self, name: &str) -> Result<(), BackendError> {
        self.memory.drop_keyspace(name)
    }

    fn keyspace_names(&self) -> Vec<String> {
        self.memory.keyspace_names()
    }

    fn commit(&self, batch: &WriteBatch) -> Result<(), BackendError> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(BackendError::new("test", "commit", "no space left", false));
        }
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.memory.commit(batch)
    }

    fn persist(&self) -> Result<(), BackendError> {
        self.memory.persist()
    }
}

fn put(backend: &dyn Backend, rows: &[(&str, &str, &str)]) -> Result<(), BackendError> {
    let mut batch = WriteBatch::default();
    for (keyspace, key, value) in rows {
        backend.keyspace(keyspace).unwrap();
        batch.put(keyspace, key.as_bytes(), value.as_bytes());
    }
    backend.commit(&batch)
}

fn all(backend: &dyn Backend, keyspace: &str) -> Vec<String> {
    let pairs = backend.keyspace(keyspace).unwrap();
    let text = |(key, value): Pair| {
        format!("{}={}", String::from_utf8(key).unwrap(), String::from_utf8(value).unwrap())
    };
    pairs.range(Bound::Unbounded, Bound::Unbounded).map(|pair| text(pair.unwrap())).collect()
}

#[test]
fn a_kill_finds_the_rows_and_the_checkpoint_of_the_same_batch() {
    let disk = Arc::new(Disk::default());
    let backend = WriteBehind::new(disk.clone(), usize::MAX);
    for n in 1..=20 {
        let n = n.to_string();
        put(&backend, &[("counts", "hot", &n), ("checkpoints", "counts", &n)]).unwrap();
        if n == "15" {
            backend.write_down().unwrap();
        }
    }
    let found = |backend: &dyn Backend| (all(backend, "counts"), all(backend, "checkpoints"));
    let of = |n| (vec![format!("hot={n}")], vec![format!("counts={n}")]);
    assert_eq!(found(&backend), of(20));
    assert_eq!(found(&*disk), of(15), "what a kill leaves");
    assert_eq!(disk.batches.load(Ordering::Relaxed), 1, "a hot row goes down once");
}

#[test]
fn what_is_asked_to_be_on_the_disk_is_there() {
    type Ask = fn(&WriteBehind);
    let asks: [Ask; 4] = [
        |backend| backend.write_down().unwrap(),
        |backend| backend.persist().unwrap(),
        |backend| backend.seal().unwrap(),
        |backend| backend.drop_keyspace("other").unwrap(),
    ];
    for ask in asks {
        let disk = Arc::new(Disk::default());
        let backend = WriteBehind::new(disk.clone(), usize::MAX);
        put(&backend, &[("a", "k", "v")]).unwrap();
        assert!(all(&*disk, "a").is_empty() && backend.waiting_bytes() > 0);
        ask(&backend);
        assert_eq!((all(&*disk, "a"), backend.waiting_bytes()), (vec!["k=v".to_owned()], 0));
    }
}

#[test]
fn no_more_waits_than_may() {
    let disk = Arc::new(Disk::default());
    let backend = WriteBehind::new(disk.clone(), 1000);
    for n in 0..1000 {
        put(&backend, &[("a", &n.to_string(), "v")]).unwrap();
        assert!(backend.waiting_bytes() <= 1000);
    }
    let batches = disk.batches.load(Ordering::Relaxed);
    assert!((10..500).contains(&batches), "{batches}");
}

#[test]
fn what_a_full_disk_refuses_stays_is_told_and_goes_down_later() {
    let disk = Arc::new(Disk::default());
    let backend = WriteBehind::new(disk.clone(), usize::MAX);
    put(&backend, &[("a", "old", "1"), ("a", "both", "1")]).unwrap();
    disk.is_full.store(true, Ordering::Relaxed);
    assert!(backend.write_down().is_err());
    assert_eq!(all(&backend, "a"), ["both=1", "old=1"], "it can be read");
    assert!(put(&backend, &[("a", "both", "2")]).is_err(), "who commits next is told");
    assert_eq!(all(&backend, "a"), ["both=1", "old=1"], "of that nothing is seen");
    disk.is_full.store(false, Ordering::Relaxed);
    put(&backend, &[("a", "both", "2")]).unwrap();
    backend.write_down().unwrap();
    assert_eq!(all(&*disk, "a"), ["both=2", "old=1"]);
}

#[test]
fn a_batch_that_fills_the_memory_while_the_disk_is_full_is_taken_and_the_next_one_is_not() {
    let disk = Arc::new(Disk::default());
    let backend = WriteBehind::new(disk.clone(), 0);
    disk.is_full.store(true, Ordering::Relaxed);
    put(&backend, &[("a", "first", "1")]).unwrap();
    assert!(put(&backend, &[("a", "second", "1")]).is_err());
    assert_eq!(all(&backend, "a"), ["first=1"]);
    disk.is_full.store(false, Ordering::Relaxed);
    put(&backend, &[("a", "second", "1")]).unwrap();
    assert_eq!(all(&*disk, "a"), ["first=1", "second=1"]);
}

/// Readers, a writer and whoever writes down, at once: a counter that is read never goes back.
#[test]
fn rows_are_found_while_they_are_written_down() {
    const LAST: u32 = 20_000;
    let backend = WriteBehind::new(Arc::new(MemoryBackend::new()), usize::MAX);
    backend.keyspace("a").unwrap();
    put(&backend, &[("a", "n", "0")]).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                backend.write_down().unwrap();
            }
        });
        for way in ["get", "range"] {
            let (backend, is_over) = (&backend, &is_over);
            scope.spawn(move || {
                let keyspace = backend.keyspace("a").unwrap();
                let mut last = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let mut found = None;
                    let mut see = |bytes: &[u8]| {
                        found = std::str::from_utf8(bytes).unwrap().parse::<u32>().ok();
                    };
                    if way == "get" {
                        keyspace.get(b"n", &mut see).unwrap();
                    } else {
                        let pairs = keyspace.range(Bound::Unbounded, Bound::Unbounded);
                        pairs.for_each(|pair| see(&pair.unwrap().1));
                    }
                    let found = found.expect("the row is there");
                    assert!(found >= last, "{way}: {found} after {last}");
                    last = found;
                }
            });
        }
        for n in 1..=LAST {
            put(&backend, &[("a", "n", &n.to_string())]).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(all(&backend, "a"), [format!("n={LAST}")]);
}
