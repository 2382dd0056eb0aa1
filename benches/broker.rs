//! The embedded broker: how soon it starts, and what goes in and out.
//!
//! `cargo bench --bench broker`. Each figure is the median of several runs; the client, librdkafka,
//! runs on the same machine and is part of what is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::{Duration, Instant};

use oncestream_broker::Broker;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

const RECORDS: u64 = 2_000_000;
const RUNS: usize = 5;
const LIMIT: Duration = Duration::from_secs(120);

fn client(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap_servers());
    config
}

/// Sends records of 100 B, in one transaction if wanted. Records per second.
fn produce(broker: &Broker, topic: &str, partitions: i32, transaction: bool) -> f64 {
    let mut config = client(broker);
    config
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("batch.num.messages", "10000")
        .set("queue.buffering.max.messages", "500000");
    if transaction {
        config.set("transactional.id", "bench").set("transaction.timeout.ms", "600000");
    }
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> =
        config.create().unwrap();
    if transaction {
        producer.init_transactions(LIMIT).unwrap();
        producer.begin_transaction().unwrap();
    }
    let value = [7_u8; 92];
    let begun = Instant::now();
    for number in 0..RECORDS {
        let key = number.to_be_bytes();
        let mut record = BaseRecord::to(topic)
            .key(&key)
            .payload(&value)
            .partition((number as i32).rem_euclid(partitions));
        while let Err((_, again)) = producer.send(record) {
            record = again;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    producer.flush(LIMIT).unwrap();
    if transaction {
        producer.commit_transaction(LIMIT).unwrap();
    }
    RECORDS as f64 / begun.elapsed().as_secs_f64()
}

/// Reads them all. Records per second.
fn consume(broker: &Broker, topic: &str, partitions: i32) -> f64 {
    let consumer: BaseConsumer = client(broker)
        .set("group.id", "bench")
        .set("isolation.level", "read_committed")
        .set("fetch.queue.backoff.ms", "5")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let begun = Instant::now();
    let mut bytes = 0;
    for _ in 0..RECORDS {
        let message = consumer.poll(LIMIT).expect("a record").unwrap();
        bytes += message.payload_len() + message.key_len();
    }
    assert_eq!(bytes as u64, RECORDS * 100);
    RECORDS as f64 / begun.elapsed().as_secs_f64()
}

/// Resident memory in MiB, where the system tells it.
fn resident_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|n| n.parse::<f64>().ok());
    pages.unwrap_or(f64::NAN) * 4096.0 / f64::from(1 << 20)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let start = || {
        let begun = Instant::now();
        drop(Broker::builder().start_blocking().unwrap());
        begun.elapsed().as_secs_f64() * 1e3
    };
    println!("start and stop: {:.2} ms", median((0..50).map(|_| start()).collect()));

    for (partitions, transaction) in [(4, false), (4, true), (1000, false)] {
        let mut figures = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let broker = Broker::builder().start_blocking().unwrap();
            broker.create_topic("topic", partitions as usize).unwrap();
            let before = resident_mib();
            figures.0.push(produce(&broker, "topic", partitions, transaction));
            figures.2.push(resident_mib() - before);
            figures.1.push(consume(&broker, "topic", partitions));
        }
        println!(
            "{partitions} partitions{}: in {:.0} k records/s, out {:.0} k records/s, \
             {:.0} MiB more for {:.0} MiB of records",
            if transaction { ", in a transaction" } else { "" },
            median(figures.0) / 1e3,
            median(figures.1) / 1e3,
            median(figures.2),
            RECORDS as f64 * 100.0 / f64::from(1 << 20),
        );
    }
}
