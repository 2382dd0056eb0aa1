//! `Fetch`: waits until enough can be read, then reads.
//!
//! A fault may have a log answered for as it was `records_ago`: by a replica that lags.

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use kafka_protocol::messages::{FetchRequest, FetchResponse};

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::log::{Isolation, PartitionLog};
use crate::server::{Origin, Shared};

/// The longest a fetch may wait, whatever the client asks for.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

pub(super) async fn fetch(
    shared: &Shared,
    origin: &Origin,
    request: &FetchRequest,
    records_ago: u64,
) -> FetchResponse {
    // By hand no time passes while somebody waits: what is there is the answer.
    let by_hand = matches!(shared.clock, Clock::ByHand(_));
    let wait = if by_hand { 0 } else { u64::try_from(request.max_wait_ms).unwrap_or(0) };
    let wait = Duration::from_millis(wait);
    let deadline = tokio::time::Instant::now() + wait.min(LONGEST_WAIT);
    loop {
        // Asked for before looking, so that nothing that comes in between is missed.
        let changed = shared.changed();
        {
            let cluster = shared.cluster();
            let due = is_due(&cluster, origin, request, records_ago);
            if due || tokio::time::Instant::now() >= deadline {
                return read_all(&cluster, origin, request, records_ago);
            }
        }
        let _ = tokio::time::timeout_at(deadline, changed).await;
    }
}

fn isolation(request: &FetchRequest) -> Isolation {
    if request.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted }
}

/// Is there enough to read, or an error to tell?
fn is_due(cluster: &Cluster, origin: &Origin, request: &FetchRequest, records_ago: u64) -> bool {
    let isolation = isolation(request);
    let wanted = usize::try_from(request.min_bytes).unwrap_or(0);
    let mut available = 0;
    if wanted == 0 || request.topics.iter().all(|topic| topic.partitions.is_empty()) {
        return true;
    }
    for topic in &request.topics {
        for wish in &topic.partitions {
            let Ok(log) = find(cluster, origin, &topic.topic.0, wish) else { return true };
            if wish.fetch_offset < log.start_offset() || wish.fetch_offset > log.high_watermark() {
                return true;
            }
            let limit = usize::try_from(wish.partition_max_bytes).unwrap_or(0);
            let ends = log.ends(records_ago);
            available += log.available(wish.fetch_offset, isolation, ends).min(limit.max(1));
            if available >= wanted {
                return true;
            }
        }
    }
    false
}

fn read_all(
    cluster: &Cluster,
    origin: &Origin,
    request: &FetchRequest,
    records_ago: u64,
) -> FetchResponse {
    let isolation = isolation(request);
    let mut left = usize::try_from(request.max_bytes).unwrap_or(0);
    // The first batch is given even if it is larger than all limits.
    let mut first = true;
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wish| {
            let name = &topic.topic.0;
            let data = find(cluster, origin, name, wish)
                .and_then(|log| read(log, wish, isolation, left, first, records_ago))
                .unwrap_or_else(|error| refused(cluster, name, wish, error));
            let length = data.records.as_ref().map_or(0, bytes::Bytes::len);
            first &= length == 0;
            left = left.saturating_sub(length);
            data
        });
        FetchableTopicResponse::default()
            .with_topic(topic.topic.clone())
            .with_partitions(partitions.collect())
    });
    FetchResponse::default().with_responses(topics.collect())
}

fn find<'a>(
    cluster: &'a Cluster,
    origin: &Origin,
    topic: &str,
    wish: &FetchPartition,
) -> Result<&'a PartitionLog, ResponseError> {
    let epoch = wish.current_leader_epoch;
    let found = cluster.check_leader(topic, wish.partition, origin.node, epoch)?;
    Ok(&found.log)
}

fn read(
    log: &PartitionLog,
    wish: &FetchPartition,
    isolation: Isolation,
    left: usize,
    first: bool,
    records_ago: u64,
) -> Result<PartitionData, ResponseError> {
    let limit = usize::try_from(wish.partition_max_bytes).unwrap_or(0).min(left);
    let ends = log.ends(records_ago);
    let read = log.read(wish.fetch_offset, limit, first, isolation, ends)?;
    let aborted = (isolation == Isolation::ReadCommitted).then(|| {
        let list = read.aborted.iter().map(|(producer_id, first_offset)| {
            AbortedTransaction::default()
                .with_producer_id((*producer_id).into())
                .with_first_offset(*first_offset)
        });
        list.collect()
    });
    Ok(PartitionData::default()
        .with_partition_index(wish.partition)
        .with_high_watermark(ends.high_watermark)
        .with_last_stable_offset(ends.last_stable_offset)
        .with_log_start_offset(log.start_offset())
        .with_aborted_transactions(aborted)
        .with_records(Some(read.records)))
}

fn refused(
    cluster: &Cluster,
    topic: &str,
    wish: &FetchPartition,
    error: ResponseError,
) -> PartitionData {
    let found = cluster.partition(topic, wish.partition);
    let mut data = PartitionData::default()
        .with_partition_index(wish.partition)
        .with_error_code(error.code())
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1)
        .with_aborted_transactions(None)
        .with_records(Some(bytes::Bytes::new()));
    if let (Some(found), ResponseError::NotLeaderOrFollower) = (found, error) {
        data.current_leader = LeaderIdAndEpoch::default()
            .with_leader_id(found.leader.into())
            .with_leader_epoch(found.log.leader_epoch());
    }
    data
}
