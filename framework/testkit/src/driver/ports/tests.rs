//! The ports by themselves: what a worker may expect of a group, a producer and a reader.

use std::sync::Arc;
use std::time::Duration;

use oncestream_core::commit::{Action, CommitMachine, CommitPermit, Fact, Guarantee};
use oncestream_core::handlers::ErrorHandlers;
use oncestream_core::task::{ChangelogId, Collector, OffsetMetadata, Origin, Outgoing, Position};
use oncestream_core::{Headers, TopicPartition};
use oncestream_engine::ports::{
    ChangelogQueue, ChangelogReader, Cluster, Fetched, GroupConsumer, Message, Rebalance, Taken,
    WorkerProducer,
};
use oncestream_engine::{AutoOffsetReset, ErrorKind};
use oncestream_stores::MemoryBackend;

use super::super::crash::CommitStep;
use super::*;

const LIMIT: Duration = Duration::from_secs(5);

fn world() -> Arc<World> {
    let options = Options { default_partitions: 1, message_max_bytes: usize::MAX, sabotage: None };
    let world = Arc::new(World::new(options, 0));
    world.create_topic("in", 2, &[]).unwrap();
    world.create_topic("out", 1, &[]).unwrap();
    world
}

fn ports(world: &Arc<World>, instance: &str) -> LocalPorts {
    let settings = WorkerSettings {
        application_id: "app".into(),
        instance_id: instance.into(),
        bootstrap_servers: "".into(),
        guarantee: Guarantee::ExactlyOnce,
        commit_interval: LIMIT,
        poll: Duration::ZERO,
        transaction_timeout: Duration::from_secs(10),
        session_timeout: Duration::from_secs(45),
        max_poll_interval: Duration::from_mins(5),
        repartition_purge_interval: LIMIT,
        auto_offset_reset: AutoOffsetReset::Earliest,
        cache_max_bytes: 0,
        uncommitted_max_bytes: None,
        buffered_records_per_partition: 1,
        records_per_turn: 1,
        max_task_idle_ms: 0,
        global_restore_timeout: LIMIT,
        dead_letter_topic: None,
        handlers: Arc::new(ErrorHandlers::default()),
        has_own_client_ids: true,
    };
    let site = Arc::new(Site::new(world, true));
    LocalPorts::new(&site, &settings, Arc::new(MemoryBackend::new()), Vec::new())
}

fn consumer(ports: &LocalPorts) -> LocalConsumer {
    let subscription = Subscription { topics: vec!["in".into()], patterns: Vec::new() };
    ports.consumer(0, &subscription).unwrap()
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("in", partition)
}

/// Polls a consumer that has no record, and gives the event it was told.
fn told(consumer: &LocalConsumer) -> Option<Rebalance> {
    assert!(consumer.poll(LIMIT).is_none());
    consumer.next_rebalance()
}

fn outgoing<'a>(topic: &'a str, value: &'a [u8], headers: &'a Headers) -> Outgoing<'a> {
    let origin = Origin::Sink;
    let (key, partition) = (None, Some(0));
    Outgoing { topic, partition, key, value: Some(value), timestamp: 1, headers, origin }
}

/// A permit, as the machine gives it.
fn permit() -> CommitPermit {
    let mut machine = CommitMachine::<String>::new(Guarantee::ExactlyOnce);
    let mut action = machine.on(Fact::Work);
    loop {
        action = match action {
            Action::Commit(permit) => return permit,
            Action::Nothing => machine.on(Fact::CommitDue),
            _ => machine.on(Fact::Done),
        };
    }
}

