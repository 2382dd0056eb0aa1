//! What is not exactly once: the same enumeration finds it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use oncestream::prelude::*;
use oncestream_testkit::ExactlyOnceCheck;

use crate::lines::{build, check, counting, lines};

/// A kill between output and offsets makes duplicates, and the same checks see them.
#[test]
fn at_least_once_is_found_out() {
    let failure = check("at-least-once", counting, "found_out::at_least_once_is_found_out")
        .setting("processing.guarantee", "at_least_once")
        .only("OffsetCommit")
        .cases(12)
        .try_run()
        .err()
        .map(|failure| failure.to_string());
    // A child gets here with an empty report.
    let Some(failure) = failure else { panic!("duplicates were not found") };
    println!("{failure}");
    assert!(failure.contains("output counts-"), "{failure}");
}

/// A counter outside Kafka counts what was processed, not what was committed.
#[test]
fn a_side_effect_in_a_map_is_found_out() {
    let numbered = || {
        let numbers = AtomicU64::new(0);
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>("lines")
            .map_values(move |line| format!("{} {line}", numbers.fetch_add(1, Ordering::Relaxed)))
            .to("numbered");
        build(builder)
    };
    let failure = ExactlyOnceCheck::new("numbered", numbered)
        .partitions(1)
        .input("lines", lines(12))
        .only("EndTxn #2")
        .processes(false)
        .try_run()
        .expect_err("the numbers depend on how often a record was processed");
    println!("{failure}");
    assert!(failure.to_string().contains("output numbered-0"), "{failure}");
}

/// A filter that remembers lets a record through once only, and its transaction may be aborted.
/// The cache of another branch is no excuse, nor that a function chooses the topic.
#[test]
fn a_record_lost_beside_a_store_with_a_cache_is_found_out() {
    let fresh = || {
        let seen = Mutex::new(BTreeSet::new());
        let builder = StreamsBuilder::new();
        let lines = builder.stream::<String, String>("lines");
        lines
            .map_values(|line| format!("{line}!"))
            .filter(move |key, line| seen.lock().unwrap().insert((key.clone(), line.clone())))
            .to(Produced::chosen(|_, _| "fresh".to_owned()));
        lines.group_by_key().count("counts").to_stream().to("counts");
        build(builder)
    };
    let failure = ExactlyOnceCheck::new("fresh", fresh)
        .input("lines", (0..30).map(|n| (format!("key-{}", n % 2), format!("line {n}"))))
        .output("fresh")
        .setting("statestore.cache.max.bytes", "100000")
        .only("EndTxn #1")
        .processes(false)
        .try_run()
        .expect_err("what was aborted is filtered out the second time");
    println!("{failure}");
    assert!(failure.to_string().contains("output fresh-"), "{failure}");
    assert!(!failure.to_string().contains("output counts-"), "{failure}");
}
