//! Whole flows of librdkafka: what an application does, and what it may count on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use oncestream_tests::kafka::LIMIT;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::Target;
use crate::calls::{Client, eventually};

const POLL: Duration = Duration::from_millis(20);

fn config(kafka: &Target, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap_servers());
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}

fn consumer(kafka: &Target, group: &str, settings: &[(&str, &str)]) -> BaseConsumer {
    config(kafka, settings)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "100")
        .set("fetch.wait.max.ms", "50")
        .create()
        .unwrap()
}

/// Numbers from 0 on, over the partitions in turn.
fn feed(kafka: &Target, topic: &str, partitions: i32, count: usize) {
    let producer: BaseProducer =
        config(kafka, &[("enable.idempotence", "true"), ("linger.ms", "1")]).create().unwrap();
    for (number, partition) in (0..count).zip((0..partitions).cycle()) {
        let value = number.to_string();
        let record = BaseRecord::<(), _>::to(topic).payload(&value).partition(partition);
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(LIMIT).unwrap();
}

/// Polls all, and hands on what came.
fn poll(consumers: &[&BaseConsumer], mut each: impl FnMut(i32, i64, String)) {
    for consumer in consumers {
        if let Some(message) = consumer.poll(POLL) {
            let message = message.unwrap();
            let value = String::from_utf8(message.payload().unwrap_or_default().to_vec()).unwrap();
            each(message.partition(), message.offset(), value);
        }
    }
}

fn assigned(consumer: &BaseConsumer) -> BTreeSet<i32> {
    consumer
        .assignment()
        .unwrap()
        .elements()
        .iter()
        .map(TopicPartitionListElem::partition)
        .collect()
}

/// Polls until the consumers own this many partitions each, and all are owned once.
fn await_shares(consumers: &[&BaseConsumer], shares: &[usize]) {
    eventually(&format!("shares of {shares:?}"), || {
        poll(consumers, |_, _, _| {});
        let owned: Vec<BTreeSet<i32>> = consumers.iter().map(|c| assigned(c)).collect();
        let all: BTreeSet<i32> = owned.iter().flatten().copied().collect();
        let counts: Vec<usize> = owned.iter().map(BTreeSet::len).collect();
        (counts == shares && all.len() == shares.iter().sum::<usize>()).then_some(())
    });
}

/// All values of a topic that transactions have committed.
fn read_committed(kafka: &Target, topic: &str, partitions: i32) -> Vec<String> {
    let reader = consumer(kafka, "flow-reader", &[("enable.partition.eof", "true")]);
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    reader.assign(&list).unwrap();
    let (mut values, mut ended) = (Vec::new(), BTreeSet::new());
    eventually("the end of the topic", || {
        match reader.poll(POLL) {
            Some(Ok(m)) => {
                values.push(String::from_utf8(m.payload().unwrap().to_vec()).unwrap());
            }
            Some(Err(KafkaError::PartitionEOF(p))) => assert!(ended.insert(p)),
            Some(Err(e)) => panic!("{e}"),
            None => {}
        }
        (ended.len() == partitions as usize).then_some(())
    });
    values
}

fn transactional(kafka: &Target, id: &str) -> BaseProducer {
    let settings = [("transactional.id", id), ("linger.ms", "1"), ("retry.backoff.ms", "2")];
    let producer: BaseProducer =
        config(kafka, &settings).set("retry.backoff.max.ms", "20").create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer
}

/// Where the consumer goes on, of what it was assigned.
fn positions(
    consumer: &BaseConsumer,
    seen: &BTreeMap<i32, i64>,
    topic: &str,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    let assigned = assigned(consumer);
    for (partition, offset) in seen.iter().filter(|(p, _)| assigned.contains(p)) {
        list.add_partition_offset(topic, *partition, Offset::Offset(offset + 1)).unwrap();
    }
    list
}

pub(crate) fn what_is_consumed_and_produced_is_exact(kafka: &Target) {
    const COUNT: usize = 600;
    let (input, output) = ("flow-exact-in", "flow-exact-out");
    let mut client = Client::new(kafka);
    client.create_topic(input, 3, &[]);
    client.create_topic(output, 1, &[]);
    feed(kafka, input, 3, COUNT);
    let mut round = 0;
    // Each life is a consumer and a producer; the second fences the first, which had a transaction
    // open, and an abort goes back to what is committed by beginning another life.
    while client.all_committed(input).iter().map(|(_, _, offset)| offset).sum::<i64>()
        < COUNT as i64
    {
        let producer = transactional(kafka, "flow-exact");
        let consumer = consumer(kafka, input, &[]);
        consumer.subscribe(&[input]).unwrap();
        let lives_for = 2 + round % 3;
        for _ in 0..lives_for {
            producer.begin_transaction().unwrap();
            let (mut seen, mut taken) = (BTreeMap::new(), 0);
            let begin = std::time::Instant::now();
            while taken < 50 && begin.elapsed() < Duration::from_secs(2) {
                poll(&[&consumer], |partition, offset, value| {
                    seen.insert(partition, offset);
                    taken += 1;
                    let record = BaseRecord::<(), _>::to(output).payload(&value);
                    producer.send(record).map_err(|(e, _)| e).unwrap();
                });
            }
            let offsets = positions(&consumer, &seen, input);
            let metadata = consumer.group_metadata().unwrap();
            producer.flush(LIMIT).unwrap();
            if offsets.count() > 0 {
                producer.send_offsets_to_transaction(&offsets, &metadata, LIMIT).unwrap();
            }
            round += 1;
            match round % 4 {
                1 => {
                    producer.abort_transaction(LIMIT).unwrap();
                    break;
                }
                // The life ends here, with its transaction open.
                3 => break,
                _ => producer.commit_transaction(LIMIT).unwrap(),
            }
        }
        assert!(round < 100, "no progress");
    }
    let mut found: Vec<usize> =
        read_committed(kafka, output, 1).iter().map(|v| v.parse().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, (0..COUNT).collect::<Vec<_>>());
}

fn rebalances(kafka: &Target, topic: &str, strategy: &str) {
    Client::new(kafka).create_topic(topic, 4, &[]);
    feed(kafka, topic, 4, 40);
    let new = || {
        let consumer = consumer(kafka, topic, &[("partition.assignment.strategy", strategy)]);
        consumer.subscribe(&[topic]).unwrap();
        consumer
    };
    let first = new();
    let mut values = BTreeSet::new();
    eventually("all records", || {
        poll(&[&first], |_, _, value| {
            values.insert(value);
        });
        (values.len() == 40).then_some(())
    });
    first.commit_consumer_state(CommitMode::Sync).unwrap();
    let second = new();
    await_shares(&[&first, &second], &[2, 2]);
    let third = new();
    eventually("a share for each", || {
        poll(&[&first, &second, &third], |_, _, value| panic!("{value} came again"));
        let counts = [&first, &second, &third].map(|c| assigned(c).len());
        (counts.iter().sum::<usize>() == 4 && !counts.contains(&0)).then_some(())
    });
    drop(first);
    await_shares(&[&second, &third], &[2, 2]);
    drop(third);
    await_shares(&[&second], &[4]);
}

pub(crate) fn range_groups_rebalance(kafka: &Target) {
    rebalances(kafka, "flow-range", "range");
}

pub(crate) fn roundrobin_groups_rebalance(kafka: &Target) {
    rebalances(kafka, "flow-roundrobin", "roundrobin");
}

pub(crate) fn cooperative_groups_rebalance(kafka: &Target) {
    rebalances(kafka, "flow-cooperative", "cooperative-sticky");
}

pub(crate) fn a_static_member_returns_to_its_partitions(kafka: &Target) {
    let topic = "flow-static";
    let mut client = Client::new(kafka);
    client.create_topic(topic, 4, &[]);
    let new = |instance| {
        let consumer = consumer(kafka, topic, &[("group.instance.id", instance)]);
        consumer.subscribe(&[topic]).unwrap();
        consumer
    };
    let (one, two) = (new("one"), new("two"));
    await_shares(&[&one, &two], &[2, 2]);
    let (own, metadata) = (assigned(&two), one.group_metadata().is_some());
    assert!(metadata);
    let before = members(&mut client, topic);
    drop(two);
    let two = new("two");
    eventually("the return", || {
        poll(&[&one, &two], |_, _, _| {});
        (assigned(&two) == own).then_some(())
    });
    let after = members(&mut client, topic);
    assert_eq!(before["one"], after["one"], "nobody else noticed");
    assert_ne!(before["two"], after["two"]);
    let thief = new("two");
    eventually("the end of the one that was replaced", || {
        poll(&[&one, &thief], |_, _, _| {});
        let _ = two.poll(POLL);
        let fatal = two.client().fatal_error();
        fatal.map(|(code, _)| assert_eq!(code, RDKafkaErrorCode::FencedInstanceId))
    });
}

/// Member ids by instance id.
fn members(client: &mut Client, group: &str) -> BTreeMap<String, String> {
    let told = client.describe_group(group).members.into_iter();
    told.map(|m| (m.group_instance_id.unwrap().to_string(), m.member_id.to_string())).collect()
}

pub(crate) fn a_replaced_transactional_producer_fails_for_good(kafka: &Target) {
    let topic = "flow-fenced";
    Client::new(kafka).create_topic(topic, 1, &[]);
    let old = transactional(kafka, topic);
    old.begin_transaction().unwrap();
    old.send(BaseRecord::<(), _>::to(topic).payload("old")).map_err(|(e, _)| e).unwrap();
    old.flush(LIMIT).unwrap();
    let new = transactional(kafka, topic);
    new.begin_transaction().unwrap();
    new.send(BaseRecord::<(), _>::to(topic).payload("new")).map_err(|(e, _)| e).unwrap();
    let Err(KafkaError::Transaction(error)) = old.commit_transaction(LIMIT) else {
        panic!("the old one committed");
    };
    assert!(error.is_fatal(), "{error}");
    new.commit_transaction(LIMIT).unwrap();
    Client::new(kafka).await_state(topic, "CompleteCommit");
    assert_eq!(read_committed(kafka, topic, 1), ["new"]);
}
