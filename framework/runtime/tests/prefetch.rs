//! What the consumer of inputs takes in ahead of the worker, however many partitions there are.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use oncestream_broker::Broker;
use oncestream_runtime::config::StreamsConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

const PARTITIONS: i32 = 256;
const RECORDS: usize = 700_000;
const TIMEOUT: Duration = Duration::from_secs(120);

/// Remembers how many records are queued. The consumer has one queue for all partitions, so each
/// partition tells its length.
#[derive(Default)]
struct Queued(Mutex<Vec<i64>>);

impl ClientContext for Queued {
    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let queued = partitions.map(|p| p.fetchq_cnt).max().unwrap_or(0);
        self.0.lock().unwrap().push(queued);
    }
}

impl ConsumerContext for Queued {}

fn fill(broker: &Broker) {
    broker.create_topic("in", PARTITIONS as usize).unwrap();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap_servers())
        .set("linger.ms", "500")
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .unwrap();
    for n in 0..RECORDS {
        let mut record = BaseRecord::<(), str>::to("in").partition(n as i32 % PARTITIONS);
        record = record.payload("0123456789");
        while let Err((error, back)) = producer.send(record) {
            let code = error.rdkafka_error_code();
            assert_eq!(code, Some(RDKafkaErrorCode::QueueFull));
            producer.poll(Duration::from_millis(5));
            record = back;
        }
        if n % 10_000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(TIMEOUT).unwrap();
}

/// Small records cost the client many times their bytes, so what one answer may hold decides.
#[test]
fn many_partitions_prefetch_no_more_than_a_few() {
    let broker = Broker::builder().start_blocking().unwrap();
    fill(&broker);
    let config = StreamsConfig::builder("app", broker.bootstrap_servers())
        .set("consumer.statistics.interval.ms", "50")
        .unwrap()
        .set("consumer.queued.min.messages", "1000")
        .unwrap()
        .build()
        .unwrap();
    let mut client = ClientConfig::new();
    client.extend(config.consumer_settings(0));
    let consumer: BaseConsumer<Queued> = client.create_with_context(Queued::default()).unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset("in", partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    // One record in a while, so that statistics come and the queue stays.
    let deadline = Instant::now() + TIMEOUT;
    let queued = loop {
        assert!(Instant::now() < deadline, "the queue does not come to rest");
        if let Some(Err(error)) = consumer.poll(Duration::from_millis(50)) {
            assert!(matches!(error, KafkaError::MessageConsumption(_)), "{error}");
        }
        std::thread::sleep(Duration::from_millis(20));
        let seen = consumer.context().0.lock().unwrap();
        // At rest: filled, and fetched into no more while twenty statistics were told.
        if let [.., before, _] = seen.as_slice()
            && *before > 1000
            && seen.len() >= 20
            && seen[seen.len() - 20..].iter().all(|n| (n - before).abs() < 1000)
        {
            break seen.iter().copied().max().unwrap();
        }
    };
    // 4 MiB of records of at least 16 bytes, and what was queued when they were asked for.
    assert!(queued < 270_000, "{queued} of {RECORDS} records are held at once");
}
