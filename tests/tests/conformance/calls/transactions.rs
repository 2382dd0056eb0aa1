//! `InitProducerId`, `AddPartitionsToTxn`, `AddOffsetsToTxn`, `TxnOffsetCommit`, `EndTxn`, and what the
//! coordinator tells of transactions.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::ProducerState;
use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeProducersRequest,
    DescribeTransactionsRequest, EndTxnRequest, InitProducerIdRequest, ProducerId,
};
use oncestream_tests::raw::text;

use super::{Answer, Client, answer, eventually};

/// No body waits for this one.
const LONG_TIMEOUT_MS: i32 = 60_000;

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    pub(crate) transactional_id: Option<String>,
}

impl Producer {
    /// The same producer with another epoch.
    pub(crate) fn at_epoch(&self, epoch: i16) -> Self {
        Self { epoch, ..self.clone() }
    }

    fn transactional_id<T: From<kafka_protocol::protocol::StrBytes>>(&self) -> T {
        text(self.transactional_id.as_deref().unwrap_or_default())
    }
}

/// A request for a producer id; `-1` for id and epoch where there are none yet.
pub(crate) fn init_request(
    transactional_id: Option<&str>,
    id: i64,
    epoch: i16,
) -> InitProducerIdRequest {
    InitProducerIdRequest::default()
        .with_transactional_id(transactional_id.map(text))
        .with_transaction_timeout_ms(LONG_TIMEOUT_MS)
        .with_producer_id(ProducerId(id))
        .with_producer_epoch(epoch)
}

impl Client {
    /// Id and epoch.
    pub(crate) fn try_init(
        &mut self,
        request: &InitProducerIdRequest,
        version: i16,
    ) -> Answer<(i64, i16)> {
        let response = self.call(request, version);
        answer(response.error_code, (response.producer_id.0, response.producer_epoch))
    }

    /// Waits while an older transaction is being ended.
    pub(crate) fn init_with(&mut self, request: &InitProducerIdRequest) -> Producer {
        let (id, epoch) = eventually("a producer id", || match self.try_init(request, 4) {
            Err(ResponseError::ConcurrentTransactions) => None,
            other => Some(other.unwrap()),
        });
        let transactional_id = request.transactional_id.as_ref().map(|t| t.to_string());
        Producer { id, epoch, transactional_id }
    }

    /// A producer that is idempotent and no more.
    pub(crate) fn idempotent(&mut self) -> Producer {
        self.init_with(&init_request(None, -1, -1))
    }

    pub(crate) fn init(&mut self, transactional_id: &str) -> Producer {
        self.init_with(&init_request(Some(transactional_id), -1, -1))
    }

    pub(crate) fn init_timeout(&mut self, transactional_id: &str, timeout_ms: i32) -> Producer {
        let request = init_request(Some(transactional_id), -1, -1);
        self.init_with(&request.with_transaction_timeout_ms(timeout_ms))
    }

    /// Asks once, for partition 0 of each topic; one answer each.
    pub(crate) fn add_partitions(
        &mut self,
        producer: &Producer,
        topics: &[&str],
        version: i16,
    ) -> Vec<Answer<()>> {
        let topic = |t: &&str| {
            AddPartitionsToTxnTopic::default().with_name(text(t)).with_partitions(vec![0])
        };
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(producer.transactional_id())
            .with_v3_and_below_producer_id(ProducerId(producer.id))
            .with_v3_and_below_producer_epoch(producer.epoch)
            .with_v3_and_below_topics(topics.iter().map(topic).collect());
        let response = self.call(&request, version);
        let results = response.results_by_topic_v3_and_below;
        topics
            .iter()
            .map(|t| {
                let result = results.iter().find(|r| r.name.0.as_str() == *t).unwrap();
                answer(result.results_by_partition[0].partition_error_code, ())
            })
            .collect()
    }

    pub(crate) fn try_begin(&mut self, producer: &Producer, topic: &str) -> Answer<()> {
        self.add_partitions(producer, &[topic], 3).remove(0)
    }

    /// Adds the partition, after the markers of the transaction before are written.
    pub(crate) fn begin(&mut self, producer: &Producer, topic: &str) {
        let added = eventually("the end of the transaction before", || {
            match self.try_begin(producer, topic) {
                Err(ResponseError::ConcurrentTransactions) => None,
                other => Some(other),
            }
        });
        added.unwrap();
    }

    pub(crate) fn try_end(
        &mut self,
        producer: &Producer,
        commit: bool,
        version: i16,
    ) -> Answer<()> {
        let request = EndTxnRequest::default()
            .with_transactional_id(producer.transactional_id())
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_committed(commit);
        answer(self.call(&request, version).error_code, ())
    }

    /// Ends it and waits until the markers are written.
    pub(crate) fn end(&mut self, producer: &Producer, commit: bool) {
        self.try_end(producer, commit, 3).unwrap();
        let done = if commit { "CompleteCommit" } else { "CompleteAbort" };
        self.await_state(producer.transactional_id.as_deref().unwrap(), done);
    }

    pub(crate) fn add_offsets(&mut self, producer: &Producer, group: &str) -> Answer<()> {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(producer.transactional_id())
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_group_id(text(group));
        answer(self.call(&request, 3).error_code, ())
    }

    pub(crate) fn describe_transaction(&mut self, transactional_id: &str) -> TransactionState {
        let request = DescribeTransactionsRequest::default()
            .with_transactional_ids(vec![text(transactional_id)]);
        self.call(&request, 0).transaction_states.remove(0)
    }

    pub(crate) fn await_state(&mut self, transactional_id: &str, state: &str) {
        eventually(&format!("{transactional_id} in {state}"), || {
            let found = self.describe_transaction(transactional_id);
            (found.transaction_state.as_str() == state).then_some(())
        });
    }

    /// The producers that a partition remembers.
    pub(crate) fn producers(&mut self, topic: &str) -> Vec<ProducerState> {
        let topics = TopicRequest::default().with_name(text(topic)).with_partition_indexes(vec![0]);
        let request = DescribeProducersRequest::default().with_topics(vec![topics]);
        let response = self.call(&request, 0);
        response.topics[0].partitions[0].active_producers.clone()
    }
}
