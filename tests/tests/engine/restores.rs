//! Stores on disk are believed only of the changelog they followed: that of this cluster, in this
//! incarnation of the topic.

use std::path::Path;

use oncestream::prelude::*;
use oncestream_broker::Broker;
use oncestream_core::state::{Backend as _, CHECKPOINTS, Checkpoint, Incarnation, WriteBatch};
use oncestream_stores::{FjallBackend, FjallOptions};
use oncestream_tests::application::*;
use oncestream_tests::log::has_warned;
use oncestream_tests::metrics::restored;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

fn counting_in(store: &str, input: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>(input).group_by_key().count(store).to_stream().to(output);
    builder.build().unwrap()
}

/// The stores' checkpoints, by what they are of, read and perhaps written again.
fn checkpoints(
    dir: &Path,
    app: &str,
    change: Option<fn(&Checkpoint) -> Vec<u8>>,
) -> Vec<Checkpoint> {
    let data = dir.join(app).join("stores");
    let backend = FjallBackend::open(&data, &FjallOptions::default()).unwrap();
    let all = backend.keyspace(CHECKPOINTS).unwrap();
    let mut batch = WriteBatch::default();
    let mut found = Vec::new();
    for pair in all.range(std::ops::Bound::Unbounded, std::ops::Bound::Unbounded) {
        let (key, value) = pair.unwrap();
        let Some(checkpoint) = Checkpoint::read(&value) else { continue };
        if let Some(change) = change {
            batch.put(CHECKPOINTS, &key, &change(&checkpoint));
        }
        found.push(checkpoint);
    }
    backend.commit(&batch).unwrap();
    backend.seal().unwrap();
    found
}

/// A store whose application was reset on another host, and has counted more than before since.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_changelog_that_was_made_again_is_rebuilt_however_long_the_new_one_is() {
    let app = Application::new("made-again");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let changelog = format!("{}-counts-changelog", app.id);
    let first = app.streams(counting(&input, &output), &[]);
    let first = start(first).await;
    produce_keys(&input, ["old", "old", "kept"]);
    await_counts(&output, &[("old", 2), ("kept", 1)]);
    stop(&first).await;
    let end = offsets(&changelog, "read_uncommitted")[0].1;

    // The reset, elsewhere: topics made again, offsets from the end of the input on.
    delete_topic(&changelog).await;
    let elsewhere = new_dir();
    let config = app.config_at(servers(), elsewhere.path());
    let second = streams(counting(&input, &output), config, &[]);
    let second = start(second).await;
    for n in 0.. {
        produce_keys(&input, ["new"]);
        await_counts(&output, &[("old", 2), ("kept", 1), ("new", n + 1)]);
        if offsets(&changelog, "read_uncommitted")[0].1 > end + 2 {
            break;
        }
    }
    stop(&second).await;

    let back = app.streams(counting(&input, &output), &[]);
    let back = start(back).await;
    produce_keys(&input, ["old", "kept"]);
    wait_until("the counts", || {
        let counts = visible_counts(&output);
        counts["old"] != 2
            && visible(&output).last().is_some_and(|(k, _)| k.as_deref() == Some("kept"))
    });
    let counts = visible_counts(&output);
    assert_eq!(
        (counts["old"], counts["kept"]),
        (1, 1),
        "state of the deleted topic was counted into"
    );
    stop(&back).await;
}

/// What a read-committed reader of the changelog would see of the embedded broker's topic.
fn data_records(broker: &Broker, topic: &str) -> usize {
    broker.records(topic, 0).iter().filter(|r| r.control.is_none()).count()
}

