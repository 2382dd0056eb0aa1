//! Sinks: typed records in, bytes out to the collector. Serialises each record once.

use std::sync::Arc;

use super::context::{Context, Origin, Outgoing};
use super::failed::FailedAt;
use super::node::Node;
use crate::error::{Part, TaskError};
use crate::record::{Record, RecordMetadata};
use crate::serde::{DynSerde, serialize_nullable};

/// Picks the partition of a record: key, value and the number of partitions of the topic.
/// `None` leaves it to the default partitioner.
pub type Partitioner<K, V> = Arc<dyn Fn(&K, &V, i32) -> Option<i32> + Send + Sync>;

/// Picks the topic of a record.
pub type TopicNameExtractor<K, V> =
    Arc<dyn Fn(&Record<K, V>, Option<&RecordMetadata>) -> String + Send + Sync>;

/// Where a sink writes to, with names as on the broker.
#[derive(Clone)]
pub enum Destination<K, V> {
    /// One topic.
    Topic(Arc<str>),
    /// One chosen per record.
    Dynamic(TopicNameExtractor<K, V>),
}

/// The end of a branch: hands records to the producer.
pub struct Sink<K, V> {
    name: Arc<str>,
    destination: Destination<K, V>,
    key_serde: DynSerde<K>,
    value_serde: DynSerde<V>,
    partitioner: Option<Partitioner<K, V>>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<K, V> Sink<K, V> {
    /// A sink with the name of its node.
    pub fn new(
        name: Arc<str>,
        destination: Destination<K, V>,
        key_serde: DynSerde<K>,
        value_serde: DynSerde<V>,
        partitioner: Option<Partitioner<K, V>>,
    ) -> Self {
        Self {
            name,
            destination,
            key_serde,
            value_serde,
            partitioner,
            key: Vec::new(),
            value: Vec::new(),
        }
    }
}

impl<K, V> Node<K, V> for Sink<K, V> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let chosen;
        let topic: &str = match &self.destination {
            Destination::Topic(topic) => topic,
            Destination::Dynamic(extract) => {
                chosen = extract(&record, ctx.record_metadata().as_ref());
                &chosen
            }
        };
        let at =
            FailedAt { node: &self.name, timestamp: record.timestamp, headers: &record.headers };
        let key = match serialize_nullable(&*self.key_serde, &record.key, &mut self.key) {
            Ok(key) => key,
            Err(error) => return ctx.serialization_failed(at, topic, Part::Key, error),
        };
        let value = match serialize_nullable(&*self.value_serde, &record.value, &mut self.value) {
            Ok(value) => value,
            Err(error) => return ctx.serialization_failed(at, topic, Part::Value, error),
        };
        let partition = match &self.partitioner {
            None => None,
            Some(choose) => {
                let count = ctx
                    .collector
                    .partition_count(topic)
                    .map_err(|source| TaskError::Send { topic: topic.to_owned(), source })?;
                choose(&record.key, &record.value, count)
            }
        };
        let outgoing = Outgoing {
            topic,
            partition,
            key: key.then_some(&self.key[..]),
            value: value.then_some(&self.value[..]),
            timestamp: record.timestamp,
            headers: &record.headers,
            origin: Origin::Sink,
        };
        ctx.send_from_sink(&self.name, &outgoing)
    }
}
