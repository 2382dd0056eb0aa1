//! Each action does what it says, and a plan with a seed repeats itself.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, ApiKey, DeleteTopicsRequest, FetchRequest, InitProducerIdRequest,
    ListOffsetsRequest, MetadataRequest, RequestKind, ResponseKind, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::Broker;
use crate::client::Client;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const NOT_COORDINATOR: i16 = 16;

fn broker() -> Broker {
    Broker::builder().start_blocking().unwrap()
}

fn init(client: &mut Client, id: &'static str) -> std::io::Result<(i16, i64, i16)> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str(id))))
        .with_transaction_timeout_ms(1000)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let request = RequestKind::InitProducerId(request);
    match client.call(ApiKey::InitProducerId, 4, &request)? {
        ResponseKind::InitProducerId(r) => Ok((r.error_code, r.producer_id.0, r.producer_epoch)),
        other => panic!("{other:?}"),
    }
}

fn epoch(broker: &Broker, id: &str) -> Option<i16> {
    broker.view().transaction(id).map(|transaction| transaction.producer_epoch)
}

#[test]
fn what_is_held_waits_for_the_removal_of_its_fault() {
    for (action, applied) in
        [(Action::DelayUntilRemoved, false), (Action::DelayAnswerUntilRemoved, true)]
    {
        for clear in [false, true] {
            let broker = broker();
            let fault = broker.faults().add(Fault::on(Api::InitProducerId).then(action));
            let mut client = Client::connect(&broker);
            client.patience(Duration::from_millis(100));
            assert!(init(&mut client, "id").is_err(), "{action:?} was answered");
            // What the client has given up on is applied all the same.
            assert_eq!(epoch(&broker, "id").is_some(), applied, "{action:?}");
            if clear {
                broker.faults().clear();
            } else {
                assert!(broker.faults().remove(fault));
            }
            let deadline = Instant::now() + Duration::from_secs(30);
            while epoch(&broker, "id").is_none() && Instant::now() < deadline {
                std::thread::yield_now();
            }
            assert_eq!(epoch(&broker, "id"), Some(0), "{action:?}");
        }
    }
}

#[test]
fn what_is_lost_on_its_way_is_not_applied_and_what_is_lost_on_its_way_back_is() {
    for (action, applied, closed) in [
        (Action::Disconnect, false, true),
        (Action::Drop, false, false),
        (Action::LoseAnswer, true, true),
        (Action::HoldAnswer, true, false),
        (Action::RestartNode, false, true),
    ] {
        let broker = broker();
        let fault = broker.faults().add(Fault::on(Api::InitProducerId).then(action));
        let mut client = Client::connect(&broker);
        if !closed {
            client.patience(Duration::from_millis(100));
        }
        let error = init(&mut client, "id").unwrap_err().kind();
        let gone = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error);
        assert_eq!(gone, closed, "{action:?}: {error:?}");
        if !closed {
            // The client may have given up before the broker had read its request.
            let deadline = Instant::now() + Duration::from_secs(30);
            let is_done = |r: &RequestRecord| r.fault == Some(action) && r.answered == applied;
            while !broker.requests().iter().any(is_done) && Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
        assert_eq!(epoch(&broker, "id").is_some(), applied, "{action:?}");
        assert_eq!(broker.faults().fired(fault), 1);
        let log = broker.requests();
        let entry = log.iter().find(|r| r.api == Api::InitProducerId).unwrap();
        assert_eq!(entry.fault, Some(action));
        assert_eq!(entry.transactional_id.as_deref(), Some("id"));
        init(&mut Client::connect(&broker), "id").expect("the next one passes");
    }
}

#[test]
fn an_error_may_come_with_or_without_the_effect() {
    for (action, applied) in [(Action::Error(14), false), (Action::ErrorAfter(14), true)] {
        let broker = broker();
        broker.faults().add(Fault::on(Api::InitProducerId).then(action));
        let mut client = Client::connect(&broker);
        assert_eq!(init(&mut client, "id").unwrap().0, 14);
        assert_eq!(epoch(&broker, "id").is_some(), applied, "{action:?}");
        assert_eq!(broker.requests()[0].error, Some(14));
        assert_eq!(init(&mut client, "id").unwrap().0, 0);
    }
}

