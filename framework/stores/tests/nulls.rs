//! A typed store against a map that knows no nulls: whatever is written in whatever way, a null
//! is no entry; on memory and on disk, with a cache that keeps nothing, with several commits in
//! flight, after a crash, and after a restore from what the changelog holds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::Headers;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::serde::{DynSerde, HasSerde, I64Serde, Serde, SerdeError};
use oncestream_core::state::{
    Backend, CacheBudget, ChangelogTarget, KeyValueStore, StateStore, StoreInit, ValueAndTimestamp,
    WriteBatch,
};
use oncestream_core::task::{ChangelogId, Collector, Outgoing};
use oncestream_stores::MemoryBackend;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

const KEYSPACE: &str = "0_0-store";

type Key = Option<String>;
type Value = Option<i64>;
type Store = KeyValueStore<Key, Value>;
type Model = BTreeMap<String, i64>;

/// How a key is written.
#[derive(Debug, Clone, Copy)]
enum Way {
    Put,
    Update,
    UpdateCached,
}

#[derive(Debug, Clone)]
enum Step {
    Write(Way, String, Value),
    /// Reads keys that are not there, so that clean slots are thrown out.
    Evict,
    Seal,
    /// The oldest sealed writes are committed and applied.
    Apply,
    Crash,
    LoseDisk,
}

fn step() -> impl Strategy<Value = Step> {
    let way = prop_oneof![Just(Way::Put), Just(Way::Update), Just(Way::UpdateCached)];
    let key = prop_oneof![Just(""), Just("a"), Just("b"), Just("bb")].prop_map(str::to_owned);
    let value = proptest::option::of(0..5_i64);
    prop_oneof![
        10 => (way, key, value).prop_map(|(way, key, value)| Step::Write(way, key, value)),
        2 => Just(Step::Evict),
        3 => Just(Step::Seal),
        3 => Just(Step::Apply),
        1 => Just(Step::Crash),
        1 => Just(Step::LoseDisk),
    ]
}

/// A changelog record as bytes, with its time.
type Logged = (Vec<u8>, Option<Vec<u8>>, i64);

#[derive(Default)]
struct Log(Vec<Logged>);

impl Collector for Log {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), BoxError> {
        let key = record.key.expect("a changelog record has a key").to_vec();
        self.0.push((key, record.value.map(<[u8]>::to_vec), record.timestamp));
        Ok(())
    }

    fn partition_count(&mut self, _topic: &str) -> Result<i32, BoxError> {
        Ok(1)
    }
}

fn open<V: Clone>(backend: &dyn Backend, value: DynSerde<V>) -> KeyValueStore<Key, V> {
    let init = StoreInit {
        name: "store".into(),
        keyspace_name: KEYSPACE.into(),
        keyspace: backend.keyspace(KEYSPACE).unwrap(),
        changelog: Some(ChangelogTarget { topic: "log".into(), partition: 0, id: ChangelogId(0) }),
        serde_topic: "log".into(),
        budget: Rc::new(CacheBudget::new(1)),
    };
    KeyValueStore::new(init, Key::serde(), value)
}

/// What a seal took, and what the store holds once it is applied.
struct Sealed {
    batch: WriteBatch,
    records: Vec<Logged>,
    model: Model,
}

struct Run<'a> {
    backend: &'a dyn Backend,
    store: Store,
    model: Model,
    sealed: VecDeque<Sealed>,
    /// Keys written without being read, since the last seal.
    blind: BTreeSet<String>,
    log: Vec<Logged>,
    applied: Model,
}

impl<'a> Run<'a> {
    fn new(backend: &'a dyn Backend) -> Self {
        Self {
            backend,
            store: open(backend, Value::serde()),
            model: Model::new(),
            sealed: VecDeque::new(),
            blind: BTreeSet::new(),
            log: Vec::new(),
            applied: Model::new(),
        }
    }

    fn apply(&mut self, step: &Step) -> TestCaseResult {
        match step {
            Step::Write(way, key, value) => self.write(*way, key, *value)?,
            Step::Evict => {
                for n in 0..40 {
                    prop_assert_eq!(self.store.get(&Some(format!("absent-{n}"))).unwrap(), None);
                }
            }
            Step::Seal => self.seal()?,
            Step::Apply => {
                if let Some(Sealed { batch, records, model }) = self.sealed.pop_front() {
                    self.backend.commit(&batch).unwrap();
                    self.store.committed();
                    self.log.extend(records);
                    self.applied = model;
                }
            }
            Step::Crash => self.restart(),
            Step::LoseDisk => {
                self.backend.drop_keyspace(KEYSPACE).unwrap();
                self.restart();
                let mut batch = WriteBatch::default();
                for (key, value, timestamp) in &self.log {
                    self.store.restore(key, value.as_deref(), *timestamp, &mut batch).unwrap();
                }
                self.backend.commit(&batch).unwrap();
            }
        }
        self.check()
    }

    fn restart(&mut self) {
        self.store = open(self.backend, Value::serde());
        self.model = self.applied.clone();
        self.sealed.clear();
        self.blind.clear();
    }

