//! Changes of what a consumer reads, one after the other.
//!
//! librdkafka 2.12 carries an assignment out in its own thread: it stops the old fetches first and
//! starts the new ones when those have stopped. What comes in between goes wrong:
//!
//! - A partition that is removed again before its stop was answered is told to stop twice, and the
//!   second answer aborts the process (`rktp->rktp_started`; its issue 5573).
//! - A pause or resume makes a start look outdated: it is dropped, and the partition is not read
//!   until the next rebalance.
//!
//! Invariant: when a change here has returned, its stops are answered and its starts on their way.

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

/// So many questions go through the client's queue after a change; two are enough.
const ROUNDS: usize = 3;

/// Makes these partitions, at these offsets, all that a consumer reads.
pub(super) fn assign<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    partitions: &TopicPartitionList,
) -> Result<(), KafkaError> {
    client.assign(partitions)?;
    settle(client)
}

/// Ends all reading.
pub(super) fn unassign<C: ConsumerContext>(client: &BaseConsumer<C>) -> Result<(), KafkaError> {
    client.unassign()?;
    settle(client)
}

/// Waits until the stops of a change are answered. They go through one queue in order, and so does
/// this question: with its first answer the stops are done, with its second they are answered.
fn settle<C: ConsumerContext>(client: &BaseConsumer<C>) -> Result<(), KafkaError> {
    for _ in 0..ROUNDS {
        client.assignment()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use oncestream_broker::Broker;
    use rdkafka::{ClientConfig, Offset};

    use super::*;

    const PARTITIONS: usize = 32;

    /// Without the waiting librdkafka aborts this process.
    #[test]
    fn changes_may_follow_each_other_at_once() {
        let broker = Broker::builder().start_blocking().unwrap();
        broker.create_topic("changes", PARTITIONS).unwrap();
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap_servers())
            .set("group.id", "g")
            .create()
            .unwrap();
        let list = |count: usize| {
            let mut list = TopicPartitionList::new();
            for partition in 0..count {
                let offset = Offset::Offset(0);
                list.add_partition_offset("changes", partition as i32, offset).unwrap();
            }
            list
        };
        for round in 0..300 {
            assign(&consumer, &list(PARTITIONS - round % 3)).unwrap();
            assign(&consumer, &list(PARTITIONS)).unwrap();
            unassign(&consumer).unwrap();
        }
        assert_eq!(consumer.assignment().unwrap().count(), 0);
    }
}
