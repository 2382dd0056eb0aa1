//! Where partitions begin and end, and what a group has committed: requests and their answers.

use std::time::Duration;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    GroupId, ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest, TopicName,
};
use oncestream_core::TopicPartition;
use oncestream_core::task::Position;
use oncestream_engine::ports::Committed;
use oncestream_engine::{ClientError, ClientFault as _};

use super::errors;
use super::link::{Link, text};

/// How soon it is asked again what a transaction is open on.
const AGAIN: Duration = Duration::from_millis(100);

/// Which offset of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum At {
    Start,
    HighWatermark,
    LastStable,
}

/// A generation of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Generation {
    pub(super) group: String,
    pub(super) member: String,
    pub(super) id: i32,
}

/// An offset of a partition's log.
pub(in super::super) fn offset(
    link: &Link,
    partition: &TopicPartition,
    at: At,
) -> Result<i64, ClientError> {
    let asked = ListOffsetsPartition::default()
        .with_partition_index(partition.partition)
        .with_current_leader_epoch(-1)
        .with_timestamp(if at == At::Start { -2 } else { -1 });
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(text(&partition.topic)))
        .with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(i8::from(at == At::LastStable))
        .with_topics(vec![topic]);
    let answer = link.call(request)?;
    let told = answer.topics.first().and_then(|topic| topic.partitions.first());
    let told = told.ok_or_else(errors::no_answer)?;
    errors::check(told.error_code)?;
    Ok(told.offset)
}

/// What a group has committed for partitions, in their order. What a transaction is open on is waited
/// for.
pub(in super::super) fn committed(
    link: &Link,
    group: &str,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Result<Vec<Option<Committed>>, ClientError> {
    let deadline = link.site.now() + timeout;
    let mut found = Vec::new();
    for partition in partitions {
        loop {
            match committed_of(link, group, partition) {
                Err(error) if error.is_transient() && link.site.now() < deadline => {
                    link.site.sleep(AGAIN);
                }
                done => {
                    found.push(done?);
                    break;
                }
            }
        }
    }
    Ok(found)
}

fn committed_of(
    link: &Link,
    group: &str,
    partition: &TopicPartition,
) -> Result<Option<Committed>, ClientError> {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(TopicName(text(&partition.topic)))
        .with_partition_indexes(vec![partition.partition]);
    let asked = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(group)))
        .with_member_epoch(-1)
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_require_stable(true).with_groups(vec![asked]);
    let answer = link.call(request)?;
    let group = answer.groups.first().ok_or_else(errors::no_answer)?;
    errors::check(group.error_code)?;
    let told = group.topics.first().and_then(|topic| topic.partitions.first());
    let told = told.ok_or_else(errors::no_answer)?;
    errors::check(told.error_code)?;
    if told.committed_offset < 0 {
        return Ok(None);
    }
    Ok(Some(Committed::new(told.committed_offset, told.metadata.as_deref().unwrap_or_default())))
}

/// Commits positions to the group, outside any transaction.
pub(super) fn commit(
    link: &Link,
    positions: &[Position],
    generation: &Generation,
) -> Result<(), ClientError> {
    let topics = positions.iter().map(|position| {
        let of = OffsetCommitRequestPartition::default()
            .with_partition_index(position.partition.partition)
            .with_committed_offset(position.offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(text(&position.metadata.encode())));
        OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(&position.partition.topic)))
            .with_partitions(vec![of])
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(&generation.group)))
        .with_generation_id_or_member_epoch(generation.id)
        .with_member_id(text(&generation.member))
        .with_topics(topics.collect());
    let answer = link.call(request)?;
    let mut codes = answer.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code));
    codes.try_for_each(errors::check)
}
