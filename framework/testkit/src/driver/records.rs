//! Records of topics, as tests write and read them: plain writes, and committed reads in the order of
//! arrival.

use std::cell::RefCell;
use std::sync::Arc;

use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use oncestream_broker::{LogRecord, NewRecord, write_batch};
use oncestream_core::partitioner::partition_for_key;
use oncestream_core::task::Outgoing;
use oncestream_core::{Headers, TimestampMs, TopicPartition};

use super::DriverError;
use super::ports::{Fetcher, Link, Site, World, check, headers, lock, no_answer, text};

/// A record as it lies in a topic, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
    /// The key; `None` is null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is null.
    pub value: Option<Vec<u8>>,
    /// Event time.
    pub timestamp: TimestampMs,
    /// Headers.
    pub headers: Headers,
}

impl StoredRecord {
    fn new(partition: i32, record: &LogRecord) -> Self {
        Self {
            partition,
            offset: record.offset,
            key: record.key.as_ref().map(|key| key.to_vec()),
            value: record.value.as_ref().map(|value| value.to_vec()),
            timestamp: record.timestamp_ms,
            headers: headers(record),
        }
    }
}

/// The test's own client.
#[derive(Clone)]
pub(super) struct TestClient {
    world: Arc<World>,
    link: Link,
    /// Whose turn it is among the partitions, for records without a key.
    keyless: Arc<std::sync::Mutex<std::collections::HashMap<String, i32>>>,
}

impl TestClient {
    pub(super) fn new(world: &Arc<World>) -> Self {
        // It outlives every instance.
        let site = Arc::new(Site::new(world, true));
        Self { world: world.clone(), link: Link::new(&site, "test"), keyless: Arc::default() }
    }

    /// Appends a record, of no transaction.
    pub(super) fn append(&self, record: &Outgoing<'_>) -> Result<(), DriverError> {
        let count = self.world.partitions_to_write(record.topic)?;
        let partition = match (record.partition, record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_for_key(key, count),
            (None, None) => {
                let mut keyless = lock(&self.keyless);
                let next = keyless.entry(record.topic.to_owned()).or_default();
                *next += 1;
                (*next - 1) % count
            }
        };
        let topic = record.topic.to_owned();
        if !(0..count).contains(&partition) {
            return Err(DriverError::NoPartition { topic, partition, partitions: count });
        }
        let headers: Vec<_> =
            record.headers.iter().map(|h| (h.key.as_str(), h.value.as_deref())).collect();
        let (key, value) = (record.key, record.value);
        let sent = NewRecord { timestamp_ms: record.timestamp, key, value, headers: &headers };
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(write_batch(&[sent], None)));
        let written = TopicProduceData::default()
            .with_name(TopicName(text(record.topic)))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_acks(-1).with_topic_data(vec![written]);
        let refused = |source| DriverError::Refused { topic: topic.clone(), source };
        let answer = self.link.call(request).map_err(refused)?;
        let told = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let told = told.ok_or_else(|| refused(no_answer()))?;
        check(told.error_code).map_err(refused)?;
        self.world.arrived(record.topic, partition, told.base_offset);
        Ok(())
    }

    /// A reader of a topic from its beginning; the topic is made if it is not there and can be.
    pub(super) fn reader(&self, topic: &str) -> Reader {
        let count = self.world.partitions_to_write(topic).unwrap_or(0);
        let name: Arc<str> = topic.into();
        let positions: Vec<_> =
            (0..count).map(|p| (TopicPartition::new(name.clone(), p), 0)).collect();
        let mut fetcher = Fetcher::new(self.link.clone(), true);
        fetcher.assign(&positions);
        Reader { world: self.world.clone(), topic: name, fetcher: RefCell::new(fetcher) }
    }
}

/// Reads a topic as a consumer with `isolation.level=read_committed` does, in the order of arrival over
/// all partitions.
pub(super) struct Reader {
    world: Arc<World>,
    topic: Arc<str>,
    fetcher: RefCell<Fetcher>,
}

impl Reader {
    /// The partition of the next record.
    fn next_partition(&self) -> Option<usize> {
        let mut fetcher = self.fetcher.borrow_mut();
        let heads = fetcher.heads().ok()?;
        let arrival = |(at, record): (usize, &LogRecord)| {
            (self.world.arrival(&self.topic, at as i32, record.offset), at)
        };
        let heads = heads.into_iter().enumerate();
        heads.filter_map(|(at, head)| Some(arrival((at, head?)))).min().map(|(_, at)| at)
    }

    pub(super) fn next(&self) -> Option<StoredRecord> {
        let at = self.next_partition()?;
        let (partition, record) = self.fetcher.borrow_mut().take(at)?;
        Some(StoredRecord::new(partition.partition, &record))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next_partition().is_none()
    }
}
