//! What clients may set, and what they are told.

use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource as Incremental;

use super::entries::{DEFAULT, STATIC_BROKER, TOPIC as OWN};
use super::*;
use crate::cluster::Node;

fn cluster(broker: BrokerSettings) -> Cluster {
    let node = Node { id: 1, host: "localhost".to_owned(), port: 9092, up: true };
    let mut cluster = Cluster::new(broker, "id".to_owned(), vec![node]);
    let settings = topic_settings(&cluster.settings, BTreeMap::new()).unwrap();
    cluster.create_topic("t", 1, settings);
    cluster
}

fn set(settings: &[(&str, &str)]) -> BTreeMap<String, String> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn own(cluster: &Cluster) -> BTreeMap<String, String> {
    cluster.topics.get("t").unwrap().settings.set().clone()
}

fn operate(cluster: &mut Cluster, validate_only: bool, operations: &[(&str, i8, &str)]) -> i16 {
    let operations = operations.iter().map(|(name, kind, value)| {
        Operation::default()
            .with_name(text(*name))
            .with_config_operation(*kind)
            .with_value(Some(text(*value)))
    });
    let resource = Incremental::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("t"))
        .with_configs(operations.collect());
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![resource])
        .with_validate_only(validate_only);
    alter_incrementally(cluster, request).responses[0].error_code
}

fn told_of(
    cluster: &mut Cluster,
    kind: i8,
    resource: &str,
    name: &'static str,
) -> DescribeConfigsResourceResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(resource))
        .with_configuration_keys(Some(vec![text(name)]));
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true);
    let mut answer = describe(cluster, request);
    let mut configs = answer.results.remove(0).configs;
    assert_eq!(configs.len(), 1, "only what was asked for");
    configs.remove(0)
}

#[test]
fn operations_set_delete_append_and_subtract() {
    let mut cluster = cluster(BrokerSettings::default());
    let operations = [("retention.ms", SET, "5"), ("cleanup.policy", APPEND, "compact,delete")];
    assert_eq!(operate(&mut cluster, false, &operations), 0);
    assert_eq!(own(&cluster), set(&[("cleanup.policy", "delete,compact"), ("retention.ms", "5")]));
    assert!(cluster.topics.get("t").unwrap().settings.log().compact);
    let operations = [("retention.ms", DELETE, ""), ("cleanup.policy", SUBTRACT, "delete")];
    assert_eq!(operate(&mut cluster, false, &operations), 0);
    assert_eq!(own(&cluster), set(&[("cleanup.policy", "compact")]));
}

#[test]
fn a_topic_changes_as_a_whole_or_not_at_all() {
    let mut cluster = cluster(BrokerSettings::default());
    let invalid = ResponseError::InvalidConfig.code();
    let wrong = [("retention.ms", SET, "5"), ("segment.bytes", SET, "many")];
    assert_eq!(operate(&mut cluster, false, &wrong), invalid);
    assert_eq!(operate(&mut cluster, false, &[("retention.mss", SET, "5")]), invalid);
    assert_eq!(operate(&mut cluster, false, &[("retention.ms", APPEND, "5")]), invalid);
    let conflict = [("min.compaction.lag.ms", SET, "5"), ("max.compaction.lag.ms", SET, "4")];
    assert_eq!(operate(&mut cluster, false, &conflict), invalid);
    let long = "x".repeat(LONGEST_VALUE + 1);
    assert_eq!(operate(&mut cluster, false, &[("compression.type", SET, &long)]), invalid);
    let twice = [("retention.ms", SET, "5"), ("retention.ms", SET, "6")];
    let malformed = ResponseError::InvalidRequest.code();
    assert_eq!(operate(&mut cluster, false, &twice), malformed);
    assert_eq!(operate(&mut cluster, false, &[("retention.ms", 9, "5")]), malformed);
    assert_eq!(operate(&mut cluster, true, &[("retention.ms", SET, "5")]), 0, "only validated");
    assert_eq!(own(&cluster), BTreeMap::new());
}

