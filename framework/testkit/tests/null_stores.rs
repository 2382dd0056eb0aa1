//! What stores do with nulls, beside what `nulls.rs` compares with Kafka Streams: its driver
//! commits after each record, and its stores refuse a null key with a `NullPointerException`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::serde::HasSerde;
use oncestream_operators::StreamsBuilder;
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::DriverError;

type Text = Option<String>;
type Counted = (String, Option<i64>);

/// Counts records per key, and begins again at "reset"; a commit each 100 ms.
fn counting(cache_max_bytes: usize) -> TopologyTestDriver {
    let b = StreamsBuilder::new();
    b.stream::<String, String>("in")
        .group_by_key()
        .aggregate(|| 0_i64, |_, v, n| (v != "reset").then_some(n + 1), "counts")
        .to_stream()
        .to("out");
    TopologyTestDriver::builder(b.build().unwrap())
        .commit_interval_ms(100)
        .cache_max_bytes(cache_max_bytes)
        .build()
        .unwrap()
}

fn pipe_all(driver: &mut TopologyTestDriver, records: &[(&str, &str)]) {
    let input = driver.input::<String, String>("in");
    for (key, value) in records {
        driver.pipe(&input, (*key).to_owned(), (*value).to_owned(), 0).unwrap();
    }
    driver.commit().unwrap();
}

fn changelog<V: HasSerde>(driver: &TopologyTestDriver, store: &str) -> Vec<(String, Option<V>)> {
    let records = driver.changelog(store).into_iter();
    let key = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let value = |bytes: Vec<u8>| V::serde().deserialize(&bytes).unwrap();
    records.map(|r| (key(r.key.unwrap()), r.value.map(value))).collect()
}

fn k(count: Option<i64>) -> Counted {
    ("k".to_owned(), count)
}

fn never(count: Option<i64>) -> Counted {
    ("never".to_owned(), count)
}

#[test]
fn a_commit_tells_of_a_deletion_once_and_not_of_a_key_that_never_was() {
    let mut driver = counting(10 << 20);
    pipe_all(&mut driver, &[("k", "a"), ("k", "a")]);
    let deleted_twice = [("k", "reset"), ("k", "a"), ("k", "reset"), ("never", "reset")];
    pipe_all(&mut driver, &deleted_twice);
    pipe_all(&mut driver, &[("k", "reset"), ("never", "a"), ("never", "reset")]);
    pipe_all(&mut driver, &[("k", "a"), ("never", "a")]);
    let expected = [k(Some(2)), k(None), k(Some(1)), never(Some(1))];
    assert_eq!(driver.output("out").read_pairs().unwrap(), expected);
    assert_eq!(changelog(&driver, "counts"), expected, "nor does the changelog");
}

#[test]
fn a_store_without_a_cache_forwards_each_deletion_and_logs_what_changed() {
    let mut driver = counting(0);
    pipe_all(&mut driver, &[("k", "a"), ("k", "reset"), ("k", "a"), ("never", "reset")]);
    pipe_all(&mut driver, &[("k", "reset"), ("never", "reset")]);
    let forwarded = [k(Some(1)), k(None), k(Some(1)), never(None), k(None), never(None)];
    assert_eq!(driver.output("out").read_pairs().unwrap(), forwarded);
    assert_eq!(changelog(&driver, "counts"), [k(Some(1)), k(None)]);
}

#[test]
fn a_stream_writes_a_null_within_an_option_as_a_null() {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in").map_values(|n| Some((n > 0).then_some(n))).to("out");
    let mut driver = TopologyTestDriver::builder(b.build().unwrap()).build().unwrap();
    let input = driver.input::<String, i64>("in");
    driver.pipe(&input, "k".to_owned(), 1, 0).unwrap();
    driver.pipe(&input, "k".to_owned(), 0, 0).unwrap();
    assert_eq!(driver.output("out").read_pairs().unwrap(), [k(Some(1)), k(None)]);
}

// ---- a processor's store ----

type Store = StoreHandle<Text, Text>;
type Act = fn(&Store, Record<Text, Text>) -> Result<(), TaskError>;

/// Does one thing with its store for each record.
struct Acting {
    act: Act,
    store: Store,
}

