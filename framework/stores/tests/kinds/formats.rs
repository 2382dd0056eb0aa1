//! The bytes of rows and changelogs, as docs/formats.md has them: what was written before must open,
//! and Kafka Streams' changelogs must be read.

use std::sync::Arc;
use std::time::Duration;

use oncestream_core::serde::HasSerde;
use oncestream_core::state::{
    Backend, KeyValue, KeyValueStore, Pair, SealedLayer, Session, SessionKey, SessionStore,
    StateStore, Versioned, VersionedStore, Window, WindowStore, WriteBatch,
};
use oncestream_stores::MemoryBackend;

use super::{KEYSPACE, Log, Logged, init};

const MINUTE_MS: i64 = 60_000;

fn sealed(store: &mut impl StateStore, backend: &MemoryBackend) -> (Vec<Logged>, Arc<SealedLayer>) {
    let (mut log, mut batch) = (Log::default(), WriteBatch::default());
    store.seal(&mut log, &mut batch).unwrap();
    let layer = store.sealed().pop().unwrap();
    backend.commit(&batch).unwrap();
    batch.clear();
    store.committed();
    assert!(store.sealed().is_empty());
    (log.0, layer)
}

fn rows(backend: &MemoryBackend) -> Vec<Pair> {
    let keyspace = backend.keyspace(KEYSPACE).unwrap();
    let open = std::ops::Bound::Unbounded;
    keyspace.range(open, open).map(Result::unwrap).collect()
}

fn windows(backend: &MemoryBackend, duplicates: bool) -> WindowStore<String, i64> {
    let mut window = Window::new(Duration::from_secs(180));
    if duplicates {
        window = window.retain_duplicates();
    }
    WindowStore::of_kind(window, init(backend, 1), String::serde(), i64::serde())
}

