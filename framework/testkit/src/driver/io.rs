//! The ends of a topology under test: typed inputs and outputs on the driver's topics.
//!
//! They hold serdes and reading positions; they know nothing of tasks.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use oncestream_core::serde::{
    DeserializeContext, DynSerde, Part, Serde, SerdeError, SerializeContext, nullable,
};
use oncestream_core::task::{Origin, Outgoing};
use oncestream_core::{Headers, Record, TimestampMs};

use super::DriverError;
use super::records::Reader;

/// An input topic with the serdes to write it. Pass it to
/// [`TopologyTestDriver::pipe`](super::TopologyTestDriver::pipe).
///
/// ```
/// # use oncestream_operators::StreamsBuilder;
/// # use oncestream_testkit::TopologyTestDriver;
/// use oncestream_core::{Header, Record};
/// # let builder = StreamsBuilder::new();
/// # builder.stream::<String, Option<i64>>("in").to("out");
/// # let topology = builder.build()?;
/// let mut driver = TopologyTestDriver::builder(topology).partitions("in", 2).build()?;
/// let input = driver.input::<String, i64>("in");
/// driver.pipe(&input, "a".into(), 1, 1_000)?;
/// driver.pipe_null(&input, "a".into(), 2_000)?;
/// let traced = Record::new("b".into(), 2, 3_000).with_headers([Header::new("trace", b"7".to_vec())]);
/// driver.pipe_record(&input.partition(1), traced)?;
/// assert_eq!(driver.topic("out").len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TestInput<K, V> {
    topic: Arc<str>,
    partition: Option<i32>,
    key_serde: DynSerde<K>,
    value_serde: DynSerde<V>,
}

impl<K, V> TestInput<K, V> {
    pub(super) fn new(topic: Arc<str>, key_serde: DynSerde<K>, value_serde: DynSerde<V>) -> Self {
        Self { topic, partition: None, key_serde, value_serde }
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The same input, whose records all go to one partition, whatever their keys.
    #[must_use]
    pub fn partition(&self, partition: i32) -> Self {
        Self { partition: Some(partition), ..self.clone() }
    }

    /// The record as a producer with these serdes sends it. `None` is a value that is null.
    pub(super) fn written(
        &self,
        key: &K,
        value: Option<&V>,
        timestamp: TimestampMs,
        mut headers: Headers,
    ) -> Result<Written, DriverError> {
        let key = write(&*self.key_serde, &self.topic, Part::Key, key, &mut headers)?;
        let value = match value {
            Some(value) => {
                write(&*self.value_serde, &self.topic, Part::Value, value, &mut headers)?
            }
            None => None,
        };
        let (topic, partition) = (self.topic.clone(), self.partition);
        Ok(Written { topic, partition, key, value, timestamp, headers })
    }
}

impl<K, V> Clone for TestInput<K, V> {
    fn clone(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            partition: self.partition,
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
        }
    }
}

impl<K, V> fmt::Debug for TestInput<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (topic, partition) = (&self.topic, &self.partition);
        let mut shown = f.debug_struct("TestInput");
        shown.field("topic", topic).field("partition", partition).finish_non_exhaustive()
    }
}

/// A record of an input, in bytes.
pub(super) struct Written {
    topic: Arc<str>,
    partition: Option<i32>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp: TimestampMs,
    headers: Headers,
}

impl Written {
    pub(super) fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            topic: &self.topic,
            partition: self.partition,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            timestamp: self.timestamp,
            headers: &self.headers,
            origin: Origin::Sink,
        }
    }
}

fn write<T>(
    serde: &dyn Serde<T>,
    topic: &str,
    part: Part,
    value: &T,
    headers: &mut Headers,
) -> Result<Option<Vec<u8>>, DriverError> {
    let mut out = Vec::new();
    let mut place = SerializeContext::new(topic, part).with_headers(headers);
    let written = nullable::write(serde, &mut place, value, &mut out);
    let is_there = written.map_err(|source| refused(topic, source))?;
    Ok(is_there.then_some(out))
}

fn refused(topic: &str, source: SerdeError) -> DriverError {
    DriverError::Serde { topic: topic.to_owned(), source }
}

/// Reads a topic as a consumer with `isolation.level=read_committed` does.
///
/// Each has its own position, from the beginning of the topic. Records come in the order of
/// their arrival, over all partitions. It may be kept while the driver is used.
pub struct TestOutput<K, V> {
    pub(super) topic: Arc<str>,
    reader: Reader,
    key_serde: DynSerde<K>,
    value_serde: DynSerde<V>,
}

impl<K, V> fmt::Debug for TestOutput<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestOutput").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl<K, V> TestOutput<K, V> {
    pub(super) fn new(
        topic: Arc<str>,
        reader: Reader,
        key_serde: DynSerde<K>,
        value_serde: DynSerde<V>,
    ) -> Self {
        Self { topic, reader, key_serde, value_serde }
    }

    /// The next committed record, or `None` when there is none yet.
    ///
    /// # Errors
    /// When the record has other types.
    pub fn read_record(&mut self) -> Result<Option<Record<K, V>>, DriverError> {
        let Some(stored) = self.reader.next() else { return Ok(None) };
        let topic = &*self.topic;
        let place = |part| DeserializeContext::new(topic, part).with_headers(&stored.headers);
        let key = nullable::read(&*self.key_serde, &place(Part::Key), stored.key.as_deref());
        let value =
            nullable::read(&*self.value_serde, &place(Part::Value), stored.value.as_deref());
        Ok(Some(Record {
            key: key.map_err(|source| refused(topic, source))?,
            value: value.map_err(|source| refused(topic, source))?,
            timestamp: stored.timestamp,
            headers: stored.headers,
        }))
    }

    /// Every committed record that was not read yet.
    ///
    /// # Errors
    /// When a record has other types.
    pub fn read_all(&mut self) -> Result<Vec<Record<K, V>>, DriverError> {
        let mut all = Vec::new();
        while let Some(record) = self.read_record()? {
            all.push(record);
        }
        Ok(all)
    }

    /// Every committed record that was not read yet, as (key, value).
    ///
    /// # Errors
    /// When a record has other types.
    pub fn read_pairs(&mut self) -> Result<Vec<(K, V)>, DriverError> {
        Ok(self.read_all()?.into_iter().map(|r| (r.key, r.value)).collect())
    }

    /// The last value of each key, among the records that were not read yet.
    ///
    /// # Errors
    /// When a record has other types.
    pub fn read_last_per_key(&mut self) -> Result<HashMap<K, V>, DriverError>
    where
        K: Hash + Eq,
    {
        Ok(self.read_all()?.into_iter().map(|r| (r.key, r.value)).collect())
    }

    /// True when there is no committed record that was not read yet.
    pub fn is_empty(&self) -> bool {
        self.reader.is_empty()
    }
}
