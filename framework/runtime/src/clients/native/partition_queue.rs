//! The queue of one partition of a consumer, its records looked at in place.
//!
//! The crate rdkafka has such queues, but forgets at which offset the end of a partition was met.
//! An end is the one that the answering broker knew: only its offset tells which one that is.
//!
//! librdkafka 2.12 never joins a queue that was split off to the consumer's queue again by itself, whatever
//! is assigned. Only what this queue holds delays the next fetch of the partition.
//!
//! Invariant: a partition whose queue is read in batches is not paused. A batch with an end in it makes
//! librdkafka believe that the record at this offset was consumed (`rd_kafka_q_serve_rkmessages`), and a
//! pause goes on behind what was consumed, so this record would be lost.

use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use oncestream_core::TopicPartition;
use oncestream_engine::ports::{Fetched, Taken};
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaRespErr;

use super::listener::Listener;
use super::message::{look_at, take_from};

/// So many messages are taken at most with one call.
const BATCH: usize = 1000;

/// What was fetched of one partition, apart from all else that the consumer fetches.
pub(crate) struct PartitionQueue<C: ConsumerContext> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    topic: CString,
    partition: i32,
    /// The messages of the batch at hand; empty between two calls.
    taken: Batch,
    /// Kept: librdkafka has a pointer to it.
    listener: Option<Listener>,
    /// Kept: a queue is a part of its client.
    consumer: Arc<BaseConsumer<C>>,
}

impl<C: ConsumerContext> PartitionQueue<C> {
    /// Splits a partition off the consumer's own queue. Do so before the partition is assigned,
    /// or what is fetched in between goes to a queue that nobody reads. `None` if the name of the
    /// topic is no name.
    pub(crate) fn split(
        consumer: &Arc<BaseConsumer<C>>,
        partition: &TopicPartition,
    ) -> Option<Self> {
        let topic = CString::new(&*partition.topic).ok()?;
        let client = consumer.client().native_ptr();
        // SAFETY: the client lives, because `consumer` does; the name ends in a NUL and is copied
        // by the call. The queue that it gives is counted: it is ours until `destroy` in `drop`.
        let queue = NonNull::new(unsafe {
            sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition.partition)
        })?;
        let split = Self {
            queue,
            topic,
            partition: partition.partition,
            taken: Batch(Vec::new()),
            listener: None,
            consumer: Arc::clone(consumer),
        };
        split.keep();
        Some(split)
    }

    /// Keeps what comes.
    pub(crate) fn keep(&self) {
        // SAFETY: the queue is ours. No destination means: forward to nowhere, keep here.
        unsafe { sys::rd_kafka_queue_forward(self.queue.as_ptr(), ptr::null_mut()) };
    }

    /// The queue itself, for the one that all of it is handed on to.
    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_queue_t {
        self.queue.as_ptr()
    }

    /// Calls `listener` whenever the queue gets something while it is empty, from a thread of
    /// librdkafka, which waits for it.
    pub(crate) fn listen(&mut self, listener: impl Fn() + Send + Sync + 'static) {
        let listener = Listener::new(listener);
        // SAFETY: the queue is ours. The listener lives for as long as the queue may call it: until
        // `drop` has told the queue to stop, or another one has taken its place here.
        unsafe { listener.listen_to(self.queue.as_ptr()) };
        self.listener = Some(listener);
    }

    /// Takes one thing, if there is one, and waits for nothing. It is gone with the next call.
    pub(crate) fn next(&mut self) -> Option<Taken<'_>> {
        self.taken.clear();
        // SAFETY: the queue is ours. What it gives is null, or a message that is ours from then on.
        let message = unsafe { sys::rd_kafka_consume_queue(self.queue.as_ptr(), 0) };
        if message.is_null() {
            return None;
        }
        self.taken.0.push(message);
        // SAFETY: the message lives until it is cleared, which takes `&mut self`; what is given borrows
        // `self`. Nobody else has it.
        Some(unsafe { take_from(&*message) })
    }

    /// The high watermark of the last answer to a fetch; `None` before the first one. What that answer brought
    /// is in the queue, or was taken.
    pub(crate) fn high_watermark(&self) -> Option<i64> {
        let (mut low, mut high) = (-1, -1);
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client lives, because `consumer` does, and so does the name, which ends in a NUL. The
        // call writes no more than the two numbers.
        let code = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                client,
                self.topic.as_ptr(),
                self.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        (code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }

    /// Takes what is at hand, up to a bounded number, and waits for nothing. All of it must be
    /// looked at: it is gone with the batch.
    pub(crate) fn batch(&mut self) -> impl Iterator<Item = Fetched<'_>> {
        self.taken.clear();
        self.taken.0.reserve(BATCH);
        // SAFETY: the queue is ours. The call writes at most `BATCH` pointers to where there is
        // room for as many, and says how many it wrote; each is a message that is ours from then
        // on, and not null.
        unsafe {
            let room = self.taken.0.as_mut_ptr();
            let count = sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, room, BATCH);
            // Negative for an error, of which there is none for this kind of queue.
            self.taken.0.set_len(usize::try_from(count).unwrap_or(0).min(BATCH));
        }
        // SAFETY: the messages live until they are cleared, which takes `&mut self`; what the
        // iterator gives borrows `self`.
        self.taken.0.iter().map(|message| unsafe { look_at(&**message) })
    }
}

