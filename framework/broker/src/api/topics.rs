//! `CreateTopics`, `DeleteTopics`, `CreatePartitions` and `DeleteRecords`.
//!
//! Owns what Kafka's controller checks before it changes topics. Every node is the controller.
//! Invariant: a topic is created or grown as a whole or not at all.

mod create;
mod grow;
#[cfg(test)]
mod tests;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    BrokerId, DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, TopicName,
};
use uuid::Uuid;

use super::configs::{Refusal, told};
use super::text;
use crate::cluster::Cluster;
use crate::server::Origin;

pub(super) use create::create;
pub(super) use grow::create_partitions;

fn refuse<T>(error: ResponseError, why: impl Into<String>) -> Result<T, Refusal> {
    Err((error, why.into()))
}

/// What was given more than once.
fn twice<T: Hash + Eq>(given: impl Iterator<Item = T>) -> HashSet<T> {
    let mut times = HashMap::new();
    given.for_each(|one| *times.entry(one).or_insert(0) += 1);
    times.into_iter().filter(|(_, times)| *times > 1).map(|(one, _)| one).collect()
}

/// Checks the replicas of one partition. Answers the leader: the first that is up.
fn check_assignment(
    cluster: &Cluster,
    partition: i32,
    replicas: &[BrokerId],
    before: Option<usize>,
) -> Result<i32, Refusal> {
    let invalid = |why: String| refuse(ResponseError::InvalidReplicaAssignment, why);
    let whole = "The manual partition assignment includes";
    if replicas.is_empty() {
        return invalid(format!("{whole} an empty replica list."));
    }
    let mut seen = HashSet::new();
    for BrokerId(id) in replicas {
        if cluster.node(*id).is_none() {
            return invalid(format!("{whole} broker {id}, but no such broker is registered."));
        }
        if !seen.insert(*id) {
            return invalid(format!("{whole} the broker {id} more than once."));
        }
    }
    if let Some(before) = before.filter(|before| *before != replicas.len()) {
        return invalid(format!(
            "{whole} a partition with {} replica(s), but this is not consistent with previous \
             partitions, which have {before} replica(s).",
            replicas.len()
        ));
    }
    match replicas.iter().find(|BrokerId(id)| cluster.is_up(*id)) {
        Some(BrokerId(leader)) => Ok(*leader),
        None => invalid(format!(
            "All brokers specified in the manual partition assignment for partition {partition} \
             are fenced or in controlled shutdown."
        )),
    }
}

/// Gives the partitions from `first` on the leaders that the request assigned to them.
fn place(cluster: &mut Cluster, topic: &str, first: usize, assigned: Option<Vec<i32>>) {
    let Some(topic) = cluster.topics.get_mut(topic) else { return };
    for (partition, leader) in
        topic.partitions.iter_mut().skip(first).zip(assigned.into_iter().flatten())
    {
        partition.leader = leader;
    }
}

/// Answers `DeleteTopics`, by name or (from version 6 on) by id.
pub(super) fn delete(
    cluster: &mut Cluster,
    origin: &Origin,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let DeleteTopicsRequest { topics, topic_names, .. } = request;
    let named: Vec<(Option<TopicName>, Uuid)> = if origin.version >= 6 {
        topics.into_iter().map(|topic| (topic.name, topic.topic_id)).collect()
    } else {
        topic_names.into_iter().map(|name| (Some(name), Uuid::nil())).collect()
    };
    let mut twice = twice(named.iter().cloned());
    // A name and an id of the same topic are a mistake too.
    let by_id: HashSet<Uuid> =
        named.iter().filter(|(name, _)| name.is_none()).map(|(_, id)| *id).collect();
    let by_name = named.iter().filter_map(|(name, _)| cluster.topics.get(name.as_deref()?));
    let clashing: HashSet<Uuid> =
        by_name.map(|topic| topic.id).filter(|id| by_id.contains(id)).collect();
    let mut answered = HashSet::new();
    let mut responses = Vec::with_capacity(named.len());
    for topic in named {
        if answered.contains(&topic) {
            continue;
        }
        let outcome = if twice.remove(&topic) {
            answered.insert(topic.clone());
            let what = if topic.0.is_some() { "name" } else { "id" };
            refuse(ResponseError::InvalidRequest, format!("Duplicate topic {what}."))
        } else {
            delete_one(cluster, &topic, &clashing)
        };
        let (name, id) = outcome.clone().unwrap_or(topic);
        let (code, why) = told(outcome.map(|_| ()));
        let result = DeletableTopicResult::default().with_name(name).with_topic_id(id);
        responses.push(result.with_error_code(code).with_error_message(why));
    }
    DeleteTopicsResponse::default().with_responses(responses)
}

/// Deletes a topic; answers its name and its id.
fn delete_one(
    cluster: &mut Cluster,
    (name, id): &(Option<TopicName>, Uuid),
    clashing: &HashSet<Uuid>,
) -> Result<(Option<TopicName>, Uuid), Refusal> {
    let name = match name {
        None if id.is_nil() => {
            let why = "Neither topic name nor id were specified.";
            return refuse(ResponseError::InvalidRequest, why);
        }
        None => match cluster.topics.name(*id) {
            Some(name) => TopicName(text(name)),
            None => return refuse(ResponseError::UnknownTopicId, unknown_id()),
        },
        Some(_) if !id.is_nil() => {
            let why = "You may not specify both topic name and topic id.";
            return refuse(ResponseError::InvalidRequest, why);
        }
        Some(name) => match cluster.topics.get(name) {
            Some(_) => name.clone(),
            None => return refuse(ResponseError::UnknownTopicOrPartition, unknown_topic()),
        },
    };
    let id = cluster.topics.get(&name).map_or(*id, |topic| topic.id);
    if clashing.contains(&id) {
        let why = "The provided topic name maps to an ID that was already supplied.";
        return refuse(ResponseError::InvalidRequest, why);
    }
    cluster.delete_topic(&name);
    Ok((Some(name), id))
}

fn unknown_topic() -> &'static str {
    "This server does not host this topic-partition."
}

fn unknown_id() -> &'static str {
    "This server does not host this topic ID."
}

/// Answers `DeleteRecords`.
pub(super) fn delete_records(
    cluster: &mut Cluster,
    origin: &Origin,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
            match delete_before(cluster, origin.node, &topic.name, index, partition.offset) {
                Ok(start) => result.with_low_watermark(start),
                Err(error) => result.with_low_watermark(-1).with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        let result = DeleteRecordsTopicResult::default().with_partitions(partitions);
        topics.push(result.with_name(topic.name));
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

fn delete_before(
    cluster: &mut Cluster,
    node: i32,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<i64, ResponseError> {
    cluster.check_leader(topic, partition, node, -1)?;
    let (settings, found) = cluster.partition_mut(topic, partition)?;
    let settings = settings.log();
    if settings.compact && !settings.delete {
        return Err(ResponseError::PolicyViolation);
    }
    found.log.delete_before(offset)
}
