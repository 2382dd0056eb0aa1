//! Sources: bytes in, typed records out.
//!
//! Each input partition has a typed queue. With one input its records are deserialised and processed
//! at once; with several they wait, and the task picks the smallest timestamp.
//!
//! Invariant: a record that cannot be read waits for its turn like any other. Its handler is asked
//! when its offset is next, so that a dead letter is never committed before that offset. The same
//! holds for dead letters of records that are dropped.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::TaskBuilder;
use super::context::Context;
use super::failed::{FailedAt, SourceBytes};
use super::node::Downstream;
use crate::TopicPartition;
use crate::error::{Part, TaskError, TopologyError};
use crate::graph::NodeId;
use crate::handlers::DropReason;
use crate::record::{Headers, Record, TimestampMs};
use crate::serde::{DeserializeContext, DynSerde, SerdeError, nullable};

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
    /// Why `headers` are not those of the record: the deserialisation handler is asked.
    pub unreadable_headers: Option<Box<SerdeError>>,
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
    /// Whether records with a null key are dropped and counted, as tables do, before the key's
    /// serde and the extractor are asked about them.
    pub drop_null_keys: bool,
}

impl<K, V> Clone for SourceConfig<K, V> {
    fn clone(&self) -> Self {
        Self {
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            timestamp_extractor: self.timestamp_extractor.clone(),
            drop_null_keys: self.drop_null_keys,
        }
    }
}

/// The record at the head of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) offset: i64,
    pub(crate) timestamp: TimestampMs,
}

/// A source as its task sees it.
pub(crate) trait SourceNode {
    /// Makes the queue of one input partition.
    fn queue(&self) -> Box<dyn SourceQueue>;
}

/// The queue of one input partition.
pub(crate) trait SourceQueue {
    /// Deserialises and processes at once.
    fn process(&mut self, ctx: &mut Context<'_>, raw: RawRecord<'_>) -> Result<(), TaskError>;
    /// Deserialises into the queue, unless the timestamp extractor drops the record.
    fn enqueue(&mut self, ctx: &mut Context<'_>, raw: RawRecord<'_>) -> Result<(), TaskError>;
    /// Its head.
    fn head(&self) -> Option<Head>;
    /// How many records wait.
    fn len(&self) -> usize;
    /// Takes its head out and processes it.
    fn process_head(&mut self, ctx: &mut Context<'_>) -> Result<(), TaskError>;
    /// The largest time processed; -1 before the first record.
    fn partition_time(&self) -> TimestampMs;
    /// Sets the time that was committed with the partition's offset.
    fn set_partition_time(&mut self, time: TimestampMs);
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
        Ok(Self(Box::new(Rc::new(Source {
            name: builder.node_name(node),
            keep_bytes: builder.config().handlers.need_source_bytes(),
            tells_of_drops: builder.config().handlers.dropped_records_topic.is_some(),
            out: RefCell::new(builder.downstream(node)?),
            config,
        }))))
    }
}

/// The bytes of a record that outlives the client's buffer.
struct KeptBytes {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

impl KeptBytes {
    fn of(key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        Self { key: key.map(<[u8]>::to_vec), value: value.map(<[u8]>::to_vec) }
    }

    fn borrowed(&self) -> SourceBytes<'_> {
        SourceBytes { key: self.key.as_deref(), value: self.value.as_deref() }
    }
}

/// Why a record could not be read, and what of it is left.
struct Unreadable {
    part: Part,
    error: SerdeError,
    timestamp: TimestampMs,
    headers: Headers,
}

/// A record that the source drops although it could be read, and what of it is left.
struct Dropped {
    reason: DropReason,
    /// Its time; if it has none, the one it came with.
    timestamp: TimestampMs,
    headers: Headers,
}

impl Dropped {
    /// Its time, which counts at its turn; -1 for none.
    fn time(&self) -> TimestampMs {
        if self.reason == DropReason::NegativeTimestamp { -1 } else { self.timestamp }
    }
}

/// A record in a queue.
enum Waiting<K, V> {
    /// Its bytes are kept only where a handler needs them.
    Record(Record<K, V>, Option<Box<KeptBytes>>),
    /// Dropped at its turn, since its time counts, or a dead letter tells of it.
    Dropped(Dropped, Option<Box<KeptBytes>>),
    Unreadable(Box<(Unreadable, KeptBytes)>),
}

/// Why a source has no record to forward.
enum NoRecord {
    Dropped(Dropped),
    Task(TaskError),
    Unreadable(Box<Unreadable>),
}

