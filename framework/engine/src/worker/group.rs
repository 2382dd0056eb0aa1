//! What the group's coordinator says after an assignment: that it is this member's, and who else is
//! in the group.
//!
//! - No task runs before the coordinator has said, of a stable group, that this member has these
//!   partitions. The worker then sends its offsets with the generation that it had joined when it
//!   asked. If the coordinator has a newer one, it refuses the offsets; if not, the partitions are this
//!   member's. The client alone cannot know (see `GroupConsumer::confirm`).
//! - A moment later the worker looks for a member that has its name, or one that is no worker at all.
//!   Each member has joined anew for this generation by then, so a former self that crashed is gone.
//!
//! The answers come while stores are restored.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::Worker;
use oncestream_core::TopicPartition;

use crate::error::StreamsError;
use crate::ports::{Cluster, Group, GroupConsumer, GroupMember, Ports};

/// How soon the worker asks a coordinator again that has not confirmed an assignment, and when it logs
/// that.
const CONFIRM_AGAIN: Duration = Duration::from_millis(100);
const TELL_AFTER: Duration = Duration::from_secs(10);
/// How long after an assignment the members are looked at, and how often while one is suspect.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// How long after a question that was not answered.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// A former self that crashed while it joined may be a member until its session is over.
const SESSION_GRACE: Duration = Duration::from_secs(3);

/// What a member is to this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    /// It is the worker itself, or another of the application.
    Own,
    /// It has the name of this worker, which is made of the instance's id.
    Twin,
    /// It has no worker's name: another program uses the application's id as its group.
    Stranger,
}

/// `unique` is false where the user gave one `client.id` to all instances.
fn relation(member: &GroupMember, own_id: &str, own_client_id: &str, unique: bool) -> Relation {
    if member.id == own_id {
        return Relation::Own;
    }
    match is_worker(&member.client_id) {
        false => Relation::Stranger,
        true if unique && member.client_id == own_client_id => Relation::Twin,
        true => Relation::Own,
    }
}

