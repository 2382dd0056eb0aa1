//! The join phase: when it begins, how long it waits, and how it ends.
//!
//! Owns the way from any state to `CompletingRebalance` or `Empty`. Does not know requests.
//! Invariant: the generation is raised here and nowhere else, once per ended join phase.

use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::request::answer;
use super::state::{Context, Group, GroupState, JoinTimer};

impl Group {
    /// Begins a rebalance, or ends the join phase if one is under way and all are here.
    pub(super) fn rebalance_or_complete(&mut self, cx: Context<'_>) {
        if self.state == GroupState::PreparingRebalance {
            self.maybe_complete_join(cx);
        } else {
            self.prepare_rebalance(cx);
        }
    }

    /// Ends the join phase if all are here; not the first one of an empty group, whose delay
    /// lets more members come.
    pub(super) fn maybe_complete_join(&mut self, cx: Context<'_>) {
        if self.state == GroupState::PreparingRebalance && !self.initial && self.all_joined() {
            self.complete_join(cx);
        }
    }

    /// Asks all members to join again.
    pub(super) fn prepare_rebalance(&mut self, cx: Context<'_>) {
        if self.state == GroupState::CompletingRebalance {
            for member in &mut self.members {
                member.assignment.clear();
                if member.sync.is_some() {
                    member.fail_sync(ResponseError::RebalanceInProgress);
                    member.renew_session(cx.now);
                }
            }
        }
        self.pending_sync.clear();
        self.sync_deadline = None;
        self.initial = self.state == GroupState::Empty;
        self.state = GroupState::PreparingRebalance;
        if self.initial {
            let delay = cx.settings.initial_rebalance_delay;
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            if delay.is_zero() {
                self.complete_join(cx);
            } else {
                self.wait_for_members(delay, remaining, cx);
            }
        } else if self.all_joined() {
            self.complete_join(cx);
        } else {
            self.join_timer =
                Some(JoinTimer { at: cx.now + self.rebalance_timeout(), initial: None });
        }
    }

    fn wait_for_members(&mut self, delay: Duration, remaining: Duration, cx: Context<'_>) {
        self.join_timer = Some(JoinTimer { at: cx.now + delay, initial: Some((delay, remaining)) });
    }

    /// The time of the join phase is up. An initial delay is extended while members keep coming,
    /// up to the rebalance timeout.
    pub(super) fn join_timer_fired(&mut self, timer: JoinTimer, cx: Context<'_>) {
        match timer.initial {
            Some((delay, remaining)) if self.new_member_added && !remaining.is_zero() => {
                self.new_member_added = false;
                let next = cx.settings.initial_rebalance_delay.min(remaining);
                self.wait_for_members(next, remaining.saturating_sub(delay), cx);
            }
            _ => self.complete_join(cx),
        }
    }

    /// Ends the join phase: dynamic members that did not join again are removed, the others form
    /// the next generation.
    pub(super) fn complete_join(&mut self, cx: Context<'_>) {
        self.join_timer = None;
        let late = self.members.iter().filter(|m| m.join.is_none() && m.instance_id.is_none());
        let late: Vec<String> = late.map(|member| member.id.clone()).collect();
        for member_id in late {
            tracing::debug!(group = self.id, member_id, "did not join again in time");
            self.remove(&member_id);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Static members alone, and none is back: wait until one is or their sessions end.
            let wait = self.rebalance_timeout().max(Duration::from_millis(1));
            self.join_timer = Some(JoinTimer { at: cx.now + wait, initial: None });
            return;
        }
        self.generation += 1;
        self.pending_sync.clear();
        self.protocol_name = self.select_protocol().map(str::to_owned);
        self.refresh_subscribed_topics();
        if self.members.is_empty() {
            self.state = GroupState::Empty;
            self.log();
        } else {
            self.state = GroupState::CompletingRebalance;
            self.answer_joins(cx);
        }
    }

    /// Hands the leadership to a member that joined, if the leader did not. False if none did.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &String| self.members.iter().any(|m| m.id == *id && m.join.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.iter().find(|member| member.join.is_some());
        let Some(member_id) = joined.map(|member| member.id.clone()) else { return false };
        self.leader = Some(member_id);
        true
    }

    fn answer_joins(&mut self, cx: Context<'_>) {
        for index in 0..self.members.len() {
            let joined = self.joined(index);
            let member = &mut self.members[index];
            if let Some(reply) = member.join.take() {
                answer(reply, joined);
            }
            member.renew_session(cx.now);
            member.is_new = false;
            self.pending_sync.insert(member.id.clone());
        }
        self.sync_deadline = Some(cx.now + self.rebalance_timeout());
    }
}
