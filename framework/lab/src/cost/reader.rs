//! Reads a topic of a measurement and says which records are not there, or there twice.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::cluster::{Quiet, config};
use super::error::failed;
use super::payload;
use super::{CostError, Plan};

/// A reader that gets nothing new for so long has seen what there is: the answer to a commit comes
/// before the markers of the transaction are in all partitions.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a topic lacks, and what it has too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) lost: u64,
    pub(super) doubled: u64,
}

/// Which records were seen.
struct Tally {
    seen: Vec<bool>,
    found: Found,
}

impl Tally {
    fn new(sent: u64) -> Self {
        Self { seen: vec![false; sent as usize], found: Found { lost: sent, doubled: 0 } }
    }

    /// A record that was never sent is one too many.
    fn add(&mut self, number: Option<u64>) {
        match number.and_then(|number| self.seen.get_mut(number as usize)) {
            Some(seen) if !*seen => {
                *seen = true;
                self.found.lost -= 1;
            }
            _ => self.found.doubled += 1,
        }
    }
}

/// Reads all committed records of a topic, of which so many were sent.
pub(super) fn read(plan: &Plan, topic: &str, sent: u64) -> Result<Found, CostError> {
    let what = format!("reading {topic}");
    let consumer: BaseConsumer<Quiet> = config(plan)
        .set("group.id", topic)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "10")
        // The default, a second, is waited for whenever the client's queue was full.
        .set("fetch.queue.backoff.ms", "5")
        .create_with_context(Quiet::default())
        .map_err(failed(&*what))?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_range(topic, 0, plan.partitions - 1);
    // Not "the beginning", for which librdkafka asks, and waits half a second for a leader to ask.
    partitions.set_all_offsets(Offset::Offset(0)).map_err(failed(&*what))?;
    consumer.assign(&partitions).map_err(failed(&*what))?;

    let mut tally = Tally::new(sent);
    let mut ended = BTreeSet::new();
    let mut error = None;
    let mut heard = Instant::now();
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                tally.add(message.payload().and_then(payload::number));
                ended.remove(&message.partition());
                heard = Instant::now();
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(refused)) => error = Some(refused),
            None => {}
        }
        let at_the_end = ended.len() == plan.partitions as usize;
        if at_the_end && tally.found.lost == 0 {
            return Ok(tally.found);
        }
        plan.check_stopped()?;
        if heard.elapsed() > PATIENCE {
            return match error {
                Some(error) if !at_the_end => Err(failed(what)(error)),
                _ => Ok(tally.found),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_counts_once() {
        let mut tally = Tally::new(3);
        for number in [Some(0), Some(2), Some(2), Some(3), None] {
            tally.add(number);
        }
        assert_eq!(tally.found, Found { lost: 1, doubled: 3 });
    }
}
