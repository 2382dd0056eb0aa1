//! What stores and schedules do at the limits of keys and times: with each operator that has a
//! store, with and without caches and changelogs, and with each backend of the driver.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::error::Error;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::graph::Topology;
use oncestream_core::handlers::{ErrorHandlerContext, HandlerResponse, LogAndContinue};
use oncestream_core::state::{Backend, MAX_KEY_BYTES};
use oncestream_core::task::{PunctuationType, Task};
use oncestream_core::{Record, TimestampMs};
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
use oncestream_operators::{Consumed, Materialized, StreamsBuilder};
use oncestream_stores::{FjallBackend, FjallOptions, MemoryBackend};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{DriverError, TopologyTestDriverBuilder};

type Store = StoreHandle<String, String>;
type Act = fn(&Store, Record<String, String>) -> Result<(), TaskError>;

/// Does one thing with its store for each record.
struct Acting(Act, Store);

impl Processor for Acting {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        _: &mut ProcessorContext<'_, Self>,
        record: Record<String, String>,
    ) -> Result<(), BoxError> {
        Ok((self.0)(&self.1, record)?)
    }
}

/// What meets a store with its records' keys.
const WAYS: [&str; 14] = [
    "count",
    "reduce",
    "aggregate",
    "table",
    "to_table",
    "filter",
    "map_values",
    "grouped table",
    "get",
    "put",
    "put_with_timestamp",
    "put_if_absent",
    "delete",
    "range",
];

/// A topology with a store `store` that records of `in` meet in one of the [`WAYS`].
fn topology(way: &str, logged: bool) -> Topology {
    macro_rules! store {
        () => {
            if logged {
                Materialized::named("store")
            } else {
                Materialized::named("store").logging_disabled()
            }
        };
    }
    let b = StreamsBuilder::new();
    let stream = || b.stream::<String, String>("in");
    // A table without a store of its own, so to speak: one that takes any key.
    let table = || b.table::<String, String>("in").materialized("before");
    let acting = |act: Act| {
        let store = b.add_state_store(store!());
        stream().process(&store, move |store| Acting(act, store)).to("out");
    };
    match way {
        "count" => drop(stream().group_by_key().count(store!())),
        "reduce" => drop(stream().group_by_key().reduce(|a, _| a, store!())),
        "aggregate" => {
            let sums = stream().group_by_key();
            sums.aggregate(|| 0_i64, |_, _, n| n + 1, store!());
        }
        "table" => drop(b.table::<String, String>("in").materialized(store!())),
        "to_table" => drop(stream().to_table::<String>().materialized(store!())),
        "filter" => drop(table().filter(|_, v| v != "none").materialized(store!())),
        "map_values" => drop(table().map_values(|v| v).materialized(store!())),
        "grouped table" => {
            let keys = b.table::<String, String>("in").materialized("before");
            // The value chooses how long the new key is.
            let longer = |k: &String, v: &String| (k.repeat(v.len()), v.clone());
            keys.group_by(longer).count(store!());
        }
        "get" => acting(|s, r| s.get(&r.key).map(drop)),
        "put" => acting(|s, r| s.put(r.key, r.value)),
        "put_with_timestamp" => acting(|s, r| s.put_with_timestamp(r.key, r.value, 7)),
        "put_if_absent" => acting(|s, r| s.put_if_absent(r.key, r.value).map(drop)),
        "delete" => acting(|s, r| s.delete(&r.key).map(drop)),
        // A bound is no key: it may be of any length.
        "range" => acting(|s, r| {
            let found = s.range(&String::new(), &r.key).collect::<Result<Vec<_>, _>>()?.len();
            s.put("found".to_owned(), found.to_string())
        }),
        other => panic!("no way {other}"),
    }
    b.build().unwrap()
}

fn driver(topology: Topology, cache_max_bytes: usize) -> TopologyTestDriverBuilder {
    TopologyTestDriver::builder(topology)
        .commit_interval_ms(1_000_000)
        .cache_max_bytes(cache_max_bytes)
        .message_max_bytes(10 << 20)
}

/// Small, large, small. Says what the large one failed with, if it did.
fn give_all(driver: &mut TopologyTestDriver, large: &str) -> Result<(), DriverError> {
    let input = driver.input::<String, String>("in");
    for key in ["a", large, "b"] {
        driver.pipe(&input, key.to_owned(), "v".to_owned(), 5)?;
    }
    driver.commit_all()
}

fn is_refused(way: &str) -> bool {
    way != "range"
}

