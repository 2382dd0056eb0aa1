//! Kills a writer with SIGKILL at many moments and checks what it left.
//!
//! The writer is this test binary started again. It commits numbered batches, each over three
//! keyspaces and a `meta` keyspace with the batch's number: stores and their changelog offset. It
//! prints each number after its commit. What is found after a kill must be EXACTLY the result of
//! batches 1 to n, where n is the number in `meta`; with fjall, n is at least the last number
//! printed. The database lives on from kill to kill, so recovered databases are written and
//! killed too.
#![cfg(all(unix, any(feature = "fjall", feature = "sled")))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use oncestream_core::state::{Backend, WriteBatch};
use oncestream_stores::MemoryBackend;
use std::collections::BTreeMap;
use std::env;
use std::hint;
use std::io::{BufRead, BufReader, Write};
use std::ops::Bound;
use std::path::Path;
use std::process::{Command, Stdio};

const DIR: &str = "ONCESTREAM_CRASH_DIR";
const BACKEND: &str = "ONCESTREAM_CRASH_BACKEND";
const KILLS: &str = "ONCESTREAM_CRASH_KILLS";
const STORES: [&str; 3] = ["0_0-counts", "0_0-totals", "0_1-counts"];
const META: &str = "meta";
/// Made, written alone and dropped by the writer between its batches.
const SCRATCH: &str = "scratch";

