//! `ListOffsets` and `OffsetForLeaderEpoch`: where a log begins, ends, and what lies in between.
//!
//! Does not change anything. The records are the log's; here is what a reader may know of them.

use std::collections::HashSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
};

use crate::cluster::Cluster;
use crate::log::{Isolation, PartitionLog};
use crate::server::Origin;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// Answers `ListOffsets`.
pub(super) fn list_offsets(
    cluster: &mut Cluster,
    origin: &Origin,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let isolation = if request.isolation_level == 1 {
        Isolation::ReadCommitted
    } else {
        Isolation::ReadUncommitted
    };
    let mut seen = HashSet::new();
    let mut twice = HashSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic.name.clone(), partition.partition_index);
            if !seen.insert(key.clone()) {
                twice.insert(key);
            }
        }
    }
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let response = ListOffsetsPartitionResponse::default().with_partition_index(index);
            let found = if twice.contains(&(topic.name.clone(), index)) {
                Err(ResponseError::InvalidRequest)
            } else {
                look_up(cluster, origin, &topic.name, partition, isolation)
            };
            match found {
                Ok(Some((offset, timestamp, epoch))) => {
                    let epoch = if origin.version >= 4 { epoch } else { -1 };
                    response.with_offset(offset).with_timestamp(timestamp).with_leader_epoch(epoch)
                }
                Ok(None) => response,
                Err(error) => response.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_partitions(partitions).with_name(topic.name)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// Offset, timestamp and leader epoch of what is asked for; `None` if there is no such record that
/// the reader may see.
fn look_up(
    cluster: &Cluster,
    origin: &Origin,
    topic: &str,
    partition: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<Option<(i64, i64, i32)>, ResponseError> {
    let since = match partition.timestamp {
        LATEST | EARLIEST | 0.. => 1,
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        _ => i16::MAX,
    };
    if origin.version < since {
        return Err(ResponseError::UnsupportedVersion);
    }
    let index = partition.partition_index;
    let epoch = partition.current_leader_epoch;
    let log = &cluster.check_leader(topic, index, origin.node, epoch)?.log;
    let end = match isolation {
        Isolation::ReadCommitted => log.last_stable_offset(),
        Isolation::ReadUncommitted => log.high_watermark(),
    };
    let found = match partition.timestamp {
        LATEST => return Ok(Some((end, -1, log.leader_epoch()))),
        EARLIEST | EARLIEST_LOCAL => Some((log.start_offset(), -1)),
        LATEST_TIERED => None,
        // The largest timestamp of all: if the reader may not see it, there is no second best.
        MAX_TIMESTAMP => log.max_timestamp().filter(|(offset, _)| *offset < end),
        timestamp => log.offset_for_timestamp(timestamp, isolation),
    };
    Ok(found.map(|(offset, timestamp)| (offset, timestamp, epoch_at(log, offset))))
}

/// The leader epoch in which the record at this offset was written.
fn epoch_at(log: &PartitionLog, offset: i64) -> i32 {
    let latest = log.leader_epoch();
    (0..latest).find(|epoch| log.end_offset_for_epoch(*epoch).1 > offset).unwrap_or(latest)
}

/// Answers `OffsetForLeaderEpoch`: where the records of an epoch end.
pub(super) fn offset_for_leader_epoch(
    cluster: &mut Cluster,
    origin: &Origin,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let (index, epoch) = (asked.partition, asked.current_leader_epoch);
            let response = EpochEndOffset::default().with_partition(index);
            match cluster.check_leader(&topic.topic, index, origin.node, epoch) {
                Ok(found) => {
                    let (epoch, end) = found.log.end_offset_for_epoch(asked.leader_epoch);
                    response.with_leader_epoch(epoch).with_end_offset(end)
                }
                Err(error) => response.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_partitions(partitions).with_topic(topic.topic)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
