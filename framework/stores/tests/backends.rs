//! One suite for every backend: random sequences of operations against a map that models them.
//!
//! The model is one `BTreeMap` over (keyspace, key) and shares no code with a backend. Disk
//! backends are also closed and opened in the middle. Keys are short and of few bytes, so that
//! they meet: prefixes of each other, zeros, 0xff and the empty key.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use oncestream_core::state::{Backend, Keyspace, MAX_KEY_BYTES, Pair, WriteBatch};
use oncestream_stores::{MemoryBackend, WriteBehind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

type Key = Vec<u8>;
type Model = BTreeMap<(String, Key), Vec<u8>>;

const KEYSPACES: [&str; 4] = ["a", "ab", "0_1-counts", "b"];

#[derive(Debug, Clone)]
enum Write {
    Put(Key, Vec<u8>),
    Delete(Key),
    DeleteRange(Key, Key),
}

#[derive(Debug, Clone)]
enum Step {
    Open(usize),
    Commit(Vec<(usize, Write)>),
    Get(usize, Key),
    Range { keyspace: usize, from: Bound<Key>, to: Bound<Key> },
    Drop(usize),
    Persist,
    Reopen,
}

fn key() -> impl Strategy<Value = Key> {
    let byte = prop_oneof![Just(0_u8), Just(1), Just(b'k'), Just(0xff)];
    vec(byte, 0..4)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(any::<u8>(), 0..20), 1 => any::<u8>().prop_map(|b| [b; 5000].to_vec())]
}

fn bound() -> impl Strategy<Value = Bound<Key>> {
    prop_oneof![
        2 => key().prop_map(Bound::Included),
        2 => key().prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let keyspace = 0..KEYSPACES.len();
    let write = prop_oneof![
        14 => (key(), value()).prop_map(|(key, value)| Write::Put(key, value)),
        6 => key().prop_map(Write::Delete),
        1 => (key(), key()).prop_map(|(from, to)| Write::DeleteRange(from, to)),
    ];
    let write = (keyspace.clone(), write);
    prop_oneof![
        2 => keyspace.clone().prop_map(Step::Open),
        8 => vec(write, 0..20).prop_map(Step::Commit),
        4 => (keyspace.clone(), key()).prop_map(|(k, key)| Step::Get(k, key)),
        8 => (keyspace.clone(), bound(), bound())
            .prop_map(|(keyspace, from, to)| Step::Range { keyspace, from, to }),
        2 => keyspace.prop_map(Step::Drop),
        1 => Just(Step::Persist),
        1 => Just(Step::Reopen),
    ]
}

/// A backend under test, with what is known of it.
struct Subject<'a> {
    /// Opens the backend again; `None` if it does not outlive its process.
    reopen: Option<&'a dyn Fn() -> Box<dyn Backend>>,
    backend: Option<Box<dyn Backend>>,
    model: Model,
    names: BTreeSet<String>,
}

