//! A group consumer with partitions apart, on the embedded broker.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Instant;

use oncestream_broker::Broker;
use oncestream_engine::ports::{GroupConsumer, Message, Rebalance};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::*;
use crate::clients::consumer::KafkaConsumer;
use crate::clients::native::KafkaMessage;
use crate::config::StreamsConfig;

/// Long enough for valgrind.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What was taken, as a test sees it.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Record(i64, String),
    End(i64),
}

/// A member of a group that reads a topic of two partitions.
struct Member {
    /// Closed before its broker is.
    consumer: KafkaConsumer,
    broker: Broker,
}

fn partition(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn subscribe(broker: &Broker, worker: usize) -> KafkaConsumer {
    let config = StreamsConfig::builder("app", broker.bootstrap_servers()).build().unwrap();
    KafkaConsumer::subscribe(&config.consumer_settings(worker), &["t".to_owned()]).unwrap()
}

fn producer(broker: &Broker, transactional_id: Option<&str>) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap_servers());
    if let Some(id) = transactional_id {
        config.set("transactional.id", id);
    }
    config.create().unwrap()
}

fn send(broker: &Broker, to: i32, values: &[&str]) {
    let producer = producer(broker, None);
    for value in values {
        let record = BaseRecord::<(), str>::to("t").partition(to).payload(*value);
        producer.send(record).unwrap();
    }
    producer.flush(TIMEOUT).unwrap();
}

impl Member {
    /// One that is assigned both partitions at their beginnings, the first of them apart.
    fn new() -> Self {
        let broker = Broker::builder().start_blocking().unwrap();
        broker.create_topic("t", 2).unwrap();
        let member = Self { consumer: subscribe(&broker, 0), broker };
        member.begin();
        member
    }

    /// One that is assigned both partitions at their beginnings, the first of them apart, and has a fetch wait
    /// for records. Each of these values is in the first partition.
    fn waiting(wait: Duration, values: &[&str]) -> Self {
        let broker = Broker::builder().start_blocking().unwrap();
        broker.create_topic("t", 2).unwrap();
        send(&broker, 0, values);
        let wait_ms = wait.as_millis().to_string();
        let config = StreamsConfig::builder("app", broker.bootstrap_servers());
        let config = config.set("consumer.fetch.wait.max.ms", &wait_ms).unwrap().build().unwrap();
        let settings = config.consumer_settings(0);
        let consumer = KafkaConsumer::subscribe(&settings, &["t".to_owned()]).unwrap();
        let member = Self { consumer, broker };
        member.begin();
        member
    }

    /// Waits for the first assignment, and takes it at the beginnings.
    fn begin(&self) {
        let deadline = Instant::now() + TIMEOUT;
        while self.consumer.next_rebalance().is_none() {
            assert!(Instant::now() < deadline, "no assignment");
            self.poll_nothing(Duration::from_millis(50));
        }
        self.assign(&[0], 0);
    }

    fn assign(&self, apart: &[i32], offset: i64) {
        let apart: Vec<_> = apart.iter().map(|p| partition(*p)).collect();
        self.consumer.take_apart(&apart).unwrap();
        self.consumer.assign(&[(partition(0), offset), (partition(1), 0)]).unwrap();
    }

    fn send(&self, to: i32, values: &[&str]) {
        send(&self.broker, to, values);
    }

    fn take(&self, max: usize) -> Vec<Seen> {
        let mut seen = Vec::new();
        let taken = self.consumer.take(&partition(0), max, |taken| {
            seen.push(match taken {
                Taken::Record(record) => {
                    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                    Seen::Record(record.offset, value)
                }
                Taken::End { offset } => Seen::End(offset),
                Taken::Failed(error) => panic!("{error}"),
            });
            Ok::<_, ()>(())
        });
        assert_eq!(taken, Ok(seen.len()));
        seen
    }

    fn poll_nothing(&self, timeout: Duration) {
        let polled = self.consumer.poll(timeout);
        let place = |message: &KafkaMessage<'_>| (message.partition(), message.record().offset);
        if let Some(polled) = polled {
            panic!("{:?}", polled.as_ref().map(place));
        }
    }

