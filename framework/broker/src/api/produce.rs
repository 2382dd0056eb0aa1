//! `Produce`.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use super::text;
use crate::cluster::{Cluster, Now};
use crate::log::{AppendError, Appended, PartitionLog};
use crate::server::Origin;
use crate::transaction::Producer;

pub(super) fn produce(
    cluster: &mut Cluster,
    origin: &Origin,
    request: &ProduceRequest,
    now: Now,
) -> ProduceResponse {
    let id = request.transactional_id.as_ref().map(|id| id.0.as_str());
    let topics = request.topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|data| {
            let outcome = if matches!(request.acks, -1..=1) {
                append(cluster, origin, id, &topic.name.0, data, now)
            } else {
                Err(plain(ResponseError::InvalidRequiredAcks))
            };
            respond(cluster, origin, &topic.name.0, data.index, outcome)
        });
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_partition_responses(partitions.collect())
    });
    let topics = topics.collect();
    ProduceResponse::default().with_responses(topics)
}

fn plain(error: ResponseError) -> AppendError {
    AppendError { error, message: String::new(), record_errors: Vec::new() }
}

fn append(
    cluster: &mut Cluster,
    origin: &Origin,
    transactional_id: Option<&str>,
    topic: &str,
    data: &PartitionProduceData,
    now: Now,
) -> Result<Appended, AppendError> {
    cluster.check_leader(topic, data.index, origin.node, -1).map_err(plain)?;
    let empty = Bytes::new();
    let records = data.records.as_ref().unwrap_or(&empty);
    let info = PartitionLog::inspect(records)?;
    if info.transactional {
        verify(cluster, origin, transactional_id, topic, data.index, records)?;
    }
    let (settings, partition) = cluster.partition_mut(topic, data.index).map_err(plain)?;
    partition.log.append(records, settings.log(), now.ms)
}

/// A transactional batch is taken only if its partition was added to the transaction, unless the
/// transaction has written here before (KIP-890). Codes are translated as `ReplicaManager` and
/// `AddPartitionsToTxnManager` do for clients of this version.
fn verify(
    cluster: &Cluster,
    origin: &Origin,
    transactional_id: Option<&str>,
    topic: &str,
    partition: i32,
    records: &[u8],
) -> Result<(), AppendError> {
    let info = PartitionLog::inspect(records)?;
    let producer = Producer { id: info.producer_id, epoch: info.producer_epoch };
    let Some(id) = transactional_id else {
        return Err(plain(ResponseError::TransactionalIdAuthorizationFailed));
    };
    let open = cluster
        .partition(topic, partition)
        .is_some_and(|partition| partition.log.has_open_transaction(producer.id));
    if open {
        return Ok(());
    }
    cluster.transactions.verify(id, producer, topic, partition).map_err(|error| {
        let (error, message) = match error {
            ResponseError::ProducerFenced => (ResponseError::InvalidProducerEpoch, ""),
            // Clients that know of abortable errors get this one as it is.
            ResponseError::TransactionAbortable if origin.version <= 10 => {
                (ResponseError::InvalidTxnState, "Partition was not added to the transaction")
            }
            ResponseError::ConcurrentTransactions => (
                ResponseError::NotEnoughReplicas,
                "Unable to verify the partition has been added to the transaction. Underlying \
                 error: CONCURRENT_TRANSACTIONS",
            ),
            other => (other, ""),
        };
        AppendError { message: message.to_owned(), ..plain(error) }
    })
}

fn respond(
    cluster: &Cluster,
    origin: &Origin,
    topic: &str,
    index: i32,
    outcome: Result<Appended, AppendError>,
) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    let partition = cluster.partition(topic, index);
    match outcome {
        Ok(appended) => response
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.log_append_time_ms)
            .with_log_start_offset(partition.map_or(-1, |found| found.log.start_offset())),
        Err(AppendError { error, message, record_errors }) => {
            let mut response = response
                .with_error_code(error.code())
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1);
            if origin.version >= 8 {
                let errors = record_errors.into_iter().map(|(index, message)| {
                    BatchIndexAndErrorMessage::default()
                        .with_batch_index(index)
                        .with_batch_index_error_message(Some(text(message)))
                });
                response.record_errors = errors.collect();
                response.error_message = Some(text(message)).filter(|m| !m.is_empty());
            }
            if let Some(found) = partition
                && error == ResponseError::NotLeaderOrFollower
                && origin.version >= 10
            {
                response.current_leader = LeaderIdAndEpoch::default()
                    .with_leader_id(found.leader.into())
                    .with_leader_epoch(found.log.leader_epoch());
            }
            response
        }
    }
}
