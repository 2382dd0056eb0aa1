//! A healthy fjall database is never called damaged: that would throw all stores of an instance away.
//!
//! What it went through: keyspaces that were dropped with the last batch in them, kills in the
//! middle of a drop, files of a dropped keyspace left by a kill, rotated journals, and being open
//! elsewhere.
#![cfg(feature = "fjall")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use oncestream_core::state::{Backend as _, WriteBatch};
use oncestream_stores::{FjallBackend, FjallOptions};

/// Where batches end in a journal.
const BATCH_END: &[u8] = b"FJL\x03";

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn open(dir: &Path) -> FjallBackend {
    open_with(dir, &FjallOptions::default())
}

fn open_with(dir: &Path, options: &FjallOptions) -> FjallBackend {
    let backend = FjallBackend::open(dir, options).expect("it is healthy");
    backend.keyspace("kept").unwrap();
    backend
}

/// A batch that is in this keyspace alone.
fn put(backend: &FjallBackend, keyspace: &str, value: &[u8]) {
    backend.keyspace(keyspace).unwrap();
    let mut writes = WriteBatch::default();
    writes.put(keyspace, b"k", value);
    backend.commit(&writes).unwrap();
}

fn get(backend: &FjallBackend, keyspace: &str) -> Vec<u8> {
    let mut found = Vec::new();
    backend.keyspace(keyspace).unwrap().get(b"k", &mut |value| found = value.to_vec()).unwrap();
    found
}

/// The files below a directory where nobody writes.
fn contents(dir: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn restore(files: &Files) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let target = dir.path().join(name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, bytes).unwrap();
    }
    dir
}

/// Opens, writes and opens again, twice. The dropped keyspace is made anew.
fn goes_on(dir: &Path) {
    for round in [b"1", b"2"] {
        let backend = open(dir);
        put(&backend, "kept", round);
        put(&backend, "dropped", round);
        drop(backend);
        let backend = open(dir);
        assert_eq!(get(&backend, "kept"), round);
        assert_eq!(get(&backend, "dropped"), round);
    }
}

/// A database before and after a drop of the keyspace that has the last batch. Nothing is written
/// out, so its files change with the drop alone.
fn around_a_drop() -> (Files, Files) {
    let dir = tempfile::tempdir().unwrap();
    let backend = open(dir.path());
    put(&backend, "kept", b"old");
    put(&backend, "dropped", b"old");
    drop(backend);
    // Opened again, it has a journal without room taken in advance.
    let backend = open(dir.path());
    let before = contents(dir.path());
    backend.drop_keyspace("dropped").unwrap();
    (before, contents(dir.path()))
}

#[test]
fn a_drop_of_the_keyspace_with_the_last_batch_takes_no_number_with_it() {
    for sealed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let backend = open(dir.path());
        put(&backend, "kept", b"old");
        put(&backend, "dropped", b"old");
        backend.drop_keyspace("dropped").unwrap();
        if sealed {
            backend.seal().unwrap();
        }
        drop(backend);
        goes_on(dir.path());
    }
}

#[test]
fn a_kill_at_any_write_of_a_drop_leaves_a_healthy_database() {
    let journal = Path::new("0.jnl");
    let (before, after) = around_a_drop();
    let bytes = &after[journal];
    let start = before[journal].len();
    assert_eq!(before[journal], bytes[..start]);
    let ends = bytes.windows(BATCH_END.len()).enumerate().filter(|(_, at)| *at == BATCH_END);
    let cuts: Vec<usize> =
        ends.map(|(at, _)| at + BATCH_END.len()).filter(|at| *at >= start).collect();
    // After the change to fjall's table a number is taken, and the mark of the drop removed.
    let changed = cuts.len() - 3;
    assert!(changed >= 2, "{cuts:?}");
    for (nth, cut) in cuts.into_iter().enumerate() {
        let mut images = Vec::new();
        if nth <= changed {
            images.push(before.clone());
        }
        if nth >= changed {
            images.push(after.clone());
            // Its files go last.
            images.push(before.clone().into_iter().chain(after.clone()).collect());
        }
        for mut files in images {
            files.insert(journal.to_owned(), bytes[..cut].to_vec());
            goes_on(restore(&files).path());
        }
    }
}

