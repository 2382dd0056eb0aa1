//! `deduplicate`: which records pass, what is remembered and for how long, and that no crash changes it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod crashes;

use std::collections::BTreeSet;
use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::commit::Guarantee;
use oncestream_core::handlers::{DropReason, HEADER_MESSAGE};
use oncestream_operators::{Deduplicated, KStream, Materialized, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;
use proptest::prelude::*;

use crashes::{builder, settle};

const WINDOW_MS: i64 = 100;
const WINDOW: Duration = Duration::from_millis(100);

/// What stands before the `/` of a value; nothing is a null.
fn id_of(value: &str) -> Option<String> {
    value.split('/').next().filter(|id| !id.is_empty()).map(str::to_owned)
}

type Deduplicate = Deduplicated<String, String, Option<String>>;

fn topology(options: impl Into<Deduplicate>) -> StreamsBuilder {
    let b = StreamsBuilder::new();
    let stream: KStream<String, String> = b.stream("in");
    stream.named("once").deduplicate(options, |_, value| id_of(value)).to("out");
    b
}

fn driver(options: impl Into<Deduplicate>) -> TopologyTestDriver {
    builder(topology(options)).build().unwrap()
}

fn pipe(driver: &mut TopologyTestDriver, key: &str, value: &str, time: i64) {
    let input = driver.input::<String, String>("in").partition(0);
    driver.pipe(&input, key.to_owned(), value.to_owned(), time).unwrap();
}

/// The values that have passed.
fn passed(driver: &TopologyTestDriver) -> Vec<String> {
    let pairs = driver.output::<String, String>("out").read_pairs().unwrap();
    pairs.into_iter().map(|(_, value)| value).collect()
}

#[test]
fn a_record_passes_unless_one_with_its_key_and_id_has_passed_within_the_window() {
    let mut driver = driver(WINDOW);
    for (key, value, time) in [
        ("k", "a/first", 0),
        ("k", "a/at the end of the window", 100),
        ("k", "b/another id", 100),
        ("other", "a/another key", 100),
        ("k", "a/behind the window", 101),
        ("k", "a/by the one that passed, not by the first", 201),
        ("k", "a/again behind the window", 202),
    ] {
        pipe(&mut driver, key, value, time);
    }
    assert_eq!(
        passed(&driver),
        [
            "a/first",
            "b/another id",
            "a/another key",
            "a/behind the window",
            "a/again behind the window"
        ]
    );
    assert_eq!(driver.dropped_records(), 2);
}

#[test]
fn a_record_out_of_order_is_a_duplicate_of_one_that_is_later() {
    let mut driver = driver(WINDOW);
    pipe(&mut driver, "k", "a/1", 500);
    pipe(&mut driver, "k", "a/2", 400);
    pipe(&mut driver, "k", "b/3", 400);
    pipe(&mut driver, "k", "b/4", 500);
    pipe(&mut driver, "k", "b/5", 501);
    // As old as may be, and a duplicate of one that is a window older still.
    pipe(&mut driver, "k", "c/6", 501);
    pipe(&mut driver, "k", "d/7", 701);
    pipe(&mut driver, "k", "c/8", 601);
    assert_eq!(passed(&driver), ["a/1", "b/3", "b/5", "c/6", "d/7"]);
}

#[test]
fn a_record_that_is_older_than_the_window_is_late_whatever_its_id() {
    let mut driver = builder(topology(WINDOW)).dropped_records_to("dlq").build().unwrap();
    pipe(&mut driver, "k", "a/1", 500);
    pipe(&mut driver, "k", "b/2", 399);
    pipe(&mut driver, "k", "a/3", 500);
    pipe(&mut driver, "k", "c/4", 400);
    assert_eq!(passed(&driver), ["a/1", "c/4"]);
    assert_eq!(driver.dropped_records(), 2);
    // There is a dead letter of the late one, and none of the duplicate.
    let letters = driver.topic("dlq");
    let told: Vec<_> = letters.iter().map(|letter| letter.headers.last(HEADER_MESSAGE)).collect();
    assert_eq!(told, [Some(DropReason::LateForDeduplicate.to_string().as_bytes())]);
}

#[test]
fn a_record_without_an_id_always_passes_and_moves_time() {
    let mut driver = driver(WINDOW);
    for (value, time) in [("/1", 0), ("/2", 0), ("/3", 500), ("a/late", 0), ("/4", 0)] {
        pipe(&mut driver, "k", value, time);
    }
    assert_eq!(passed(&driver), ["/1", "/2", "/3", "/4"]);
}

#[test]
fn the_unit_for_an_id_lets_one_record_of_each_key_pass() {
    let b = StreamsBuilder::new();
    b.stream::<String, String>("in").deduplicate(WINDOW, |_, _| ()).to("out");
    let mut driver = builder(b).build().unwrap();
    for (key, value, time) in [("k", "1", 0), ("k", "2", 0), ("l", "3", 0), ("k", "4", 101)] {
        pipe(&mut driver, key, value, time);
    }
    assert_eq!(passed(&driver), ["1", "3", "4"]);
}

#[test]
fn ids_are_compared_across_the_keys_of_a_partition_if_that_is_asked_for() {
    let mut driver = driver(Deduplicated::new(WINDOW).across_keys());
    for (key, value, time) in [("k", "a/1", 0), ("l", "a/2", 0), ("l", "b/3", 0), ("k", "b/4", 100)]
    {
        pipe(&mut driver, key, value, time);
    }
    let pairs = driver.output::<String, String>("out").read_pairs().unwrap();
    let expected = [("k", "a/1"), ("l", "b/3")];
    assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn partitions_do_not_know_of_each_other_unless_the_id_is_the_key() {
    let b = StreamsBuilder::new();
    let stream = b.stream::<String, String>("in");
    let across = Deduplicated::new(WINDOW).across_keys();
    stream.deduplicate(across, |_, value| id_of(value)).to("out");
    let by_id = stream.select_key(|_, value| id_of(value).unwrap_or_default());
    let once = Deduplicated::new(WINDOW).store_name("of-all");
    by_id.deduplicate(once, |_, _| ()).to("by-id");
    let mut driver = builder(b).partitions("in", 2).build().unwrap();
    for (partition, value) in [(0, "a/1"), (1, "a/2"), (1, "a/3")] {
        let input = driver.input::<String, String>("in").partition(partition);
        driver.pipe(&input, "k".to_owned(), value.to_owned(), 0).unwrap();
    }
    assert_eq!(passed(&driver), ["a/1", "a/2"]);
    let by_id = driver.output::<String, String>("by-id").read_pairs().unwrap();
    assert_eq!(by_id, [("a".to_owned(), "a/1".to_owned())]);
    let topics = driver.topic_names();
    assert!(topics.iter().any(|topic| topic.ends_with("-of-all-repartition")), "{topics:?}");
}

#[test]
fn with_the_longest_window_an_id_is_remembered_for_ever_and_no_record_is_late() {
    let mut driver = driver(Duration::MAX);
    for (value, time) in [("a/1", 5_000_000_000_000), ("b/2", 0), ("a/3", 0), ("b/4", i64::MAX)] {
        pipe(&mut driver, "k", value, time);
    }
    assert_eq!(passed(&driver), ["a/1", "b/2"]);
}

#[test]
fn what_is_remembered_is_bounded_by_the_window_in_the_changelog_too() {
    let mut driver = driver(WINDOW);
    for n in 0..400 {
        pipe(&mut driver, "k", &format!("{n}/"), n * 10);
    }
    let ids = driver.store::<(String, Option<String>), i64>("once-store").unwrap().all().unwrap();
    // Ids of 201 ms, of which there is one in 10.
    assert_eq!(ids.len(), 21);
    let mut kept = BTreeSet::new();
    for record in driver.changelog("once-store") {
        let is_kept = record.value.is_some();
        assert!(if is_kept { kept.insert(record.key) } else { kept.remove(&record.key) });
    }
    assert!((21..=27).contains(&kept.len()), "{}", kept.len());
}

/// A record of a run: key, value and time.
type Given = (String, String, i64);

/// What passes, by a model that forgets nothing, and how many records do not.
fn model(given: &[Given], across_keys: bool) -> (Vec<(String, String)>, u64) {
    let (mut time, mut out) = (-1, Vec::new());
    let mut seen: Vec<(String, String, i64)> = Vec::new();
    for (key, value, at) in given {
        time = time.max(*at);
        if let Some(id) = id_of(value) {
            let key = if across_keys { String::new() } else { key.clone() };
            let is_duplicate = |(k, i, t): &(String, String, i64)| {
                *k == key && *i == id && (t - at).abs() <= WINDOW_MS
            };
            if *at < time - WINDOW_MS || seen.iter().any(is_duplicate) {
                continue;
            }
            seen.push((key, id, *at));
        }
        out.push((key.clone(), value.clone()));
    }
    let dropped = (given.len() - out.len()) as u64;
    (out, dropped)
}

/// What happens behind a record.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Nothing,
    Commit,
    Crash,
    LoseDisk,
}

/// Hands all records in, each once, also one that was handed in when a crash came.
fn run(driver: &mut TopologyTestDriver, given: &[Given], mut then: impl FnMut(usize) -> Then) {
    let input = driver.input::<String, String>("in").partition(0);
    for (at, (key, value, time)) in given.iter().enumerate() {
        driver.produce(&input, Record::new(key.clone(), value.clone(), *time)).unwrap();
        settle(driver);
        match then(at) {
            Then::Nothing => {}
            Then::Commit => {
                if driver.commit().is_err() {
                    driver.recover().unwrap();
                }
            }
            Then::Crash => driver.crash(),
            Then::LoseDisk => driver.crash_and_lose_disk().unwrap(),
        }
        settle(driver);
    }
    while driver.commit_all().is_err() {
        driver.recover().unwrap();
        settle(driver);
    }
}

fn given(of: &[(&str, &str, i64)]) -> Vec<Given> {
    let values = of.iter().enumerate();
    values.map(|(n, (key, id, time))| ((*key).to_owned(), format!("{id}/{n}"), *time)).collect()
}

/// Times go on, fall back and jump.
fn script() -> Vec<Given> {
    given(&[
        ("k", "a", 0),
        ("k", "a", 60),
        ("l", "a", 60),
        ("k", "b", 160),
        ("k", "a", 101),
        ("k", "a", 60),
        ("k", "", 300),
        ("k", "b", 200),
        ("k", "b", 199),
        ("k", "a", 201),
        ("k", "a", 203),
        ("l", "a", 1_000),
        ("k", "a", 1_000),
        ("k", "c", 950),
        ("k", "a", 1_100),
        ("k", "c", 1_050),
        ("k", "c", 1_051),
    ])
}

fn out(driver: &TopologyTestDriver) -> Vec<(String, String)> {
    driver.output::<String, String>("out").read_pairs().unwrap()
}

#[test]
fn a_crash_at_any_step_and_a_lost_disk_after_any_input_change_nothing() {
    let given = script();
    let (expected, dropped) = model(&given, false);
    assert!(expected.len() > 6 && dropped > 5, "{expected:?}");
    for interval_ms in [0, 1_000_000] {
        let driver = || {
            let b = builder(topology(WINDOW)).commit_interval_ms(interval_ms);
            b.build().unwrap()
        };
        // Every third record is the last of a commit.
        let then = |at| if at % 3 == 2 { Then::Commit } else { Then::Nothing };
        let mut whole = driver();
        run(&mut whole, &given, then);
        assert_eq!((out(&whole), whole.dropped_records()), (expected.clone(), dropped));
        let steps = whole.commit_steps();
        assert!(steps > 20, "{steps} steps");
        for step in 1..=steps {
            let mut driver = driver();
            driver.crash_at_count(step);
            run(&mut driver, &given, then);
            assert_eq!(out(&driver), expected, "after a crash at step {step}");
        }
        for after in 0..given.len() {
            for way in [Then::Crash, Then::LoseDisk] {
                let mut driver = driver();
                run(&mut driver, &given, |at| if at == after { way } else { then(at) });
                assert_eq!(out(&driver), expected, "{way:?} after {after}");
            }
        }
    }
}

#[test]
fn at_least_once_a_crash_at_any_step_loses_no_record() {
    let given = script();
    let (expected, _) = model(&given, false);
    let driver = || {
        let b = builder(topology(WINDOW)).guarantee(Guarantee::AtLeastOnce);
        b.commit_interval_ms(1_000_000).build().unwrap()
    };
    let then = |at| if at % 3 == 2 { Then::Commit } else { Then::Nothing };
    let mut whole = driver();
    run(&mut whole, &given, then);
    assert_eq!(out(&whole), expected, "without a crash it is exact");
    for step in 1..=whole.commit_steps() {
        let mut driver = driver();
        driver.crash_at_count(step);
        run(&mut driver, &given, then);
        let out = out(&driver);
        for record in &expected {
            assert!(out.contains(record), "{record:?} after a crash at step {step}: {out:?}");
        }
    }
}

/// A crash may come when the broker has the changelog's records, but not yet what was forwarded.
#[test]
fn at_least_once_a_record_that_is_read_again_is_not_its_own_duplicate() {
    for (guarantee, passes) in [(Guarantee::AtLeastOnce, true), (Guarantee::ExactlyOnce, false)] {
        let mut driver = builder(topology(WINDOW)).guarantee(guarantee).build().unwrap();
        let changelog =
            driver.topic_names().into_iter().find(|topic| topic.ends_with("-changelog"));
        let row = Record::new(("k".to_owned(), Some("a".to_owned())), 0_i64, 7);
        let input = driver.input::<(String, Option<String>), i64>(&changelog.unwrap());
        driver.produce(&input.partition(0), row).unwrap();
        driver.crash_and_lose_disk().unwrap();
        driver.recover().unwrap();
        pipe(&mut driver, "k", "a/of offset 0", 7);
        pipe(&mut driver, "k", "a/of offset 1", 7);
        let expected: &[&str] = if passes { &["a/of offset 0"] } else { &[] };
        assert_eq!(passed(&driver), expected, "{guarantee:?}");
    }
}

#[test]
fn at_least_once_records_made_of_one_record_are_duplicates_too() {
    let b = StreamsBuilder::new();
    b.stream::<String, String>("in")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .deduplicate(WINDOW, |_, word| word.clone())
        .to("out");
    let mut driver = builder(b).guarantee(Guarantee::AtLeastOnce).build().unwrap();
    pipe(&mut driver, "k", "a b a b", 0);
    pipe(&mut driver, "k", "b c c a", 0);
    assert_eq!(passed(&driver), ["a", "b", "c"]);
}

#[test]
fn what_a_cache_forwards_at_a_commit_is_compared_too() {
    for guarantee in [Guarantee::ExactlyOnce, Guarantee::AtLeastOnce] {
        let b = StreamsBuilder::new();
        b.table::<String, String>("in")
            .materialized(Materialized::named("table"))
            .to_stream()
            .deduplicate(WINDOW, |_, value: &Option<String>| value.as_deref().and_then(id_of))
            .filter_map_values(|value| value)
            .to("out");
        let driver = builder(b).guarantee(guarantee).cache_max_bytes(1 << 20);
        let mut driver = driver.build().unwrap();
        for (value, time) in [("a/1", 0), ("a/2", 1), ("b/3", 2), ("a/4", 103)] {
            pipe(&mut driver, "k", value, time);
        }
        assert_eq!(passed(&driver), ["a/1", "b/3", "a/4"], "{guarantee:?}");
    }
}

fn event() -> impl Strategy<Value = (u8, u8, i64, u8)> {
    (0..2_u8, 0..4_u8, -150..180_i64, 0..12_u8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn what_passes_is_what_a_model_that_forgets_nothing_lets_pass(
        events in prop::collection::vec(event(), 1..40),
        across_keys: bool,
        commits_each: bool,
    ) {
        let mut now = 0_i64;
        let mut records = Vec::new();
        let mut thens = Vec::new();
        for (n, (key, id, step, then)) in events.into_iter().enumerate() {
            let time = (now + step).max(0);
            now = now.max(time);
            let id = ["", "a", "b", "c"][usize::from(id)];
            records.push((["k", "l"][usize::from(key)].to_owned(), format!("{id}/{n}"), time));
            thens.push(match then {
                0 => Then::Crash,
                1 => Then::LoseDisk,
                2..5 => Then::Commit,
                _ => Then::Nothing,
            });
        }
        let options = Deduplicated::new(WINDOW);
        let options = if across_keys { options.across_keys() } else { options };
        let interval_ms = if commits_each { 0 } else { 1_000_000 };
        let driver = builder(topology(options)).commit_interval_ms(interval_ms);
        let mut driver = driver.build().unwrap();
        run(&mut driver, &records, |at| thens[at]);
        prop_assert_eq!(out(&driver), model(&records, across_keys).0);
    }
}
