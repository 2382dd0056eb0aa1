//! Streams joined with versioned tables, with and without a grace.

use std::time::Duration;

use oncestream_operators::{Joined, Materialized, StreamsBuilder};

use crate::{HISTORY, Text, driver, pair, set, texts, told, versioned};

#[test]
fn a_stream_finds_the_version_of_its_time_also_through_tables_without_a_store() {
    let b = StreamsBuilder::new();
    let table = versioned(&b, "table");
    let marked = table.filter(|_, v| v != "hidden").map_values(|v| v + "!");
    let stored = table.map_values(|v| v + "*").materialized("stored");
    let stream = b.stream::<String, String>("stream");
    stream.left_join_table(&table, |s, t| pair(Some(s), t)).to("plain");
    stream.left_join_table(&marked, |s, t| pair(Some(s), t)).to("marked");
    stream.left_join_table(&stored, |s, t| pair(Some(s), t)).to("stored");
    let mut driver = driver(b);
    for (value, time) in [(Some("a"), 10), (Some("hidden"), 20), (None, 30), (Some("d"), 40)] {
        set(&mut driver, "table", value, time);
    }
    for time in [5, 15, 25, 35, 45] {
        set(&mut driver, "stream", Some("s"), time);
    }
    let found = |topic| -> Vec<_> {
        told(&driver, topic).into_iter().map(|(value, _)| value.unwrap()).collect()
    };
    assert_eq!(found("plain"), ["s-", "sa", "shidden", "s-", "sd"]);
    assert_eq!(found("marked"), ["s-", "sa!", "s-", "s-", "sd!"]);
    assert_eq!(found("stored"), ["sd*"; 5], "its own store has no versions");
}

/// A stream joined with a table after a grace of 50 ms, inner and left.
fn with_grace() -> StreamsBuilder {
    let b = StreamsBuilder::new();
    let table = versioned(&b, "table");
    let grace = Duration::from_millis(50);
    let stream = b.stream::<String, Text>("stream");
    let joined = |name: &str| Joined::with(&table).grace(grace).name(name);
    let text = |value: &Text| value.clone().unwrap_or_default();
    stream.join_table(joined("inner"), move |s, t| text(s) + t).to("inner");
    stream.left_join_table(joined("left"), move |s, t| text(s) + &pair(None, t)).to("left");
    b
}

#[test]
fn a_record_waits_for_the_grace_and_is_then_joined_as_of_its_time() {
    let mut driver = driver(with_grace());
    set(&mut driver, "stream", Some("s"), 10);
    set(&mut driver, "stream", Some("t"), 30);
    set(&mut driver, "table", Some("late"), 5);
    set(&mut driver, "table", Some("later"), 20);
    assert!(told(&driver, "inner").is_empty(), "both wait");
    set(&mut driver, "stream", Some("u"), 60);
    assert_eq!(told(&driver, "inner"), texts([(Some("slate"), 10)]));
    set(&mut driver, "stream", Some("v"), 100);
    let first = [(Some("slate"), 10), (Some("tlater"), 30)];
    assert_eq!(told(&driver, "inner"), texts(first));
    // Later than the grace: at once. Just within it: put in order, and due.
    set(&mut driver, "stream", Some("w"), 49);
    set(&mut driver, "stream", Some("x"), 50);
    let all = [first[0], first[1], (Some("wlater"), 49), (Some("xlater"), 50)];
    assert_eq!(told(&driver, "inner"), texts(all));
    let left = told(&driver, "left");
    let times: Vec<_> = left.iter().map(|(_, time)| *time).collect();
    assert_eq!(times, [10, 30, 49, 50]);
    assert_eq!(left[0], (Some("s-late".to_owned()), 10));
}

#[test]
fn records_of_one_time_come_out_in_their_order_also_after_a_crash() {
    let mut driver = driver(with_grace());
    set(&mut driver, "table", Some("!"), 0);
    for value in ["c", "a"] {
        set(&mut driver, "stream", Some(value), 10);
    }
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    set(&mut driver, "stream", Some("b"), 10);
    set(&mut driver, "stream", None, 1_000);
    assert!(told(&driver, "inner").is_empty(), "a null moves no time");
    set(&mut driver, "stream", Some("z"), 60);
    assert_eq!(
        told(&driver, "inner"),
        texts([(Some("c!"), 10), (Some("a!"), 10), (Some("b!"), 10)])
    );
    assert!(driver.changelog("inner-Buffer").len() >= 7);
}

#[test]
fn a_record_later_than_the_grace_is_joined_at_once_also_after_a_crash() {
    let mut driver = driver(with_grace());
    set(&mut driver, "table", Some("!"), 0);
    set(&mut driver, "stream", Some("waits"), 100);
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    set(&mut driver, "stream", Some("late"), 49);
    assert_eq!(told(&driver, "inner"), texts([(Some("late!"), 49)]));
}

/// Of the golden case `versioned_grace_bytes`.
#[test]
fn a_record_that_waits_has_the_bytes_of_kafka_streams() {
    let b = StreamsBuilder::new();
    let joined = Joined::with(&versioned(&b, "table")).grace(Duration::from_millis(10)).name("n");
    b.stream::<String, String>("in").join_table(joined, |s, t| pair(Some(s), Some(t))).to("out");
    let mut driver = driver(b);
    let input = driver.input::<String, String>("in");
    driver.pipe(&input, "c".to_owned(), "e1".to_owned(), 8).unwrap();
    let log = driver.changelog("n-Buffer");
    let hex = |bytes: &Option<Vec<u8>>| -> String {
        let digits = bytes.iter().flatten().map(|byte| format!("{byte:02x}"));
        digits.collect::<Vec<_>>().concat()
    };
    assert_eq!(log.len(), 1);
    assert_eq!(hex(&log[0].key), "0000000000000000086300000001");
    let entry = "0000000000000008000000000000000000000002696e0000000000000000ffffffffffffffff\
                 0000000265310000000000000000";
    assert_eq!(hex(&log[0].value), entry);
}

#[test]
fn a_record_without_a_key_waits_for_nothing() {
    let b = StreamsBuilder::new();
    let table = b.table::<Text, String>("table");
    let table = table.materialized(Materialized::named("versions").versioned(HISTORY));
    let stream = b.stream::<Text, String>("stream");
    let joined = Joined::with(&table).grace(Duration::from_millis(50)).name("n");
    stream.left_join_table(joined, |s, t| pair(Some(s), t)).to("out");
    let mut driver = driver(b);
    let input = driver.input::<Text, String>("stream");
    driver.pipe(&input, None, "guest".to_owned(), 10).unwrap();
    let out = driver.output::<Text, String>("out").read_pairs().unwrap();
    assert_eq!(out, [(None, "guest-".to_owned())]);
}
