//! Topics: how they come, grow and go, and what is refused.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableReplicaAssignment;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{BrokerId, CreateTopicsRequest, DeleteTopicsRequest};
use oncestream_tests::raw::{Batch, text};

use crate::Target;
use crate::calls::{Client, Isolation, answer, eventually, new_topic};

pub(crate) fn a_created_topic_is_told_of(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "topic-created");
    let wanted = new_topic(topic, 3, &[("cleanup.policy", "compact"), ("retention.ms", "1000")]);
    let dry = client.try_create(wanted.clone(), true);
    assert_eq!((dry.error_code, dry.num_partitions, dry.replication_factor), (0, 3, 1));
    let missing = answer(client.metadata(topic).error_code, ());
    assert_eq!(missing, Err(ResponseError::UnknownTopicOrPartition), "only validated");
    let created = client.try_create(wanted.clone(), false);
    assert_eq!((created.error_code, created.num_partitions), (0, 3));
    assert_eq!((created.replication_factor, created.topic_config_error_code), (1, 0));
    let configs = created.configs.unwrap();
    let of = |key: &str| {
        let found = configs.iter().find(|c| c.name.as_str() == key).unwrap();
        (found.value.as_ref().unwrap().to_string(), found.config_source)
    };
    assert_eq!(of("cleanup.policy"), ("compact".to_owned(), 1));
    assert_eq!(of("max.message.bytes").0, "1048588");
    client.await_partitions(topic, 3);
    let told = client.metadata(topic);
    assert_eq!(told.topic_id, created.topic_id);
    assert!(!told.is_internal);
    for validate_only in [true, false] {
        let again = client.try_create(wanted.clone(), validate_only);
        assert_eq!(answer(again.error_code, ()), Err(ResponseError::TopicAlreadyExists));
    }
}

pub(crate) fn defaults_are_the_brokers(kafka: &Target) {
    let mut client = Client::new(kafka);
    for version in 4..=7 {
        let name = format!("topic-default-v{version}");
        let topic = new_topic(&name, -1, &[]).with_replication_factor(-1);
        let request =
            CreateTopicsRequest::default().with_timeout_ms(30_000).with_topics(vec![topic]);
        assert_eq!(client.call(&request, version).topics[0].error_code, 0, "version {version}");
        client.await_partitions(&name, 1);
    }
}

pub(crate) fn wrong_topics_are_refused(kafka: &Target) {
    let mut client = Client::new(kafka);
    let long = "t".repeat(250);
    let replicas = |topic: kafka_protocol::messages::create_topics_request::CreatableTopic, n| {
        topic.with_replication_factor(n)
    };
    let name = "topic-wrong";
    for (topic, expected) in [
        (new_topic("", 1, &[]), ResponseError::InvalidTopicException),
        (new_topic("bad name", 1, &[]), ResponseError::InvalidTopicException),
        (new_topic("..", 1, &[]), ResponseError::InvalidTopicException),
        (new_topic(&long, 1, &[]), ResponseError::InvalidTopicException),
        (new_topic(name, 0, &[]), ResponseError::InvalidPartitions),
        (new_topic(name, -2, &[]), ResponseError::InvalidPartitions),
        (replicas(new_topic(name, 1, &[]), 0), ResponseError::InvalidReplicationFactor),
        (replicas(new_topic(name, 1, &[]), 9), ResponseError::InvalidReplicationFactor),
        (new_topic(name, 1, &[("no.such.setting", "1")]), ResponseError::InvalidConfig),
        (new_topic(name, 1, &[("retention.ms", "soon")]), ResponseError::InvalidConfig),
        (new_topic(name, 1, &[("cleanup.policy", "shred")]), ResponseError::InvalidConfig),
    ] {
        let found = client.try_create(topic.clone(), false);
        assert_eq!(answer(found.error_code, ()), Err(expected), "{topic:?}");
        assert!(found.error_message.is_some(), "{topic:?}");
    }
    let twice = CreateTopicsRequest::default()
        .with_timeout_ms(30_000)
        .with_topics(vec![new_topic(name, 1, &[]), new_topic(name, 1, &[])]);
    let found = client.call(&twice, 7).topics;
    assert_eq!(found.len(), 1);
    assert_eq!(answer(found[0].error_code, ()), Err(ResponseError::InvalidRequest));
    let one = CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(9999)]);
    let assigned = new_topic(name, -1, &[]).with_replication_factor(-1).with_assignments(vec![one]);
    let found = client.try_create(assigned, false);
    assert_eq!(answer(found.error_code, ()), Err(ResponseError::InvalidReplicaAssignment));
    assert!(client.metadata(name).partitions.is_empty());
}

