//! The cluster, as an instance asks for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{
    DeleteRecordsRequest, DescribeConfigsRequest, DescribeGroupsRequest, GroupId, MetadataRequest,
    TopicName,
};
use oncestream_core::TopicPartition;
use oncestream_core::graph::InternalTopics;
use oncestream_core::state::Incarnation;
use oncestream_engine::ports::{Cluster, Group, GroupMember, Topics};
use oncestream_engine::{ClientError, StreamsError};

use super::super::crash::CommitStep;
use super::errors;
use super::link::{Link, text};
use super::membership::topics;
use super::offsets::{self, At};
use super::protocol::decode_assignment;

/// Kafka's number for topics among what has settings.
const TOPIC: i8 = 2;
const DELETE_RETENTION: &str = "delete.retention.ms";
const DELETE_RETENTION_MS: i64 = 24 * 60 * 60 * 1000;

/// The cluster of the embedded broker.
pub(in super::super) struct LocalCluster {
    link: Link,
}

impl LocalCluster {
    pub(in super::super) fn new(link: Link) -> Self {
        Self { link }
    }

    fn failed(action: &str) -> impl FnOnce(ClientError) -> StreamsError {
        let action = action.to_owned();
        move |error| StreamsError::client(action, error)
    }

    /// Makes a topic, or checks the partitions of one that is there.
    fn ensure_topic(
        &self,
        topic: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<(), StreamsError> {
        let world = &self.link.site.world;
        match world.partition_count(topic) {
            Some(actual) if actual != partitions => {
                let (topic, expected) = (topic.to_owned(), partitions);
                return Err(StreamsError::PartitionCount { topic, expected, actual });
            }
            Some(_) => return Ok(()),
            None => {}
        }
        let step = self.link.site.pass(CommitStep::BeforeTopic);
        step.map_err(Self::failed("creating the internal topics"))?;
        world.create_topic(topic, partitions, settings).map_err(|error| StreamsError::CreateTopic {
            topic: topic.to_owned(),
            message: error.to_string(),
        })
    }

    fn describe_group(&self, group: &str) -> Result<Group, ClientError> {
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
        let answer = self.link.call(request)?;
        let told = answer.groups.into_iter().next().ok_or_else(errors::no_answer)?;
        errors::check(told.error_code)?;
        let is_stable = told.group_state.as_str() == "Stable";
        let members = told.members.into_iter().map(|member| GroupMember {
            id: member.member_id.to_string(),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            assignment: decode_assignment(member.member_assignment),
        });
        Ok(Group { is_stable, members: members.collect() })
    }

    fn incarnation(&self, topic: &str) -> Result<Incarnation, ClientError> {
        let answer = self.link.call(MetadataRequest::default().with_topics(None))?;
        let cluster = answer.cluster_id.as_deref().unwrap_or_default().into();
        let named = |name: &Option<TopicName>| name.as_ref().is_some_and(|n| n.as_str() == topic);
        let found = answer.topics.iter().find(|told| named(&told.name));
        let unknown = kafka_protocol::error::ResponseError::UnknownTopicOrPartition;
        let found = found.ok_or_else(|| errors::of(unknown))?;
        Ok(Incarnation { cluster, topic: found.topic_id.as_u128() })
    }
}

impl Cluster for LocalCluster {
    fn topics(&self) -> Result<Topics, StreamsError> {
        topics(&self.link).map_err(Self::failed("listing the topics"))
    }

    fn watermarks(&self, partition: &TopicPartition) -> Result<(i64, i64), ClientError> {
        let low = offsets::offset(&self.link, partition, At::Start)?;
        Ok((low, offsets::offset(&self.link, partition, At::HighWatermark)?))
    }

    fn bounds(&self, partitions: &[TopicPartition]) -> Vec<Option<(i64, i64)>> {
        partitions.iter().map(|partition| self.watermarks(partition).ok()).collect()
    }

    fn delete_retention_ms(&self, topic: &str) -> i64 {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configuration_keys(Some(vec![text(DELETE_RETENTION)]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let Ok(answer) = self.link.call(request) else { return DELETE_RETENTION_MS };
        let mut told = answer.results.iter().flat_map(|result| &result.configs);
        told.find_map(|config| config.value.as_ref()?.parse().ok()).unwrap_or(DELETE_RETENTION_MS)
    }

    fn incarnations(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Incarnation>, (Arc<str>, ClientError)> {
        let each = topics.iter();
        each.map(|topic| self.incarnation(topic).map_err(|error| (topic.clone(), error))).collect()
    }

    fn ask_for_group(&self, group: &str) -> Receiver<Group> {
        let (tell, told) = channel();
        if let Ok(group) = self.describe_group(group) {
            // The receiver is here.
            let _ = tell.send(group);
        }
        told
    }

    fn ensure(&self, topics: &InternalTopics) -> Result<(), StreamsError> {
        for topic in &topics.changelogs {
            let mut settings = vec![("cleanup.policy", "compact")];
            settings.extend(topic.settings.iter().map(|(name, value)| (&**name, &**value)));
            self.ensure_topic(&topic.topic, topic.partitions, &settings)?;
        }
        for topic in &topics.repartitions {
            let settings = [("cleanup.policy", "delete"), ("retention.ms", "-1")];
            self.ensure_topic(&topic.topic, topic.partitions, &settings)?;
        }
        Ok(())
    }

    fn check_visible(&self, _topic: &str, _operation: &'static str) -> Result<(), StreamsError> {
        Ok(())
    }

    fn purge(&self, before: Vec<(TopicPartition, i64)>) {
        let topics = before.into_iter().map(|(partition, offset)| {
            let of = DeleteRecordsPartition::default()
                .with_partition_index(partition.partition)
                .with_offset(offset);
            DeleteRecordsTopic::default()
                .with_name(TopicName(text(&partition.topic)))
                .with_partitions(vec![of])
        });
        let request = DeleteRecordsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(i32::try_from(Duration::from_secs(30).as_millis()).unwrap_or(0));
        // What is not deleted now is deleted the next time.
        let _ = self.link.call(request);
    }

    fn unreadable(&self, _worker: usize, _topics: Vec<String>) -> Option<String> {
        None
    }
}
