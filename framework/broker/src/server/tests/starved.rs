//! Members of groups, and readers, on a machine that has no time for them: whoever waits is answered.
//!
//! Busy threads take the processors away. Members join, sync, beat, commit, leave, hang up while
//! their request is parked, and come again; coordinators move. Every request that is waited for must
//! be answered within what the timeouts of the group allow, and ample time for a slow machine.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ApiKey, FetchRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, RequestKind,
    ResponseKind, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;

use crate::Broker;
use crate::client::Client;

/// How long a session lasts, and how long members have to join again.
const SESSION_MS: i32 = 1000;
/// A dead leader, and then a dead member, may each hold the others up for a session.
const ANSWERED: Duration = Duration::from_secs(60);
const GROUPS: usize = 6;
const MEMBERS: usize = 4;
const BUSY: usize = 4;
/// How long it goes on at least.
const LASTS: Duration = Duration::from_secs(2);

const MEMBER_ID_REQUIRED: i16 = 79;
const UNKNOWN_MEMBER_ID: i16 = 25;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// xorshift64*: the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// What all threads share.
struct Scene<'a> {
    broker: &'a Broker,
    over: AtomicBool,
    /// How many requests of each kind were answered, and how long the slowest answer took.
    answered: Mutex<BTreeMap<&'static str, (usize, Duration)>>,
    /// Requests that were not answered in time.
    stuck: Mutex<Vec<String>>,
}

/// A member of a group, as long as it has luck.
struct Member<'a> {
    scene: &'a Scene<'a>,
    client: Client,
    group: String,
    id: String,
    generation: i32,
    random: Random,
}

impl Member<'_> {
    fn connect(&mut self) {
        self.client = Client::connect(self.scene.broker);
        self.client.patience(ANSWERED);
    }

    fn call(&mut self, api: ApiKey, version: i16, request: &RequestKind) -> Option<ResponseKind> {
        let kind = request_name(request);
        let asked = Instant::now();
        match self.client.call(api, version, request) {
            Ok(answer) => {
                let mut answered = self.scene.answered.lock().unwrap();
                let (count, slowest) = answered.entry(kind).or_default();
                *count += 1;
                *slowest = (*slowest).max(asked.elapsed());
                Some(answer)
            }
            Err(error) if is_cut(&error) => {
                self.connect();
                None
            }
            Err(error) => {
                let group = self.scene.broker.view().group(&self.group).cloned();
                let told = format!("{kind} of {:?}: {error}; {group:#?}", self.id);
                self.scene.stuck.lock().unwrap().push(told);
                self.scene.over.store(true, Ordering::Relaxed);
                self.connect();
                None
            }
        }
    }

    fn join_request(&self) -> RequestKind {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text("range"))
            .with_metadata(Bytes::from_static(b"what it wants"));
        RequestKind::JoinGroup(
            JoinGroupRequest::default()
                .with_group_id(text(&self.group).into())
                .with_session_timeout_ms(SESSION_MS)
                .with_rebalance_timeout_ms(SESSION_MS)
                .with_member_id(text(&self.id))
                .with_protocol_type(text("consumer"))
                .with_protocols(vec![protocol]),
        )
    }

    /// Joins until it is in a generation; the members it has to assign to, if it leads. Version 3
    /// gives no ids out beforehand.
    fn join(&mut self, version: i16) -> Option<Vec<String>> {
        while !self.scene.over.load(Ordering::Relaxed) {
            let request = self.join_request();
            if self.random.below(12) == 0 {
                // It hangs up while its request is parked, or its answer is on the way. The node may
                // have hung up before it.
                let _ = self.client.send(ApiKey::JoinGroup, version, &request);
                self.connect();
                continue;
            }
            let answer = self.call(ApiKey::JoinGroup, version, &request);
            let Some(ResponseKind::JoinGroup(answer)) = answer else { continue };
            match answer.error_code {
                0 => {
                    self.id = answer.member_id.to_string();
                    self.generation = answer.generation_id;
                    let members = answer.members.iter().map(|m| m.member_id.to_string());
                    return Some(members.collect());
                }
                MEMBER_ID_REQUIRED => self.id = answer.member_id.to_string(),
                UNKNOWN_MEMBER_ID => self.id.clear(),
                _ => {}
            }
        }
        None
    }

    /// Asks for its assignment. False if it has to join again.
    fn sync(&mut self, members: &[String]) -> bool {
        let assignments = members.iter().map(|member| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(member))
                .with_assignment(Bytes::from_static(b"its share"))
        });
        let request = RequestKind::SyncGroup(
            SyncGroupRequest::default()
                .with_group_id(text(&self.group).into())
                .with_generation_id(self.generation)
                .with_member_id(text(&self.id))
                .with_assignments(assignments.collect()),
        );
        if self.random.below(12) == 0 {
            let _ = self.client.send(ApiKey::SyncGroup, 3, &request);
            self.connect();
            return false;
        }
        let answer = self.call(ApiKey::SyncGroup, 3, &request);
        let Some(ResponseKind::SyncGroup(answer)) = answer else { return false };
        if answer.error_code == UNKNOWN_MEMBER_ID {
            self.id.clear();
        }
        answer.error_code == 0
    }

    /// Beats for a while. Then it is told to join again, leaves, or falls silent.
    fn work(&mut self) {
        let request = RequestKind::Heartbeat(
            HeartbeatRequest::default()
                .with_group_id(text(&self.group).into())
                .with_generation_id(self.generation)
                .with_member_id(text(&self.id)),
        );
        for _ in 0..=self.random.below(30) {
            let answer = self.call(ApiKey::Heartbeat, 3, &request);
            let Some(ResponseKind::Heartbeat(answer)) = answer else { return };
            if answer.error_code == UNKNOWN_MEMBER_ID {
                self.id.clear();
            }
            if answer.error_code != 0 {
                return;
            }
        }
        match self.random.below(4) {
            0 => self.leave(),
            // Dead without a word: the others have to wait for the end of its session.
            1 => {
                self.connect();
                self.id.clear();
            }
            _ => {}
        }
    }

    fn leave(&mut self) {
        let member = MemberIdentity::default().with_member_id(text(&self.id));
        let request = LeaveGroupRequest::default()
            .with_group_id(text(&self.group).into())
            .with_members(vec![member]);
        self.call(ApiKey::LeaveGroup, 3, &RequestKind::LeaveGroup(request));
        self.id.clear();
    }

    fn live(mut self) {
        while !self.scene.over.load(Ordering::Relaxed) {
            let version = if self.random.below(3) == 0 { 3 } else { 5 };
            let Some(members) = self.join(version) else { return };
            if self.sync(&members) {
                self.work();
            }
        }
    }
}