    /// What is taken until the last of it is so.
    fn take_until(&self, last: &Seen) -> Vec<Seen> {
        let (mut seen, deadline) = (Vec::new(), Instant::now() + TIMEOUT);
        while seen.last() != Some(last) {
            assert!(Instant::now() < deadline, "{seen:?}");
            self.poll_nothing(Duration::from_millis(5));
            seen.extend(self.take(100));
        }
        seen
    }

    /// The partition and the offset of the next record that comes with a poll.
    fn polled(&self) -> (i32, i64) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            assert!(Instant::now() < deadline, "no record");
            if let Some(message) = self.consumer.poll(Duration::from_millis(50)) {
                let message = message.unwrap();
                return (message.partition(), message.record().offset);
            }
        }
    }
}

fn record(offset: i64, value: &str) -> Seen {
    Seen::Record(offset, value.to_owned())
}

#[test]
fn what_is_apart_tells_its_ends_and_comes_by_itself() {
    let member = Member::new();
    assert_eq!(member.take_until(&Seen::End(0)), [Seen::End(0)]);
    member.send(0, &["a", "b"]);
    member.send(1, &["c"]);
    assert_eq!(member.polled(), (1, 0));
    let seen = [record(0, "a"), record(1, "b"), Seen::End(2)];
    let mut taken = member.take_until(&seen[2]);
    taken.retain(|seen| *seen != Seen::End(1));
    assert_eq!(taken, seen);
    // A transaction's marker is no record, and the end is behind it.
    let producer = producer(&member.broker, Some("tx"));
    producer.init_transactions(TIMEOUT).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<(), str>::to("t").partition(0).payload("d")).unwrap();
    producer.commit_transaction(TIMEOUT).unwrap();
    let mut taken = member.take_until(&Seen::End(4));
    taken.retain(|seen| matches!(seen, Seen::Record(..) | Seen::End(4)));
    assert_eq!(taken, [record(2, "d"), Seen::End(4)]);
    member.send(1, &["e"]);
    assert_eq!(member.polled(), (1, 1));
}

/// The next fetch waits for more, and its answer is not needed.
#[test]
fn the_end_comes_with_the_last_record_and_not_with_the_next_answer() {
    let wait = TIMEOUT / 2;
    let began = Instant::now();
    let member = Member::waiting(wait, &["a", "b"]);
    let taken = member.take_until(&Seen::End(2));
    assert_eq!(taken, [record(0, "a"), record(1, "b"), Seen::End(2)]);
    assert!(began.elapsed() < wait, "{:?}", began.elapsed());
    assert_eq!(member.take(100), [], "it is told once");
    // One by one too.
    member.send(0, &["c", "d"]);
    let (mut taken, deadline) = (Vec::new(), Instant::now() + TIMEOUT);
    while taken.last() != Some(&Seen::End(4)) {
        assert!(Instant::now() < deadline, "{taken:?}");
        member.poll_nothing(Duration::from_millis(5));
        taken.extend(member.take(1));
    }
    assert_eq!(taken, [record(2, "c"), record(3, "d"), Seen::End(4)]);
    assert!(began.elapsed() < wait, "{:?}", began.elapsed());
}

#[test]
fn what_nobody_takes_stays() {
    let member = Member::new();
    member.send(0, &["a", "b", "c", "d"]);
    let deadline = Instant::now() + TIMEOUT;
    let mut first = Vec::new();
    while first.last() != Some(&record(0, "a")) {
        assert!(Instant::now() < deadline, "{first:?}");
        member.poll_nothing(Duration::from_millis(5));
        first = member.take(1);
    }
    let failed = member.consumer.take(&partition(0), 100, |_| Err("no more"));
    assert_eq!(failed, Err("no more"));
    assert_eq!(member.take(0), []);
    assert_eq!(member.take_until(&Seen::End(4))[..2], [record(2, "c"), record(3, "d")]);
    assert_eq!(member.consumer.take(&partition(1), 100, |_| Err(())), Ok(0), "not apart");
}

