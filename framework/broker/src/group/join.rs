//! `JoinGroup`: who may enter a group, and under which id.
//!
//! Owns the answers that need no rebalance and the changes of membership that begin one. Does not
//! know when the join phase ends: that is `rebalance`.
//! Invariant: a join is answered at once or parked in its member, never dropped.

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::member::Member;
use super::request::{Join, JoinAnswer, Reply, answer};
use super::state::{Context, Group, GroupState};

impl Group {
    /// Handles a join; the group exists and the session timeout is a valid one.
    pub(super) fn join(&mut self, join: Join, cx: Context<'_>, reply: Reply<JoinAnswer>) {
        if !self.accepts(&join.member_id, cx) {
            self.remove(&join.member_id);
            return answer(reply, JoinAnswer::failed("", ResponseError::GroupMaxSizeReached));
        }
        if !self.supports(&join.protocol_type, &join.protocols) {
            let failed =
                JoinAnswer::failed(&join.member_id, ResponseError::InconsistentGroupProtocol);
            return answer(reply, failed);
        }
        if join.member_id.is_empty() {
            self.join_new(join, cx, reply);
        } else {
            self.join_known(join, cx, reply);
        }
    }

    /// True if there is room. While members join again, those that have count: so the last ones
    /// back are turned away if the group is too large.
    fn accepts(&self, member_id: &str, cx: Context<'_>) -> bool {
        let member = self.index_of(member_id).map(|index| &self.members[index]);
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                let joined = self.members.iter().filter(|member| member.join.is_some()).count();
                member.is_some_and(|member| member.join.is_some()) || joined < cx.settings.max_size
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                member.is_some() || self.members.len() < cx.settings.max_size
            }
        }
    }

    fn join_new(&mut self, join: Join, cx: Context<'_>, reply: Reply<JoinAnswer>) {
        let name = join.instance_id.as_ref().unwrap_or(&join.client_id);
        let member_id = format!("{name}-{}", Uuid::new_v4());
        let known = join.instance_id.as_deref().and_then(|id| self.index_of_instance(id));
        if let Some(index) = known {
            self.replace_static(index, member_id, join, cx, reply);
        } else if join.instance_id.is_none() && join.require_known_member_id {
            self.pending.push((member_id.clone(), cx.now + join.session_timeout));
            answer(reply, JoinAnswer::failed(member_id, ResponseError::MemberIdRequired));
        } else {
            self.add_member(member_id, join, cx, reply);
        }
    }

    fn add_member(
        &mut self,
        member_id: String,
        join: Join,
        cx: Context<'_>,
        reply: Reply<JoinAnswer>,
    ) {
        tracing::debug!(group = self.id, member = member_id, reason = join.reason, "member added");
        if self.state == GroupState::PreparingRebalance && self.initial {
            self.new_member_added = true;
        }
        let protocol_type = join.protocol_type.clone();
        let index = self.add(Member::new(member_id, join, reply), protocol_type);
        // It has no id to send heartbeats with; if it is still there it will try again.
        self.members[index].session_end = Some(cx.now + super::NEW_MEMBER_JOIN_TIMEOUT);
        self.rebalance_or_complete(cx);
    }

    fn join_known(&mut self, join: Join, cx: Context<'_>, reply: Reply<JoinAnswer>) {
        let member_id = join.member_id.clone();
        if self.is_pending(&member_id) {
            if join.instance_id.is_some() {
                // Kafka's own invariant breaks here, and so it answers.
                let failed = JoinAnswer::failed(member_id, ResponseError::UnknownServerError);
                return answer(reply, failed);
            }
            return self.add_member(member_id, join, cx, reply);
        }
        let index = match self.validate(&member_id, join.instance_id.as_deref()) {
            Ok(index) => index,
            Err(error) => return answer(reply, JoinAnswer::failed(member_id, error)),
        };
        let changed = self.members[index].protocols != join.protocols;
        let rebalance = match self.state {
            GroupState::PreparingRebalance => true,
            GroupState::CompletingRebalance => changed,
            // A leader that joins again wants a new assignment, though its metadata be the same.
            GroupState::Stable => changed || self.is_leader(&member_id),
            GroupState::Empty | GroupState::Dead => {
                let failed = JoinAnswer::failed(member_id, ResponseError::UnknownMemberId);
                return answer(reply, failed);
            }
        };
        if rebalance {
            tracing::debug!(group = self.id, member = member_id, reason = join.reason, "rejoin");
            self.members[index].rejoin(join, reply);
            self.rebalance_or_complete(cx);
        } else {
            answer(reply, self.joined(index));
        }
    }

    /// The answer of the present generation for a member.
    pub(super) fn joined(&self, index: usize) -> JoinAnswer {
        let member = &self.members[index];
        let members = if self.is_leader(&member.id) { self.members_for_leader() } else { vec![] };
        JoinAnswer {
            error: None,
            member_id: member.id.clone(),
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            members,
        }
    }

    fn members_for_leader(&self) -> Vec<(String, Option<String>, bytes::Bytes)> {
        let protocol = self.protocol_name.as_deref();
        let describe = |m: &Member| (m.id.clone(), m.instance_id.clone(), m.metadata(protocol));
        self.members.iter().map(describe).collect()
    }

    /// A static member came back without its id: it gets a new one, and the old one is fenced.
    fn replace_static(
        &mut self,
        index: usize,
        new_id: String,
        join: Join,
        cx: Context<'_>,
        reply: Reply<JoinAnswer>,
    ) {
        let skips = join.supports_skipping_assignment;
        let leader_before = self.leader.clone();
        let member = &mut self.members[index];
        let old_id = std::mem::replace(&mut member.id, new_id.clone());
        tracing::debug!(group = self.id, old_id, new_id, "static member replaced");
        member.fail_join(old_id.clone(), ResponseError::FencedInstanceId);
        member.fail_sync(ResponseError::FencedInstanceId);
        member.is_new = false;
        member.renew_session(cx.now);
        member.rejoin(join, reply);
        if self.is_leader(&old_id) {
            self.leader = Some(new_id);
        }
        match self.state {
            GroupState::Stable if self.select_protocol() == self.protocol_name.as_deref() => {
                self.log();
                self.welcome_back(index, skips, leader_before);
            }
            // In CompletingRebalance too: the leader may have been told the old id.
            GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(cx),
            _ => self.maybe_complete_join(cx),
        }
    }

    /// Answers a static member that came back to a stable group, without a rebalance. A leader
    /// that does not know how to skip the assignment is shown its old id, so that it follows.
    fn welcome_back(&mut self, index: usize, skips: bool, leader_before: Option<String>) {
        let mut welcome = self.joined(index);
        if skips {
            welcome.skip_assignment = self.is_leader(&welcome.member_id);
        } else {
            welcome.members.clear();
            welcome.leader = leader_before.unwrap_or_default();
        }
        if let Some(reply) = self.members[index].join.take() {
            answer(reply, welcome);
        }
    }
}
