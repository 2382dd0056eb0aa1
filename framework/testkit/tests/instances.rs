//! Several instances: the group spreads partitions over them, and whatever becomes of one of them, the
//! results are those of one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use oncestream_core::graph::Topology;
use oncestream_operators::StreamsBuilder;
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{DriverError, TestInput};

/// Counts words behind a repartition topic.
fn word_count() -> Topology {
    let b = StreamsBuilder::new();
    b.stream::<Option<String>, String>("lines")
        .flat_map_values(|v| v.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("counts")
        .to_stream()
        .to("counts");
    b.build().unwrap()
}

const LINES: [&str; 8] = ["a b", "b c d", "a", "e a b", "c", "d d", "a e f", "b"];

fn driver(instances: usize, commit_interval_ms: i64) -> TopologyTestDriver {
    TopologyTestDriver::builder(word_count())
        .partitions("lines", 4)
        .commit_interval_ms(commit_interval_ms)
        .instances(instances)
        .build()
        .unwrap()
}

type Lines = TestInput<Option<String>, String>;

fn lines(driver: &TopologyTestDriver) -> Lines {
    driver.input("lines")
}

fn pipe(driver: &mut TopologyTestDriver, lines: &Lines, at: usize) -> Result<(), DriverError> {
    driver.pipe(lines, None, LINES[at].to_owned(), at as i64)
}

/// The last count of each word, in the output and in the stores.
fn counts(driver: &TopologyTestDriver) -> [BTreeMap<String, i64>; 2] {
    let output = driver.output::<String, Option<i64>>("counts").read_last_per_key().unwrap();
    let stored = driver.store::<String, i64>("counts").unwrap().to_map().unwrap();
    let output = output.into_iter().map(|(word, count)| (word, count.unwrap())).collect();
    [output, stored.into_iter().collect()]
}

fn expected() -> [BTreeMap<String, i64>; 2] {
    let mut counts = BTreeMap::new();
    for word in LINES.iter().flat_map(|line| line.split(' ')) {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    [counts.clone(), counts]
}

#[test]
fn partitions_are_spread_over_instances_and_all_of_them_count() {
    let mut driver = driver(3, 0);
    let tasks: Vec<usize> = (0..3).map(|n| driver.tasks_of(n).len()).collect();
    assert_eq!(tasks, [4, 2, 2], "two topics of four partitions");
    let lines = lines(&driver);
    for at in 0..LINES.len() {
        pipe(&mut driver, &lines, at).unwrap();
    }
    assert_eq!(counts(&driver), expected());
}

#[test]
fn an_instance_that_stops_commits_and_gives_its_partitions_to_the_others() {
    let mut driver = driver(2, 1_000);
    let lines = lines(&driver);
    for at in 0..4 {
        pipe(&mut driver, &lines, at).unwrap();
    }
    driver.stop_instance(0).unwrap();
    driver.run().unwrap();
    assert_eq!((driver.tasks_of(0).len(), driver.tasks_of(1).len()), (0, 8));
    for at in 4..6 {
        pipe(&mut driver, &lines, at).unwrap();
    }
    driver.start_instance(0).unwrap();
    for at in 6..LINES.len() {
        pipe(&mut driver, &lines, at).unwrap();
    }
    assert_eq!((driver.tasks_of(0).len(), driver.tasks_of(1).len()), (4, 4));
    driver.commit_all().unwrap();
    assert_eq!(counts(&driver), expected());
}

#[test]
fn the_others_take_over_from_an_instance_that_crashes_once_its_transaction_has_timed_out() {
    for crashed in 0..2 {
        let mut driver = driver(2, 1_000);
        let lines = lines(&driver);
        for at in 0..3 {
            pipe(&mut driver, &lines, at).unwrap();
        }
        driver.commit().unwrap();
        for at in 3..5 {
            pipe(&mut driver, &lines, at).unwrap();
        }
        driver.crash_instance(crashed);
        driver.run().unwrap();
        assert_eq!(driver.tasks_of(1 - crashed).len(), 8);
        for at in 5..LINES.len() {
            pipe(&mut driver, &lines, at).unwrap();
        }
        driver.commit_all().unwrap();
        assert_ne!(counts(&driver), expected(), "what is open hides what comes behind it");
        driver.pass_time(11_000).unwrap();
        driver.commit_all().unwrap();
        assert_eq!(counts(&driver), expected(), "instance {crashed}");
    }
}

/// Pipes all lines. After a crash the instance that is down starts again, at once or when the others
/// have gone on without it.
fn run(crash: Option<u64>, at_once: bool) -> (TopologyTestDriver, u64) {
    let mut driver = driver(2, 1_000);
    let lines = lines(&driver);
    if let Some(crash) = crash {
        driver.crash_at_count(crash);
    }
    let mut crashes = 0;
    let mut call =
        |driver: &mut TopologyTestDriver,
         act: &dyn Fn(&mut TopologyTestDriver) -> Result<(), DriverError>| {
            let mut result = act(driver);
            while let Err(error) = result {
                assert!(matches!(error, DriverError::Crashed { .. }), "{error}");
                crashes += 1;
                result = if at_once { Ok(()) } else { driver.run() };
                result = result.and_then(|()| driver.recover());
            }
        };
    for at in 0..LINES.len() {
        call(&mut driver, &|driver| pipe(driver, &lines, at));
        if at % 3 == 2 {
            call(&mut driver, &TopologyTestDriver::commit);
        }
    }
    for _ in 0..2 {
        call(&mut driver, &TopologyTestDriver::commit_all);
    }
    let steps = driver.commit_steps();
    assert_eq!(crashes, u32::from(crash.is_some()));
    (driver, steps)
}

#[test]
fn a_crash_of_one_of_two_instances_at_any_step_changes_no_result() {
    let (driver, steps) = run(None, true);
    assert_eq!(counts(&driver), expected(), "without a crash");
    for crash in 1..=steps {
        for at_once in [true, false] {
            let (mut driver, _) = run(Some(crash), at_once);
            assert_eq!(counts(&driver), expected(), "step {crash} of {steps}, {at_once}");
            driver.crash_and_lose_disk().unwrap();
            driver.recover().unwrap();
            assert_eq!(counts(&driver), expected(), "step {crash}, without disks");
        }
    }
}
