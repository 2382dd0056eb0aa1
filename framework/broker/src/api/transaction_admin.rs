//! `DescribeProducers`, `DescribeTransactions` and `ListTransactions`.
//!
//! Looks only; nothing here changes a transaction.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::list_transactions_response::TransactionState as Listed;
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, ListTransactionsRequest, ListTransactionsResponse, ProducerId,
    TopicName, TransactionalId,
};

use super::text;
use crate::cluster::{Cluster, CoordinatorOf, Now};
use crate::log::ProducerView;
use crate::server::Origin;
use crate::topics::check_name;
use crate::transaction::TransactionView;

/// The states that may be asked for, as of Kafka's coordinator. The last two never occur here.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

/// Answers `DescribeProducers`: who writes to a partition.
pub(super) fn describe_producers(
    cluster: &mut Cluster,
    origin: &Origin,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|index| {
            let response =
                PartitionResponse::default().with_partition_index(*index).with_error_message(None);
            if let Err(why) = check_name(&topic.name) {
                let why: String = why.chars().take(1000).collect();
                return response
                    .with_error_code(ResponseError::InvalidTopicException.code())
                    .with_error_message(Some(text(why)));
            }
            match cluster.check_leader(&topic.name, *index, origin.node, -1) {
                Ok(found) => {
                    let producers = found.log.producers();
                    response.with_active_producers(producers.iter().map(producer).collect())
                }
                Err(error) => response.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        TopicResponse::default().with_partitions(partitions).with_name(topic.name)
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}

fn producer(view: &ProducerView) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(view.producer_id))
        .with_producer_epoch(i32::from(view.epoch))
        .with_last_sequence(view.last_sequence)
        .with_last_timestamp(view.last_timestamp_ms)
        .with_coordinator_epoch(view.coordinator_epoch)
        .with_current_txn_start_offset(view.open_transaction_start.unwrap_or(-1))
}

/// Answers `DescribeTransactions`.
pub(super) fn describe_transactions(
    cluster: &mut Cluster,
    origin: &Origin,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let states = request.transactional_ids.into_iter().map(|id| {
        let state = match find(cluster, origin.node, &id) {
            Ok(view) => described(view),
            Err(error) => TransactionState::default().with_error_code(error.code()),
        };
        state.with_transactional_id(id)
    });
    DescribeTransactionsResponse::default().with_transaction_states(states.collect())
}

fn find(cluster: &Cluster, node: i32, id: &str) -> Result<TransactionView, ResponseError> {
    if id.is_empty() {
        return Err(ResponseError::InvalidRequest);
    }
    cluster.check_coordinator(CoordinatorOf::Transaction, id, node)?;
    cluster.transactions.view(id).ok_or(ResponseError::TransactionalIdNotFound)
}

fn described(view: TransactionView) -> TransactionState {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in view.partitions {
        topics.entry(topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        TopicData::default().with_topic(TopicName(text(topic))).with_partitions(partitions)
    });
    TransactionState::default()
        .with_transaction_state(text(view.state.name()))
        .with_transaction_timeout_ms(i32::try_from(view.timeout_ms).unwrap_or(i32::MAX))
        .with_transaction_start_time_ms(view.started_ms)
        .with_producer_id(ProducerId(view.producer_id))
        .with_producer_epoch(view.producer_epoch)
        .with_topics(topics.collect())
}

/// Answers `ListTransactions` with those that this node coordinates.
pub(super) fn list_transactions(
    cluster: &mut Cluster,
    origin: &Origin,
    request: &ListTransactionsRequest,
    now: Now,
) -> ListTransactionsResponse {
    let states = &request.state_filters;
    let unknown = states.iter().filter(|state| !STATES.contains(&state.as_str()));
    let wanted = |view: &TransactionView| {
        let producers = &request.producer_id_filters;
        let duration = request.duration_filter;
        let coordinator = CoordinatorOf::Transaction;
        (states.is_empty() || states.iter().any(|state| state.as_str() == view.state.name()))
            && (producers.is_empty() || producers.contains(&ProducerId(view.producer_id)))
            && (duration < 0 || now.ms.saturating_sub(view.started_ms) > duration)
            && cluster.check_coordinator(coordinator, &view.transactional_id, origin.node).is_ok()
    };
    let listed = cluster.transactions.views().into_iter().filter(wanted).map(|view| {
        Listed::default()
            .with_transaction_state(text(view.state.name()))
            .with_producer_id(ProducerId(view.producer_id))
            .with_transactional_id(TransactionalId(text(view.transactional_id)))
    });
    ListTransactionsResponse::default()
        .with_unknown_state_filters(unknown.cloned().collect())
        .with_transaction_states(listed.collect())
}
