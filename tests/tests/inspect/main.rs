//! What `oncestream_inspect` tells of producers and transactions, on the embedded broker and on Apache
//! Kafka.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod apache;
mod secured;

use std::future::Future;
use std::time::Duration;

use oncestream_inspect::producers::{PartitionProducers, Producer};
use oncestream_inspect::transactions::{Search, Transaction};
use oncestream_inspect::{Client, ClientConfig, InspectError, Scope, producers, transactions};
use oncestream_tests::kafka::{LIMIT, broker, client, create_topics, eventually};
use rdkafka::ClientConfig as KafkaConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

/// Several clusters run side by side.
pub(crate) const HEAP_MB: u32 = 512;

pub(crate) fn wait<T>(doing: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(doing)
}

/// Asks the broker of this process.
fn ask<T>(
    question: impl AsyncFnOnce(&mut Client) -> Result<T, InspectError>,
) -> Result<T, InspectError> {
    wait(async {
        let config = ClientConfig::new(broker().bootstrap_servers())?;
        question(&mut Client::connect(config).await?).await
    })
}

fn partitions(topic: &str) -> Vec<PartitionProducers> {
    let scope = Scope::topic(topic);
    let report = ask(async |client| producers::describe(client, &scope).await).unwrap();
    assert!(report.missing.is_empty(), "{:?}", report.missing);
    report.partitions
}

/// The one producer of a partition.
fn producer_of(topic: &str, partition: usize) -> Producer {
    let mut all = partitions(topic);
    let mut producers = all.remove(partition).producers;
    assert_eq!(producers.len(), 1, "{producers:?}");
    producers.remove(0)
}

fn transaction(id: &str) -> Transaction {
    let search = Search { transactional_ids: vec![id.to_owned()], ..Search::default() };
    let report = ask(async |client| transactions::describe(client, &search).await).unwrap();
    let [found] = <[Transaction; 1]>::try_from(report.transactions).unwrap();
    found
}

pub(crate) fn transactional(mut config: KafkaConfig, id: &str) -> BaseProducer {
    let producer: BaseProducer = config.set("transactional.id", id).create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer
}