#[test]
fn a_delay_comes_before_the_effect_or_after_it() {
    let time = Duration::from_millis(60);
    for action in [Action::Delay(time), Action::DelayAnswer(time)] {
        let broker = broker();
        broker.faults().add(Fault::on(Api::InitProducerId).then(action));
        let begun = Instant::now();
        assert_eq!(init(&mut Client::connect(&broker), "id").unwrap().0, 0);
        assert!(begun.elapsed() >= time, "{action:?}");
    }
}

#[test]
fn a_coordinator_that_moves_answers_at_its_new_place() {
    let broker = Broker::builder().nodes(2).start_blocking().unwrap();
    let addresses: Vec<String> = broker.bootstrap_servers().split(',').map(str::to_owned).collect();
    let ask = |node: usize| init(&mut Client::connect_to(&addresses[node]), "id").unwrap().0;
    let home = usize::from(ask(0) != 0);
    assert_eq!(ask(1 - home), NOT_COORDINATOR);
    broker.faults().add(Fault::on(Api::InitProducerId).then(Action::MoveCoordinator));
    assert_eq!(ask(home), NOT_COORDINATOR);
    assert_eq!(ask(home), NOT_COORDINATOR);
    assert_eq!(ask(1 - home), 0);
    broker.stop_node((1 - home) as i32 + 1).unwrap();
    assert_eq!(ask(home), 0, "the other one is away");
}

#[test]
fn a_leader_that_moves_has_a_new_epoch() {
    let broker = Broker::builder().nodes(3).start_blocking().unwrap();
    broker.create_topic("topic", 3).unwrap();
    let leaders = |broker: &Broker| {
        let view = broker.view();
        view.partitions.iter().map(|p| (p.leader, p.leader_epoch)).collect::<Vec<_>>()
    };
    assert_eq!(leaders(&broker), [(1, 0), (2, 0), (3, 0)]);
    assert!(broker.move_leader("topic", 0));
    broker.stop_node(3).unwrap();
    assert_eq!(leaders(&broker), [(2, 1), (2, 0), (1, 1)]);
    broker.start_node(3).unwrap();
    assert!(!broker.move_leader("topic", 7));
}

#[test]
fn the_same_seed_meets_the_same_requests() {
    let metadata = RequestKind::Metadata(MetadataRequest::default().with_topics(Some(vec![])));
    let run = |seed| {
        let broker = Broker::builder().seed(seed).start_blocking().unwrap();
        let fault = Fault::on(Api::Metadata).probability(0.3).always();
        broker.faults().add(fault.then(Action::DelayAnswer(Duration::ZERO)));
        let mut client = Client::connect(&broker);
        for _ in 0..64 {
            client.call(ApiKey::Metadata, 9, &metadata).unwrap();
        }
        broker.requests().iter().map(|r| r.fault.is_some()).collect::<Vec<_>>()
    };
    let first = run(1);
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
    let met = first.iter().filter(|met| **met).count();
    assert!((5..40).contains(&met), "{met} of 64");
}

#[test]
fn a_fault_picks_by_what_a_request_speaks_of() {
    let broker = broker();
    let other = broker.faults().add(Fault::on(Api::InitProducerId).transactional_id("other"));
    let client = broker.faults().add(Fault::on_any().client_id("nobody").always());
    let third = broker.faults().add(Fault::on(Api::InitProducerId).nth(3).then(Action::Error(51)));
    let mut connection = Client::connect(&broker);
    let codes: Vec<i16> = (0..4).map(|_| init(&mut connection, "id").unwrap().0).collect();
    assert_eq!(codes, [0, 0, 51, 0]);
    assert_eq!(broker.faults().fired(other), 0);
    assert_eq!(broker.faults().fired(client), 0);
    assert_eq!(broker.faults().fired(third), 1);
    assert!(init(&mut connection, "other").is_err());
    assert!(broker.faults().remove(third));
    assert!(!broker.faults().remove(third));
    assert_eq!(broker.request_count(), 5);
    broker.forget_requests();
    assert_eq!(broker.request_count(), 0);
}

#[test]
fn metadata_with_an_error_for_a_topic_tells_the_brokers_all_the_same() {
    let broker = broker();
    broker.create_topic("topic", 1).unwrap();
    broker.faults().add(Fault::on(Api::Metadata).topic("topic").then(Action::Error(29)));
    let name = kafka_protocol::messages::TopicName(StrBytes::from_static_str("topic"));
    let topic = kafka_protocol::messages::metadata_request::MetadataRequestTopic::default()
        .with_name(Some(name));
    let request = MetadataRequest::default().with_topics(Some(vec![topic]));
    let request = RequestKind::Metadata(request);
    let answer = Client::connect(&broker).call(ApiKey::Metadata, 9, &request).unwrap();
    let ResponseKind::Metadata(answer) = answer else { panic!("{answer:?}") };
    assert_eq!(answer.topics[0].error_code, 29);
    assert!(answer.topics[0].partitions.is_empty());
    assert_eq!(answer.brokers.len(), 1);
}

