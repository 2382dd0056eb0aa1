//! Versions, coordinators, metadata, and what a broker does with bytes that mean nothing.

use bytes::Buf;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerId, DescribeClusterRequest,
    FindCoordinatorRequest, MetadataRequest, MetadataResponse, OffsetForLeaderEpochRequest,
};
use kafka_protocol::protocol::Decodable;
use oncestream_tests::raw::{Batch, text};
use oncestream_tests::target::VERSIONS;

use crate::Target;
use crate::calls::{Client, answer};

pub(crate) fn versions_are_told(kafka: &Target) {
    let mut client = Client::new(kafka);
    for version in 0..=4 {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request = request
                .with_client_software_name(text("suite"))
                .with_client_software_version(text("1"));
        }
        let response = client.call(&request, version);
        assert_eq!(response.error_code, 0);
        for (key, min, max) in VERSIONS {
            let found = response.api_keys.iter().find(|k| k.api_key == *key).unwrap();
            assert!(found.min_version <= *min && found.max_version >= *max, "{found:?}");
        }
    }
    let unnamed = client.call(&ApiVersionsRequest::default(), 3);
    assert_eq!(answer(unnamed.error_code, ()), Err(ResponseError::InvalidRequest));
}

pub(crate) fn an_unknown_version_of_versions_gets_an_old_answer(kafka: &Target) {
    let mut client = Client::new(kafka);
    // Key 18, a version of the future, correlation 7, no client id, no tagged fields, and a body.
    client.connection.send_frame(&[0, 18, 0, 99, 0, 0, 0, 7, 255, 255, 0, 1, 2, 3]);
    let mut frame = client.connection.receive_frame().unwrap();
    assert_eq!(frame.get_i32(), 7);
    let response = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    let refused = answer(response.error_code, ());
    assert_eq!(refused, Err(ResponseError::UnsupportedVersion));
    let told: Vec<i16> = response.api_keys.iter().map(|k| k.api_key).collect();
    assert_eq!(told, [18], "what it may ask with");
    assert!(frame.is_empty());
    assert_eq!(client.call(&ApiVersionsRequest::default(), 0).error_code, 0, "it goes on");
}

pub(crate) fn broken_frames_end_their_connection_alone(kafka: &Target) {
    let mut bystander = Client::new(kafka);
    let frames: [&[u8]; 5] = [
        // A key that no request has.
        &[0, 0, 0, 10, 99, 99, 0, 0, 0, 0, 0, 1, 255, 255],
        // A version that Metadata does not have.
        &[0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 255, 255],
        // Metadata with a body that ends too soon.
        &[0, 0, 0, 11, 0, 3, 0, 1, 0, 0, 0, 1, 255, 255, 9],
        // A negative length.
        &[255, 255, 255, 255, 1, 2],
        // Far too long.
        &[127, 255, 255, 255, 1, 2],
    ];
    for frame in frames {
        let mut client = Client::new(kafka);
        client.connection.send_bytes(frame);
        assert!(client.connection.receive_frame().is_none(), "{frame:?}");
        assert_eq!(bystander.call(&ApiVersionsRequest::default(), 0).error_code, 0);
    }
}

pub(crate) fn coordinators_are_found(kafka: &Target) {
    let mut client = Client::new(kafka);
    let broker = own(&mut client);
    for version in 0..=5 {
        for kind in 0..=i8::from(version > 0) {
            let base = FindCoordinatorRequest::default().with_key_type(kind);
            let found = if version < 4 {
                let response = client.call(&base.with_key(text("a")), version);
                vec![(response.error_code, response.node_id, response.host, response.port)]
            } else {
                let keys = vec![text("a"), text("b")];
                let response = client.call(&base.with_coordinator_keys(keys), version);
                let each = response.coordinators.into_iter();
                each.map(|c| (c.error_code, c.node_id, c.host, c.port)).collect()
            };
            assert_eq!(found.len(), if version < 4 { 1 } else { 2 });
            for one in found {
                let expected = (0, broker.broker_id, broker.host.clone(), broker.port);
                assert_eq!(one, expected, "version {version} kind {kind}");
            }
        }
    }
    let odd = FindCoordinatorRequest::default().with_key(text("a")).with_key_type(9);
    let code = client.call(&odd, 2).error_code;
    assert_eq!(answer(code, ()), Err(ResponseError::InvalidRequest));
}

fn own(client: &mut Client) -> DescribeClusterBroker {
    client.call(&DescribeClusterRequest::default(), 0).brokers.remove(0)
}