impl<C: ConsumerContext> Drop for PartitionQueue<C> {
    fn drop(&mut self) {
        // SAFETY: the queue is ours.
        unsafe { Listener::end(self.queue.as_ptr()) };
        // Messages before the queue that they came from, and both before the client.
        self.taken.clear();
        // SAFETY: made by `rd_kafka_queue_get_partition`, given back once.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

/// Messages that are given back when it is dropped.
struct Batch(Vec<*mut sys::rd_kafka_message_t>);

impl Batch {
    fn clear(&mut self) {
        for message in self.0.drain(..) {
            // SAFETY: each came from librdkafka as ours, and leaves the list here.
            unsafe { sys::rd_kafka_message_destroy(message) };
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use oncestream_broker::Broker;
    use rdkafka::consumer::DefaultConsumerContext;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use rdkafka::{ClientConfig, Offset, TopicPartitionList};

    use super::*;

    /// Long enough for valgrind.
    const TIMEOUT: Duration = Duration::from_secs(120);

    /// A record, or the end, as a test sees it.
    #[derive(Debug, PartialEq)]
    enum Seen {
        Record(i64, i64, Option<Vec<u8>>, Option<Vec<u8>>),
        End(i64),
    }

    #[test]
    fn records_are_read_in_place_and_an_end_tells_its_offset() {
        let broker = Broker::builder().start_blocking().unwrap();
        broker.create_topic("t", 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap_servers()).set("group.id", "g");
        let producer: BaseProducer = config.create().unwrap();
        config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "10");
        let consumer: Arc<BaseConsumer> = Arc::new(config.create().unwrap());
        let mut queue = PartitionQueue::split(&consumer, &TopicPartition::new("t", 0)).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Offset(0)).unwrap();
        consumer.assign(&list).unwrap();

        let send = |key: Option<&str>, value: Option<&[u8]>, time: i64| {
            let mut record = BaseRecord::<str, [u8]>::to("t").timestamp(time);
            (record.key, record.payload) = (key, value);
            producer.send(record).unwrap();
            producer.flush(TIMEOUT).unwrap();
        };
        let mut read_to_end = |end: i64| {
            let (mut seen, deadline) = (Vec::new(), Instant::now() + TIMEOUT);
            while seen.last() != Some(&Seen::End(end)) {
                assert!(Instant::now() < deadline, "{seen:?}");
                // Its own queue is empty: this lets the client's threads work.
                assert!(consumer.poll(Duration::from_millis(5)).is_none());
                for fetched in queue.batch() {
                    seen.push(match fetched {
                        Fetched::Record { offset, timestamp, key, value } => Seen::Record(
                            offset,
                            timestamp,
                            key.map(<[u8]>::to_vec),
                            value.map(<[u8]>::to_vec),
                        ),
                        Fetched::End { offset } => Seen::End(offset),
                        Fetched::Failed(error) => panic!("{error}"),
                    });
                }
            }
            seen.retain(|seen| matches!(seen, Seen::Record(..)));
            seen
        };

        assert_eq!(read_to_end(0), []);
        send(Some("k"), Some(b"v"), 5);
        send(None, Some(b""), 6);
        send(Some(""), None, 7);
        assert_eq!(
            read_to_end(3),
            [
                Seen::Record(0, 5, Some(b"k".to_vec()), Some(b"v".to_vec())),
                Seen::Record(1, 6, None, Some(Vec::new())),
                Seen::Record(2, 7, Some(Vec::new()), None),
            ]
        );
        // More than one batch, and a queue that is dropped with records in it.
        for n in 0..BATCH as i64 + 10 {
            producer.send(BaseRecord::<str, str>::to("t").payload("v").timestamp(n)).unwrap();
        }
        producer.flush(TIMEOUT).unwrap();
        let all = read_to_end(BATCH as i64 + 13);
        assert_eq!(all.len(), BATCH + 10);
        send(Some("last"), None, 1);
        drop(queue);
        drop(consumer);
    }

    /// What comes of a record behind an end that was taken, if the partition is paused in between.
    fn read_over_a_pause(
        take: fn(&mut PartitionQueue<DefaultConsumerContext>) -> Vec<i64>,
    ) -> Vec<i64> {
        let broker = Broker::builder().start_blocking().unwrap();
        broker.create_topic("t", 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap_servers()).set("group.id", "g");
        let producer: BaseProducer = config.create().unwrap();
        config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "10");
        let consumer: Arc<BaseConsumer> = Arc::new(config.create().unwrap());
        let mut queue = PartitionQueue::split(&consumer, &TopicPartition::new("t", 0)).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Offset(0)).unwrap();
        consumer.assign(&list).unwrap();
        let send = || {
            producer.send(BaseRecord::<str, str>::to("t").payload("v")).unwrap();
            producer.flush(TIMEOUT).unwrap();
        };
        let deadline = Instant::now() + TIMEOUT;
        let mut read_until = |wanted: i64| {
            let mut seen = Vec::new();
            while seen.last() != Some(&wanted) {
                assert!(Instant::now() < deadline, "{seen:?}");
                assert!(consumer.poll(Duration::from_millis(5)).is_none());
                seen.extend(take(&mut queue));
            }
            seen
        };
        // An end is seen as the offset below 0 that it is the end of.
        read_until(-1);
        consumer.pause(&list).unwrap();
        for _ in 0..3 {
            send();
        }
        consumer.resume(&list).unwrap();
        let mut seen = read_until(-4);
        seen.retain(|offset| *offset >= 0);
        seen
    }

