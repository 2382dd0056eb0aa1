//! Global tables in topologies: what a join finds, where a start goes on, and what bad records do to a table.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod stores;

use std::collections::BTreeMap;

use oncestream_core::Record;
use oncestream_core::error::{Part, TaskError};
use oncestream_core::graph::Topology;
use oncestream_core::handlers::{LogAndContinue, LogAndFail};
use oncestream_engine::StreamsError;
use oncestream_operators::{Consumed, Materialized, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{DriverError, TestInput, TopologyTestDriverBuilder};

/// Orders of users, by their numbers, with the users' names.
fn topology() -> Topology {
    let b = StreamsBuilder::new();
    let users = b.global_table::<i64, String>("users").materialized("names");
    let orders = b.stream::<String, i64>("orders");
    orders
        .join_global(
            &users,
            |_, user| (*user >= 0).then_some(*user),
            |user, name| format!("{user}={name}"),
        )
        .to("named");
    orders
        .left_join_global_with_key(
            &users,
            |_, user| (*user >= 0).then_some(*user),
            |order, _, name| format!("{order} {}", name.map_or("-", String::as_str)),
        )
        .to("all");
    b.build().unwrap()
}

fn builder() -> TopologyTestDriverBuilder {
    // More partitions than the orders have, and not a multiple.
    TopologyTestDriver::builder(topology()).partitions("users", 3).partitions("orders", 2)
}

type Users = TestInput<i64, String>;
type Orders = TestInput<String, i64>;

fn inputs(driver: &TopologyTestDriver) -> (Users, Orders) {
    (driver.input("users"), driver.input("orders"))
}

fn user(driver: &mut TopologyTestDriver, user: i64, name: &str) {
    let users = inputs(driver).0;
    driver.pipe(&users, user, name.to_owned(), 0).unwrap();
}

fn order(driver: &mut TopologyTestDriver, order: &str, user: i64) {
    let orders = inputs(driver).1;
    driver.pipe(&orders, order.to_owned(), user, 7).unwrap();
}

fn values(driver: &TopologyTestDriver, topic: &str) -> Vec<String> {
    let all = driver.output::<String, String>(topic).read_pairs().unwrap();
    all.into_iter().map(|(_, value)| value).collect()
}

fn table(driver: &TopologyTestDriver) -> BTreeMap<i64, String> {
    driver.store::<i64, String>("names").unwrap().to_map().unwrap().into_iter().collect()
}

fn names<const N: usize>(names: [(i64, &str); N]) -> BTreeMap<i64, String> {
    names.map(|(user, name)| (user, name.to_owned())).into()
}

#[test]
fn a_record_is_joined_with_what_the_table_has_and_a_change_of_the_table_joins_nothing() {
    let mut driver = builder().build().unwrap();
    order(&mut driver, "a", 1);
    user(&mut driver, 1, "eva");
    order(&mut driver, "b", 1);
    user(&mut driver, 1, "eve");
    order(&mut driver, "c", 1);
    let users = inputs(&driver).0;
    driver.pipe_null(&users, 1, 0).unwrap();
    order(&mut driver, "d", 1);
    assert_eq!(values(&driver, "named"), ["1=eva", "1=eve"]);
    assert_eq!(values(&driver, "all"), ["a -", "b eva", "c eve", "d -"]);
    let joined = driver.output::<String, String>("named").read_all().unwrap();
    assert!(joined.iter().all(|record| record.timestamp == 7), "the time is that of the order");
    assert_eq!(driver.dropped_records(), 0);
}

#[test]
fn without_a_key_for_the_table_an_inner_join_drops_and_a_left_join_finds_nothing() {
    let mut driver = builder().build().unwrap();
    order(&mut driver, "a", -1);
    assert!(values(&driver, "named").is_empty());
    assert_eq!(values(&driver, "all"), ["a -"]);
    assert_eq!(driver.dropped_records(), 1);
}

#[test]
fn every_instance_has_the_whole_table_and_its_partitions_are_nobodys() {
    let mut driver = builder().instances(2).build().unwrap();
    for n in 0..10 {
        user(&mut driver, n, &format!("user {n}"));
    }
    for n in 0..10 {
        order(&mut driver, &format!("order {n}"), n);
    }
    let mut named = values(&driver, "named");
    named.sort();
    let wanted: Vec<String> = (0..10).map(|n| format!("{n}=user {n}")).collect();
    assert_eq!(named, wanted);
    assert!((0..3).all(|partition| driver.committed_offset("users", partition).is_none()));
    let tasks = driver.tasks_of(0).len() + driver.tasks_of(1).len();
    assert_eq!(tasks, 2, "one for each partition of the orders");
    assert!(!driver.topic_names().iter().any(|topic| topic.contains("changelog")));

    driver.crash_instance(0);
    user(&mut driver, 3, "another");
    driver.start_instance(0).unwrap();
    for n in 0..4 {
        order(&mut driver, &format!("again {n}"), 3);
    }
    let named = values(&driver, "named");
    assert!(named[10..].iter().all(|value| value == "3=another"), "{named:?}");
    assert_eq!(named.len(), 14);
}

#[test]
fn a_start_goes_on_from_the_checkpoints_and_a_lost_disk_reads_the_topic_again() {
    let mut driver = builder().build().unwrap();
    for n in 0..6 {
        user(&mut driver, n, "first");
    }
    driver.crash();
    let users = inputs(&driver).0;
    driver.pipe(&users, 2, "second".to_owned(), 0).unwrap();
    driver.pipe_null(&users, 4, 0).unwrap();
    driver.recover().unwrap();
    assert_eq!(driver.restored_records(), [("names".to_owned(), 2)].into());
    let all = names([(0, "first"), (1, "first"), (2, "second"), (3, "first"), (5, "first")]);
    assert_eq!(table(&driver), all);

    driver.crash();
    driver.recover().unwrap();
    assert!(driver.restored_records().is_empty(), "nothing has come since");
    assert_eq!(table(&driver), all);

    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    assert_eq!(driver.restored_records(), [("names".to_owned(), 8)].into());
    assert_eq!(table(&driver), all);
}

/// A tombstone is kept for a day. A table that was at the end of its topic the whole time has missed none.
#[test]
fn a_table_whose_topic_was_idle_for_days_goes_on_from_its_checkpoints() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    for (idle_ms, away_ms, restored) in [(10 * DAY_MS, 0, 1), (0, 10 * DAY_MS, 7)] {
        let mut driver = builder().build().unwrap();
        for n in 0..6 {
            user(&mut driver, n, "first");
        }
        driver.advance_wall_clock(idle_ms).unwrap();
        driver.run().unwrap();
        driver.crash();
        // The control: while it is away, it may miss tombstones.
        let _ = driver.advance_wall_clock(away_ms);
        driver.pipe(&inputs(&driver).0, 2, "second".to_owned(), 0).unwrap();
        driver.recover().unwrap();
        assert_eq!(driver.restored_records(), [("names".to_owned(), restored)].into());
    }
}

