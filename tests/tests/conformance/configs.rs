//! Settings of topics: what is told of them, how they change, and that a change takes hold.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{AlterConfigsRequest, DescribeConfigsRequest};
use oncestream_tests::raw::{Batch, text};

use crate::Target;
use crate::calls::{Client, answer, eventually};

/// `config_source` of what was set on the topic, and of what Kafka itself sets.
const OF_TOPIC: i8 = 1;
const DEFAULT: i8 = 5;

fn set(value: &str) -> (String, i8) {
    (value.to_owned(), OF_TOPIC)
}

pub(crate) fn set_values_are_told_from_defaults(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "config-told");
    client.create_topic(topic, 1, &[("retention.ms", "12345")]);
    assert_eq!(client.setting(topic, "retention.ms"), set("12345"));
    for (key, value) in [
        ("cleanup.policy", "delete"),
        ("max.message.bytes", "1048588"),
        ("message.timestamp.type", "CreateTime"),
        ("delete.retention.ms", "86400000"),
        ("compression.type", "producer"),
        ("min.compaction.lag.ms", "0"),
        ("retention.bytes", "-1"),
    ] {
        assert_eq!(client.setting(topic, key), (value.to_owned(), DEFAULT), "{key}");
    }
    let all = client.describe_configs(topic, None).unwrap();
    assert!(all.len() > 20, "{}", all.len());
    let one = all.iter().find(|c| c.name.as_str() == "retention.ms").unwrap();
    assert!(!one.read_only && !one.is_sensitive);
    let first = &one.synonyms[0];
    assert_eq!((first.name.as_str(), first.source), ("retention.ms", OF_TOPIC));
    let odd = client.describe_configs(topic, Some(&["no.such.setting"])).unwrap();
    assert_eq!(odd.len(), 0, "what does not exist is left out");
    let missing = client.describe_configs("config-nowhere", None);
    assert_eq!(missing.unwrap_err(), ResponseError::UnknownTopicOrPartition);
    for version in 1..=4 {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text(topic))
            .with_configuration_keys(Some(vec![text("retention.ms")]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let result = client.call(&request, version).results.remove(0);
        let value = result.configs[0].value.as_ref().map(ToString::to_string);
        assert_eq!(value, Some("12345".to_owned()), "version {version}");
    }
}

pub(crate) fn settings_are_set_deleted_appended_subtracted(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "config-incremental");
    client.create_topic(topic, 1, &[("segment.ms", "777777")]);
    let mut change = |changes: &[(&str, i8, Option<&str>)], key, expected: (String, i8)| {
        assert_eq!(client.alter(topic, changes), Ok(()), "{changes:?}");
        eventually("the change", || (client.setting(topic, key) == expected).then_some(()));
    };
    change(&[("retention.ms", 0, Some("55555"))], "retention.ms", set("55555"));
    change(&[("cleanup.policy", 2, Some("compact"))], "cleanup.policy", set("delete,compact"));
    change(&[("cleanup.policy", 3, Some("delete"))], "cleanup.policy", set("compact"));
    change(&[("retention.ms", 1, None)], "retention.ms", ("604800000".to_owned(), DEFAULT));
    assert_eq!(client.setting(topic, "segment.ms"), set("777777"), "the others stay");
    for changes in [
        &[("retention.ms", 0, Some("soon"))][..],
        &[("no.such.setting", 0, Some("1"))],
        &[("retention.ms", 2, Some("1"))],
    ] {
        let found = client.alter(topic, changes);
        assert_eq!(found, Err(ResponseError::InvalidConfig), "{changes:?}");
    }
    let twice = [("retention.ms", 0, Some("1")), ("retention.ms", 1, None)];
    assert_eq!(client.alter(topic, &twice), Err(ResponseError::InvalidRequest));
    let missing = client.alter("config-nowhere", &[("retention.ms", 0, Some("1"))]);
    assert_eq!(missing, Err(ResponseError::UnknownTopicOrPartition));
}

pub(crate) fn the_old_way_replaces_all_settings(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "config-replaced");
    client.create_topic(topic, 1, &[("segment.ms", "777777")]);
    for version in 0..=2 {
        let value = format!("{}", 60_000 + i32::from(version));
        let config = AlterableConfig::default()
            .with_name(text("retention.ms"))
            .with_value(Some(text(&value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text(topic))
            .with_configs(vec![config]);
        let request = AlterConfigsRequest::default().with_resources(vec![resource]);
        let dry = client.call(&request.clone().with_validate_only(true), version);
        assert_eq!(answer(dry.responses[0].error_code, ()), Ok(()));
        assert_ne!(client.setting(topic, "retention.ms"), set(&value), "only validated");
        let response = client.call(&request, version);
        assert_eq!(answer(response.responses[0].error_code, ()), Ok(()));
        eventually("the change", || {
            (client.setting(topic, "retention.ms") == set(&value)).then_some(())
        });
    }
    assert_eq!(client.setting(topic, "segment.ms").1, DEFAULT, "what is not named is reset");
}

pub(crate) fn a_change_takes_hold(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "config-holds");
    client.create_topic(topic, 1, &[]);
    let batch = Batch::values(&[&"x".repeat(500)]);
    client.produce(topic, &batch).unwrap();
    client.alter(topic, &[("max.message.bytes", 0, Some("300"))]).unwrap();
    eventually("the lower limit", || {
        (client.produce(topic, &batch) == Err(ResponseError::MessageTooLarge)).then_some(())
    });
}

pub(crate) fn old_records_go_by_time(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "config-retention");
    client.create_topic(topic, 1, &[("retention.ms", "60000")]);
    let old = oncestream_tests::raw::now_ms() - 3_600_000;
    client.produce(topic, &Batch::values(&["a", "b"]).at(&[old, old])).unwrap();
    let start = eventually("the end of what is old", || {
        let found = client.list_offset(topic, -2, crate::calls::Isolation::Uncommitted).unwrap().0;
        (found > 0).then_some(found)
    });
    assert_eq!(start, 2);
    assert_eq!(client.produce(topic, &Batch::values(&["c"])), Ok(2), "the end stays");
}

pub(crate) fn the_broker_tells_its_own_settings(kafka: &Target) {
    let mut client = Client::new(kafka);
    let node = client.call(&kafka_protocol::messages::DescribeClusterRequest::default(), 0);
    let resource = DescribeConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(text(&node.brokers[0].broker_id.0.to_string()))
        .with_configuration_keys(Some(vec![text("default.replication.factor")]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let result = client.call(&request, 4).results.remove(0);
    assert_eq!(answer(result.error_code, ()), Ok(()));
    assert_eq!(result.configs[0].value.as_ref().map(ToString::to_string), Some("1".to_owned()));
}
