//! A coordinator under test: time is a variable, and answers are taken without waiting.

mod commits;
mod expiry;
mod joins;
mod statics;
mod syncs;
mod walk;

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::oneshot::{Receiver, channel};

use super::*;

/// A coordinator with an initial delay of 3 s, so that members can come together.
struct Coordinator {
    groups: Groups,
    now: Instant,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn settings() -> GroupSettings {
    GroupSettings { initial_rebalance_delay: ms(3_000), ..GroupSettings::default() }
}

/// A dynamic member's first join, of a version that needs no id before.
fn joining() -> Join {
    Join {
        group_id: "g".into(),
        member_id: String::new(),
        instance_id: None,
        protocol_type: "consumer".into(),
        protocols: vec![("range".into(), subscription("orders"))],
        session_timeout: ms(10_000),
        rebalance_timeout: ms(60_000),
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        require_known_member_id: false,
        reason: None,
        supports_skipping_assignment: true,
    }
}

fn rejoining(member_id: &str) -> Join {
    Join { member_id: member_id.into(), ..joining() }
}

fn static_joining(instance_id: &str) -> Join {
    Join { instance_id: Some(instance_id.into()), ..joining() }
}

/// A consumer's subscription to one topic, version 0.
fn subscription(topic: &str) -> Bytes {
    let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, topic.len() as u8];
    bytes.extend(topic.as_bytes());
    bytes.extend([0xff; 4]);
    bytes.into()
}

/// The answer, if it is there. A reply that was dropped unanswered is a defect.
fn poll<T>(receiver: &mut Receiver<T>) -> Option<T> {
    match receiver.try_recv() {
        Ok(answer) => Some(answer),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Closed) => panic!("a reply was dropped without an answer"),
    }
}

/// The answer that must be there.
fn taken<T>(mut receiver: Receiver<T>) -> T {
    poll(&mut receiver).expect("an answer")
}

/// True if the answer is still to come.
fn waits<T>(receiver: &mut Receiver<T>) -> bool {
    poll(receiver).is_none()
}

fn to_commit(partition: i32, offset: i64) -> OffsetToCommit {
    OffsetToCommit {
        topic: "orders".into(),
        partition,
        offset,
        leader_epoch: 3,
        metadata: Some("note".into()),
    }
}

fn commit_of(generation: i32, member: &str, offset: i64) -> CommitOffsets {
    CommitOffsets {
        group: "g".into(),
        generation,
        member: member.into(),
        instance: None,
        offsets: vec![to_commit(0, offset)],
    }
}

impl Coordinator {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: GroupSettings) -> Self {
        Self { groups: Groups::new(settings), now: Instant::now() }
    }

    fn advance(&mut self, millis: u64) {
        self.now += ms(millis);
        self.groups.tick(self.now);
    }

    fn join(&mut self, join: Join) -> Receiver<JoinAnswer> {
        let (reply, receiver) = channel();
        self.groups.join(join, self.now, reply);
        receiver
    }

    fn sync(
        &mut self,
        generation_id: i32,
        member_id: &str,
        assignments: &[(String, Bytes)],
    ) -> Receiver<SyncAnswer> {
        let (reply, receiver) = channel();
        let sync = Sync {
            group_id: "g".into(),
            generation_id,
            member_id: member_id.into(),
            instance_id: None,
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: assignments.to_vec(),
        };
        self.groups.sync(sync, self.now, reply);
        receiver
    }

    fn heartbeat(&mut self, generation: i32, member: &str) -> Result<(), ResponseError> {
        self.groups.heartbeat("g", generation, member, None, self.now)
    }

    fn leave(&mut self, member: &str) -> Vec<Result<(), ResponseError>> {
        self.groups.leave("g", vec![(member.into(), None)], self.now).unwrap()
    }

    fn view(&self) -> GroupView {
        self.groups.describe("g").expect("the group")
    }

    fn commit(&mut self, generation: i32, member: &str) -> Result<(), ResponseError> {
        let answers = self.groups.commit_offsets(commit_of(generation, member, 1), self.now)?;
        answers[0]
    }

    fn committed(&self, partition: i32) -> Option<i64> {
        let at = [("orders".to_owned(), partition)];
        let answer = self.groups.fetch_offsets("g", Some(&at), false).remove(0).1;
        answer.unwrap().map(|committed| committed.offset)
    }

    /// Joins that come together end up in one generation.
    fn joined(&mut self, joins: Vec<Join>) -> Vec<JoinAnswer> {
        let receivers: Vec<_> = joins.into_iter().map(|join| self.join(join)).collect();
        self.advance(3_000);
        self.advance(3_000);
        receivers.into_iter().map(taken).collect()
    }

    /// Gives every member of a generation an assignment: its own id.
    fn synced(&mut self, joined: &[JoinAnswer]) {
        let own: Vec<_> = joined
            .iter()
            .map(|j| (j.member_id.clone(), Bytes::from(j.member_id.clone())))
            .collect();
        for answer in joined {
            let assignments = if answer.leader == answer.member_id { own.as_slice() } else { &[] };
            drop(self.sync(answer.generation_id, &answer.member_id, assignments));
        }
        assert_eq!(self.view().state, GroupState::Stable);
    }

    fn stable(&mut self, joins: Vec<Join>) -> Vec<JoinAnswer> {
        let joined = self.joined(joins);
        self.synced(&joined);
        joined
    }
}
