//! `SyncGroup`, `Heartbeat` and `LeaveGroup`.
//!
//! Owns the way from `CompletingRebalance` to `Stable`. Assignments are opaque bytes.
//! Invariant: the leader's sync answers every parked sync of its generation.

use std::collections::HashMap;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::request::{Reply, Sync, SyncAnswer, answer};
use super::state::{Context, Group, GroupState};

impl Group {
    /// Handles a sync: parked until the leader's, which is answered at once.
    pub(super) fn sync(&mut self, sync: Sync, cx: Context<'_>, reply: Reply<SyncAnswer>) {
        let index = match self.validate_sync(&sync) {
            Ok(index) => index,
            Err(error) => return answer(reply, SyncAnswer::failed(error)),
        };
        match self.state {
            GroupState::PreparingRebalance => {
                answer(reply, SyncAnswer::failed(ResponseError::RebalanceInProgress));
            }
            GroupState::CompletingRebalance => {
                self.members[index].park_sync(reply);
                self.synced(&sync.member_id);
                if self.is_leader(&sync.member_id) {
                    self.assign(sync.assignments, cx);
                }
            }
            GroupState::Stable => {
                self.synced(&sync.member_id);
                answer(reply, self.assigned(index));
            }
            GroupState::Empty | GroupState::Dead => {
                answer(reply, SyncAnswer::failed(ResponseError::UnknownMemberId));
            }
        }
    }

    fn validate_sync(&self, sync: &Sync) -> Result<usize, ResponseError> {
        let index = self.validate(&sync.member_id, sync.instance_id.as_deref())?;
        if sync.generation_id != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        let differ = |asked: &Option<String>, ours: &Option<String>| {
            asked.is_some() && ours.is_some() && asked != ours
        };
        if differ(&sync.protocol_type, &self.protocol_type)
            || differ(&sync.protocol_name, &self.protocol_name)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        Ok(index)
    }

    fn synced(&mut self, member_id: &str) {
        self.pending_sync.remove(member_id);
        if self.pending_sync.is_empty() {
            self.sync_deadline = None;
        }
    }

    /// The leader's assignment: given to all, an empty one to who is not in it.
    fn assign(&mut self, assignments: Vec<(String, Bytes)>, cx: Context<'_>) {
        let mut assignments: HashMap<String, Bytes> = assignments.into_iter().collect();
        for member in &mut self.members {
            member.assignment = assignments.remove(&member.id).unwrap_or_default();
        }
        self.log();
        self.state = GroupState::Stable;
        for index in 0..self.members.len() {
            let assigned = self.assigned(index);
            let member = &mut self.members[index];
            if let Some(reply) = member.sync.take() {
                answer(reply, assigned);
                member.renew_session(cx.now);
            }
        }
    }

    fn assigned(&self, index: usize) -> SyncAnswer {
        SyncAnswer {
            error: None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: self.members[index].assignment.clone(),
        }
    }

    /// Renews a member's session.
    ///
    /// # Errors
    ///
    /// `RebalanceInProgress` tells it to join again; the errors of [`Group::validate`] and
    /// `IllegalGeneration` tell it that it is out.
    pub(super) fn heartbeat(
        &mut self,
        generation: i32,
        member_id: &str,
        instance_id: Option<&str>,
        cx: Context<'_>,
    ) -> Result<(), ResponseError> {
        let index = self.validate(member_id, instance_id)?;
        if generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        self.members[index].renew_session(cx.now);
        match self.state {
            GroupState::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Members leave, by id, or by instance id with an empty id. One answer per member.
    pub(super) fn leave(
        &mut self,
        members: Vec<(String, Option<String>)>,
        cx: Context<'_>,
    ) -> Vec<Result<(), ResponseError>> {
        let leave_one = |(member_id, instance_id): (String, Option<String>)| {
            self.leave_one(member_id, instance_id.as_deref())
        };
        let answers: Vec<_> = members.into_iter().map(leave_one).collect();
        if answers.iter().any(Result::is_ok) {
            match self.state {
                GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(cx),
                GroupState::PreparingRebalance => self.maybe_complete_join(cx),
                GroupState::Empty | GroupState::Dead => {}
            }
        }
        answers
    }

    fn leave_one(
        &mut self,
        member_id: String,
        instance_id: Option<&str>,
    ) -> Result<(), ResponseError> {
        let leaving = if member_id.is_empty() {
            let index = instance_id.and_then(|id| self.index_of_instance(id));
            self.members[index.ok_or(ResponseError::UnknownMemberId)?].id.clone()
        } else {
            if !self.is_pending(&member_id) {
                self.validate(&member_id, instance_id)?;
            }
            member_id
        };
        tracing::debug!(group = self.id, member = leaving, "member left");
        self.remove(&leaving);
        Ok(())
    }
}
