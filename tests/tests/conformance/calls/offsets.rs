//! `OffsetCommit`, `TxnOffsetCommit`, `OffsetFetch`, `OffsetDelete`: partition 0 of one topic.

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, ProducerId,
    TxnOffsetCommitRequest,
};
use oncestream_tests::raw::text;

use super::{Answer, Client, Member, Producer, answer};

/// Offset, leader epoch and metadata of a commit; the offset is -1 where there is none.
pub(crate) type Committed = (i64, i32, String);

/// A commit of this offset for partition 0 by a member.
pub(crate) fn commit_request(member: &Member, topic: &str, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_leader_epoch(3)
        .with_committed_metadata(Some(text("note")));
    OffsetCommitRequest::default()
        .with_group_id(text(&member.group))
        .with_generation_id_or_member_epoch(member.generation)
        .with_member_id(text(&member.id))
        .with_group_instance_id(member.instance.as_deref().map(text))
        .with_topics(vec![
            OffsetCommitRequestTopic::default()
                .with_name(text(topic))
                .with_partitions(vec![partition]),
        ])
}

impl Client {
    pub(crate) fn commit(&mut self, member: &Member, topic: &str, offset: i64) -> Answer<()> {
        let response = self.call(&commit_request(member, topic, offset), 8);
        answer(response.topics[0].partitions[0].error_code, ())
    }

    /// Within a transaction that has the group's offsets.
    pub(crate) fn commit_in_transaction(
        &mut self,
        producer: &Producer,
        member: &Member,
        topic: &str,
        offset: i64,
    ) -> Answer<()> {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_committed_offset(offset)
            .with_committed_leader_epoch(3)
            .with_committed_metadata(Some(text("note")));
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(text(producer.transactional_id.as_deref().unwrap()))
            .with_group_id(text(&member.group))
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_generation_id(member.generation)
            .with_member_id(text(&member.id))
            .with_group_instance_id(member.instance.as_deref().map(text))
            .with_topics(vec![
                TxnOffsetCommitRequestTopic::default()
                    .with_name(text(topic))
                    .with_partitions(vec![partition]),
            ]);
        let response = self.call(&request, 3);
        answer(response.topics[0].partitions[0].error_code, ())
    }

    /// The commit as it is seen now, or the error of the partition.
    pub(crate) fn committed(
        &mut self,
        group: &str,
        topic: &str,
        require_stable: bool,
    ) -> Answer<Committed> {
        let topics = OffsetFetchRequestTopic::default()
            .with_name(text(topic))
            .with_partition_indexes(vec![0]);
        let request = OffsetFetchRequest::default()
            .with_group_id(text(group))
            .with_require_stable(require_stable)
            .with_topics(Some(vec![topics]));
        let response = self.call(&request, 7);
        answer(response.error_code, ())?;
        let found = &response.topics[0].partitions[0];
        let metadata = found.metadata.as_ref().map(ToString::to_string).unwrap_or_default();
        let committed = (found.committed_offset, found.committed_leader_epoch, metadata);
        answer(found.error_code, committed)
    }

    /// Topic, partition and offset of every commit of the group.
    pub(crate) fn all_committed(&mut self, group: &str) -> Vec<(String, i32, i64)> {
        let request = OffsetFetchRequest::default().with_group_id(text(group)).with_topics(None);
        let response = self.call(&request, 7);
        assert_eq!(response.error_code, 0);
        let of_topic =
            |t: &kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseTopic| {
                let name = t.name.to_string();
                let each = t.partitions.iter();
                each.map(|p| (name.clone(), p.partition_index, p.committed_offset))
                    .collect::<Vec<_>>()
            };
        response.topics.iter().flat_map(of_topic).collect()
    }

    pub(crate) fn delete_offset(&mut self, group: &str, topic: &str) -> Answer<Answer<()>> {
        let partition = OffsetDeleteRequestPartition::default();
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(text(topic))
            .with_partitions(vec![partition]);
        let request =
            OffsetDeleteRequest::default().with_group_id(text(group)).with_topics(vec![topic]);
        let response = self.call(&request, 0);
        answer(response.error_code, ())?;
        Ok(answer(response.topics[0].partitions[0].error_code, ()))
    }
}
