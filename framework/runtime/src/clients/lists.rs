//! Lists of partitions as the client library takes them.

use oncestream_core::TopicPartition;
use oncestream_core::task::Position;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

/// Partitions alone.
pub(super) fn of_partitions(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for p in partitions {
        list.add_partition(&p.topic, p.partition);
    }
    list
}

/// Partitions, each with an offset.
///
/// # Errors
/// An offset is none.
pub(super) fn at_offsets(
    offsets: &[(TopicPartition, i64)],
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (p, offset) in offsets {
        list.add_partition_offset(&p.topic, p.partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}

/// Positions to commit, with what travels with them.
///
/// # Errors
/// An offset is none.
pub(super) fn of_positions(positions: &[Position]) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for p in positions {
        let mut element = list.add_partition(&p.partition.topic, p.partition.partition);
        element.set_offset(Offset::Offset(p.offset))?;
        element.set_metadata(p.metadata.encode());
    }
    Ok(list)
}
