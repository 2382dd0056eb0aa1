//! Groups as others see them: for `DescribeGroups`, `ListGroups` and assertions in tests.
//!
//! Owns copies; nothing here changes a group.

use bytes::Bytes;

use super::Groups;
use super::state::{Group, GroupState};

/// One consumer group at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupView {
    /// Its name.
    pub group_id: String,
    /// Where it is in a rebalance.
    pub state: GroupState,
    /// Raised by every rebalance.
    pub generation_id: i32,
    /// `consumer` for consumers; `None` if nobody ever joined.
    pub protocol_type: Option<String>,
    /// The assignment strategy. As in Kafka, told of a stable group alone.
    pub protocol_name: Option<String>,
    /// The member id of the leader.
    pub leader: Option<String>,
    /// The members, in the order they joined.
    pub members: Vec<MemberView>,
    /// Topic, partition and committed offset.
    pub offsets: Vec<(String, i32, CommittedOffset)>,
    /// Producer id, topic, partition and offset of commits whose transaction is open.
    pub pending_offsets: Vec<(i64, String, i32, i64)>,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberView {
    /// The id the broker gave it.
    pub member_id: String,
    /// Its `group.instance.id`, if it is a static member.
    pub instance_id: Option<String>,
    /// Its `client.id`.
    pub client_id: String,
    /// Where it connected from.
    pub client_host: String,
    /// Its subscription for the chosen protocol. As in Kafka, told of a stable group alone.
    pub metadata: Bytes,
    /// What the leader assigned to it.
    pub assignment: Bytes,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read; -1 if the client did not tell.
    pub leader_epoch: i32,
    /// The client's own text. Kafka stores an empty one if there was none.
    pub metadata: Option<String>,
}

impl Groups {
    /// A group as it is now; `None` if there is none of that name.
    pub(crate) fn describe(&self, group: &str) -> Option<GroupView> {
        self.by_name.get(group).map(Group::view)
    }

    /// All groups, by name.
    pub(crate) fn list(&self) -> Vec<GroupView> {
        self.by_name.values().map(Group::view).collect()
    }
}

impl Group {
    fn view(&self) -> GroupView {
        let protocol_name = self.protocol_name.clone().filter(|_| self.state == GroupState::Stable);
        let members = self.members.iter().map(|member| MemberView {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.metadata(protocol_name.as_deref()),
            assignment: member.assignment.clone(),
        });
        let offsets = self.offsets.iter();
        let pending = self.offsets.iter_pending();
        GroupView {
            group_id: self.id.clone(),
            state: self.state,
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            leader: self.leader.clone(),
            members: members.collect(),
            offsets: offsets.map(|((topic, p), o)| (topic.clone(), *p, o.clone())).collect(),
            pending_offsets: pending
                .map(|(id, (topic, p), o)| (id, topic.clone(), *p, o))
                .collect(),
            protocol_name,
        }
    }
}
