//! `OffsetCommit`, `TxnOffsetCommit`, `OffsetFetch` and `OffsetDelete`.
//!
//! Owns which partitions exist, and whether a transaction may commit offsets here. Who may commit
//! is the group's matter. Invariant: an offset of a partition that does not exist is never stored.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    OffsetFetchRequest, OffsetFetchResponse, TopicName, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{code, text};
use crate::cluster::{Cluster, CoordinatorOf, Now};
use crate::group::{CommitOffsets, CommittedOffset, OffsetToCommit};
use crate::server::Origin;
use crate::transaction::TransactionState;

/// Answers `OffsetCommit`.
pub(super) fn commit(
    cluster: &mut Cluster,
    origin: &Origin,
    request: OffsetCommitRequest,
    now: Now,
) -> OffsetCommitResponse {
    let offsets = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| OffsetToCommit {
            topic: topic.name.to_string(),
            partition: partition.partition_index,
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata: partition.committed_metadata.as_ref().map(ToString::to_string),
        })
    });
    let commit = CommitOffsets {
        group: request.group_id.to_string(),
        generation: request.generation_id_or_member_epoch,
        member: request.member_id.to_string(),
        instance: request.group_instance_id.as_ref().map(ToString::to_string),
        offsets: offsets.collect(),
    };
    let codes = commit_existing(cluster, commit, |cluster, commit| {
        cluster.check_coordinator(CoordinatorOf::Group, &commit.group, origin.node)?;
        cluster.groups.commit_offsets(commit, now.instant).map_err(|error| match error {
            // Older clients do not know that a group may be unknown.
            ResponseError::GroupIdNotFound if origin.version < 9 => {
                ResponseError::IllegalGeneration
            }
            error => error,
        })
    });
    let mut codes = codes.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(&mut codes).map(|(partition, code)| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default().with_partitions(partitions).with_name(topic.name)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// Answers `TxnOffsetCommit`.
pub(super) fn commit_in_transaction(
    cluster: &mut Cluster,
    origin: &Origin,
    request: TxnOffsetCommitRequest,
    now: Now,
) -> TxnOffsetCommitResponse {
    let offsets = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| OffsetToCommit {
            topic: topic.name.to_string(),
            partition: partition.partition_index,
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata: partition.committed_metadata.as_ref().map(ToString::to_string),
        })
    });
    let commit = CommitOffsets {
        group: request.group_id.to_string(),
        generation: request.generation_id,
        member: request.member_id.to_string(),
        instance: request.group_instance_id.as_ref().map(ToString::to_string),
        offsets: offsets.collect(),
    };
    let codes = commit_existing(cluster, commit, |cluster, commit| {
        if commit.group.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        cluster.check_coordinator(CoordinatorOf::Group, &commit.group, origin.node)?;
        verify(cluster, origin, &request)?;
        let (id, epoch) = (request.producer_id.0, request.producer_epoch);
        cluster.groups.commit_offsets_in_transaction(commit, id, epoch, now.instant)
    });
    let mut codes = codes.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(&mut codes).map(|(partition, code)| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
        });
        let partitions = partitions.collect();
        TxnOffsetCommitResponseTopic::default().with_partitions(partitions).with_name(topic.name)
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

/// Was the group added to the transaction, and is that still open? Without this check an offset
/// that arrives late would be pending for ever.
fn verify(
    cluster: &Cluster,
    origin: &Origin,
    request: &TxnOffsetCommitRequest,
) -> Result<(), ResponseError> {
    if request.transactional_id.is_empty() {
        return Err(ResponseError::InvalidRequest);
    }
    let transaction = cluster.transactions.view(&request.transactional_id);
    let transaction = transaction.ok_or(ResponseError::InvalidProducerIdMapping)?;
    if transaction.producer_id != request.producer_id.0 {
        return Err(ResponseError::InvalidProducerIdMapping);
    }
    if transaction.producer_epoch != request.producer_epoch {
        return Err(ResponseError::InvalidProducerEpoch);
    }
    match transaction.state {
        TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
            Err(ResponseError::ConcurrentTransactions)
        }
        TransactionState::Ongoing
            if transaction.groups.iter().any(|group| group == request.group_id.as_str()) =>
        {
            Ok(())
        }
        _ if origin.version >= 4 => Err(ResponseError::TransactionAbortable),
        _ => Err(ResponseError::InvalidTxnState),
    }
}