pub(crate) fn the_cluster_is_described(kafka: &Target) {
    let mut client = Client::new(kafka);
    let known = client.call(&MetadataRequest::default().with_topics(Some(vec![])), 8);
    for version in 0..=2 {
        let request = DescribeClusterRequest::default().with_endpoint_type(1);
        let response = client.call(&request, version);
        assert_eq!(response.error_code, 0);
        assert_eq!(Some(&response.cluster_id), known.cluster_id.as_ref());
        assert_eq!(response.controller_id, known.controller_id);
        assert_eq!(response.cluster_authorized_operations, i32::MIN);
        let ports: Vec<_> = response.brokers.iter().map(|b| b.port).collect();
        assert_eq!(ports, known.brokers.iter().map(|b| b.port).collect::<Vec<_>>());
    }
}

pub(crate) fn metadata_names_all_some_or_none(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "protocol-metadata");
    client.create_topic(topic, 3, &[]);
    let names = |response: &MetadataResponse| -> Vec<String> {
        response.topics.iter().map(|t| t.name.as_ref().unwrap().to_string()).collect()
    };
    for version in 0..=13 {
        let base = || MetadataRequest::default();
        let some = |name: &str| MetadataRequestTopic::default().with_name(Some(text(name)));
        let all = if version == 0 { Some(vec![]) } else { None };
        let all = client.call(&base().with_topics(all), version);
        assert!(names(&all).contains(&topic.to_owned()), "version {version}");
        if version > 0 {
            let none = client.call(&base().with_topics(Some(vec![])), version);
            assert_eq!(names(&none).len(), 0, "version {version}");
        }
        let asked = vec![some(topic), some("protocol-nowhere"), some("bad name!")];
        let response = client.call(&base().with_topics(Some(asked)), version);
        let mut codes: Vec<(String, i16)> = names(&response)
            .into_iter()
            .zip(response.topics.iter().map(|t| t.error_code))
            .collect();
        codes.sort();
        let expected = [
            ("bad name!".to_owned(), 17),
            (topic.to_owned(), 0),
            ("protocol-nowhere".to_owned(), 3),
        ];
        assert_eq!(codes, expected, "version {version}");
        let found = response.topics.iter().find(|t| t.error_code == 0).unwrap();
        let mut indexes: Vec<i32> = found.partitions.iter().map(|p| p.partition_index).collect();
        indexes.sort_unstable();
        assert_eq!(indexes, [0, 1, 2]);
        for partition in &found.partitions {
            assert_eq!((partition.replica_nodes.len(), partition.isr_nodes.len()), (1, 1));
            assert_eq!(partition.leader_epoch, if version < 7 { -1 } else { 0 });
        }
        assert_eq!(found.topic_id.is_nil(), version < 10, "version {version}");
    }
}

pub(crate) fn topics_are_found_by_id(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "protocol-id");
    client.create_topic(topic, 1, &[]);
    let id = client.metadata(topic).topic_id;
    let by_id = |id| {
        let topic = MetadataRequestTopic::default().with_name(None).with_topic_id(id);
        MetadataRequest::default().with_topics(Some(vec![topic]))
    };
    let found = client.call(&by_id(id), 12).topics.remove(0);
    assert_eq!(found.name.map(|n| n.to_string()), Some(topic.to_owned()));
    let other = "01234567-89ab-cdef-0123-456789abcdef".parse().unwrap();
    let unknown = client.call(&by_id(other), 12).topics.remove(0);
    assert_eq!(answer(unknown.error_code, ()), Err(ResponseError::UnknownTopicId));
}

pub(crate) fn epochs_end_where_the_next_begins(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "protocol-epochs");
    client.create_topic(topic, 1, &[]);
    client.produce(topic, &Batch::values(&["a", "b"])).unwrap();
    for version in 2..=4 {
        for (epoch, expected) in [(0, (0, 0, 2)), (5, (0, -1, -1)), (-1, (0, -1, -1))] {
            let partition = OffsetForLeaderPartition::default()
                .with_leader_epoch(epoch)
                .with_current_leader_epoch(-1);
            let topic = OffsetForLeaderTopic::default()
                .with_topic(text(topic))
                .with_partitions(vec![partition]);
            let request = OffsetForLeaderEpochRequest::default()
                .with_replica_id(BrokerId(-2))
                .with_topics(vec![topic]);
            let response = client.call(&request, version);
            let found = &response.topics[0].partitions[0];
            let found = (found.error_code, found.leader_epoch, found.end_offset);
            assert_eq!(found, expected, "version {version} epoch {epoch}");
        }
    }
}
