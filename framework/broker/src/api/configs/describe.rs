//! `DescribeConfigs`: the settings of topics and brokers.
//!
//! Looks only.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::super::text;
use super::entries::{Entry, of_broker, of_topic};
use super::{BROKER, Refusal, TOPIC, node, refuse, sentence};
use crate::cluster::Cluster;
use crate::topics::check_name;

/// Answers `DescribeConfigs`. Documentation is never told.
pub(in crate::api) fn describe(
    cluster: &mut Cluster,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let synonyms = request.include_synonyms;
    let results = request.resources.into_iter().map(|resource| {
        let outcome = entries_of(cluster, resource.resource_type, &resource.resource_name);
        let result = DescribeConfigsResult::default().with_resource_type(resource.resource_type);
        let result = match outcome {
            Ok(entries) => {
                let wanted = entries.into_iter().filter(|entry| is_wanted(&resource, entry.name));
                result.with_configs(wanted.map(|entry| described(entry, synonyms)).collect())
            }
            Err((error, why)) => {
                result.with_error_code(error.code()).with_error_message(Some(sentence(why)))
            }
        };
        result.with_resource_name(resource.resource_name)
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn is_wanted(resource: &DescribeConfigsResource, name: &str) -> bool {
    let keys = resource.configuration_keys.as_deref().unwrap_or_default();
    keys.is_empty() || keys.iter().any(|key| key.as_str() == name)
}

fn described(entry: Entry, synonyms: bool) -> DescribeConfigsResourceResult {
    let synonyms = entry.synonyms.into_iter().filter(|_| synonyms).map(|(name, value, source)| {
        DescribeConfigsSynonym::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
            .with_source(source)
    });
    DescribeConfigsResourceResult::default()
        .with_name(text(entry.name))
        .with_value(Some(text(entry.value)))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source)
        .with_config_type(entry.kind)
        .with_documentation(None)
        .with_synonyms(synonyms.collect())
}

fn entries_of(cluster: &Cluster, kind: i8, name: &str) -> Result<Vec<Entry>, Refusal> {
    match kind {
        TOPIC => {
            check_name(name).map_err(|why| (ResponseError::InvalidTopicException, why))?;
            match cluster.topics.get(name) {
                Some(topic) => Ok(of_topic(&cluster.settings, &topic.settings)),
                None => refuse(ResponseError::UnknownTopicOrPartition, ""),
            }
        }
        // The defaults of all brokers, none of which was ever changed.
        BROKER if name.is_empty() => Ok(Vec::new()),
        BROKER => Ok(of_broker(&cluster.settings, node(cluster, name)?)),
        _ => refuse(ResponseError::InvalidRequest, format!("Unsupported resource type: {kind}")),
    }
}
