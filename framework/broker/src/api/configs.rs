//! `DescribeConfigs`, `AlterConfigs` and `IncrementalAlterConfigs`.
//!
//! Settings of topics can be read and changed, those of brokers can be read. What follows from a
//! setting is the log's matter. Invariant: a topic's settings change as a whole or not at all.

mod describe;
mod entries;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as Altered;
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig as Operation;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as IncrementallyAltered;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::text;
use crate::cluster::Cluster;
use crate::settings::BrokerSettings;
use crate::topics::check_name;
use crate::topics::settings::{TopicSettings, definition};
use entries::{MAX_MESSAGE_BYTES, is_list, is_own};

pub(super) use describe::describe;
pub(super) use entries::of_topic;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Kafka's limit on the length of a value.
const LONGEST_VALUE: usize = i16::MAX as usize;
/// Sentences are cut here: an old client's strings are short.
const LONGEST_SENTENCE: usize = 4096;

/// Why something is not done: a code and a sentence, which may be empty.
pub(super) type Refusal = (ResponseError, String);

fn refuse<T>(error: ResponseError, why: impl Into<String>) -> Result<T, Refusal> {
    Err((error, why.into()))
}

/// Code and sentence of an outcome, as most answers carry them.
pub(super) fn told(outcome: Result<(), Refusal>) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(()) => (0, None),
        Err((error, why)) => (error.code(), (!why.is_empty()).then(|| sentence(why))),
    }
}

fn sentence(mut why: String) -> StrBytes {
    why.truncate(why.floor_char_boundary(LONGEST_SENTENCE));
    text(why)
}

/// The settings of a topic with these set. The broker's `message.max.bytes` takes the place of
/// Kafka's default.
///
/// # Errors
///
/// Kafka's sentence about a setting that is wrong.
pub(crate) fn topic_settings(
    broker: &BrokerSettings,
    mut set: BTreeMap<String, String>,
) -> Result<TopicSettings, String> {
    if set.values().any(|value| value.encode_utf16().count() > LONGEST_VALUE) {
        return Err(format!(
            "The configuration value cannot be added because it exceeds the maximum value size of \
             {LONGEST_VALUE} bytes."
        ));
    }
    if let Some(bytes) = &broker.message_max_bytes {
        set.entry(MAX_MESSAGE_BYTES.to_owned()).or_insert_with(|| bytes.clone());
    }
    let settings = TopicSettings::new(set)?;
    let lag = |name| settings.get(name).trim().parse::<i64>().unwrap_or(0);
    let (least, most) = (lag("min.compaction.lag.ms"), lag("max.compaction.lag.ms"));
    if least > most {
        return Err(format!(
            "conflict topic config setting min.compaction.lag.ms ({least}) > \
             max.compaction.lag.ms ({most})"
        ));
    }
    Ok(settings)
}

fn node(cluster: &Cluster, name: &str) -> Result<i32, Refusal> {
    let Ok(id) = name.parse() else {
        let why = format!("Broker id must be an integer, but it is: {name}");
        return refuse(ResponseError::InvalidRequest, why);
    };
    match cluster.node(id) {
        Some(node) => Ok(node.id),
        None => refuse(ResponseError::InvalidRequest, format!("Unexpected broker id {id}")),
    }
}

/// Answers `AlterConfigs`, which replaces all settings of a topic.
pub(super) fn alter(cluster: &mut Cluster, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let AlterConfigsRequest { resources, validate_only, .. } = request;
    let named = resources.iter().map(|r| (r.resource_type, r.resource_name.clone()));
    let twice = named_twice(named);
    let mut responses = Vec::with_capacity(resources.len());
    for resource in resources {
        let kind = resource.resource_type;
        let name = resource.resource_name;
        let set = resource
            .configs
            .into_iter()
            .map(|config| (config.name.to_string(), config.value.map(|value| value.to_string())));
        let set: Vec<_> = set.collect();
        let outcome = check_change(&twice, kind, &name, &set)
            .and_then(|()| change(cluster, kind, &name, validate_only, |_| Ok(values(set))));
        let (code, why) = told(outcome);
        let response = Altered::default().with_resource_type(kind).with_resource_name(name);
        responses.push(response.with_error_code(code).with_error_message(why));
    }
    AlterConfigsResponse::default().with_responses(responses)
}

