//! `CreateTopics`: what Kafka's controller checks, and the new topic.
//!
//! Owns counts, names and settings of new topics. Invariant: what is refused leaves no trace.

use std::collections::{BTreeMap, HashSet};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use uuid::Uuid;

use super::super::configs::{Refusal, of_topic, told, topic_settings};
use super::super::text;
use super::{check_assignment, place, refuse, twice};
use crate::cluster::Cluster;
use crate::topics::settings::TopicSettings;

/// So many partitions may one request create, as in Kafka.
const MOST_PER_REQUEST: i64 = 10_000;

/// A topic that may be created.
struct Plan {
    partitions: usize,
    replication_factor: i16,
    /// The leaders that a manual assignment names.
    leaders: Option<Vec<i32>>,
    settings: TopicSettings,
}

/// Answers `CreateTopics`.
pub(in crate::api) fn create(
    cluster: &mut Cluster,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let CreateTopicsRequest { topics, validate_only, .. } = request;
    let mut twice = twice(topics.iter().map(|topic| topic.name.clone()));
    let too_many = topics.iter().map(|topic| asked(cluster, topic)).sum::<i64>() > MOST_PER_REQUEST;
    let mut results = Vec::with_capacity(topics.len());
    let mut answered = HashSet::new();
    for topic in topics {
        // A name that was given twice is answered once.
        if answered.contains(&topic.name) {
            continue;
        }
        let result = CreatableTopicResult::default().with_name(topic.name.clone());
        let outcome = if too_many {
            let why = "Excessively large number of partitions per request.";
            refuse(ResponseError::PolicyViolation, why)
        } else if twice.remove(&topic.name) {
            answered.insert(topic.name);
            refuse(ResponseError::InvalidRequest, "Duplicate topic name.")
        } else {
            plan(cluster, &topic).map(|plan| carry_out(cluster, &topic, plan, validate_only))
        };
        results.push(match outcome {
            Ok(created) => created.with_name(result.name),
            Err(refusal) => {
                let (code, why) = told(Err(refusal));
                result.with_error_code(code).with_error_message(why)
            }
        });
    }
    CreateTopicsResponse::default().with_topics(results)
}

/// How many partitions are asked for.
fn asked(cluster: &Cluster, topic: &CreatableTopic) -> i64 {
    match topic.num_partitions {
        _ if !topic.assignments.is_empty() => topic.assignments.len() as i64,
        -1 => i64::from(cluster.settings.num_partitions),
        count => i64::from(count.max(0)),
    }
}

fn plan(cluster: &Cluster, topic: &CreatableTopic) -> Result<Plan, Refusal> {
    let name = topic.name.as_str();
    if name == "__cluster_metadata" {
        let why = format!("Creation of internal topic {name} is prohibited.");
        return refuse(ResponseError::InvalidRequest, why);
    }
    cluster.check_new_topic(name)?;
    let nulls = topic.configs.iter().filter(|config| config.value.is_none());
    let nulls: Vec<_> = nulls.map(|config| config.name.as_str()).collect();
    if !nulls.is_empty() {
        let why = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return refuse(ResponseError::InvalidConfig, why);
    }
    let set = topic
        .configs
        .iter()
        .filter_map(|config| Some((config.name.to_string(), config.value.as_ref()?.to_string())));
    let settings = topic_settings(&cluster.settings, set.collect())
        .map_err(|why| (ResponseError::InvalidConfig, why))?;
    if topic.assignments.is_empty() {
        let replication_factor = check_replication(cluster, topic.replication_factor)?;
        if topic.num_partitions < -1 || topic.num_partitions == 0 {
            let why = "Number of partitions was set to an invalid non-positive value.";
            return refuse(ResponseError::InvalidPartitions, why);
        }
        let partitions = asked(cluster, topic) as usize;
        Ok(Plan { partitions, replication_factor, leaders: None, settings })
    } else {
        let (leaders, replication_factor) = assigned(cluster, topic)?;
        Ok(Plan { partitions: leaders.len(), replication_factor, leaders: Some(leaders), settings })
    }
}

/// The number of replicas; the broker's own default is 1.
fn check_replication(cluster: &Cluster, wanted: i16) -> Result<i16, Refusal> {
    let nodes = cluster.nodes.len();
    match wanted {
        -1 => Ok(1),
        ..=0 => {
            let why = "Replication factor must be larger than 0, or -1 to use the default value.";
            refuse(ResponseError::InvalidReplicationFactor, why)
        }
        wanted if wanted as usize > nodes => {
            let why = format!(
                "Unable to replicate the partition {wanted} time(s): The target replication \
                 factor of {wanted} cannot be reached because only {nodes} broker(s) are \
                 registered or some brokers have all their log directories cordoned."
            );
            refuse(ResponseError::InvalidReplicationFactor, why)
        }
        wanted => Ok(wanted),
    }
}

/// The leaders and the number of replicas that a manual assignment tells.
fn assigned(cluster: &Cluster, topic: &CreatableTopic) -> Result<(Vec<i32>, i16), Refusal> {
    for (given, what) in [
        (i32::from(topic.replication_factor), "replication factor"),
        (topic.num_partitions, "numPartitions"),
    ] {
        if given != -1 {
            let why = format!(
                "A manual partition assignment was specified, but {what} was not set to -1."
            );
            return refuse(ResponseError::InvalidRequest, why);
        }
    }
    let mut leaders = BTreeMap::new();
    let mut replicas = None;
    for assignment in &topic.assignments {
        let partition = assignment.partition_index;
        if leaders.contains_key(&partition) {
            let why =
                format!("Found multiple manual partition assignments for partition {partition}");
            return refuse(ResponseError::InvalidReplicaAssignment, why);
        }
        let leader = check_assignment(cluster, partition, &assignment.broker_ids, replicas)?;
        replicas = Some(assignment.broker_ids.len());
        leaders.insert(partition, leader);
    }
    if !leaders.keys().copied().eq(0..leaders.len() as i32) {
        let why = "partitions should be a consecutive 0-based integer sequence";
        return refuse(ResponseError::InvalidReplicaAssignment, why);
    }
    Ok((leaders.into_values().collect(), replicas.unwrap_or(1) as i16))
}

fn carry_out(
    cluster: &mut Cluster,
    topic: &CreatableTopic,
    plan: Plan,
    validate_only: bool,
) -> CreatableTopicResult {
    let configs = of_topic(&cluster.settings, &plan.settings).into_iter().map(|entry| {
        CreatableTopicConfigs::default()
            .with_name(text(entry.name))
            .with_value(Some(text(entry.value)))
            .with_config_source(entry.source)
    });
    let result = CreatableTopicResult::default()
        .with_error_message(None)
        .with_configs(Some(configs.collect()))
        .with_num_partitions(plan.partitions as i32)
        .with_replication_factor(plan.replication_factor);
    if validate_only {
        return result.with_topic_id(Uuid::new_v4());
    }
    let id = cluster.create_topic(&topic.name, plan.partitions, plan.settings).id;
    place(cluster, &topic.name, 0, plan.leaders);
    result.with_topic_id(id)
}
