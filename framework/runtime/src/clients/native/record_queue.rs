//! One queue for the records of many partitions of a consumer, read in batches.
//!
//! The consumer's own queue gives one event a call, for which it asks the clock several times and makes
//! two allocations. This one gives up to [`BATCH`] records a call.
//!
//! Invariants:
//! - What was taken is void with the next assignment, as what librdkafka still holds is: the owner calls
//!   [`RecordQueue::forget`].
//! - A partition whose records come here is not paused once something of it was taken: librdkafka would
//!   go on behind what was taken, and behind the record at an end that was (see `partition_queue.rs`).

use std::collections::VecDeque;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;

use super::PartitionQueue;
use super::listener::Listener;
use super::message::{KafkaMessage, Owned};

/// So many messages are taken at most with one call. They are in memory beside as much as the client
/// fetches ahead.
const BATCH: usize = 128;

/// The records of partitions that hand theirs on to it.
pub(crate) struct RecordQueue<C: ConsumerContext> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    taken: VecDeque<Owned>,
    /// Kept: librdkafka has a pointer to it.
    _listener: Listener,
    /// Kept: a queue is a part of its client.
    _consumer: Arc<BaseConsumer<C>>,
}

impl<C: ConsumerContext> RecordQueue<C> {
    /// An empty one. `listener` is called whenever it gets something while it is empty, from a thread of
    /// librdkafka, which waits for it. `None` if librdkafka has no memory.
    pub(crate) fn new(
        consumer: &Arc<BaseConsumer<C>>,
        listener: impl Fn() + Send + Sync + 'static,
    ) -> Option<Self> {
        // SAFETY: the client lives, because `consumer` does. The queue is ours until `drop`.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        let (queue, listener) = (NonNull::new(queue)?, Listener::new(listener));
        // SAFETY: the queue is ours. The listener lives until `drop` has ended its calls.
        unsafe { listener.listen_to(queue.as_ptr()) };
        Some(Self {
            queue,
            taken: VecDeque::new(),
            _listener: listener,
            _consumer: Arc::clone(consumer),
        })
    }

    /// Gets what is there and what comes of a partition, until it is given up. Call it when the
    /// assignment has settled: to stop the fetch of before ends it, too.
    pub(crate) fn gather(&self, partition: &PartitionQueue<C>) {
        // SAFETY: both queues live; librdkafka keeps this one for as long as the other forwards to it.
        unsafe { sys::rd_kafka_queue_forward(partition.as_ptr(), self.queue.as_ptr()) };
    }

    /// Whether nothing is left of what was taken.
    pub(crate) fn is_drained(&self) -> bool {
        self.taken.is_empty()
    }

    /// Throws away what was taken and not given.
    pub(crate) fn forget(&mut self) {
        self.taken.clear();
    }

    /// The next record, or an error; waits for nothing. Ends of partitions are left out. The record borrows
    /// the client, which has to outlive it.
    pub(crate) fn next<'a>(
        &mut self,
        _client: &'a BaseConsumer<C>,
    ) -> Option<Result<KafkaMessage<'a>, KafkaError>> {
        loop {
            let Some(message) = self.taken.pop_front() else {
                if self.take() == 0 {
                    return None;
                }
                continue;
            };
            match message.error() {
                None => return Some(Ok(KafkaMessage::batched(message))),
                Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF) => {}
                Some(code) => return Some(Err(KafkaError::MessageConsumption(code.into()))),
            }
        }
    }

    fn take(&mut self) -> usize {
        let mut room = [ptr::null_mut(); BATCH];
        // SAFETY: the queue is ours. The call writes at most `BATCH` pointers to where there is room for
        // as many, and says how many it wrote.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, room.as_mut_ptr(), BATCH)
        };
        // Negative for an error, of which there is none for this kind of queue.
        let given = &room[..usize::try_from(count).unwrap_or(0).min(BATCH)];
        let messages = given.iter().filter_map(|message| NonNull::new(*message));
        // SAFETY: each is a message that is ours from then on.
        self.taken.extend(messages.map(|message| unsafe { Owned::new(message) }));
        given.len()
    }
}

