//! The state of one group: members, leader, generation, protocol.
//!
//! Owns the rules that keep them consistent; the phases of a rebalance are in `join`, `rebalance`
//! and `sync`. Does not know other groups, and has no clock.
//! Invariants: a group has a leader exactly if it has members; at most one member per instance id;
//! some protocol is supported by all members; `Empty` means no members.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;

use super::member::Member;
use super::offsets::Offsets;
use super::settings::GroupSettings;
use super::subscription::subscribed_topics;

/// The state of a group, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// No members; offsets may be committed by anyone.
    Empty,
    /// Members are asked to join again.
    PreparingRebalance,
    /// All have joined; the leader's assignment is awaited.
    CompletingRebalance,
    /// Every member has, or may ask for, its assignment.
    Stable,
    /// There is no such group.
    Dead,
}

impl GroupState {
    /// Kafka's name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What every step of a group is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) settings: &'a GroupSettings,
    pub(super) now: Instant,
}

/// When the join phase ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct JoinTimer {
    pub(super) at: Instant,
    /// The first rebalance of an empty group: this wait, and how much longer it may be extended.
    pub(super) initial: Option<(Duration, Duration)>,
}

/// What Kafka would find of the group in its log.
#[derive(Debug, Default)]
struct Logged {
    generation: i32,
    protocol_type: Option<String>,
    protocol_name: Option<String>,
    leader: Option<String>,
    members: Vec<Member>,
}

/// One group, with its offsets.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) state: GroupState,
    /// In `PreparingRebalance`: the group was empty before, so it waits for the initial delay.
    pub(super) initial: bool,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol_name: Option<String>,
    pub(super) leader: Option<String>,
    /// In the order they joined.
    pub(super) members: Vec<Member>,
    /// Ids given out with `MEMBER_ID_REQUIRED`, and until when they are kept.
    pub(super) pending: Vec<(String, Instant)>,
    /// Members that owe a sync for this generation.
    pub(super) pending_sync: HashSet<String>,
    /// A member came during the initial delay, so the delay is extended.
    pub(super) new_member_added: bool,
    pub(super) join_timer: Option<JoinTimer>,
    pub(super) sync_deadline: Option<Instant>,
    /// Topics of the members' subscriptions at the last generation, if they could be read.
    subscribed: Option<HashSet<String>>,
    logged: Logged,
    pub(super) offsets: Offsets,
}

