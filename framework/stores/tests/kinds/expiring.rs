//! Key-value stores with a time to live: a map by key that expires by arithmetic; what they delete, how much
//! with each commit; and what is there before they have a time to live, and after.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::serde::HasSerde;
use oncestream_core::state::{
    Backend, KeyValue, KeyValueStore, Pair, StateStore, StoreInit, WriteBatch, index_keyspace,
};
use oncestream_stores::MemoryBackend;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

use super::{
    Found, KEYS, KEYSPACE, Key, Log, Logged, Outcome, RETENTION_MS, Run, Step, Subject,
    check_both_ways, collected, init, step,
};

/// Later than all steps, by more than a time to live.
const FAR_MS: i64 = 100 * RETENTION_MS;

/// Stores with a time to live. That of the store itself may be wrong, for the control.
#[derive(Clone)]
pub(crate) struct Expiring {
    pub(crate) ttl_ms: i64,
}

impl Expiring {
    pub(crate) fn new() -> Self {
        Self { ttl_ms: RETENTION_MS }
    }
}

/// The last write of each key, whether it is shown or not, and the latest time of a record.
#[derive(Clone)]
pub(crate) struct ExpiringModel {
    rows: BTreeMap<Key, Found<i64>>,
    time: i64,
}

impl Default for ExpiringModel {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), time: -1 }
    }
}

impl ExpiringModel {
    fn is_live(&self, found: &Found<i64>) -> bool {
        found.timestamp + RETENTION_MS > self.time
    }

    fn get(&self, key: &[u8]) -> Option<&Found<i64>> {
        self.rows.get(key).filter(|found| self.is_live(found))
    }

    fn shown(&self) -> Vec<(Key, Found<i64>)> {
        let live = self.rows.iter().filter(|(_, found)| self.is_live(found));
        live.map(|(key, found)| (key.clone(), found.clone())).collect()
    }
}

impl Subject for Expiring {
    type Store = KeyValueStore<Key, i64>;
    type Model = ExpiringModel;

    fn open(&self, init: StoreInit) -> Self::Store {
        let ttl = Duration::from_millis(self.ttl_ms.unsigned_abs());
        KeyValueStore::of_kind(KeyValue::with_ttl(ttl), init, Key::serde(), i64::serde())
    }

    fn begin(&self, store: &mut Self::Store, backend: &dyn Backend, committed: &Self::Model) {
        store.open_index(backend).unwrap();
        store.observe(committed.time);
    }

    fn write(
        &self,
        store: &mut Self::Store,
        model: &mut Self::Model,
        step: &Step,
    ) -> TestCaseResult {
        let Step::Write(key, time, value, by) = *step else { return Ok(()) };
        let key = KEYS[key].to_vec();
        store.observe(time);
        model.time = model.time.max(time);
        if by == 8 {
            // A record that comes to the store, and is not written.
            return Ok(());
        }
        // A value may be a little or much older than its record, and so may have expired already.
        let timestamp = (time - by / 3 * 50_000).max(0);
        if by % 2 == 0 {
            store.put(key.clone(), value, timestamp).unwrap();
        } else {
            let old = store.update(&key, true, |_| (value, timestamp)).unwrap().old;
            prop_assert_eq!(old, model.get(&key).map(|found| found.value));
        }
        match value {
            Some(value) => model.rows.insert(key, Found { value, timestamp }),
            None => model.rows.remove(&key),
        };
        Ok(())
    }

    fn read_absent(&self, store: &mut Self::Store) {
        for n in 0..40_u8 {
            assert_eq!(store.get(&vec![b'x', n]).unwrap(), None);
        }
    }

    fn check(&self, store: &mut Self::Store, model: &Self::Model) -> TestCaseResult {
        for key in KEYS {
            let found = store.get(&key.to_vec()).unwrap();
            prop_assert_eq!(found.as_ref(), model.get(key), "{:?} at {}", key, model.time);
        }
        let shown = model.shown();
        check_both_ways!(shown.clone(), store.all(), store.all_rev(), "all at {}", model.time);
        for (from, to) in [(0, 2), (1, 1), (3, 4), (4, 3), (2, 6)] {
            let (from, to) = (KEYS[from].to_vec(), KEYS[to].to_vec());
            let within = |(key, _): &(Key, _)| from <= *key && *key <= to;
            let expected: Vec<_> = shown.iter().filter(|e| within(e)).cloned().collect();
            let (forwards, backwards) = (store.range(&from, &to), store.range_rev(&from, &to));
            check_both_ways!(expected, forwards, backwards, "{:?} to {:?}", from, to);
        }
        Ok(())
    }
}

