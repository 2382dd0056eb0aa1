//! `KafkaCluster` against a real client: it serves, survives the loss of a node, and leaves
//! nothing behind.
//!
//! Run with `cargo test -p oncestream-testkit -- --include-ignored`; needs Java, and Maven once.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use oncestream_testkit::KafkaCluster;
use oncestream_testkit::kafka::KafkaError;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const LIMIT: Duration = Duration::from_mins(1);

fn client(kafka: &KafkaCluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap_servers());
    config
}

fn create_topic(kafka: &KafkaCluster, topic: &str, replicas: i32) {
    let admin: AdminClient<DefaultClientContext> = client(kafka).create().unwrap();
    let topic = NewTopic::new(topic, 1, TopicReplication::Fixed(replicas));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let results = runtime.block_on(admin.create_topics(&[topic], &AdminOptions::new())).unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

fn produce(kafka: &KafkaCluster, topic: &str, values: std::ops::Range<u32>) {
    let producer: BaseProducer =
        client(kafka).set("acks", "all").set("enable.idempotence", "true").create().unwrap();
    for value in values {
        let payload = value.to_string();
        producer.send(BaseRecord::<(), str>::to(topic).payload(&payload)).unwrap();
    }
    producer.flush(LIMIT).unwrap();
}

/// Reads in a consumer group, which also needs the internal topics to work.
fn consume(kafka: &KafkaCluster, group: &str, topic: &str, count: usize) -> BTreeSet<u32> {
    let consumer: BaseConsumer =
        client(kafka).set("group.id", group).set("auto.offset.reset", "earliest").create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let deadline = Instant::now() + LIMIT;
    let mut values = BTreeSet::new();
    while values.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} records came", values.len());
        // Errors on the way are connections to a node that is down; the client goes on.
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let payload = message.payload_view::<str>().unwrap().unwrap();
            values.insert(payload.parse().unwrap());
        }
    }
    values
}

fn leader(kafka: &KafkaCluster, topic: &str) -> i32 {
    let consumer: BaseConsumer = client(kafka).create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT).unwrap();
    metadata.topics()[0].partitions()[0].leader()
}

