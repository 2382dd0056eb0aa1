//! One broker for all tests of a binary, and what tests ask it directly.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use oncestream_testkit::KafkaCluster;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::broker::TestBroker;

/// For anything that ends soon unless it never ends.
pub const LIMIT: Duration = Duration::from_mins(1);

static BROKER: OnceLock<TestBroker> = OnceLock::new();

/// Makes this the broker of this process, before the first use of it.
pub fn use_kafka(cluster: KafkaCluster) {
    let taken = BROKER.set(TestBroker::Apache(cluster));
    assert!(taken.is_ok(), "the process has its broker already");
}

/// The broker of this process, of the kind that was chosen for it. All functions here ask it.
pub fn broker() -> &'static TestBroker {
    BROKER.get_or_init(TestBroker::start)
}

/// Apache Kafka, whatever broker was chosen; the same as [`broker`] if that is one. It is killed,
/// and its files go, when the process ends.
pub fn kafka() -> &'static KafkaCluster {
    static BESIDE: OnceLock<KafkaCluster> = OnceLock::new();
    match broker() {
        TestBroker::Apache(cluster) => cluster,
        TestBroker::Embedded(_) => {
            BESIDE.get_or_init(|| KafkaCluster::start().expect("Apache Kafka starts"))
        }
    }
}

/// The settings every client begins with.
pub fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker().bootstrap_servers());
    config
}

/// Creates topics with so many partitions and waits until the broker tells of them.
pub fn create_topics(topics: &[&str], partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
    let new: Vec<NewTopic<'_>> =
        topics.iter().map(|t| NewTopic::new(t, partitions, TopicReplication::Fixed(-1))).collect();
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let created = runtime.block_on(admin.create_topics(&new, &options)).unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
    eventually(&format!("the creation of {topics:?}"), LIMIT, || {
        let all = admin.inner().fetch_metadata(None, LIMIT).unwrap();
        topics.iter().all(|wanted| {
            let found = all.topics().iter().find(|t| t.name() == *wanted);
            found.is_some_and(|t| {
                t.partitions().iter().filter(|p| p.leader() >= 0).count() == partitions as usize
            })
        })
    });
}

/// How records of open and aborted transactions are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// They are invisible.
    Committed,
    /// They are records like others.
    Uncommitted,
}

/// A consumer that is in no group, but may ask for the offsets of one.
pub fn consumer(group: &str, isolation: Isolation) -> BaseConsumer {
    let level = match isolation {
        Isolation::Committed => "read_committed",
        Isolation::Uncommitted => "read_uncommitted",
    };
    client()
        .set("group.id", group)
        .set("isolation.level", level)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "50")
        .set("fetch.queue.backoff.ms", "5")
        .create()
        .unwrap()
}

/// The number of partitions of a topic.
pub fn partitions(consumer: &BaseConsumer, topic: &str) -> i32 {
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT).unwrap();
    i32::try_from(metadata.topics()[0].partitions().len()).unwrap()
}

/// The end of each partition: with committed isolation the last stable offset.
pub fn ends(topic: &str, isolation: Isolation) -> Vec<i64> {
    let consumer = consumer("ends", isolation);
    (0..partitions(&consumer, topic))
        .map(|p| consumer.fetch_watermarks(topic, p, LIMIT).unwrap().1)
        .collect()
}

/// The committed offsets of a group on a topic, by partition.
pub fn committed(consumer: &BaseConsumer, topic: &str) -> Vec<Option<i64>> {
    let mut list = TopicPartitionList::new();
    let count = partitions(consumer, topic);
    list.add_partition_range(topic, 0, count - 1);
    // A transaction that pends on the offsets is waited for; it may last until its timeout. A
    // coordinator that moves, or has just come, is asked again.
    let deadline = Instant::now() + LIMIT;
    let found = loop {
        match consumer.committed_offsets(list.clone(), LIMIT) {
            Ok(found) => break found,
            Err(error) => assert!(Instant::now() < deadline, "{topic}: {error}"),
        }
    };
    let offset = |p| match found.find_partition(topic, p).unwrap().offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    };
    (0..count).map(offset).collect()
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// In milliseconds.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// Hands every record to `each`, from the given offsets on (`None`: the beginning), up to the end
/// there is now. Each partition comes in order.
pub fn for_each(
    topic: &str,
    isolation: Isolation,
    from: &[Option<i64>],
    mut each: impl FnMut(Read),
) {
    let consumer = consumer("reader", isolation);
    let mut list = TopicPartitionList::new();
    for (p, from) in (0..).zip(from) {
        let offset = from.map_or(Offset::Beginning, Offset::Offset);
        list.add_partition_offset(topic, p, offset).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut ended = BTreeSet::new();
    let mut heard = Instant::now();
    while ended.len() < from.len() {
        assert!(heard.elapsed() < LIMIT, "reading {topic} stands still; at the end: {ended:?}");
        match consumer.poll(Duration::from_millis(200)) {
            None => continue,
            Some(Ok(m)) => each(Read {
                partition: m.partition(),
                offset: m.offset(),
                timestamp_ms: m.timestamp().to_millis().unwrap_or(-1),
                key: m.key().map(<[u8]>::to_vec),
                value: m.payload().map(<[u8]>::to_vec),
            }),
            Some(Err(KafkaError::PartitionEOF(p))) => drop(ended.insert(p)),
            Some(Err(e)) => panic!("reading {topic}: {e}"),
        }
        heard = Instant::now();
    }
}

/// All records of a topic.
pub fn read(topic: &str, isolation: Isolation) -> Vec<Read> {
    let count = partitions(&consumer("reader", isolation), topic);
    let mut all = Vec::new();
    for_each(topic, isolation, &vec![None; count as usize], |record| all.push(record));
    all
}

/// All committed records of a topic.
pub fn read_committed(topic: &str) -> Vec<Read> {
    read(topic, Isolation::Committed)
}

/// How many records of a settled topic belong to aborted transactions. What was purged or
/// compacted is not counted.
pub fn count_aborted(topic: &str) -> usize {
    read(topic, Isolation::Uncommitted).len() - read_committed(topic).len()
}

/// Waits for something, looking every 50 ms.
pub fn eventually(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come true within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
