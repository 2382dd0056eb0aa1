//! Time: sessions, unused member ids, the ends of the join and sync phases.
//!
//! Owns which of them is next and what its end means. Does not know the clock: `now` comes in.
//! Invariant: what is due is handled in the order of its deadlines, however late the tick is.

use std::time::Instant;

use super::state::{Context, Group, GroupState, JoinTimer};

/// What ends at a deadline. Members and ids are named by their place.
#[derive(Debug, Clone, Copy)]
enum Due {
    Join(JoinTimer),
    Sync,
    Session(usize),
    Pending(usize),
}

impl Group {
    /// The earliest deadline, if anything waits for one.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next_due().map(|(at, _)| at)
    }

    fn next_due(&self) -> Option<(Instant, Due)> {
        let join = self.join_timer.map(|timer| (timer.at, Due::Join(timer)));
        let sync = self.sync_deadline.map(|at| (at, Due::Sync));
        let sessions = self.members.iter().enumerate();
        let sessions = sessions.filter_map(|(i, m)| Some((m.session_end?, Due::Session(i))));
        let pending = self.pending.iter().enumerate().map(|(i, (_, at))| (*at, Due::Pending(i)));
        join.into_iter().chain(sync).chain(sessions).chain(pending).min_by_key(|(at, _)| *at)
    }

    /// Handles everything whose deadline has come.
    pub(super) fn expire(&mut self, cx: Context<'_>) {
        while let Some((at, due)) = self.next_due() {
            if at > cx.now {
                break;
            }
            match due {
                Due::Join(timer) => self.join_timer_fired(timer, cx),
                Due::Sync => self.sync_expired(cx),
                Due::Session(index) => self.session_ended(index, cx),
                Due::Pending(index) => {
                    self.pending.remove(index);
                    self.complete_join_if_all_are_here(cx);
                }
            }
        }
    }

    /// Members that never asked for their assignment are removed.
    fn sync_expired(&mut self, cx: Context<'_>) {
        self.sync_deadline = None;
        let late: Vec<String> = self.pending_sync.drain().collect();
        if late.is_empty() {
            return;
        }
        for member_id in late {
            tracing::debug!(group = self.id, member_id, "did not sync in time");
            self.remove(&member_id);
        }
        self.prepare_rebalance(cx);
    }

    fn session_ended(&mut self, index: usize, cx: Context<'_>) {
        let member = &mut self.members[index];
        member.session_end = None;
        if member.is_waiting() {
            return;
        }
        let member_id = member.id.clone();
        tracing::debug!(group = self.id, member_id, "session ended");
        self.expel(&member_id, cx);
    }

    /// Removes a member as the end of its session does, and lets the group go on without it.
    pub(super) fn expel(&mut self, member_id: &str, cx: Context<'_>) {
        let was_member = self.index_of(member_id).is_some();
        self.remove(member_id);
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance if was_member => {
                self.prepare_rebalance(cx);
            }
            _ => self.complete_join_if_all_are_here(cx),
        }
    }

    /// As Kafka does it when someone is removed: the initial delay is not waited for.
    fn complete_join_if_all_are_here(&mut self, cx: Context<'_>) {
        if self.state == GroupState::PreparingRebalance && self.all_joined() {
            self.complete_join(cx);
        }
    }

    /// True if Kafka's periodic clean-up removes the group: empty, and without offsets.
    pub(super) fn is_disposable(&self) -> bool {
        self.state == GroupState::Empty && self.offsets.is_empty()
    }
}
