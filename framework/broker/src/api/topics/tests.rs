//! What the controller refuses, and what it makes of the rest.

use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopicConfig,
};

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest};

use super::grow::MOST_PER_TOPIC;
use super::*;
use crate::cluster::Node;
use crate::settings::BrokerSettings;

fn cluster(nodes: i32) -> Cluster {
    let node = |id| Node { id, host: "localhost".to_owned(), port: 9092, up: true };
    Cluster::new(BrokerSettings::default(), "id".to_owned(), (1..=nodes).map(node).collect())
}

fn topic(name: &'static str, partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(TopicName(text(name)))
        .with_num_partitions(partitions)
        .with_replication_factor(replication_factor)
}

fn assign(replicas: &[&[i32]]) -> CreatableTopic {
    let assignment = |(index, nodes): (i32, &&[i32])| {
        CreatableReplicaAssignment::default()
            .with_partition_index(index)
            .with_broker_ids(nodes.iter().map(|id| BrokerId(*id)).collect())
    };
    topic("assigned", -1, -1).with_assignments((0..).zip(replicas).map(assignment).collect())
}

fn created(cluster: &mut Cluster, topics: Vec<CreatableTopic>) -> Vec<(String, i16)> {
    let answer = create(cluster, CreateTopicsRequest::default().with_topics(topics));
    answer.topics.iter().map(|topic| (topic.name.to_string(), topic.error_code)).collect()
}

fn refusal(cluster: &mut Cluster, topic: CreatableTopic) -> i16 {
    created(cluster, vec![topic])[0].1
}

#[test]
fn counts_that_kafka_refuses_are_refused() {
    let mut cluster = cluster(2);
    let partitions = ResponseError::InvalidPartitions.code();
    let replication = ResponseError::InvalidReplicationFactor.code();
    for (count, factor, code) in [
        (0, 1, partitions),
        (-2, 1, partitions),
        (1, 0, replication),
        (1, -2, replication),
        (1, 3, replication),
        (10_001, 1, ResponseError::PolicyViolation.code()),
        (i32::MAX, 1, ResponseError::PolicyViolation.code()),
        (3, 2, 0),
    ] {
        assert_eq!(refusal(&mut cluster, topic("t", count, factor)), code, "{count} {factor}");
    }
    assert_eq!(refusal(&mut cluster, topic("d", -1, -1)), 0);
    let leaders = |name| -> Vec<i32> {
        cluster.topics.get(name).unwrap().partitions.iter().map(|p| p.leader).collect()
    };
    assert_eq!((leaders("t"), leaders("d")), (vec![1, 2, 1], vec![1]));
}

#[test]
fn a_name_given_twice_is_answered_once_and_not_created() {
    let mut cluster = cluster(1);
    let topics = vec![topic("t", 1, 1), topic("t", 2, 1), topic("u", 1, 1)];
    let invalid = ResponseError::InvalidRequest.code();
    assert_eq!(created(&mut cluster, topics), [("t".to_owned(), invalid), ("u".to_owned(), 0)]);
    assert!(cluster.topics.get("t").is_none());
}

