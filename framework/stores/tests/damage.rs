//! A damaged fjall database is refused as damaged, or is what the batches up to one left.
//!
//! The enumeration: a database after a clean stop, and one as a kill leaves it; each of its files
//! missing, cut to half, empty, and with one byte flipped at many places.
#![cfg(feature = "fjall")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oncestream_core::state::{Backend as _, BackendError, BatchOp, WriteBatch};
use oncestream_stores::{FjallBackend, FjallOptions};

const BATCHES: u64 = 120;
const KEYS: u64 = 37;
/// So many places of each file get a flipped byte.
const PLACES: usize = 6;

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// Writes out all memtables every so often.
fn options() -> FjallOptions {
    FjallOptions { max_journal_bytes: 5000, ..FjallOptions::default() }
}

/// Each batch changes two keys of the data and tells its number in another keyspace.
fn batch(number: u64) -> WriteBatch {
    let mut batch = WriteBatch::default();
    let value = [&number.to_be_bytes()[..], &[7; 40]].concat();
    batch.put("data", format!("key{}", number % KEYS).as_bytes(), &value);
    batch.put("data", format!("key{}", (number / 3) % KEYS).as_bytes(), &value);
    batch.put("checkpoints", b"data", &number.to_be_bytes());
    batch
}

fn state_after(batches: u64) -> State {
    let mut state = State::new();
    for number in 1..=batches {
        let batch = batch(number);
        for (keyspace, ops) in batch.sections() {
            if keyspace == "data" {
                state.extend(ops.map(|op| match op {
                    BatchOp::Put { key, value } => (key.to_vec(), value.to_vec()),
                    other => panic!("{other:?} is no put"),
                }));
            }
        }
    }
    state
}

/// Makes a database; with `sealed` it is stopped in order, else it is left as a kill leaves it.
fn make(dir: &Path, sealed: bool) {
    let live = tempfile::tempdir().unwrap();
    let at = if sealed { dir } else { live.path() };
    let backend = FjallBackend::open(at, &options()).unwrap();
    backend.keyspace("data").unwrap();
    backend.keyspace("checkpoints").unwrap();
    for number in 1..=BATCHES {
        backend.commit(&batch(number)).unwrap();
    }
    if sealed {
        backend.seal().unwrap();
    } else {
        backend.persist().unwrap();
        snapshot(at, dir);
    }
}

/// Copies a database that is open: again until the files stood still meanwhile, or the copy would
/// be of two moments.
fn snapshot(from: &Path, to: &Path) {
    let content = |dir: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        let names = files(dir).into_iter();
        let read = names.map(|f| (f.strip_prefix(dir).unwrap().to_owned(), fs::read(f)));
        // A file that goes while it is read makes the contents differ, too.
        read.map(|(name, bytes)| (name, bytes.unwrap_or_default())).collect()
    };
    for _ in 0..500 {
        let before = content(from);
        fs::remove_dir_all(to).unwrap();
        fs::create_dir_all(to.join("keyspaces")).unwrap();
        for (name, bytes) in &before {
            let target = to.join(name);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, bytes).unwrap();
        }
        if content(from) == before {
            return;
        }
    }
    panic!("the files never stood still");
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The files of a database that is not open: name, bytes up to the zeros at the end, length.
struct Original(Vec<(PathBuf, Vec<u8>, u64)>);

impl Original {
    fn make(sealed: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), sealed);
        Self::of(dir.path())
    }

    fn of(dir: &Path) -> Self {
        let files = files(dir).into_iter().map(|file| {
            let mut bytes = fs::read(&file).unwrap();
            let length = bytes.len() as u64;
            bytes.truncate(used(&bytes));
            (file.strip_prefix(dir).unwrap().to_owned(), bytes, length)
        });
        Self(files.collect())
    }

    fn journals(&self) -> impl Iterator<Item = &(PathBuf, Vec<u8>, u64)> {
        self.0.iter().filter(|(name, ..)| is_journal(name))
    }

    /// What a copy tells, one file of it damaged.
    fn read(&self, damage: Option<(&Path, Damage)>) -> Result<(u64, State), BackendError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes, length) in &self.0 {
            let target = dir.path().join(name);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            // A journal is mostly zeros in advance: they are left a hole.
            fs::write(&target, bytes).unwrap();
            File::options().write(true).open(&target).unwrap().set_len(*length).unwrap();
        }
        if let Some((name, damage)) = damage {
            apply(damage, &dir.path().join(name));
        }
        read(dir.path())
    }
}