#[test]
fn a_second_member_takes_its_share_after_the_first_has_given_up_all() {
    let world = world();
    let (one, two) = (ports(&world, "1"), ports(&world, "2"));
    let (first, second) = (consumer(&one), consumer(&two));
    assert_eq!(told(&first), Some(Rebalance::Assign(vec![at(0), at(1)])));
    first.assign(&[(at(0), 0), (at(1), 0)]).unwrap();
    let before = first.newest_generation();
    assert_eq!(told(&second), None);
    assert_eq!(told(&first), Some(Rebalance::Revoke(vec![at(0), at(1)])));
    assert_eq!(first.newest_generation(), before, "until it is answered");
    assert_eq!(told(&second), None);
    first.unassign().unwrap();
    let shares = (told(&first), told(&second));
    let share = |p| Some(Rebalance::Assign(vec![at(p)]));
    assert_eq!(shares, (share(0), share(1)));
    let group = one.cluster().ask_for_group("app").recv().unwrap();
    assert!(group.is_stable);
    let own = group.members.iter().find(|m| Some(&m.id) == first.member_id().as_ref()).unwrap();
    assert_eq!(
        (own.client_id.as_str(), &own.assignment),
        ("app-1-worker-0-consumer", &vec![at(0)])
    );
}

#[test]
fn what_is_aborted_or_open_is_not_read_and_offsets_count_with_their_transaction() {
    let world = world();
    let ports = ports(&world, "1");
    let (reader, headers) = (consumer(&ports), Headers::default());
    assert!(told(&reader).is_some());
    reader.assign(&[(at(0), 0), (at(1), 0)]).unwrap();
    let generation = reader.newest_generation().unwrap();
    let mut producer = ports.producer(0, Some("id")).unwrap();
    producer.init(LIMIT).unwrap();
    producer.begin().unwrap();
    producer.send(&outgoing("in", b"aborted", &headers)).unwrap();
    producer.abort(LIMIT).unwrap();
    producer.begin().unwrap();
    producer.send(&outgoing("in", b"open", &headers)).unwrap();
    assert!(reader.poll(LIMIT).is_none());
    let offset = Position { partition: at(1), offset: 7, metadata: OffsetMetadata::of_time(3) };
    producer.send_offsets(&[offset], &generation, LIMIT).unwrap();
    let began = ports.clock().now();
    let unstable = reader.committed(&[at(1)], LIMIT).unwrap_err();
    assert_eq!((unstable.kind(), ports.clock().now() - began), (ErrorKind::Away, LIMIT));
    producer.commit(permit(), LIMIT).unwrap();
    let committed = reader.committed(&[at(0), at(1)], LIMIT).unwrap();
    assert_eq!(committed[0], None);
    let committed = committed[1].clone().unwrap();
    assert_eq!((committed.offset, committed.metadata.partition_time), (7, 3));
    assert!(committed.is_own);
    let message = reader.poll(LIMIT).unwrap().unwrap();
    assert_eq!((message.record().value, message.record().offset), (Some(&b"open"[..]), 2));
    assert!(reader.poll(LIMIT).is_none());
}

#[test]
fn a_new_producer_ends_what_the_one_before_left_open_and_fences_it() {
    let world = world();
    let ports = ports(&world, "1");
    let headers = Headers::default();
    let mut old = ports.producer(0, Some("id")).unwrap();
    old.init(LIMIT).unwrap();
    old.begin().unwrap();
    old.send(&outgoing("out", b"old", &headers)).unwrap();
    ports.producer(0, Some("id")).unwrap().init(LIMIT).unwrap();
    let fenced = old.commit(permit(), LIMIT).unwrap_err();
    assert_eq!(fenced.kind(), ErrorKind::Fence);
    let records = world.broker.records("out", 0);
    assert!(records[0].aborted && records[1].control.is_some(), "{records:?}");
}

#[test]
fn an_old_generation_commits_nothing() {
    let world = world();
    let (one, two) = (ports(&world, "1"), ports(&world, "2"));
    let (first, second) = (consumer(&one), consumer(&two));
    assert!(told(&first).is_some());
    first.assign(&[(at(0), 0)]).unwrap();
    let old = first.newest_generation().unwrap();
    assert_eq!(told(&second), None);
    assert!(matches!(told(&first), Some(Rebalance::Revoke(_))));
    first.unassign().unwrap();
    for _ in 0..3 {
        drop((told(&first), told(&second)));
    }
    let mut producer = one.producer(0, Some("id")).unwrap();
    producer.init(LIMIT).unwrap();
    producer.begin().unwrap();
    let offset = Position { partition: at(0), offset: 7, metadata: OffsetMetadata::of_time(3) };
    let refused = producer.send_offsets(&[offset], &old, LIMIT).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Member);
}

