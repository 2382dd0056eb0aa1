//! A random walk of clients, transactions, time and faults, checked against invariants and a
//! naive model of the offsets. The seed is printed.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::*;

const GROUP: &str = "g";

/// xorshift64*: enough for a walk, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// A client: sends what it likes, with what it last heard.
#[derive(Default)]
struct Client {
    instance: Option<String>,
    member_id: String,
    generation: i32,
    /// Ids and generations it once had, to speak with the voice of the past.
    past: Vec<(i32, String)>,
}

#[derive(Default)]
struct Model {
    position: u64,
    committed: BTreeMap<i32, (u64, i64)>,
    pending: BTreeMap<(i64, i32), (u64, i64)>,
}

struct Walk {
    c: Coordinator,
    random: Random,
    clients: Vec<Client>,
    joins: Vec<(usize, Receiver<JoinAnswer>)>,
    syncs: Vec<Receiver<SyncAnswer>>,
    answered: usize,
    commits: usize,
    model: Model,
    generation: i32,
    present: HashSet<String>,
    gone: HashSet<String>,
    /// Who was told to lead, by generation.
    leaders: HashMap<i32, String>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let instance = |i: usize| (i < 2).then(|| format!("i{i}"));
        let client = |i| Client { instance: instance(i), ..Client::default() };
        let delay = if seed.is_multiple_of(2) { 0 } else { 100 };
        let max_size = if seed.is_multiple_of(3) { 3 } else { 100 };
        let settings = GroupSettings { initial_rebalance_delay: ms(delay), max_size, ..settings() };
        Self {
            c: Coordinator::with(settings),
            random: Random(seed * 0x9e37_79b9 + 1),
            clients: (0..5).map(client).collect(),
            joins: Vec::new(),
            syncs: Vec::new(),
            answered: 0,
            commits: 0,
            model: Model::default(),
            generation: 0,
            present: HashSet::new(),
            gone: HashSet::new(),
            leaders: HashMap::new(),
        }
    }

    fn step(&mut self) {
        let i = self.random.below(self.clients.len());
        match self.random.below(100) {
            0..25 => self.join(i),
            25..50 => self.sync(i),
            50..58 => self.heartbeat(i),
            58..61 => self.leave(i),
            61..72 => self.commit(i, None),
            72..82 => {
                let producer = self.random.below(3) as i64;
                self.commit(i, Some(producer));
            }
            82..88 => self.marker(),
            88..97 => {
                let wait = self.random.below(400) as u64;
                self.c.advance(wait);
            }
            97 => self.expire(i),
            98 => self.move_coordinator(),
            _ => self.delete(),
        }
        self.take_answers();
        self.check();
    }

    /// Mostly what the client last heard, sometimes an older voice.
    fn voice(&mut self, i: usize) -> (i32, String) {
        let past = self.clients[i].past.len();
        if past > 0 && self.random.below(4) == 0 {
            let index = self.random.below(past);
            return self.clients[i].past[index].clone();
        }
        (self.clients[i].generation, self.clients[i].member_id.clone())
    }

    fn join(&mut self, i: usize) {
        let fresh = self.random.below(5) == 0;
        let sticky = ("sticky".to_owned(), Bytes::from(vec![self.random.below(2) as u8]));
        let mut protocols = vec![("range".to_owned(), subscription("orders")), sticky];
        if self.random.below(2) == 0 {
            protocols.swap(0, 1);
        }
        let join = Join {
            instance_id: self.clients[i].instance.clone(),
            member_id: if fresh { String::new() } else { self.clients[i].member_id.clone() },
            protocols,
            session_timeout: ms(1_000),
            rebalance_timeout: ms(300 + self.random.below(600) as u64),
            require_known_member_id: self.random.below(2) == 0,
            supports_skipping_assignment: self.random.below(2) == 0,
            ..joining()
        };
        let receiver = self.c.join(join);
        self.joins.push((i, receiver));
    }

    fn sync(&mut self, i: usize) {
        let (generation_id, member_id) = self.voice(i);
        let (reply, receiver) = channel();
        let assignments = self.c.groups.describe(GROUP).map_or(vec![], |view| view.members);
        let assignments = assignments.into_iter().map(|m| (m.member_id, Bytes::from("a")));
        let sync = Sync {
            group_id: GROUP.into(),
            generation_id,
            member_id,
            instance_id: self.clients[i].instance.clone(),
            protocol_type: None,
            protocol_name: None,
            assignments: assignments.collect(),
        };
        self.c.groups.sync(sync, self.c.now, reply);
        self.syncs.push(receiver);
    }

    fn heartbeat(&mut self, i: usize) {
        let (generation, member) = self.voice(i);
        let instance = self.clients[i].instance.as_deref();
        let beat = self.c.groups.heartbeat(GROUP, generation, &member, instance, self.c.now);
        assert!(!(beat.is_ok() && self.gone.contains(&member)), "a gone member is alive");
    }

    fn leave(&mut self, i: usize) {
        let leaving = (self.voice(i).1, self.clients[i].instance.clone());
        assert_eq!(self.c.groups.leave(GROUP, vec![leaving], self.c.now).unwrap().len(), 1);
    }

    fn commit(&mut self, i: usize, producer: Option<i64>) {
        let (mut generation, mut member) = self.voice(i);
        let mut instance = self.clients[i].instance.clone();
        if self.random.below(6) == 0 {
            (generation, member, instance) = (-1, String::new(), None);
        }
        let (partition, offset) = (self.random.below(3) as i32, self.random.below(1_000) as i64);
        let offsets = vec![to_commit(partition, offset)];
        let commit = CommitOffsets {
            group: GROUP.into(),
            generation,
            member: member.clone(),
            instance,
            offsets,
        };
        let before = self.c.groups.describe(GROUP);
        let now = self.c.now;
        let answer = match producer {
            None => self.c.groups.commit_offsets(commit, now),
            Some(id) => self.c.groups.commit_offsets_in_transaction(commit, id, 0, now),
        };
        if answer.is_err() {
            return;
        }
        let state = before.as_ref().map_or(GroupState::Empty, |view| view.state);
        if generation >= 0 {
            let view = before.expect("a member's group");
            let is_member = view.members.iter().any(|m| m.member_id == member);
            assert!(is_member && view.generation_id == generation, "a stranger committed");
            assert!(!self.gone.contains(&member), "a fenced or expired member committed");
            assert!(producer.is_some() || state != GroupState::CompletingRebalance);
        } else {
            assert!(producer.is_some() || state == GroupState::Empty, "no member, yet committed");
        }
        self.commits += 1;
        self.model.position += 1;
        let stored = (self.model.position, offset);
        match producer {
            None => drop(self.model.committed.insert(partition, stored)),
            Some(id) => drop(self.model.pending.insert((id, partition), stored)),
        }
    }

    fn marker(&mut self) {
        let (producer, commit) = (self.random.below(3) as i64, self.random.below(2) == 0);
        self.c.groups.end_transaction(GROUP, producer, commit);
        for partition in 0..3 {
            let Some(stored) = self.model.pending.remove(&(producer, partition)) else { continue };
            if commit {
                let newest = self.model.committed.entry(partition).or_insert(stored);
                *newest = (*newest).max(stored);
            }
        }
    }

    fn expire(&mut self, i: usize) {
        let id = self.clients[i].member_id.clone();
        let there = self.present.contains(&id);
        let expired = self.c.groups.expire_member(GROUP, &id, self.c.now);
        assert!(expired || !there);
    }

    fn move_coordinator(&mut self) {
        self.c.groups.coordinator_moved(|_| true, self.c.now);
        // The log knows nothing of what was not completed: members come back, generations too.
        self.generation = 0;
        self.present.clear();
        self.gone.clear();
        self.leaders.clear();
    }

    fn delete(&mut self) {
        if self.c.groups.delete(GROUP).is_ok() {
            self.model = Model::default();
            self.generation = 0;
            self.leaders.clear();
        }
    }

    fn take_answers(&mut self) {
        let mut waiting = Vec::new();
        for (i, mut receiver) in self.joins.drain(..) {
            let Some(answer) = poll(&mut receiver) else {
                waiting.push((i, receiver));
                continue;
            };
            self.answered += 1;
            let client = &mut self.clients[i];
            client.past.push((client.generation, client.member_id.clone()));
            match answer.error {
                None => {
                    client.generation = answer.generation_id;
                    client.member_id.clone_from(&answer.member_id);
                    if answer.leader == answer.member_id {
                        let name = client.instance.clone().unwrap_or(answer.member_id);
                        let told = self.leaders.entry(answer.generation_id).or_insert(name.clone());
                        assert_eq!(*told, name, "two leaders in {}", answer.generation_id);
                    }
                }
                Some(ResponseError::MemberIdRequired) => client.member_id = answer.member_id,
                Some(ResponseError::RebalanceInProgress) => {}
                Some(_) => client.member_id.clear(),
            }
        }
        self.joins = waiting;
        let before = self.syncs.len();
        self.syncs.retain_mut(waits);
        self.answered += before - self.syncs.len();
    }

    fn check(&mut self) {
        let offsets: Vec<_> = (0..3).map(|partition| self.c.committed(partition)).collect();
        let model = (0..3).map(|p| self.model.committed.get(&p).map(|(_, offset)| *offset));
        assert_eq!(offsets, model.collect::<Vec<_>>(), "offsets");
        let deadlines = self.c.groups.by_name.values().filter_map(Group::next_deadline);
        if let Some(first) = deadlines.min() {
            let due = self.c.groups.next_due.expect("a deadline nobody looks at");
            assert!(due <= first, "a tick would miss a deadline");
        }
        let Some(view) = self.c.groups.describe(GROUP) else {
            self.generation = 0;
            self.leaders.clear();
            self.gone.extend(self.present.drain());
            return;
        };
        let pending: Vec<_> =
            view.pending_offsets.iter().map(|(id, _, p, offset)| ((*id, *p), *offset)).collect();
        let model = self.model.pending.iter().map(|(at, (_, offset))| (*at, *offset));
        assert_eq!(pending, model.collect::<Vec<_>>(), "pending offsets");
        assert!(view.generation_id >= self.generation, "the generation fell");
        self.generation = view.generation_id;
        let ids: HashSet<_> = view.members.iter().map(|m| m.member_id.clone()).collect();
        assert_eq!(ids.len(), view.members.len(), "two members of one id");
        let instances = view.members.iter().filter_map(|m| m.instance_id.as_ref());
        let (count, distinct) = (instances.clone().count(), instances.collect::<HashSet<_>>());
        assert_eq!(count, distinct.len(), "two members of one instance id");
        assert_eq!(view.leader.is_some(), !ids.is_empty());
        assert!(view.leader.iter().all(|leader| ids.contains(leader)), "the leader is a member");
        assert!(view.state != GroupState::Empty || ids.is_empty());
        assert!(ids.is_disjoint(&self.gone), "a member came back from the dead");
        self.gone.extend(self.present.difference(&ids).cloned());
        self.present = ids;
    }
}

#[test]
fn a_random_walk_keeps_the_invariants_and_answers_every_request() {
    for seed in 1..=60 {
        println!("seed {seed}");
        let mut walk = Walk::new(seed);
        for _ in 0..600 {
            walk.step();
        }
        for _ in 0..700 {
            walk.c.advance(1_000);
            walk.take_answers();
            walk.check();
        }
        assert!(walk.joins.is_empty() && walk.syncs.is_empty(), "unanswered requests");
        assert!(walk.answered > 200 && walk.commits > 5, "the walk went nowhere");
    }
}