impl Subject<'_> {
    fn backend(&self) -> &dyn Backend {
        self.backend.as_deref().unwrap()
    }

    fn open(&mut self, keyspace: usize) -> std::sync::Arc<dyn Keyspace> {
        self.names.insert(KEYSPACES[keyspace].to_owned());
        self.backend().keyspace(KEYSPACES[keyspace]).unwrap()
    }

    fn step(&mut self, step: &Step) -> TestCaseResult {
        match step {
            Step::Open(keyspace) => drop(self.open(*keyspace)),
            Step::Commit(writes) => self.commit(writes),
            Step::Get(keyspace, key) => {
                let mut found = Vec::new();
                let read = |value: &[u8]| found.push(value.to_vec());
                self.open(*keyspace).get(key, &mut { read }).unwrap();
                let expected = self.model.get(&(KEYSPACES[*keyspace].to_owned(), key.clone()));
                prop_assert_eq!(found, expected.into_iter().cloned().collect::<Vec<_>>());
            }
            Step::Range { keyspace, from, to } => self.check_range(*keyspace, from, to)?,
            Step::Drop(keyspace) => {
                let name = KEYSPACES[*keyspace];
                self.backend().drop_keyspace(name).unwrap();
                self.model.retain(|(of, _), _| of != name);
                self.names.remove(name);
            }
            Step::Persist => self.backend().persist().unwrap(),
            Step::Reopen => {
                if let Some(reopen) = self.reopen {
                    // The old one first: a database is open once.
                    self.backend = None;
                    self.backend = Some(reopen());
                }
                self.check_everything()?;
            }
        }
        let names: BTreeSet<String> = self.backend().keyspace_names().into_iter().collect();
        prop_assert_eq!(&names, &self.names);
        Ok(())
    }

    fn commit(&mut self, writes: &[(usize, Write)]) {
        let mut batch = WriteBatch::default();
        for (keyspace, write) in writes {
            self.open(*keyspace);
            let name = KEYSPACES[*keyspace];
            match write {
                Write::Put(key, value) => {
                    batch.put(name, key, value);
                    self.model.insert((name.to_owned(), key.clone()), value.clone());
                }
                Write::Delete(key) => {
                    batch.delete(name, key);
                    self.model.remove(&(name.to_owned(), key.clone()));
                }
                Write::DeleteRange(from, to) => {
                    batch.delete_range(name, from, to);
                    self.model.retain(|(of, key), _| of != name || key < from || key >= to);
                }
            }
        }
        self.backend().commit(&batch).unwrap();
    }

    fn check_range(
        &mut self,
        keyspace: usize,
        from: &Bound<Key>,
        to: &Bound<Key>,
    ) -> TestCaseResult {
        let after_from = |key: &Key| match from {
            Bound::Included(from) => key >= from,
            Bound::Excluded(from) => key > from,
            Bound::Unbounded => true,
        };
        let before_to = |key: &Key| match to {
            Bound::Included(to) => key <= to,
            Bound::Excluded(to) => key < to,
            Bound::Unbounded => true,
        };
        let mut expected: Vec<Pair> = self
            .model
            .iter()
            .filter(|((name, key), _)| {
                name == KEYSPACES[keyspace] && after_from(key) && before_to(key)
            })
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        let keyspace = self.open(keyspace);
        let (from, to) = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        let forward: Vec<Pair> = keyspace.range(from, to).map(Result::unwrap).collect();
        prop_assert_eq!(&forward, &expected);
        expected.reverse();
        let backward: Vec<Pair> = keyspace.range_rev(from, to).map(Result::unwrap).collect();
        prop_assert_eq!(&backward, &expected);
        Ok(())
    }

    fn check_everything(&mut self) -> TestCaseResult {
        for keyspace in 0..KEYSPACES.len() {
            self.check_range(keyspace, &Bound::Unbounded, &Bound::Unbounded)?;
        }
        Ok(())
    }
}

/// Runs random steps on fresh backends, and checks all of the state at the end of each run.
fn behaves_like_the_model(cases: u32, open: impl Fn(&Path) -> Box<dyn Backend>, outlives: bool) {
    // More cases, for long runs by hand.
    let cases = std::env::var("ONCESTREAM_CASES").map_or(cases, |cases| cases.parse().unwrap());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = vec(step(), 1..40);
    TestRunner::new(config)
        .run(&steps, |steps| {
            let dir = tempfile::tempdir().unwrap();
            let reopen = || open(dir.path());
            let mut subject = Subject {
                reopen: outlives.then_some(&reopen as &dyn Fn() -> Box<dyn Backend>),
                backend: Some(reopen()),
                model: Model::new(),
                names: BTreeSet::new(),
            };
            for step in &steps {
                subject.step(step)?;
            }
            subject.step(&Step::Reopen)
        })
        .unwrap();
}