/// Whether a `client.id` is a worker's.
fn is_worker(client_id: &str) -> bool {
    client_id
        .strip_suffix("-consumer")
        .and_then(|name| name.rsplit_once("-worker-"))
        .is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a stable group has given just these partitions to a member.
fn is_assigned(group: &Group, member: &str, partitions: &[TopicPartition]) -> bool {
    let sorted = |list: &[TopicPartition]| {
        let mut sorted = list.to_vec();
        sorted.sort();
        sorted
    };
    let found = group.members.iter().find(|m| m.id == member);
    group.is_stable && found.is_some_and(|m| sorted(&m.assignment) == sorted(partitions))
}

/// Looks at the group after each assignment.
pub(super) struct GroupWatch<G> {
    next_look: Option<Instant>,
    answer: Option<Receiver<Group>>,
    /// The generation that this member had joined when it asked.
    asked_in: Option<G>,
    /// The generation that gave this member its partitions; unknown after an assignment, until the
    /// coordinator has confirmed it.
    confirmed: Option<G>,
    /// Since when an assignment waits for its confirmation.
    unconfirmed: Option<Instant>,
    told: bool,
    strangers_told: HashSet<String>,
    /// A member with this worker's name, and since when it was seen.
    twin: Option<(String, Instant)>,
}

impl<G> Default for GroupWatch<G> {
    fn default() -> Self {
        Self {
            next_look: None,
            answer: None,
            asked_in: None,
            confirmed: None,
            unconfirmed: None,
            told: false,
            strangers_told: HashSet::new(),
            twin: None,
        }
    }
}

impl<G> GroupWatch<G> {
    /// The members may be others now. What was asked before is of another assignment.
    pub(super) fn assigned(&mut self, now: Instant) {
        self.confirmed = None;
        (self.next_look, self.unconfirmed) = (Some(now), Some(now));
        (self.answer, self.asked_in, self.told) = (None, None, false);
    }

    /// Nothing is assigned until the next assignment.
    pub(super) fn revoked(&mut self) {
        (self.next_look, self.answer, self.unconfirmed) = (None, None, None);
    }

    /// Whether the coordinator has confirmed the last assignment.
    pub(super) fn is_confirmed(&self) -> bool {
        self.unconfirmed.is_none()
    }

    /// The generation that gave this member its partitions. The client may have joined another one
    /// since; the broker refuses what comes with this one then.
    pub(super) fn generation(&self) -> Option<&G> {
        self.confirmed.as_ref()
    }
}

impl<P: Ports> Worker<P> {
    /// Asks for the members of the group when it is time, and judges the answer when it comes.
    ///
    /// # Errors
    /// Another member has this worker's name, and it is this one that has to go.
    pub(super) fn look_at_group(&mut self) -> Result<(), StreamsError> {
        let now = self.now();
        if self.group.next_look.is_some_and(|at| now >= at) {
            self.group.next_look = None;
            // Before the question: what is answered is at least of this generation.
            self.group.asked_in = self.consumer.newest_generation();
            let asked = self.cluster().ask_for_group(&self.shared.settings.application_id);
            self.group.answer = Some(asked);
        }
        let Some(answer) = &self.group.answer else { return Ok(()) };
        match answer.try_recv() {
            Err(TryRecvError::Empty) => Ok(()),
            // It could not be had: a broker is away.
            Err(TryRecvError::Disconnected) => {
                self.group.answer = None;
                let pause = if self.group.twin.is_some() { LOOK_AFTER } else { ASK_AGAIN };
                self.group.next_look = Some(now + pause);
                self.await_confirmation(now);
                Ok(())
            }
            Ok(group) if !self.group.is_confirmed() => {
                self.group.answer = None;
                let own_id = self.consumer.member_id();
                if own_id.is_some_and(|id| is_assigned(&group, &id, &self.assigned)) {
                    let generation = self.group.asked_in.take();
                    self.group.confirmed = generation;
                    self.group.unconfirmed = None;
                    self.group.next_look = Some(now + LOOK_AFTER);
                } else {
                    self.await_confirmation(now);
                }
                Ok(())
            }
            Ok(group) => {
                self.group.answer = None;
                self.judge_members(&group.members)
            }
        }
    }

    /// The group may be changing, or its coordinator away: it is asked again.
    fn await_confirmation(&mut self, now: Instant) {
        let Some(since) = self.group.unconfirmed else { return };
        self.group.next_look = Some(now + CONFIRM_AGAIN);
        if !self.group.told && now >= since + TELL_AFTER {
            self.group.told = true;
            tracing::warn!(
                worker = self.index,
                group = &*self.shared.settings.application_id,
                "the group's coordinator has not confirmed what this member was assigned: its tasks \
                 wait until it does, or until it assigns anew"
            );
        }
    }

    fn judge_members(&mut self, members: &[GroupMember]) -> Result<(), StreamsError> {
        let Some(own_id) = self.consumer.member_id().filter(|_| self.joined) else { return Ok(()) };
        let settings = &self.shared.settings;
        let own_client_id = self.consumer.client_id();
        if !is_worker(&own_client_id) {
            // The user has named the consumer: nobody can be told apart by name.
            return Ok(());
        }
        let mut twin = None;
        for member in members {
            match relation(member, &own_id, &own_client_id, settings.has_own_client_ids) {
                Relation::Twin => twin = Some(member),
                Relation::Stranger if self.group.strangers_told.insert(member.id.clone()) => {
                    tracing::warn!(
                        worker = self.index,
                        group = &*settings.application_id,
                        member = member.id,
                        client_id = member.client_id,
                        host = member.host,
                        "a member of the group is no worker of this application: it takes \
                         partitions whose records are then not processed here; give it a group.id \
                         of its own"
                    );
                }
                Relation::Own | Relation::Stranger => {}
            }
        }
        let Some(twin) = twin else {
            self.group.twin = None;
            return Ok(());
        };
        let now = self.now();
        let since = match &self.group.twin {
            Some((id, since)) if *id == twin.id => *since,
            _ => now,
        };
        self.group.twin = Some((twin.id.clone(), since));
        self.group.next_look = Some(now + LOOK_AFTER);
        // Both see each other. One goes, and both know which.
        if now - since < settings.session_timeout + SESSION_GRACE || own_id < twin.id {
            return Ok(());
        }
        Err(StreamsError::InstanceIdInUse {
            instance_id: settings.instance_id.to_string(),
            member: twin.id.clone(),
            host: twin.host.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(id: &str, client_id: &str, unique: bool) -> Relation {
        let member = GroupMember {
            id: id.to_owned(),
            client_id: client_id.to_owned(),
            host: "/10.0.0.7".to_owned(),
            assignment: Vec::new(),
        };
        relation(&member, "me", "app-i1-worker-0-consumer", unique)
    }

    #[test]
    fn only_a_stable_group_that_gives_the_same_partitions_confirms_them() {
        let at = |n: i32| TopicPartition::new("t", n);
        let has = |id: &str, list: Vec<TopicPartition>| GroupMember {
            id: id.to_owned(),
            assignment: list,
            ..GroupMember::default()
        };
        let members = vec![has("me", vec![at(1), at(0)]), has("other", vec![at(2)])];
        let group = Group { is_stable: true, members };
        assert!(is_assigned(&group, "me", &[at(0), at(1)]));
        for other in [&[at(0)][..], &[at(0), at(2)], &[at(0), at(1), at(2)], &[]] {
            assert!(!is_assigned(&group, "me", other), "{other:?}");
        }
        assert!(!is_assigned(&group, "gone", &[at(2)]));
        assert!(!is_assigned(&Group { is_stable: false, ..group }, "me", &[at(0), at(1)]));
    }

    #[test]
    fn members_are_told_apart_by_their_names() {
        assert_eq!(judged("me", "app-i1-worker-0-consumer", true), Relation::Own);
        assert_eq!(judged("other", "app-i1-worker-0-consumer", true), Relation::Twin);
        assert_eq!(judged("other", "app-i1-worker-0-consumer", false), Relation::Own);
        assert_eq!(judged("other", "app-i1-worker-1-consumer", true), Relation::Own);
        assert_eq!(judged("other", "app-i2-worker-0-consumer", true), Relation::Own);
        for stranger in
            ["rdkafka", "", "console-consumer", "x-worker--consumer", "worker-1-consumer"]
        {
            assert_eq!(judged("other", stranger, true), Relation::Stranger, "{stranger}");
        }
    }
}
