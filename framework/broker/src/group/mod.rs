//! The group coordinator: consumer groups of the classic protocol, and their offsets.
//!
//! Owns all groups of the cluster by name, and the deadlines in them. Does not know connections,
//! topics or wire formats; has no clock: time comes in. Which node coordinates a group is the
//! caller's matter.
//! Invariants: every reply is answered once; a generation never falls but by a move of the
//! coordinator, which forgets a rebalance that was not logged; a tick costs nothing when nothing
//! is due.

mod commit;
mod expire;
mod join;
mod member;
mod offsets;
mod rebalance;
mod request;
mod settings;
mod state;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;

pub(crate) use request::{
    CommitOffsets, Join, JoinAnswer, OffsetToCommit, Reply, Sync, SyncAnswer,
};
pub(crate) use settings::GroupSettings;
pub use state::GroupState;
pub use view::{CommittedOffset, GroupView, MemberView};

use request::answer;
use state::{Context, Group};

/// How long the first join of a member may be parked, as in Kafka.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_millis(300_000);
/// How often empty groups without offsets are removed: Kafka's
/// `offsets.retention.check.interval.ms`.
const CLEAN_UP_INTERVAL: Duration = Duration::from_millis(600_000);

/// All groups of a cluster, with their offsets.
#[derive(Debug)]
pub(crate) struct Groups {
    settings: GroupSettings,
    by_name: BTreeMap<String, Group>,
    /// The latest epoch seen of each producer that committed offsets in a transaction.
    producer_epochs: HashMap<i64, i16>,
    /// No deadline is earlier.
    next_due: Option<Instant>,
    next_clean_up: Option<Instant>,
}

impl Groups {
    /// No groups yet.
    pub(crate) fn new(settings: GroupSettings) -> Self {
        Self {
            settings,
            by_name: BTreeMap::new(),
            producer_epochs: HashMap::new(),
            next_due: None,
            next_clean_up: None,
        }
    }

    /// Handles a `JoinGroup`. The answer comes when the rebalance has all members, or at once.
    pub(crate) fn join(&mut self, join: Join, now: Instant, reply: Reply<JoinAnswer>) {
        let refused = if join.group_id.is_empty() {
            Some(ResponseError::InvalidGroupId)
        } else if join.session_timeout < self.settings.min_session_timeout
            || join.session_timeout > self.settings.max_session_timeout
        {
            Some(ResponseError::InvalidSessionTimeout)
        } else if !join.member_id.is_empty() && !self.by_name.contains_key(&join.group_id) {
            Some(ResponseError::UnknownMemberId)
        } else {
            None
        };
        if let Some(error) = refused {
            return answer(reply, JoinAnswer::failed(join.member_id, error));
        }
        let group_id = join.group_id.clone();
        self.get_or_create(&group_id, now);
        self.change(&group_id, now, |group, cx| group.join(join, cx, reply));
    }

    /// Handles a `SyncGroup`. The answer comes with the leader's assignment, or at once.
    pub(crate) fn sync(&mut self, sync: Sync, now: Instant, reply: Reply<SyncAnswer>) {
        let group_id = sync.group_id.clone();
        match self.known_group(&group_id, ResponseError::UnknownMemberId) {
            Err(error) => answer(reply, SyncAnswer::failed(error)),
            Ok(_) => {
                self.change(&group_id, now, |group, cx| group.sync(sync, cx, reply));
            }
        }
    }

    /// Handles a `Heartbeat`.
    ///
    /// # Errors
    ///
    /// `RebalanceInProgress`, `IllegalGeneration`, `UnknownMemberId`, `FencedInstanceId`,
    /// `InvalidGroupId`.
    pub(crate) fn heartbeat(
        &mut self,
        group: &str,
        generation: i32,
        member: &str,
        instance: Option<&str>,
        now: Instant,
    ) -> Result<(), ResponseError> {
        self.known_group(group, ResponseError::UnknownMemberId)?;
        self.change(group, now, |group, cx| group.heartbeat(generation, member, instance, cx))
            .unwrap_or(Err(ResponseError::UnknownMemberId))
    }