fn is_journal(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "jnl")
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Missing,
    Half,
    Empty,
    Flip(usize),
}

fn apply(damage: Damage, path: &Path) {
    if matches!(damage, Damage::Missing) {
        return fs::remove_file(path).unwrap();
    }
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    match damage {
        Damage::Missing | Damage::Empty => file.set_len(0).unwrap(),
        Damage::Half => file.set_len(used(&fs::read(path).unwrap()) as u64 / 2).unwrap(),
        Damage::Flip(at) => {
            let mut byte = [0];
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.read_exact(&mut byte).unwrap();
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&[byte[0] ^ 0x55]).unwrap();
        }
    }
}

/// What a database tells: the number of its last batch and the data, or an error.
fn read(dir: &Path) -> Result<(u64, State), BackendError> {
    let backend = FjallBackend::open(dir, &FjallOptions::default())?;
    let mut last = 0;
    backend.keyspace("checkpoints")?.get(b"data", &mut |value| {
        last = u64::from_be_bytes(value.try_into().unwrap());
    })?;
    let data = backend.keyspace("data")?;
    let state: State = data.range(Bound::Unbounded, Bound::Unbounded).collect::<Result<_, _>>()?;
    for (key, wanted) in &state {
        let mut found = Vec::new();
        data.get(key, &mut |value| found = value.to_vec())?;
        assert_eq!(&found, wanted, "a look-up and a scan differ");
    }
    Ok((last, state))
}

/// How many bytes come before the zeros at the end.
fn used(bytes: &[u8]) -> usize {
    let pieces = bytes.len().div_ceil(4096);
    let last = (0..pieces).rev().find(|p| {
        let piece = &bytes[p * 4096..bytes.len().min((p + 1) * 4096)];
        piece != &[0; 4096][..piece.len()]
    });
    last.map_or(0, |p| {
        let end = bytes.len().min((p + 1) * 4096);
        bytes[..end].iter().rposition(|b| *b != 0).map_or(0, |at| at + 1)
    })
}

/// What has a checksum over all of it: lists of tables in use, and journals after a clean stop.
fn must_be_told(original: &Original, file: &Path, damage: Damage, sealed: bool) -> bool {
    let name = file.file_name().unwrap().to_str().unwrap();
    let in_use = || {
        let current = file.with_file_name("current");
        let (_, bytes, _) = original.0.iter().find(|(name, ..)| *name == current).unwrap();
        format!("v{}", u64::from_le_bytes(bytes[..8].try_into().unwrap()))
    };
    let list = name == "current" || name.starts_with('v') && name != "version" && name == in_use();
    matches!(damage, Damage::Flip(_)) && (list || is_journal(file) && sealed)
}

fn every_damage(sealed: bool) {
    let original = Original::make(sealed);
    let whole = original.read(None).expect("it is whole");
    assert_eq!(whole, (BATCHES, state_after(BATCHES)), "without any damage");
    let (mut refused, mut older, mut whole) = (0, 0, 0);
    for (name, bytes, _) in &original.0 {
        let length = bytes.len();
        let mut damages = vec![Damage::Missing, Damage::Half, Damage::Empty];
        let places = (0..PLACES).map(|n| n * length / PLACES + length / (2 * PLACES));
        damages.extend(places.filter(|at| *at < length).map(Damage::Flip));
        for damage in damages {
            match original.read(Some((name, damage))) {
                Err(e) if e.damaged => refused += 1,
                Err(e) => panic!("{damage:?} of {} is not told as damage: {e}", name.display()),
                Ok((last, state)) => {
                    assert!(
                        !must_be_told(&original, name, damage, sealed),
                        "{damage:?} of {} is not told",
                        name.display()
                    );
                    assert!(
                        state == state_after(last),
                        "{damage:?} of {}: wrong at {last}",
                        name.display()
                    );
                    if last < BATCHES { older += 1 } else { whole += 1 }
                }
            }
        }
    }
    println!("sealed {sealed}: {refused} refused, {older} older, {whole} whole");
    assert!(refused > 50, "{refused} refused");
    if sealed {
        // Only what lost everything looks new.
        assert_eq!(older, 0, "after a clean stop every loss is told");
    }
}

