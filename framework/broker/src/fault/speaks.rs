//! What a request speaks of: its topics, group, member and transactional id.

use kafka_protocol::messages::{RequestKind, TopicName};
use kafka_protocol::protocol::StrBytes;

/// What faults and the log of requests go by.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    pub(super) topics: Vec<String>,
    pub(super) group: Option<String>,
    pub(super) member: Option<String>,
    pub(super) transactional_id: Option<String>,
}

impl Spoken {
    fn topics<'a>(mut self, names: impl Iterator<Item = &'a TopicName>) -> Self {
        self.topics = names.map(|name| name.to_string()).collect();
        self
    }

    fn group(mut self, group: &StrBytes) -> Self {
        self.group = Some(group.to_string());
        self
    }

    fn member(mut self, member: &StrBytes) -> Self {
        self.member = Some(member.to_string()).filter(|member| !member.is_empty());
        self
    }

    fn id(mut self, id: &StrBytes) -> Self {
        self.transactional_id = Some(id.to_string());
        self
    }
}

pub(super) fn speaks_of(request: &RequestKind) -> Spoken {
    use RequestKind as Q;
    let spoken = Spoken::default();
    match request {
        Q::Produce(r) => {
            let spoken = spoken.topics(r.topic_data.iter().map(|t| &t.name));
            match &r.transactional_id {
                Some(id) => spoken.id(id),
                None => spoken,
            }
        }
        Q::Fetch(r) => spoken.topics(r.topics.iter().map(|t| &t.topic)),
        Q::ListOffsets(r) => spoken.topics(r.topics.iter().map(|t| &t.name)),
        Q::Metadata(r) => spoken.topics(r.topics.iter().flatten().filter_map(|t| t.name.as_ref())),
        Q::OffsetCommit(r) => {
            spoken.topics(r.topics.iter().map(|t| &t.name)).group(&r.group_id).member(&r.member_id)
        }
        Q::OffsetFetch(r) => match r.groups.first() {
            Some(group) => {
                spoken.topics(group.topics.iter().flatten().map(|t| &t.name)).group(&group.group_id)
            }
            None => spoken.topics(r.topics.iter().flatten().map(|t| &t.name)).group(&r.group_id),
        },
        Q::FindCoordinator(r) => {
            let key = r.coordinator_keys.first().unwrap_or(&r.key);
            if r.key_type == 0 { spoken.group(key) } else { spoken.id(key) }
        }
        Q::JoinGroup(r) => spoken.group(&r.group_id).member(&r.member_id),
        Q::SyncGroup(r) => spoken.group(&r.group_id).member(&r.member_id),
        Q::Heartbeat(r) => spoken.group(&r.group_id).member(&r.member_id),
        Q::LeaveGroup(r) => {
            let member = r.members.first().map_or(&r.member_id, |member| &member.member_id);
            spoken.group(&r.group_id).member(member)
        }
        Q::OffsetDelete(r) => spoken.topics(r.topics.iter().map(|t| &t.name)).group(&r.group_id),
        Q::CreateTopics(r) => spoken.topics(r.topics.iter().map(|t| &t.name)),
        Q::CreatePartitions(r) => spoken.topics(r.topics.iter().map(|t| &t.name)),
        Q::DeleteTopics(r) => {
            let named = r.topics.iter().filter_map(|t| t.name.as_ref());
            spoken.topics(r.topic_names.iter().chain(named))
        }
        Q::DeleteRecords(r) => spoken.topics(r.topics.iter().map(|t| &t.name)),
        Q::OffsetForLeaderEpoch(r) => spoken.topics(r.topics.iter().map(|t| &t.topic)),
        Q::DescribeProducers(r) => spoken.topics(r.topics.iter().map(|t| &t.name)),
        Q::InitProducerId(r) => match &r.transactional_id {
            Some(id) => spoken.id(id),
            None => spoken,
        },
        Q::AddPartitionsToTxn(r) => spoken
            .topics(r.v3_and_below_topics.iter().map(|t| &t.name))
            .id(&r.v3_and_below_transactional_id),
        Q::AddOffsetsToTxn(r) => spoken.group(&r.group_id).id(&r.transactional_id),
        Q::EndTxn(r) => spoken.id(&r.transactional_id),
        Q::TxnOffsetCommit(r) => spoken
            .topics(r.topics.iter().map(|t| &t.name))
            .group(&r.group_id)
            .member(&r.member_id)
            .id(&r.transactional_id),
        _ => spoken,
    }
}