impl Group {
    /// An empty group of generation 0.
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            state: GroupState::Empty,
            initial: false,
            generation: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: Vec::new(),
            pending: Vec::new(),
            pending_sync: HashSet::new(),
            new_member_added: false,
            join_timer: None,
            sync_deadline: None,
            subscribed: None,
            logged: Logged::default(),
            offsets: Offsets::default(),
        }
    }

    /// Where a member is in `members`.
    pub(super) fn index_of(&self, member_id: &str) -> Option<usize> {
        self.members.iter().position(|member| member.id == member_id)
    }

    /// Where the member of an instance id is in `members`.
    pub(super) fn index_of_instance(&self, instance_id: &str) -> Option<usize> {
        self.members.iter().position(|member| member.instance_id.as_deref() == Some(instance_id))
    }

    /// True if the id was given out and not used yet.
    pub(super) fn is_pending(&self, member_id: &str) -> bool {
        self.pending.iter().any(|(id, _)| id == member_id)
    }

    /// True if this member leads the group.
    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Finds the member a request speaks for.
    ///
    /// # Errors
    ///
    /// `FencedInstanceId` if another member has the instance id by now, `UnknownMemberId`.
    pub(super) fn validate(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<usize, ResponseError> {
        if let Some(instance_id) = instance_id {
            let index =
                self.index_of_instance(instance_id).ok_or(ResponseError::UnknownMemberId)?;
            if self.members[index].id != member_id {
                return Err(ResponseError::FencedInstanceId);
            }
        }
        self.index_of(member_id).ok_or(ResponseError::UnknownMemberId)
    }

    /// Adds a member; the first one leads, and decides the protocol type.
    pub(super) fn add(&mut self, member: Member, protocol_type: String) -> usize {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type);
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.pending.retain(|(id, _)| *id != member.id);
        self.members.push(member);
        self.members.len() - 1
    }

    /// Removes a member or a pending one. What it waits for is answered with `UNKNOWN_MEMBER_ID`,
    /// so that it comes back if it is alive.
    pub(super) fn remove(&mut self, member_id: &str) {
        if let Some(index) = self.index_of(member_id) {
            let mut member = self.members.remove(index);
            member.fail_join(String::new(), ResponseError::UnknownMemberId);
            member.fail_sync(ResponseError::UnknownMemberId);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.first().map(|member| member.id.clone());
        }
        self.pending.retain(|(id, _)| id != member_id);
        self.pending_sync.remove(member_id);
    }

    /// True if a member with these protocols fits in with the others.
    pub(super) fn supports(
        &self,
        protocol_type: &str,
        protocols: &[(String, bytes::Bytes)],
    ) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| self.all_support(name))
    }

    fn all_support(&self, protocol: &str) -> bool {
        self.members.iter().all(|member| member.supports(protocol))
    }

    /// The protocol of the next generation: each member votes for the first in its list that all
    /// support. Among equals the one voted for first, where Kafka takes any.
    pub(super) fn select_protocol(&self) -> Option<&str> {
        let mut votes: Vec<(&str, usize)> = Vec::new();
        let names = self.members.first()?.protocols.iter().map(|(name, _)| name.as_str());
        let candidates: HashSet<&str> = names.filter(|name| self.all_support(name)).collect();
        for member in &self.members {
            let mut names = member.protocols.iter().map(|(name, _)| name.as_str());
            let Some(vote) = names.find(|name| candidates.contains(name)) else { continue };
            match votes.iter_mut().find(|(name, _)| *name == vote) {
                Some((_, count)) => *count += 1,
                None => votes.push((vote, 1)),
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max()?;
        votes.iter().find(|(_, count)| *count == most).map(|(name, _)| *name)
    }

    /// How long the slowest member may take to join again.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members.iter().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// True if every member has joined and no id given out is unused.
    pub(super) fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.iter().all(|member| member.join.is_some())
    }

    /// True if the group's members are plain consumers.
    pub(super) fn is_consumer_group(&self) -> bool {
        self.protocol_type.as_deref() == Some("consumer")
    }

    /// True if the members read the topic, or if that is not known of a group of consumers.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_consumer_group(),
        }
    }

    /// Reads the subscriptions again, at the start of a generation.
    pub(super) fn refresh_subscribed_topics(&mut self) {
        self.subscribed = if self.is_consumer_group() { self.read_subscriptions() } else { None };
    }

    fn read_subscriptions(&self) -> Option<HashSet<String>> {
        let protocol = self.protocol_name.as_deref();
        let mut topics = HashSet::new();
        for member in &self.members {
            topics.extend(subscribed_topics(member.metadata(protocol))?);
        }
        Some(topics)
    }

    /// Marks the present state as the one that survives a move of the coordinator. Called where
    /// Kafka writes the group to its log.
    pub(super) fn log(&mut self) {
        let protocol = self.protocol_name.as_deref();
        self.logged = Logged {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            members: self.members.iter().map(|member| member.as_logged(protocol)).collect(),
        };
    }

    /// A new coordinator has read the group from the log: a rebalance under way is forgotten,
    /// parked requests are answered with `NOT_COORDINATOR`, sessions start anew.
    pub(super) fn reload(&mut self, now: Instant) {
        for member in &mut self.members {
            member.fail_join(member.id.clone(), ResponseError::NotCoordinator);
            member.fail_sync(ResponseError::NotCoordinator);
        }
        let mut loaded = Self::new(&self.id);
        loaded.offsets = std::mem::take(&mut self.offsets);
        loaded.logged = std::mem::take(&mut self.logged);
        loaded.generation = loaded.logged.generation;
        loaded.protocol_type.clone_from(&loaded.logged.protocol_type);
        loaded.protocol_name.clone_from(&loaded.logged.protocol_name);
        loaded.leader.clone_from(&loaded.logged.leader);
        let protocol = loaded.protocol_name.as_deref();
        loaded.members = loaded.logged.members.iter().map(|m| m.as_logged(protocol)).collect();
        for member in &mut loaded.members {
            member.renew_session(now);
        }
        if !loaded.members.is_empty() {
            loaded.state = GroupState::Stable;
        }
        loaded.refresh_subscribed_topics();
        *self = loaded;
    }
}