/// Answers `IncrementalAlterConfigs`.
pub(super) fn alter_incrementally(
    cluster: &mut Cluster,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let IncrementalAlterConfigsRequest { resources, validate_only, .. } = request;
    let named = resources.iter().map(|r| (r.resource_type, r.resource_name.clone()));
    let twice = named_twice(named);
    let mut responses = Vec::with_capacity(resources.len());
    for resource in resources {
        let kind = resource.resource_type;
        let name = resource.resource_name;
        let operations = resource.configs;
        let given = operations.iter().map(|operation| {
            let value = operation.value.as_ref().map(ToString::to_string);
            // A deletion needs no value.
            let value =
                if operation.config_operation == DELETE { Some(String::new()) } else { value };
            (operation.name.to_string(), value)
        });
        let given: Vec<_> = given.collect();
        let outcome = check_change(&twice, kind, &name, &given).and_then(|()| {
            change(cluster, kind, &name, validate_only, |current| edited(current, &operations))
        });
        let (code, why) = told(outcome);
        let response =
            IncrementallyAltered::default().with_resource_type(kind).with_resource_name(name);
        responses.push(response.with_error_code(code).with_error_message(why));
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

type Named = (i8, StrBytes);

fn named_twice(resources: impl Iterator<Item = Named>) -> HashSet<Named> {
    let mut times = HashMap::new();
    resources.for_each(|resource| *times.entry(resource).or_insert(0) += 1);
    times.into_iter().filter(|(_, times)| *times > 1).map(|(resource, _)| resource).collect()
}

/// Is the request for this resource well-formed, and may the resource be changed?
fn check_change(
    twice: &HashSet<Named>,
    kind: i8,
    name: &StrBytes,
    given: &[(String, Option<String>)],
) -> Result<(), Refusal> {
    let invalid = |why: String| refuse(ResponseError::InvalidRequest, why);
    if twice.contains(&(kind, name.clone())) {
        return invalid("Each resource must appear at most once.".to_owned());
    }
    let mut seen = HashSet::new();
    if !given.iter().all(|(name, _)| seen.insert(name)) {
        return invalid("Error due to duplicate config keys".to_owned());
    }
    let nulls: Vec<_> = given.iter().filter(|(_, value)| value.is_none()).collect();
    if !nulls.is_empty() {
        let names: Vec<_> = nulls.iter().map(|(name, _)| name.as_str()).collect();
        return invalid(format!("Null value not supported for : {}", names.join(", ")));
    }
    match kind {
        TOPIC => Ok(()),
        BROKER if given.is_empty() => Ok(()),
        BROKER => {
            let names: Vec<_> = given.iter().map(|(name, _)| name.as_str()).collect();
            invalid(format!("Cannot update these configs dynamically: [{}]", names.join(", ")))
        }
        _ => invalid(format!("Unknown resource type {kind}")),
    }
}

fn values(given: Vec<(String, Option<String>)>) -> BTreeMap<String, String> {
    given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Changes the settings of a topic to what `edit` makes of them.
fn change(
    cluster: &mut Cluster,
    kind: i8,
    name: &str,
    validate_only: bool,
    edit: impl FnOnce(Current<'_>) -> Result<BTreeMap<String, String>, Refusal>,
) -> Result<(), Refusal> {
    if kind == BROKER {
        return if name.is_empty() { Ok(()) } else { node(cluster, name).map(|_| ()) };
    }
    let none = TopicSettings::default();
    let topic = cluster.topics.get(name).map_or(&none, |topic| &topic.settings);
    let set = edit(Current { broker: &cluster.settings, topic })?;
    if name.is_empty() {
        return refuse(ResponseError::InvalidRequest, "Default topic resources are not allowed.");
    }
    check_name(name).map_err(|why| (ResponseError::InvalidTopicException, why))?;
    let settings = topic_settings(&cluster.settings, set)
        .map_err(|why| (ResponseError::InvalidConfig, why))?;
    let Some(topic) = cluster.topics.get_mut(name) else {
        let why = format!("The topic '{name}' does not exist.");
        return refuse(ResponseError::UnknownTopicOrPartition, why);
    };
    if !validate_only {
        topic.settings = settings;
    }
    Ok(())
}

/// The settings before a change.
#[derive(Clone, Copy)]
struct Current<'a> {
    broker: &'a BrokerSettings,
    topic: &'a TopicSettings,
}

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// What the operations make of a topic's own settings.
fn edited(
    current: Current<'_>,
    operations: &[Operation],
) -> Result<BTreeMap<String, String>, Refusal> {
    let own = current.topic.set().iter();
    let own = own.filter(|(name, _)| is_own(current.broker, current.topic, name));
    let mut set: BTreeMap<_, _> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
    for operation in operations {
        let name = operation.name.to_string();
        let value = operation.value.as_deref().unwrap_or_default();
        match operation.config_operation {
            SET => {
                set.insert(name, value.to_owned());
            }
            DELETE => {
                set.remove(&name);
            }
            kind @ (APPEND | SUBTRACT) => {
                let append = kind == APPEND;
                if !definition(&name).is_some_and(is_list) {
                    let what = if append { "APPEND" } else { "SUBTRACT" };
                    let why = format!("Can't {what} to key {name} because its type is not LIST.");
                    return refuse(ResponseError::InvalidConfig, why);
                }
                let list = combined(current.topic.get(&name), value, append);
                set.insert(name, list);
            }
            other => {
                let why = format!("Unknown operations type {other}");
                return refuse(ResponseError::InvalidRequest, why);
            }
        }
    }
    Ok(set)
}

/// A list with the given elements in it, or without them.
fn combined(list: &str, elements: &str, append: bool) -> String {
    let mut list: Vec<_> = list.split(',').filter(|element| !element.is_empty()).collect();
    for element in elements.split(',') {
        let at = list.iter().position(|known| *known == element);
        match at {
            None if append => list.push(element),
            Some(at) if !append => {
                list.remove(at);
            }
            _ => {}
        }
    }
    list.join(",")
}
