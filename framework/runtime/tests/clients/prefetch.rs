//! What the consumer of inputs takes in ahead of the worker, however many partitions there are.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use oncestream_broker::Broker;
use oncestream_runtime::config::{StreamsConfig, StreamsConfigBuilder};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

const PARTITIONS: i32 = 256;
const RECORDS: usize = 1_400_000;
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

/// The most records that a consumer of inputs with these settings holds at once.
fn most_queued(broker: &Broker, settings: &[(&str, &str)]) -> i64 {
    let config = StreamsConfig::builder("app", broker.bootstrap_servers())
        .set("consumer.statistics.interval.ms", "20")
        .unwrap()
        .set("consumer.queued.min.messages", "1000")
        .unwrap();
    let set = |config: StreamsConfigBuilder, (key, value): &(&str, &str)| config.set(key, value);
    let config = settings.iter().try_fold(config, set).unwrap().build().unwrap();
    let mut client = ClientConfig::new();
    client.extend(config.consumer_settings(0));
    let consumer: BaseConsumer<Queued> = client.create_with_context(Queued::default()).unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset("in", partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let told = || consumer.context().0.lock().unwrap().len();
    // Nothing more came between the last two statistics.
    let is_full = |since: usize| match consumer.context().0.lock().unwrap()[since..] {
        [.., before, newest] => newest > 0 && newest <= before,
        _ => false,
    };
    let (mut read, mut since) = (0, Some(0));
    let deadline = Instant::now() + TIMEOUT;
    while read < RECORDS {
        assert!(Instant::now() < deadline, "{read} of {RECORDS} records were read");
        // Statistics come with a poll, which may give a record.
        let pause = if since.is_some() { Duration::ZERO } else { Duration::from_millis(50) };
        let took = took(&consumer, pause);
        read += took;
        match since {
            // The client takes in what it may before so many records are read.
            Some(from) if is_full(from) => since = None,
            Some(_) => std::thread::sleep(Duration::from_millis(1)),
            None if took > 0 && read % 20_000 == 0 => since = Some(told()),
            None => {}
        }
    }
    consumer.context().0.lock().unwrap().iter().copied().max().unwrap_or(0)
}

/// How many records a poll gives: one, or none before the time is over or at an end.
fn took(consumer: &BaseConsumer<Queued>, timeout: Duration) -> usize {
    match consumer.poll(timeout) {
        None | Some(Err(KafkaError::PartitionEOF(_))) => 0,
        Some(record) => record.map(|_| 1).unwrap(),
    }
}

/// Small records cost the client many times their bytes, so what one answer may hold decides.
#[test]
fn many_partitions_prefetch_no_more_than_a_few_unless_the_user_wants_more() {
    let broker = Broker::builder().start_blocking().unwrap();
    fill(&broker);
    // 8 MiB of records of at least 16 bytes, and what was queued when they were asked for.
    let bound = 8 * (1 << 20) / 16 + 1000;
    let queued = most_queued(&broker, &[]);
    assert!(queued <= bound, "{queued} of {RECORDS} records are held at once");
    // librdkafka's own limits.
    let limits = [
        ("consumer.fetch.max.bytes", "52428800"),
        ("consumer.max.partition.fetch.bytes", "1048576"),
    ];
    let queued = most_queued(&broker, &limits);
    assert!(queued > bound, "{queued} of {RECORDS} records are held at once");
}
