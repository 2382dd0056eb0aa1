//! What a member is assigned is checked before a task runs: a store is kept by one task of the whole
//! group, whatever topics appear, grow, or are known to some members alone.

use oncestream::Topics;
use oncestream::prelude::*;
use oncestream_broker::{Action, Api, Broker, Fault};
use oncestream_tests::application::*;
use oncestream_tests::log::has_warned;
use tempfile::TempDir;

/// Clients that learn of new topics soon.
const QUICK: [(&str, &str); 2] = [
    ("consumer.topic.metadata.refresh.interval.ms", "200"),
    ("consumer.metadata.max.age.ms", "1000"),
];
/// Clients that learn of new topics long after a test is over, unless they are made to look.
const SLOW: [(&str, &str); 1] = [("consumer.topic.metadata.refresh.interval.ms", "600000")];

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("key{n:02}")).collect()
}

fn all(keys: &[String], count: i64) -> Vec<(&str, i64)> {
    keys.iter().map(|key| (key.as_str(), count)).collect()
}

/// Counts the keys of every topic under a pattern.
fn counting_pattern(pattern: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(Topics::pattern(pattern.replace('.', "[.]")))
        .group_by_key()
        .count("counts")
        .to_stream()
        .to(output);
    builder.build().unwrap()
}

/// Counts the keys of topics together.
fn counting_all(inputs: &[&str], output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>(inputs).group_by_key().count("counts").to_stream().to(output);
    builder.build().unwrap()
}

/// Another instance of an application, on a directory of its own.
fn instance(
    app: &Application,
    topology: Topology,
    settings: &[(&str, &str)],
) -> (StreamsClientBuilder, TempDir) {
    let dir = new_dir();
    (streams(topology, app.config_at(servers(), dir.path()), settings), dir)
}

async fn error_of(streams: &Streams) -> StreamsError {
    await_state(streams, ClientState::Error).await;
    streams.shutdown().await.expect_err("it ended without an error")
}

// ---- Topics that appear under a pattern ----

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_fewer_partitions_that_appears_under_a_pattern_stops_all_with_topics_and_counts()
 {
    for threads in ["1", "2"] {
        let app = Application::new("unequal");
        let (a, output) = (app.create("t-a-events", 4).await, app.create("out", 1).await);
        let settings = [&QUICK[..], &[("num.stream.threads", threads)]].concat();
        let pattern = app.topic("t-(?:[a-z])-events");
        let (first, _dir) = instance(&app, counting_pattern(&pattern, &output), &settings);
        let (second, _other) = instance(&app, counting_pattern(&pattern, &output), &settings);
        let first = start(first).await;
        let second = start(second).await;
        let keys = keys(20);
        produce_keys(&a, &keys);
        await_counts(&output, &all(&keys, 1));
        let b = app.create("t-b-events", 2).await;
        produce_keys(&b, &keys);
        for streams in [&first, &second] {
            let error = error_of(streams).await;
            assert_tells(&error, &[&a, "4", &b, "2"]);
        }
        // Nothing of the new topic was counted into stores of others.
        assert_eq!(visible_counts(&output), keys.iter().map(|k| (k.clone(), 1)).collect());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_as_many_partitions_that_appears_under_a_pattern_is_counted_with_the_others() {
    for threads in ["1", "2"] {
        let app = Application::new("equal");
        let (a, output) = (app.create("t-a-events", 4).await, app.create("out", 1).await);
        let settings = [&QUICK[..], &[("num.stream.threads", threads)]].concat();
        let pattern = app.topic("t-(?:[a-z])-events");
        let (first, _dir) = instance(&app, counting_pattern(&pattern, &output), &settings);
        let (second, _other) = instance(&app, counting_pattern(&pattern, &output), &settings);
        let first = start(first).await;
        let second = start(second).await;
        let keys = keys(20);
        produce_keys(&a, &keys);
        let b = app.create("t-b-events", 4).await;
        for _ in 0..5 {
            produce_keys(&a, &keys);
            produce_keys(&b, &keys);
        }
        await_counts(&output, &all(&keys, 11));
        stop(&first).await;
        stop(&second).await;
    }
}

/// One member learns of the new topic and has all of it; the other would not for ten minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_only_one_member_knows_waits_until_the_other_was_made_to_look() {
    let app = Application::new("known-to-one");
    let (a, output) = (app.create("t-a-events", 4).await, app.create("out", 1).await);
    let pattern = app.topic("t-(?:[a-z])-events");
    let (slow, _dir) = instance(&app, counting_pattern(&pattern, &output), &SLOW);
    let (quick, _other) = instance(&app, counting_pattern(&pattern, &output), &QUICK);
    let slow = start(slow).await;
    let quick = start(quick).await;
    let keys = keys(20);
    produce_keys(&a, &keys);
    await_counts(&output, &all(&keys, 1));
    let b = app.create("t-b-events", 4).await;
    for _ in 0..5 {
        produce_keys(&a, &keys);
        produce_keys(&b, &keys);
    }
    await_counts(&output, &all(&keys, 11));
    stop(&slow).await;
    stop(&quick).await;
}

/// A topic that goes takes nobody down: the group learns of it, and the others are read on.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_goes_under_a_pattern_leaves_the_others_read() {
    let app = Application::new("goes");
    let (a, b) = (app.create("t-a-events", 4).await, app.create("t-b-events", 4).await);
    let output = app.create("out", 1).await;
    let pattern = app.topic("t-(?:[a-z])-events");
    let (streams, _dir) = instance(&app, counting_pattern(&pattern, &output), &QUICK);
    let streams = start(streams).await;
    let keys = keys(20);
    produce_keys(&a, &keys);
    produce_keys(&b, &keys);
    await_counts(&output, &all(&keys, 2));
    delete_topic(&b).await;
    produce_keys(&a, &keys);
    await_counts(&output, &all(&keys, 3));
    stop(&streams).await;
}