fn fetch_from(offset: i64, max_wait_ms: i32) -> RequestKind {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_current_leader_epoch(-1)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str("topic")))
        .with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_max_wait_ms(max_wait_ms)
        .with_topics(vec![topic]);
    RequestKind::Fetch(request)
}

/// The high watermark, the last stable offset, and whether there are records.
fn fetch(client: &mut Client, offset: i64, max_wait_ms: i32) -> (i64, i64, bool) {
    let answer = client.call(ApiKey::Fetch, 11, &fetch_from(offset, max_wait_ms)).unwrap();
    let ResponseKind::Fetch(answer) = answer else { panic!("{answer:?}") };
    let partition = &answer.responses[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    let has_records = partition.records.as_ref().is_some_and(|records| !records.is_empty());
    (partition.high_watermark, partition.last_stable_offset, has_records)
}

#[test]
fn a_fetch_may_be_answered_as_of_some_records_ago() {
    let broker = broker();
    broker.create_topic("topic", 1).unwrap();
    for value in ["a", "b", "c"] {
        broker.append("topic", 0, [(None, Some(value), 1)]).unwrap();
    }
    let lag = Action::AnswerAsOf { records_ago: 2 };
    let fault = broker.faults().add(Fault::on(Api::Fetch).topic("topic").times(3).then(lag));
    let mut client = Client::connect(&broker);
    assert_eq!(fetch(&mut client, 0, 30_000), (1, 1, true), "answered at once");
    let begun = Instant::now();
    assert_eq!(fetch(&mut client, 1, 50), (1, 1, false), "the end as it was then");
    assert!(begun.elapsed() >= Duration::from_millis(50), "a reader at the end waits as ever");
    assert_eq!(fetch(&mut client, 2, 0), (1, 1, false), "the reader knows more");
    assert_eq!(broker.faults().fired(fault), 3);
    assert_eq!(fetch(&mut client, 1, 0), (3, 3, true), "the replica has caught up");
    let faults: Vec<_> = broker.requests().iter().map(|r| r.fault).collect();
    assert_eq!(faults, [Some(lag), Some(lag), Some(lag), None]);
}

#[test]
fn the_log_of_requests_tells_what_a_fetch_brought() {
    let broker = broker();
    broker.create_topic("topic", 1).unwrap();
    broker.append("topic", 0, [(None, Some("a"), 1)]).unwrap();
    let mut client = Client::connect(&broker);
    fetch(&mut client, 0, 0);
    fetch(&mut client, 1, 0);
    let brought: Vec<_> = broker.requests().into_iter().map(|request| request.answer).collect();
    let [AnswerBody::Fetch(first), AnswerBody::Fetch(second)] = brought.as_slice() else {
        panic!("{brought:?}")
    };
    assert_eq!((first[0].topic.as_str(), first[0].partition), ("topic", 0));
    assert_eq!((first[0].last_stable_offset, first[0].high_watermark), (1, 1));
    assert!(first[0].bytes > 0 && first[0].aborted.is_empty());
    assert!(second.is_empty(), "no records, nothing brought");
}

#[test]
fn a_replica_that_lags_wakes_a_waiting_fetch_when_it_has_more() {
    let broker = broker();
    broker.create_topic("topic", 1).unwrap();
    broker.append("topic", 0, [(None, Some("a"), 1)]).unwrap();
    let lag = Action::AnswerAsOf { records_ago: 1 };
    let fault = broker.faults().add(Fault::on(Api::Fetch).then(lag));
    let mut client = Client::connect(&broker);
    client.send(ApiKey::Fetch, 11, &fetch_from(0, 30_000)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while broker.faults().fired(fault) == 0 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    broker.append("topic", 0, [(None, Some("b"), 1)]).unwrap();
    let ResponseKind::Fetch(answer) = client.receive(ApiKey::Fetch, 11).unwrap() else { panic!() };
    assert_eq!(answer.responses[0].partitions[0].high_watermark, 1);
    assert!(Instant::now() < deadline, "it was woken, not timed out");
}

#[test]
fn a_lag_disturbs_nothing_but_fetches() {
    let broker = broker();
    let lag = Action::AnswerAsOf { records_ago: u64::MAX };
    let fault = broker.faults().add(Fault::on_any().always().then(lag));
    assert_eq!(init(&mut Client::connect(&broker), "id").unwrap().0, 0);
    assert_eq!(broker.faults().fired(fault), 1);
}

/// Sends a fetch that waits, lets `disturb` do something, and gives the answer and whether it came
/// long before the wait was over.
fn woken_by(broker: &Broker, client: &mut Client, disturb: impl FnOnce()) -> (ResponseKind, bool) {
    const WAIT_MS: i32 = 30_000;
    let asked = broker.request_count();
    let begun = Instant::now();
    client.send(ApiKey::Fetch, 11, &fetch_from(0, WAIT_MS)).unwrap();
    while broker.request_count() == asked && begun.elapsed() < Duration::from_secs(10) {
        std::thread::yield_now();
    }
    disturb();
    let answer = client.receive(ApiKey::Fetch, 11).unwrap();
    (answer, begun.elapsed() < Duration::from_millis(WAIT_MS as u64 / 2))
}

fn first_partition(answer: &ResponseKind) -> (i16, bool) {
    let ResponseKind::Fetch(answer) = answer else { panic!("{answer:?}") };
    let partition = &answer.responses[0].partitions[0];
    let has_records = partition.records.as_ref().is_some_and(|records| !records.is_empty());
    (partition.error_code, has_records)
}

#[test]
fn a_waiting_fetch_is_woken_by_a_fault_that_moves_the_leader() {
    let broker = Broker::builder().nodes(2).start_blocking().unwrap();
    broker.create_topic("topic", 1).unwrap();
    broker.faults().add(Fault::on(Api::ListOffsets).topic("topic").then(Action::MoveLeader));
    let mut other = Client::connect(&broker);
    let (answer, woken) = woken_by(&broker, &mut Client::connect(&broker), || {
        let partition = ListOffsetsPartition::default().with_timestamp(-1);
        let topic = ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("topic")))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);
        other.call(ApiKey::ListOffsets, 5, &RequestKind::ListOffsets(request)).unwrap();
    });
    assert_eq!(first_partition(&answer), (NOT_LEADER_OR_FOLLOWER, false));
    assert!(woken, "it slept until its wait was over");
}

