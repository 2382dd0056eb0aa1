//! Who else is in the group: a member that has this worker's name, or one that is no worker at all.
//!
//! The group's coordinator answers a moment after each assignment. Whoever is in the group then has
//! joined it anew for this generation, so a former self that crashed is no longer there. Nothing
//! here holds up a record: the question is asked on another thread.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::Worker;
use crate::clients::GroupMember;
use crate::error::StreamsError;

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

/// Looks at the members of the group after each assignment.
#[derive(Default)]
pub(super) struct GroupWatch {
    next_look: Option<Instant>,
    answer: Option<Receiver<Vec<GroupMember>>>,
    strangers_told: HashSet<String>,
    /// A member with this worker's name, and since when it was seen.
    twin: Option<(String, Instant)>,
}

impl GroupWatch {
    /// The members may be others now.
    pub(super) fn assigned(&mut self) {
        self.next_look = Some(Instant::now() + LOOK_AFTER);
    }
}

impl Worker {
    /// Asks who is in the group when it is time, and judges the answer when it is there.
    ///
    /// # Errors
    /// Another member has this worker's name, and it is this one that has to go.
    pub(super) fn look_at_group(&mut self) -> Result<(), StreamsError> {
        let now = Instant::now();
        if self.group.next_look.is_some_and(|at| now >= at) {
            self.group.next_look = None;
            let (tell, answer) = channel();
            let (admin, group) =
                (self.shared.admin.clone(), self.shared.config.application_id().to_owned());
            // Not on the runtime of the application, whose end would wait for the answer.
            let asking = std::thread::Builder::new().name("oncestream-group".to_owned());
            let asked = asking.spawn(move || {
                if let Some(members) = admin.group_members(&group) {
                    // Nobody listens to a worker that has ended.
                    let _ = tell.send(members);
                }
            });
            if let Err(error) = asked {
                tracing::debug!(%error, "no thread to look at the group");
            }
            self.group.answer = Some(answer);
        }
        let Some(answer) = &self.group.answer else { return Ok(()) };
        match answer.try_recv() {
            Err(TryRecvError::Empty) => Ok(()),
            // It could not be had: a broker is away.
            Err(TryRecvError::Disconnected) => {
                self.group.answer = None;
                let pause = if self.group.twin.is_some() { LOOK_AFTER } else { ASK_AGAIN };
                self.group.next_look = Some(now + pause);
                Ok(())
            }
            Ok(members) => {
                self.group.answer = None;
                self.judge_members(&members)
            }
        }
    }

    fn judge_members(&mut self, members: &[GroupMember]) -> Result<(), StreamsError> {
        let Some(own_id) = self.consumer.member_id().filter(|_| self.joined) else { return Ok(()) };
        let config = &self.shared.config;
        let settings = config.consumer_settings(self.index);
        let own_client_id = settings.get("client.id").unwrap_or_default().to_owned();
        if !is_worker(&own_client_id) {
            // The user has named the consumer: nobody can be told apart by name.
            return Ok(());
        }
        let mut twin = None;
        for member in members {
            match relation(member, &own_id, &own_client_id, config.client_id().is_none()) {
                Relation::Twin => twin = Some(member),
                Relation::Stranger if self.group.strangers_told.insert(member.id.clone()) => {
                    tracing::warn!(
                        worker = self.index,
                        group = config.application_id(),
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
        let now = Instant::now();
        let since = match &self.group.twin {
            Some((id, since)) if *id == twin.id => *since,
            _ => now,
        };
        self.group.twin = Some((twin.id.clone(), since));
        self.group.next_look = Some(now + LOOK_AFTER);
        // Both see each other. One goes, and both know which.
        if now - since < config.session_timeout() + SESSION_GRACE || own_id < twin.id {
            return Ok(());
        }
        Err(StreamsError::InstanceIdInUse {
            instance_id: self.shared.state_dir.instance_id.clone(),
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
        };
        relation(&member, "me", "app-i1-worker-0-consumer", unique)
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
