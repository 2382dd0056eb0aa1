//! Partitions of a group consumer that are read apart from the others, each from a queue of its own.
//!
//! A task with several inputs chooses among them by time, so it wants to take from each as much as it
//! has room for, and to know which of them are at their end. The consumer's own queue has the records
//! of all partitions in the order in which they came: what a task has no room for would have to be
//! thrown away by a pause, and its ends come without a topic and an offset.
//!
//! Facts about librdkafka 2.12 that this stands on:
//! - Once split off, a queue stays so, over all that is assigned, given up or sought later: only a flag
//!   of its own keeps librdkafka from joining it again (`RD_KAFKA_Q_F_FWD_APP`).
//! - What it holds of an assignment that is over is dropped when it is read.
//! - Its limits (`queued.min.messages`, `queued.max.messages.kbytes`) are of each such queue by itself.
//! - A consumer is taken to be polled when any of its queues is, and a pause works as for any other
//!   partition (it drops what is queued and goes on behind what was taken).

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use oncestream_core::TopicPartition;
use oncestream_engine::ports::Taken;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;

use super::native::PartitionQueue;

/// The partitions of one consumer that were ever read apart.
pub(super) struct Apart<C: ConsumerContext> {
    queues: HashMap<TopicPartition, Queue<C>>,
    bell: Arc<Bell>,
}

struct Queue<C: ConsumerContext> {
    queue: PartitionQueue<C>,
    is_apart: bool,
}

impl<C: ConsumerContext> Apart<C> {
    /// None are. `bell` rings when there is something of one that is.
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        Self { queues: HashMap::new(), bell }
    }

    /// Whether none are, so that nothing rings.
    pub(super) fn is_empty(&self) -> bool {
        !self.queues.values().any(|queue| queue.is_apart)
    }

    /// Exactly these are, from the next assignment on.
    ///
    /// # Errors
    /// A topic has no name that a client could have.
    pub(super) fn set(
        &mut self,
        consumer: &Arc<BaseConsumer<C>>,
        partitions: &[TopicPartition],
    ) -> Result<(), KafkaError> {
        for queue in self.queues.values_mut() {
            queue.is_apart = false;
        }
        for partition in partitions {
            // Split again: a topic that was deleted and made again has new queues. The old one first,
            // or it would take the bell away from a new one that is the same.
            self.queues.remove(partition);
            let none = || KafkaError::Subscription(format!("no queue for {partition}"));
            let mut queue = PartitionQueue::split(consumer, partition).ok_or_else(none)?;
            let bell = Arc::clone(&self.bell);
            queue.listen(move || bell.ring());
            self.queues.insert(partition.clone(), Queue { queue, is_apart: true });
        }
        Ok(())
    }

    /// The assignment has changed, and is settled. Those that are apart no more go on with the others.
    pub(super) fn assigned(&self) {
        for queue in self.queues.values() {
            if queue.is_apart {
                queue.queue.keep();
            } else {
                queue.queue.hand_on();
            }
        }
    }

    /// Gives up to so many things of a partition that is apart, and says how many.
    ///
    /// # Errors
    /// That of `each`; the rest stays.
    pub(super) fn take<E>(
        &mut self,
        partition: &TopicPartition,
        max: usize,
        mut each: impl FnMut(Taken<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let Some(Queue { queue, is_apart: true }) = self.queues.get_mut(partition) else {
            return Ok(0);
        };
        for taken in 0..max {
            let Some(thing) = queue.next() else { return Ok(taken) };
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
