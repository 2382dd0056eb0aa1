//! Stores of every kind against a map: whatever is written, sealed, applied, evicted, expired, lost
//! and restored, a store tells what the map tells, in its order, forwards and backwards; on every
//! backend. The map of a window or session store is ordered and expires by arithmetic of its own.
//!
//! After each step another thread reads what is sealed over what is in the backend: it must see the
//! store as of the last seal.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod expiring;
mod formats;
mod key_values;
mod sessions;
mod versions;
mod windows;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;

use expiring::Expiring;
use key_values::KeyValues;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::state::{
    Backend, BackendError, BatchOp, CacheBudget, ChangelogTarget, Keyspace, Pair, SealedLayer,
    StateStore, StoreInit, ValueAndTimestamp, WriteBatch,
};
use oncestream_core::task::{ChangelogId, Collector, Outgoing};
use oncestream_stores::{MemoryBackend, WriteBehind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use sessions::Sessions;
use versions::Versions;
use windows::Windows;

const KEYSPACE: &str = "0_0-store";
const RETENTION_MS: i64 = 100_000;
const SEGMENT_MS: i64 = 60_000;
/// Beginnings of each other, zeros as in a time, and more 0xff than a time has.
const KEYS: [&[u8]; 7] = [b"", b"\0", &[0; 9], b"a", b"a\0", b"ab", &[0xff; 14]];

type Key = Vec<u8>;
type Found<V> = ValueAndTimestamp<V>;

#[derive(Debug, Clone)]
enum Step {
    /// A key by its place, a start, a value, and the time of the record.
    Write(usize, i64, Option<i64>, i64),
    /// Reads rows that are not there, so that clean slots are thrown out.
    Evict,
    Seal,
    /// The oldest sealed writes are committed and applied.
    Apply,
    /// What is not committed is lost.
    Crash,
    /// The oldest sealed writes are committed and not applied.
    CrashBeforeApply,
    LoseDisk,
}

fn start() -> impl Strategy<Value = i64> {
    let near = prop_oneof![4 => 0..4_i64, 4 => 3..10_i64, 1 => 8..40_i64];
    let by = prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(-1_i64)];
    (near, by).prop_map(|(near, by)| near * 20_000 + by)
}