/// The broker closed the connection: it moved, or was told to.
fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::UnexpectedEof | K::ConnectionReset | K::BrokenPipe)
}

fn request_name(request: &RequestKind) -> &'static str {
    match request {
        RequestKind::JoinGroup(_) => "JoinGroup",
        RequestKind::SyncGroup(_) => "SyncGroup",
        RequestKind::Heartbeat(_) => "Heartbeat",
        _ => "LeaveGroup",
    }
}

/// One test at a time takes the processors away.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the threads of a scope with it, also when it panics: the scope waits for them.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes the processors away until it is over.
fn starve<'scope, 'env>(scope: &'scope std::thread::Scope<'scope, 'env>, over: &'env AtomicBool) {
    for _ in 0..BUSY {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
    }
}

#[test]
fn members_of_starved_groups_are_answered() {
    let _alone = alone();
    let broker = Broker::builder().start_blocking().unwrap();
    let scene = Scene {
        broker: &broker,
        over: AtomicBool::new(false),
        answered: Mutex::default(),
        stuck: Mutex::default(),
    };
    let begun = Instant::now();
    let goes_on = || {
        let answered = scene.answered.lock().unwrap();
        let both = ["JoinGroup", "SyncGroup"].iter().all(|kind| answered.contains_key(kind));
        begun.elapsed() < LASTS || (!both && begun.elapsed() < ANSWERED)
    };
    std::thread::scope(|scope| {
        let _end = End(&scene.over);
        starve(scope, &scene.over);
        for number in 0..GROUPS * MEMBERS {
            let client = Client::connect(&broker);
            client.patience(ANSWERED);
            let member = Member {
                scene: &scene,
                client,
                group: format!("group-{}", number % GROUPS),
                id: String::new(),
                generation: -1,
                random: Random(0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1)),
            };
            scope.spawn(|| member.live());
        }
        let mut random = Random(7);
        while goes_on() && !scene.over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
            match random.below(20) {
                0 => broker.restart_node(1).unwrap(),
                1..4 => broker.move_group_coordinator(&format!("group-{}", random.below(6))),
                _ => {}
            }
        }
    });
    let answered = scene.answered.into_inner().unwrap();
    println!("answered: {answered:?}");
    assert_eq!(scene.stuck.into_inner().unwrap(), Vec::<String>::new());
    assert!(answered.contains_key("JoinGroup") && answered.contains_key("SyncGroup"));
}

/// Each record is written when the fetch for it is on its way, at any moment of its handling.
#[test]
fn a_starved_reader_is_woken_by_every_record() {
    let _alone = alone();
    let broker = Broker::builder().start_blocking().unwrap();
    broker.create_topic("topic", 1).unwrap();
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let until = Instant::now() + LASTS;
    let mut client = Client::connect(&broker);
    let records = std::thread::scope(|scope| {
        let _end = End(&over);
        starve(scope, &over);
        scope.spawn(|| {
            let mut written = 0;
            while !over.load(Ordering::Relaxed) {
                if asked.load(Ordering::Acquire) > written {
                    broker.append("topic", 0, [(None, Some("record"), 1)]).unwrap();
                    written += 1;
                }
                std::hint::spin_loop();
            }
        });
        let mut offset = 0;
        let mut stuck = None;
        // Once at least: on a slow machine the threads alone may take the time to begin.
        while offset == 0 || Instant::now() < until {
            let partition = FetchPartition::default()
                .with_fetch_offset(offset)
                .with_current_leader_epoch(-1)
                .with_partition_max_bytes(1 << 20);
            let topic = FetchTopic::default()
                .with_topic(text("topic").into())
                .with_partitions(vec![partition]);
            let request = FetchRequest::default()
                .with_min_bytes(1)
                .with_max_bytes(1 << 20)
                .with_max_wait_ms(20_000)
                .with_topics(vec![topic]);
            client.send(ApiKey::Fetch, 11, &RequestKind::Fetch(request)).unwrap();
            asked.fetch_add(1, Ordering::Release);
            let ResponseKind::Fetch(answer) = client.receive(ApiKey::Fetch, 11).unwrap() else {
                panic!("another answer")
            };
            let records = answer.responses[0].partitions[0].records.clone();
            if records.is_none_or(|records| records.is_empty()) {
                stuck = Some(offset);
                break;
            }
            offset += 1;
        }
        assert_eq!(stuck, None, "the fetch slept through the record at this offset");
        offset
    });
    println!("{records} records");
    assert!(records > 0);
}
