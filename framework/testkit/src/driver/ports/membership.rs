//! A member of a group of the classic protocol: join, sync, heartbeats.
//!
//! It goes one step at a time, so that one thread can serve all members of a group. It knows which
//! partitions it was assigned, and not what is done with them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerProtocolSubscription, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, MetadataRequest, SyncGroupRequest, SyncGroupResponse,
};
use oncestream_broker::PendingAnswer;
use oncestream_core::TopicPartition;
use oncestream_engine::ports::{Subscription, Topics};
use oncestream_engine::{ClientError, ClientFault as _};
use regex::Regex;

use super::super::crash::CommitStep;
use super::assignor::range;
use super::errors;
use super::link::{Link, taken, text};
use super::offsets::Generation;
use super::protocol::{decode, decode_assignment, encode, encode_assignment};

/// How often topics are looked for that a pattern matches, as a client does.
const LOOK_EVERY: Duration = Duration::from_mins(5);
const RANGE: &str = "range";
const CONSUMER: &str = "consumer";

enum State {
    /// Not in the group, or about to join it again.
    Out,
    Joining(PendingAnswer),
    Syncing(PendingAnswer),
    Stable,
}

/// What became of a step.
pub(super) enum Step {
    /// Nothing new, or an answer is waited for.
    Nothing,
    /// These partitions are this member's.
    Assigned(Vec<TopicPartition>),
    /// The group rebalances: partitions are to be given up, and then it joins again.
    Rebalance,
    /// The group has gone on without this member.
    Lost,
}

/// A member of a group.
pub(super) struct Membership {
    link: Link,
    group: String,
    session_timeout: Duration,
    rebalance_timeout: Duration,
    named: Vec<Arc<str>>,
    patterns: Vec<Regex>,
    state: State,
    member: String,
    generation: i32,
    /// The topics of the subscription that are there, as of the last join.
    topics: Topics,
    look: bool,
    next_look: Option<Instant>,
}

/// What a member is made with.
pub(super) struct GroupOptions {
    pub(super) group: String,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
}

impl Membership {
    /// # Errors
    /// A pattern is none.
    pub(super) fn new(
        link: Link,
        options: GroupOptions,
        subscription: &Subscription,
    ) -> Result<Self, regex::Error> {
        // Whole names match.
        let patterns = subscription.patterns.iter().map(|p| Regex::new(&format!("^(?:{p})$")));
        Ok(Self {
            link,
            group: options.group,
            session_timeout: options.session_timeout,
            rebalance_timeout: options.rebalance_timeout,
            named: subscription.topics.clone(),
            patterns: patterns.collect::<Result<_, _>>()?,
            state: State::Out,
            member: String::new(),
            generation: -1,
            topics: Topics::new(),
            look: false,
            next_look: None,
        })
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }

    pub(super) fn member_id(&self) -> Option<String> {
        Some(self.member.clone()).filter(|member| !member.is_empty())
    }

    /// The newest generation that was joined.
    pub(super) fn generation(&self) -> Option<Generation> {
        let (group, member) = (self.group.clone(), self.member_id()?);
        Some(Generation { group, member, id: self.generation }).filter(|g| g.id >= 0)
    }

    /// Looks for topics at the next step.
    pub(super) fn look_for_topics(&mut self) {
        self.look = true;
    }

    /// Partitions were given up: it joins at the next step.
    pub(super) fn rejoin(&mut self) {
        self.state = State::Out;
    }

    /// Leaves the group.
    pub(super) fn leave(&mut self) {
        let Some(member) = self.member_id() else { return };
        let member = MemberIdentity::default().with_member_id(text(&member));
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_members(vec![member]);
        // Whoever does not get through is thrown out when its session is over.
        let _ = self.link.call(request);
        self.state = State::Out;
        self.named(String::new());
    }

    /// The coordinator has named this member, or does not know it any more.
    fn named(&mut self, member: String) {
        self.link.site.set_member(&member);
        self.member = member;
    }

    /// Goes a step further.
    ///
    /// # Errors
    /// The coordinator refuses this member for good, or the instance has crashed.
    pub(super) fn step(&mut self) -> Result<Step, ClientError> {
        loop {
            let polled = match &mut self.state {
                State::Out => {
                    self.join()?;
                    continue;
                }
                State::Joining(pending) => {
                    let Some(answer) = taken::<JoinGroupRequest>(pending) else {
                        return Ok(Step::Nothing);
                    };
                    self.joined(answer?)
                }
                State::Syncing(pending) => {
                    let Some(answer) = taken::<SyncGroupRequest>(pending) else {
                        return Ok(Step::Nothing);
                    };
                    self.synced(answer?)
                }
                State::Stable => self.stay(),
            };
            if let Some(step) = polled? {
                return Ok(step);
            }
        }
    }

