//! Session stores, and a map by segment and bytes that expires by arithmetic; and where its bounds
//! lie.

use std::collections::BTreeMap;
use std::time::Duration;

use oncestream_core::error::TaskError;
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{Session, SessionKey, SessionStore, StoreInit};
use oncestream_stores::MemoryBackend;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::{Found, KEYS, Key, RETENTION_MS, SEGMENT_MS, Step, Subject, collected, init};

/// How long a session is, by the time of its record. One ends before it begins.
const LENGTHS: [i64; 9] = [0, 0, 30_000, 0, 70_000, 30_000, 0, -1, 1];

/// Session stores. The retention of the store itself may be wrong, for the control.
#[derive(Clone)]
pub(crate) struct Sessions {
    pub(crate) retention_ms: i64,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self { retention_ms: RETENTION_MS }
    }
}

/// Key, start and end.
type Row = (Key, i64, i64, Found<i64>);

/// Rows as Kafka Streams orders them, by segment and the bytes of key, end and start, with the
/// latest end.
#[derive(Clone, Default)]
pub(crate) struct SessionModel {
    rows: BTreeMap<(i64, Vec<u8>), Row>,
    time: Option<i64>,
}

impl SessionModel {
    fn is_live(&self, end: i64) -> bool {
        self.time.is_none_or(|time| end > time - RETENTION_MS)
    }

    fn shown(&self) -> Vec<Row> {
        self.rows.values().filter(|(_, _, end, _)| self.is_live(*end)).cloned().collect()
    }
}

fn plain(
    entries: Result<
        impl Iterator<Item = Result<(SessionKey<Key>, Found<i64>), TaskError>>,
        TaskError,
    >,
) -> Vec<Row> {
    let entries = collected(entries).into_iter();
    entries.map(|(SessionKey { key, start, end }, found)| (key, start, end, found)).collect()
}

fn reversed(mut rows: Vec<Row>) -> Vec<Row> {
    rows.reverse();
    rows
}

impl Subject for Sessions {
    type Store = SessionStore<Key, i64>;
    type Model = SessionModel;

    fn open(&self, init: StoreInit) -> Self::Store {
        let retention = Duration::from_millis(self.retention_ms.unsigned_abs());
        SessionStore::of_kind(Session::new(retention), init, Key::serde(), i64::serde())
    }

    fn write(
        &self,
        store: &mut Self::Store,
        model: &mut Self::Model,
        step: &Step,
    ) -> TestCaseResult {
        let Step::Write(key, end, value, timestamp) = *step else { return Ok(()) };
        let key = KEYS[key].to_vec();
        let start = end - LENGTHS[usize::try_from(timestamp).unwrap()];
        if timestamp % 2 == 1 {
            // What is read before is known to be absent.
            store.fetch_session(&key, start, end).unwrap();
        }
        let session = SessionKey { key: key.clone(), start, end };
        let is_put = store.put_session(session, value, timestamp).unwrap();
        if start < 0 || end < start {
            prop_assert!(!is_put, "{} to {}", start, end);
            prop_assert_eq!(store.fetch_session(&key, start, end).unwrap(), None);
            return Ok(());
        }
        let time = model.time.map_or(end, |time| time.max(end));
        model.time = Some(time);
        prop_assert_eq!(is_put, model.is_live(end), "{} at {}", end, time);
        if !is_put {
            return Ok(());
        }
        let bytes = [&key[..], &end.to_be_bytes(), &start.to_be_bytes()].concat();
        let row = (end / SEGMENT_MS, bytes);
        match value {
            Some(value) => model.rows.insert(row, (key, start, end, Found { value, timestamp })),
            None => model.rows.remove(&row),
        };
        Ok(())
    }

    fn read_absent(&self, store: &mut Self::Store) {
        for n in 0..40 {
            store.fetch_session(&b"x".to_vec(), n, 1_000_000 + n).unwrap();
            assert_eq!(store.fetch_session(&b"x".to_vec(), n, n).unwrap(), None);
        }
    }