#[test]
fn a_partition_that_is_apart_is_taken_by_itself_and_tells_its_end() {
    let world = world();
    let ports = ports(&world, "1");
    let (reader, headers) = (consumer(&ports), Headers::default());
    assert!(told(&reader).is_some());
    reader.take_apart(&[at(0)]).unwrap();
    reader.assign(&[(at(0), 0), (at(1), 0)]).unwrap();
    let mut producer = ports.producer(0, None).unwrap();
    for value in [&b"a"[..], b"b"] {
        producer.send(&outgoing("in", value, &headers)).unwrap();
        let other = Outgoing { partition: Some(1), ..outgoing("in", b"other", &headers) };
        producer.send(&other).unwrap();
    }
    assert_eq!(reader.poll(LIMIT).unwrap().unwrap().partition(), 1);
    let mut seen = Vec::new();
    let mut take = |max| {
        reader.take(&at(0), max, |taken| {
            seen.push(match taken {
                Taken::Record(record) => String::from_utf8(record.value.unwrap().to_vec()).unwrap(),
                Taken::End { offset } => format!("end {offset}"),
                Taken::Failed(error) => return Err(error),
            });
            Ok(())
        })
    };
    assert_eq!(take(1).unwrap(), 1);
    assert_eq!(take(5).unwrap(), 2);
    assert_eq!(seen, ["a", "b", "end 2"]);
}

#[test]
fn a_changelog_tells_each_end_once_and_its_rows_their_offsets() {
    let world = world();
    let ports = ports(&world, "1");
    let headers = Headers::default();
    let mut producer = ports.producer(0, Some("id")).unwrap();
    producer.init(LIMIT).unwrap();
    producer.begin().unwrap();
    let row = Outgoing {
        key: Some(b"k"),
        origin: Origin::Changelog(ChangelogId(4)),
        ..outgoing("out", b"v", &headers)
    };
    producer.send(&row).unwrap();
    producer.commit(permit(), LIMIT).unwrap();
    assert_eq!(producer.take_changelogs()[&ChangelogId(4)], 1);

    let out = TopicPartition::new("out", 0);
    let mut changelogs = ports.changelogs(0).unwrap();
    assert_eq!(changelogs.last_stable(&out, LIMIT).unwrap(), 2);
    let mut queues = changelogs.assign(&[(out.clone(), 0)]).unwrap();
    let take = |queue: &mut changelogs::LocalQueue| {
        let mut seen = Vec::new();
        queue
            .take(|fetched| {
                seen.push(match fetched {
                    Fetched::Record { offset, .. } => offset,
                    Fetched::End { offset } => -offset,
                    Fetched::Failed(error) => return Err(error),
                });
                Ok(())
            })
            .unwrap();
        seen
    };
    let each = [take(&mut queues[0]), take(&mut queues[0]), take(&mut queues[0])];
    assert_eq!(each, [vec![0], vec![-2], vec![]]);
    changelogs.rest();
    let mut again = changelogs.assign(&[(out, 0)]).unwrap();
    assert_eq!(take(&mut queues[0]), [] as [i64; 0], "the queue of before");
    assert_eq!(take(&mut again[0]), [0]);
}

#[test]
fn after_a_crash_no_call_changes_anything() {
    let world = world();
    let ports = ports(&world, "1");
    let headers = Headers::default();
    let mut producer = ports.producer(0, Some("id")).unwrap();
    producer.init(LIMIT).unwrap();
    producer.begin().unwrap();
    world.crashes().at_step(CommitStep::BeforeSend);
    producer.send(&outgoing("out", b"v", &headers)).unwrap_err();
    assert_eq!(world.crashes().take_crashed(), Some(CommitStep::BeforeSend));
    producer.send(&outgoing("out", b"v", &headers)).unwrap_err();
    producer.init(LIMIT).unwrap_err();
    assert!(consumer(&ports).poll(LIMIT).unwrap().is_err());
    assert_eq!(world.broker.records("out", 0), []);
    assert_eq!(world.broker.view().group("app"), None);
}
