//! Against Apache Kafka's own tool and its own files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use oncestream_inspect::snapshot::ProducerSnapshot;
use oncestream_inspect::transactions::{Search, TransactionsReport, Why};
use oncestream_inspect::{Client, ClientConfig, Scope, producers, transactions};
use oncestream_testkit::KafkaCluster;
use oncestream_tests::java::Java;
use oncestream_tests::kafka::{LIMIT, eventually};
use oncestream_tests::raw::{Batch, Connection, now_ms, text};
use rdkafka::ClientConfig as KafkaConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::{HEAP_MB, send, transactional, wait};

const TOPIC: &str = "lines";
const TOOL: &str = "org.apache.kafka.tools.TransactionsCommand";
/// Where the test leaves the snapshot that Apache Kafka wrote: it is the one beside the tests of
/// `oncestream_inspect`.
const KEEP: &str = "ONCESTREAM_KEEP_SNAPSHOT";

fn config(kafka: &KafkaCluster) -> KafkaConfig {
    let mut config = KafkaConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap_servers());
    config
}

fn with_topic(kafka: KafkaCluster) -> KafkaCluster {
    let admin: AdminClient<DefaultClientContext> = config(&kafka).create().unwrap();
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    wait(admin.create_topics(&[topic], &AdminOptions::new())).unwrap();
    kafka
}

/// The last snapshot of the partition that a node wrote.
fn last_snapshot(kafka: &KafkaCluster) -> PathBuf {
    let partition = format!("data/node-1/{TOPIC}-0");
    let files = fs::read_dir(kafka.log_dir().parent().unwrap().join(partition)).unwrap();
    let files = files.map(|file| file.unwrap().path());
    files.filter(|file| ProducerSnapshot::offset_in_name(file).is_some()).max().unwrap()
}

#[test]
#[ignore = "needs Apache Kafka from Maven"]
fn a_snapshot_of_apache_kafka_has_what_its_broker_knew() {
    let kafka = with_topic(KafkaCluster::builder().heap_mb(HEAP_MB).start().unwrap());
    let idempotent: BaseProducer =
        config(&kafka).set("enable.idempotence", "true").create().unwrap();
    send(&idempotent, TOPIC, 0, 3);
    let done = transactional(config(&kafka), "done");
    done.begin_transaction().unwrap();
    send(&done, TOPIC, 0, 2);
    done.commit_transaction(LIMIT).unwrap();
    let open = transactional(config(&kafka), "open");
    open.begin_transaction().unwrap();
    send(&open, TOPIC, 0, 1);

    let scope = Scope::partition(TOPIC, 0);
    let told = || {
        wait(async {
            let config = ClientConfig::new(kafka.bootstrap_servers()).unwrap();
            let mut client = Client::connect(config).await.unwrap();
            producers::describe(&mut client, &scope).await.unwrap().partitions.remove(0).producers
        })
    };
    eventually("one open transaction", LIMIT, || {
        let producers = told();
        producers.len() == 3 && producers.iter().filter(|p| p.open.is_some()).count() == 1
    });
    let told = told();
    kafka.stop_node(1).unwrap();
    let file = last_snapshot(&kafka);
    let bytes = fs::read(&file).unwrap();
    if let Some(place) = std::env::var_os(KEEP) {
        fs::copy(&file, Path::new(&place).join(file.file_name().unwrap())).unwrap();
    }
    let mut snapshot = ProducerSnapshot::read(&file).unwrap();
    assert_eq!(snapshot.to_bytes(), bytes, "the bytes are Apache Kafka's");
    // Three records; two and a marker; one.
    assert_eq!(ProducerSnapshot::offset_in_name(&file), Some(7));
    snapshot.producers.sort_by_key(|producer| producer.producer_id);
    assert_eq!(snapshot.producers.len(), told.len());
    for (kept, told) in snapshot.producers.iter().zip(&told) {
        assert_eq!((kept.producer_id, i32::from(kept.epoch)), (told.producer_id, told.epoch));
        assert_eq!(Some(kept.last_sequence).filter(|s| *s >= 0), told.last_sequence);
        assert_eq!(Some(kept.timestamp_ms), told.last_timestamp_ms);
        assert_eq!(Some(kept.coordinator_epoch).filter(|e| *e >= 0), told.coordinator_epoch);
        assert_eq!(kept.open_since_offset, told.open.as_ref().map(|open| open.start_offset));
    }
    assert!(snapshot.producers.iter().any(|producer| producer.open_since_offset == Some(6)));
}

