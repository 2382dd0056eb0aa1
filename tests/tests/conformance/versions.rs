//! Every version of the requests that the other bodies ask in one version only.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest,
    JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, ProducerId, SyncGroupRequest,
    TxnOffsetCommitRequest,
};
use oncestream_tests::raw::text;

use crate::Target;
use crate::calls::{Client, Member, subscription};

/// A member of a new group, joined and synced in these versions.
fn member(client: &mut Client, group: &str, join: i16, sync: i16) -> Member {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(subscription(group));
    let mut request = JoinGroupRequest::default()
        .with_group_id(text(group))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(if join == 0 { -1 } else { 10_000 })
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    if join >= 4 {
        request.member_id = client.call(&request, join).member_id;
    }
    let joined = client.call(&request, join);
    assert_eq!((joined.error_code, joined.generation_id), (0, 1), "join v{join}");
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.protocol_type.as_deref(), (join >= 7).then_some("consumer"));
    assert_eq!(joined.members[0].metadata, subscription(group));
    let plan = SyncGroupRequestAssignment::default()
        .with_member_id(joined.member_id.clone())
        .with_assignment(Bytes::from_static(b"plan"));
    let mut request = SyncGroupRequest::default()
        .with_group_id(text(group))
        .with_generation_id(1)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![plan]);
    if sync >= 5 {
        request = request
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")));
    }
    let synced = client.call(&request, sync);
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"plan"[..]), "sync v{sync}");
    assert_eq!(synced.protocol_name.as_deref(), (sync >= 5).then_some("range"));
    Member { generation: 1, ..Member::simple(group).named(&joined.member_id) }
}

pub(crate) fn a_member_lives_in_every_version(kafka: &Target) {
    let mut client = Client::new(kafka);
    for version in 0..=9 {
        let group = format!("versions-{version}");
        let member = member(&mut client, &group, version, version.min(5));
        let heartbeat = HeartbeatRequest::default()
            .with_group_id(text(&group))
            .with_generation_id(1)
            .with_member_id(text(&member.id));
        assert_eq!(client.call(&heartbeat, version.min(4)).error_code, 0, "version {version}");
        let asked = DescribeGroupsRequest::default().with_groups(vec![text(&group)]);
        let told = client.call(&asked, version.min(6)).groups.remove(0);
        assert_eq!((told.error_code, told.members.len()), (0, 1));
        let listed = client.call(&ListGroupsRequest::default(), version.min(5));
        let found = listed.groups.iter().find(|g| g.group_id.as_str() == group).unwrap();
        assert_eq!(found.group_state.as_str(), if version < 4 { "" } else { "Stable" });
        let id: kafka_protocol::protocol::StrBytes = text(&member.id);
        let mut leave = LeaveGroupRequest::default().with_group_id(text(&group));
        if version < 3 {
            leave.member_id = id;
        } else {
            leave.members = vec![MemberIdentity::default().with_member_id(id)];
        }
        let left = client.call(&leave, version.min(5));
        assert_eq!(left.error_code, 0, "version {version}");
        assert_eq!(left.members.len(), usize::from(version >= 3));
        let gone = DeleteGroupsRequest::default().with_groups_names(vec![text(&group)]);
        assert_eq!(client.call(&gone, version.min(2)).results[0].error_code, 0);
    }
}

pub(crate) fn an_unknown_group_is_dead_or_not_found(kafka: &Target) {
    let mut client = Client::new(kafka);
    for version in 0..=6 {
        let asked = DescribeGroupsRequest::default().with_groups(vec![text("versions-nowhere")]);
        let told = client.call(&asked, version).groups.remove(0);
        assert_eq!(told.group_state.as_str(), "Dead");
        // 69 is GROUP_ID_NOT_FOUND.
        assert_eq!(told.error_code, if version < 6 { 0 } else { 69 }, "version {version}");
    }
}

pub(crate) fn offsets_join_a_transaction_in_every_version(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "versions-offsets");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    for version in 0..=4 {
        let add = AddOffsetsToTxnRequest::default()
            .with_transactional_id(text(topic))
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_group_id(text(topic));
        let added = crate::calls::eventually("the markers", || {
            // 51 is CONCURRENT_TRANSACTIONS.
            Some(client.call(&add, version).error_code).filter(|code| *code != 51)
        });
        assert_eq!(added, 0, "version {version}");
        let partition =
            TxnOffsetCommitRequestPartition::default().with_committed_offset(i64::from(version));
        let commit = TxnOffsetCommitRequest::default()
            .with_transactional_id(text(topic))
            .with_group_id(text(topic))
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_generation_id(-1)
            .with_topics(vec![
                TxnOffsetCommitRequestTopic::default()
                    .with_name(text(topic))
                    .with_partitions(vec![partition]),
            ]);
        let response = client.call(&commit, version);
        assert_eq!(response.topics[0].partitions[0].error_code, 0, "version {version}");
        client.end(&producer, true);
        crate::calls::eventually("the offset", || {
            let seen = client.committed(topic, topic, true).ok()?;
            (seen.0 == i64::from(version)).then_some(())
        });
    }
}