#[test]
fn only_a_good_manual_assignment_is_taken() {
    let mut cluster = cluster(3);
    let invalid = ResponseError::InvalidReplicaAssignment.code();
    for wrong in [&[&[][..]][..], &[&[4]], &[&[1, 4]], &[&[1, 1]], &[&[1, 2], &[1]]] {
        assert_eq!(refusal(&mut cluster, assign(wrong)), invalid, "{wrong:?}");
    }
    let both = assign(&[&[1]]).with_num_partitions(1);
    assert_eq!(refusal(&mut cluster, both), ResponseError::InvalidRequest.code());
    cluster.node_mut(3).unwrap().up = false;
    assert_eq!(refusal(&mut cluster, assign(&[&[3]])), invalid, "nobody could lead");
    assert_eq!(refusal(&mut cluster, assign(&[&[3, 2], &[1, 3]])), 0);
    let partitions = &cluster.topics.get("assigned").unwrap().partitions;
    assert_eq!(partitions.iter().map(|p| p.leader).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_wrong_setting_creates_nothing_and_neither_does_a_validation() {
    let mut cluster = cluster(1);
    let config = CreatableTopicConfig::default().with_name(text("retention.ms"));
    let with = |value: Option<&'static str>| {
        topic("t", 1, 1).with_configs(vec![config.clone().with_value(value.map(text))])
    };
    let invalid = ResponseError::InvalidConfig.code();
    assert_eq!(refusal(&mut cluster, with(Some("soon"))), invalid);
    assert_eq!(refusal(&mut cluster, with(None)), invalid);
    let request = CreateTopicsRequest::default().with_topics(vec![with(Some("7"))]);
    let answer = create(&mut cluster, request.clone().with_validate_only(true));
    assert_eq!(answer.topics[0].error_code, 0);
    assert!(cluster.topics.get("t").is_none());
    let answer = create(&mut cluster, request);
    let told = answer.topics[0].configs.as_ref().unwrap();
    let told = told.iter().find(|config| &*config.name == "retention.ms").unwrap();
    assert_eq!((told.value.as_deref(), told.config_source), (Some("7"), 1));
    assert_eq!(cluster.topics.get("t").unwrap().id, answer.topics[0].topic_id);
}

#[test]
fn a_topic_only_grows_and_within_bounds() {
    let mut cluster = cluster(1);
    assert_eq!(refusal(&mut cluster, topic("t", 2, 1)), 0);
    let mut grow = |name, count, validate_only| {
        let topic = CreatePartitionsTopic::default()
            .with_name(TopicName(text(name)))
            .with_count(count)
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_validate_only(validate_only);
        let code = create_partitions(&mut cluster, request).results[0].error_code;
        (code, cluster.topics.get("t").unwrap().partitions.len())
    };
    let invalid = ResponseError::InvalidPartitions.code();
    for count in [2, 1, 0, -1, MOST_PER_TOPIC + 1] {
        assert_eq!(grow("t", count, false), (invalid, 2), "{count}");
    }
    assert_eq!(grow("u", 3, false).0, ResponseError::UnknownTopicOrPartition.code());
    assert_eq!(grow("t", 5, true), (0, 2));
    assert_eq!(grow("t", 5, false), (0, 5));
}

#[test]
fn a_topic_is_deleted_by_name_or_id_but_not_by_both() {
    use kafka_protocol::messages::delete_topics_request::DeleteTopicState;

    let mut cluster = cluster(1);
    let origin = Origin {
        node: 1,
        connection: 1,
        client_id: String::new(),
        client_host: String::new(),
        api: kafka_protocol::messages::ApiKey::DeleteTopics,
        version: 6,
    };
    for name in ["a", "b", "c"] {
        assert_eq!(refusal(&mut cluster, topic(name, 1, 1)), 0);
    }
    let id = |cluster: &Cluster, name: &str| cluster.topics.get(name).unwrap().id;
    let (a, b) = (id(&cluster, "a"), id(&cluster, "b"));
    let state = |name: Option<&'static str>, id| {
        let name = name.map(|name| TopicName(text(name)));
        DeleteTopicState::default().with_name(name).with_topic_id(id)
    };
    let nil = Uuid::nil();
    let topics = vec![
        state(None, a),
        state(Some("b"), b),
        state(Some("c"), nil),
        state(Some("x"), nil),
        state(None, Uuid::from_u128(7)),
        state(None, nil),
    ];
    let answer = delete(&mut cluster, &origin, DeleteTopicsRequest::default().with_topics(topics));
    let codes: Vec<_> = answer.responses.iter().map(|response| response.error_code).collect();
    let invalid = ResponseError::InvalidRequest.code();
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    let unknown_id = ResponseError::UnknownTopicId.code();
    assert_eq!(codes, [0, invalid, 0, unknown, unknown_id, invalid]);
    assert_eq!(answer.responses[0].name.as_deref().map(|name| &**name), Some("a"));
    let left: Vec<_> = cluster.topics.iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["b"]);
    let both = vec![state(None, b), state(Some("b"), nil)];
    let answer = delete(&mut cluster, &origin, DeleteTopicsRequest::default().with_topics(both));
    assert!(answer.responses.iter().all(|response| response.error_code == invalid));
    assert!(cluster.topics.get("b").is_some());
}

#[test]
fn answers_can_be_encoded_in_every_version() {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    let mut cluster = cluster(1);
    let topics = vec![topic("t", 1, 1), topic("t u", 1, 1)];
    let answer = create(&mut cluster, CreateTopicsRequest::default().with_topics(topics));
    for version in 2..=7 {
        answer.encode(&mut BytesMut::new(), version).unwrap();
    }
    let answer = DeleteTopicsResponse::default().with_responses(vec![
        DeletableTopicResult::default().with_topic_id(Uuid::from_u128(7)).with_error_code(1),
    ]);
    for version in 1..=6 {
        answer.encode(&mut BytesMut::new(), version).unwrap();
    }
}