    /// The topics of the subscription that are there.
    fn subscribed(&self) -> Result<Topics, ClientError> {
        let topics = topics(&self.link)?;
        let is_wanted = |topic: &Arc<str>| {
            self.named.contains(topic) || self.patterns.iter().any(|p| p.is_match(topic))
        };
        Ok(topics.into_iter().filter(|(topic, _)| is_wanted(topic)).collect())
    }

    fn join(&mut self) -> Result<(), ClientError> {
        self.topics = self.subscribed()?;
        self.next_look = Some(self.link.site.now() + LOOK_EVERY);
        self.look = false;
        if !self.member.is_empty() {
            self.link.site.pass(CommitStep::BeforeJoin)?;
        }
        let topics = self.topics.keys().map(|topic| text(topic)).collect();
        let subscription = ConsumerProtocolSubscription::default().with_topics(topics);
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text(RANGE))
            .with_metadata(encode(&subscription));
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_session_timeout_ms(millis(self.session_timeout))
            .with_rebalance_timeout_ms(millis(self.rebalance_timeout))
            .with_member_id(text(&self.member))
            .with_protocol_type(text(CONSUMER))
            .with_protocols(vec![protocol]);
        self.state = State::Joining(self.link.send(request));
        Ok(())
    }

    fn joined(&mut self, answer: JoinGroupResponse) -> Result<Option<Step>, ClientError> {
        let error = answer.error_code;
        if error == ResponseError::MemberIdRequired.code() {
            self.named(answer.member_id.to_string());
            self.state = State::Out;
            return Ok(None);
        }
        if let Err(error) = errors::check(error) {
            return self.again(error).map(|()| None);
        }
        self.named(answer.member_id.to_string());
        self.generation = answer.generation_id;
        let assignments =
            if answer.leader == answer.member_id { self.assignments(&answer)? } else { Vec::new() };
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.member))
            .with_protocol_type(Some(text(CONSUMER)))
            .with_protocol_name(Some(text(RANGE)))
            .with_assignments(assignments);
        self.state = State::Syncing(self.link.send(request));
        Ok(None)
    }

    /// What the leader gives to each member.
    fn assignments(
        &self,
        joined: &JoinGroupResponse,
    ) -> Result<Vec<SyncGroupRequestAssignment>, ClientError> {
        let mut members = BTreeMap::new();
        for member in &joined.members {
            let mut metadata = member.metadata.clone();
            let topics = decode::<ConsumerProtocolSubscription>(&mut metadata)
                .map(|s| s.topics.iter().map(ToString::to_string).collect())
                .unwrap_or_default();
            members.insert(member.member_id.to_string(), topics);
        }
        let partitions = topics(&self.link)?;
        let each = range(&members, &partitions).into_iter().map(|(member, partitions)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(&member))
                .with_assignment(encode_assignment(&partitions))
        });
        Ok(each.collect())
    }

    fn synced(&mut self, answer: SyncGroupResponse) -> Result<Option<Step>, ClientError> {
        if let Err(error) = errors::check(answer.error_code) {
            return self.again(error).map(|()| None);
        }
        self.state = State::Stable;
        Ok(Some(Step::Assigned(decode_assignment(answer.assignment))))
    }

    /// Keeps the membership, and looks for topics when it is time.
    fn stay(&mut self) -> Result<Option<Step>, ClientError> {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.member));
        let answer = self.link.call(request)?;
        if answer.error_code == ResponseError::RebalanceInProgress.code() {
            return Ok(Some(Step::Rebalance));
        }
        if let Err(error) = errors::check(answer.error_code) {
            self.again(error)?;
            return Ok(Some(Step::Lost));
        }
        let now = self.link.site.now();
        if self.look || self.next_look.is_none_or(|at| now >= at) {
            self.look = false;
            self.next_look = Some(now + LOOK_EVERY);
            if self.subscribed()? != self.topics {
                return Ok(Some(Step::Rebalance));
            }
        }
        Ok(Some(Step::Nothing))
    }

    /// Joins again after a refusal that a member gets over.
    fn again(&mut self, error: ClientError) -> Result<(), ClientError> {
        if !error.is_transient() {
            return Err(error);
        }
        if error.code() != Some(ResponseError::RebalanceInProgress.code().into()) {
            self.named(String::new());
            self.generation = -1;
        }
        self.state = State::Out;
        Ok(())
    }
}

/// Every topic with its number of partitions.
pub(super) fn topics(link: &Link) -> Result<Topics, ClientError> {
    let answer = link.call(MetadataRequest::default().with_topics(None))?;
    let each = answer.topics.into_iter().filter(|topic| topic.error_code == 0);
    Ok(each
        .filter_map(|topic| Some((topic.name?.as_str().into(), topic.partitions.len() as i32)))
        .collect())
}

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}
