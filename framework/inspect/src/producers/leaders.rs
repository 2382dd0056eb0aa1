//! Asks the leaders of partitions, and asks again while leaders move.
//!
//! Invariant: each partition in question ends up in the report once, as known or as missing, unless it is
//! deleted meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState};
use kafka_protocol::messages::{DescribeProducersRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::{Instant, sleep};

use super::{Missing, OpenTransaction, PartitionProducers, Producer, ProducersReport, Scope};
use crate::error::{InspectError, is_passing, name_of};
use crate::table::{known, now_ms};
use crate::wire::Client;

/// As many partitions are asked for at once, as in Kafka's own tool.
pub(crate) const BATCH: usize = 500;
/// How long to wait before a leader or a coordinator that moved is asked again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How long they may take to be found: an election takes less, and a partition without a leader is to
/// be told.
const RETRY_FOR: Duration = Duration::from_secs(10);

const INVALID_TOPIC: i16 = 17;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;

/// A partition to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    topic: String,
    partition: i32,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// When to stop asking again.
pub(crate) fn retry_until(client: &Client) -> Instant {
    Instant::now() + client.config().request_timeout.min(RETRY_FOR)
}

/// What leaders alone say, without the owners of transactions.
pub(crate) async fn known_to_leaders(
    client: &mut Client,
    scope: &Scope,
) -> Result<ProducersReport, InspectError> {
    let until = retry_until(client);
    let mut report =
        ProducersReport { now_ms: now_ms(), partitions: Vec::new(), missing: Vec::new() };
    // Those that a leader has yet to answer for, and why; at first all.
    let mut pending: Option<BTreeMap<At, String>> = None;
    loop {
        let (mut leaders, missing) = leaders(client, scope).await?;
        if let Some(pending) = &pending {
            leaders.retain(|at, _| pending.contains_key(at));
        } else {
            report.missing.extend(missing);
        }
        let failed = ask_leaders(client, leaders, &mut report).await?;
        if failed.is_empty() {
            break;
        }
        if Instant::now() >= until {
            let missing = failed.into_iter().map(|(at, why)| Missing::new(at.to_string(), why));
            report.missing.extend(missing);
            break;
        }
        pending = Some(failed);
        sleep(RETRY_AFTER).await;
    }
    report.partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    Ok(report)
}

/// The partitions in question and their leaders; -1 if one has none.
async fn leaders(
    client: &mut Client,
    scope: &Scope,
) -> Result<(BTreeMap<At, i32>, Vec<Missing>), InspectError> {
    let topics = client.metadata(scope.topics()).await?;
    let (mut leaders, mut missing) = (BTreeMap::new(), Vec::new());
    for topic in topics {
        let name = topic.name.map(|name| name.0.to_string()).unwrap_or_default();
        if topic.error_code != 0 {
            let refused = scope.topic.is_some().then(|| topic_error(&name, topic.error_code));
            if let Some(error) = refused.flatten() {
                return Err(error);
            }
            missing.push(Missing::new(name, name_of(topic.error_code)));
            continue;
        }
        let count = topic.partitions.len();
        let all = topic.partitions.into_iter();
        let wanted = all
            .filter(|found| scope.partition.is_none_or(|wanted| wanted == found.partition_index))
            .map(|found| {
                let at = At { topic: name.clone(), partition: found.partition_index };
                (at, found.leader_id.0)
            });
        let before = leaders.len();
        leaders.extend(wanted);
        if let Some(partition) = scope.partition
            && leaders.len() == before
        {
            return Err(InspectError::NoSuchPartition { topic: name, partition, count });
        }
    }
    Ok((leaders, missing))
}

/// Why a topic that was named is not looked at, if that is for good.
fn topic_error(topic: &str, code: i16) -> Option<InspectError> {
    match code {
        TOPIC_AUTHORIZATION_FAILED => Some(InspectError::NotAuthorized {
            resource: format!("topic `{topic}`"),
            right: "Describe",
        }),
        // Either cannot be the name of one that is there.
        UNKNOWN_TOPIC_OR_PARTITION | INVALID_TOPIC => {
            Some(InspectError::NoSuchTopic { topic: topic.to_owned() })
        }
        _ => None,
    }
}

/// Asks each leader once. Returns the partitions that may be answered for later, and why they were
/// not.
async fn ask_leaders(
    client: &mut Client,
    leaders: BTreeMap<At, i32>,
    report: &mut ProducersReport,
) -> Result<BTreeMap<At, String>, InspectError> {
    let mut failed = BTreeMap::new();
    let mut by_leader: BTreeMap<i32, Vec<At>> = BTreeMap::new();
    for (at, leader) in leaders {
        by_leader.entry(leader).or_default().push(at);
    }
    for (leader, partitions) in by_leader {
        if leader < 0 {
            failed.extend(partitions.into_iter().map(|at| (at, "it has no leader".to_owned())));
            continue;
        }
        for batch in partitions.chunks(BATCH) {
            let answer = match client.ask(leader, &request(batch)).await {
                Ok(answer) => answer,
                Err(error @ InspectError::Unsupported { .. }) => return Err(error),
                Err(error) => {
                    let why = format!("its leader does not answer: {error}");
                    failed.extend(batch.iter().map(|at| (at.clone(), why.clone())));
                    continue;
                }
            };
            for topic in answer.topics {
                for partition in topic.partitions {
                    let at = At {
                        topic: topic.name.0.to_string(),
                        partition: partition.partition_index,
                    };
                    match partition.error_code {
                        0 => report.partitions.push(known_producers(at, leader, partition)),
                        TOPIC_AUTHORIZATION_FAILED => report.missing.push(Missing::new(
                            at.to_string(),
                            "not authorized: grant the right Read on the topic",
                        )),
                        code if is_passing(code) => drop(failed.insert(at, name_of(code))),
                        code => report.missing.push(Missing::new(at.to_string(), name_of(code))),
                    }
                }
            }
        }
    }
    Ok(failed)
}

fn request(partitions: &[At]) -> DescribeProducersRequest {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for at in partitions {
        topics.entry(&at.topic).or_default().push(at.partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        TopicRequest::default().with_name(name).with_partition_indexes(partitions)
    });
    DescribeProducersRequest::default().with_topics(topics.collect())
}

fn known_producers(at: At, leader: i32, found: PartitionResponse) -> PartitionProducers {
    let mut producers: Vec<Producer> = found.active_producers.iter().map(producer).collect();
    producers.sort_by_key(|producer| producer.producer_id);
    PartitionProducers { topic: at.topic, partition: at.partition, leader, producers }
}

fn producer(state: &ProducerState) -> Producer {
    let open = known(state.current_txn_start_offset).map(|start_offset| OpenTransaction {
        start_offset,
        transactional_id: None,
        started_ms: None,
        open_for_ms: None,
    });
    Producer {
        producer_id: state.producer_id.0,
        epoch: state.producer_epoch,
        last_sequence: known(state.last_sequence),
        last_timestamp_ms: known(state.last_timestamp),
        coordinator_epoch: known(state.coordinator_epoch),
        open,
    }
}
