//! Sources: bytes in, typed records out.
//!
//! With one input partition a record is deserialised and processed at once; with several, each
//! has a typed queue and the task picks the smallest timestamp.

use std::collections::VecDeque;
use std::sync::Arc;

use super::context::Context;
use super::node::Downstream;
use super::{DeserializationPolicy, TaskBuilder};
use crate::TopicPartition;
use crate::error::{Part, TaskError, TopologyError};
use crate::graph::NodeId;
use crate::record::{Headers, Record, TimestampMs};
use crate::serde::{DynSerde, SerdeError, deserialize_nullable};

/// A record as it came from the broker.
#[derive(Debug)]
pub struct RawRecord<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp; negative when the broker has none.
    pub timestamp: TimestampMs,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers,
}

/// Reads event time out of a record. The second argument is the largest time seen on the
/// partition so far. A negative result drops the record.
pub type TimestampExtractor<K, V> =
    Arc<dyn Fn(&Record<K, V>, TimestampMs) -> TimestampMs + Send + Sync>;

/// How a source reads its topics.
pub struct SourceConfig<K, V> {
    /// Reads keys.
    pub key_serde: DynSerde<K>,
    /// Reads values.
    pub value_serde: DynSerde<V>,
    /// Reads event time; `None` takes the record's timestamp and refuses a negative one.
    pub timestamp_extractor: Option<TimestampExtractor<K, V>>,
}

impl<K, V> Clone for SourceConfig<K, V> {
    fn clone(&self) -> Self {
        Self {
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            timestamp_extractor: self.timestamp_extractor.clone(),
        }
    }
}

/// What happened to a record that a source was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ingested {
    /// It was processed, or put into its queue.
    Taken,
    /// A handler or the timestamp extractor dropped it.
    Dropped,
}

/// A source as its task sees it.
pub(crate) trait SourceNode {
    /// Makes a queue for one more input partition.
    fn add_queue(&mut self);
    /// Deserialises and processes at once.
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        queue: usize,
        raw: RawRecord<'_>,
    ) -> Result<Ingested, TaskError>;
    /// Deserialises into the queue.
    fn enqueue(
        &mut self,
        ctx: &mut Context<'_>,
        queue: usize,
        raw: RawRecord<'_>,
    ) -> Result<Ingested, TaskError>;
    /// The timestamp of the head of a queue.
    fn head(&self, queue: usize) -> Option<TimestampMs>;
    /// How many records wait.
    fn queued(&self, queue: usize) -> usize;
    /// Takes the head of a queue out and processes it.
    fn process_head(&mut self, ctx: &mut Context<'_>, queue: usize) -> Result<(), TaskError>;
    /// The largest time seen on a partition; -1 before the first record.
    fn partition_time(&self, queue: usize) -> TimestampMs;
    /// Sets the time that was committed with the partition's offset.
    fn set_partition_time(&mut self, queue: usize, time: TimestampMs);
}

/// A source of one task, for the graph's factory to return.
pub struct SourceInstance(pub(crate) Box<dyn SourceNode>);

impl SourceInstance {
    /// Makes the source of one task.
    ///
    /// # Errors
    /// When a child does not take the source's types.
    pub fn new<K: Clone + 'static, V: Clone + 'static>(
        builder: &mut TaskBuilder<'_>,
        node: NodeId,
        config: SourceConfig<K, V>,
    ) -> Result<Self, TopologyError> {
        Ok(Self(Box::new(Source {
            policy: builder.config().deserialization,
            out: builder.downstream(node)?,
            config,
            queues: Vec::new(),
        })))
    }
}

struct Queue<K, V> {
    records: VecDeque<(i64, Record<K, V>)>,
    /// The largest time ingested.
    seen_time: TimestampMs,
    /// The largest time processed; what is committed.
    processed_time: TimestampMs,
}

struct Source<K, V> {
    config: SourceConfig<K, V>,
    policy: DeserializationPolicy,
    out: Downstream<K, V>,
    queues: Vec<Queue<K, V>>,
}