#[test]
fn a_key_value_row_is_time_and_value_and_its_changelog_record_the_value() {
    let backend = MemoryBackend::new();
    let open = || {
        KeyValueStore::<String, i64>::new(init(&backend, 1), HasSerde::serde(), HasSerde::serde())
    };
    let mut store = open();
    store.put("k".to_owned(), Some(0x0102), 0x0304).unwrap();
    store.put("gone".to_owned(), None, 5).unwrap();
    let (log, _) = sealed(&mut store, &backend);
    let (key, value) = (b"k".to_vec(), vec![0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(log, [(key.clone(), Some(value.clone()), 0x0304), (b"gone".to_vec(), None, 5)]);
    let row = [&[0, 0, 0, 0, 0, 0, 3, 4][..], &value].concat();
    assert_eq!(rows(&backend), [(key, row)]);
    let found = open().get(&"k".to_owned()).unwrap().unwrap();
    assert_eq!((found.value, found.timestamp), (0x0102, 0x0304));
}

#[test]
fn an_index_row_is_the_end_of_a_part_of_the_time_to_live_and_the_key() {
    let backend = MemoryBackend::new();
    let ttl = KeyValue::with_ttl(Duration::from_millis(0x400));
    let mut store = KeyValueStore::of_kind(ttl, init(&backend, 1), String::serde(), i64::serde());
    store.open_index(&backend).unwrap();
    store.put("k".to_owned(), Some(0x0102), 0x0304).unwrap();
    let (log, _) = sealed(&mut store, &backend);
    let value = vec![0, 0, 0, 0, 0, 0, 1, 2];
    assert_eq!(log, [(b"k".to_vec(), Some(value.clone()), 0x0304)]);
    // The row is that of a store without a time to live.
    assert_eq!(rows(&backend), [(b"k".to_vec(), [&[0, 0, 0, 0, 0, 0, 3, 4][..], &value].concat())]);
    let index = backend.keyspace("0_0-store-expiry").unwrap();
    let open = std::ops::Bound::Unbounded;
    let rows: Vec<Pair> = index.range(open, open).map(Result::unwrap).collect();
    // A fourth of the time to live is 0x100.
    let row = (vec![0, 0, 0, 0, 0, 0, 3, 0xff, b'k'], Vec::new());
    assert_eq!(rows, [row, (vec![0xff], vec![1])]);
}

#[test]
fn a_window_row_begins_with_its_segment_and_behind_all_rows_is_the_note() {
    let backend = MemoryBackend::new();
    let mut store = windows(&backend, true);
    // Half of 180 s is 90 s: minute 3 is in segment 2.
    for value in [7, 8] {
        assert!(store.put_at("k".to_owned(), 3 * MINUTE_MS, Some(value), 1).unwrap());
    }
    let (log, _) = sealed(&mut store, &backend);
    let of_kafka =
        |sequence: u8| [&b"k"[..], &180_000_i64.to_be_bytes(), &[0, 0, 0, sequence]].concat();
    let value = |value: i64| value.to_be_bytes().to_vec();
    assert_eq!(log, [(of_kafka(1), Some(value(7)), 1), (of_kafka(2), Some(value(8)), 1)]);
    let row = |sequence, is: i64| {
        let key = [&2_i64.to_be_bytes()[..], &of_kafka(sequence)].concat();
        (key, [1_i64.to_be_bytes(), is.to_be_bytes()].concat())
    };
    let numbers = [90_000_i64.to_be_bytes(), 180_000_i64.to_be_bytes()].concat();
    let note = (vec![0xff], [&[1][..], &numbers, &[0, 0, 0, 2]].concat());
    assert_eq!(rows(&backend), [row(1, 7), row(2, 8), note]);
}

#[test]
fn a_restore_of_kafka_streams_records_makes_the_same_rows() {
    let (first, second) = (MemoryBackend::new(), MemoryBackend::new());
    let mut store = windows(&first, false);
    let mut log = Vec::new();
    for minute in [0, 1, 9, 10, 8] {
        store.put_at("k".to_owned(), minute * MINUTE_MS, Some(minute), 1).unwrap();
        log.extend(sealed(&mut store, &first).0);
    }
    let (mut batch, mut copy) = (WriteBatch::default(), windows(&second, false));
    for (key, value, time) in &log {
        copy.restore(key, value.as_deref(), *time, &mut batch).unwrap();
    }
    second.commit(&batch).unwrap();
    assert_eq!(rows(&second), rows(&first), "the segments of minutes 0 and 1 are gone in both");
    assert_eq!(rows(&second).len(), 4);
    let refused = copy.restore(b"short", None, 1, &mut batch).unwrap_err().to_string();
    assert!(refused.contains("a changelog key of 5 bytes"), "{refused}");
}

#[test]
fn a_retention_that_moves_the_segments_is_refused_with_what_to_do() {
    let backend = MemoryBackend::new();
    let mut store = windows(&backend, false);
    store.put_at("k".to_owned(), 0, Some(1), 1).unwrap();
    sealed(&mut store, &backend);
    let hour = Window::new(Duration::from_secs(3_600));
    let of = |window| {
        WindowStore::<String, i64>::of_kind(
            window,
            init(&backend, 1),
            HasSerde::serde(),
            i64::serde(),
        )
    };
    let refused = of(hour).fetch(&"k".to_owned(), 0).unwrap_err().to_string();
    assert!(refused.contains("segments of 90000 ms") && refused.contains("delete"), "{refused}");
    // The segments stay where they are for a retention of nearly the same length.
    let nearly = Window::new(Duration::from_millis(180_001));
    assert_eq!(of(nearly).fetch(&"k".to_owned(), 0).unwrap().unwrap().value, 1);
}

#[test]
fn duplicates_of_a_store_that_was_opened_again_do_not_replace_each_other() {
    let backend = MemoryBackend::new();
    for value in [7, 8] {
        let mut store = windows(&backend, true);
        store.put_at("k".to_owned(), 0, Some(value), 1).unwrap();
        sealed(&mut store, &backend);
    }
    let mut store = windows(&backend, true);
    let found = store.fetch_between(&"k".to_owned(), 0..=0).unwrap();
    assert_eq!(found.map(|entry| entry.unwrap().1.value).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn a_deletion_of_nothing_moves_the_time_of_a_restored_store_too() {
    let (first, second) = (MemoryBackend::new(), MemoryBackend::new());
    let (mut store, mut copy) = (windows(&first, false), windows(&second, false));
    store.put_at("k".to_owned(), 0, Some(1), 1).unwrap();
    let mut log = sealed(&mut store, &first).0;
    assert_eq!(store.fetch(&"k".to_owned(), 4 * MINUTE_MS).unwrap(), None);
    store.put_at("k".to_owned(), 4 * MINUTE_MS, None, 1).unwrap();
    log.extend(sealed(&mut store, &first).0);
    let mut batch = WriteBatch::default();
    for (key, value, time) in &log {
        copy.restore(key, value.as_deref(), *time, &mut batch).unwrap();
    }
    second.commit(&batch).unwrap();
    for backend in [&first, &second] {
        assert_eq!(windows(backend, false).fetch(&"k".to_owned(), 0).unwrap(), None);
    }
}

fn versions(backend: &MemoryBackend) -> VersionedStore<String, i64> {
    let kind = Versioned::new(Duration::from_millis(0x3ff));
    let mut store = VersionedStore::of_kind(kind, init(backend, 1), String::serde(), i64::serde());
    store.open_index(backend).unwrap();
    store
}

#[test]
fn a_version_is_a_row_by_key_and_time_and_a_deletion_is_one_of_no_bytes() {
    let backend = MemoryBackend::new();
    let mut store = versions(&backend);
    store.put_version("k".to_owned(), Some(7), 0x0102).unwrap();
    store.put_version("k".to_owned(), None, 0x0203).unwrap();
    let (log, _) = sealed(&mut store, &backend);
    let (time, value) = (0x0102_i64.to_be_bytes(), 7_i64.to_be_bytes());
    assert_eq!(log, [(b"k".to_vec(), Some(value.to_vec()), 0x0102), (b"k".to_vec(), None, 0x0203)]);
    let row_key = |time: i64| [&[0, 1, b'k'][..], &time.to_be_bytes()].concat();
    let note = (vec![0xff, 0xff], [&[1][..], &0x0203_i64.to_be_bytes()].concat());
    let version = (row_key(0x0102), [time, value].concat());
    assert_eq!(rows(&backend), [version, (row_key(0x0203), Vec::new()), note]);
    let index = backend.keyspace("0_0-store-expiry").unwrap();
    let open = std::ops::Bound::Unbounded;
    let keys: Vec<_> = index.range(open, open).map(|pair| pair.unwrap().0).collect();
    // A fourth of the retention and a millisecond is 0x100.
    let index_key = |due: i64, time: i64| [&due.to_be_bytes()[..], &row_key(time)].concat();
    assert_eq!(keys, [index_key(0x1ff, 0x0102), index_key(0x2ff, 0x0203), vec![0xff]]);
    assert_eq!(versions(&backend).as_of(&"k".to_owned(), 0x0202).unwrap().unwrap().value, 7);
    assert_eq!(versions(&backend).newest(&"k".to_owned()).unwrap(), None);
}

fn sessions(backend: &MemoryBackend) -> SessionStore<String, i64> {
    let session = Session::new(Duration::from_secs(180));
    SessionStore::of_kind(session, init(backend, 1), String::serde(), i64::serde())
}

fn session(start: i64, end: i64) -> SessionKey<String> {
    SessionKey { key: "k".to_owned(), start, end }
}

#[test]
fn a_session_row_begins_with_the_segment_of_its_end_and_behind_all_rows_is_the_note() {
    let backend = MemoryBackend::new();
    let mut store = sessions(&backend);
    // Half of 180 s is 90 s: minute 3 is in segment 2, and minute 1 would be in segment 0.
    assert!(store.put_session(session(MINUTE_MS, 3 * MINUTE_MS), Some(7), 1).unwrap());
    let (log, _) = sealed(&mut store, &backend);
    let of_kafka = [&b"k"[..], &180_000_i64.to_be_bytes(), &60_000_i64.to_be_bytes()].concat();
    let value = 7_i64.to_be_bytes().to_vec();
    assert_eq!(log, [(of_kafka.clone(), Some(value.clone()), 1)]);
    let key = [&2_i64.to_be_bytes()[..], &of_kafka].concat();
    let row = (key, [&1_i64.to_be_bytes()[..], &value].concat());
    let numbers = [90_000_i64.to_be_bytes(), 180_000_i64.to_be_bytes()].concat();
    let note = (vec![0xff], [&[1][..], &numbers].concat());
    assert_eq!(rows(&backend), [row, note]);
    let found = sessions(&backend).fetch_session(&"k".to_owned(), MINUTE_MS, 3 * MINUTE_MS);
    assert_eq!(found.unwrap().unwrap().value, 7);
}

#[test]
fn a_restore_of_kafka_streams_sessions_makes_the_same_rows() {
    let (first, second) = (MemoryBackend::new(), MemoryBackend::new());
    let mut store = sessions(&first);
    let mut log = Vec::new();
    // The last is a deletion of nothing, which moves time.
    for (minute, value) in [(0, Some(0)), (1, Some(1)), (9, Some(9)), (8, Some(8)), (10, None)] {
        store.put_session(session(0, minute * MINUTE_MS), value, 1).unwrap();
        log.extend(sealed(&mut store, &first).0);
    }
    let (mut batch, mut copy) = (WriteBatch::default(), sessions(&second));
    for (key, value, time) in &log {
        copy.restore(key, value.as_deref(), *time, &mut batch).unwrap();
    }
    // Kafka Streams has no session that begins before 1970, so time stays where it is.
    let no_session = [&b"k"[..], &i64::MAX.to_be_bytes(), &(-1_i64).to_be_bytes()].concat();
    copy.restore(&no_session, Some(&[0; 8]), 1, &mut batch).unwrap();
    second.commit(&batch).unwrap();
    assert_eq!(rows(&second), rows(&first), "the segments of minutes 0 and 1 are gone in both");
    assert_eq!(rows(&second).len(), 3);
    let refused = copy.restore(b"k of 15 bytes..", None, 1, &mut batch).unwrap_err().to_string();
    assert!(refused.contains("a changelog key of 15 bytes"), "{refused}");
}

#[test]
fn rows_of_another_kind_or_of_other_segments_are_refused() {
    let backend = MemoryBackend::new();
    let mut store = sessions(&backend);
    store.put_session(session(0, 0), Some(1), 1).unwrap();
    sealed(&mut store, &backend);
    let hour = Session::new(Duration::from_secs(3_600));
    let mut moved = SessionStore::<String, i64>::of_kind(
        hour,
        init(&backend, 1),
        HasSerde::serde(),
        i64::serde(),
    );
    let refused = moved.fetch_session(&"k".to_owned(), 0, 0).unwrap_err().to_string();
    assert!(refused.contains("segments of 90000 ms") && refused.contains("delete"), "{refused}");
    let refused = windows(&backend, false).fetch(&"k".to_owned(), 0).unwrap_err().to_string();
    assert!(refused.contains("its note is of another version"), "{refused}");
    let nearly = Session::new(Duration::from_millis(180_001));
    let mut healthy = SessionStore::<String, i64>::of_kind(
        nearly,
        init(&backend, 1),
        HasSerde::serde(),
        i64::serde(),
    );
    assert_eq!(healthy.fetch_session(&"k".to_owned(), 0, 0).unwrap().unwrap().value, 1);
}

#[test]
fn a_layer_that_someone_holds_stays_as_it_is_after_its_commit() {
    let backend = MemoryBackend::new();
    let mut store =
        KeyValueStore::<String, i64>::new(init(&backend, 1), HasSerde::serde(), HasSerde::serde());
    let mut put = |value| {
        store.put("k".to_owned(), Some(value), 0).unwrap();
        sealed(&mut store, &backend).1
    };
    let held = put(1);
    put(2);
    put(3);
    let read = std::thread::spawn(move || held.get(b"k").flatten().map(<[u8]>::to_vec));
    let row = [0_i64.to_be_bytes(), 1_i64.to_be_bytes()].concat();
    assert_eq!(read.join().unwrap(), Some(row));
}