#[test]
fn a_key_too_large_for_a_store_is_refused_at_its_record_by_every_operator() {
    let large = "k".repeat(MAX_KEY_BYTES + 1);
    for way in WAYS {
        for (cache_max_bytes, logged) in [(0, true), (10 << 20, true), (10 << 20, false)] {
            let mut driver = driver(topology(way, logged), cache_max_bytes).build().unwrap();
            let given = give_all(&mut driver, &large);
            let case = format!("{way}, cache {cache_max_bytes}, logged {logged}");
            if !is_refused(way) {
                given.unwrap();
                continue;
            }
            let error = given.expect_err(&case).to_string();
            for told in ["store ", &format!("{} bytes", large.len()), &MAX_KEY_BYTES.to_string()] {
                assert!(error.contains(told), "{case}: {error}");
            }
        }
    }
}

#[test]
fn a_key_too_large_for_a_store_is_dropped_and_those_around_it_are_kept_on_every_backend() {
    let large = "k".repeat(MAX_KEY_BYTES + 1);
    for way in WAYS {
        for (cache_max_bytes, logged) in [(0, true), (10 << 20, false)] {
            for on_disk in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                let backend: Arc<dyn Backend> = if on_disk {
                    let options = FjallOptions::default();
                    Arc::new(FjallBackend::open(dir.path(), &options).unwrap())
                } else {
                    Arc::new(MemoryBackend::new())
                };
                let mut driver = driver(topology(way, logged), cache_max_bytes)
                    .processing_exception_handler(LogAndContinue::default())
                    .backend(backend.clone())
                    .build()
                    .unwrap();
                give_all(&mut driver, &large).unwrap();
                let case = format!("{way}, cache {cache_max_bytes}, logged {logged}, {on_disk}");
                let dropped = driver.dropped_records();
                assert_eq!(dropped, u64::from(is_refused(way)), "{case}");
                driver.crash();
                driver.recover().unwrap();
                let stores = driver.tasks().into_iter().flat_map(Task::stores);
                let of = stores.map(|s| s.state().keyspace_name().to_string());
                let name = of.into_iter().find(|name| name.starts_with("store")).unwrap();
                let all = (Bound::Unbounded, Bound::Unbounded);
                let rows = backend.keyspace(&name).unwrap().range(all.0, all.1).count();
                let expected = match way {
                    "get" | "delete" => 0,
                    "range" => 1,
                    _ => 2,
                };
                assert_eq!(rows, expected, "{case}");
            }
        }
    }
}

#[test]
fn the_largest_key_is_kept_by_every_operator() {
    let largest = "k".repeat(MAX_KEY_BYTES);
    for way in WAYS {
        let dir = tempfile::tempdir().unwrap();
        let backend = FjallBackend::open(dir.path(), &FjallOptions::default()).unwrap();
        let builder = driver(topology(way, true), 0).backend(Arc::new(backend));
        let mut driver = builder.build().unwrap();
        give_all(&mut driver, &largest).unwrap_or_else(|e| panic!("{way}: {e}"));
        assert_eq!(driver.dropped_records(), 0, "{way}");
        driver.crash_and_lose_disk().unwrap();
        driver.recover().unwrap_or_else(|e| panic!("{way}: {e}"));
    }
}

#[test]
fn a_null_key_for_a_processors_store_is_its_handlers_business() {
    struct Nulls(StoreHandle<Option<String>, String>);
    impl Processor for Nulls {
        type KeyIn = Option<String>;
        type ValueIn = String;
        type KeyOut = String;
        type ValueOut = String;

        fn process(
            &mut self,
            _: &mut ProcessorContext<'_, Self>,
            record: Record<Option<String>, String>,
        ) -> Result<(), BoxError> {
            Ok(self.0.put(record.key, record.value)?)
        }
    }
    let b = StreamsBuilder::new();
    let store = b.add_state_store("store");
    b.stream::<Option<String>, String>("in").process(&store, Nulls).to("out");
    let mut driver = driver(b.build().unwrap(), 0)
        .processing_exception_handler(LogAndContinue::default())
        .build()
        .unwrap();
    let input = driver.input::<Option<String>, String>("in");
    for key in [Some("a".to_owned()), None, Some("b".to_owned())] {
        driver.pipe(&input, key, "v".to_owned(), 5).unwrap();
    }
    assert_eq!(driver.dropped_records(), 1);
    assert_eq!(driver.store::<Option<String>, String>("store").unwrap().to_map().unwrap().len(), 2);
}