/// fjall cuts the end off at the opening, and goes on behind it.
#[test]
fn a_kill_in_the_middle_of_a_write_leaves_a_healthy_database() {
    let journal = Path::new("0.jnl");
    let (before, after) = around_a_drop();
    let bytes = &after[journal];
    // In the first writes of the drop, with and without room taken in advance behind them.
    for cut in (before[journal].len()..bytes.len()).step_by(13).take(8) {
        for room in [0, 5000] {
            let mut files = before.clone();
            files.insert(journal.to_owned(), [&bytes[..cut], &vec![0; room]].concat());
            goes_on(restore(&files).path());
        }
    }
}

/// fjall removes them at the opening, in whatever order the folder lists them.
#[test]
fn a_kill_while_the_files_of_a_dropped_keyspace_are_removed_leaves_a_healthy_database() {
    let (before, after) = around_a_drop();
    let stale: Vec<&PathBuf> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    assert!(stale.iter().any(|name| name.ends_with("current")), "{stale:?}");
    for left in &stale {
        let mut files = after.clone();
        files.insert((*left).clone(), before[*left].clone());
        goes_on(restore(&files).path());
    }
}

#[test]
fn a_database_that_is_open_elsewhere_is_not_called_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    put(&first, "kept", b"1");
    // As if it were looked at while fjall replaces it.
    let current = dir.path().join("keyspaces/0/current");
    let bytes = fs::read(&current).unwrap();
    fs::write(&current, [0; 24]).unwrap();
    let error = FjallBackend::open(dir.path(), &FjallOptions::default()).unwrap_err();
    assert!(!error.damaged, "{error}");
    // Closed, it is judged again.
    drop(first);
    let error = FjallBackend::open(dir.path(), &FjallOptions::default()).unwrap_err();
    assert!(error.damaged, "{error}");
    fs::write(current, bytes).unwrap();
    assert_eq!(get(&open(dir.path()), "kept"), b"1");
}

/// Keyspaces are written out at different times, and a journal is rotated; the last batch before a
/// reopen is dropped with its keyspace.
#[test]
fn rotated_journals_and_keyspaces_that_come_and_go_leave_a_healthy_database() {
    let dir = tempfile::tempdir().unwrap();
    // Not to be compressed.
    let mut state = 7_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    let noise: Vec<u8> = noise.take(4 << 20).collect();
    for round in 0..6_u8 {
        let memtable_bytes = if round % 2 == 0 { 6 << 20 } else { 16 << 20 };
        let options = FjallOptions { memtable_bytes, ..FjallOptions::default() };
        let backend = open_with(dir.path(), &options);
        if round > 0 {
            assert_eq!(get(&backend, "kept"), [round - 1]);
        }
        for nth in 0..4 {
            put(&backend, ["a", "b"][nth % 2], &noise);
            put(&backend, ["passing", "other"][nth % 2], b"v");
        }
        // The fourth round fills the journal; a thread of fjall's rotates it when it writes out.
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut more = 0;
        while round == 3 && !dir.path().join("1.jnl").exists() {
            assert!(Instant::now() < deadline, "no journal was rotated after {more} more");
            put(&backend, "a", &noise);
            more += 1;
            // It is full: more of them would only keep that thread from its work.
            if more > 10 {
                thread::sleep(Duration::from_millis(10));
            }
        }
        backend.drop_keyspace("other").unwrap();
        put(&backend, "kept", &[round]);
        put(&backend, "passing", b"v");
        backend.drop_keyspace("passing").unwrap();
    }
    assert_eq!(get(&open(dir.path()), "kept"), [5]);
}