    fn write(&mut self, way: Way, key: &str, value: Value) -> TestCaseResult {
        let before = self.model.get(key).copied();
        let owned = Some(key.to_owned());
        // A null comes as the store's own `None` or as a value that is one.
        let given = if value == Some(0) { None } else { Some(value) };
        let mut seen = None;
        let mut fold = |old: Option<ValueAndTimestamp<Value>>| {
            seen = Some(old.map(|old| old.value));
            (given, 1)
        };
        match way {
            Way::Put => {
                assert!(self.store.put(owned, given, 1).unwrap());
                self.blind.insert(key.to_owned());
            }
            Way::Update => {
                let update = self.store.update(&owned, true, fold).unwrap();
                prop_assert_eq!(update.old, before.map(Some));
                prop_assert_eq!(update.new, given.flatten().map(Some));
            }
            Way::UpdateCached => {
                let fold = |_: &Key, old| fold(old);
                self.store.update_cached(owned, true, 1, Headers::default(), fold).unwrap();
            }
        }
        if let Some(seen) = seen {
            prop_assert_eq!(seen, before.map(Some), "a null is not shown as an old value");
        }
        match given.flatten() {
            Some(value) => self.model.insert(key.to_owned(), value),
            None => self.model.remove(key),
        };
        Ok(())
    }

    fn seal(&mut self) -> TestCaseResult {
        for pending in self.store.take_pending() {
            let Some(emission) = self.store.emission(pending) else { continue };
            let now = emission.key.and_then(|key| self.model.get(&key).copied());
            prop_assert_eq!(emission.update.new, now.map(Some));
            prop_assert_ne!(emission.update.old, Some(None));
            prop_assert!(emission.update.old.is_some() || now.is_some(), "a key that never was");
        }
        let (mut log, mut batch) = (Log::default(), WriteBatch::default());
        self.store.seal(&mut log, &mut batch).unwrap();
        let below = self.sealed.back().map_or(&self.applied, |sealed| &sealed.model);
        for (key, value, _) in &log.0 {
            let key = std::str::from_utf8(key).unwrap();
            let known = below.contains_key(key) || self.blind.contains(key);
            prop_assert!(value.is_some() || known, "a tombstone for {key:?}, which never was");
        }
        self.blind.clear();
        self.sealed.push_back(Sealed { batch, records: log.0, model: self.model.clone() });
        Ok(())
    }

    fn check(&mut self) -> TestCaseResult {
        let expected: Vec<(Key, Value)> =
            self.model.iter().map(|(key, value)| (Some(key.clone()), Some(*value))).collect();
        let entry = |entry: Result<(Key, ValueAndTimestamp<Value>), TaskError>| {
            let (key, found) = entry.unwrap();
            (key, found.value)
        };
        let all: Vec<_> = self.store.all().unwrap().map(entry).collect();
        prop_assert_eq!(&all, &expected);
        let within = self.store.range(&Some("a".into()), &Some("b".into())).unwrap().map(entry);
        let a_to_b = |(key, _): &(Key, Value)| matches!(key.as_deref(), Some("a" | "b"));
        prop_assert!(within.eq(expected.into_iter().filter(a_to_b)));
        for key in ["", "a", "b", "bb"] {
            let found = self.store.get(&Some(key.to_owned())).unwrap().map(|found| found.value);
            prop_assert_eq!(found, self.model.get(key).copied().map(Some), "{}", key);
        }
        let refused = matches!(self.store.get(&None), Err(TaskError::NullKey { .. }));
        prop_assert!(refused, "a null key");
        Ok(())
    }
}

fn a_null_is_no_entry(cases: u32, backend: impl Fn() -> Arc<dyn Backend>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&vec(step(), 1..60), |steps| {
            let backend = backend();
            let mut run = Run::new(&*backend);
            steps.iter().try_for_each(|step| run.apply(step))
        })
        .unwrap();
}

#[test]
fn a_null_is_no_entry_of_a_store_in_memory() {
    a_null_is_no_entry(300, || Arc::new(MemoryBackend::new()));
}

#[cfg(feature = "fjall")]
#[test]
fn a_null_is_no_entry_of_a_store_on_fjall() {
    use oncestream_stores::{FjallBackend, FjallOptions};
    let dir = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    a_null_is_no_entry(8, || {
        next.set(next.get() + 1);
        let dir = dir.path().join(next.get().to_string());
        Arc::new(FjallBackend::open(&dir, &FjallOptions::default()).unwrap())
    });
}

/// Numbers, of which 0 is read as a null, as a format with a null of its own may.
struct ZeroIsNull;

impl Serde<i64> for ZeroIsNull {
    fn serialize(&self, value: &i64, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        I64Serde.serialize(value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<i64, SerdeError> {
        I64Serde.deserialize(bytes)
    }

    fn is_null(&self, value: &i64) -> bool {
        *value == 0
    }
}

#[test]
fn bytes_that_are_read_as_a_null_are_no_entry_and_can_be_deleted() {
    let backend = MemoryBackend::new();
    let commit = |store: &mut KeyValueStore<Key, i64>| {
        let (mut log, mut batch) = (Log::default(), WriteBatch::default());
        store.seal(&mut log, &mut batch).unwrap();
        backend.commit(&batch).unwrap();
        store.committed();
        log.0.len()
    };
    let key = Some("k".to_owned());
    let mut plain = open(&backend, i64::serde());
    plain.put(key.clone(), Some(0), 1).unwrap();
    commit(&mut plain);
    let mut store = open(&backend, Arc::new(ZeroIsNull) as DynSerde<i64>);
    assert_eq!(store.get(&key).unwrap(), None);
    assert_eq!(store.all().unwrap().count(), 0);
    store.update(&key, true, |old| (old.map(|old| old.value), 2)).unwrap();
    assert_eq!(commit(&mut store), 1, "there is something to delete");
    assert_eq!(open(&backend, i64::serde()).get(&key).unwrap(), None);
}
