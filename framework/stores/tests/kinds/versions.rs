//! Versioned stores, and a map by key and time; what they delete; and what a changelog keeps when it is
//! compacted.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use oncestream_core::serde::HasSerde;
use oncestream_core::state::{
    Backend, Pair, StateStore, StoreInit, Version, VersionPut, Versioned, VersionedStore,
    WriteBatch, index_keyspace,
};
use oncestream_stores::MemoryBackend;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

use super::{
    Found, KEYS, KEYSPACE, Key, Log, Logged, Outcome, RETENTION_MS, Run, Step, Subject, init, step,
};

/// Later than all steps, by more than a retention.
const FAR_MS: i64 = 100 * RETENTION_MS;

/// Versioned stores. The retention of the store itself may be wrong, for the control.
#[derive(Clone)]
pub(crate) struct Versions {
    pub(crate) retention_ms: i64,
}

impl Versions {
    pub(crate) fn new() -> Self {
        Self { retention_ms: RETENTION_MS }
    }
}

/// All that was ever put in time, deletions too, and the latest time.
#[derive(Clone)]
pub(crate) struct VersionModel {
    versions: BTreeMap<(Key, i64), Option<i64>>,
    time: i64,
}

impl Default for VersionModel {
    fn default() -> Self {
        Self { versions: BTreeMap::new(), time: -1 }
    }
}

impl VersionModel {
    fn horizon(&self) -> i64 {
        self.time.saturating_sub(RETENTION_MS)
    }

    fn of(&self, key: &[u8]) -> Vec<(i64, Option<i64>)> {
        let all = (key.to_vec(), i64::MIN)..=(key.to_vec(), i64::MAX);
        self.versions.range(all).map(|((_, from), value)| (*from, *value)).collect()
    }

    fn newest(&self, key: &[u8]) -> Option<Found<i64>> {
        let (timestamp, value) = *self.of(key).last()?;
        value.map(|value| Found { value, timestamp })
    }

    fn as_of(&self, key: &[u8], time: i64) -> Option<Found<i64>> {
        if time < self.horizon() {
            return self.newest(key).filter(|newest| newest.timestamp <= time);
        }
        let (timestamp, value) = *self.of(key).iter().rfind(|(from, _)| *from <= time)?;
        value.map(|value| Found { value, timestamp })
    }

    /// Those that the history reaches, and the newest.
    fn shown(&self, key: &[u8]) -> Vec<Version<i64>> {
        let all = self.of(key);
        let ends = all.iter().skip(1).map(|(from, _)| Some(*from)).chain([None]);
        let of = |((valid_from, value), valid_to): (&(i64, Option<i64>), Option<i64>)| {
            value.map(|value| Version { value, valid_from: *valid_from, valid_to })
        };
        let shown = all.iter().zip(ends).filter_map(of);
        shown.filter(|v| v.valid_to.is_none_or(|to| to > self.horizon())).collect()
    }

    fn between(&self, key: &[u8], from: i64, to: i64) -> Vec<Version<i64>> {
        let is_within = |v: &Version<i64>| {
            v.valid_from <= to && v.valid_to.is_none_or(|to| to > from.max(self.horizon()))
        };
        let mut shown = self.shown(key);
        if to < self.horizon() {
            shown.retain(|v| v.valid_to.is_none());
        }
        shown.into_iter().filter(is_within).collect()
    }
}

impl Subject for Versions {
    type Store = VersionedStore<Key, i64>;
    type Model = VersionModel;

    fn open(&self, init: StoreInit) -> Self::Store {
        let retention = Duration::from_millis(self.retention_ms.unsigned_abs());
        VersionedStore::of_kind(Versioned::new(retention), init, Key::serde(), i64::serde())
    }

    fn begin(&self, store: &mut Self::Store, backend: &dyn Backend, _committed: &Self::Model) {
        store.open_index(backend).unwrap();
    }

    fn write(
        &self,
        store: &mut Self::Store,
        model: &mut Self::Model,
        step: &Step,
    ) -> TestCaseResult {
        let Step::Write(key, time, value, by) = *step else { return Ok(()) };
        let (key, from) = (KEYS[key].to_vec(), time.max(0));
        let expected = match model.of(&key).last() {
            _ if from < model.horizon() => VersionPut::Expired,
            Some((newest, _)) if *newest > from => {
                let all = model.of(&key);
                let next = all.iter().find(|(next, _)| *next > from);
                VersionPut::Older { valid_to: next.expect("the newest").0 }
            }
            _ => VersionPut::Newest,
        };
        if value.is_none() && by % 2 == 0 {
            let deleted = store.delete_version(key.clone(), time).unwrap();
            let before = model.as_of(&key, from).filter(|_| expected != VersionPut::Expired);
            prop_assert_eq!(
                deleted.map(|v| (v.value, v.valid_from)),
                before.map(|f| (f.value, f.timestamp))
            );
        } else {
            prop_assert_eq!(store.put_version(key.clone(), value, time).unwrap(), expected);
        }
        if expected != VersionPut::Expired {
            model.versions.insert((key, from), value);
            model.time = model.time.max(from);
        }
        Ok(())
    }

