//! A call that has no answer: the worker finds its way back by itself, and no result changes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use oncestream_core::graph::Topology;
use oncestream_operators::StreamsBuilder;
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::DriverError;

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

const LINES: [&str; 6] = ["a b", "b c d", "a", "e a b", "c", "d d"];

/// Counts the words of all lines, with a call that fails, if any. Says how many steps it took, and
/// whether the instance went down.
fn run(fails: Option<u64>) -> (BTreeMap<String, i64>, u64, bool) {
    let mut driver = TopologyTestDriver::builder(word_count())
        .partitions("lines", 3)
        .commit_interval_ms(100)
        .build()
        .unwrap();
    let lines = driver.input::<Option<String>, String>("lines");
    if let Some(fails) = fails {
        driver.fail_at_count(fails);
    }
    let mut went_down = false;
    for (at, line) in LINES.into_iter().enumerate() {
        let mut done = driver.pipe(&lines, None, line.to_owned(), at as i64);
        if at % 2 == 1 {
            done = done.and_then(|()| driver.advance_wall_clock(100));
        }
        if let Err(error) = done {
            // A disk that does not write is beyond a worker.
            assert!(matches!(error, DriverError::Backend(_)), "{error}");
            went_down = true;
            driver.recover().unwrap();
        }
    }
    let steps = driver.commit_steps();
    let done = driver.commit_all();
    if done.is_err() {
        went_down = true;
        driver.recover().unwrap();
        driver.commit_all().unwrap();
    }
    let counted = driver.output::<String, Option<i64>>("counts").read_last_per_key().unwrap();
    let counted: BTreeMap<_, _> = counted.into_iter().map(|(k, v)| (k, v.unwrap())).collect();
    let stored = driver.store::<String, i64>("counts").unwrap().to_map().unwrap();
    assert_eq!(stored.into_iter().collect::<BTreeMap<_, _>>(), counted);
    (counted, steps, went_down)
}

#[test]
fn a_call_without_an_answer_changes_no_result_whichever_it_is() {
    let (expected, steps, _) = run(None);
    assert_eq!(expected["d"], 3);
    let mut survived = 0;
    for fails in 1..=steps {
        let (counted, _, went_down) = run(Some(fails));
        assert_eq!(counted, expected, "step {fails} of {steps}");
        survived += u64::from(!went_down);
    }
    assert!(survived > steps / 2, "{survived} of {steps}: the worker should get over most of them");
}
