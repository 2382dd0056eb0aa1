//! Topics, their settings, and metadata.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    IncrementalAlterConfigsRequest, MetadataRequest,
};
use oncestream_tests::raw::text;

use super::{Answer, Client, answer, eventually};

/// The resource type of a topic.
const TOPIC: i8 = 2;

/// A topic as it is asked for; the defaults are one partition and one replica.
pub(crate) fn new_topic(name: &str, partitions: i32, settings: &[(&str, &str)]) -> CreatableTopic {
    let config = |(key, value): &(&str, &str)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    };
    CreatableTopic::default()
        .with_name(text(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(settings.iter().map(config).collect())
}

impl Client {
    pub(crate) fn try_create(
        &mut self,
        topic: CreatableTopic,
        validate_only: bool,
    ) -> CreatableTopicResult {
        let request = CreateTopicsRequest::default()
            .with_timeout_ms(30_000)
            .with_validate_only(validate_only)
            .with_topics(vec![topic]);
        self.call(&request, 7).topics.remove(0)
    }

    /// Creates it and waits until the broker leads its partitions.
    pub(crate) fn create_topic(&mut self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let created = self.try_create(new_topic(name, partitions, settings), false);
        assert_eq!(created.error_code, 0, "{created:?}");
        self.await_partitions(name, partitions);
    }

    /// Waits until every partition can be read, which is a moment after it is told of.
    pub(crate) fn await_partitions(&mut self, name: &str, partitions: i32) {
        eventually(&format!("{name} with {partitions} partitions"), || {
            let topic = self.metadata(name);
            let known = topic.partitions.iter().filter(|p| p.leader_id.0 >= 0).count();
            (known == partitions as usize && self.is_readable(name, partitions)).then_some(())
        });
    }

    fn is_readable(&mut self, name: &str, partitions: i32) -> bool {
        let all: Vec<(i32, i64)> = (0..partitions).map(|p| (p, 0)).collect();
        let request = super::records::fetch_request(name, &all, super::Isolation::Uncommitted);
        let response = self.call(&request, 11);
        response.responses[0].partitions.iter().all(|p| p.error_code == 0)
    }

    pub(crate) fn delete_topic(&mut self, name: &str) -> Answer<()> {
        let request = DeleteTopicsRequest::default()
            .with_timeout_ms(30_000)
            .with_topic_names(vec![text(name)]);
        answer(self.call(&request, 5).responses[0].error_code, ())
    }

    pub(crate) fn metadata(&mut self, name: &str) -> MetadataResponseTopic {
        let topic = MetadataRequestTopic::default().with_name(Some(text(name)));
        let request = MetadataRequest::default().with_topics(Some(vec![topic]));
        self.call(&request, 12).topics.remove(0)
    }

    pub(crate) fn create_partitions(
        &mut self,
        name: &str,
        count: i32,
        validate_only: bool,
    ) -> Answer<()> {
        let topic = CreatePartitionsTopic::default()
            .with_name(text(name))
            .with_count(count)
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_timeout_ms(30_000)
            .with_validate_only(validate_only)
            .with_topics(vec![topic]);
        answer(self.call(&request, 3).results[0].error_code, ())
    }

    /// The named settings of a topic, or all.
    pub(crate) fn describe_configs(
        &mut self,
        topic: &str,
        keys: Option<&[&str]>,
    ) -> Answer<Vec<DescribeConfigsResourceResult>> {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configuration_keys(keys.map(|keys| keys.iter().map(|k| text(k)).collect()));
        let request = DescribeConfigsRequest::default()
            .with_include_synonyms(true)
            .with_resources(vec![resource]);
        let result = self.call(&request, 4).results.remove(0);
        answer(result.error_code, result.configs)
    }

    /// Value and source of one setting.
    pub(crate) fn setting(&mut self, topic: &str, key: &str) -> (String, i8) {
        let found = self.describe_configs(topic, Some(&[key])).unwrap().remove(0);
        (found.value.unwrap_or_default().to_string(), found.config_source)
    }

    /// Each change is a key, an operation (0 set, 1 delete, 2 append, 3 subtract) and a value.
    pub(crate) fn alter(
        &mut self,
        topic: &str,
        changes: &[(&str, i8, Option<&str>)],
    ) -> Answer<()> {
        let config = |(key, operation, value): &(&str, i8, Option<&str>)| {
            AlterableConfig::default()
                .with_name(text(key))
                .with_config_operation(*operation)
                .with_value(value.map(text))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configs(changes.iter().map(config).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        answer(self.call(&request, 1).responses[0].error_code, ())
    }
}
