//! What a broker without sockets does by itself, and when it waits.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, GroupId, JoinGroupRequest, JoinGroupResponse, ProduceRequest,
    ResponseKind, SyncGroupRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::{Action, Api, Broker, Fault, GroupState, NewRecord, read_batches, write_batch};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn broker() -> LocalBroker {
    let broker = Broker::builder().build_local(0);
    broker.create_topic("t", 1).unwrap();
    broker
}

fn produce(value: &str) -> ProduceRequest {
    let record =
        NewRecord { timestamp_ms: 5, key: None, value: Some(value.as_bytes()), headers: &[] };
    let data = PartitionProduceData::default().with_records(Some(write_batch(&[record], None)));
    let topic =
        TopicProduceData::default().with_name(TopicName(text("t"))).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic])
}

fn fetch() -> FetchRequest {
    let wish =
        FetchPartition::default().with_partition_max_bytes(1 << 20).with_current_leader_epoch(-1);
    let topic = FetchTopic::default().with_topic(TopicName(text("t"))).with_partitions(vec![wish]);
    FetchRequest::default()
        .with_max_wait_ms(60_000)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
}

fn fetched(client: &LocalConnection) -> FetchResponse {
    let Ok(ResponseKind::Fetch(answer)) = client.call(fetch()) else { panic!("no answer") };
    answer
}

#[test]
fn what_is_produced_is_fetched_and_an_empty_log_is_not_waited_for() {
    let broker = broker();
    let client = broker.connect("c");
    let empty = fetched(&client);
    assert_eq!(empty.responses[0].partitions[0].high_watermark, 0);
    assert!(matches!(client.call(produce("v")), Ok(ResponseKind::Produce(_))));
    let found = fetched(&client);
    let records = found.responses[0].partitions[0].records.clone().unwrap_or_default();
    assert_eq!(read_batches(&records).records[0].value, Some(Bytes::from_static(b"v")));
    assert_eq!(broker.records("t", 0)[0].timestamp_ms, 5);
}

fn join(member: &str) -> JoinGroupRequest {
    let range = JoinGroupRequestProtocol::default().with_name(text("range"));
    JoinGroupRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![range])
}

fn joined(pending: &mut PendingAnswer) -> Option<JoinGroupResponse> {
    match pending.poll()? {
        Ok(Some(ResponseKind::JoinGroup(answer))) => Some(answer),
        other => panic!("{other:?}"),
    }
}

/// Joins with the id that the coordinator gives; the answer may wait.
fn member(client: &LocalConnection) -> (String, PendingAnswer) {
    let first = joined(&mut client.send(join(""))).unwrap();
    assert_eq!(first.error_code, ResponseError::MemberIdRequired.code());
    let id = first.member_id.to_string();
    let pending = client.send(join(&id));
    (id, pending)
}

#[test]
fn a_join_waits_for_the_other_members_and_one_thread_goes_on() {
    let broker = broker();
    let (one, two) = (broker.connect("one"), broker.connect("two"));
    let (first, mut pending) = member(&one);
    assert_eq!(joined(&mut pending).unwrap().leader.as_str(), first);
    let (second, mut second_joins) = member(&two);
    assert_eq!(joined(&mut second_joins), None, "the first has not joined again");
    let mut again = one.send(join(&first));
    let answer = joined(&mut again).unwrap();
    assert_eq!(answer.members.len(), 2);
    assert_eq!(joined(&mut second_joins).unwrap().generation_id, answer.generation_id);
    let sync = |member: &str, assignments| {
        SyncGroupRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_generation_id(answer.generation_id)
            .with_member_id(text(member))
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignments(assignments)
    };
    let mut waits = two.send(sync(&second, Vec::new()));
    assert!(waits.poll().is_none());
    let each = |id: &str| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(id))
            .with_assignment(Bytes::copy_from_slice(id.as_bytes()))
    };
    assert!(one.call(sync(&first, vec![each(&first), each(&second)])).is_ok());
    let Some(Ok(Some(ResponseKind::SyncGroup(given)))) = waits.poll() else { panic!("no answer") };
    assert_eq!(given.assignment, second.as_bytes());
    assert_eq!(broker.view().group("g").unwrap().state, GroupState::Stable);
}

#[test]
fn time_passes_when_it_is_told_to_and_ends_the_session_of_a_member_that_is_gone() {
    let broker = broker();
    let client = broker.connect("c");
    let (id, mut pending) = member(&client);
    assert!(joined(&mut pending).is_some());
    broker.set_wall_clock_ms(1_000_000);
    broker.advance(Duration::from_millis(9_999));
    assert_eq!(broker.now_ms(), 1_009_999);
    assert_eq!(broker.view().group("g").unwrap().members.len(), 1);
    broker.advance(Duration::from_millis(60_001));
    assert_eq!(broker.view().group("g").unwrap().members, []);
    assert!(!broker.expire_member("g", &id));
}

#[test]
fn faults_act_and_delays_last_until_time_has_passed() {
    let broker = broker();
    let client = broker.connect("c");
    broker.faults().add(Fault::on(Api::Produce).then(Action::LoseAnswer));
    assert!(client.call(produce("lost")).is_err());
    assert_eq!(broker.records("t", 0).len(), 1);
    broker.faults().clear();
    let delay = Duration::from_millis(100);
    broker.faults().add(Fault::on(Api::Produce).then(Action::Delay(delay)));
    let mut pending = client.send(produce("late"));
    assert!(pending.poll().is_none());
    broker.advance(delay / 2);
    assert!(pending.poll().is_none());
    assert_eq!(broker.records("t", 0).len(), 1);
    broker.advance(delay / 2);
    assert!(matches!(pending.poll(), Some(Ok(Some(_)))));
    assert_eq!(broker.records("t", 0).len(), 2);
    assert!(pending.poll().is_none(), "it is answered once");
}
