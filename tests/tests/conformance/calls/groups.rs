//! `JoinGroup`, `SyncGroup`, Heartbeat, `LeaveGroup` and what is told of groups, in the classic protocol.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerProtocolSubscription, DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::Encodable;
use oncestream_tests::raw::text;

use super::{Answer, Client, answer};

const JOIN: i16 = 7;
const SYNC: i16 = 5;

/// Who a member says it is. The default is a consumer outside any group's membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) group: String,
    pub(crate) generation: i32,
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
}

impl Member {
    /// A consumer that commits and is no member.
    pub(crate) fn simple(group: &str) -> Self {
        Self { group: group.to_owned(), generation: -1, id: String::new(), instance: None }
    }

    /// One that has yet to join, with an instance id of its own.
    pub(crate) fn fixed(group: &str, instance: &str) -> Self {
        Self { instance: Some(instance.to_owned()), ..Self::simple(group) }
    }

    /// The same member, as of another generation.
    pub(crate) fn at_generation(&self, generation: i32) -> Self {
        Self { generation, ..self.clone() }
    }

    /// The same generation, by another name.
    pub(crate) fn named(&self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self.clone() }
    }
}

/// What a join brought.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) me: Member,
    pub(crate) leader: String,
    pub(crate) protocol: Option<String>,
    /// Ids and metadata of all members, for the leader alone.
    pub(crate) members: Vec<(String, Bytes)>,
}

/// A subscription as the consumer protocol has it. Kafka looks into it: a join with anything else
/// is never answered.
pub(crate) fn subscription(topic: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    let subscription = ConsumerProtocolSubscription::default().with_topics(vec![text(topic)]);
    subscription.encode(&mut bytes, 0).unwrap();
    bytes.freeze()
}

/// Joins with the protocol `range`, and a subscription to the topic that is named as the group.
pub(crate) fn join_request(member: &Member, session_timeout_ms: i32) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(subscription(&member.group));
    JoinGroupRequest::default()
        .with_group_id(text(&member.group))
        .with_session_timeout_ms(session_timeout_ms)
        .with_rebalance_timeout_ms(30_000)
        .with_member_id(text(&member.id))
        .with_group_instance_id(member.instance.as_deref().map(text))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

impl Client {
    pub(crate) fn send_join(&mut self, member: &Member, session_timeout_ms: i32) {
        self.connection.send(&join_request(member, session_timeout_ms), JOIN);
    }

    pub(crate) fn receive_join(&mut self, member: &Member) -> Answer<Joined> {
        let response = self.connection.receive::<JoinGroupRequest>(JOIN);
        joined(member, &response)
    }

    /// One join, as it is answered.
    pub(crate) fn try_join(&mut self, member: &Member, session_timeout_ms: i32) -> Answer<Joined> {
        self.send_join(member, session_timeout_ms);
        self.receive_join(member)
    }

    /// The id that a new member is told to come back with.
    pub(crate) fn member_id(&mut self, group: &str) -> Member {
        let member = Member::simple(group);
        let response = self.call(&join_request(&member, 10_000), JOIN);
        assert_eq!(answer(response.error_code, ()), Err(ResponseError::MemberIdRequired));
        member.named(response.member_id.as_str())
    }

    /// The only member of a group that is then stable.
    pub(crate) fn join_alone(&mut self, group: &str, session_timeout_ms: i32) -> Member {
        let member = self.member_id(group);
        let joined = self.try_join(&member, session_timeout_ms).unwrap();
        let own = [(joined.me.id.as_str(), "all")];
        assert_eq!(self.sync(&joined.me, &own), Ok("all".to_owned()));
        joined.me
    }

    pub(crate) fn send_sync(&mut self, member: &Member, assignments: &[(&str, &str)]) {
        let each = assignments.iter().map(|(id, assignment)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(id))
                .with_assignment(Bytes::copy_from_slice(assignment.as_bytes()))
        });
        let request = SyncGroupRequest::default()
            .with_group_id(text(&member.group))
            .with_generation_id(member.generation)
            .with_member_id(text(&member.id))
            .with_group_instance_id(member.instance.as_deref().map(text))
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignments(each.collect());
        self.connection.send(&request, SYNC);
    }

    pub(crate) fn receive_sync(&mut self) -> Answer<String> {
        let response = self.connection.receive::<SyncGroupRequest>(SYNC);
        answer(response.error_code, String::from_utf8(response.assignment.to_vec()).unwrap())
    }

    pub(crate) fn sync(&mut self, member: &Member, assignments: &[(&str, &str)]) -> Answer<String> {
        self.send_sync(member, assignments);
        self.receive_sync()
    }

    pub(crate) fn heartbeat(&mut self, member: &Member) -> Answer<()> {
        let request = HeartbeatRequest::default()
            .with_group_id(text(&member.group))
            .with_generation_id(member.generation)
            .with_member_id(text(&member.id))
            .with_group_instance_id(member.instance.as_deref().map(text));
        answer(self.call(&request, 3).error_code, ())
    }

    /// One answer per member.
    pub(crate) fn leave(&mut self, members: &[&Member]) -> Answer<Vec<Answer<()>>> {
        let each = members.iter().map(|m| {
            MemberIdentity::default()
                .with_member_id(text(&m.id))
                .with_group_instance_id(m.instance.as_deref().map(text))
        });
        let request = LeaveGroupRequest::default()
            .with_group_id(text(&members[0].group))
            .with_members(each.collect());
        let response = self.call(&request, 4);
        answer(response.error_code, ())?;
        Ok(response.members.iter().map(|m| answer(m.error_code, ())).collect())
    }

    pub(crate) fn describe_group(&mut self, group: &str) -> DescribedGroup {
        let request = DescribeGroupsRequest::default().with_groups(vec![text(group)]);
        self.call(&request, 5).groups.remove(0)
    }

    /// Protocol type, state and type of a group, if it is listed.
    pub(crate) fn listed(
        &mut self,
        group: &str,
        states: &[&str],
    ) -> Option<(String, String, String)> {
        let request = ListGroupsRequest::default()
            .with_states_filter(states.iter().map(|s| text(s)).collect());
        let groups = self.call(&request, 5).groups;
        let found = groups.iter().find(|g| g.group_id.0.as_str() == group)?;
        let (kind, state) = (&found.protocol_type, &found.group_state);
        Some((kind.to_string(), state.to_string(), found.group_type.to_string()))
    }

    pub(crate) fn delete_group(&mut self, group: &str) -> Answer<()> {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![text(group)]);
        answer(self.call(&request, 2).results[0].error_code, ())
    }
}

fn joined(member: &Member, response: &JoinGroupResponse) -> Answer<Joined> {
    let me = Member {
        generation: response.generation_id,
        id: response.member_id.to_string(),
        ..member.clone()
    };
    let members = response.members.iter();
    let joined = Joined {
        me,
        leader: response.leader.to_string(),
        protocol: response.protocol_name.as_ref().map(ToString::to_string),
        members: members.map(|m| (m.member_id.to_string(), m.metadata.clone())).collect(),
    };
    answer(response.error_code, joined)
}