    fn check(&self, store: &mut Self::Store, model: &Self::Model) -> TestCaseResult {
        let shown = model.shown();
        prop_assert_eq!(&plain(store.all()), &shown, "all");
        prop_assert_eq!(plain(store.all_rev()), reversed(shown.clone()), "all, backwards");
        let time = model.time.unwrap_or(0);
        let bounds = [
            (0, i64::MAX),
            (i64::MIN, i64::MIN),
            (-5, 20_001),
            (0, 0),
            (19_999, 60_000),
            (time - RETENTION_MS, time - RETENTION_MS + 1),
            (time - RETENTION_MS + 2, time),
            (time - 30_000, time - 50_000),
            (time, time - 1),
            (time + 1, i64::MAX),
        ];
        for key in KEYS.map(<[u8]>::to_vec) {
            let mut of_key: Vec<Row> = shown.iter().filter(|row| row.0 == key).cloned().collect();
            of_key.sort_by_key(|(_, start, end, _)| (*end, *start));
            prop_assert_eq!(&plain(store.fetch(&key)), &of_key, "{:?}", key);
            let backwards = plain(store.fetch_rev(&key));
            prop_assert_eq!(backwards, reversed(of_key.clone()), "{:?}, backwards", key);
            for (earliest_end, latest_start) in bounds {
                let is_found = |row: &&Row| row.2 >= earliest_end && row.1 <= latest_start;
                let expected: Vec<_> = of_key.iter().filter(is_found).cloned().collect();
                let bounds = (earliest_end, latest_start);
                let found = plain(store.find_sessions(&key, earliest_end, latest_start));
                prop_assert_eq!(&found, &expected, "{:?} in {:?}", key, bounds);
                let found = plain(store.find_sessions_rev(&key, earliest_end, latest_start));
                prop_assert_eq!(found, reversed(expected), "{:?} in {:?}", key, bounds);
            }
        }
        for (from, to) in [(0, 0), (0, 2), (1, 2), (2, 3), (3, 5), (4, 4), (5, 4), (3, 6), (6, 6)] {
            let (from, to) = (KEYS[from].to_vec(), KEYS[to].to_vec());
            let within = |row: &&Row| from <= row.0 && row.0 <= to;
            let expected: Vec<_> = shown.iter().filter(within).cloned().collect();
            prop_assert_eq!(&plain(store.fetch_range(&from, &to)), &expected, "{:?}", from);
            let found = plain(store.fetch_range_rev(&from, &to));
            prop_assert_eq!(found, reversed(expected.clone()), "{:?} to {:?}", from, to);
            for (end, start) in bounds {
                let is_found = |row: &&Row| row.2 >= end && row.1 <= start;
                let expected: Vec<_> = expected.iter().filter(is_found).cloned().collect();
                let found = plain(store.find_sessions_range(&from, &to, end, start));
                prop_assert_eq!(&found, &expected, "{:?} to {:?}: {}, {}", from, to, end, start);
                let found = plain(store.find_sessions_range_rev(&from, &to, end, start));
                prop_assert_eq!(found, reversed(expected), "{:?} to {:?}", from, to);
            }
        }
        for (key, start, end, found) in model.rows.values() {
            let expected = model.is_live(*end).then(|| found.clone());
            let found = store.fetch_session(key, *start, *end).unwrap();
            prop_assert_eq!(found, expected, "{:?} from {} to {}", key, start, end);
        }
        Ok(())
    }
}

/// A store with these sessions of these keys; the value of each is its place.
fn store_of(backend: &MemoryBackend, sessions: &[(&[u8], i64, i64)]) -> SessionStore<Key, i64> {
    let mut store = Sessions::new().open(init(backend, 1));
    for (value, (key, start, end)) in (0..).zip(sessions) {
        let session = SessionKey { key: key.to_vec(), start: *start, end: *end };
        assert!(store.put_session(session, Some(value), 0).unwrap());
    }
    store
}

fn values(rows: Vec<Row>) -> Vec<i64> {
    rows.into_iter().map(|(_, _, _, found)| found.value).collect()
}