/// Users in an order that matters: one that is set again and again, and one that is deleted.
fn changes() -> Vec<(i64, Option<&'static str>)> {
    vec![(1, Some("a")), (2, Some("b")), (1, Some("c")), (2, None), (3, Some("d")), (1, Some("e"))]
}

#[test]
fn a_crash_at_any_step_leaves_the_table_as_the_topic_has_it() {
    for waiting in [None, Some(1 << 20)] {
        for step in 1.. {
            let mut driver = builder();
            if let Some(bytes) = waiting {
                driver = driver.write_behind(bytes);
            }
            let mut driver = driver.build().unwrap();
            let users = inputs(&driver).0;
            driver.crash_at_count(step);
            let mut crashed = false;
            for (user, name) in changes() {
                let piped = match name {
                    Some(name) => driver.pipe(&users, user, name.to_owned(), 0),
                    None => driver.pipe_null(&users, user, 0),
                };
                match piped {
                    Ok(()) => {}
                    Err(DriverError::Crashed { .. }) => {
                        crashed = true;
                        driver.recover().unwrap();
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            driver.crash();
            // The step may be one of the start.
            if driver.recover().is_err() {
                crashed = true;
                driver.recover().unwrap();
            }
            assert_eq!(table(&driver), names([(1, "e"), (3, "d")]), "step {step}");
            if !crashed {
                assert!(step > 6, "{step}");
                break;
            }
        }
    }
}

#[test]
fn null_keys_are_dropped_and_what_cannot_be_read_is_for_the_handler_at_the_start_too() {
    let continuing = builder().deserialization_exception_handler(LogAndContinue::default());
    let mut driver = continuing.build().unwrap();
    let raw = driver.input::<Option<Vec<u8>>, Vec<u8>>("users");
    driver.pipe(&raw, None, b"nobody".to_vec(), 0).unwrap();
    driver.pipe(&raw, Some(b"short".to_vec()), b"bad key".to_vec(), 0).unwrap();
    driver.pipe(&raw, Some(1_i64.to_be_bytes().to_vec()), b"\xff bad value".to_vec(), 0).unwrap();
    user(&mut driver, 1, "good");
    assert_eq!(table(&driver), names([(1, "good")]));
    assert_eq!(driver.dropped_records(), 3);
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    assert_eq!(table(&driver), names([(1, "good")]));
    assert_eq!(driver.dropped_records(), 0, "they were counted before");
}

#[test]
fn a_handler_that_fails_stops_the_instance_and_its_next_start() {
    let failing = builder().deserialization_exception_handler(LogAndFail::default());
    let mut driver = failing.build().unwrap();
    let raw = driver.input::<i64, Vec<u8>>("users").partition(2);
    user(&mut driver, 8, "before");
    let error = driver.pipe(&raw, 1, b"\xff".to_vec(), 0).unwrap_err();
    for error in [error, driver.recover().unwrap_err()] {
        let DriverError::Worker(error) = error else { panic!("{error}") };
        let StreamsError::GlobalTable { store, source } = *error else { panic!("{error}") };
        assert_eq!(store, "names");
        let TaskError::Deserialize { topic, partition: 2, part: Part::Value, .. } = *source else {
            panic!("{source}")
        };
        assert_eq!(topic, "users");
    }
}

#[test]
fn the_headers_of_a_record_are_there_for_the_handler_and_a_table_has_no_dead_letters() {
    let letters = LogAndContinue::default().dead_letter_topic("dead");
    let mut driver = builder().deserialization_exception_handler(letters).build().unwrap();
    let raw = driver.input::<i64, Vec<u8>>("users");
    let header = oncestream_core::Header::new("trace", b"1".to_vec());
    let record = Record::new(1, b"\xff".to_vec(), 0).with_headers([header]);
    driver.pipe_record(&raw, record).unwrap();
    assert_eq!(driver.dropped_records(), 1);
    assert!(driver.topic("dead").is_empty());
}

#[test]
fn a_store_may_have_serdes_of_its_own_and_two_tables_are_two_topics() {
    use oncestream_core::serde::HasSerde as _;
    let b = StreamsBuilder::new();
    let own = Materialized::with("own", i64::serde(), String::serde());
    let first =
        b.global_table::<i64, String>(Consumed::new("first").named("one")).materialized(own);
    let second = b.global_table::<String, String>("second");
    b.stream::<String, i64>("in")
        .join_global(&first, |_, n| Some(*n), |_, name| name.clone())
        .left_join_global(
            &second,
            |_, name| Some(name.clone()),
            |name, other| format!("{name}{}", other.map_or("", |other| other)),
        )
        .to("out");
    let mut driver = TopologyTestDriver::builder(b.build().unwrap()).build().unwrap();
    let (first, second) = (driver.input::<i64, String>("first"), driver.input("second"));
    let input = driver.input::<String, i64>("in");
    driver.pipe(&first, 1, "a".to_owned(), 0).unwrap();
    driver.pipe(&input, "k".to_owned(), 1, 0).unwrap();
    driver.pipe(&second, "a".to_owned(), "b".to_owned(), 0).unwrap();
    driver.pipe(&input, "k".to_owned(), 1, 0).unwrap();
    assert_eq!(values(&driver, "out"), ["a", "ab"]);
}

/// What the application itself writes to the topic of its table is seen once it is committed.
#[test]
fn a_table_may_be_written_by_its_own_application() {
    let b = StreamsBuilder::new();
    let seen = b.global_table::<String, i64>("seen");
    let input = b.stream::<String, i64>("in");
    input
        .left_join_global(
            &seen,
            |key, _| Some(key.clone()),
            |n, before| n + before.map_or(0, |n| *n),
        )
        .to("seen");
    let driver = TopologyTestDriver::builder(b.build().unwrap()).commit_interval_ms(1_000);
    let mut driver = driver.build().unwrap();
    let input = driver.input::<String, i64>("in");
    for _ in 0..2 {
        driver.pipe(&input, "k".to_owned(), 1, 0).unwrap();
    }
    driver.commit_all().unwrap();
    driver.pipe(&input, "k".to_owned(), 1, 0).unwrap();
    driver.commit_all().unwrap();
    let told = driver.output::<String, i64>("seen").read_pairs().unwrap();
    assert_eq!(told.into_iter().map(|(_, n)| n).collect::<Vec<_>>(), [1, 1, 2]);
}