impl<K, V> Source<K, V> {
    fn read(
        &mut self,
        ctx: &mut Context<'_>,
        queue: usize,
        raw: RawRecord<'_>,
    ) -> Result<Option<Record<K, V>>, TaskError> {
        let key = match deserialize_nullable(&*self.config.key_serde, raw.key) {
            Ok(key) => key,
            Err(e) => return self.refused(ctx, Part::Key, e),
        };
        let value = match deserialize_nullable(&*self.config.value_serde, raw.value) {
            Ok(value) => value,
            Err(e) => return self.refused(ctx, Part::Value, e),
        };
        let mut record = Record { key, value, timestamp: raw.timestamp, headers: raw.headers };
        if let Some(extract) = &self.config.timestamp_extractor {
            record.timestamp = extract(&record, self.queues[queue].seen_time);
            if record.timestamp < 0 {
                ctx.drop_record();
                return Ok(None);
            }
        } else if record.timestamp < 0 {
            let at = position(ctx);
            return Err(TaskError::InvalidTimestamp {
                topic: at.0.topic.to_string(),
                partition: at.0.partition,
                offset: at.1,
                timestamp: record.timestamp,
            });
        }
        let seen = &mut self.queues[queue].seen_time;
        *seen = record.timestamp.max(*seen);
        Ok(Some(record))
    }

    fn refused(
        &self,
        ctx: &mut Context<'_>,
        part: Part,
        source: SerdeError,
    ) -> Result<Option<Record<K, V>>, TaskError> {
        match self.policy {
            DeserializationPolicy::Continue => {
                ctx.drop_record();
                Ok(None)
            }
            DeserializationPolicy::Fail => {
                let at = position(ctx);
                Err(TaskError::Deserialize {
                    topic: at.0.topic.to_string(),
                    partition: at.0.partition,
                    offset: at.1,
                    part,
                    source,
                })
            }
        }
    }
}

/// Where the record in hand came from. A source always has one in hand.
fn position(ctx: &Context<'_>) -> (TopicPartition, i64) {
    match ctx.state.current {
        Some((input, offset)) => (ctx.state.inputs[input].clone(), offset),
        None => (TopicPartition::new("?", -1), -1),
    }
}

impl<K: Clone, V: Clone> SourceNode for Source<K, V> {
    fn add_queue(&mut self) {
        self.queues.push(Queue { records: VecDeque::new(), seen_time: -1, processed_time: -1 });
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        queue: usize,
        raw: RawRecord<'_>,
    ) -> Result<Ingested, TaskError> {
        let Some(record) = self.read(ctx, queue, raw)? else { return Ok(Ingested::Dropped) };
        let time = &mut self.queues[queue].processed_time;
        *time = record.timestamp.max(*time);
        ctx.state.stream_time = record.timestamp.max(ctx.state.stream_time);
        self.out.forward(ctx, record)?;
        Ok(Ingested::Taken)
    }

    fn enqueue(
        &mut self,
        ctx: &mut Context<'_>,
        queue: usize,
        raw: RawRecord<'_>,
    ) -> Result<Ingested, TaskError> {
        let offset = raw.offset;
        let Some(record) = self.read(ctx, queue, raw)? else { return Ok(Ingested::Dropped) };
        self.queues[queue].records.push_back((offset, record));
        Ok(Ingested::Taken)
    }

    fn head(&self, queue: usize) -> Option<TimestampMs> {
        self.queues[queue].records.front().map(|(_, r)| r.timestamp)
    }

    fn queued(&self, queue: usize) -> usize {
        self.queues[queue].records.len()
    }

    fn process_head(&mut self, ctx: &mut Context<'_>, queue: usize) -> Result<(), TaskError> {
        let queue = &mut self.queues[queue];
        let Some((offset, record)) = queue.records.pop_front() else { return Ok(()) };
        queue.processed_time = record.timestamp.max(queue.processed_time);
        ctx.state.current = ctx.state.current.map(|(input, _)| (input, offset));
        ctx.state.stream_time = record.timestamp.max(ctx.state.stream_time);
        self.out.forward(ctx, record)
    }

    fn partition_time(&self, queue: usize) -> TimestampMs {
        self.queues[queue].processed_time
    }

    fn set_partition_time(&mut self, queue: usize, time: TimestampMs) {
        self.queues[queue].seen_time = time;
        self.queues[queue].processed_time = time;
    }
}