#[test]
fn a_key_that_begins_another_finds_its_own_sessions_alone() {
    let backend = MemoryBackend::new();
    // The row of the second lies between those of the first and the third.
    let longer: &[u8] = &[b'a', 0, 0, 0, 0, 0, 0, 0, 5];
    let mut store = store_of(&backend, &[(b"a", 0, 4), (longer, 0, 9), (b"a", 3, 9), (b"", 0, 9)]);
    assert_eq!(values(plain(store.all())), [3, 0, 1, 2]);
    assert_eq!(values(plain(store.fetch(&b"a".to_vec()))), [0, 2]);
    assert_eq!(values(plain(store.find_sessions_rev(&b"a".to_vec(), 0, 3))), [2, 0]);
    assert_eq!(values(plain(store.fetch(&longer.to_vec()))), [1]);
    assert_eq!(values(plain(store.fetch(&Key::new()))), [3]);
}

#[test]
fn both_bounds_of_a_find_are_included_also_at_time_0() {
    let backend = MemoryBackend::new();
    let key = b"k".to_vec();
    let mut store = store_of(&backend, &[(b"k", 0, 0), (b"k", 0, 7), (b"k", 7, 7), (b"k", 3, 9)]);
    let mut found = |end, start| values(plain(store.find_sessions(&key, end, start)));
    assert_eq!(found(0, i64::MAX), [0, 1, 2, 3]);
    assert_eq!(found(0, 0), [0, 1]);
    assert_eq!(found(1, 0), [1]);
    assert_eq!(found(7, 7), [1, 2, 3]);
    assert_eq!(found(8, 6), [3]);
    assert_eq!(found(9, 2), [0; 0]);
    assert_eq!(found(0, -1), [0; 0]);
}

#[test]
fn a_session_is_shown_while_its_end_is_later_than_time_less_the_retention() {
    let backend = MemoryBackend::new();
    let key = b"k".to_vec();
    let long = (&b"k"[..], 0, 90_000);
    let mut store = store_of(&backend, &[long, (b"k", 90_001, 90_001)]);
    // A long session is as old as its end is, however long ago it began.
    let mut at = |time| {
        let last = SessionKey { key: b"other".to_vec(), start: time, end: time };
        assert!(store.put_session(last, None, 0).unwrap());
        let found = values(plain(store.fetch(&key)));
        let first = store.fetch_session(&key, 0, 90_000).unwrap();
        assert_eq!(first.map(|found| found.value), found.first().copied().filter(|v| *v == 0));
        let late = SessionKey { key: b"late".to_vec(), start: 90_000, end: 90_000 };
        assert_eq!(store.put_session(late, None, 0).unwrap(), found.contains(&0));
        found
    };
    assert_eq!(at(90_000 + RETENTION_MS - 1), [0, 1]);
    assert_eq!(at(90_000 + RETENTION_MS), [1]);
    assert_eq!(at(90_000 + RETENTION_MS + 1), [0; 0]);
}

#[test]
fn a_session_that_cannot_be_is_refused_and_moves_no_time() {
    let backend = MemoryBackend::new();
    let key = b"k".to_vec();
    let mut store = store_of(&backend, &[(b"k", 0, 0)]);
    let far = 10 * RETENTION_MS;
    for (start, end) in [(-1, far), (far + 1, far), (-2, -1), (0, -1), (i64::MAX, i64::MIN)] {
        let session = SessionKey { key: key.clone(), start, end };
        assert!(!store.put_session(session.clone(), Some(1), 0).unwrap(), "{start} to {end}");
        let update = store.update(&session, true, |_| (Some(1), 0)).unwrap();
        assert_eq!((update.old, update.new), (None, None), "{start} to {end}");
        assert_eq!(store.fetch_session(&key, start, end).unwrap(), None, "{start} to {end}");
    }
    assert_eq!(values(plain(store.all())), [0]);
    let healthy = SessionKey { key, start: 0, end: far };
    assert!(store.put_session(healthy, Some(1), 0).unwrap());
    assert_eq!(values(plain(store.all())), [1]);
}