fn rows_of(backend: &dyn Backend, keyspace: &str) -> Vec<Pair> {
    let keyspace = backend.keyspace(keyspace).unwrap();
    keyspace.range(Bound::Unbounded, Bound::Unbounded).map(Result::unwrap).collect()
}

fn rows(backend: &dyn Backend) -> Vec<Pair> {
    rows_of(backend, KEYSPACE)
}

/// The index without its note.
fn index(backend: &dyn Backend) -> Vec<Vec<u8>> {
    let mut keys: Vec<_> =
        rows_of(backend, &index_keyspace(KEYSPACE)).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys.pop(), Some(vec![0xff]), "the note is behind all others");
    keys
}

/// What a changelog comes to.
fn folded(log: &[Logged]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut rows = BTreeMap::new();
    for (key, value, _) in log {
        match value {
            Some(value) => rows.insert(key.clone(), value.clone()),
            None => rows.remove(key),
        };
    }
    rows
}

/// Whatever was written, lost and restored: once all has expired, rows, index and changelog come to nothing
/// with the next commits. Before that the rows are those of the changelog.
pub(crate) fn end_empty(cases: u32, backend: impl Fn() -> Arc<dyn Backend>) -> Outcome {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = (proptest::collection::vec(step(), 1..60), prop_oneof![Just(1), Just(1 << 20)]);
    let outcome = TestRunner::new(config).run(&steps, |(steps, cache_bytes)| {
        let backend = backend();
        let mut run = Run::new(Expiring::new(), &*backend, cache_bytes);
        steps.iter().try_for_each(|step| run.step(step))?;
        let apply_all = |run: &mut Run<'_, Expiring>| {
            run.step(&Step::Seal)?;
            steps.iter().chain([&Step::Seal; 2]).try_for_each(|_| run.step(&Step::Apply))
        };
        apply_all(&mut run)?;
        let held: BTreeMap<_, _> = rows(&*backend).into_iter().collect();
        let held = held.into_iter().map(|(key, row)| (key, row[8..].to_vec()));
        prop_assert_eq!(held.collect::<BTreeMap<_, _>>(), folded(&run.log));
        run.store.observe(FAR_MS);
        run.model.time = FAR_MS;
        apply_all(&mut run)?;
        prop_assert_eq!(rows(&*backend), []);
        prop_assert_eq!(index(&*backend), Vec::<Vec<u8>>::new());
        prop_assert!(folded(&run.log).is_empty(), "the changelog has {:?}", run.log);
        Ok(())
    });
    outcome.map_err(|e| e.to_string())
}

fn open(backend: &dyn Backend, ttl_ms: Option<i64>, time: i64) -> KeyValueStore<Key, i64> {
    let mut store = match ttl_ms {
        Some(ttl_ms) => Expiring { ttl_ms }.open(init(backend, 1)),
        None => KeyValueStore::new(init(backend, 1), Key::serde(), i64::serde()),
    };
    store.open_index(backend).unwrap();
    store.observe(time);
    store
}

fn put(store: &mut KeyValueStore<Key, i64>, key: &str, time: i64) {
    store.observe(time);
    store.put(key.into(), Some(time), time).unwrap();
}

/// Seals and applies; what went to the changelog.
fn commit(store: &mut KeyValueStore<Key, i64>, backend: &dyn Backend) -> Vec<Logged> {
    let (mut log, mut batch) = (Log::default(), WriteBatch::default());
    store.seal(&mut log, &mut batch).unwrap();
    backend.commit(&batch).unwrap();
    store.committed();
    log.0
}

fn keys(store: &KeyValueStore<Key, i64>) -> Vec<String> {
    let keys = collected(store.all()).into_iter().map(|(key, _)| key);
    keys.map(|key| String::from_utf8(key).unwrap()).collect()
}

fn row_keys(backend: &dyn Backend) -> Vec<String> {
    rows(backend).into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
}

