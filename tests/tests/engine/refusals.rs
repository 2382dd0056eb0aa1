//! Records that a broker refuses for good: the production handler decides about those of sinks and
//! repartition topics, a changelog's stops the application, and nothing starts again for ever.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oncestream::prelude::*;
use oncestream_broker::{Action, Api, Broker, Fault, RequestRecord};
use oncestream_tests::application::*;

const DEAD: &str = "errors.dead.letter.queue.topic.name";
const PRODUCTION: &str = "production.exception.handler";
const GUARANTEES: [&str; 2] = ["exactly_once_v2", "at_least_once"];
const SOON_COMMITTED: (&str, &str) = ("commit.interval.ms", "100");

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Values are event times.
fn timed(topic: &str) -> Consumed<Option<String>, String> {
    Consumed::new(topic)
        .timestamp_extractor(|r: &Record<Option<String>, String>, _| r.value.parse().unwrap())
}

/// Where the records with their times go to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Sink,
    Repartition,
    Changelog,
}

fn topology(target: Target, input: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    let stream = builder.stream(timed(input));
    match target {
        Target::Sink => stream.to(output),
        Target::Repartition => {
            stream.select_key(|_, v| v.clone()).repartition("again").to(output);
        }
        // The sink comes after the store: what is refused first is the changelog's.
        Target::Changelog => {
            let uncached = Materialized::named("latest").caching_disabled();
            stream.select_key(|_, v| v.clone()).group_by_key().reduce(|_, new| new, uncached);
        }
    }
    builder.build().unwrap()
}

