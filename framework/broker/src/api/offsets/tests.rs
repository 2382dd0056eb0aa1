//! Answers in all their versions, and offsets that a transaction may not commit.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{ApiKey, GroupId, ProducerId, TransactionalId};
use kafka_protocol::protocol::Encodable;

use super::*;
use crate::cluster::Node;
use crate::settings::BrokerSettings;
use crate::topics::settings::TopicSettings;
use crate::transaction::Producer;

fn cluster() -> Cluster {
    let node = |id| Node { id, host: "localhost".to_owned(), port: 9092, up: true };
    let nodes = vec![node(1), node(2)];
    let mut cluster = Cluster::new(BrokerSettings::default(), "id".to_owned(), nodes);
    let settings = TopicSettings::new(BTreeMap::new()).unwrap();
    cluster.create_topic("t", 1, settings);
    cluster
}

/// A request to the coordinator of group `g`.
fn origin(cluster: &Cluster, version: i16) -> Origin {
    Origin {
        node: cluster.coordinator(CoordinatorOf::Group, "g").unwrap(),
        connection: 1,
        client_id: String::new(),
        client_host: String::new(),
        api: ApiKey::OffsetFetch,
        version,
    }
}

fn now() -> Now {
    Now { instant: Instant::now(), ms: 7 }
}

fn topic() -> TopicName {
    TopicName(text("t"))
}

fn commit_to(cluster: &mut Cluster, producer: Producer, partition: i32, version: i16) -> i16 {
    let offset = TxnOffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(42);
    let offsets =
        TxnOffsetCommitRequestTopic::default().with_name(topic()).with_partitions(vec![offset]);
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(TransactionalId(text("x")))
        .with_group_id(GroupId(text("g")))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_topics(vec![offsets]);
    let origin = origin(cluster, version);
    let answer = commit_in_transaction(cluster, &origin, request, now());
    answer.topics[0].partitions[0].error_code
}

/// Error of the answer, and offset and error of its one partition.
fn fetched(cluster: &mut Cluster, version: i16, node: i32) -> (i16, Option<(i64, i16)>) {
    let name = topic();
    let request = if version < 8 {
        let asked = OffsetFetchRequestTopic::default().with_partition_indexes(vec![0]);
        OffsetFetchRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_topics(Some(vec![asked.with_name(name)]))
    } else {
        let asked = OffsetFetchRequestTopics::default().with_partition_indexes(vec![0]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text("g")))
            .with_topics(Some(vec![asked.with_name(name)]));
        OffsetFetchRequest::default().with_groups(vec![group])
    };
    let request = request.with_require_stable(version >= 7);
    let origin = Origin { node, ..origin(cluster, version) };
    let answer = fetch(cluster, &origin, request);
    answer.encode(&mut BytesMut::new(), version).unwrap();
    if version < 8 {
        let told = answer.topics.first().map(|topic| &topic.partitions[0]);
        (answer.error_code, told.map(|told| (told.committed_offset, told.error_code)))
    } else {
        let group = &answer.groups[0];
        let told = group.topics.first().map(|topic| &topic.partitions[0]);
        (group.error_code, told.map(|told| (told.committed_offset, told.error_code)))
    }
}

#[test]
fn an_offset_is_fetched_in_every_version_and_never_from_another_node() {
    let mut cluster = cluster();
    let at = origin(&cluster, 9).node;
    let elsewhere = 3 - at;
    let wrong = ResponseError::NotCoordinator.code();
    for version in 1..=9 {
        assert_eq!(fetched(&mut cluster, version, at), (0, Some((-1, 0))), "{version}");
        let error = if version == 1 { (0, Some((-1, wrong))) } else { (wrong, None) };
        assert_eq!(fetched(&mut cluster, version, elsewhere), error, "{version}");
    }
}

#[test]
fn a_transaction_commits_offsets_only_of_groups_that_were_added_to_it() {
    let mut cluster = cluster();
    let Now { instant, ms } = now();
    let timeout = Duration::from_secs(60);
    let transactions = &mut cluster.transactions;
    let producer = transactions.init_producer_id(Some("x"), timeout, None, instant).unwrap();
    let invalid = ResponseError::InvalidTxnState.code();
    assert_eq!(commit_to(&mut cluster, producer, 0, 3), invalid);
    let abortable = ResponseError::TransactionAbortable.code();
    assert_eq!(commit_to(&mut cluster, producer, 0, 4), abortable);
    cluster.transactions.add_offsets("x", producer, "g", (instant, ms)).unwrap();
    let older = Producer { epoch: producer.epoch - 1, ..producer };
    let fenced = ResponseError::InvalidProducerEpoch.code();
    assert_eq!(commit_to(&mut cluster, older, 0, 3), fenced);
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(commit_to(&mut cluster, producer, 1, 3), unknown);
    let at = origin(&cluster, 9).node;
    assert_eq!(fetched(&mut cluster, 9, at), (0, Some((-1, 0))), "nothing was stored yet");
    assert_eq!(commit_to(&mut cluster, producer, 0, 3), 0);
    let unstable = ResponseError::UnstableOffsetCommit.code();
    assert_eq!(fetched(&mut cluster, 9, at), (0, Some((-1, unstable))));
    cluster.transactions.end("x", producer, true, instant).unwrap();
    let late = ResponseError::ConcurrentTransactions.code();
    assert_eq!(commit_to(&mut cluster, producer, 0, 3), late);
    assert!(cluster.tick(Now { instant: instant + timeout, ms }), "the marker is written");
    assert_eq!(fetched(&mut cluster, 9, at), (0, Some((42, 0))));
    assert_eq!(commit_to(&mut cluster, producer, 0, 3), invalid, "the transaction is over");
}
