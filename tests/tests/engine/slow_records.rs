//! Records that take long, members that are not polled in time, and ends that come in between:
//! what is done is committed, what cannot be is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oncestream::prelude::*;
use oncestream_broker::{Action, Api, Broker, Fault};
use oncestream_tests::application::*;

const SETTINGS: [(&str, &str); 3] = [
    ("transaction.timeout.ms", "2000"),
    ("commit.interval.ms", "1500"),
    ("session.timeout.ms", "10000"),
];

/// So often the same failure is met before it is given up. A machine that stands still for a while
/// adds a time-out or two to those that a slow record needs, but is far from that.
const CALLS_OF_ONE_FAILURE: usize = 11;

fn broker() -> Broker {
    let broker = Broker::builder().start_blocking().unwrap();
    for topic in ["in", "out", "early"] {
        broker.create_topic(topic, 1).unwrap();
    }
    broker
}

fn feed(broker: &Broker, words: &[&str]) {
    let records = words.iter().map(|word| (Some(*word), Some(*word), 1));
    broker.append("in", 0, records).unwrap();
}

fn visible(broker: &Broker, topic: &str) -> Vec<String> {
    let stable = broker.view().partition(topic, 0).unwrap().last_stable_offset;
    let records = broker.records(topic, 0).into_iter().filter(|r| r.offset < stable);
    let seen = records.filter(|r| r.control.is_none() && !r.aborted);
    seen.map(|r| String::from_utf8_lossy(&r.value.unwrap_or_default()).into_owned()).collect()
}

/// Four seconds of work on `slow`; with `before`, each record is written before that, too.
fn slow(before: bool, calls: &Arc<AtomicUsize>) -> Topology {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<Option<String>, String>("in");
    if before {
        stream.to("early");
    }
    let calls = calls.clone();
    stream
        .peek(move |_, word| {
            if word.starts_with("slow") {
                calls.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_secs(4));
            }
        })
        .to("out");
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_record_behind_a_quick_one_is_tried_alone() {
    let broker = broker();
    let app = Application::new("slow");
    let calls = Arc::default();
    let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
    let streams = streams(slow(false, &calls), config, &SETTINGS);
    feed(&broker, &["quick", "slow", "after"]);
    let streams = streams.start().await.unwrap();
    let all = ["quick", "slow", "after"];
    wait_until("all three", || visible(&broker, "out").len() >= 3);
    stop(&streams).await;
    assert_eq!(visible(&broker, "out"), all);
    assert!(calls.load(Ordering::SeqCst) < CALLS_OF_ONE_FAILURE, "{calls:?} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_alone_outlives_the_transaction_is_told_with_the_timeout() {
    let broker = broker();
    let app = Application::new("too-slow");
    let calls = Arc::default();
    let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
    let streams = streams(slow(true, &calls), config, &SETTINGS);
    feed(&broker, &["quick", "slow", "after"]);
    let error = run_to_error(streams).await;
    assert!(matches!(error, StreamsError::TooSlow { .. }), "{error:?}");
    assert_tells(&error, &["in-0 at offset 1", "transaction.timeout.ms", "2000"]);
    assert_eq!(visible(&broker, "out"), ["quick"]);
    assert_eq!(visible(&broker, "early"), ["quick"]);
    assert!(calls.load(Ordering::SeqCst) < CALLS_OF_ONE_FAILURE, "{calls:?} calls");
}

/// A pause of the broker's is no slowness of the record's.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_a_broker_lets_time_out_is_no_slow_record() {
    let broker = broker();
    let app = Application::new("broker-slow");
    let calls = Arc::default();
    let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
    let streams = streams(slow(true, &calls), config, &SETTINGS);
    let streams = start(streams).await;
    let held = Fault::on(Api::TxnOffsetCommit).times(4);
    let held = broker.faults().add(held.then(Action::DelayAnswer(Duration::from_secs(3))));
    feed(&broker, &["one"]);
    wait_until("the record", || visible(&broker, "out") == ["one"]);
    assert!(broker.faults().fired(held) > 0);
    stop(&streams).await;
}

// ---- Static members ----

fn counted() -> Topology {
    let builder = StreamsBuilder::new();
    let once = AtomicUsize::new(0);
    builder
        .stream::<Option<String>, String>("in")
        .peek(move |_, word| {
            if word == "slow" && once.fetch_add(1, Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_secs(7));
            }
        })
        .to("out");
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_was_not_polled_in_time_joins_again() {
    for guarantee in ["exactly_once_v2", "at_least_once"] {
        let broker = broker();
        let app = Application::new("static");
        let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
        let settings = [
            ("processing.guarantee", guarantee),
            ("group.instance.id", "one"),
            ("max.poll.interval.ms", "4000"),
            ("session.timeout.ms", "4000"),
            ("transaction.timeout.ms", "3000"),
            ("commit.interval.ms", "100"),
        ];
        let streams = streams(counted(), config, &settings);
        let streams = start(streams).await;
        feed(&broker, &["a", "slow", "b"]);
        let mut expected = vec!["a", "b", "slow"];
        wait_until("all three", || {
            assert_ne!(streams.state(), ClientState::Error);
            let mut seen = visible(&broker, "out");
            seen.sort();
            seen.dedup();
            seen == expected
        });
        stop(&streams).await;
        if guarantee == "exactly_once_v2" {
            let mut seen = visible(&broker, "out");
            seen.sort();
            expected.sort_unstable();
            assert_eq!(seen, expected);
        }
    }
}

/// The negative control: a real twin.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_member_with_the_same_instance_id_ends_the_first_with_an_error() {
    let broker = broker();
    let app = Application::new("twin");
    let settings = [("group.instance.id", "one"), ("commit.interval.ms", "100")];
    let run = |dir: &std::path::Path| {
        let config = app.config_at(broker.bootstrap_servers(), dir);
        streams(counted(), config, &settings)
    };
    let (first, other) = (run(app.state_dir()), new_dir());
    let first = start(first).await;
    feed(&broker, &["a"]);
    wait_until("the first record", || visible(&broker, "out") == ["a"]);
    let second = run(other.path());
    let second = start(second).await;
    feed(&broker, &["b"]);
    await_state(&first, ClientState::Error).await;
    let error = first.shutdown().await.unwrap_err();
    assert_tells(&error, &["group.instance.id"]);
    wait_until("the second record", || visible(&broker, "out") == ["a", "b"]);
    stop(&second).await;
}

// ---- The end ----

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_whose_last_commit_fails_says_so() {
    const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
    let settings = [("commit.interval.ms", "60000"), ("transaction.timeout.ms", "70000")];
    let settings = [&settings[..], &[("session.timeout.ms", "80000")]].concat();
    for fails in [true, false] {
        let broker = broker();
        let app = Application::new("last");
        let calls = Arc::default();
        let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
        let streams = streams(slow(false, &calls), config, &settings);
        let streams = start(streams).await;
        feed(&broker, &["a"]);
        wait_until("the record", || broker.records("out", 0).len() == 1);
        if fails {
            let lost = Action::Error(INVALID_PRODUCER_ID_MAPPING);
            broker.faults().add(Fault::on(Api::EndTxn).times(1).then(lost));
            let error = streams.shutdown().await.unwrap_err();
            assert!(matches!(error, StreamsError::LastCommit { .. }), "{error:?}");
            assert_tells(&error, &["last commit", "producer id"]);
        } else {
            stop(&streams).await;
            // The broker writes the markers a moment after its answer.
            wait_until("the record to be committed", || visible(&broker, "out") == ["a"]);
        }
    }
}