/// Two clusters, one application id and one state directory: development, and then staging.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_cluster_is_rebuilt() {
    let app = Application::new("clusters");
    let changelog = format!("{}-counts-changelog", app.id);
    let run = async |key: &str, rounds: usize| {
        let broker = Broker::builder().start().await.unwrap();
        broker.create_topic("in", 1).unwrap();
        broker.create_topic("out", 1).unwrap();
        // In the second cluster another instance has worked before.
        let elsewhere = new_dir();
        for round in 0..rounds {
            let last = round + 1 == rounds;
            let dir = if last { app.state_dir() } else { elsewhere.path() };
            let config = app.config_at(broker.bootstrap_servers(), dir);
            let streams = streams(counting("in", "out"), config, &[]);
            let streams = start(streams).await;
            broker.append("in", 0, [(Some(key), Some("v"), 1)]).unwrap();
            wait_until("the count", || data_records(&broker, "out") > round);
            stop(&streams).await;
        }
        (broker.records(&changelog, 0).len(), broker)
    };
    let (short, _first) = run("first", 1).await;
    let (long, _second) = run("second", 5).await;
    assert!(long > short, "the checkpoint must lie within the other changelog");
    let stores = oncestream_tests::stores::read_stores(app.state_dir(), &app.id, "counts");
    let keys: Vec<&[u8]> = stores[0].content.keys().map(Vec::as_slice).collect();
    assert_eq!(keys, [b"second"], "state of the first cluster was kept");
}

/// As version 0.1 wrote it: without the ids of topic and cluster.
fn as_of_0_1(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&checkpoint.offset.to_be_bytes());
    bytes.extend_from_slice(&checkpoint.written_at_ms.to_be_bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_version_0_1_is_kept_and_says_from_then_on_which_changelog_it_follows() {
    let app = Application::new("adopted");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let first = app.streams(counting_in("adopted", &input, &output), &[]);
    let first = start(first).await;
    produce_keys(&input, ["a", "b", "a"]);
    await_counts(&output, &[("a", 2), ("b", 1)]);
    stop(&first).await;
    let sources = |found: Vec<Checkpoint>| found.into_iter().map(|c| c.source).collect::<Vec<_>>();
    let written = sources(checkpoints(app.state_dir(), &app.id, None));
    assert_eq!(written.len(), 1);
    assert!(written.iter().all(|source| source.topic != 0 && !source.cluster.is_empty()));
    // The second time nothing lies behind the checkpoint, not even a marker.
    for _ in 0..2 {
        checkpoints(app.state_dir(), &app.id, Some(as_of_0_1));
        let old = sources(checkpoints(app.state_dir(), &app.id, None));
        assert_eq!(old, [Incarnation::default()]);
        let before = restored("adopted");
        let again = app.streams(counting_in("adopted", &input, &output), &[]);
        let again = start(again).await;
        stop(&again).await;
        assert_eq!(restored("adopted"), before, "rebuilt without need");
        assert_eq!(sources(checkpoints(app.state_dir(), &app.id, None)), written);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_waits_for_an_open_transaction_says_so_and_goes_on_after_it() {
    let app = Application::new("hanging");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let changelog = format!("{}-counts-changelog", app.id);
    create_topic(&changelog, 1, &[("cleanup.policy", "compact")]).await;
    let other: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers())
        .set("transactional.id", app.topic("other"))
        .set("transaction.timeout.ms", "600000")
        .create()
        .unwrap();
    other.init_transactions(DEADLINE).unwrap();
    other.begin_transaction().unwrap();
    other.send(BaseRecord::to(&changelog).key("a").payload("x").partition(0)).unwrap();
    other.flush(DEADLINE).unwrap();
    let streams = app.streams(counting(&input, &output), &[]);
    let streams = streams.start().await.unwrap();
    wait_until("the warning", || {
        has_warned(&["waits for a transaction", "task=0_0", &format!("{changelog}-0")])
    });
    assert_eq!(streams.state(), ClientState::Rebalancing);
    other.abort_transaction(DEADLINE).unwrap();
    await_state(&streams, ClientState::Running).await;
    produce_keys(&input, ["a"]);
    await_counts(&output, &[("a", 1)]);
    stop(&streams).await;
}