// ---- A rolling upgrade ----

/// The new version reads one more topic into the same store. While the old one is there, it keeps
/// its tasks, and the new one waits with the inputs of those.
#[tokio::test(flavor = "multi_thread")]
async fn while_versions_with_other_inputs_run_side_by_side_each_store_has_one_task() {
    let app = Application::new("rolling");
    let (one, two) = (app.create("one", 4).await, app.create("two", 4).await);
    let output = app.create("out", 1).await;
    let (old, _dir) = instance(&app, counting_all(&[&one], &output), &[]);
    let old = start(old).await;
    let keys = keys(40);
    produce_keys(&one, &keys);
    await_counts(&output, &all(&keys, 1));
    let (new, _other) = instance(&app, counting_all(&[&one, &two], &output), &[]);
    let new = new.start().await.unwrap();
    for _ in 0..3 {
        produce_keys(&one, &keys);
        produce_keys(&two, &keys);
    }
    // What the old one still has of `one`, and the new one of both.
    wait_until("both to work", || {
        let counts = visible_counts(&output);
        let with = |n: i64| counts.values().filter(|c| **c == n).count();
        with(4) + with(7) == keys.len() && with(4) > 0 && with(7) > 0
    });
    assert_eq!(new.state(), ClientState::Rebalancing, "some of its tasks wait");
    stop(&old).await;
    await_state(&new, ClientState::Running).await;
    await_counts(&output, &all(&keys, 7));
    stop(&new).await;
}

// ---- Tasks without a store ----

/// Topics of unequal counts meet in tasks of one number on two threads, which share nothing.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_without_a_store_run_wherever_their_inputs_are() {
    let app = Application::new("stateless");
    let (a, b) = (app.create("a", 4).await, app.create("b", 1).await);
    let output = app.create("out", 1).await;
    let builder = StreamsBuilder::new();
    let other = builder.stream::<Option<String>, String>(&b);
    builder.stream::<Option<String>, String>(&a).merge(&other).to(&output);
    let streams = app.streams(builder.build().unwrap(), &[("num.stream.threads", "3")]);
    let streams = start(streams).await;
    let texts: Vec<String> = (0..200).map(|n| format!("{n:03}")).collect();
    produce_lines(&a, texts[..100].iter().map(String::as_str));
    produce_lines(&b, texts[100..].iter().map(String::as_str));
    wait_until("all records", || visible(&output).len() >= texts.len());
    stop(&streams).await;
    assert_eq!(visible_texts(&output), texts);
}

// ---- Brokers that are away ----

/// One instance cannot ask any broker for topics at the rebalance, for longer than one request may
/// take.
#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_waits_for_a_broker_to_tell_of_topics() {
    let app = Application::new("away");
    let broker = Broker::builder().start().await.unwrap();
    broker.create_topic("in", 4).unwrap();
    broker.create_topic("out", 1).unwrap();
    let (dir, other) = (new_dir(), new_dir());
    let run = |dir: &TempDir, id: &str| {
        let config = app.config_at(broker.bootstrap_servers(), dir.path());
        streams(counting_all(&["in"], "out"), config, &[("instance.id", id)])
    };
    let (one, two) = (run(&dir, "one"), run(&other, "two"));
    let one = start(one).await;
    let admin = format!("{}-one-admin", app.id);
    let cut = Fault::on(Api::Metadata).client_id(admin).always().then(Action::Disconnect);
    let cut = broker.faults().add(cut);
    let two = two.start().await.unwrap();
    wait_until("the warning", || has_warned(&["waiting for a broker", broker.bootstrap_servers()]));
    assert_ne!(one.state(), ClientState::Error);
    broker.faults().remove(cut);
    await_state(&one, ClientState::Running).await;
    await_state(&two, ClientState::Running).await;
    let records = (0..4).map(|n| (n, [(Some("key"), Some("v"), 1)]));
    for (partition, record) in records {
        broker.append("in", partition, record).unwrap();
    }
    let committed = || broker.records("out", 0).iter().filter(|r| r.control.is_none()).count();
    wait_until("all counts", || committed() >= 4);
    stop(&one).await;
    stop(&two).await;
}