/// A time to live that is given to a store with rows, changed, and taken away.
pub(crate) fn may_be_given_a_time_to_live_later(backend: &dyn Backend) {
    let mut before = open(backend, None, -1);
    put(&mut before, "old", 1_000);
    put(&mut before, "new", 9_000);
    commit(&mut before, backend);
    drop(before);
    assert!(!backend.keyspace_names().contains(&index_keyspace(KEYSPACE)), "nobody pays for it");

    // Given: the rows of before are there, go by their own times, and are deleted.
    let mut given = open(backend, Some(5_000), -1);
    assert_eq!(keys(&given), ["new", "old"], "no record has come");
    assert_eq!(index(backend).len(), 2);
    put(&mut given, "newest", 10_000);
    assert_eq!(keys(&given), ["new", "newest"]);
    let log = commit(&mut given, backend);
    assert_eq!(log[0], (b"old".to_vec(), None, 10_000));
    assert_eq!(row_keys(backend), ["new", "newest"]);
    drop(given);

    // Longer: what was not deleted yet is shown again if its time is not up any more.
    let longer = open(backend, Some(50_000), 14_500);
    assert_eq!(keys(&longer), ["new", "newest"]);
    drop(longer);
    // Shorter: index rows of another length do as well.
    let mut shorter = open(backend, Some(2_000), 14_500);
    assert_eq!(keys(&shorter), Vec::<String>::new());
    put(&mut shorter, "last", 14_500);
    assert_eq!(commit(&mut shorter, backend).len(), 3);
    assert_eq!((row_keys(backend), index(backend).len()), (vec!["last".to_owned()], 1));
    drop(shorter);

    // Taken away: rows stay for ever, also those that would have gone. The index does not stay, because it
    // would not know of what is written now.
    let mut without = open(backend, None, 14_500);
    put(&mut without, "unknown", 20_000);
    without.observe(FAR_MS);
    commit(&mut without, backend);
    assert_eq!(keys(&without), ["last", "unknown"]);
    assert!(!backend.keyspace_names().contains(&index_keyspace(KEYSPACE)));
    drop(without);

    // Given again: all are known.
    let mut again = open(backend, Some(5_000), FAR_MS);
    assert_eq!((keys(&again), commit(&mut again, backend).len()), (Vec::new(), 2));
    assert_eq!(row_keys(backend), Vec::<String>::new());
}

#[test]
fn an_index_that_was_not_finished_is_made_again() {
    let backend = MemoryBackend::new();
    let mut store = open(&backend, Some(5_000), -1);
    put(&mut store, "a", 1_000);
    put(&mut store, "b", 2_000);
    commit(&mut store, &backend);
    let name = index_keyspace(KEYSPACE);
    let whole = index(&backend);
    let mut batch = WriteBatch::default();
    for version in [None, Some([2])] {
        batch.clear();
        batch.delete(&name, &whole[0]);
        match version {
            None => batch.delete(&name, &[0xff]),
            // Nobody knows what another version has in it.
            Some(version) => {
                batch.put(&name, &[0xff], &version);
                batch.put(&name, b"unknown", b"");
            }
        }
        backend.commit(&batch).unwrap();
        open(&backend, Some(5_000), -1);
        assert_eq!(index(&backend), whole, "{version:?}");
    }
}

#[test]
fn many_that_expire_at_once_are_gone_at_once_and_deleted_bit_by_bit() {
    let backend = MemoryBackend::new();
    let mut store = open(&backend, Some(5_000), -1);
    let key = |n: u32| format!("{n:05}").into_bytes();
    for n in 0..2_500 {
        store.put(key(n), Some(1), 0).unwrap();
    }
    commit(&mut store, &backend);
    store.observe(5_000);
    assert_eq!(keys(&store), Vec::<String>::new(), "before any commit");
    assert_eq!(commit(&mut store, &backend), [], "a part of the time to live is not over");
    store.observe(7_000);
    let mut left = Vec::new();
    for _ in 0..3 {
        let deleted = commit(&mut store, &backend);
        assert!(deleted.iter().all(|(_, value, _)| value.is_none()));
        assert_eq!(keys(&store), Vec::<String>::new());
        left.push(rows(&backend).len());
    }
    assert_eq!(left, [1_500, 500, 0]);
    // A commit that writes more deletes more, because each write is an index row that comes.
    for n in 0..2_500 {
        store.put(key(n), Some(1), 7_000).unwrap();
    }
    commit(&mut store, &backend);
    store.observe(20_000);
    for n in 10_000..11_000 {
        store.put(key(n), Some(1), 20_000).unwrap();
    }
    assert_eq!(commit(&mut store, &backend).len(), 1_000 + 2_000);
}