fn step() -> impl Strategy<Value = Step> {
    let value = proptest::option::weighted(0.7, 0..9_i64);
    let write = (0..KEYS.len(), start(), value, 0..9_i64);
    prop_oneof![
        12 => write.prop_map(|(key, start, value, time)| Step::Write(key, start, value, time)),
        2 => Just(Step::Evict),
        3 => Just(Step::Seal),
        3 => Just(Step::Apply),
        1 => Just(Step::Crash),
        1 => Just(Step::CrashBeforeApply),
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

/// A kind of store, and what it must be.
trait Subject: Clone {
    type Store: StateStore;
    type Model: Clone + Default;

    fn open(&self, init: StoreInit) -> Self::Store;
    /// What a task does before a store that is open is used: its index, and the time that is committed.
    fn begin(&self, _store: &mut Self::Store, _backend: &dyn Backend, _committed: &Self::Model) {}
    fn write(
        &self,
        store: &mut Self::Store,
        model: &mut Self::Model,
        step: &Step,
    ) -> TestCaseResult;
    fn read_absent(&self, store: &mut Self::Store);
    fn check(&self, store: &mut Self::Store, model: &Self::Model) -> TestCaseResult;
}

fn collected<K, V>(
    entries: Result<impl Iterator<Item = Result<(K, Found<V>), TaskError>>, TaskError>,
) -> Vec<(K, Found<V>)> {
    entries.unwrap().map(Result::unwrap).collect()
}

/// Forwards it is `expected`, and backwards the same from its end.
macro_rules! check_both_ways {
    ($expected:expr, $forwards:expr, $backwards:expr, $($what:tt)*) => {{
        let mut expected = $expected;
        let forwards = collected($forwards);
        prop_assert_eq!(&forwards, &expected, $($what)*);
        expected.reverse();
        let backwards = collected($backwards);
        prop_assert_eq!(&backwards, &expected, $($what)*);
    }};
}
use check_both_ways;

/// What a seal took, and what the store holds once it is applied.
struct Sealed<M> {
    batch: WriteBatch,
    records: Vec<Logged>,
    model: M,
}

struct Run<'a, S: Subject> {
    subject: S,
    backend: &'a dyn Backend,
    cache_bytes: usize,
    store: S::Store,
    model: S::Model,
    sealed: VecDeque<Sealed<S::Model>>,
    log: Vec<Logged>,
    /// How many records of the changelog the backend has.
    checkpoint: usize,
    applied: S::Model,
    /// For the control: ask a store that knows nothing of what is not applied.
    without_overlay: bool,
}

fn init(backend: &dyn Backend, cache_bytes: usize) -> StoreInit {
    StoreInit {
        name: "store".into(),
        keyspace_name: KEYSPACE.into(),
        keyspace: backend.keyspace(KEYSPACE).unwrap(),
        changelog: Some(ChangelogTarget { topic: "log".into(), partition: 0, id: ChangelogId(0) }),
        serde_topic: "log".into(),
        budget: Rc::new(CacheBudget::new(cache_bytes)),
    }
}

impl<'a, S: Subject> Run<'a, S> {
    fn new(subject: S, backend: &'a dyn Backend, cache_bytes: usize) -> Self {
        let mut store = subject.open(init(backend, cache_bytes));
        subject.begin(&mut store, backend, &S::Model::default());
        Self {
            store,
            subject,
            backend,
            cache_bytes,
            model: S::Model::default(),
            sealed: VecDeque::new(),
            log: Vec::new(),
            checkpoint: 0,
            applied: S::Model::default(),
            without_overlay: false,
        }
    }

    fn step(&mut self, step: &Step) -> TestCaseResult {
        match step {
            Step::Write(..) => self.subject.write(&mut self.store, &mut self.model, step)?,
            Step::Evict => self.subject.read_absent(&mut self.store),
            Step::Seal => self.seal(),
            Step::Apply => self.apply(),
            Step::Crash => self.restart(),
            Step::CrashBeforeApply => {
                if let Some(Sealed { records, model, .. }) = self.sealed.pop_front() {
                    self.log.extend(records);
                    self.applied = model;
                }
                self.restart();
                self.restore();
            }
            Step::LoseDisk => {
                self.backend.drop_keyspace(KEYSPACE).unwrap();
                self.checkpoint = 0;
                self.restart();
                self.restore();
            }
        }
        if self.without_overlay {
            self.store = self.subject.open(init(self.backend, self.cache_bytes));
            self.sealed.clear();
        }
        self.subject.check(&mut self.store, &self.model)?;
        self.check_sealed()
    }

    fn seal(&mut self) {
        let (mut log, mut batch) = (Log::default(), WriteBatch::default());
        self.store.seal(&mut log, &mut batch).unwrap();
        self.sealed.push_back(Sealed { batch, records: log.0, model: self.model.clone() });
    }

    fn apply(&mut self) {
        if let Some(Sealed { batch, records, model }) = self.sealed.pop_front() {
            self.backend.commit(&batch).unwrap();
            self.store.committed();
            self.log.extend(records);
            self.checkpoint = self.log.len();
            self.applied = model;
        }
    }

    fn restart(&mut self) {
        self.store = self.subject.open(init(self.backend, self.cache_bytes));
        self.model = self.applied.clone();
        self.subject.begin(&mut self.store, self.backend, &self.model);
        self.sealed.clear();
    }

    /// In batches of a few records.
    fn restore(&mut self) {
        for records in self.log[self.checkpoint..].chunks(3) {
            let mut batch = WriteBatch::default();
            for (key, value, timestamp) in records {
                self.store.restore(key, value.as_deref(), *timestamp, &mut batch).unwrap();
            }
            self.backend.commit(&batch).unwrap();
        }
        self.checkpoint = self.log.len();
    }

    /// What another thread reads of the sealed layers and the backend is the store as of the last
    /// seal.
    fn check_sealed(&self) -> TestCaseResult {
        let Some(last) = self.sealed.back() else { return Ok(()) };
        let layers = self.store.sealed();
        let keyspace = self.backend.keyspace(KEYSPACE).unwrap();
        let read = || read_through(&*keyspace, &layers);
        let rows = std::thread::scope(|scope| scope.spawn(read).join().unwrap());
        let memory = MemoryBackend::new();
        let mut batch = WriteBatch::default();
        let mut copy = self.subject.open(init(&memory, self.cache_bytes));
        for (key, row) in &rows {
            batch.put(KEYSPACE, key, row);
        }
        memory.commit(&batch).unwrap();
        self.subject.begin(&mut copy, &memory, &last.model);
        self.subject.check(&mut copy, &last.model)
    }
}

fn read_through(keyspace: &dyn Keyspace, layers: &[Arc<SealedLayer>]) -> Vec<Pair> {
    let (open, mut rows) = (Bound::Unbounded, BTreeMap::new());
    for (key, row) in keyspace.range(open, open).map(Result::unwrap) {
        rows.insert(key, row);
    }
    for layer in layers {
        rows.retain(|key, _| !layer.is_expired(key));
        for (key, row) in layer.range(open, open) {
            assert_eq!(layer.get(key), Some(row));
            match row {
                Some(row) => rows.insert(key.to_vec(), row.to_vec()),
                None => rows.remove(key),
            };
        }
    }
    rows.into_iter().collect()
}

type Outcome = Result<(), String>;

fn run<S: Subject>(
    subject: &S,
    cases: u32,
    backend: impl Fn() -> Arc<dyn Backend>,
    without_overlay: bool,
) -> Outcome {
    // More cases, for long runs by hand.
    let cases = std::env::var("ONCESTREAM_CASES").map_or(cases, |cases| cases.parse().unwrap());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = (vec(step(), 1..60), prop_oneof![Just(1), Just(1 << 20)]);
    let outcome = TestRunner::new(config).run(&steps, |(steps, cache_bytes)| {
        let backend = backend();
        let mut run = Run::new(subject.clone(), &*backend, cache_bytes);
        run.without_overlay = without_overlay;
        steps.iter().try_for_each(|step| run.step(step))
    });
    outcome.map_err(|e| e.to_string())
}

/// Each kind on one backend.
fn tell_what_the_model_tells(cases: u32, backend: impl Fn() -> Arc<dyn Backend>) {
    run(&KeyValues, cases, &backend, false).unwrap();
    run(&Windows::new(false), cases, &backend, false).unwrap();
    run(&Windows::new(true), cases, &backend, false).unwrap();
    run(&Sessions::new(), cases, &backend, false).unwrap();
    run(&Expiring::new(), cases, &backend, false).unwrap();
    expiring::end_empty(cases, &backend).unwrap();
    expiring::may_be_given_a_time_to_live_later(&*backend());
    run(&Versions::new(), cases, &backend, false).unwrap();
    versions::end_with_the_newest(cases, &backend).unwrap();
}

fn memory() -> Arc<dyn Backend> {
    Arc::new(MemoryBackend::new())
}

#[test]
fn stores_in_memory_tell_what_the_model_tells() {
    tell_what_the_model_tells(100, memory);
}

#[test]
fn stores_whose_batches_wait_in_memory_tell_what_the_model_tells() {
    for max_bytes in [0, 300, 1 << 20] {
        tell_what_the_model_tells(40, || Arc::new(WriteBehind::new(memory(), max_bytes)));
    }
}

#[cfg(feature = "fjall")]
#[test]
fn stores_on_fjall_tell_what_the_model_tells() {
    use oncestream_stores::{FjallBackend, FjallOptions};
    let dir = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    tell_what_the_model_tells(6, || {
        next.set(next.get() + 1);
        let dir = dir.path().join(next.get().to_string());
        Arc::new(FjallBackend::open(&dir, &FjallOptions::default()).unwrap())
    });
}

#[cfg(feature = "sled")]
#[test]
fn stores_on_sled_tell_what_the_model_tells() {
    use oncestream_stores::{SledBackend, SledOptions};
    let dir = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    tell_what_the_model_tells(6, || {
        next.set(next.get() + 1);
        let dir = dir.path().join(next.get().to_string());
        Arc::new(SledBackend::open(&dir, &SledOptions::default()).unwrap())
    });
}

/// Memory whose ranges take a segment too many with them.
#[derive(Debug)]
struct Greedy(MemoryBackend);

impl Backend for Greedy {
    fn keyspace(&self, name: &str) -> Result<Arc<dyn Keyspace>, BackendError> {
        self.0.keyspace(name)
    }

    fn drop_keyspace(&self, name: &str) -> Result<(), BackendError> {
        self.0.drop_keyspace(name)
    }

    fn keyspace_names(&self) -> Vec<String> {
        self.0.keyspace_names()
    }

    fn commit(&self, batch: &WriteBatch) -> Result<(), BackendError> {
        let mut greedy = WriteBatch::default();
        for (keyspace, ops) in batch.sections() {
            for op in ops {
                match op {
                    BatchOp::Put { key, value } => greedy.put(keyspace, key, value),
                    BatchOp::Delete { key } => greedy.delete(keyspace, key),
                    BatchOp::DeleteRange { from, to } => {
                        let to = u64::from_be_bytes(to.try_into().unwrap()) + 1;
                        greedy.delete_range(keyspace, from, &to.to_be_bytes());
                    }
                }
            }
        }
        self.0.commit(&greedy)
    }

    fn persist(&self) -> Result<(), BackendError> {
        self.0.persist()
    }
}

/// A control ends with the first case that shows the bug; 200 drawn cases have missed one.
const CONTROL_CASES: u32 = 10_000;

/// The control: the model sees what it is there to see.
#[test]
fn the_model_sees_a_store_that_is_wrong() {
    let seen = |outcome: Outcome, bug| assert!(outcome.is_err(), "{bug} was not seen");
    seen(run(&KeyValues, CONTROL_CASES, memory, true), "a range that forgets the overlay");
    seen(
        run(&Windows::new(false), CONTROL_CASES, memory, true),
        "a fetch that forgets the overlay",
    );
    for duplicates in [false, true] {
        for retention_ms in [RETENTION_MS - 1, RETENTION_MS + 1] {
            let off_by_one = Windows { duplicates, retention_ms };
            seen(run(&off_by_one, CONTROL_CASES, memory, false), "an expiry off by one");
        }
        let greedy = || Arc::new(Greedy(MemoryBackend::new())) as Arc<dyn Backend>;
        seen(
            run(&Windows::new(duplicates), CONTROL_CASES, greedy, false),
            "a range that takes too much",
        );
    }
    for ttl_ms in [RETENTION_MS - 1, RETENTION_MS + 1] {
        seen(run(&Expiring { ttl_ms }, CONTROL_CASES, memory, false), "an expiry off by one");
    }
    seen(run(&Versions::new(), CONTROL_CASES, memory, true), "a look that forgets the overlay");
    for retention_ms in [RETENTION_MS - 1, RETENTION_MS + 1] {
        seen(run(&Versions { retention_ms }, CONTROL_CASES, memory, false), "a history off by one");
    }
    seen(run(&Sessions::new(), CONTROL_CASES, memory, true), "a find that forgets the overlay");
    for retention_ms in [RETENTION_MS - 1, RETENTION_MS + 1] {
        seen(run(&Sessions { retention_ms }, CONTROL_CASES, memory, false), "an expiry off by one");
    }
    let greedy = || Arc::new(Greedy(MemoryBackend::new())) as Arc<dyn Backend>;
    seen(run(&Sessions::new(), CONTROL_CASES, greedy, false), "a range that takes too much");
}
