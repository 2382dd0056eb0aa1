//! `ApiVersions`, `Metadata`, `FindCoordinator`, `DescribeCluster`: who answers for what.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, BrokerId, DescribeClusterRequest,
    DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest,
    MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::{text, topic_settings};
use crate::cluster::{Cluster, CoordinatorOf, Node};
use crate::server::Origin;
use crate::server::apis::{APIS, Api};
use crate::topics::{Topic, check_name};

/// Answers a version of `ApiVersions` that is not known: with the versions of `ApiVersions` alone,
/// so that the client can ask again.
pub(crate) fn unknown_api_versions() -> ApiVersionsResponse {
    let known = APIS.iter().filter(|api| api.key == ApiKey::ApiVersions).map(version_range);
    ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(known.collect())
}

pub(super) fn api_versions(origin: &Origin, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    // From version 3 on clients tell their name, which may not be empty.
    let named = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.ends_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
    };
    let name = &request.client_software_name;
    if origin.version >= 3 && !(named(name) && named(&request.client_software_version)) {
        return ApiVersionsResponse::default()
            .with_error_code(ResponseError::InvalidRequest.code());
    }
    ApiVersionsResponse::default().with_api_keys(APIS.iter().map(version_range).collect())
}

fn version_range(api: &Api) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key as i16)
        .with_min_version(api.min)
        .with_max_version(api.max)
}

pub(super) fn metadata(
    cluster: &mut Cluster,
    origin: &Origin,
    request: MetadataRequest,
) -> MetadataResponse {
    let brokers = cluster.nodes.iter().filter(|node| node.up).map(|node| {
        MetadataResponseBroker::default()
            .with_node_id(node.id.into())
            .with_host(text(&node.host))
            .with_port(i32::from(node.port))
    });
    let controller = cluster.nodes.iter().find(|node| node.up).map_or(-1, |node| node.id);
    let response = MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text(&cluster.id)))
        .with_controller_id(controller.into());
    // The oldest version asks for all topics with an empty list.
    let all = request.topics.as_ref().is_none_or(|topics| origin.version == 0 && topics.is_empty());
    let topics = if all {
        let each = cluster.topics.iter().map(|(name, topic)| describe(cluster, name, topic));
        each.collect()
    } else {
        let create = cluster.settings.auto_create_topics
            && (request.allow_auto_topic_creation || origin.version < 4);
        let wanted = request.topics.unwrap_or_default();
        wanted.into_iter().map(|topic| find(cluster, topic, create)).collect()
    };
    response.with_topics(topics)
}

fn find(
    cluster: &mut Cluster,
    wanted: MetadataRequestTopic,
    create: bool,
) -> MetadataResponseTopic {
    let Some(name) = wanted.name else {
        let id = wanted.topic_id;
        let known =
            cluster.topics.name(id).and_then(|name| Some((name, cluster.topics.get(name)?)));
        return match known {
            Some((name, topic)) => describe(cluster, name, topic),
            None => MetadataResponseTopic::default()
                .with_error_code(ResponseError::UnknownTopicId.code())
                .with_topic_id(id)
                .with_name(None),
        };
    };
    let missing = cluster.topics.get(&name.0).is_none();
    if missing && create && cluster.check_new_topic(&name.0).is_ok() {
        let partitions = usize::try_from(cluster.settings.num_partitions).unwrap_or(1);
        if let Ok(settings) = topic_settings(&cluster.settings, BTreeMap::new()) {
            cluster.create_topic(&name.0, partitions, settings);
        }
    }
    match cluster.topics.get(&name.0) {
        Some(topic) => describe(cluster, &name.0, topic),
        None => {
            let error = match check_name(&name.0) {
                Ok(()) => ResponseError::UnknownTopicOrPartition,
                Err(_) => ResponseError::InvalidTopicException,
            };
            MetadataResponseTopic::default().with_error_code(error.code()).with_name(Some(name))
        }
    }
}

fn describe(cluster: &Cluster, name: &str, topic: &Topic) -> MetadataResponseTopic {
    let replicas: Vec<BrokerId> = cluster.nodes.iter().map(|node| node.id.into()).collect();
    let in_sync: Vec<BrokerId> =
        cluster.nodes.iter().filter(|node| node.up).map(|node| node.id.into()).collect();
    let partitions = topic.partitions.iter().enumerate().map(|(index, partition)| {
        let up = cluster.is_up(partition.leader);
        let error = if up { 0 } else { ResponseError::LeaderNotAvailable.code() };
        MetadataResponsePartition::default()
            .with_error_code(error)
            .with_partition_index(index as i32)
            .with_leader_id(if up { partition.leader } else { -1 }.into())
            .with_leader_epoch(partition.log.leader_epoch())
            .with_replica_nodes(replicas.clone())
            .with_isr_nodes(in_sync.clone())
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(name))))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}

pub(super) fn find_coordinator(
    cluster: &Cluster,
    origin: &Origin,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if origin.version >= 4 {
        let each = request.coordinator_keys.into_iter().map(|key| {
            let found = coordinator(cluster, request.key_type, &key);
            answer(key, found)
        });
        return FindCoordinatorResponse::default().with_coordinators(each.collect());
    }
    let found = coordinator(cluster, request.key_type, &request.key);
    let one = answer(request.key, found);
    // Kafka says NONE where there is no error, from the version on that has a message.
    let message = (origin.version >= 1)
        .then(|| one.error_message.unwrap_or_else(|| StrBytes::from_static_str("NONE")));
    FindCoordinatorResponse::default()
        .with_error_code(one.error_code)
        .with_error_message(message)
        .with_node_id(one.node_id)
        .with_host(one.host)
        .with_port(one.port)
}

fn coordinator<'a>(
    cluster: &'a Cluster,
    key_type: i8,
    key: &str,
) -> Result<&'a Node, ResponseError> {
    let of = match key_type {
        0 => CoordinatorOf::Group,
        1 => CoordinatorOf::Transaction,
        _ => return Err(ResponseError::InvalidRequest),
    };
    let node = cluster.coordinator(of, key).and_then(|id| cluster.node(id));
    node.ok_or(ResponseError::CoordinatorNotAvailable)
}

fn answer(key: StrBytes, found: Result<&Node, ResponseError>) -> Coordinator {
    let coordinator = Coordinator::default().with_key(key);
    match found {
        Ok(node) => coordinator
            .with_node_id(node.id.into())
            .with_host(text(&node.host))
            .with_port(i32::from(node.port)),
        Err(error) => coordinator
            .with_node_id((-1).into())
            .with_port(-1)
            .with_error_code(error.code())
            .with_error_message(Some(text(error.to_string()))),
    }
}

pub(super) fn describe_cluster(
    cluster: &Cluster,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    // 1 asks for brokers; there are no controllers to ask for.
    if request.endpoint_type != 1 {
        return DescribeClusterResponse::default()
            .with_error_code(ResponseError::UnsupportedEndpointType.code());
    }
    let up = || cluster.nodes.iter().filter(|node| node.up);
    let brokers = up().map(|node| {
        DescribeClusterBroker::default()
            .with_broker_id(node.id.into())
            .with_host(text(&node.host))
            .with_port(i32::from(node.port))
    });
    DescribeClusterResponse::default()
        .with_cluster_id(text(&cluster.id))
        .with_controller_id(up().next().map_or(-1, |node| node.id).into())
        .with_brokers(brokers.collect())
}
