//! Foreign-key joins on the test driver: several partitions, keys that change quickly, crashes, and what
//! their topics hold.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use oncestream_core::commit::Guarantee;
use oncestream_core::graph::Topology;
use oncestream_operators::{KTable, StreamsBuilder, TableJoined};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::TopologyTestDriverBuilder;

/// Names the user and what else an order has: `user/rest`, or `/rest` for an order without a user.
fn user_of(order: &str) -> Option<String> {
    let user = order.split('/').next().unwrap_or_default();
    (!user.is_empty()).then(|| user.to_owned())
}

fn tables(b: &StreamsBuilder) -> (KTable<String, String>, KTable<String, String>) {
    (b.table("orders"), b.table("users"))
}

fn joined(is_left: bool) -> Topology {
    let b = StreamsBuilder::new();
    let (orders, users) = tables(&b);
    let joined = TableJoined::with(&users).name("joined");
    let table = if is_left {
        orders.left_foreign_key_join(
            joined,
            |order| user_of(order),
            |order, user| format!("{order} of {}", user.map_or("nobody", |user| user)),
        )
    } else {
        orders.foreign_key_join(
            joined,
            |order| user_of(order),
            |order, user| format!("{order} of {user}"),
        )
    };
    table.materialized("results").to_stream().to("out");
    b.build().unwrap()
}

fn builder(topology: Topology) -> TopologyTestDriverBuilder {
    TopologyTestDriver::builder(topology)
        .application_id("app")
        .guarantee(Guarantee::ExactlyOnce)
        .commit_interval_ms(0)
        .cache_max_bytes(0)
}

/// `None` deletes.
fn set(driver: &mut TopologyTestDriver, topic: &str, key: &str, value: Option<&str>, time: i64) {
    let input = driver.input::<String, String>(topic);
    match value {
        Some(value) => driver.pipe(&input, key.to_owned(), value.to_owned(), time).unwrap(),
        None => driver.pipe_null(&input, key.to_owned(), time).unwrap(),
    }
}

type Told = (String, Option<String>, i64);

fn told(driver: &TopologyTestDriver) -> Vec<Told> {
    let all = driver.output::<String, Option<String>>("out").read_all().unwrap();
    all.into_iter().map(|record| (record.key, record.value, record.timestamp)).collect()
}

fn results<const N: usize>(results: [(&str, Option<&str>, i64); N]) -> Vec<Told> {
    let owned = |(key, value, time): (&str, Option<&str>, i64)| {
        (key.to_owned(), value.map(str::to_owned), time)
    };
    results.map(owned).to_vec()
}

#[test]
fn a_change_on_either_side_gives_the_new_result_with_its_time() {
    let mut driver = builder(joined(false)).build().unwrap();
    set(&mut driver, "orders", "1", Some("ann/a"), 10);
    set(&mut driver, "users", "ann", Some("Ann"), 20);
    set(&mut driver, "orders", "2", Some("ann/b"), 15);
    set(&mut driver, "users", "ann", Some("Anna"), 30);
    set(&mut driver, "orders", "1", None, 40);
    set(&mut driver, "users", "ann", None, 50);
    let expected = results([
        ("1", Some("ann/a of Ann"), 20),
        ("2", Some("ann/b of Ann"), 20),
        ("1", Some("ann/a of Anna"), 30),
        ("2", Some("ann/b of Anna"), 30),
        ("1", None, 40),
        ("2", None, 50),
    ]);
    assert_eq!(told(&driver), expected);
}

#[test]
fn a_left_join_has_a_result_for_each_row() {
    let mut driver = builder(joined(true)).build().unwrap();
    set(&mut driver, "orders", "1", Some("ann/a"), 10);
    set(&mut driver, "orders", "2", Some("/b"), 11);
    set(&mut driver, "users", "ann", Some("Ann"), 20);
    set(&mut driver, "orders", "1", Some("bob/a"), 30);
    set(&mut driver, "users", "ann", Some("Anna"), 40);
    set(&mut driver, "orders", "2", Some("ann/b"), 41);
    set(&mut driver, "users", "ann", None, 50);
    set(&mut driver, "orders", "2", None, 60);
    let expected = results([
        ("1", Some("ann/a of nobody"), 10),
        ("2", Some("/b of nobody"), 11),
        ("1", Some("ann/a of Ann"), 20),
        ("1", Some("bob/a of nobody"), 30),
        ("2", Some("ann/b of Anna"), 41),
        ("2", Some("ann/b of nobody"), 50),
        ("2", None, 60),
    ]);
    assert_eq!(told(&driver), expected);
}