#[test]
fn a_poll_returns_once_something_apart_can_be_taken() {
    let member = Member::new();
    member.take_until(&Seen::End(0));
    for round in 0..3 {
        let began = Instant::now();
        let broker = &member.broker;
        std::thread::scope(|scope| {
            scope.spawn(|| send(broker, 0, &["a"]));
            while !member.take(100).iter().any(|seen| matches!(seen, Seen::Record(..))) {
                member.poll_nothing(TIMEOUT);
            }
        });
        assert!(began.elapsed() < TIMEOUT, "{round}");
    }
    // It does so as well if it is taken one by one.
    member.send(0, &["b"; 50]);
    let mut taken = 0;
    while taken < 50 {
        member.poll_nothing(TIMEOUT);
        taken += member.take(1).iter().filter(|seen| matches!(seen, Seen::Record(..))).count();
    }
}

#[test]
fn an_assignment_begins_anew_and_what_is_apart_no_more_comes_with_the_others() {
    let member = Member::new();
    member.send(0, &["a", "b", "c", "d"]);
    member.take_until(&Seen::End(4));
    member.assign(&[0], 1);
    assert_eq!(member.take_until(&Seen::End(4))[0], record(1, "b"));
    member.assign(&[0], 0);
    member.assign(&[], 2);
    assert_eq!([member.polled(), member.polled()], [(0, 2), (0, 3)]);
    assert_eq!(member.take(100), []);
    member.assign(&[], 3);
    assert_eq!(member.polled(), (0, 3));
    member.assign(&[0], 0);
    assert_eq!(member.take_until(&Seen::End(4))[0], record(0, "a"));
}

#[test]
fn a_batch_of_an_assignment_that_is_over_is_void() {
    let member = Member::new();
    let values = vec!["v"; 300];
    send(&member.broker, 1, &values);
    // The first record comes with a batch of others.
    assert_eq!(member.polled(), (1, 0));
    member.assign(&[0], 0);
    let again: Vec<_> = (0..300).map(|_| member.polled()).collect();
    let all: Vec<_> = (0..300).map(|offset| (1, offset)).collect();
    assert_eq!(again, all, "each once, from where it was assigned");
    member.consumer.unassign().unwrap();
    send(&member.broker, 1, &values);
    member.poll_nothing(Duration::from_millis(300));
}

#[test]
fn records_come_beside_events_and_more_than_a_batch_in_order() {
    let member = Member::new();
    let other = subscribe(&member.broker, 1);
    send(&member.broker, 1, &vec!["v"; 1000]);
    let mut seen = Vec::new();
    let (deadline, mut revoked) = (Instant::now() + TIMEOUT, false);
    while seen.len() < 1000 || !revoked {
        assert!(Instant::now() < deadline, "{} records, revoked: {revoked}", seen.len());
        let _ = other.poll(Duration::ZERO);
        if let Some(message) = member.consumer.poll(Duration::from_millis(10)) {
            seen.push(message.unwrap().record().offset);
        }
        revoked |= matches!(member.consumer.next_rebalance(), Some(Rebalance::Revoke(_)));
    }
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    member.consumer.unassign().unwrap();
}

#[test]
fn a_pause_behind_an_end_loses_nothing() {
    let member = Member::new();
    member.send(0, &["a"]);
    member.take_until(&Seen::End(1));
    member.consumer.pause(&[partition(0)]).unwrap();
    member.send(0, &["b"]);
    member.consumer.resume(&[partition(0)]).unwrap();
    let taken = member.take_until(&Seen::End(2));
    assert!(taken.contains(&record(1, "b")), "{taken:?}");
}

#[test]
fn a_rebalance_wakes_who_waits_and_a_member_with_partitions_apart_can_leave() {
    let member = Member::new();
    member.take_until(&Seen::End(0));
    let other = subscribe(&member.broker, 1);
    let deadline = Instant::now() + TIMEOUT;
    let revoked = loop {
        assert!(Instant::now() < deadline, "no rebalance");
        let _ = other.poll(Duration::ZERO);
        let _ = member.consumer.poll(Duration::from_secs(1));
        if let Some(event) = member.consumer.next_rebalance() {
            break event;
        }
    };
    assert!(matches!(revoked, Rebalance::Revoke(_)), "{revoked:?}");
    member.consumer.unassign().unwrap();
    assert_eq!(member.take(100), []);
    drop(other);
    drop(member);
}