    fn read_absent(&self, store: &mut Self::Store) {
        for n in 0..40_u8 {
            assert_eq!(store.newest(&vec![b'x', n]).unwrap(), None);
        }
    }

    fn check(&self, store: &mut Self::Store, model: &Self::Model) -> TestCaseResult {
        let horizon = model.horizon();
        let times = [-5, 20_000, 60_001, horizon - 1, horizon, model.time];
        for key in KEYS {
            let key = &key.to_vec();
            prop_assert_eq!(store.newest(key).unwrap(), model.newest(key));
            for time in times {
                let expected = model.as_of(key, time);
                prop_assert_eq!(
                    store.as_of(key, time).unwrap(),
                    expected.clone(),
                    "{:?} {}",
                    key,
                    time
                );
                let version = store.version_as_of(key, time).unwrap();
                let version = version.map(|v| Found { value: v.value, timestamp: v.valid_from });
                prop_assert_eq!(version, expected, "{:?} {}", key, time);
            }
            for (from, to) in
                [(0, 40_000), (i64::MIN, i64::MAX), (horizon, horizon), (70_000, 60_000)]
            {
                let expected = if from > to { Vec::new() } else { model.between(key, from, to) };
                prop_assert_eq!(
                    store.versions(key, from..=to).unwrap(),
                    expected,
                    "{} {}",
                    from,
                    to
                );
            }
        }
        let mut all = store.all_versions().unwrap();
        all.sort_by_key(|(key, version)| (key.clone(), version.valid_from));
        let mut keys = KEYS.map(<[u8]>::to_vec);
        keys.sort();
        let shown = keys
            .iter()
            .flat_map(|key| model.shown(key).into_iter().map(|version| (key.clone(), version)));
        prop_assert_eq!(all, shown.collect::<Vec<_>>());
        Ok(())
    }
}

fn rows_of(backend: &dyn Backend, keyspace: &str) -> Vec<Pair> {
    let keyspace = backend.keyspace(keyspace).unwrap();
    keyspace.range(Bound::Unbounded, Bound::Unbounded).map(Result::unwrap).collect()
}

/// Whatever was written, lost and restored: once all but the newest has expired, the rows come to the newest
/// value of each key with the next commits, and to the note.
pub(crate) fn end_with_the_newest(
    cases: u32,
    backend: impl Fn() -> std::sync::Arc<dyn Backend>,
) -> Outcome {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = (proptest::collection::vec(step(), 1..60), prop_oneof![Just(1), Just(1 << 20)]);
    let outcome = TestRunner::new(config).run(&steps, |(steps, cache_bytes)| {
        let backend = backend();
        let mut run = Run::new(Versions::new(), &*backend, cache_bytes);
        steps.iter().try_for_each(|step| run.step(step))?;
        for time in [FAR_MS, 2 * FAR_MS, 3 * FAR_MS] {
            run.step(&Step::Write(0, time, Some(1), 1))?;
            run.step(&Step::Seal)?;
            steps.iter().chain([&Step::Seal; 2]).try_for_each(|_| run.step(&Step::Apply))?;
        }
        let keys = KEYS.iter().filter(|key| run.model.newest(key).is_some()).count();
        // The last two versions of the key that moves the time: a version is looked at when the next one
        // has expired.
        let rows = rows_of(&*backend, KEYSPACE);
        prop_assert!(rows.len() <= keys + 2, "{} keys and {:?}", keys, rows);
        let index = rows_of(&*backend, &index_keyspace(KEYSPACE)).len();
        prop_assert!(index <= 3, "an index of {}", index);
        Ok(())
    });
    outcome.map_err(|e| e.to_string())
}

fn open(backend: &dyn Backend) -> VersionedStore<Key, i64> {
    let mut store = Versions::new().open(init(backend, 1));
    store.open_index(backend).unwrap();
    store
}

fn commit(store: &mut VersionedStore<Key, i64>, backend: &dyn Backend) -> Vec<Logged> {
    let (mut log, mut batch) = (Log::default(), WriteBatch::default());
    store.seal(&mut log, &mut batch).unwrap();
    backend.commit(&batch).unwrap();
    store.committed();
    log.0
}

