//! Others in the group of an application: an instance with the same id, and programs that are no
//! instance at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oncestream::prelude::*;
use oncestream_broker::{Api, Broker};
use oncestream_tests::application::*;
use oncestream_tests::log::has_warned;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

/// A twin is believed to be one when a dead member's session would be over.
const SOON: [(&str, &str); 3] = [
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "500"),
    ("transaction.timeout.ms", "5000"),
];

/// Runs two instances that believe to be the same one, until one of them has gone; the other one
/// works on, and has counted everything: once, or at least once.
async fn one_of_them_goes(app: &Application, more: &[(&str, &str)], dirs: [&Path; 2]) {
    let settings = [&SOON[..], &[("commit.interval.ms", "100")], more].concat();
    let exact = !more.contains(&("processing.guarantee", "at_least_once"));
    let (input, output) = (app.create("in", 4).await, app.create("out", 1).await);
    let [one, two] = dirs
        .map(|dir| streams(counting(&input, &output), app.config_at(servers(), dir), &settings));
    let one = start(one).await;
    let two = two.start().await.unwrap();
    let keys: Vec<String> = (0..20).map(|n| format!("key{n:02}")).collect();
    let mut rounds = 0;
    wait_until("one of them to go", || {
        produce_keys(&input, &keys);
        rounds += 1;
        [&one, &two].iter().any(|s| s.state() == ClientState::Error)
    });
    let (gone, left) = if one.state() == ClientState::Error { (one, two) } else { (two, one) };
    let error = gone.shutdown().await.unwrap_err();
    assert!(
        matches!(error, StreamsError::InstanceIdInUse { .. } | StreamsError::Fenced { .. }),
        "{error:?}"
    );
    assert_tells(&error, &["its own instance.id and state.dir"]);
    wait_until("all counts", || {
        let counts = visible_counts(&output);
        counts.len() == keys.len() && counts.values().all(|count| *count >= rounds)
    });
    if exact {
        assert!(visible_counts(&output).values().all(|count| *count == rounds));
    }
    stop(&left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_instances_with_one_configured_id_one_goes_and_says_why() {
    for guarantee in ["exactly_once", "at_least_once"] {
        let app = Application::new("one-id");
        let other = new_dir();
        let more = [("instance.id", "same"), ("processing.guarantee", guarantee)];
        one_of_them_goes(&app, &more, [app.state_dir(), other.path()]).await;
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_instances_on_copies_of_one_state_directory_one_goes_and_says_why() {
    let app = Application::new("cloned");
    let (input, output) = (app.create("early-in", 4).await, app.create("early-out", 1).await);
    let first = app.streams(counting(&input, &output), &SOON);
    let first = start(first).await;
    stop(&first).await;
    let clone = new_dir();
    copy(app.state_dir(), clone.path());
    one_of_them_goes(&app, &[], [app.state_dir(), clone.path()]).await;
}

/// Each instance has looked at the members of the group, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn instances_with_ids_of_their_own_and_a_former_self_are_no_twins() {
    let app = Application::new("own-ids");
    let broker = Broker::builder().start().await.unwrap();
    broker.create_topic("in", 4).unwrap();
    broker.create_topic("out", 1).unwrap();
    let (dir, other) = (new_dir(), new_dir());
    let run = |dir: &Path| {
        let config = app.config_at(broker.bootstrap_servers(), dir);
        streams(counting("in", "out"), config, &SOON)
    };
    // Each instance has an admin client of its own, and keeps its name over a restart.
    let looks = || {
        let mut looks: BTreeMap<String, usize> = BTreeMap::new();
        for request in broker.requests() {
            if request.api == Api::DescribeGroups {
                *looks.entry(request.client_id).or_default() += 1;
            }
        }
        looks
    };
    let (one, two) = (run(dir.path()), run(other.path()));
    let one = start(one).await;
    let two = start(two).await;
    wait_until("both to look", || looks().len() == 2);
    stop(&one).await;
    let before = looks();
    let again = run(dir.path());
    let again = start(again).await;
    wait_until("both to look again", || {
        let now = looks();
        before.iter().all(|(client, count)| now[client] > *count)
    });
    for streams in [&again, &two] {
        stop(streams).await;
    }
    assert!(!has_warned(&[&app.id, "is no worker of this application"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_no_worker_is_named() {
    let app = Application::new("stranger");
    let (input, output) = (app.create("in", 2).await, app.create("out", 1).await);
    let stranger: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers())
        .set("group.id", &app.id)
        .set("client.id", "somebody-elses-console")
        .set("partition.assignment.strategy", "range")
        .create()
        .unwrap();
    stranger.subscribe(&[&input]).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let stop_polling = done.clone();
    let polling = std::thread::spawn(move || {
        while !stop_polling.load(Ordering::SeqCst) {
            let _ = stranger.poll(Duration::from_millis(50));
        }
    });
    let streams = app.streams(counting(&input, &output), &SOON);
    let streams = start(streams).await;
    wait_until("the warning", || {
        has_warned(&["is no worker of this application", &app.id, "somebody-elses-console"])
    });
    done.store(true, Ordering::SeqCst);
    polling.join().unwrap();
    stop(&streams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_somebody_else_committed_is_told_and_ones_own_is_not() {
    let app = Application::new("foreign-offset");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    produce(&input, [(Some("a"), Some(&b"v"[..])), (Some("b"), Some(&b"v"[..]))]);
    let other: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers())
        .set("group.id", &app.id)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&input, 0, Offset::Offset(1)).unwrap();
    other.commit(&list, CommitMode::Sync).unwrap();
    let told = || has_warned(&["was not written by this application", &format!("{input}-0")]);
    let first = app.streams(counting(&input, &output), &[]);
    let first = start(first).await;
    assert!(told());
    await_counts(&output, &[("b", 1)]);
    stop(&first).await;
    let app = Application::new("own-offset");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    for _ in 0..2 {
        let streams = app.streams(counting(&input, &output), &[]);
        let streams = start(streams).await;
        stop(&streams).await;
    }
    assert!(!has_warned(&["was not written by this application", &format!("{input}-0")]));
}