#[test]
fn a_row_without_a_foreign_key_is_dropped_by_an_inner_join_and_takes_its_result_back() {
    let mut driver = builder(joined(false)).build().unwrap();
    set(&mut driver, "users", "ann", Some("Ann"), 10);
    set(&mut driver, "orders", "1", Some("ann/a"), 20);
    set(&mut driver, "orders", "1", Some("/a"), 30);
    set(&mut driver, "orders", "2", Some("/b"), 31);
    let expected = results([("1", Some("ann/a of Ann"), 20), ("1", None, 30)]);
    assert_eq!(told(&driver), expected);
    assert_eq!(driver.dropped_records(), 2);
}

#[test]
fn what_its_topics_and_its_store_hold_are_the_bytes_of_kafka_streams() {
    let mut driver = builder(joined(false)).build().unwrap();
    set(&mut driver, "orders", "1", Some("ann/a"), 10);
    set(&mut driver, "users", "ann", Some("Ann"), 20);
    let asked = driver.topic("app-joined-subscription-registration-topic");
    let asked: Vec<_> = asked.into_iter().map(|r| (r.key.unwrap(), r.value.unwrap())).collect();
    assert_eq!(asked.len(), 1);
    let (key, value) = &asked[0];
    assert_eq!(key, b"ann");
    // Version 1, the fourth instruction, a hash, the key, the partition.
    let (head, hash) = (&value[..2], &value[2..18]);
    assert_eq!((head, &value[18..]), (&[1, 3][..], &[b'1', 0, 0, 0, 0][..]));
    let kept = driver.changelog("joined-subscription-store");
    let combined = [&[0, 0, 0, 3][..], b"ann1"].concat();
    assert_eq!(kept[0].key.as_deref(), Some(&combined[..]));
    assert_eq!(kept[0].value.as_ref(), Some(value));
    let answers = driver.topic("app-joined-subscription-response-topic");
    let response = [&[0][..], hash, b"Ann"].concat();
    assert_eq!(answers[0].key.as_deref(), Some(&b"1"[..]));
    assert_eq!(answers[0].value.as_ref(), Some(&response));
}

#[test]
fn a_subscription_goes_with_its_row() {
    let mut driver = builder(joined(false)).build().unwrap();
    set(&mut driver, "orders", "1", Some("ann/a"), 10);
    set(&mut driver, "orders", "1", Some("bob/a"), 11);
    set(&mut driver, "orders", "1", None, 12);
    let kept = driver.changelog("joined-subscription-store");
    let tombstones = kept.iter().filter(|record| record.value.is_none()).count();
    assert_eq!((kept.len(), tombstones), (4, 2));
}

/// A few orders and users whose keys change all the time.
fn changes(seed: u64) -> Vec<(&'static str, String, Option<String>)> {
    let mut state = seed;
    let mut random = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let change = |at: u64| {
        if random(3) == 0 {
            let value = (random(4) > 0).then(|| format!("U{at}"));
            ("users", format!("u{}", random(3)), value)
        } else {
            let user = random(4);
            let user = if user < 3 { format!("u{user}") } else { String::new() };
            let value = (random(5) > 0).then(|| format!("{user}/{at}"));
            ("orders", format!("o{}", random(4)), value)
        }
    };
    (0..120).map(change).collect()
}

/// What a join of the last values has.
fn model(changes: &[(&str, String, Option<String>)], is_left: bool) -> BTreeMap<String, String> {
    let last = |topic: &str| -> BTreeMap<String, String> {
        let of_topic = changes.iter().filter(|(of, ..)| *of == topic);
        let mut last = BTreeMap::new();
        for (_, key, value) in of_topic {
            match value {
                Some(value) => drop(last.insert(key.clone(), value.clone())),
                None => drop(last.remove(key)),
            }
        }
        last
    };
    let users = last("users");
    let result = |order: &String| {
        let user = user_of(order).and_then(|user| users.get(&user));
        match user {
            Some(user) => Some(format!("{order} of {user}")),
            None => is_left.then(|| format!("{order} of nobody")),
        }
    };
    last("orders").iter().filter_map(|(key, order)| Some((key.clone(), result(order)?))).collect()
}