pub(crate) fn send(producer: &BaseProducer, topic: &str, partition: i32, count: usize) {
    for _ in 0..count {
        let record: BaseRecord<'_, str, str> =
            BaseRecord::to(topic).partition(partition).payload("a");
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(LIMIT).unwrap();
}

#[test]
fn a_partition_tells_sequences_and_since_where_a_transaction_is_open() {
    let topic = "inspect-producers";
    create_topics(&[topic], 3);
    let idempotent: BaseProducer = client().set("enable.idempotence", "true").create().unwrap();
    send(&idempotent, topic, 0, 3);
    let open = transactional(client(), "inspect-open");
    open.begin_transaction().unwrap();
    send(&open, topic, 1, 2);

    let found = producer_of(topic, 0);
    assert_eq!((found.last_sequence, found.epoch), (Some(2), 0));
    assert!(found.open.is_none() && found.coordinator_epoch.is_none(), "{found:?}");
    let found = producer_of(topic, 1);
    let told = found.open.unwrap();
    assert_eq!((found.last_sequence, told.start_offset), (Some(1), 0));
    assert_eq!(told.transactional_id.as_deref(), Some("inspect-open"));
    assert!(told.open_for_ms.unwrap() < LIMIT.as_millis() as i64, "{told:?}");
    assert!(partitions(topic)[2].producers.is_empty());

    open.commit_transaction(LIMIT).unwrap();
    eventually("the end of the transaction", LIMIT, || producer_of(topic, 1).open.is_none());
    assert!(producer_of(topic, 1).coordinator_epoch.is_some());
    // A second transaction begins after the first one's marker.
    open.begin_transaction().unwrap();
    send(&open, topic, 1, 1);
    assert_eq!(producer_of(topic, 1).open.unwrap().start_offset, 3);
    open.abort_transaction(LIMIT).unwrap();
}

#[test]
fn a_coordinator_tells_the_state_of_a_transaction() {
    let (topic, id) = ("inspect-transactions", "inspect-states");
    create_topics(&[topic], 2);
    let producer = transactional(client().set("transaction.timeout.ms", "50000").clone(), id);
    let found = transaction(id);
    assert_eq!((found.state.as_str(), found.timeout_ms), ("Empty", 50_000));
    assert!(found.open_for_ms.is_none() && found.partitions.is_empty());

    producer.begin_transaction().unwrap();
    send(&producer, topic, 0, 1);
    send(&producer, topic, 1, 1);
    let found = transaction(id);
    assert_eq!(found.state, "Ongoing");
    assert!(found.open_for_ms.is_some_and(|ms| ms < LIMIT.as_millis() as i64), "{found:?}");
    assert_eq!(found.producer_id, producer_of(topic, 0).producer_id);
    let mut at: Vec<(&str, i32)> =
        found.partitions.iter().map(|p| (p.topic.as_str(), p.partition)).collect();
    at.sort_unstable();
    assert_eq!(at, [(topic, 0), (topic, 1)]);

    producer.commit_transaction(LIMIT).unwrap();
    eventually("the end of the transaction", LIMIT, || transaction(id).state == "CompleteCommit");
    let found = transaction(id);
    assert!(found.open_for_ms.is_none() && found.partitions.is_empty(), "{found:?}");
}

#[test]
fn a_transaction_that_its_coordinator_will_end_does_not_hang_however_old_it_is() {
    let topic = "inspect-healthy";
    create_topics(&[topic], 1);
    let producer = transactional(client(), "inspect-healthy");
    producer.begin_transaction().unwrap();
    send(&producer, topic, 0, 1);
    // Every transaction is old enough.
    let search =
        Search { scope: Scope::topic(topic), max_timeout_ms: -1_000_000, ..Search::default() };
    let report = ask(async |client| transactions::describe(client, &search).await).unwrap();
    assert_eq!((report.hanging.len(), report.partitions_searched), (0, 1), "{report}");
    assert!(report.to_string().contains("Ongoing"), "{report}");
    producer.abort_transaction(LIMIT).unwrap();
}

#[test]
fn what_is_not_there_is_named_and_not_made() {
    let topic = "inspect-not-there";
    for _ in 0..2 {
        let scope = Scope::topic(topic);
        let error = ask(async |client| producers::describe(client, &scope).await).unwrap_err();
        assert!(matches!(&error, InspectError::NoSuchTopic { topic: t } if t == topic), "{error}");
    }
    let scope = Scope::topic("no topic has this name!");
    let error = ask(async |client| producers::describe(client, &scope).await).unwrap_err();
    assert!(matches!(error, InspectError::NoSuchTopic { .. }), "{error}");
    create_topics(&["inspect-two"], 2);
    let scope = Scope::partition("inspect-two", 2);
    let error = ask(async |client| producers::describe(client, &scope).await).unwrap_err();
    assert!(matches!(error, InspectError::NoSuchPartition { count: 2, .. }), "{error}");
    let search = Search { transactional_ids: vec!["inspect-none".to_owned()], ..Search::default() };
    let error = ask(async |client| transactions::describe(client, &search).await).unwrap_err();
    assert!(error.to_string().contains("`inspect-none`"), "{error}");
}

#[test]
fn all_topics_are_looked_at_where_none_is_named() {
    create_topics(&["inspect-all-a", "inspect-all-b"], 1);
    let all = Scope::all();
    let report = ask(async |client| producers::describe(client, &all).await).unwrap();
    for topic in ["inspect-all-a", "inspect-all-b"] {
        assert!(report.partitions.iter().any(|partition| partition.topic == topic), "{topic}");
    }
}

#[test]
fn a_broker_that_is_not_there_is_named_in_bounded_time() {
    let begun = std::time::Instant::now();
    let config = ClientConfig::new("127.0.0.1:1,127.0.0.1:2").unwrap();
    let error = wait(Client::connect(config)).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && error.contains("127.0.0.1:2"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30));
}