/// A batch of a transaction that no coordinator was told of.
fn write_unannounced(kafka: &KafkaCluster, producer_id: i64) {
    let batch: Bytes =
        Batch::values(&["a"]).of_producer(producer_id, 0, 0).transactional().encode();
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch));
    let request = ProduceRequest::default()
        .with_transactional_id(Some(text("unannounced")))
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![
            TopicProduceData::default().with_name(text(TOPIC)).with_partition_data(vec![data]),
        ]);
    let answer = Connection::open(kafka.bootstrap_servers()).call(&request, 9);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

fn search(kafka: &KafkaCluster, max_timeout_ms: i64) -> TransactionsReport {
    wait(async {
        let config = ClientConfig::new(kafka.bootstrap_servers()).unwrap();
        let mut client = Client::connect(config).await.unwrap();
        let search = Search { scope: Scope::topic(TOPIC), max_timeout_ms, ..Search::default() };
        transactions::describe(&mut client, &search).await.unwrap()
    })
}

#[test]
#[ignore = "needs Apache Kafka from Maven"]
fn a_transaction_that_hangs_is_found_as_apache_kafka_finds_it_and_ends_by_the_command() {
    // Since 3.6 a leader asks the coordinator first, so that none can hang.
    let builder = KafkaCluster::builder()
        .heap_mb(HEAP_MB)
        .property("transaction.partition.verification.enable", "false");
    let kafka = with_topic(builder.start().unwrap());
    // The negative control, in the same partition.
    let healthy = transactional(config(&kafka), "healthy");
    healthy.begin_transaction().unwrap();
    send(&healthy, TOPIC, 0, 1);
    write_unannounced(&kafka, 4242);
    let written_ms = now_ms();
    eventually("an age of a millisecond", LIMIT, || now_ms() > written_ms + 1);

    let report = search(&kafka, 0);
    let [found] = report.hanging.as_slice() else { panic!("{report}") };
    assert_eq!((found.producer_id, found.epoch, found.start_offset), (4242, 0, 1));
    assert_eq!(found.why, Why::UnknownProducer);
    assert!(report.to_string().contains(&found.abort_command), "{report}");
    let minute = Duration::from_mins(1).as_millis() as i64;
    assert!(search(&kafka, 60 * minute).hanging.is_empty(), "it is too young to be judged");

    let java = Java::kafka();
    let servers = ["--bootstrap-server", kafka.bootstrap_servers()];
    let find = ["find-hanging", "--topic", TOPIC, "--max-transaction-timeout", "0"];
    let theirs = java.run(TOOL, &[&servers[..], &find].concat(), "").succeeded();
    let theirs: Vec<&str> = theirs.lines().filter(|line| line.starts_with(TOPIC)).collect();
    let [theirs] = theirs.as_slice() else { panic!("{theirs:?}") };
    assert_eq!(theirs.split_whitespace().nth(2), Some("4242"), "{theirs}");

    let mut words = found.abort_command.split(' ');
    assert_eq!(words.next(), Some("kafka-transactions.sh"));
    java.run(TOOL, &words.collect::<Vec<_>>(), "").succeeded();
    assert!(search(&kafka, 0).hanging.is_empty());
    healthy.commit_transaction(LIMIT).unwrap();
}
