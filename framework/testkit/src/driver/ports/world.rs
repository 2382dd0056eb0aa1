//! What the instances of a driver share: the broker, the clock, the plan of crashes, and the order in
//! which records arrived.
//!
//! It knows no worker. The first write creates a topic, as on a broker that may do so.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oncestream_broker::{Broker, LocalBroker};

use super::super::crash::CrashPlan;
use super::super::{DriverError, Sabotage};
use super::clock::HandClock;

/// Takes the lock of what nobody holds over a panic.
pub(in super::super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tests write records of any time and size.
const ANY_RECORD: [(&str, &str); 2] = [
    ("message.timestamp.after.max.ms", "9223372036854775807"),
    ("max.message.bytes", "2147483647"),
];

/// The settings of a driver that ports go by.
#[derive(Clone, Debug)]
pub(in super::super) struct Options {
    pub(in super::super) default_partitions: i32,
    /// The largest key and value together that a producer takes.
    pub(in super::super) message_max_bytes: usize,
    pub(in super::super) sabotage: Option<Sabotage>,
}

/// The arrivals of records, by topic and partition: the offset of each with its place in the order.
type Arrivals = HashMap<(String, i32), HashMap<i64, u64>>;

/// The world around the instances.
pub(in super::super) struct World {
    pub(in super::super) broker: LocalBroker,
    pub(in super::super) clock: HandClock,
    pub(in super::super) options: Options,
    crashes: Mutex<CrashPlan>,
    arrivals: Mutex<(u64, Arrivals)>,
}

impl World {
    pub(in super::super) fn new(options: Options, now_ms: i64) -> Self {
        let builder = Broker::builder().marker_delay(std::time::Duration::ZERO);
        Self {
            broker: builder.build_local(now_ms),
            clock: HandClock::default(),
            options,
            crashes: Mutex::default(),
            arrivals: Mutex::default(),
        }
    }

    pub(in super::super) fn crashes(&self) -> MutexGuard<'_, CrashPlan> {
        lock(&self.crashes)
    }

    /// Makes a topic if it is not there.
    pub(in super::super) fn create_topic(
        &self,
        topic: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<(), DriverError> {
        if self.partition_count(topic).is_some() {
            return Ok(());
        }
        let settings = settings.iter().chain(&ANY_RECORD).copied();
        let partitions = usize::try_from(partitions).unwrap_or(0).max(1);
        Ok(self.broker.create_topic_with(topic, partitions, settings)?)
    }

    /// The number of partitions of a topic that is there.
    pub(in super::super) fn partition_count(&self, topic: &str) -> Option<i32> {
        self.broker.partition_count(topic).map(|count| count as i32)
    }

    /// The number of partitions of a topic, which is made if it is not there.
    pub(in super::super) fn partitions_to_write(&self, topic: &str) -> Result<i32, DriverError> {
        if let Some(count) = self.partition_count(topic) {
            return Ok(count);
        }
        let count = self.options.default_partitions.max(1);
        self.create_topic(topic, count, &[])?;
        Ok(count)
    }

    /// The names of all topics.
    pub(in super::super) fn topic_names(&self) -> Vec<std::sync::Arc<str>> {
        let mut names: Vec<_> = self
            .broker
            .view()
            .partitions
            .iter()
            .map(|partition| std::sync::Arc::from(partition.topic.as_str()))
            .collect();
        names.dedup();
        names
    }

    /// A record has arrived.
    pub(in super::super) fn arrived(&self, topic: &str, partition: i32, offset: i64) {
        let (count, arrivals) = &mut *lock(&self.arrivals);
        *count += 1;
        arrivals.entry((topic.to_owned(), partition)).or_default().insert(offset, *count);
    }

    /// The place of a record in the order of arrival over all partitions.
    pub(in super::super) fn arrival(&self, topic: &str, partition: i32, offset: i64) -> u64 {
        let arrivals = &lock(&self.arrivals).1;
        let of_partition = arrivals.get(&(topic.to_owned(), partition));
        of_partition.and_then(|offsets| offsets.get(&offset)).copied().unwrap_or(u64::MAX)
    }
}