fn stored(driver: &TopologyTestDriver) -> BTreeMap<String, String> {
    driver.store::<String, String>("results").unwrap().to_map().unwrap().into_iter().collect()
}

/// Pipes changes, with a commit after so many of them, until nothing is under way.
fn pipe_all(
    driver: &mut TopologyTestDriver,
    changes: &[(&str, String, Option<String>)],
    in_one: usize,
) {
    for (at, (topic, key, value)) in changes.iter().enumerate() {
        set(driver, topic, key, value.as_deref(), at as i64);
        if at % in_one == 0 {
            driver.commit().unwrap();
        }
    }
    // Each commit lets records go on by one topic, and a key that was in doubt asks twice.
    for _ in 0..8 {
        driver.commit_all().unwrap();
    }
}

#[test]
fn tables_of_other_partitions_join_and_keys_that_change_quickly_end_right() {
    for (is_left, cache) in [(false, 0), (true, 0), (false, 1 << 20), (true, 1 << 20)] {
        for (seed, instances) in [(1, 3), (2, 1), (3, 1)] {
            let all = changes(seed);
            let builder = builder(joined(is_left)).cache_max_bytes(cache).instances(instances);
            let builder = builder.partitions("orders", 3).partitions("users", 5);
            let mut driver = builder.commit_interval_ms(1_000_000).build().unwrap();
            pipe_all(&mut driver, &all, 2 + seed as usize);
            let (found, expected) = (stored(&driver), model(&all, is_left));
            assert_eq!(found, expected, "left: {is_left}, cache: {cache}, seed {seed}");
        }
    }
}

/// What the left table had when the response came, and what it has asked for by then.
#[test]
fn a_result_is_taken_back_when_the_response_that_says_so_is_too_old() {
    let begin = || {
        let mut driver = builder(joined(false)).commit_interval_ms(1_000_000).build().unwrap();
        set(&mut driver, "users", "ann", Some("Ann"), 0);
        set(&mut driver, "orders", "1", Some("ann/a"), 1);
        for _ in 0..3 {
            driver.commit_all().unwrap();
        }
        assert_eq!(stored(&driver).len(), 1);
        driver
    };
    // The foreign row goes, while a row with the same foreign key is on its way.
    let same_key = [("users", "ann", None), ("orders", "1", Some("ann/b"))];
    // The row goes and comes back with a foreign key that has no row.
    let gone_and_back = [("orders", "1", None), ("orders", "1", Some("bob/b"))];
    // It loses its foreign key, and then goes.
    let unkeyed_and_gone = [("orders", "1", Some("/b")), ("orders", "1", None)];
    for changes in [same_key, gone_and_back, unkeyed_and_gone] {
        for crash in [false, true] {
            let mut driver = begin();
            for (topic, key, value) in changes {
                set(&mut driver, topic, key, value, 10);
            }
            for _ in 0..8 {
                driver.commit_all().unwrap();
                if crash {
                    driver.crash_and_lose_disk().unwrap();
                    driver.recover().unwrap();
                }
            }
            assert!(stored(&driver).is_empty(), "{changes:?}: {:?}", stored(&driver));
        }
    }
}

#[test]
fn each_result_was_true_when_it_was_told() {
    for is_left in [false, true] {
        let changes = changes(7);
        let mut driver = builder(joined(is_left)).build().unwrap();
        for (at, (topic, key, value)) in changes.iter().enumerate() {
            set(&mut driver, topic, key, value.as_deref(), at as i64);
            assert_eq!(stored(&driver), model(&changes[..=at], is_left), "{is_left} {at}");
        }
    }
}