#[test]
fn the_older_request_replaces_all_settings() {
    let mut cluster = cluster(BrokerSettings::default());
    assert_eq!(operate(&mut cluster, false, &[("retention.ms", SET, "5")]), 0);
    let config = AlterableConfig::default()
        .with_name(text("delete.retention.ms"))
        .with_value(Some(text("7")));
    let resource = |kind, name| {
        AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configs(vec![config.clone()])
    };
    let resources = vec![resource(TOPIC, "t"), resource(TOPIC, "u"), resource(BROKER, "1")];
    let answer = alter(&mut cluster, AlterConfigsRequest::default().with_resources(resources));
    let codes: Vec<_> = answer.responses.iter().map(|response| response.error_code).collect();
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(codes, [0, unknown, ResponseError::InvalidRequest.code()]);
    assert_eq!(answer.responses[1].error_message, Some(text("The topic 'u' does not exist.")));
    assert_eq!(own(&cluster), set(&[("delete.retention.ms", "7")]));
}

#[test]
fn the_brokers_limit_is_a_default_and_no_setting_of_the_topic() {
    let mut settings = BrokerSettings::default();
    settings.set("message.max.bytes", "700").unwrap();
    let mut cluster = cluster(settings);
    assert_eq!(cluster.topics.get("t").unwrap().settings.log().max_message_bytes, 700);
    let told = told_of(&mut cluster, TOPIC, "t", MAX_MESSAGE_BYTES);
    let synonyms: Vec<_> = told.synonyms.iter().map(|s| (&*s.name, s.source)).collect();
    assert_eq!((told.config_source, told.value), (STATIC_BROKER, Some(text("700"))));
    assert_eq!(synonyms, [("message.max.bytes", STATIC_BROKER), ("message.max.bytes", DEFAULT)]);
    assert_eq!(operate(&mut cluster, false, &[(MAX_MESSAGE_BYTES, SET, "900")]), 0);
    let told = told_of(&mut cluster, TOPIC, "t", MAX_MESSAGE_BYTES);
    assert_eq!((told.config_source, told.value), (OWN, Some(text("900"))));
    assert_eq!(operate(&mut cluster, false, &[(MAX_MESSAGE_BYTES, DELETE, "")]), 0);
    assert_eq!(cluster.topics.get("t").unwrap().settings.log().max_message_bytes, 700);
}

#[test]
fn settings_are_told_with_source_and_type() {
    let mut cluster = cluster(BrokerSettings::default());
    assert_eq!(operate(&mut cluster, false, &[("cleanup.policy", SET, "compact, delete")]), 0);
    let told = told_of(&mut cluster, TOPIC, "t", "cleanup.policy");
    assert_eq!((told.config_source, told.config_type), (OWN, 7));
    assert_eq!(told.value, Some(text("compact,delete")));
    assert_eq!(told.synonyms.len(), 2);
    let told = told_of(&mut cluster, TOPIC, "t", "retention.ms");
    assert_eq!((told.config_source, told.config_type), (DEFAULT, 5));
    assert_eq!(told.synonyms, [], "the broker's default is told in hours");
    let told = told_of(&mut cluster, BROKER, "1", "group.initial.rebalance.delay.ms");
    assert_eq!((told.config_source, told.read_only), (STATIC_BROKER, true));
}

#[test]
fn every_setting_knows_its_type_and_a_value_kafka_would_tell() {
    for entry in of_topic(&BrokerSettings::default(), &TopicSettings::default()) {
        assert!([1, 2, 3, 5, 6, 7].contains(&entry.kind), "{entry:?}");
        assert_eq!(entry.value, definition(entry.name).unwrap().default, "{entry:?}");
        assert_eq!(entry.source, DEFAULT, "{entry:?}");
    }
}
