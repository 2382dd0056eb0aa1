//! `CreatePartitions`: a topic grows.
//!
//! Owns how far. Existing partitions stay as they are.

use std::collections::HashSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::super::configs::{Refusal, told};
use super::{check_assignment, place, refuse, twice};
use crate::cluster::Cluster;

/// So many partitions may a topic have. Kafka has no such limit; here it bounds memory.
pub(super) const MOST_PER_TOPIC: i32 = 100_000;

/// Answers `CreatePartitions`.
pub(in crate::api) fn create_partitions(
    cluster: &mut Cluster,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let CreatePartitionsRequest { topics, validate_only, .. } = request;
    let twice = twice(topics.iter().map(|topic| topic.name.clone()));
    let mut answered = HashSet::new();
    let mut results = Vec::with_capacity(topics.len());
    for topic in topics {
        if !answered.insert(topic.name.clone()) {
            continue;
        }
        let outcome = if twice.contains(&topic.name) {
            refuse(ResponseError::InvalidRequest, "Duplicate topic name.")
        } else {
            grow(cluster, &topic, validate_only)
        };
        let (code, why) = told(outcome);
        let result = CreatePartitionsTopicResult::default().with_name(topic.name);
        results.push(result.with_error_code(code).with_error_message(why));
    }
    CreatePartitionsResponse::default().with_results(results)
}

fn grow(
    cluster: &mut Cluster,
    wanted: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refusal> {
    let (name, count) = (wanted.name.as_str(), wanted.count);
    let Some(topic) = cluster.topics.get(name) else {
        return refuse(ResponseError::UnknownTopicOrPartition, "");
    };
    let existing = topic.partitions.len() as i32;
    let invalid = |why: String| refuse(ResponseError::InvalidPartitions, why);
    if count == existing {
        return invalid(format!("Topic already has {existing} partition(s)."));
    } else if count < existing {
        return invalid(format!(
            "The topic {name} currently has {existing} partition(s); {count} would not be an \
             increase."
        ));
    } else if count > MOST_PER_TOPIC {
        return invalid(format!("A topic has at most {MOST_PER_TOPIC} partitions here."));
    }
    let additional = (count - existing) as usize;
    let leaders = match &wanted.assignments {
        None => None,
        Some(assignments) if assignments.len() != additional => {
            let why = format!(
                "Attempted to add {additional} additional partition(s), but only {} \
                 assignment(s) were specified.",
                assignments.len()
            );
            return refuse(ResponseError::InvalidReplicaAssignment, why);
        }
        Some(assignments) => {
            let mut leaders = Vec::with_capacity(additional);
            for (partition, assignment) in (existing..).zip(assignments) {
                leaders.push(check_assignment(cluster, partition, &assignment.broker_ids, None)?);
            }
            Some(leaders)
        }
    };
    let nodes = cluster.leaders();
    if let Some(topic) = cluster.topics.get_mut(name).filter(|_| !validate_only) {
        topic.grow(count as usize, &nodes);
        place(cluster, name, existing as usize, leaders);
    }
    Ok(())
}