#[test]
fn after_a_clean_stop_every_damage_is_told_or_harmless() {
    every_damage(true);
}

#[test]
fn after_a_kill_every_damage_is_told_or_leaves_what_the_batches_up_to_one_made() {
    every_damage(false);
}

/// Opening, making and dropping keyspaces and writing tables out take sequence numbers, too.
#[test]
fn many_openings_leave_the_batches_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut number = 0;
    for round in 0..8 {
        let options = if round % 2 == 0 { options() } else { FjallOptions::default() };
        let backend = FjallBackend::open(dir.path(), &options).unwrap();
        backend.keyspace("data").unwrap();
        backend.keyspace("checkpoints").unwrap();
        for _ in 0..12 {
            let name = format!("round{round}-{number}");
            backend.keyspace(&name).unwrap();
            number += 1;
            backend.commit(&batch(number)).unwrap();
            backend.drop_keyspace(&name).unwrap();
        }
    }
    assert_eq!(read(dir.path()).unwrap(), (number, state_after(number)));
}

#[test]
fn batches_without_writes_are_not_missed_after_a_clean_stop() {
    let dir = tempfile::tempdir().unwrap();
    let backend = FjallBackend::open(dir.path(), &options()).unwrap();
    for _ in 0..3 {
        backend.commit(&WriteBatch::default()).unwrap();
    }
    backend.seal().unwrap();
    drop(backend);
    FjallBackend::open(dir.path(), &options()).unwrap();
}

#[test]
fn a_refused_batch_and_a_dropped_keyspace_are_not_missed_after_a_clean_stop() {
    let dir = tempfile::tempdir().unwrap();
    let backend = FjallBackend::open(dir.path(), &options()).unwrap();
    backend.keyspace("data").unwrap();
    backend.keyspace("gone").unwrap();
    let mut writes = WriteBatch::default();
    writes.put("data", b"k", b"v");
    backend.commit(&writes).unwrap();
    writes.clear();
    writes.put("gone", b"k", b"v");
    backend.commit(&writes).unwrap();
    backend.drop_keyspace("gone").unwrap();
    writes.clear();
    writes.put("data", &vec![1; 70_000], b"v");
    backend.commit(&writes).unwrap_err();
    backend.seal().unwrap();
    drop(backend);
    let backend = FjallBackend::open(dir.path(), &options()).unwrap();
    let data = backend.keyspace("data").unwrap();
    assert_eq!(data.range(Bound::Unbounded, Bound::Unbounded).count(), 1);
}

/// The checkpoint is in a table, the data it speaks of in the journal alone.
#[test]
fn a_lost_journal_is_told_where_the_checkpoint_is_newer_than_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let backend = FjallBackend::open(dir.path(), &FjallOptions::default()).unwrap();
    backend.keyspace("data").unwrap();
    backend.keyspace("checkpoints").unwrap();
    backend.commit(&batch(1)).unwrap();
    drop(backend);
    let tables =
        || files(dir.path()).iter().filter(|f| f.parent().unwrap().ends_with("tables")).count();
    let before = tables();
    // Only keyspaces that were opened are written out: this one, and the marks'.
    let options = FjallOptions { max_journal_bytes: 1, ..FjallOptions::default() };
    let backend = FjallBackend::open(dir.path(), &options).unwrap();
    backend.keyspace("checkpoints").unwrap();
    let mut other = WriteBatch::default();
    other.put("checkpoints", b"other", b"1");
    backend.commit(&other).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while tables() < before + 2 {
        assert!(Instant::now() < deadline, "nothing was written out");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(backend);
    assert_eq!(read(dir.path()).unwrap(), (1, state_after(1)), "without any damage");
    for file in files(dir.path()).iter().filter(|f| is_journal(f)) {
        fs::remove_file(file).unwrap();
    }
    let error = read(dir.path()).expect_err("the data are lost");
    assert!(error.damaged, "{error}");
    assert!(error.to_string().contains("of another age"), "{error}");
}