/// Commits the offsets of partitions that exist. Answers a code per offset, in order. If no
/// partition exists, nobody is asked.
fn commit_existing(
    cluster: &mut Cluster,
    mut commit: CommitOffsets,
    apply: impl FnOnce(
        &mut Cluster,
        CommitOffsets,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError>,
) -> Vec<i16> {
    let exists =
        |offset: &OffsetToCommit| cluster.partition(&offset.topic, offset.partition).is_some();
    let existing: Vec<bool> = commit.offsets.iter().map(exists).collect();
    let mut keep = existing.iter();
    commit.offsets.retain(|_| keep.next().is_some_and(|keep| *keep));
    let outcomes = if commit.offsets.is_empty() { Ok(Vec::new()) } else { apply(cluster, commit) };
    merge(&existing, outcomes)
}

/// One code per partition: of its own outcome, of the whole group's, or that it does not exist.
fn merge(
    existing: &[bool],
    outcomes: Result<Vec<Result<(), ResponseError>>, ResponseError>,
) -> Vec<i16> {
    let (mut each, all) = match outcomes {
        Ok(each) => (each.into_iter(), Ok(())),
        Err(error) => (Vec::new().into_iter(), Err(error)),
    };
    let outcome = |exists: &bool| {
        code(if *exists {
            each.next().unwrap_or(all)
        } else {
            Err(ResponseError::UnknownTopicOrPartition)
        })
    };
    existing.iter().map(outcome).collect()
}

/// The offset of one partition, as it is told.
struct Fetched {
    partition: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: StrBytes,
    error_code: i16,
}

impl Fetched {
    fn new(partition: i32, found: Result<Option<CommittedOffset>, ResponseError>) -> Self {
        let (error_code, found) = match found {
            Ok(found) => (0, found),
            Err(error) => (error.code(), None),
        };
        Self {
            partition,
            offset: found.as_ref().map_or(-1, |found| found.offset),
            leader_epoch: found.as_ref().map_or(-1, |found| found.leader_epoch),
            metadata: text(found.and_then(|found| found.metadata).unwrap_or_default()),
            error_code,
        }
    }
}

type FetchedTopic = (TopicName, Vec<Fetched>);

/// Answers `OffsetFetch`: of one group, or from version 8 on of several.
pub(super) fn fetch(
    cluster: &mut Cluster,
    origin: &Origin,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if origin.version >= 8 {
        let groups = request.groups.into_iter().map(|group| {
            let asked = group.topics.map(|topics| {
                topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect()
            });
            let fetched = fetch_group(cluster, origin, &group.group_id, asked, stable);
            let response = match fetched {
                Ok(topics) => OffsetFetchResponseGroup::default()
                    .with_topics(topics.into_iter().map(batched_topic).collect()),
                Err(error) => OffsetFetchResponseGroup::default().with_error_code(error.code()),
            };
            response.with_group_id(group.group_id)
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let asked: Option<Vec<_>> = request.topics.map(|topics| {
        topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect()
    });
    let all = asked.clone().unwrap_or_default();
    match fetch_group(cluster, origin, &request.group_id, asked, stable) {
        Ok(topics) => OffsetFetchResponse::default()
            .with_topics(topics.into_iter().map(single_topic).collect()),
        Err(error) if origin.version >= 2 => {
            OffsetFetchResponse::default().with_error_code(error.code())
        }
        // The first version tells errors per partition only.
        Err(error) => {
            let topics = all.into_iter().map(|(name, partitions)| {
                let failed = partitions.into_iter().map(|index| Fetched::new(index, Err(error)));
                single_topic((name, failed.collect()))
            });
            OffsetFetchResponse::default().with_topics(topics.collect())
        }
    }
}

/// The offsets of a group: of the partitions that are asked for, or of all that have one.
fn fetch_group(
    cluster: &Cluster,
    origin: &Origin,
    group: &str,
    asked: Option<Vec<(TopicName, Vec<i32>)>>,
    require_stable: bool,
) -> Result<Vec<FetchedTopic>, ResponseError> {
    cluster.check_coordinator(CoordinatorOf::Group, group, origin.node)?;
    let Some(asked) = asked else {
        let mut topics: Vec<FetchedTopic> = Vec::new();
        for ((topic, index), found) in cluster.groups.fetch_offsets(group, None, require_stable) {
            let fetched = Fetched::new(index, found);
            match topics.last_mut() {
                // They come in the order of topics.
                Some((last, partitions)) if last.as_str() == topic => partitions.push(fetched),
                _ => topics.push((TopicName(text(topic)), vec![fetched])),
            }
        }
        return Ok(topics);
    };
    let topics = asked.into_iter().map(|(name, partitions)| {
        let keys: Vec<_> = partitions.iter().map(|index| (name.to_string(), *index)).collect();
        let found = cluster.groups.fetch_offsets(group, Some(&keys), require_stable);
        let fetched = found.into_iter().map(|((_, index), found)| Fetched::new(index, found));
        (name, fetched.collect())
    });
    Ok(topics.collect())
}

fn single_topic((name, partitions): FetchedTopic) -> OffsetFetchResponseTopic {
    let partitions = partitions.into_iter().map(|fetched| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(fetched.partition)
            .with_committed_offset(fetched.offset)
            .with_committed_leader_epoch(fetched.leader_epoch)
            .with_metadata(Some(fetched.metadata))
            .with_error_code(fetched.error_code)
    });
    OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
}

fn batched_topic((name, partitions): FetchedTopic) -> OffsetFetchResponseTopics {
    let partitions = partitions.into_iter().map(|fetched| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(fetched.partition)
            .with_committed_offset(fetched.offset)
            .with_committed_leader_epoch(fetched.leader_epoch)
            .with_metadata(Some(fetched.metadata))
            .with_error_code(fetched.error_code)
    });
    OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.collect())
}

/// Answers `OffsetDelete`.
pub(super) fn delete(
    cluster: &mut Cluster,
    origin: &Origin,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let keys = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.to_string(), partition.partition_index))
    });
    let keys: Vec<_> = keys.collect();
    let exists = |(topic, index): &(String, i32)| cluster.partition(topic, *index).is_some();
    let existing: Vec<bool> = keys.iter().map(exists).collect();
    let keys = keys.into_iter().zip(&existing).filter_map(|(key, exists)| exists.then_some(key));
    let keys: Vec<_> = keys.collect();
    let outcome = cluster
        .check_coordinator(CoordinatorOf::Group, &request.group_id, origin.node)
        .and_then(|()| cluster.groups.delete_offsets(&request.group_id, &keys));
    // An error of the group is told alone.
    if let Err(error) = outcome {
        return OffsetDeleteResponse::default().with_error_code(error.code());
    }
    let mut codes = merge(&existing, outcome).into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(&mut codes).map(|(partition, code)| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic::default().with_partitions(partitions).with_name(topic.name)
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}

#[cfg(test)]
mod tests;