#[test]
fn a_row_that_was_written_again_outlives_its_old_index_row() {
    let backend = MemoryBackend::new();
    let mut store = open(&backend, Some(4_000), -1);
    for time in 0..10 {
        put(&mut store, "hot", time * 1_000);
        commit(&mut store, &backend);
        let at_most = 5;
        assert!(index(&backend).len() <= at_most, "{} at {time}", index(&backend).len());
    }
    assert_eq!(row_keys(&backend), ["hot"]);
    // Clean and in the cache, or not: its own time decides.
    for cache_bytes in [1, 1 << 20] {
        let mut store = Expiring { ttl_ms: 4_000 }.open(init(&backend, cache_bytes));
        store.open_index(&backend).unwrap();
        store.observe(12_999);
        assert_eq!(store.get(&b"hot".to_vec()).unwrap().unwrap().timestamp, 9_000);
        commit(&mut store, &backend);
        assert_eq!(row_keys(&backend), ["hot"]);
    }
}

#[test]
fn a_key_without_room_for_its_time_expires_and_its_row_stays() {
    let backend = MemoryBackend::new();
    let mut store = open(&backend, Some(4_000), -1);
    let long = vec![b'k'; oncestream_core::state::MAX_KEY_BYTES - 7];
    store.put(long.clone(), Some(1), 0).unwrap();
    store.put(long[1..].to_vec(), Some(1), 0).unwrap();
    commit(&mut store, &backend);
    store.observe(5_000);
    assert_eq!(store.get(&long).unwrap(), None);
    commit(&mut store, &backend);
    assert_eq!(rows(&backend).len(), 1, "that of the longer key");
}

#[test]
fn a_row_that_has_expired_is_deleted_once() {
    let backend = MemoryBackend::new();
    let mut store = open(&backend, Some(4_000), -1);
    // With an index row for each of two parts.
    for time in [0, 2_000] {
        put(&mut store, "k", time);
        put(&mut store, "late", time);
        commit(&mut store, &backend);
    }
    assert_eq!(index(&backend).len(), 4);
    store.observe(9_000);
    // Written since the last seal, and gone all the same.
    store.put(b"late".to_vec(), Some(1), 3_000).unwrap();
    let deleted: Vec<_> = commit(&mut store, &backend).into_iter().map(|(key, ..)| key).collect();
    assert_eq!(deleted, [b"k".to_vec(), b"late".to_vec()]);
    assert_eq!((rows(&backend), index(&backend)), (Vec::new(), Vec::new()));
}

#[test]
fn what_was_deleted_by_hand_leaves_no_second_deletion() {
    let backend = MemoryBackend::new();
    let mut store = open(&backend, Some(4_000), -1);
    put(&mut store, "k", 0);
    commit(&mut store, &backend);
    store.put(b"k".to_vec(), None, 1).unwrap();
    assert_eq!(commit(&mut store, &backend).len(), 1);
    store.observe(9_000);
    assert_eq!(commit(&mut store, &backend), []);
    assert_eq!(index(&backend), Vec::<Vec<u8>>::new());
}

#[test]
fn a_deletion_is_told_although_the_value_has_expired() {
    let backend = MemoryBackend::new();
    let mut store = open(&backend, Some(4_000), -1);
    let told = |store: &mut KeyValueStore<Key, i64>, time, value: Option<i64>| {
        store.observe(time);
        let headers = oncestream_core::Headers::new();
        let set = |_: &Key, old: Option<Found<i64>>| {
            assert!(old.is_none_or(|old| old.timestamp + 4_000 > time), "an old value");
            (value, time)
        };
        store.update_cached(b"k".to_vec(), true, time, headers, set).unwrap();
        let pending = store.take_pending();
        let told = pending.into_iter().filter_map(|change| store.emission(change));
        told.map(|told| (told.update.old, told.update.new)).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut store, 0, Some(1)), [(None, Some(1))]);
    assert_eq!(told(&mut store, 3_999, Some(2)), [(Some(1), Some(2))]);
    assert_eq!(told(&mut store, 8_000, Some(3)), [(None, Some(3))]);
    assert_eq!(told(&mut store, 12_000, None), [(None, None)]);
    // Also where its row was deleted: a commit must not decide what is told.
    commit(&mut store, &backend);
    assert_eq!(told(&mut store, 20_000, None), [(None, None)]);
}