pub(crate) fn names_that_only_differ_by_a_dot_collide(kafka: &Target) {
    let mut client = Client::new(kafka);
    client.create_topic("topic-a.b", 1, &[]);
    let found = client.try_create(new_topic("topic-a_b", 1, &[]), false);
    assert_eq!(answer(found.error_code, ()), Err(ResponseError::InvalidTopicException));
}

pub(crate) fn a_deleted_topic_is_gone_and_comes_back_empty(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "topic-deleted");
    let missing = client.delete_topic(topic);
    assert_eq!(missing, Err(ResponseError::UnknownTopicOrPartition));
    client.create_topic(topic, 1, &[]);
    client.produce(topic, &Batch::values(&["a"])).unwrap();
    let old = client.metadata(topic).topic_id;
    assert_eq!(client.delete_topic(topic), Ok(()));
    eventually("the end of the topic", || {
        let gone = client.produce(topic, &Batch::values(&["b"]));
        let told = client.metadata(topic).error_code;
        (gone == Err(ResponseError::UnknownTopicOrPartition) && told == 3).then_some(())
    });
    client.create_topic(topic, 1, &[]);
    let new = client.metadata(topic).topic_id;
    assert_ne!(old, new);
    assert_eq!(client.fetch(topic, 0, Isolation::Uncommitted).high_watermark, 0);
    let by_id = DeleteTopicState::default().with_name(None).with_topic_id(new);
    let request = DeleteTopicsRequest::default().with_timeout_ms(30_000).with_topics(vec![by_id]);
    let found = client.call(&request, 6).responses.remove(0);
    assert_eq!((found.error_code, found.topic_id), (0, new));
    assert_eq!(found.name.map(|n| n.to_string()), Some(topic.to_owned()));
    let again = client.call(&request, 6).responses.remove(0);
    assert_eq!(answer(again.error_code, ()), Err(ResponseError::UnknownTopicId));
}

pub(crate) fn partitions_are_added_never_removed(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "topic-grown");
    client.create_topic(topic, 2, &[]);
    client.produce(topic, &Batch::values(&["a"])).unwrap();
    assert_eq!(client.create_partitions(topic, 3, true), Ok(()));
    assert_eq!(client.metadata(topic).partitions.len(), 2, "only validated");
    assert_eq!(client.create_partitions(topic, 4, false), Ok(()));
    client.await_partitions(topic, 4);
    assert_eq!(client.fetch(topic, 0, Isolation::Uncommitted).high_watermark, 1);
    for count in [4, 2, 0, -1] {
        let found = client.create_partitions(topic, count, false);
        assert_eq!(found, Err(ResponseError::InvalidPartitions), "{count}");
    }
    let missing = client.create_partitions("topic-nowhere", 2, false);
    assert_eq!(missing, Err(ResponseError::UnknownTopicOrPartition));
}

pub(crate) fn records_are_deleted_by_partition(kafka: &Target) {
    use kafka_protocol::messages::DeleteRecordsRequest;
    use kafka_protocol::messages::delete_records_request::{
        DeleteRecordsPartition, DeleteRecordsTopic,
    };
    let (mut client, topic) = (Client::new(kafka), "topic-records");
    client.create_topic(topic, 1, &[]);
    client.produce(topic, &Batch::values(&["a", "b", "c"])).unwrap();
    let of = |partition, offset| {
        DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset)
    };
    for version in 0..=2 {
        let partitions = vec![of(0, i64::from(version) + 1), of(7, 0)];
        let asked =
            DeleteRecordsTopic::default().with_name(text(topic)).with_partitions(partitions);
        let request =
            DeleteRecordsRequest::default().with_timeout_ms(30_000).with_topics(vec![asked]);
        let response = client.call(&request, version);
        let mut found: Vec<_> = response.topics[0]
            .partitions
            .iter()
            .map(|p| (p.partition_index, p.error_code, p.low_watermark))
            .collect();
        found.sort_unstable();
        assert_eq!(found, [(0, 0, i64::from(version) + 1), (7, 3, -1)]);
    }
    assert_eq!(client.delete_records(topic, -2), Err(ResponseError::OffsetOutOfRange));
}