#[test]
fn a_time_before_all_time_is_0_in_a_store_before_a_restart_and_after_it() {
    let stored = |driver: &TopologyTestDriver| {
        let store = driver.store::<String, String>("store").unwrap();
        store.get_with_timestamp(&"k".to_owned()).unwrap().unwrap().timestamp
    };
    let b = StreamsBuilder::new();
    let store = b.add_state_store("store");
    let put: Act = |s, r| s.put_with_timestamp(r.key, r.value, i64::MIN);
    b.stream::<String, String>("in").process(&store, move |store| Acting(put, store)).to("out");
    let mut driver = driver(b.build().unwrap(), 10 << 20).build().unwrap();
    let input = driver.input::<String, String>("in");
    driver.pipe(&input, "k".to_owned(), "v".to_owned(), 5).unwrap();
    assert_eq!(stored(&driver), 0);
    driver.commit().unwrap();
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    assert_eq!(stored(&driver), 0);
}

// ---- Dead letters ----

#[test]
fn a_dead_letter_for_a_place_that_cannot_be_is_an_error_that_names_it() {
    for (topic, partition, told) in [
        ("a b", None, vec!["`a b`", "' '"]),
        ("", None, vec!["empty"]),
        ("nu\0l", None, vec![r"nu\0l"]),
        ("dead", Some(3), vec!["dead", "partition 3", "3 partitions"]),
        ("dead", Some(-1), vec!["dead", "partition -1", "3 partitions"]),
        ("dead", Some(2), vec![]),
    ] {
        let handler = move |ctx: &ErrorHandlerContext<'_>, error: &(dyn Error + 'static)| {
            let mut letter = ctx.dead_letter(topic, error);
            letter.partition = partition;
            HandlerResponse::resume().with_dead_letter(letter)
        };
        let b = StreamsBuilder::new();
        b.stream::<String, String>("in").try_map_values(|v| v.parse::<i64>()).to("out");
        let mut driver = driver(b.build().unwrap(), 0)
            .partitions("dead", 3)
            .processing_exception_handler(handler)
            .build()
            .unwrap();
        let input = driver.input::<String, String>("in");
        let given = driver.pipe(&input, "k".to_owned(), "no number".to_owned(), 5);
        if told.is_empty() {
            given.unwrap();
            driver.commit().unwrap();
            let letters = driver.topic(topic);
            assert_eq!(letters.iter().map(|r| r.partition).collect::<Vec<_>>(), [2]);
            continue;
        }
        let error = given.unwrap_err().to_string();
        assert!(told.iter().all(|told| error.contains(told)), "{topic:?} {partition:?}: {error}");
    }
}

// ---- Schedules ----

/// Counts its calls by both clocks.
struct Ticking(Arc<AtomicUsize>);

impl Processor for Ticking {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        let ten_ms = Duration::from_millis(10);
        ctx.schedule(ten_ms, PunctuationType::StreamTime, Self::tick);
        ctx.schedule(Duration::MAX, PunctuationType::StreamTime, Self::tick);
        ctx.schedule(Duration::MAX, PunctuationType::WallClockTime, Self::tick);
        Ok(())
    }

    fn process(
        &mut self,
        _: &mut ProcessorContext<'_, Self>,
        _: Record<String, String>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

impl Ticking {
    #[allow(clippy::unnecessary_wraps, reason = "what a schedule calls may fail")]
    fn tick(&mut self, _: &mut ProcessorContext<'_, Self>, _: TimestampMs) -> Result<(), BoxError> {
        let calls = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(calls < 100, "it fires without end");
        Ok(())
    }
}

#[test]
fn the_last_time_there_is_fires_each_schedule_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let b = StreamsBuilder::new();
    let by_value = |r: &Record<String, String>, _| r.value.parse().unwrap();
    let consumed = Consumed::new("in").timestamp_extractor(by_value);
    b.stream::<String, String>(consumed).process((), move |()| Ticking(counted.clone())).to("out");
    let mut driver = driver(b.build().unwrap(), 0).build().unwrap();
    let input = driver.input::<String, String>("in");
    // Both schedules of stream time begin at 0. The second has its next time at the end of time.
    for (time, fired) in [(5, 2), (25, 3), (i64::MAX, 5), (i64::MAX, 5), (7, 5), (i64::MIN, 5)] {
        driver.pipe(&input, "k".to_owned(), time.to_string(), 1).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), fired, "at {time}");
    }
    // Stream time is committed, and goes on from there.
    driver.commit().unwrap();
    driver.crash();
    driver.recover().unwrap();
    driver.pipe(&input, "k".to_owned(), "8".to_owned(), 1).unwrap();
    driver.advance_wall_clock(i64::MAX).unwrap();
    assert!(calls.load(Ordering::Relaxed) <= 10);
}