#[test]
fn a_crash_after_each_change_changes_no_result() {
    for is_left in [false, true] {
        let run = |crash: Option<bool>| {
            let builder = builder(joined(is_left)).partitions("orders", 2).partitions("users", 3);
            let mut driver = builder.build().unwrap();
            for (at, (topic, key, value)) in changes(7).into_iter().take(60).enumerate() {
                set(&mut driver, topic, &key, value.as_deref(), at as i64);
                match crash {
                    Some(true) => driver.crash_and_lose_disk().unwrap(),
                    Some(false) => driver.crash(),
                    None => continue,
                }
                driver.recover().unwrap();
            }
            (told(&driver), stored(&driver))
        };
        let undisturbed = run(None);
        assert!(undisturbed.0.len() > 20, "{}", undisturbed.0.len());
        assert_eq!(run(Some(false)), undisturbed);
        assert_eq!(run(Some(true)), undisturbed);
    }
}

#[test]
fn a_response_to_an_older_value_is_dropped_and_counted() {
    let builder = builder(joined(false)).commit_interval_ms(1_000);
    let mut driver = builder.build().unwrap();
    set(&mut driver, "users", "ann", Some("Ann"), 0);
    driver.commit_all().unwrap();
    // Both are asked for in one commit, so the first answer comes when the second value is there.
    set(&mut driver, "orders", "1", Some("ann/a"), 10);
    set(&mut driver, "orders", "1", Some("ann/b"), 11);
    for _ in 0..3 {
        driver.commit_all().unwrap();
    }
    assert_eq!(told(&driver), results([("1", Some("ann/b of Ann"), 11)]));
    assert_eq!(driver.dropped_records(), 1);
}

#[test]
fn partitioners_of_the_tables_topics_are_followed() {
    let b = StreamsBuilder::new();
    let (orders, users) = tables(&b);
    let last =
        |key: &String, partitions: i32| Some(key.bytes().last().map_or(0, i32::from) % partitions);
    let joined = TableJoined::with(&users).partitioner(last).other_partitioner(last);
    orders
        .foreign_key_join(
            joined,
            |order| user_of(order),
            |order, user| format!("{order} of {user}"),
        )
        .to_stream()
        .to("out");
    let builder = builder(b.build().unwrap()).partitions("orders", 3).partitions("users", 4);
    let mut driver = builder.build().unwrap();
    for at in 0..12_u8 {
        let key = char::from(b'a' + at).to_string();
        let partition = i32::from(b'a' + at);
        let users = driver.input::<String, String>("users").partition(partition % 4);
        driver.pipe(&users, key.clone(), key.to_uppercase(), 0).unwrap();
        let orders = driver.input::<String, String>("orders").partition(partition % 3);
        driver.pipe(&orders, key.clone(), format!("{key}/x"), 1).unwrap();
    }
    let told = told(&driver);
    assert_eq!(told.len(), 12, "{told:?}");
    assert!(told.iter().all(|(key, value, _)| {
        value.as_deref() == Some(&format!("{key}/x of {}", key.to_uppercase()))
    }));
}

#[test]
fn a_table_joins_itself_and_tables_without_stores_are_computed() {
    let b = StreamsBuilder::new();
    // Of each employee the manager.
    let managers: KTable<String, String> = b.table("employees");
    managers
        .foreign_key_join(&managers, |m| Some(m.clone()), |manager, of| format!("{manager} < {of}"))
        .to_stream()
        .to("out");
    let loud = managers.filter(|_, manager| manager != "nobody");
    let joined = managers.foreign_key_join_with_key(
        &loud,
        |employee, _| Some(employee.clone()),
        |employee, manager, same| format!("{employee}: {manager} {same}"),
    );
    joined.group_by(|_, text| (text.clone(), 1_i64)).count("counts");
    let mut driver = builder(b.build().unwrap()).build().unwrap();
    set(&mut driver, "employees", "ann", Some("bob"), 0);
    set(&mut driver, "employees", "bob", Some("cid"), 1);
    set(&mut driver, "employees", "ann", Some("nobody"), 2);
    let expected = results([("ann", Some("bob < cid"), 1), ("ann", None, 2)]);
    assert_eq!(told(&driver), expected);
    let counts = driver.store::<String, i64>("counts").unwrap().to_map().unwrap();
    let counts: BTreeMap<_, _> = counts.into_iter().collect();
    // The row of the filtered table has gone in the same moment as the value that joined with it.
    let expected = [("ann: bob bob".to_owned(), 0), ("bob: cid cid".to_owned(), 1)];
    assert_eq!(counts, expected.into());
}
