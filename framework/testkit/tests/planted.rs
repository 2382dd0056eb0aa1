//! What the driver's enumeration is worth: with a bug planted into the worker's commit order, restore or
//! recovery, it fails.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::process::Command;

use oncestream_core::graph::Topology;
use oncestream_operators::StreamsBuilder;
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::DriverError;

fn count() -> Topology {
    let b = StreamsBuilder::new();
    b.stream::<String, String>("in").group_by_key().count("counts").to_stream().to("counts");
    b.build().unwrap()
}

const KEYS: [&str; 7] = ["a", "b", "a", "c", "a", "b", "a"];

/// What happens to the worker, and at which of its steps.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    None,
    Crash(u64),
    Failure(u64),
}

/// Counts all keys, and gives the counts with the number of steps that it took.
fn run(disturbance: Disturbance) -> Result<(BTreeMap<String, i64>, u64), DriverError> {
    let mut driver = TopologyTestDriver::builder(count()).commit_interval_ms(100).build().unwrap();
    match disturbance {
        Disturbance::None => {}
        Disturbance::Crash(step) => driver.crash_at_count(step),
        Disturbance::Failure(step) => driver.fail_at_count(step),
    }
    let keys = driver.input::<String, String>("in");
    for (at, key) in KEYS.into_iter().enumerate() {
        let mut done = driver.pipe(&keys, key.to_owned(), String::new(), at as i64);
        if at % 3 == 2 {
            done = done.and_then(|()| driver.advance_wall_clock(100));
        }
        if let Err(DriverError::Crashed { .. } | DriverError::Backend(_)) = done {
            done = driver.recover();
        }
        done?;
    }
    if driver.commit_all().is_err() {
        driver.recover()?;
        driver.commit_all()?;
    }
    let steps = driver.commit_steps();
    // What is in memory only is no proof, nor what is on the disk.
    driver.crash_and_lose_disk()?;
    driver.recover()?;
    let stored = driver.store::<String, i64>("counts")?.to_map()?;
    Ok((stored.into_iter().collect(), steps))
}

#[test]
fn counts_are_exact_whatever_happens_at_any_step() {
    let expected = BTreeMap::from([("a", 4), ("b", 2), ("c", 1)]);
    let expected = expected.into_iter().map(|(key, n)| (key.to_owned(), n)).collect();
    let (counted, steps) = run(Disturbance::None).unwrap();
    assert_eq!(counted, expected, "undisturbed");
    for step in 1..=steps {
        for disturbance in [Disturbance::Crash(step), Disturbance::Failure(step)] {
            let (counted, _) = run(disturbance).unwrap_or_else(|e| panic!("{disturbance:?}: {e}"));
            assert_eq!(counted, expected, "{disturbance:?}");
        }
    }
}

/// Runs the test above with a bug, and gives what it printed when it failed.
fn noticed(bug: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let exact = "counts_are_exact_whatever_happens_at_any_step";
    let ended = command.args(["--exact", exact]).env("ONCESTREAM_SABOTAGE", bug).output().unwrap();
    let text = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
    assert!(text.contains("running 1 test"), "{text}");
    assert!(!ended.status.success(), "{bug} was not noticed: {text}");
    text
}

#[test]
fn stores_that_are_applied_before_the_commit_are_noticed() {
    assert!(noticed("apply_first").contains("Crash("));
}

#[test]
fn offsets_that_are_committed_outside_the_transaction_are_noticed() {
    assert!(noticed("offsets_outside").contains("Crash("));
}

#[test]
fn a_restore_that_ends_too_early_is_noticed() {
    // The undisturbed run loses its disk at the end, and with it the last count.
    assert!(noticed("short_restore").contains("left: {\"a\": 3,"));
}

#[test]
fn tasks_that_start_again_without_an_abort_are_noticed() {
    assert!(noticed("no_abort").contains("Failure("));
}

/// The control: a bug that is none.
#[test]
#[should_panic(expected = "was not noticed")]
fn a_worker_without_a_bug_passes() {
    noticed("nothing");
}
