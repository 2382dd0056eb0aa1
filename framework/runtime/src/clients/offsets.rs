//! Where partitions begin and end.
//!
//! Invariant: an offset that is returned is the broker's answer for that very partition.

use std::time::Duration;

use oncestream_core::TopicPartition;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::verdict::is_unknown_topic;

/// The first offset of a partition, and its end as the client's isolation level sees it.
///
/// librdkafka 2.12 has one call for both, but forgets an error of the first answer if the second has come
/// already, and then returns the end as the beginning. Records would be skipped, or a store would be
/// taken for restored.
pub(super) fn watermarks<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partition: &TopicPartition,
    timeout: Duration,
) -> Result<(i64, i64), KafkaError> {
    let low = offset_of(consumer, partition, Offset::Beginning, timeout)?;
    Ok((low, end_offset(consumer, partition, timeout)?))
}

/// The end of a partition as the client's isolation level sees it.
pub(super) fn end_offset<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partition: &TopicPartition,
    timeout: Duration,
) -> Result<i64, KafkaError> {
    offset_of(consumer, partition, Offset::End, timeout)
}

/// Brokers that come and go may report too few partitions of a topic. librdkafka 2.12 believes that until
/// it refreshes its metadata, minutes later. So it is made to look again.
fn offset_of<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partition: &TopicPartition,
    place: Offset,
    timeout: Duration,
) -> Result<i64, KafkaError> {
    let found = ask_offset(consumer, partition, place, timeout);
    if let Err(error) = &found
        && is_unknown_topic(error)
        && let Err(error) = consumer.fetch_metadata(Some(&partition.topic), timeout)
    {
        tracing::debug!(%partition, %error, "no metadata");
    }
    found
}

fn ask_offset<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partition: &TopicPartition,
    place: Offset,
    timeout: Duration,
) -> Result<i64, KafkaError> {
    ask_offsets(consumer, std::slice::from_ref(partition), place, timeout)?.remove(0)
}

/// Asks for the same place of many partitions at once, one request to each of their leaders.
pub(super) fn ask_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    place: Offset,
    timeout: Duration,
) -> Result<Vec<Result<i64, KafkaError>>, KafkaError> {
    let found = ask_places(consumer, partitions, place, timeout)?;
    let known = |found| match found {
        Offset::Offset(offset) => Ok(offset),
        _ => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetNotAvailable)),
    };
    Ok(found.into_iter().map(|found| found.and_then(known)).collect())
}

/// The first offsets with a record of that time or later, in milliseconds; `None` where there is
/// none.
pub(super) fn ask_offsets_since<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    since_ms: i64,
    timeout: Duration,
) -> Result<Vec<Result<Option<i64>, KafkaError>>, KafkaError> {
    let found = ask_places(consumer, partitions, Offset::Offset(since_ms.max(0)), timeout)?;
    let offset = |found| match found {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    };
    Ok(found.into_iter().map(|found| found.map(offset)).collect())
}

fn ask_places<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    place: Offset,
    timeout: Duration,
) -> Result<Vec<Result<Offset, KafkaError>>, KafkaError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for p in partitions {
        // The protocol has these places where it has timestamps.
        list.add_partition_offset(&p.topic, p.partition, place)?;
    }
    let found = consumer.offsets_for_times(list, timeout)?;
    let place_of = |p: &TopicPartition| {
        let unknown = KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetNotAvailable);
        let element = found.find_partition(&p.topic, p.partition).ok_or(unknown)?;
        element.error()?;
        Ok(element.offset())
    };
    Ok(partitions.iter().map(place_of).collect())
}

/// The first offset and the end of many partitions; `None` where it cannot be had now.
pub(super) fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Vec<Option<(i64, i64)>> {
    let ask = |place| ask_offsets(consumer, partitions, place, timeout);
    let (lows, highs) = match (ask(Offset::Beginning), ask(Offset::End)) {
        (Ok(lows), Ok(highs)) => (lows, highs),
        (Err(error), _) | (_, Err(error)) => {
            tracing::debug!(%error, "the bounds of the inputs are not known");
            return vec![None; partitions.len()];
        }
    };
    lows.into_iter().zip(highs).map(|(low, high)| Some((low.ok()?, high.ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use oncestream_broker::Broker;
    use rdkafka::ClientConfig;
    use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
    use rdkafka::client::DefaultClientContext;

    use super::super::verdict::is_unsettled;
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_partition_that_the_client_did_not_know_is_found_at_the_second_look() {
        let broker = Broker::builder().start().await.unwrap();
        broker.create_topic("grows", 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap_servers()).set("group.id", "g");
        let consumer: BaseConsumer = config.create().unwrap();
        assert_eq!(end_offset(&consumer, &TopicPartition::new("grows", 0), TIMEOUT), Ok(0));
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let grown = admin
            .create_partitions(&[NewPartitions::new("grows", 2)], &AdminOptions::new())
            .await
            .unwrap();
        assert_eq!(grown, [Ok("grows".to_owned())]);
        let new = TopicPartition::new("grows", 1);
        let unknown = end_offset(&consumer, &new, TIMEOUT).unwrap_err();
        assert!(is_unknown_topic(&unknown) && is_unsettled(&unknown), "{unknown}");
        assert_eq!(end_offset(&consumer, &new, TIMEOUT), Ok(0));
    }
}
