//! The requests of a producer's life: its id, its transaction and the end of that.
//!
//! It keeps what the broker was told, and decides nothing.

use std::collections::HashSet;
use std::time::Duration;

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, GroupId,
    InitProducerIdRequest, TopicName, TransactionalId, TxnOffsetCommitRequest,
};
use oncestream_core::task::Position;
use oncestream_engine::{ClientError, ClientFault as _};

use super::errors;
use super::link::{Link, text};
use super::offsets::Generation;

/// How soon a coordinator is asked again that is ending a transaction.
const AGAIN: Duration = Duration::from_millis(20);

/// A producer as brokers know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// What the broker knows of a producer and its transaction.
#[derive(Clone)]
pub(super) struct Transaction {
    link: Link,
    /// `None` at least once: then there are no transactions.
    transactional_id: Option<String>,
    timeout: Duration,
    pub(super) identity: Option<Identity>,
    partitions: HashSet<(String, i32)>,
    /// The broker has a part of the transaction.
    is_begun: bool,
}

impl Transaction {
    pub(super) fn new(link: Link, transactional_id: Option<&str>, timeout: Duration) -> Self {
        Self {
            link,
            transactional_id: transactional_id.map(str::to_owned),
            timeout,
            identity: None,
            partitions: HashSet::new(),
            is_begun: false,
        }
    }

    pub(super) fn transactional_id(&self) -> Option<&str> {
        self.transactional_id.as_deref()
    }

    fn id(&self) -> TransactionalId {
        TransactionalId(text(self.transactional_id.as_deref().unwrap_or_default()))
    }

    /// The identity; without one, it is asked for first.
    pub(super) fn identify(&mut self) -> Result<Identity, ClientError> {
        match self.identity {
            Some(identity) => Ok(identity),
            None => self.init(Duration::ZERO),
        }
    }

    /// Takes an identity, and with a transactional id settles what the one before left open.
    pub(super) fn init(&mut self, timeout: Duration) -> Result<Identity, ClientError> {
        let deadline = self.link.site.now() + timeout;
        let mut first = true;
        loop {
            let request = InitProducerIdRequest::default()
                .with_transactional_id(self.transactional_id.as_ref().map(|_| self.id()))
                .with_transaction_timeout_ms(
                    i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX),
                )
                .with_producer_id((-1).into())
                .with_producer_epoch(-1);
            let answer = self.link.call(request)?;
            match errors::check(answer.error_code) {
                Ok(()) => {
                    let identity =
                        Identity { id: answer.producer_id.0, epoch: answer.producer_epoch };
                    self.identity = Some(identity);
                    self.partitions.clear();
                    self.is_begun = false;
                    return Ok(identity);
                }
                // An older transaction is being ended: at once, unless a fault holds it.
                Err(error) if error.is_transient() && self.link.site.now() <= deadline => {
                    if !std::mem::take(&mut first) {
                        self.link.site.sleep(AGAIN);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a partition into the transaction.
    pub(super) fn add_partition(&mut self, topic: &str, partition: i32) -> Result<(), ClientError> {
        if self.transactional_id.is_none()
            || self.partitions.contains(&(topic.to_owned(), partition))
        {
            return Ok(());
        }
        let identity = self.identify()?;
        let added = AddPartitionsToTxnTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![partition]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id())
            .with_v3_and_below_producer_id(identity.id.into())
            .with_v3_and_below_producer_epoch(identity.epoch)
            .with_v3_and_below_topics(vec![added]);
        let answer = self.link.call(request)?;
        for topic in answer.results_by_topic_v3_and_below {
            for partition in topic.results_by_partition {
                errors::check(partition.partition_error_code)?;
            }
        }
        self.is_begun = true;
        self.partitions.insert((topic.to_owned(), partition));
        Ok(())
    }

    /// Adds offsets, which the group's coordinator checks.
    pub(super) fn add_offsets(
        &mut self,
        positions: &[Position],
        generation: &Generation,
    ) -> Result<(), ClientError> {
        let identity = self.identify()?;
        let group = GroupId(text(&generation.group));
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.id())
            .with_producer_id(identity.id.into())
            .with_producer_epoch(identity.epoch)
            .with_group_id(group.clone());
        errors::check(self.link.call(request)?.error_code)?;
        self.is_begun = true;
        let topics = positions.iter().map(|position| {
            let of = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(position.partition.partition)
                .with_committed_offset(position.offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(text(&position.metadata.encode())));
            TxnOffsetCommitRequestTopic::default()
                .with_name(TopicName(text(&position.partition.topic)))
                .with_partitions(vec![of])
        });
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.id())
            .with_group_id(group)
            .with_producer_id(identity.id.into())
            .with_producer_epoch(identity.epoch)
            .with_generation_id(generation.id)
            .with_member_id(text(&generation.member))
            .with_topics(topics.collect());
        let answer = self.link.call(request)?;
        let mut codes =
            answer.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code));
        codes.try_for_each(errors::check)
    }

    /// Ends the transaction, if the broker has any of it.
    pub(super) fn end(&mut self, commit: bool) -> Result<(), ClientError> {
        if !self.is_begun {
            return Ok(());
        }
        let identity = self.identify()?;
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id())
            .with_producer_id(identity.id.into())
            .with_producer_epoch(identity.epoch)
            .with_committed(commit);
        errors::check(self.link.call(request)?.error_code)?;
        self.ended();
        Ok(())
    }

    /// Forgets the transaction, which has come to its end.
    pub(super) fn ended(&mut self) {
        self.is_begun = false;
        self.partitions.clear();
    }
}