impl<C: ConsumerContext> Drop for RecordQueue<C> {
    fn drop(&mut self) {
        // SAFETY: the queue is ours.
        unsafe { Listener::end(self.queue.as_ptr()) };
        // Messages before the queue that they came from, and both before the client.
        self.taken.clear();
        // SAFETY: made by `rd_kafka_queue_new`, given back once.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use oncestream_broker::Broker;
    use oncestream_core::TopicPartition;
    use oncestream_engine::ports::Message;
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use rdkafka::{ClientConfig, Offset, TopicPartitionList};

    use super::*;

    /// Long enough for valgrind.
    const TIMEOUT: Duration = Duration::from_secs(120);
    const PARTITIONS: usize = 3;

    fn send(producer: &BaseProducer, count: usize) {
        for n in 0..count * PARTITIONS {
            let header = Header { key: "n", value: Some("h") };
            let record = BaseRecord::<str, str>::to("t")
                .partition((n % PARTITIONS) as i32)
                .timestamp(n as i64 + 1)
                .headers(OwnedHeaders::new().insert(header));
            let value = n.to_string();
            producer.send(record.key("k").payload(&value)).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(TIMEOUT).unwrap();
    }

    #[test]
    fn each_partition_comes_in_order_whatever_its_ends_and_batches() {
        let broker = Broker::builder().start_blocking().unwrap();
        broker.create_topic("t", PARTITIONS).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap_servers()).set("group.id", "g");
        let producer: BaseProducer = config.create().unwrap();
        config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "10");
        let consumer: Arc<BaseConsumer> = Arc::new(config.create().unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let listener = move || {
            counted.fetch_add(1, Ordering::SeqCst);
        };
        let mut records = RecordQueue::new(&consumer, listener).unwrap();
        let mut list = TopicPartitionList::new();
        let mut queues = Vec::new();
        for partition in 0..PARTITIONS as i32 {
            list.add_partition_offset("t", partition, Offset::Offset(0)).unwrap();
            let partition = TopicPartition::new("t", partition);
            queues.push(PartitionQueue::split(&consumer, &partition).unwrap());
        }
        // Records that come before it gathers them are not lost.
        send(&producer, BATCH);
        consumer.assign(&list).unwrap();
        consumer.assignment().unwrap();
        for queue in &queues {
            records.gather(queue);
        }
        let mut seen: BTreeMap<i32, i64> = BTreeMap::new();
        let mut read_to = |end: usize| {
            let deadline = Instant::now() + TIMEOUT;
            while seen.values().sum::<i64>() < (end * PARTITIONS) as i64 {
                assert!(Instant::now() < deadline, "{seen:?}");
                assert!(consumer.poll(Duration::from_millis(5)).is_none(), "not of its own queue");
                while let Some(message) = records.next(&consumer) {
                    let message = message.unwrap();
                    assert_eq!(message.topic(), "t");
                    let next = seen.entry(message.partition()).or_default();
                    let record = message.record();
                    assert_eq!(record.offset, *next, "in order");
                    let value = (*next * PARTITIONS as i64) + i64::from(message.partition());
                    let value = value % (BATCH * PARTITIONS) as i64;
                    assert_eq!((record.timestamp, record.key), (value + 1, Some(&b"k"[..])));
                    assert_eq!(record.value, Some(value.to_string().as_bytes()));
                    assert_eq!(record.headers.last("n"), Some(&b"h"[..]));
                    *next += 1;
                }
            }
        };
        read_to(BATCH);
        // Ends were met; what comes behind them comes all the same.
        send(&producer, BATCH);
        read_to(2 * BATCH);
        assert!(calls.load(Ordering::SeqCst) > 0);
        assert!(records.is_drained() && records.next(&consumer).is_none());
        // A queue that is dropped with records in it.
        send(&producer, BATCH);
        let deadline = Instant::now() + TIMEOUT;
        while records.next(&consumer).is_none() {
            assert!(Instant::now() < deadline, "no record");
            assert!(consumer.poll(Duration::from_millis(5)).is_none());
        }
        records.forget();
        assert!(records.is_drained());
        drop(records);
    }
}