type State = BTreeMap<(String, Vec<u8>), Vec<u8>>;
type Writes = Vec<(&'static str, Vec<u8>, Option<Vec<u8>>)>;

/// A number that looks random and is the same every time (splitmix64).
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The writes of one batch. Keys come from a small set, so batches overwrite and delete each
/// other's; every seventh batch is larger than the buffers of the backends' logs.
fn writes(number: u64) -> Writes {
    let count = if number.is_multiple_of(7) { 300 } else { 12 + mix(number) % 40 };
    let mut writes = Writes::new();
    for i in 0..count {
        let random = mix(number * 1_000 + i);
        let store = STORES[usize::try_from(i % 3).unwrap()];
        let key = format!("key-{}", random % 700).into_bytes();
        let deletes = (random >> 20).is_multiple_of(5);
        let value = (!deletes).then(|| {
            let mut value = format!("{number}/{i}/").into_bytes();
            value.resize(20 + usize::try_from((random >> 32) % 200).unwrap(), b'.');
            value
        });
        writes.push((store, key, value));
    }
    writes.push((META, b"batch".to_vec(), Some(number.to_be_bytes().to_vec())));
    writes
}

/// The range that a batch deletes before its writes: a tenth of a store's keys, more or less.
fn range(number: u64) -> Option<(&'static str, Vec<u8>, Vec<u8>)> {
    let (store, digit) = (STORES[usize::try_from(number % 3).unwrap()], number % 6 + 1);
    let key = |digit| format!("key-{digit}").into_bytes();
    number.is_multiple_of(5).then(|| (store, key(digit), key(digit + 1)))
}

/// The batch of this number, with these writes.
fn commit(backend: &dyn Backend, number: u64, writes: &Writes) {
    let mut batch = WriteBatch::default();
    if let Some((store, from, to)) = range(number) {
        batch.delete_range(store, &from, &to);
    }
    for (store, key, value) in writes {
        match value {
            Some(value) => batch.put(store, key, value),
            None => batch.delete(store, key),
        }
    }
    backend.commit(&batch).unwrap();
}

/// A keyspace comes and goes; the last batch is in it alone.
fn make_and_drop_scratch(backend: &dyn Backend) {
    backend.keyspace(SCRATCH).unwrap();
    let mut batch = WriteBatch::default();
    batch.put(SCRATCH, b"k", b"v");
    backend.commit(&batch).unwrap();
    backend.drop_keyspace(SCRATCH).unwrap();
}

fn open_keyspaces(backend: &dyn Backend) {
    for name in STORES.into_iter().chain([META]) {
        backend.keyspace(name).unwrap();
    }
}

fn state_of(backend: &dyn Backend) -> State {
    let mut state = State::new();
    for name in STORES.into_iter().chain([META]) {
        let keyspace = backend.keyspace(name).unwrap();
        for pair in keyspace.range(Bound::Unbounded, Bound::Unbounded) {
            let (key, value) = pair.unwrap();
            state.insert((name.to_owned(), key), value);
        }
    }
    state
}

/// The number of the last batch, from `meta`. 0 when there is none.
fn last_batch(state: &State) -> u64 {
    let number = state.get(&(META.to_owned(), b"batch".to_vec()));
    number.map_or(0, |bytes| u64::from_be_bytes(bytes.as_slice().try_into().unwrap()))
}

/// The state as it must be, moved on batch by batch.
#[derive(Default)]
struct Expected {
    state: State,
    number: u64,
}

impl Expected {
    fn advance_to(&mut self, number: u64) {
        while self.number < number {
            self.number += 1;
            if let Some((store, from, to)) = range(self.number) {
                self.state.retain(|(of, key), _| of != store || *key < from || *key >= to);
            }
            for (store, key, value) in writes(self.number) {
                let at = (store.to_owned(), key);
                match value {
                    Some(value) => self.state.insert(at, value),
                    None => self.state.remove(&at),
                };
            }
        }
    }

    /// Compares what was found with batches 1 to n, n being the number found in `meta`.
    fn verify(&mut self, found: &State) -> Result<u64, String> {
        let number = last_batch(found);
        if number < self.number {
            return Err(format!(
                "batch {} was there before, now {number} is the last",
                self.number
            ));
        }
        self.advance_to(number);
        for (at, value) in &self.state {
            if found.get(at) != Some(value) {
                return Err(format!("batch {number}: {at:?} is missing or another batch's"));
            }
        }
        match found.keys().find(|at| !self.state.contains_key(*at)) {
            Some(at) => Err(format!("batch {number}: {at:?} must not be there")),
            None => Ok(number),
        }
    }
}

fn open(backend: &str, dir: &Path) -> Box<dyn Backend> {
    match backend {
        #[cfg(feature = "fjall")]
        "fjall" => {
            // Small, so that kills meet memtables being written out and tables being merged.
            let options = oncestream_stores::FjallOptions {
                max_journal_bytes: 2 * 1024 * 1024,
                memtable_bytes: 256 * 1024,
                ..oncestream_stores::FjallOptions::default()
            };
            Box::new(oncestream_stores::FjallBackend::open(dir, &options).unwrap())
        }
        #[cfg(feature = "sled")]
        "sled" => {
            let options =
                oncestream_stores::SledOptions { flush_every_ms: 20, ..Default::default() };
            Box::new(oncestream_stores::SledBackend::open(dir, &options).unwrap())
        }
        other => panic!("no backend {other} in this build for {}", dir.display()),
    }
}

/// Not a test of its own: the process that is killed. Without its variables it does nothing.
#[test]
fn writer_until_killed() {
    let (Ok(dir), Ok(name)) = (env::var(DIR), env::var(BACKEND)) else { return };
    let backend = open(&name, Path::new(&dir));
    open_keyspaces(&*backend);
    let mut number = last_batch(&state_of(&*backend));
    let mut out = std::io::stdout();
    loop {
        number += 1;
        commit(&*backend, number, &writes(number));
        if number.is_multiple_of(3) {
            make_and_drop_scratch(&*backend);
        }
        // The parent is gone when it cannot be told.
        if writeln!(out, "\ncommitted {number}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// Starts a writer, kills it some commits and a short spin later, and gives the last number it
/// printed.
fn run_until_killed(backend: &str, dir: &Path, commits: usize, spin: u64) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["writer_until_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(BACKEND, backend)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut numbers = lines.filter_map(|line| line.strip_prefix("committed ")?.parse().ok());
    let last: u64 = numbers.by_ref().take(commits).last().expect("the writer came up");
    for step in 0..spin {
        hint::black_box(step);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it printed between the last line read and the kill.
    numbers.last().unwrap_or(last)
}

/// Kills and checks, on two databases after each other. `may_lose` says whether batches that were
/// printed may be missing.
fn survives_kills(backend: &str, may_lose: bool) {
    // More kills on one database, for long runs by hand.
    let kills = env::var(KILLS).map_or(6, |kills| kills.parse().unwrap());
    for database in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let mut expected = Expected::default();
        for kill in 0..kills {
            let commits = [1, 40, 3, 10, 120, 2][usize::try_from(kill % 6).unwrap()];
            let spin = mix(database * 1_000 + kill) % 2_000_000;
            let printed = run_until_killed(backend, dir.path(), commits, spin);
            let reopened = open(backend, dir.path());
            open_keyspaces(&*reopened);
            let number = expected.verify(&state_of(&*reopened)).unwrap();
            println!("{backend}: {printed} was printed before kill {kill}, {number} is there");
            assert!(may_lose || number >= printed, "{printed} was committed, {number} is left");
        }
        assert!(expected.number > 0, "no kill left a batch to look at");
    }
}

#[cfg(feature = "fjall")]
#[test]
fn fjall_keeps_every_committed_batch_whole_across_kills() {
    survives_kills("fjall", false);
}

#[cfg(feature = "sled")]
#[test]
fn sled_keeps_a_prefix_of_whole_batches_across_kills() {
    survives_kills("sled", true);
}

/// The control: the verifier sees what it is there to see.
#[test]
fn verifier_rejects_torn_states() {
    let last = 21;
    let whole = MemoryBackend::new();
    open_keyspaces(&whole);
    for number in 1..=last {
        commit(&whole, number, &writes(number));
    }
    assert_eq!(Expected::default().verify(&state_of(&whole)), Ok(last));

    // Each key the last batch put, missing; the state is otherwise whole.
    let state = state_of(&whole);
    let put = |(store, key): &(String, Vec<u8>)| {
        writes(last).iter().any(|(s, k, value)| s == store && k == key && value.is_some())
    };
    let of_last: Vec<_> = state.keys().filter(|at| at.0 != META && put(at)).cloned().collect();
    assert!(!of_last.is_empty());
    for at in of_last {
        let mut torn = state.clone();
        torn.remove(&at);
        assert!(Expected::default().verify(&torn).is_err(), "{at:?} is not missed");
    }

    // Its range, which was not applied.
    let kept = MemoryBackend::new();
    open_keyspaces(&kept);
    for number in 1..=20 {
        commit(&kept, if number == 20 { 1 } else { number }, &writes(number));
    }
    assert_eq!(range(1), None);
    assert!(Expected::default().verify(&state_of(&kept)).is_err());

    // The next batch without its number in meta.
    let mut beyond = writes(last + 1);
    beyond.retain(|(store, ..)| *store != META);
    commit(&whole, last + 1, &beyond);
    assert!(Expected::default().verify(&state_of(&whole)).is_err());

    // The number alone, ahead of the data.
    let ahead = MemoryBackend::new();
    open_keyspaces(&ahead);
    let mut only_meta = writes(1);
    only_meta.retain(|(store, ..)| *store == META);
    commit(&ahead, 1, &only_meta);
    assert!(Expected::default().verify(&state_of(&ahead)).is_err());
    // A state that went back behind what an earlier kill had left.
    let mut later = Expected::default();
    later.advance_to(last);
    assert!(later.verify(&State::new()).is_err());
}
