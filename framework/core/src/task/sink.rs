//! Sinks: typed records in, bytes out to the collector. Serialises each record once.
//!
//! Invariant: what a serializer adds to the headers is sent with this record, and no other node sees it.

use std::sync::Arc;

use super::context::{Context, Origin, Outgoing};
use super::failed::FailedAt;
use super::node::Node;
use crate::error::{Part, TaskError, Unproducible};
use crate::partitioner::partition_for_key;
use crate::record::{Headers, Record, RecordMetadata};
use crate::serde::{DynSerde, Serde, SerdeError, SerializeContext, nullable};
use crate::topic_name;

/// Picks the partition of a record: key, value and the number of partitions of the topic.
/// `None` leaves it to the default partitioner. Anything but 0 to the number, without it, is the
/// record's fault: the production handler is asked.
pub type Partitioner<K, V> = Arc<dyn Fn(&K, &V, i32) -> Option<i32> + Send + Sync>;

/// Picks the topic of a record. A name that no topic can have is the record's fault: the production
/// handler is asked.
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
    /// The last topic that was chosen, and that can be one.
    last_topic: Option<String>,
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
            last_topic: None,
        }
    }
}

impl<K, V> Node<K, V> for Sink<K, V> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        mut record: Record<K, V>,
    ) -> Result<(), TaskError> {
        let chosen;
        let topic: &str = match &self.destination {
            Destination::Topic(topic) => topic,
            Destination::Dynamic(extract) => {
                chosen = extract(&record, ctx.record_metadata().as_ref());
                &chosen
            }
        };
        let headers = &mut record.headers;
        let key = write(&*self.key_serde, topic, Part::Key, &record.key, headers, &mut self.key);
        let written = key.and_then(|key| {
            let (serde, out) = (&*self.value_serde, &mut self.value);
            Ok((key, write(serde, topic, Part::Value, &record.value, headers, out)?))
        });
        let (key, value) = match written {
            Ok(written) => written,
            Err((part, error)) => {
                let at = FailedAt { node: &self.name, timestamp: record.timestamp, headers };
                return ctx.serialization_failed(at, topic, part, error);
            }
        };
        let mut outgoing = Outgoing {
            topic,
            partition: None,
            key: key.then_some(&self.key[..]),
            value: value.then_some(&self.value[..]),
            timestamp: record.timestamp,
            headers: &record.headers,
            origin: Origin::Sink,
        };
        let is_chosen = matches!(self.destination, Destination::Dynamic(_));
        if is_chosen && self.last_topic.as_deref() != Some(topic) {
            if let Err(fault) = topic_name::check(topic) {
                let error = Unproducible::TopicName { topic: topic.to_owned(), fault };
                return ctx.unproducible(&self.name, &outgoing, error);
            }
            let last = self.last_topic.get_or_insert_default();
            last.clear();
            last.push_str(topic);
        }
        let chooses_by = outgoing.key.map(|key| self.key_serde.partition_bytes(key));
        if let Some(choose) = &self.partitioner {
            let partitions = match ctx.collector.partition_count(topic) {
                Ok(partitions) => partitions,
                Err(error) => return ctx.production_failed(&self.name, &outgoing, error),
            };
            outgoing.partition = choose(&record.key, &record.value, partitions);
            if let Some(partition) = outgoing.partition.filter(|p| !(0..partitions).contains(p)) {
                let topic = topic.to_owned();
                let error = Unproducible::Partition { topic, partition, partitions };
                return ctx.unproducible(&self.name, &outgoing, error);
            }
        }
        // A part of the key chooses: the producer would take all of it.
        if self.partitioner.is_none()
            && let Some(part) =
                chooses_by.filter(|part| Some(part.len()) != outgoing.key.map(<[u8]>::len))
        {
            match ctx.collector.partition_count(topic) {
                Ok(partitions) => outgoing.partition = Some(partition_for_key(part, partitions)),
                Err(error) => return ctx.production_failed(&self.name, &outgoing, error),
            }
        }
        ctx.send_from_sink(&self.name, &outgoing)
    }
}

/// Writes a key or a value; false for a null.
fn write<T>(
    serde: &dyn Serde<T>,
    topic: &str,
    part: Part,
    value: &T,
    headers: &mut Headers,
    out: &mut Vec<u8>,
) -> Result<bool, (Part, SerdeError)> {
    let mut place = SerializeContext::new(topic, part).with_headers(headers);
    nullable::write(serde, &mut place, value, out).map_err(|error| (part, error))
}