fn restored(log: &[Logged], backend: &dyn Backend) -> VersionedStore<Key, i64> {
    let mut store = open(backend);
    let mut batch = WriteBatch::default();
    for (key, value, time) in log {
        store.restore(key, value.as_deref(), *time, &mut batch).unwrap();
    }
    backend.commit(&batch).unwrap();
    drop(store);
    open(backend)
}

/// The last record of each key.
fn compacted(log: &[Logged]) -> Vec<Logged> {
    let is_last = |at: &usize| !log[at + 1..].iter().any(|(key, ..)| *key == log[*at].0);
    (0..log.len()).filter(is_last).map(|at| log[at].clone()).collect()
}

#[test]
fn a_compacted_changelog_has_the_newest_version_of_each_key() {
    let steps = proptest::collection::vec(step(), 1..80);
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let backend = MemoryBackend::new();
        let mut run = Run::new(Versions::new(), &backend, 1);
        steps.iter().try_for_each(|step| run.step(step))?;
        run.step(&Step::Seal)?;
        steps.iter().chain([&Step::Seal; 2]).try_for_each(|_| run.step(&Step::Apply))?;
        let copy = MemoryBackend::new();
        let mut store = restored(&compacted(&run.log), &copy);
        for key in KEYS {
            prop_assert_eq!(store.newest(&key.to_vec()).unwrap(), run.model.newest(key));
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_restore_makes_the_same_rows_in_any_order_of_one_retention() {
    let backend = MemoryBackend::new();
    let mut store = open(&backend);
    let mut log = Vec::new();
    for time in [50_000, 10_000, 90_000, 30_000, 0, 70_000] {
        let value = (time != 30_000).then_some(time);
        store.put_version(b"k".to_vec(), value, time).unwrap();
        log.extend(commit(&mut store, &backend));
    }
    let rows = rows_of(&backend, KEYSPACE);
    for turn in 0..log.len() {
        let copy = MemoryBackend::new();
        log.rotate_left(1);
        let store = restored(&log, &copy);
        assert_eq!(rows_of(&copy, KEYSPACE), rows, "turned by {turn}");
        let shown = store.shown(&*copy.keyspace(KEYSPACE).unwrap()).unwrap();
        assert_eq!(shown.len(), 6, "a deletion counts, because older versions may come");
    }
}

#[test]
fn copies_that_deleted_more_or_less_show_the_same() {
    let (first, second) = (MemoryBackend::new(), MemoryBackend::new());
    let mut store = open(&first);
    let mut log = Vec::new();
    for (key, value, time) in [
        ("gone", Some(1), 0),
        ("gone", None, 10_000),
        ("k", Some(1), 0),
        ("k", Some(2), 20_000),
        ("k", Some(3), 90_000),
        ("later", Some(4), 300_000),
        ("later", Some(5), 301_000),
    ] {
        store.put_version(key.into(), value, time).unwrap();
        log.extend(commit(&mut store, &first));
    }
    let copy = restored(&log, &second);
    let (few, all) = (rows_of(&first, KEYSPACE), rows_of(&second, KEYSPACE));
    assert!(few.len() < all.len(), "{} and {}", few.len(), all.len());
    let shown = |backend: &MemoryBackend| {
        let keyspace = backend.keyspace(KEYSPACE).unwrap();
        copy.shown(&*keyspace).unwrap()
    };
    assert_eq!(shown(&first), shown(&second));
    assert_eq!(shown(&first).len(), 3);
}

#[test]
fn a_version_behind_a_newer_one_tells_of_that_again_once_for_each_commit() {
    let backend = MemoryBackend::new();
    let mut store = open(&backend);
    let mut put = |times: &[i64]| {
        for time in times {
            store.put_version(b"k".to_vec(), Some(*time), *time).unwrap();
        }
        let log = commit(&mut store, &backend);
        log.into_iter().map(|(_, _, time)| time).collect::<Vec<_>>()
    };
    assert_eq!(put(&[5, 9]), [5, 9]);
    assert_eq!(put(&[7]), [7, 9], "it was committed before");
    assert_eq!(put(&[20, 15, 16]), [20, 15, 16, 20], "it was written before");
    assert_eq!(put(&[15, 17, 25]), [15, 20, 17, 20, 25]);
    assert_eq!(put(&[30, 29, 31, 28]), [30, 29, 30, 31, 28, 31]);
}

#[test]
fn a_time_before_1970_is_0_also_for_what_a_deletion_gives() {
    let mut store = open(&MemoryBackend::new());
    store.put_version(b"k".to_vec(), Some(7), -1).unwrap();
    let deleted = store.delete_version(b"k".to_vec(), -1).unwrap();
    assert_eq!(deleted.map(|version| (version.value, version.valid_from)), Some((7, 0)));
    assert_eq!(store.newest(&b"k".to_vec()).unwrap(), None);
}