/// Things the random runs are too small for, or that have one right answer.
/// One limit for all backends; of zeros too, of which fjall's backend makes longer ones.
fn takes_the_largest_key_and_no_larger_one(backend: &dyn Backend) {
    let keyspace = backend.keyspace("large").unwrap();
    let open = Bound::Unbounded;
    for byte in [0, 1, 0xff] {
        let (largest, larger) = (vec![byte; MAX_KEY_BYTES], vec![byte; MAX_KEY_BYTES + 1]);
        for (key, taken) in [(&largest, true), (&larger, false)] {
            let mut batch = WriteBatch::default();
            batch.put("large", key, b"v");
            assert_eq!(backend.commit(&batch).is_ok(), taken, "{} of {byte}", key.len());
            let mut found = 0;
            keyspace.get(key, &mut |_| found += 1).unwrap();
            assert_eq!(found, usize::from(taken), "{} of {byte}", key.len());
        }
        // A larger key, of any length, stands behind the largest one that it begins with.
        for larger in [larger, vec![byte; 1 << 20]] {
            for (from, to, found) in [
                (open, Bound::Included(&larger[..]), 1),
                (open, Bound::Excluded(&larger[..]), 1),
                (Bound::Included(&larger[..]), open, 0),
                (Bound::Excluded(&larger[..]), open, 0),
                (Bound::Included(&larger[..]), Bound::Included(&larger[..]), 0),
            ] {
                let count = keyspace.range(from, to).map(Result::unwrap).count();
                assert_eq!(count, found, "{byte} {}", larger.len());
                assert_eq!(keyspace.range_rev(from, to).count(), found, "{byte} {}", larger.len());
            }
        }
        let mut batch = WriteBatch::default();
        batch.delete("large", &largest);
        backend.commit(&batch).unwrap();
    }
}

fn keeps_the_small_print(backend: &dyn Backend) {
    let refused = {
        let mut batch = WriteBatch::default();
        batch.put("never opened", b"k", b"v");
        backend.commit(&batch)
    };
    assert!(refused.is_err(), "a keyspace that was not opened must be refused");

    let keyspace = backend.keyspace("many").unwrap();
    let mut batch = WriteBatch::default();
    for number in 0..10_000_u32 {
        batch.put("many", &number.to_be_bytes(), &number.to_le_bytes());
    }
    batch.put_parts("many", b"parts", &[b"one", b"", b"two"]);
    backend.commit(&batch).unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let forward: Vec<Pair> = keyspace.range(all.0, all.1).map(Result::unwrap).collect();
    assert_eq!(forward.len(), 10_001);
    assert!(forward.is_sorted());
    let mut backward: Vec<Pair> = keyspace.range_rev(all.0, all.1).map(Result::unwrap).collect();
    backward.reverse();
    assert_eq!(forward, backward);

    // A batch with one bad section leaves nothing of the good one.
    let mut batch = WriteBatch::default();
    batch.put("many", b"good", b"1");
    batch.put("dropped", b"bad", b"1");
    backend.keyspace("dropped").unwrap();
    backend.drop_keyspace("dropped").unwrap();
    assert!(backend.commit(&batch).is_err());
    keyspace.get(b"good", &mut |_| panic!("half a batch was applied")).unwrap();

    takes_the_largest_key_and_no_larger_one(backend);

    // A range may be read while its keyspace is written.
    let mut seen = 0;
    for pair in keyspace.range(all.0, all.1) {
        let (key, _) = pair.unwrap();
        let mut batch = WriteBatch::default();
        batch.delete("many", &key);
        backend.commit(&batch).unwrap();
        seen += 1;
        if seen == 1_000 {
            break;
        }
    }
    assert_eq!(keyspace.range(all.0, all.1).count(), 9_001);
}

#[test]
fn memory_behaves_like_the_model() {
    behaves_like_the_model(300, |_| Box::new(MemoryBackend::new()), false);
}

#[test]
fn memory_keeps_the_small_print() {
    keeps_the_small_print(&MemoryBackend::new());
}

/// Bounds of which the first lets nothing wait, and the last everything.
#[test]
fn batches_that_wait_in_memory_behave_like_the_model() {
    for max_bytes in [0, 300, 1 << 30] {
        let open = |_: &Path| {
            let inner = Arc::new(MemoryBackend::new());
            Box::new(WriteBehind::new(inner, max_bytes)) as Box<dyn Backend>
        };
        behaves_like_the_model(150, open, false);
    }
}