/// Ninety-nine times in milliseconds, and one in microseconds.
fn times() -> (Vec<String>, String) {
    let now = now_ms();
    let wrong = (now * 1000).to_string();
    let mut lines: Vec<String> = (0..99).map(|n| (now - 1000 + n).to_string()).collect();
    lines.insert(50, wrong.clone());
    (lines, wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_the_broker_refuses_stops_and_is_named() {
    for guarantee in GUARANTEES {
        for target in [Target::Sink, Target::Repartition] {
            let app = Application::new("time-fails");
            let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
            let (lines, wrong) = times();
            produce_lines(&input, lines.iter().map(String::as_str));
            let settings = [("processing.guarantee", guarantee), SOON_COMMITTED];
            let error =
                run_to_error(app.streams(topology(target, &input, &output), &settings)).await;
            let topic = match target {
                Target::Repartition => format!("{}-again-repartition-0", app.id),
                _ => format!("{output}-0"),
            };
            assert_tells(&error, &[&topic, &wrong, "message.timestamp"]);
            assert!(!error.to_string().contains("max.message.bytes"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_the_broker_refuses_is_dropped_alone() {
    for guarantee in GUARANTEES {
        for target in [Target::Sink, Target::Repartition] {
            let app = Application::new("time-continues");
            let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
            let dead = app.create("dead", 1).await;
            let (mut lines, wrong) = times();
            produce_lines(&input, lines.iter().map(String::as_str));
            let settings = [
                ("processing.guarantee", guarantee),
                SOON_COMMITTED,
                (PRODUCTION, "continue"),
                (DEAD, &*dead),
            ];
            let streams = app.streams(topology(target, &input, &output), &settings);
            let streams = start(streams).await;
            lines.retain(|line| *line != wrong);
            let distinct = |topic: &str| {
                let mut texts = visible_texts(topic);
                texts.dedup();
                texts
            };
            wait_until(&format!("the others, {guarantee} {target:?}"), || {
                assert_ne!(streams.state(), ClientState::Error, "{guarantee} {target:?}");
                distinct(&output) == lines && !visible(&dead).is_empty()
            });
            stop(&streams).await;
            let (out, letters) = (visible_texts(&output), visible_texts(&dead));
            if guarantee == GUARANTEES[0] {
                assert_eq!(out, lines, "{target:?}");
                assert_eq!(letters, [wrong], "{target:?}");
            } else {
                // How often it starts again is up to the machine: each start may write again.
                assert!(!letters.is_empty(), "{target:?}");
                assert!(letters.iter().all(|l| *l == wrong), "{target:?}: {letters:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_changelog_record_stops_and_names_the_store_whatever_the_handler() {
    for guarantee in GUARANTEES {
        for handler in ["fail", "continue"] {
            let app = Application::new("changelog-refused");
            let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
            let (lines, wrong) = times();
            produce_lines(&input, lines.iter().map(String::as_str));
            // The repartition topic takes what the changelog does not.
            let repartition = format!("{}-latest-repartition", app.id);
            create_topic(&repartition, 1, &[("message.timestamp.after.max.ms", LONGEST)]).await;
            let settings =
                [("processing.guarantee", guarantee), SOON_COMMITTED, (PRODUCTION, handler)];
            let streams = app.streams(topology(Target::Changelog, &input, &output), &settings);
            let error = run_to_error(streams).await;
            let changelog = format!("{}-latest-changelog-0", app.id);
            assert_tells(&error, &[&changelog, "store latest", &wrong, "message.timestamp"]);
        }
    }
}

const LONGEST: &str = "9223372036854775807";

/// The same records and topics, but times that are right.
#[tokio::test(flavor = "multi_thread")]
async fn times_that_the_broker_takes_pass() {
    for target in [Target::Sink, Target::Repartition] {
        let app = Application::new("time-right");
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        let lines: Vec<String> = (0..99).map(|n| (now_ms() + 60_000 + n).to_string()).collect();
        produce_lines(&input, lines.iter().map(String::as_str));
        let streams = app.streams(topology(target, &input, &output), &[]);
        let streams = start(streams).await;
        wait_until("all of them", || visible(&output).len() >= lines.len());
        stop(&streams).await;
        assert_eq!(visible(&output).len(), lines.len());
    }
}

// ---- Answers of the broker that no record changes ----

fn pass_through() -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<Option<String>, String>("in").to("out");
    builder.build().unwrap()
}

fn broker() -> Broker {
    let broker = Broker::builder().start_blocking().unwrap();
    broker.create_topic("in", 1).unwrap();
    broker.create_topic("out", 1).unwrap();
    broker
}

fn feed(broker: &Broker, count: usize) {
    let lines = (0..count).map(|n| (None::<String>, Some(format!("{n:03}")), 1));
    broker.append("in", 0, lines).unwrap();
}

/// How large the visible values of a topic are.
fn sizes(broker: &Broker, topic: &str) -> Vec<usize> {
    let stable = broker.view().partition(topic, 0).unwrap().last_stable_offset;
    let records = broker.records(topic, 0).into_iter().filter(|r| r.offset < stable);
    let visible = records.filter(|r| r.control.is_none() && !r.aborted);
    visible.filter_map(|r| Some(r.value?.len())).collect()
}

/// Permanent codes of a Produce answer end in an error that names the topic.
#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_answer_to_produce_ends_in_an_error_that_names_the_topic() {
    const CODES: [(i16, &str); 8] = [
        (10, "MessageSizeTooLarge"),
        (18, "MessageBatchTooLarge"),
        (32, "InvalidTimestamp"),
        (43, "UnsupportedForMessageFormat"),
        (44, "PolicyViolation"),
        (76, "UnsupportedCompressionType"),
        (87, "InvalidRecord"),
        (42, "InvalidRequest"),
    ];
    for guarantee in GUARANTEES {
        for (code, name) in CODES {
            let broker = broker();
            let fault = Fault::on(Api::Produce).topic("out").always().then(Action::Error(code));
            broker.faults().add(fault);
            feed(&broker, 3);
            let app = Application::new("permanent");
            let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
            let settings = [("processing.guarantee", guarantee), SOON_COMMITTED];
            let error = run_to_error(streams(pass_through(), config, &settings)).await;
            assert_tells(&error, &["out-0", name]);
            let is_size = [10, 18].contains(&code);
            assert_eq!(error.to_string().contains("max.message.bytes"), is_size, "{error}");
        }
    }
}

/// What is no refusal of a record and never passes is tried a bounded number of times.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_failure_without_progress_ends_in_an_error_that_names_it() {
    const INVALID_TXN_STATE: i16 = 48;
    for api in [Api::AddPartitionsToTxn, Api::EndTxn] {
        let broker = broker();
        let app = Application::new("same");
        let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
        let streams = streams(pass_through(), config, &[]);
        let streams = start(streams).await;
        broker.faults().add(Fault::on(api).always().then(Action::Error(INVALID_TXN_STATE)));
        feed(&broker, 3);
        let error = error_of_running(&streams).await;
        assert_tells(&error, &["in a row", "transactional operation in an invalid state"]);
        assert!(!error.to_string().contains("max.message.bytes"), "{error}");
    }
}

async fn error_of_running(streams: &Streams) -> StreamsError {
    await_state(streams, ClientState::Error).await;
    streams.shutdown().await.unwrap_err()
}

/// How many producers were taken, anew after each failure.
fn producers(broker: &Broker) -> usize {
    let taken =
        |r: &&RequestRecord| r.api == Api::InitProducerId && r.answered && r.error.is_none();
    broker.requests().iter().filter(taken).count()
}

/// Replicas that lag behind for long are no failure to give up on.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_lag_for_long_are_waited_for() {
    const NOT_ENOUGH_REPLICAS: i16 = 19;
    /// More than the failures in a row that are given up on.
    const FAILURES: usize = 12;
    let broker = broker();
    let app = Application::new("lag");
    let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
    let settings = [
        ("transaction.timeout.ms", "1000"),
        ("session.timeout.ms", "10000"),
        ("commit.interval.ms", "50"),
    ];
    let streams = streams(pass_through(), config, &settings);
    let streams = start(streams).await;
    let lag = Fault::on(Api::Produce).always().then(Action::Error(NOT_ENOUGH_REPLICAS));
    let lag = broker.faults().add(lag);
    broker.forget_requests();
    feed(&broker, 3);
    // Each wait has a deadline of its own: a failure takes seconds.
    for failures in [FAILURES / 2, FAILURES] {
        wait_until(&format!("{failures} failures"), || {
            assert_ne!(streams.state(), ClientState::Error);
            producers(&broker) >= failures
        });
    }
    broker.faults().remove(lag);
    wait_until("the records", || sizes(&broker, "out").len() >= 3);
    stop(&streams).await;
}

// ---- Topics that the client thinks are gone ----

/// The client believes one answer of a broker that does not know a topic, though it has long written
/// to it: it refuses every record for it at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_one_broker_does_not_know_for_a_moment_loses_no_record() {
    const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    for guarantee in GUARANTEES {
        for handler in ["fail", "continue"] {
            let broker = broker();
            let app = Application::new("stale");
            let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
            let settings = [
                ("processing.guarantee", guarantee),
                (PRODUCTION, handler),
                ("commit.interval.ms", "50"),
                ("client.id", "stale"),
                ("producer.topic.metadata.refresh.interval.ms", "100"),
                // So soon the client believes that a topic is gone.
                ("producer.topic.metadata.propagation.max.ms", "10"),
            ];
            let streams = streams(pass_through(), config, &settings);
            let streams = start(streams).await;
            feed(&broker, 10);
            wait_until("the first ones", || sizes(&broker, "out").len() >= 10);
            // The producer alone is told so.
            let gone = Fault::on(Api::Metadata).client_id("stale-worker-0-producer").topic("out");
            let gone = gone.times(3).then(Action::Error(UNKNOWN_TOPIC_OR_PARTITION));
            let gone = broker.faults().add(gone);
            wait_until("the wrong answer", || broker.faults().fired(gone) >= 1);
            feed(&broker, 10);
            let there = || sizes(&broker, "out").len();
            wait_until("all of them", || there() >= 20 || streams.state() == ClientState::Error);
            stop(&streams).await;
            assert!(there() >= 20, "{guarantee} {handler}: {} of 20", there());
        }
    }
}

/// Records for two sinks and a changelog wait in the client when it believes that the topics are gone.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_wait_in_the_client_while_topics_look_unknown_are_not_refused() {
    const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    for guarantee in GUARANTEES {
        for handler in ["fail", "continue"] {
            let broker = broker();
            broker.create_topic("latest", 1).unwrap();
            let app = Application::new("waiting");
            let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
            let settings = [
                ("processing.guarantee", guarantee),
                (PRODUCTION, handler),
                ("commit.interval.ms", "50"),
                ("client.id", "waiting"),
                ("producer.topic.metadata.refresh.interval.ms", "100"),
                ("producer.topic.metadata.propagation.max.ms", "10"),
            ];
            let streams = streams(large_topology(), config, &settings);
            let streams = start(streams).await;
            let feed =
                |n: u8| broker.append("in", 0, [(Some("k".into()), Some(vec![n]), 1)]).unwrap();
            feed(0);
            let there = || sizes(&broker, "out").len();
            wait_until("the first one", || there() == 1);
            // What is sent takes a while, and the answers are wrong all that while.
            let producer = || "waiting-worker-0-producer";
            let slow = Fault::on(Api::Produce).client_id(producer()).times(3);
            broker.faults().add(slow.then(Action::Delay(Duration::from_millis(500))));
            feed(1);
            let wrong = Fault::on(Api::Metadata).client_id(producer()).times(8);
            let wrong = wrong.then(Action::Error(UNKNOWN_TOPIC_OR_PARTITION));
            let wrong = broker.faults().add(wrong);
            for n in 2..20 {
                feed(n);
            }
            wait_until("the wrong answers", || broker.faults().fired(wrong) >= 8);
            wait_until("all of them", || there() >= 20 || streams.state() == ClientState::Error);
            stop(&streams).await;
            assert!(there() >= 20, "{guarantee} {handler}: {} of 20", there());
        }
    }
}

// ---- Large records ----

fn large_topology() -> Topology {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, Vec<u8>>("in");
    stream.to("out");
    stream.group_by_key().reduce(|_, new| new, "latest").to_stream().to("latest");
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_as_large_as_the_brokers_default_passes_sinks_and_changelogs() {
    for guarantee in GUARANTEES {
        let broker = broker();
        broker.create_topic("latest", 1).unwrap();
        let value = vec![7_u8; 1_020_000];
        for key in ["a", "b"] {
            let record = (Some(key.as_bytes()), Some(value.as_slice()), now_ms());
            broker.append("in", 0, [record]).unwrap();
        }
        let app = Application::new("as-large");
        let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
        let settings = [("processing.guarantee", guarantee), SOON_COMMITTED];
        let streams = streams(large_topology(), config, &settings);
        let streams = streams.start().await.unwrap();
        let end = || streams.state() == ClientState::Error || sizes(&broker, "latest").len() >= 2;
        wait_until("both", end);
        stop(&streams).await;
        for topic in ["out", "latest"] {
            assert_eq!(sizes(&broker, topic), [value.len(); 2], "{topic} {guarantee}");
        }
        let changelog = format!("{}-latest-changelog", app.id);
        assert_eq!(sizes(&broker, &changelog).len(), 2);
    }
}

/// Just too large for the broker, and far too large for the client.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_the_broker_takes_is_still_refused_alone() {
    for size in [1_048_560, 1_048_700, 2_000_000] {
        let broker = broker();
        let app = Application::new("too-large");
        let builder = StreamsBuilder::new();
        builder
            .stream::<Option<String>, String>("in")
            .map_values(move |v| if v == "001" { "x".repeat(size) } else { v })
            .to("out");
        let config = app.config_at(broker.bootstrap_servers(), app.state_dir());
        let streams = streams(builder.build().unwrap(), config, &[(PRODUCTION, "continue")]);
        feed(&broker, 3);
        let streams = start(streams).await;
        wait_until("the small ones", || sizes(&broker, "out").len() >= 2);
        stop(&streams).await;
        assert_eq!(sizes(&broker, "out"), [3, 3], "{size}");
    }
}