impl Processor for Acting {
    type KeyIn = Text;
    type ValueIn = Text;
    type KeyOut = Text;
    type ValueOut = Text;

    fn process(
        &mut self,
        _: &mut ProcessorContext<'_, Self>,
        record: Record<Text, Text>,
    ) -> Result<(), BoxError> {
        Ok((self.act)(&self.store, record)?)
    }
}

fn acting(act: Act, cache_max_bytes: usize) -> TopologyTestDriver {
    let b = StreamsBuilder::new();
    let store = b.add_state_store("store");
    b.stream::<Text, Text>("in").process(&store, move |store| Acting { act, store }).to("out");
    let builder = TopologyTestDriver::builder(b.build().unwrap());
    builder.cache_max_bytes(cache_max_bytes).build().unwrap()
}

fn give(driver: &mut TopologyTestDriver, key: Text, value: Text) -> Result<(), DriverError> {
    let input = driver.input::<Text, Text>("in");
    driver.pipe(&input, key, value, 0)
}

#[allow(clippy::unnecessary_wraps, reason = "the tests speak of keys that may be null")]
fn some(text: &str) -> Text {
    Some(text.to_owned())
}

fn put(store: &Store, record: Record<Text, Text>) -> Result<(), TaskError> {
    store.put(record.key, record.value)
}

#[test]
fn a_null_put_for_a_key_that_was_not_read_reaches_the_changelog() {
    let mut driver = acting(put, 0);
    give(&mut driver, some("c"), some("1")).unwrap();
    driver.recover().unwrap();
    give(&mut driver, some("c"), None).unwrap();
    let logged = [("c".to_owned(), some("1")), ("c".to_owned(), None)];
    assert_eq!(changelog::<String>(&driver, "store"), logged);
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    assert_eq!(driver.store::<Text, Text>("store").unwrap().get(&some("c")).unwrap(), None);
}

#[test]
fn a_store_refuses_a_null_key_by_name_and_takes_an_empty_one() {
    let acts: [(&str, Act); 5] = [
        ("get", |store, r| store.get(&r.key).map(|_| ())),
        ("put", put),
        ("put_with_timestamp", |store, r| store.put_with_timestamp(r.key, r.value, 7)),
        ("put_if_absent", |store, r| store.put_if_absent(r.key, r.value).map(|_| ())),
        ("delete", |store, r| store.delete(&r.key).map(|_| ())),
    ];
    for (name, act) in acts {
        for cache_max_bytes in [0, 1, 10 << 20] {
            let mut driver = acting(act, cache_max_bytes);
            give(&mut driver, some(""), some("v")).unwrap();
            let stored = driver.store::<Text, Text>("store").unwrap().to_map().unwrap();
            assert!(stored.keys().all(|key| *key == some("")), "{name}: {stored:?}");
            assert_eq!(stored.len(), usize::from(name.contains("put")), "{name}");
            let error = give(&mut driver, None, some("v")).unwrap_err().to_string();
            assert!(error.contains("store store was given a null"), "{name}: {error}");
        }
    }
}

#[test]
fn a_look_from_outside_refuses_a_null_key_with_the_stores_name() {
    let driver = acting(put, 0);
    let error = driver.store::<Text, Text>("store").unwrap().get(&None).unwrap_err();
    let DriverError::Task { source: TaskError::NullKey { store, .. }, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(store, "store");
}

#[test]
fn a_range_without_a_start_or_an_end_is_open_there() {
    fn ranges(store: &Store, record: Record<Text, Text>) -> Result<(), TaskError> {
        let between = |from: &Text, to: &Text| -> Result<String, TaskError> {
            store.range(from, to).map(|entry| Ok(entry?.0.unwrap_or_default())).collect()
        };
        store.put(record.key, record.value)?;
        let [a, m, open] = [some("a"), some("m"), None];
        let found = [between(&a, &m)?, between(&open, &m)?, between(&m, &open)?];
        store.put(some("~"), some(&found.join(" ")))
    }
    let mut driver = acting(ranges, 0);
    for key in ["", "a", "m", "z"] {
        give(&mut driver, some(key), some("v")).unwrap();
    }
    let found = driver.store::<Text, Text>("store").unwrap().get(&some("~")).unwrap();
    assert_eq!(found, Some(some("am am mz~")));
}
