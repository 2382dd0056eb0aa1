//! The answers to requests, one file per family.
//!
//! A handler takes the decoded request and the cluster, and returns the whole answer. Those that
//! may have to wait (fetch, join, sync) are async and never hold the lock while they do.

mod configs;
mod fetch;
mod group_admin;
mod groups;
mod list_offsets;
mod metadata;
mod offsets;
mod produce;
mod topics;
mod transaction_admin;
mod transactions;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{RequestKind, ResponseKind};
use kafka_protocol::protocol::StrBytes;

pub(crate) use configs::topic_settings;
pub(crate) use metadata::unknown_api_versions;

use crate::server::{Origin, Shared};

/// Applies a request and returns its answer. `None`: none is wanted, or the node is down.
///
/// A node goes down before its connections are cut. Were it to answer in between, it would tell
/// of no brokers, and librdkafka gives up those it is not told of: it would never come back.
///
/// A `Fetch` is answered for logs as they were `records_ago`, which is 0 but for a fault.
pub(crate) async fn answer(
    shared: &Shared,
    origin: &Origin,
    request: RequestKind,
    records_ago: u64,
) -> Option<ResponseKind> {
    use RequestKind as Q;
    use ResponseKind as A;
    let request = match request {
        Q::Fetch(r) => {
            return Some(A::Fetch(fetch::fetch(shared, origin, &r, records_ago).await));
        }
        Q::JoinGroup(r) => return Some(A::JoinGroup(groups::join(shared, origin, r).await)),
        Q::SyncGroup(r) => return Some(A::SyncGroup(groups::sync(shared, origin, r).await)),
        other => other,
    };
    let now = shared.now();
    let cluster = &mut *shared.cluster();
    if !cluster.is_up(origin.node) {
        return None;
    }
    Some(match request {
        Q::Produce(r) => {
            let answer = produce::produce(cluster, origin, &r, now);
            shared.wake();
            A::Produce(answer)
        }
        Q::ApiVersions(r) => A::ApiVersions(metadata::api_versions(origin, &r)),
        Q::Metadata(r) => A::Metadata(metadata::metadata(cluster, origin, r)),
        Q::FindCoordinator(r) => A::FindCoordinator(metadata::find_coordinator(cluster, origin, r)),
        Q::DescribeCluster(r) => A::DescribeCluster(metadata::describe_cluster(cluster, &r)),
        Q::ListOffsets(r) => A::ListOffsets(list_offsets::list_offsets(cluster, origin, r)),
        Q::OffsetForLeaderEpoch(r) => {
            A::OffsetForLeaderEpoch(list_offsets::offset_for_leader_epoch(cluster, origin, r))
        }
        Q::CreateTopics(r) => A::CreateTopics(topics::create(cluster, r)),
        Q::DeleteTopics(r) => {
            let answer = topics::delete(cluster, origin, r);
            shared.wake();
            A::DeleteTopics(answer)
        }
        Q::CreatePartitions(r) => A::CreatePartitions(topics::create_partitions(cluster, r)),
        Q::DeleteRecords(r) => A::DeleteRecords(topics::delete_records(cluster, origin, r)),
        Q::DescribeConfigs(r) => A::DescribeConfigs(configs::describe(cluster, r)),
        Q::AlterConfigs(r) => A::AlterConfigs(configs::alter(cluster, r)),
        Q::IncrementalAlterConfigs(r) => {
            A::IncrementalAlterConfigs(configs::alter_incrementally(cluster, r))
        }
        Q::Heartbeat(r) => A::Heartbeat(groups::heartbeat(cluster, origin, &r, now)),
        Q::LeaveGroup(r) => A::LeaveGroup(groups::leave(cluster, origin, r, now)),
        Q::OffsetCommit(r) => A::OffsetCommit(offsets::commit(cluster, origin, r, now)),
        Q::OffsetFetch(r) => A::OffsetFetch(offsets::fetch(cluster, origin, r)),
        Q::OffsetDelete(r) => A::OffsetDelete(offsets::delete(cluster, origin, r)),
        Q::TxnOffsetCommit(r) => {
            A::TxnOffsetCommit(offsets::commit_in_transaction(cluster, origin, r, now))
        }
        Q::DescribeGroups(r) => A::DescribeGroups(group_admin::describe(cluster, origin, r)),
        Q::ListGroups(r) => A::ListGroups(group_admin::list(cluster, origin, &r)),
        Q::DeleteGroups(r) => A::DeleteGroups(group_admin::delete(cluster, origin, r)),
        Q::InitProducerId(r) => {
            A::InitProducerId(transactions::init_producer_id(cluster, origin, &r, now))
        }
        Q::AddPartitionsToTxn(r) => {
            A::AddPartitionsToTxn(transactions::add_partitions(cluster, origin, r, now))
        }
        Q::AddOffsetsToTxn(r) => {
            A::AddOffsetsToTxn(transactions::add_offsets(cluster, origin, &r, now))
        }
        Q::EndTxn(r) => A::EndTxn(transactions::end(cluster, origin, &r, now)),
        Q::DescribeProducers(r) => {
            A::DescribeProducers(transaction_admin::describe_producers(cluster, origin, r))
        }
        Q::DescribeTransactions(r) => {
            A::DescribeTransactions(transaction_admin::describe_transactions(cluster, origin, r))
        }
        Q::ListTransactions(r) => {
            A::ListTransactions(transaction_admin::list_transactions(cluster, origin, &r, now))
        }
        // Not among the announced requests, so refused before it was decoded.
        _ => return None,
    })
}

/// A string for an answer.
fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// The code of an outcome: 0 where all went well.
fn code(outcome: Result<(), ResponseError>) -> i16 {
    outcome.err().map_or(0, |error| error.code())
}
