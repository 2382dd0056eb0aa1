//! A broker that lags, as a follower or a new leader may, and what clients believe of it.
//!
//! Each test has an embedded broker of its own, whose fetches it disturbs.

use std::time::{Duration, Instant};

use oncestream_broker::{Action, Api, Broker, Fault};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

const TOPIC: &str = "topic";
/// Ample for a machine that is busy.
const LIMIT: Duration = Duration::from_secs(60);

/// One transaction for each list of values.
fn feed(broker: &Broker, transactions: &[&[&str]]) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap_servers())
        .set("transactional.id", "feeder")
        .create()
        .unwrap();
    producer.init_transactions(LIMIT).unwrap();
    for values in transactions {
        producer.begin_transaction().unwrap();
        for value in *values {
            producer.send(BaseRecord::<(), _>::to(TOPIC).payload(*value)).map_err(|e| e.0).unwrap();
        }
        producer.commit_transaction(LIMIT).unwrap();
    }
}

/// A reader of committed data at the beginning of the topic, which is told of the ends it meets.
fn reader(broker: &Broker) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap_servers())
        .set("client.id", "reader")
        .set("group.id", "readers")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "10")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    consumer
}

/// The values until the consumer is told of an end of the partition.
fn read_to_an_end(consumer: &BaseConsumer) -> Vec<String> {
    let deadline = Instant::now() + LIMIT;
    let mut values = Vec::new();
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => {
                let value = message.payload().unwrap_or_default();
                values.push(String::from_utf8_lossy(value).into_owned());
            }
            Some(Err(KafkaError::PartitionEOF(0))) => return values,
            Some(Err(error)) => panic!("{error}"),
        }
    }
    panic!("no end of the partition after {values:?}");
}

/// The client hears of an end that lies before the one it was told when it asked for offsets, and
/// of the true end later.
#[test]
fn a_client_is_told_of_an_end_that_only_a_lagging_replica_knows() {
    let broker = Broker::builder().start_blocking().unwrap();
    broker.create_topic(TOPIC, 1).unwrap();
    feed(&broker, &[&["a", "b"], &["c", "d"]]);
    let fetches = Fault::on(Api::Fetch).client_id("reader").always();
    let lag = broker.faults().add(fetches.then(Action::AnswerAsOf { records_ago: 1 }));

    let consumer = reader(&broker);
    assert_eq!(read_to_an_end(&consumer), ["a", "b"]);
    assert!(broker.faults().fired(lag) >= 2, "one fetch brought the records, one the end");
    // Asked of the leader: two records and a marker, twice.
    assert_eq!(consumer.fetch_watermarks(TOPIC, 0, LIMIT).unwrap(), (0, 6));

    assert!(broker.faults().remove(lag));
    assert_eq!(read_to_an_end(&consumer), ["c", "d"], "the next fetches bring the rest");
}

/// A replica that knows nothing yet of a topic that has records.
#[test]
fn a_client_may_be_told_that_a_partition_is_empty() {
    let broker = Broker::builder().start_blocking().unwrap();
    broker.create_topic(TOPIC, 1).unwrap();
    feed(&broker, &[&["a"]]);
    let fetches = Fault::on(Api::Fetch).client_id("reader").always();
    let lag = broker.faults().add(fetches.then(Action::AnswerAsOf { records_ago: u64::MAX }));

    let consumer = reader(&broker);
    assert_eq!(read_to_an_end(&consumer), Vec::<String>::new());
    assert!(broker.faults().remove(lag));
    assert_eq!(read_to_an_end(&consumer), ["a"]);
}
