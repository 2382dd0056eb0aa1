//! Reads a run's output and says whether it is right.
//!
//! Reads as a consumer of the results would: committed records only, from the start to the end.
//! Under exactly once the output must be right to the byte. Under at least once, where no
//! contender was killed, the same holds unless there are duplicates, and those may only add.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use rustc_hash::FxBuildHasher;

use crate::job::{Guarantee, Job, RunSpec};
use crate::workload::Tally;

const DEADLINE: Duration = Duration::from_mins(2);

/// Compares the output topic of a run that has ended with the right answer.
///
/// # Errors
/// When the output is wrong or cannot be read to its end.
pub(crate) fn check(spec: &RunSpec, expected: Tally) -> Result<()> {
    wait_until_settled(spec)?;
    judge(spec.guarantee, expected, read(spec)?)
}

fn judge(guarantee: Guarantee, expected: Tally, got: Tally) -> Result<()> {
    match got.total.cmp(&expected.total) {
        std::cmp::Ordering::Greater if guarantee == Guarantee::AtLeastOnce => Ok(()),
        std::cmp::Ordering::Equal if got.digest == expected.digest => Ok(()),
        std::cmp::Ordering::Equal => bail!("the output has the right total and wrong content"),
        _ => bail!("the output adds up to {}, not {}", got.total, expected.total),
    }
}

/// Waits until no transaction is open on the output: its stable end is its end.
fn wait_until_settled(spec: &RunSpec) -> Result<()> {
    let stable = consumer(spec, "read_committed")?;
    let all = consumer(spec, "read_uncommitted")?;
    let start = Instant::now();
    for partition in 0..spec.partitions {
        loop {
            let (_, end) = all.fetch_watermarks(&spec.output, partition, DEADLINE)?;
            let (_, settled) = stable.fetch_watermarks(&spec.output, partition, DEADLINE)?;
            if settled == end {
                break;
            }
            if start.elapsed() > DEADLINE {
                bail!("a transaction on {}-{partition} never ended", spec.output);
            }
        }
    }
    Ok(())
}

fn read(spec: &RunSpec) -> Result<Tally> {
    let consumer = consumer(spec, "read_committed")?;
    let mut partitions = TopicPartitionList::new();
    for partition in 0..spec.partitions {
        partitions.add_partition_offset(&spec.output, partition, Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;

    let mut tally = Tally::default();
    let mut last: HashMap<Box<[u8]>, u64, FxBuildHasher> = HashMap::default();
    let mut open = spec.partitions;
    let mut heard = Instant::now();
    while open > 0 {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let key = message.key().context("a record without a key")?;
                let value = message.payload().context("a record without a value")?;
                match spec.job {
                    Job::Map | Job::StreamJoin | Job::TableJoin => tally.add(key, value, 1),
                    Job::Count | Job::WordCount | Job::WindowCount => {
                        let count = <[u8; 8]>::try_from(value).context("a count of 8 bytes")?;
                        let count = u64::from_be_bytes(count);
                        if let Some(last) = last.get_mut(key) {
                            *last = count;
                        } else {
                            last.insert(key.into(), count);
                        }
                    }
                }
                heard = Instant::now();
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(error.into()),
            None if heard.elapsed() > DEADLINE => bail!("{} gives no more records", spec.output),
            None => {}
        }
    }
    for (key, count) in &last {
        tally.add(key, &count.to_be_bytes(), *count);
    }
    Ok(tally)
}

fn consumer(spec: &RunSpec, isolation: &str) -> Result<BaseConsumer> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", &spec.bootstrap_servers)
        .set("group.id", format!("{}-check", spec.application_id))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "5")
        .set("isolation.level", isolation)
        .create()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_at_least_once_may_have_more_and_none_may_have_less() {
        let tally = |total, digest| Tally { total, digest };
        let right = tally(10, 7);
        for guarantee in [Guarantee::ExactlyOnce, Guarantee::AtLeastOnce] {
            assert!(judge(guarantee, right, right).is_ok());
            assert!(judge(guarantee, right, tally(10, 8)).is_err());
            assert!(judge(guarantee, right, tally(9, 7)).is_err());
        }
        assert!(judge(Guarantee::ExactlyOnce, right, tally(11, 7)).is_err());
        assert!(judge(Guarantee::AtLeastOnce, right, tally(11, 8)).is_ok());
    }
}