    #[test]
    fn what_is_taken_one_by_one_may_be_paused_and_what_is_taken_in_batches_may_not() {
        let one_by_one = read_over_a_pause(|queue| {
            let mut seen = Vec::new();
            while let Some(taken) = queue.next() {
                seen.push(match taken {
                    Taken::Record(record) => record.offset,
                    Taken::End { offset } => -1 - offset,
                    Taken::Failed(error) => panic!("{error}"),
                });
            }
            seen
        });
        assert_eq!(one_by_one, [0, 1, 2]);
        // If this fails, librdkafka was mended, and the invariant of this file may go.
        let in_batches = read_over_a_pause(|queue| {
            let see = |fetched: Fetched<'_>| match fetched {
                Fetched::Record { offset, .. } => offset,
                Fetched::End { offset } => -1 - offset,
                Fetched::Failed(error) => panic!("{error}"),
            };
            queue.batch().map(see).collect()
        });
        assert_eq!(in_batches, [1, 2], "the first one is lost");
    }

    #[test]
    fn a_name_with_a_nul_has_no_queue() {
        let consumer: Arc<BaseConsumer> = Arc::new(
            ClientConfig::new()
                .set("bootstrap.servers", "127.0.0.1:1")
                .set("group.id", "g")
                .create()
                .unwrap(),
        );
        assert!(PartitionQueue::split(&consumer, &TopicPartition::new("t\0", 0)).is_none());
    }
}