/// What the queues of one source share.
struct Source<K, V> {
    config: SourceConfig<K, V>,
    name: Arc<str>,
    /// Whether records in a queue keep their bytes.
    keep_bytes: bool,
    /// Whether there is a dead letter for each record that an operator drops.
    tells_of_drops: bool,
    out: RefCell<Downstream<K, V>>,
}

impl<K, V> Source<K, V> {
    /// Takes notice of the time of a record that is ingested; false if an extractor gave it none.
    fn is_timed(
        &self,
        ctx: &Context<'_>,
        seen_time: &mut TimestampMs,
        timestamp: TimestampMs,
    ) -> Result<bool, NoRecord> {
        if timestamp >= 0 {
            *seen_time = timestamp.max(*seen_time);
            return Ok(true);
        }
        if self.config.timestamp_extractor.is_some() {
            return Ok(false);
        }
        let at = position(ctx);
        Err(NoRecord::Task(TaskError::InvalidTimestamp {
            topic: at.0.topic.to_string(),
            partition: at.0.partition,
            offset: at.1,
            timestamp,
        }))
    }

    /// Writes the dead letter of a record that was dropped, if there is to be one.
    #[inline]
    fn tell_of_drop(
        &self,
        ctx: &mut Context<'_>,
        timestamp: TimestampMs,
        headers: &Headers,
    ) -> Result<(), TaskError> {
        if ctx.state.drop_reason.is_none() {
            return Ok(());
        }
        ctx.tell_of_drop(FailedAt { node: &self.name, timestamp, headers })
    }

    /// Asks the handler; `Ok` means: drop the record.
    fn refused(&self, ctx: &mut Context<'_>, unreadable: Unreadable) -> Result<(), TaskError> {
        let Unreadable { part, error, timestamp, headers } = unreadable;
        let at = FailedAt { node: &self.name, timestamp, headers: &headers };
        ctx.deserialization_failed(at, part, error)
    }
}

struct Queue<K, V> {
    source: Rc<Source<K, V>>,
    records: VecDeque<(i64, Waiting<K, V>)>,
    /// The largest time ingested.
    seen_time: TimestampMs,
    /// The largest time processed; what is committed.
    processed_time: TimestampMs,
}

impl<K: Clone, V: Clone> Queue<K, V> {
    fn read(
        &mut self,
        ctx: &mut Context<'_>,
        mut raw: RawRecord<'_>,
    ) -> Result<Record<K, V>, NoRecord> {
        if let Some(error) = raw.unreadable_headers.take() {
            return Err(unreadable(Part::Headers, *error, raw));
        }
        let source = &self.source;
        let config = &source.config;
        let topic = ctx.record.as_ref().map_or("", |record| &record.partition.topic);
        let place = |part| DeserializeContext::new(topic, part).with_headers(&raw.headers);
        let is_dropped = config.drop_null_keys && raw.key.is_none();
        let key = if is_dropped {
            None
        } else {
            match nullable::read(&*config.key_serde, &place(Part::Key), raw.key) {
                Ok(key) => Some(key),
                Err(error) => return Err(unreadable(Part::Key, error, raw)),
            }
        };
        let value = match nullable::read(&*config.value_serde, &place(Part::Value), raw.value) {
            Ok(value) => value,
            Err(error) => return Err(unreadable(Part::Value, error, raw)),
        };
        let Some(key) = key else {
            let RawRecord { timestamp, headers, .. } = raw;
            let is_timed = source.is_timed(ctx, &mut self.seen_time, timestamp)?;
            let reason = if is_timed { DropReason::NullKey } else { DropReason::NegativeTimestamp };
            return Err(NoRecord::Dropped(Dropped { reason, timestamp, headers }));
        };
        let mut record = Record { key, value, timestamp: raw.timestamp, headers: raw.headers };
        if let Some(extract) = &config.timestamp_extractor {
            record.timestamp = extract(&record, self.seen_time);
        }
        if source.is_timed(ctx, &mut self.seen_time, record.timestamp)? {
            return Ok(record);
        }
        let (reason, timestamp) = (DropReason::NegativeTimestamp, raw.timestamp);
        Err(NoRecord::Dropped(Dropped { reason, timestamp, headers: record.headers }))
    }

    /// Hands a record on at its turn.
    fn forward(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        self.at_turn(ctx, record.timestamp);
        let source = &self.source;
        if !source.tells_of_drops {
            return source.out.borrow_mut().forward(ctx, record);
        }
        let (timestamp, headers) = (record.timestamp, record.headers.clone());
        source.out.borrow_mut().forward(ctx, record)?;
        source.tell_of_drop(ctx, timestamp, &headers)
    }

