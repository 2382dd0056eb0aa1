//! Stores restored from followers, which learn of a commit later than their leader.
//!
//! Run with `cargo test -p oncestream-tests --test followers -- --include-ignored`; needs Java, and
//! Maven once. Three nodes in three racks answer consumers of their own rack. A follower learns how
//! far it may show a partition with the leader's next answer, for which an idle one waits
//! `replica.fetch.wait.max.ms`. Nothing but the changelog is led where the changelog is, so that no
//! other records shorten that wait.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use oncestream::prelude::*;
use oncestream_testkit::KafkaCluster;
use oncestream_tests::kafka::{
    Isolation, LIMIT, client, consumer, eventually, kafka, read_committed, use_kafka,
};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

const ID: &str = "followers";
const INPUT: &str = "followers-input";
const OUTPUT: &str = "followers-output";
const CHANGELOG: &str = "followers-counts-changelog";
const KEYS: usize = 50;
/// So often an instance on an empty state directory takes over at least, and at most until a
/// follower was behind.
const TAKE_OVERS: std::ops::RangeInclusive<usize> = 3..=10;

/// A topic of one partition, led by a node.
async fn create(topic: &str, leader: i32, settings: &[(&str, &str)]) {
    let mut replicas = vec![1, 2, 3];
    replicas.retain(|node| *node != leader);
    replicas.insert(0, leader);
    let placed: [&[i32]; 1] = [&replicas];
    let new = NewTopic::new(topic, 1, TopicReplication::Variable(&placed));
    let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
    let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
    let created = admin.create_topics(&[new], &AdminOptions::new()).await.unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
    eventually(&format!("topic {topic}"), LIMIT, || leader_of(topic) == Some(leader));
}

fn leader_of(topic: &str) -> Option<i32> {
    let metadata = consumer("leader", Isolation::Committed).fetch_metadata(None, LIMIT).unwrap();
    let found = metadata.topics().iter().find(|t| t.name() == topic)?;
    Some(found.partitions().first()?.leader())
}

/// Has Kafka make its own topics, and gives a node that leads neither of them.
fn a_node_without_coordinators() -> i32 {
    let mut nobody = TopicPartitionList::new();
    nobody.add_partition("nothing", 0);
    let group = consumer("warm-up", Isolation::Committed);
    eventually("the coordinator of groups", LIMIT, || {
        group.committed_offsets(nobody.clone(), LIMIT).is_ok()
    });
    let producer: BaseProducer = client().set("transactional.id", "warm-up").create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    let coordinators = ["__consumer_offsets", "__transaction_state"].map(|topic| {
        // The node that is asked may learn of a topic later than others.
        let mut leader = None;
        eventually(&format!("a leader of {topic}"), LIMIT, || {
            leader = leader_of(topic).filter(|node| *node >= 0);
            leader.is_some()
        });
        leader.unwrap()
    });
    (1..=3).find(|node| !coordinators.contains(node)).unwrap()
}

/// Every key once.
fn feed() {
    let producer: BaseProducer = client().set("enable.idempotence", "true").create().unwrap();
    for key in 0..KEYS {
        let key = format!("k{key:02}");
        let record: BaseRecord<'_, str, str> = BaseRecord::to(INPUT).key(&*key).payload("v");
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(LIMIT).unwrap();
}

fn count_by_key() -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>(INPUT).group_by_key().count("counts").to_stream().to(OUTPUT);
    builder.build().unwrap()
}

async fn start(state_dir: &Path, rack: &str) -> Streams {
    let config = StreamsConfig::builder(ID, kafka().bootstrap_servers())
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .state_dir(state_dir)
        .set("consumer.client.rack", rack)
        .and_then(|c| c.set("commit.interval.ms", "100"))
        // Every record gives a count.
        .and_then(|c| c.set("statestore.cache.max.bytes", "0"))
        .unwrap();
    Streams::builder(count_by_key(), config.build().unwrap()).start().await.unwrap()
}