/// What is readable only when the transaction of another producer has ended.
#[test]
fn a_waiting_fetch_is_woken_by_a_fault_that_ends_a_transaction() {
    let broker = Broker::builder().marker_delay(Duration::ZERO).start_blocking().unwrap();
    broker.create_topic("topic", 1).unwrap();
    let fault = Fault::on(Api::InitProducerId).nth(2).then(Action::TimeOutTransaction);
    broker.faults().add(fault);
    let mut producer = Client::connect(&broker);
    let (_, id, epoch) = init(&mut producer, "id").unwrap();
    let partitions = AddPartitionsToTxnTopic::default()
        .with_name(TopicName(StrBytes::from_static_str("topic")))
        .with_partitions(vec![0]);
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(TransactionalId(StrBytes::from_static_str("id")))
        .with_v3_and_below_producer_id(id.into())
        .with_v3_and_below_producer_epoch(epoch)
        .with_v3_and_below_topics(vec![partitions]);
    let request = RequestKind::AddPartitionsToTxn(request);
    producer.call(ApiKey::AddPartitionsToTxn, 3, &request).unwrap();
    let (answer, woken) = woken_by(&broker, &mut Client::connect(&broker), || {
        init(&mut producer, "id").unwrap();
    });
    assert_eq!(first_partition(&answer), (0, true), "the marker");
    assert!(woken, "it slept until its wait was over");
}

#[test]
fn a_waiting_fetch_is_woken_when_its_topic_is_deleted() {
    let broker = broker();
    broker.create_topic("topic", 1).unwrap();
    let mut other = Client::connect(&broker);
    let (answer, woken) = woken_by(&broker, &mut Client::connect(&broker), || {
        let names = vec![TopicName(StrBytes::from_static_str("topic"))];
        let request = DeleteTopicsRequest::default().with_topic_names(names);
        other.call(ApiKey::DeleteTopics, 4, &RequestKind::DeleteTopics(request)).unwrap();
    });
    assert_eq!(first_partition(&answer), (UNKNOWN_TOPIC_OR_PARTITION, false));
    assert!(woken, "it slept until its wait was over");
}