    /// Drops a record at its turn.
    fn drop_record(&mut self, ctx: &mut Context<'_>, dropped: &Dropped) -> Result<(), TaskError> {
        self.at_turn(ctx, dropped.time());
        ctx.drop_record(dropped.reason);
        self.source.tell_of_drop(ctx, dropped.timestamp, &dropped.headers)
    }

    /// The times move on with a record at its turn.
    fn at_turn(&mut self, ctx: &mut Context<'_>, timestamp: TimestampMs) {
        self.processed_time = timestamp.max(self.processed_time);
        ctx.state.stream_time = timestamp.max(ctx.state.stream_time);
    }
}

#[cold]
fn unreadable(part: Part, error: SerdeError, raw: RawRecord<'_>) -> NoRecord {
    let RawRecord { timestamp, headers, .. } = raw;
    NoRecord::Unreadable(Box::new(Unreadable { part, error, timestamp, headers }))
}

/// Where the record in hand came from. A source always has one in hand.
fn position(ctx: &Context<'_>) -> (TopicPartition, i64) {
    match &ctx.record {
        Some(record) => (record.partition.clone(), record.offset),
        None => (TopicPartition::new("?", -1), -1),
    }
}

impl<K: Clone + 'static, V: Clone + 'static> SourceNode for Rc<Source<K, V>> {
    fn queue(&self) -> Box<dyn SourceQueue> {
        Box::new(Queue {
            source: self.clone(),
            records: VecDeque::new(),
            seen_time: -1,
            processed_time: -1,
        })
    }
}

impl<K: Clone, V: Clone> SourceQueue for Queue<K, V> {
    fn process(&mut self, ctx: &mut Context<'_>, raw: RawRecord<'_>) -> Result<(), TaskError> {
        let record = match self.read(ctx, raw) {
            Ok(record) => record,
            Err(NoRecord::Dropped(it)) => return self.drop_record(ctx, &it),
            Err(NoRecord::Task(error)) => return Err(error),
            Err(NoRecord::Unreadable(it)) => return self.source.refused(ctx, *it),
        };
        self.forward(ctx, record)
    }

    fn enqueue(&mut self, ctx: &mut Context<'_>, raw: RawRecord<'_>) -> Result<(), TaskError> {
        let (offset, key, value) = (raw.offset, raw.key, raw.value);
        let waiting = match self.read(ctx, raw) {
            Ok(record) => {
                let keep = || Box::new(KeptBytes::of(key, value));
                Waiting::Record(record, self.source.keep_bytes.then(keep))
            }
            Err(NoRecord::Dropped(it)) => {
                if it.time() < 0 && !self.source.tells_of_drops {
                    ctx.drop_record(it.reason);
                    return Ok(());
                }
                let keep = || Box::new(KeptBytes::of(key, value));
                Waiting::Dropped(it, self.source.tells_of_drops.then(keep))
            }
            Err(NoRecord::Task(error)) => return Err(error),
            Err(NoRecord::Unreadable(it)) => {
                Waiting::Unreadable(Box::new((*it, KeptBytes::of(key, value))))
            }
        };
        self.records.push_back((offset, waiting));
        Ok(())
    }

    fn head(&self) -> Option<Head> {
        self.records.front().map(|(offset, waiting)| {
            let timestamp = match waiting {
                Waiting::Record(record, _) => record.timestamp,
                Waiting::Dropped(dropped, _) => dropped.time(),
                // At once, as in Kafka Streams: it has no time to be ordered by.
                Waiting::Unreadable(_) => -1,
            };
            Head { offset: *offset, timestamp }
        })
    }

    fn len(&self) -> usize {
        self.records.len()
    }

    fn process_head(&mut self, ctx: &mut Context<'_>) -> Result<(), TaskError> {
        let Some((_, waiting)) = self.records.pop_front() else { return Ok(()) };
        match waiting {
            Waiting::Record(record, bytes) => match &bytes {
                None => self.forward(ctx, record),
                Some(bytes) => self.forward(&mut ctx.with_bytes(bytes.borrowed()), record),
            },
            Waiting::Dropped(it, bytes) => match &bytes {
                None => self.drop_record(ctx, &it),
                Some(bytes) => self.drop_record(&mut ctx.with_bytes(bytes.borrowed()), &it),
            },
            Waiting::Unreadable(it) => {
                let (unreadable, bytes) = *it;
                self.source.refused(&mut ctx.with_bytes(bytes.borrowed()), unreadable)
            }
        }
    }

    fn partition_time(&self) -> TimestampMs {
        self.processed_time
    }

    fn set_partition_time(&mut self, time: TimestampMs) {
        self.seen_time = time;
        self.processed_time = time;
    }
}