/// Where batches begin: a tag, how many writes in four bytes, the sequence number in eight.
fn heads(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len().saturating_sub(13))
        .filter(|at| bytes[*at] == 1 && (1..=9).contains(&bytes[at + 1]))
        .filter(|at| bytes[at + 2..at + 5] == [0; 3] && bytes[at + 7..at + 13] == [0; 6])
        .collect()
}

/// fjall has no checksum over a batch's sequence number, and the order of batches hangs on it.
fn every_flip_in_a_sequence_number(sealed: bool) {
    let original = Original::make(sealed);
    let (mut told, mut harmless) = (0, 0);
    for (name, bytes, _) in original.journals() {
        let heads = heads(bytes);
        let step = heads.len().div_ceil(12).max(1);
        for head in heads.iter().step_by(step).chain(heads.last()) {
            for byte in head + 5..head + 13 {
                match original.read(Some((name, Damage::Flip(byte)))) {
                    Err(e) if e.damaged => told += 1,
                    Err(e) => panic!("byte {byte} of {}: {e}", name.display()),
                    Ok(found) => {
                        let whole = (BATCHES, state_after(BATCHES));
                        assert!(!sealed && found == whole, "byte {byte} of {}", name.display());
                        harmless += 1;
                    }
                }
            }
        }
    }
    println!("sealed {sealed}: {told} told, {harmless} harmless");
    assert!(told > 80, "{told} told");
}

#[test]
fn after_a_clean_stop_a_flip_in_a_batchs_sequence_number_is_told() {
    every_flip_in_a_sequence_number(true);
}

#[test]
fn after_a_kill_a_flip_in_a_batchs_sequence_number_is_told_or_harmless() {
    every_flip_in_a_sequence_number(false);
}

/// A MiB that cannot be compressed: numbers of a linear congruential generator (Knuth's MMIX).
fn noise(seed: u32) -> Vec<u8> {
    let mut state = u64::from(seed);
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(1 << 20).collect()
}

/// A database with two journals, as a kill leaves it.
fn two_journals() -> Original {
    let live = tempfile::tempdir().unwrap();
    let options = FjallOptions { max_journal_bytes: 1 << 30, ..FjallOptions::default() };
    let backend = FjallBackend::open(live.path(), &options).unwrap();
    let write = |keyspace: &str, key: u32, value: &[u8]| {
        backend.keyspace(keyspace).unwrap();
        let mut writes = WriteBatch::default();
        writes.put(keyspace, &key.to_be_bytes(), value);
        backend.commit(&writes).unwrap();
    };
    let journals = || files(live.path()).into_iter().filter(|file| is_journal(file)).count();
    // It gets into no table, so the first journal stays.
    write("quiet", 1, b"v");
    for key in 1.. {
        write("data", key, &noise(key));
        if journals() == 2 {
            break;
        }
        assert!(key < 500, "no second journal");
    }
    write("quiet", 2, b"v");
    write("data", 0, b"v");
    backend.persist().unwrap();
    let original = tempfile::tempdir().unwrap();
    snapshot(live.path(), original.path());
    Original::of(original.path())
}

/// Where a journal makes no sense, fjall goes on with the next one.
#[test]
fn batches_that_are_missing_between_two_journals_are_told() {
    let original = two_journals();
    original.read(None).expect("it is whole");
    let (name, bytes, _) = original.journals().next().unwrap();
    let heads = heads(bytes);
    let (first, middle, last) = (heads[0], heads[heads.len() / 2], *heads.last().unwrap());
    let flips = [first, middle, last].map(Damage::Flip);
    for damage in flips.into_iter().chain([Damage::Half, Damage::Empty]) {
        let found = original.read(Some((name, damage))).map(|(_, data)| data.len());
        let is_told = found.as_ref().is_err_and(|error| error.damaged);
        assert!(is_told, "{damage:?} of {}: {found:?}", name.display());
    }
}