    /// Handles a `LeaveGroup`: one answer per member (before version 3 there is one member, and
    /// its error is the request's).
    ///
    /// # Errors
    ///
    /// `InvalidGroupId`. In an unknown group every member is unknown.
    pub(crate) fn leave(
        &mut self,
        group: &str,
        members: Vec<(String, Option<String>)>,
        now: Instant,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        let count = members.len();
        match self.known_group(group, ResponseError::UnknownMemberId) {
            Err(ResponseError::InvalidGroupId) => Err(ResponseError::InvalidGroupId),
            _ => Ok(self
                .change(group, now, |group, cx| group.leave(members, cx))
                .unwrap_or_else(|| vec![Err(ResponseError::UnknownMemberId); count])),
        }
    }

    /// Handles a `DeleteGroups` for one group.
    ///
    /// # Errors
    ///
    /// `GroupIdNotFound`, `NonEmptyGroup`.
    pub(crate) fn delete(&mut self, group: &str) -> Result<(), ResponseError> {
        let found = self.by_name.get(group).ok_or(ResponseError::GroupIdNotFound)?;
        if found.state != GroupState::Empty {
            return Err(ResponseError::NonEmptyGroup);
        }
        self.by_name.remove(group);
        Ok(())
    }

    /// Handles what is due: sessions, rebalance timeouts, the initial delay, unused member ids.
    /// Called every few milliseconds.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.next_due.is_none_or(|due| now < due) {
            return;
        }
        let cx = Context { settings: &self.settings, now };
        for group in self.by_name.values_mut() {
            group.expire(cx);
        }
        if self.next_clean_up.is_some_and(|at| at <= now) {
            self.by_name.retain(|_, group| !group.is_disposable());
            self.next_clean_up = Some(now + CLEAN_UP_INTERVAL).filter(|_| !self.by_name.is_empty());
        }
        let deadlines = self.by_name.values().filter_map(Group::next_deadline);
        self.next_due = deadlines.chain(self.next_clean_up).min();
    }

    /// A fault: the member (by id or instance id) is removed at once, as if its session had ended.
    /// False if there is none.
    pub(crate) fn expire_member(&mut self, group: &str, member: &str, now: Instant) -> bool {
        let expelled = self.change(group, now, |group, cx| {
            let by_instance = group.index_of_instance(member);
            let index = group.index_of(member).or(by_instance);
            let id = match index {
                Some(index) => group.members[index].id.clone(),
                None if group.is_pending(member) => member.to_owned(),
                None => return false,
            };
            group.expel(&id, cx);
            true
        });
        expelled.unwrap_or(false)
    }

    /// The coordinator of these groups moved or restarted: parked requests are answered with
    /// `NOT_COORDINATOR`, and each group is what Kafka would read from its log: the last completed
    /// generation, with sessions that start anew. A rebalance under way is forgotten.
    pub(crate) fn coordinator_moved(&mut self, groups: impl Fn(&str) -> bool, now: Instant) {
        let moved: Vec<String> = self.by_name.keys().filter(|id| groups(id)).cloned().collect();
        for group_id in moved {
            self.change(&group_id, now, |group, cx| group.reload(cx.now));
        }
    }

    /// Runs one step of a group, and keeps `next_due`.
    fn change<T>(
        &mut self,
        group_id: &str,
        now: Instant,
        step: impl FnOnce(&mut Group, Context<'_>) -> T,
    ) -> Option<T> {
        let group = self.by_name.get_mut(group_id)?;
        let result = step(group, Context { settings: &self.settings, now });
        self.next_due = self.next_due.into_iter().chain(group.next_deadline()).min();
        Some(result)
    }

    fn known_group(
        &mut self,
        group_id: &str,
        unknown: ResponseError,
    ) -> Result<&mut Group, ResponseError> {
        if group_id.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        self.by_name.get_mut(group_id).ok_or(unknown)
    }

    fn get_or_create(&mut self, group_id: &str, now: Instant) -> &mut Group {
        let clean_up = *self.next_clean_up.get_or_insert(now + CLEAN_UP_INTERVAL);
        self.next_due = self.next_due.into_iter().chain([clean_up]).min();
        self.by_name.entry(group_id.to_owned()).or_insert_with(|| Group::new(group_id))
    }
}