#[test]
fn batches_that_wait_in_memory_keep_the_small_print() {
    for max_bytes in [0, 1000, 1 << 30] {
        keeps_the_small_print(&WriteBehind::new(Arc::new(MemoryBackend::new()), max_bytes));
    }
}

#[cfg(feature = "fjall")]
mod fjall {
    use super::*;
    use oncestream_stores::{FjallBackend, FjallOptions};

    fn open(dir: &Path, options: &FjallOptions) -> Box<dyn Backend> {
        Box::new(FjallBackend::open(dir, options).unwrap())
    }

    #[test]
    fn fjall_behaves_like_the_model() {
        behaves_like_the_model(16, |dir| open(dir, &FjallOptions::default()), true);
    }

    /// Memtables of a few hundred bytes, so that reads and reopens meet tables and compactions.
    #[test]
    fn fjall_behaves_like_the_model_when_memtables_are_written_out_all_the_time() {
        let options =
            FjallOptions { max_journal_bytes: 300, memtable_bytes: 200, ..FjallOptions::default() };
        behaves_like_the_model(16, |dir| open(dir, &options), true);
    }

    /// fjall gave the number of a dropped keyspace again, and then lost the new keyspace.
    #[test]
    fn a_fjall_keyspace_made_after_a_drop_and_a_reopen_is_there_at_the_next_reopen() {
        let dir = tempfile::tempdir().unwrap();
        let backend = open(dir.path(), &FjallOptions::default());
        backend.keyspace("kept").unwrap();
        backend.keyspace("dropped").unwrap();
        backend.drop_keyspace("dropped").unwrap();
        drop(backend);
        let backend = open(dir.path(), &FjallOptions::default());
        backend.keyspace("new").unwrap();
        let mut batch = WriteBatch::default();
        batch.put("new", b"k", b"v");
        backend.commit(&batch).unwrap();
        drop(backend);
        let backend = open(dir.path(), &FjallOptions::default());
        let mut found = 0;
        backend.keyspace("new").unwrap().get(b"k", &mut |_| found += 1).unwrap();
        assert_eq!(found, 1);
    }

    #[test]
    fn fjall_keeps_the_small_print() {
        let dir = tempfile::tempdir().unwrap();
        keeps_the_small_print(&*open(dir.path(), &FjallOptions::default()));
    }

    #[test]
    fn fjall_refuses_what_it_cannot_store_and_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let backend = open(dir.path(), &FjallOptions::default());
        assert!(backend.keyspace("").is_err());
        assert!(backend.keyspace(&"n".repeat(256)).is_err());
        assert!(backend.keyspace("\0sequence").is_err());
        let keyspace = backend.keyspace("k").unwrap();
        let mut batch = WriteBatch::default();
        batch.put("k", b"good", b"1");
        batch.put("k", &vec![1; 65_536], b"too long");
        assert!(backend.commit(&batch).is_err());
        keyspace.get(b"good", &mut |_| panic!("half a batch was applied")).unwrap();
    }

    #[test]
    fn a_second_fjall_on_the_same_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = open(dir.path(), &FjallOptions::default());
        assert!(FjallBackend::open(dir.path(), &FjallOptions::default()).is_err());
    }
}

#[cfg(feature = "sled")]
mod sled {
    use super::*;
    use oncestream_stores::{SledBackend, SledOptions};

    fn open(dir: &Path) -> Box<dyn Backend> {
        Box::new(SledBackend::open(dir, &SledOptions::default()).unwrap())
    }

    #[test]
    fn sled_behaves_like_the_model() {
        behaves_like_the_model(16, open, true);
    }

    #[test]
    fn sled_keeps_the_small_print() {
        let dir = tempfile::tempdir().unwrap();
        keeps_the_small_print(&*open(dir.path()));
    }
}
