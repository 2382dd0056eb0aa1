//! The queues of a group consumer's partitions: most hand their records on to one queue, which is read in
//! batches; some are read apart from the others, each by itself.
//!
//! A task with several inputs chooses among them by time, so it wants to take from each as much as it
//! has room for, and to know which of them are at their end. A queue of several partitions has their
//! records in the order in which they came: what a task has no room for would have to be thrown away by
//! a pause, and its ends come without a topic and an offset.
//!
//! The consumer's own queue has rebalances, errors and statistics, and no records.
//!
//! Facts about librdkafka 2.12 that this stands on:
//! - Once split off, a queue stays so, over all that is assigned, given up or sought later: only a flag
//!   of its own keeps librdkafka from joining it again (`RD_KAFKA_Q_F_FWD_APP`). To give a partition up
//!   ends what it hands on; from then on it keeps what comes, until it is told to hand it on again.
//! - What it holds of an assignment that is over is dropped when it is read, wherever it was handed on to.
//! - Its limits (`queued.min.messages`, `queued.max.messages.kbytes`) are of the queue where its records
//!   come to lie: of each that is apart by itself, of all others together.
//! - It tells the end of a partition with the answer to a fetch that finds nothing there, and with no answer
//!   that brings records, though each has the high watermark.
//! - A consumer is taken to be polled when any of its queues is, and a pause works as for any other
//!   partition (it drops what is queued and goes on behind what was taken).

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use oncestream_core::TopicPartition;
use oncestream_engine::ports::Taken;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;

use super::native::{KafkaMessage, PartitionQueue, RecordQueue};

/// The queues of the partitions that are assigned to one consumer.
pub(super) struct Queues<C: ConsumerContext> {
    by_partition: HashMap<TopicPartition, OfPartition<C>>,
    records: RecordQueue<C>,
    bell: Arc<Bell>,
}

struct OfPartition<C: ConsumerContext> {
    queue: PartitionQueue<C>,
    is_apart: bool,
    /// The offset behind the last record that was taken of it apart, while nothing is known of what is there.
    open_at: Option<i64>,
}

impl<C: ConsumerContext> Queues<C> {
    /// Of no partition yet. `bell` rings when there is something in one of them.
    ///
    /// # Errors
    /// librdkafka has no memory.
    pub(super) fn new(
        consumer: &Arc<BaseConsumer<C>>,
        bell: Arc<Bell>,
    ) -> Result<Self, KafkaError> {
        let ringing = Arc::clone(&bell);
        let records = RecordQueue::new(consumer, move || ringing.ring());
        let none = || KafkaError::Subscription("no queue for records".to_owned());
        Ok(Self { by_partition: HashMap::new(), records: records.ok_or_else(none)?, bell })
    }

    /// Exactly these are apart, from the next assignment on.
    ///
    /// # Errors
    /// A topic has no name that a client could have.
    pub(super) fn set_apart(
        &mut self,
        consumer: &Arc<BaseConsumer<C>>,
        partitions: &[TopicPartition],
    ) -> Result<(), KafkaError> {
        for queue in self.by_partition.values_mut() {
            queue.is_apart = false;
        }
        partitions.iter().try_for_each(|partition| self.split(consumer, partition, true))
    }

    /// These are about to be assigned, and no others.
    ///
    /// # Errors
    /// A topic has no name that a client could have.
    pub(super) fn assign(
        &mut self,
        consumer: &Arc<BaseConsumer<C>>,
        positions: &[(TopicPartition, i64)],
    ) -> Result<(), KafkaError> {
        self.records.forget();
        self.by_partition.retain(|_, queue| queue.is_apart);
        for queue in self.by_partition.values_mut() {
            queue.open_at = None;
        }
        for (partition, _) in positions {
            if !self.by_partition.contains_key(partition) {
                self.split(consumer, partition, false)?;
            }
        }
        Ok(())
    }

    /// Splits it again if it was before: a topic that was deleted and made again has new queues.
    fn split(
        &mut self,
        consumer: &Arc<BaseConsumer<C>>,
        partition: &TopicPartition,
        is_apart: bool,
    ) -> Result<(), KafkaError> {
        // First, or it would take the bell away from a new one that is the same.
        self.by_partition.remove(partition);
        let none = || KafkaError::Subscription(format!("no queue for {partition}"));
        let mut queue = PartitionQueue::split(consumer, partition).ok_or_else(none)?;
        if is_apart {
            let bell = Arc::clone(&self.bell);
            queue.listen(move || bell.ring());
        }
        self.by_partition.insert(partition.clone(), OfPartition { queue, is_apart, open_at: None });
        Ok(())
    }

    /// The assignment has changed, and is settled.
    pub(super) fn assigned(&self) {
        for OfPartition { queue, is_apart, .. } in self.by_partition.values() {
            if *is_apart {
                queue.keep();
            } else {
                self.records.gather(queue);
            }
        }
    }

    /// Nothing is assigned any more.
    pub(super) fn unassigned(&mut self) {
        self.records.forget();
    }

    /// Whether nothing is left of what was taken from partitions that are not apart.
    pub(super) fn is_drained(&self) -> bool {
        self.records.is_drained()
    }

    /// The next record of a partition that is not apart, or an error; waits for nothing. `consumer` is
    /// the one that all this is of.
    pub(super) fn next<'a>(
        &mut self,
        consumer: &'a BaseConsumer<C>,
    ) -> Option<Result<KafkaMessage<'a>, KafkaError>> {
        self.records.next(consumer)
    }

    /// Gives up to so many things of a partition that is apart, and says how many.
    ///
    /// If the last record ends at the high watermark, the end follows it at once. To wait until a fetch finds
    /// nothing there would hold up the task, all of whose other inputs wait for this one. Of many inputs, one
    /// would nearly always be waited for.
    ///
    /// # Errors
    /// That of `each`; the rest stays.
    pub(super) fn take<E>(
        &mut self,
        partition: &TopicPartition,
        max: usize,
        mut each: impl FnMut(Taken<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let Some(OfPartition { queue, is_apart: true, open_at }) =
            self.by_partition.get_mut(partition)
        else {
            return Ok(0);
        };
        for taken in 0..max {
            let Some(thing) = queue.next() else {
                let ends_at = open_at.take_if(|next| queue.high_watermark() == Some(*next));
                let Some(offset) = ends_at else { return Ok(taken) };
                return each(Taken::End { offset }).map(|()| taken + 1);
            };
            *open_at = match &thing {
                Taken::Record(record) => Some(record.offset + 1),
                Taken::End { .. } | Taken::Failed(_) => None,
            };
            each(thing)?;
        }
        if max > 0 {
            // There may be more, and a queue that is not empty does not ring again.
            self.bell.ring();
        }
        Ok(max)
    }
}

/// Tells a poll that there is something to be had elsewhere.
#[derive(Default)]
pub(super) struct Bell {
    has_rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.has_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rings.notify_one();
    }

    /// Waits until it has rung since the last such call.
    pub(super) fn wait(&self, timeout: Duration) {
        let has_rung = self.has_rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.rings.wait_timeout_while(has_rung, timeout, |has_rung| !*has_rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

#[cfg(test)]
mod tests;
