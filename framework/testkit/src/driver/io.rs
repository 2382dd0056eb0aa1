//! The ends of a topology under test: typed inputs and outputs on the driver's topics.
//!
//! They hold serdes and reading positions; they know nothing of tasks.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::serde::{DynSerde, Serde};

use super::DriverError;
use super::records::Reader;

/// An input topic with the serdes to write it. Pass it to
/// [`TopologyTestDriver::pipe`](super::TopologyTestDriver::pipe).
pub struct TestInput<K, V> {
    pub(super) topic: Arc<str>,
    pub(super) key_serde: DynSerde<K>,
    pub(super) value_serde: DynSerde<V>,
}

impl<K, V> TestInput<K, V> {
    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn bytes<T>(
        &self,
        serde: &dyn Serde<T>,
        value: &T,
    ) -> Result<Option<Vec<u8>>, DriverError> {
        if serde.is_null(value) {
            return Ok(None);
        }
        let mut out = Vec::new();
        serde
            .serialize(value, &mut out)
            .map_err(|source| DriverError::Serde { topic: self.topic.to_string(), source })?;
        Ok(Some(out))
    }
}

/// Reads a topic as a consumer with `isolation.level=read_committed` does.
///
/// Each has its own position, from the beginning of the topic. Records come in the order of
/// their arrival, over all partitions. It may be kept while the driver is used.
pub struct TestOutput<K, V> {
    topic: Arc<str>,
    reader: Reader,
    key_serde: DynSerde<K>,
    value_serde: DynSerde<V>,
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
        let topic = &self.topic;
        let refused = |source| DriverError::Serde { topic: topic.to_string(), source };
        let key = match &stored.key {
            Some(bytes) => self.key_serde.deserialize(bytes),
            None => self.key_serde.from_null(),
        };
        let value = match &stored.value {
            Some(bytes) => self.value_serde.deserialize(bytes),
            None => self.value_serde.from_null(),
        };
        Ok(Some(Record {
            key: key.map_err(refused)?,
            value: value.map_err(refused)?,
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