async fn await_running(streams: &Streams) {
    let mut changes = streams.state_changes();
    let running = changes.wait_for(|s| *s == ClientState::Running);
    tokio::time::timeout(LIMIT, running).await.expect("it runs soon").unwrap();
}

/// The counts, when `rounds` of every key have come out.
fn counts_after(rounds: usize) -> BTreeMap<String, i64> {
    let mut all = Vec::new();
    eventually(&format!("the output of round {rounds}"), LIMIT, || {
        all = read_committed(OUTPUT);
        all.len() >= rounds * KEYS
    });
    let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
    let number = |bytes: Option<Vec<u8>>| i64::from_be_bytes(bytes.unwrap().try_into().unwrap());
    all.into_iter().map(|r| (text(r.key), number(r.value))).collect()
}

/// How many changelog records a consumer of that rack is shown until it is told that this is the
/// end.
fn shown_in(rack: &str) -> usize {
    let reader: BaseConsumer = client()
        .set("group.id", "shown")
        .set("client.rack", rack)
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "10")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(CHANGELOG, 0, Offset::Beginning).unwrap();
    reader.assign(&list).unwrap();
    let mut shown = 0;
    loop {
        match reader.poll(LIMIT).expect("the end of the changelog") {
            Ok(_) => shown += 1,
            Err(KafkaError::PartitionEOF(_)) => return shown,
            Err(e) if is_passing(&e) => {}
            Err(e) => panic!("reading {CHANGELOG}: {e}"),
        }
    }
}

/// The client connects again by itself.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown)
    )
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka from Maven"]
async fn a_store_restored_from_a_follower_has_the_last_commit() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
    let selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    let builder = KafkaCluster::builder()
        .nodes(3)
        .property("replica.selector.class", selector)
        // Ample time for an instance to take over, and less than a lag that counts as out of sync.
        .property("replica.fetch.wait.max.ms", "15000")
        // One coordinator of each kind, so that one node leads none.
        .property("offsets.topic.num.partitions", "1")
        .property("transaction.state.log.num.partitions", "1");
    let racked = (1..=3).fold(builder, |b, n| b.node_property(n, "broker.rack", format!("r{n}")));
    use_kafka(racked.start().unwrap());
    let leader = a_node_without_coordinators();
    let follower = leader % 3 + 1;
    let rack = format!("r{follower}");
    create(CHANGELOG, leader, &[("cleanup.policy", "compact")]).await;
    create(INPUT, follower, &[]).await;
    create(OUTPUT, follower, &[]).await;

    let mut state_dir = tempfile::tempdir().unwrap();
    let mut instance = start(state_dir.path(), &rack).await;
    await_running(&instance).await;
    feed();
    counts_after(1);
    let mut behind = 0;
    for take_over in 1..=*TAKE_OVERS.end() {
        if behind > 0 && take_over > *TAKE_OVERS.start() {
            break;
        }
        instance.shutdown().await.unwrap();
        state_dir = tempfile::tempdir().unwrap();
        let in_rack = rack.clone();
        let shown = thread::spawn(move || shown_in(&in_rack));
        instance = start(state_dir.path(), &rack).await;
        await_running(&instance).await;
        let (shown, all) = (shown.join().unwrap(), read_committed(CHANGELOG).len());
        println!("take-over {take_over}: {rack} showed {shown} of {all} changelog records");
        behind += usize::from(shown < all);
        feed();
        let right = 1 + take_over as i64;
        let counts = counts_after(1 + take_over);
        let wrong: Vec<_> = counts.iter().filter(|(_, count)| **count != right).collect();
        assert!(counts.len() == KEYS && wrong.is_empty(), "take-over {take_over}: {wrong:?}");
    }
    instance.shutdown().await.unwrap();
    // Otherwise nothing was tried.
    assert!(behind > 0, "no follower was behind when an instance took over");
}