fn alive(pid: &str) -> bool {
    let probe = format!("kill -0 {pid} 2>/dev/null");
    Command::new("sh").args(["-c", &probe]).status().unwrap().success()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs Apache Kafka from Maven"]
fn one_node_serves_and_keeps_its_data_over_a_stop_and_a_crash() {
    let kafka = KafkaCluster::start().unwrap();
    create_topic(&kafka, "t", 1);
    produce(&kafka, "t", 0..100);
    assert_eq!(consume(&kafka, "g0", "t", 100), (0..100).collect());

    kafka.stop_node(1).unwrap();
    assert_eq!(kafka.node_pid(1).unwrap(), None);
    kafka.start_node(1).unwrap();
    produce(&kafka, "t", 100..110);
    kafka.kill_node(1).unwrap();
    kafka.start_node(1).unwrap();
    assert_eq!(consume(&kafka, "g1", "t", 110), (0..110).collect());

    let (pid, folder) = (kafka.node_pid(1).unwrap().unwrap(), kafka.log_dir().to_owned());
    assert!(alive(&pid.to_string()) && folder.join("node-1.log").exists());
    drop(kafka);
    assert!(!alive(&pid.to_string()), "a dropped cluster runs no more");
    assert!(!folder.parent().unwrap().exists(), "and leaves no files");
}

#[test]
#[ignore = "needs Apache Kafka from Maven"]
fn three_nodes_lose_the_leader_and_acks_all_goes_on() {
    let kafka = KafkaCluster::builder().nodes(3).start().unwrap();
    create_topic(&kafka, "t", 3);
    produce(&kafka, "t", 0..100);
    let killed = leader(&kafka, "t");
    kafka.kill_node(killed).unwrap();

    produce(&kafka, "t", 100..200);
    assert_ne!(leader(&kafka, "t"), killed);
    assert_eq!(consume(&kafka, "g", "t", 200), (0..200).collect());

    kafka.start_node(killed).unwrap();
    // The one that came back is needed now: two replicas must be in sync.
    eventually("the return to the in-sync replicas", || {
        let consumer: BaseConsumer = client(&kafka).create().unwrap();
        let metadata = consumer.fetch_metadata(Some("t"), LIMIT).unwrap();
        metadata.topics()[0].partitions()[0].isr().len() == 3
    });
    let other = leader(&kafka, "t");
    kafka.stop_node(other).unwrap();
    produce(&kafka, "t", 200..300);
    assert!(matches!(kafka.kill_node(4), Err(KafkaError::UnknownNode { node: 4, nodes: 3 })));
}

#[test]
#[ignore = "needs Apache Kafka from Maven"]
fn a_paused_node_does_not_answer_until_it_is_resumed() {
    let kafka = KafkaCluster::start().unwrap();
    let consumer: BaseConsumer = client(&kafka).create().unwrap();
    let ask = |limit: u64| consumer.fetch_metadata(None, Duration::from_secs(limit)).is_ok();
    assert!(ask(30));
    kafka.pause_node(1).unwrap();
    assert!(!ask(2));
    kafka.resume_node(1).unwrap();
    assert!(ask(30));
}

#[test]
#[ignore = "needs Apache Kafka from Maven"]
fn a_property_that_kafka_refuses_is_told_with_the_log() {
    let start = KafkaCluster::builder().property("group.min.session.timeout.ms", "soon").start();
    let error = start.unwrap_err();
    assert!(error.to_string().contains("group.min.session.timeout.ms"), "{error}");
}

#[test]
#[ignore = "needs Apache Kafka from Maven"]
fn a_port_taken_meanwhile_is_told_from_other_ends() {
    let kafka = KafkaCluster::start().unwrap();
    kafka.kill_node(1).unwrap();
    let thief = TcpListener::bind(kafka.bootstrap_servers()).unwrap();
    let error = kafka.start_node(1).unwrap_err();
    assert!(matches!(error, KafkaError::PortTaken { node: 1 }), "{error}");
    drop(thief);
    kafka.start_node(1).unwrap();
}

#[test]
#[ignore = "needs Apache Kafka from Maven"]
fn a_panicking_test_keeps_the_logs() {
    let folder: PathBuf = thread::spawn(|| {
        let kafka = KafkaCluster::start().unwrap();
        std::panic::panic_any(kafka.log_dir().to_owned());
    })
    .join()
    .unwrap_err()
    .downcast_ref::<PathBuf>()
    .unwrap()
    .clone();
    assert!(folder.join("node-1.log").is_file());
    assert!(!folder.with_file_name("data").exists(), "the data goes all the same");
    std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
}

/// Set in the process that is killed by the test below.
const CHILD: &str = "ONCESTREAM_TEST_KAFKA_CHILD";

#[test]
#[ignore = "needs Apache Kafka from Maven"]
fn no_node_outlives_a_killed_parent() {
    if std::env::var_os(CHILD).is_some() {
        let kafka = KafkaCluster::start().unwrap();
        let pid = kafka.node_pid(1).unwrap().unwrap();
        println!("\nchild:{pid}:{}", kafka.log_dir().display());
        // Until it is killed.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "no_node_outlives_a_killed_parent", "--include-ignored", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with("child:"))
        .expect("the child starts its cluster");
    let fields: Vec<&str> = line.split(':').collect();
    let (pid, folder) = (fields[1], Path::new(fields[2]).parent().unwrap());
    assert!(alive(pid) && folder.is_dir());
    // SIGKILL: nothing of the child's own runs any more.
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the node's death", || !alive(pid));
    eventually("the removal of its files", || !folder.exists());
}
