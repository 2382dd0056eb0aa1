//! `InitProducerId`, `AddPartitionsToTxn`, `AddOffsetsToTxn`, `EndTxn`.

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse,
};

use super::code;
use crate::cluster::{Cluster, CoordinatorOf, Now};
use crate::server::Origin;
use crate::transaction::Producer;

/// Clients that do not know `ProducerFenced` yet are told of the epoch.
fn for_client(error: ResponseError, knows_fenced: bool) -> ResponseError {
    if error == ResponseError::ProducerFenced && !knows_fenced {
        ResponseError::InvalidProducerEpoch
    } else {
        error
    }
}

pub(super) fn init_producer_id(
    cluster: &mut Cluster,
    origin: &Origin,
    request: &InitProducerIdRequest,
    now: Now,
) -> InitProducerIdResponse {
    let id = request.transactional_id.as_ref().map(|id| id.0.as_str());
    let outcome = init(cluster, origin, id, request, now);
    match outcome {
        Ok(producer) => InitProducerIdResponse::default()
            .with_producer_id(producer.id.into())
            .with_producer_epoch(producer.epoch),
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(for_client(error, origin.version >= 4).code())
            .with_producer_id((-1).into())
            .with_producer_epoch(-1),
    }
}

fn init(
    cluster: &mut Cluster,
    origin: &Origin,
    id: Option<&str>,
    request: &InitProducerIdRequest,
    now: Now,
) -> Result<Producer, ResponseError> {
    let expected = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let expected = match (expected.id, expected.epoch) {
        // Versions without the fields leave them at 0.
        _ if origin.version < 3 => None,
        (-1, -1) => None,
        (-1, _) | (_, -1) => return Err(ResponseError::InvalidRequest),
        _ => Some(expected),
    };
    if let Some(id) = id.filter(|id| !id.is_empty()) {
        cluster.check_coordinator(CoordinatorOf::Transaction, id, origin.node)?;
    }
    let timeout = u64::try_from(request.transaction_timeout_ms).unwrap_or(0);
    let timeout = Duration::from_millis(timeout);
    cluster.transactions.init_producer_id(id, timeout, expected, now.instant)
}

pub(super) fn add_partitions(
    cluster: &mut Cluster,
    origin: &Origin,
    request: AddPartitionsToTxnRequest,
    now: Now,
) -> AddPartitionsToTxnResponse {
    let id = request.v3_and_below_transactional_id.0;
    let producer = Producer {
        id: request.v3_and_below_producer_id.0,
        epoch: request.v3_and_below_producer_epoch,
    };
    let topics = request.v3_and_below_topics;
    let all = || topics.iter().flat_map(|t| t.partitions.iter().map(|p| (t.name.to_string(), *p)));
    // All or none: one unknown partition fails the request, and the others are told so.
    let unknown = |topic: &str, partition: i32| cluster.partition(topic, partition).is_none();
    let any_unknown = all().any(|(topic, partition)| unknown(&topic, partition));
    let unknown: Vec<(String, i32)> = all().filter(|(t, p)| unknown(t, *p)).collect();
    let outcome = if any_unknown {
        Err(ResponseError::OperationNotAttempted)
    } else {
        cluster
            .check_coordinator(CoordinatorOf::Transaction, &id, origin.node)
            .and_then(|()| {
                let now = (now.instant, now.ms);
                cluster.transactions.add_partitions(&id, producer, all(), now)
            })
            .map_err(|error| for_client(error, origin.version >= 2))
    };
    let results = topics.iter().map(|topic| {
        let each = topic.partitions.iter().map(|partition| {
            let missing = unknown.iter().any(|(t, p)| p == partition && t == topic.name.as_str());
            let error =
                if missing { ResponseError::UnknownTopicOrPartition.code() } else { code(outcome) };
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*partition)
                .with_partition_error_code(error)
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(each.collect())
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}

pub(super) fn add_offsets(
    cluster: &mut Cluster,
    origin: &Origin,
    request: &AddOffsetsToTxnRequest,
    now: Now,
) -> AddOffsetsToTxnResponse {
    let id = &request.transactional_id.0;
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let outcome = cluster
        .check_coordinator(CoordinatorOf::Transaction, id, origin.node)
        .and_then(|()| {
            let now = (now.instant, now.ms);
            cluster.transactions.add_offsets(id, producer, &request.group_id.0, now)
        })
        .map_err(|error| for_client(error, origin.version >= 2));
    AddOffsetsToTxnResponse::default().with_error_code(code(outcome))
}

pub(super) fn end(
    cluster: &mut Cluster,
    origin: &Origin,
    request: &EndTxnRequest,
    now: Now,
) -> EndTxnResponse {
    let id = &request.transactional_id.0;
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let outcome = cluster
        .check_coordinator(CoordinatorOf::Transaction, id, origin.node)
        .and_then(|()| cluster.transactions.end(id, producer, request.committed, now.instant))
        .map_err(|error| for_client(error, origin.version >= 2));
    EndTxnResponse::default().with_error_code(code(outcome))
}
