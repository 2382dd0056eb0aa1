//! Who writes to a partition: producer ids, epochs, sequence numbers, open transactions.
//!
//! Asks the leaders (`DescribeProducers`), and the coordinators for the transactional ids of producers
//! with an open transaction. A plain producer leaves no trace here: only one that is idempotent or
//! transactional has an id, and a broker forgets it after `producer.id.expiration.ms`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState};
use kafka_protocol::messages::{DescribeProducersRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::error::{InspectError, is_passing, name_of};
use crate::table::{NONE, known, now_ms, or_none, shown, span, table, time};
use crate::transactions;
use crate::wire::{Client, Topics};

/// As many partitions are asked for at once, as in Kafka's own tool.
pub(crate) const BATCH: usize = 500;
/// How long to wait before a leader or a coordinator that moved is asked again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(200);

const INVALID_TOPIC: i16 = 17;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;

/// Which partitions to look at.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// This topic alone.
    pub topic: Option<String>,
    /// This partition of it alone.
    pub partition: Option<i32>,
}

impl Scope {
    /// All partitions of all topics that the user may see, internal ones too.
    pub fn all() -> Self {
        Self::default()
    }

    /// All partitions of a topic.
    pub fn topic(topic: impl Into<String>) -> Self {
        Self { topic: Some(topic.into()), partition: None }
    }

    /// One partition.
    pub fn partition(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: Some(topic.into()), partition: Some(partition) }
    }

    fn topics(&self) -> Topics<'_> {
        self.topic.as_deref().map_or(Topics::All, Topics::One)
    }
}

/// What the leaders of partitions know of producers.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ProducersReport {
    /// When it was asked, in milliseconds since 1970, by the clock of this machine.
    pub now_ms: i64,
    /// By topic and number, also those without a producer.
    pub partitions: Vec<PartitionProducers>,
    /// What could not be looked at.
    pub missing: Vec<Missing>,
}

/// A partition and the producers it knows.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PartitionProducers {
    /// The topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The broker that answered.
    pub leader: i32,
    /// By producer id.
    pub producers: Vec<Producer>,
}

/// What a partition knows of one producer.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Producer {
    /// Its id.
    pub producer_id: i64,
    /// The newest epoch it wrote with.
    pub epoch: i32,
    /// The sequence number of its last record; none if it has written none in this epoch.
    pub last_sequence: Option<i32>,
    /// The timestamp of its last batch or marker, in milliseconds since 1970. The producer sets that of
    /// a batch.
    pub last_timestamp_ms: Option<i64>,
    /// The epoch of the coordinator that wrote its last marker; none if there is none.
    pub coordinator_epoch: Option<i32>,
    /// Its open transaction.
    pub open: Option<OpenTransaction>,
}

/// A transaction that is open in a partition: readers of committed records wait before it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct OpenTransaction {
    /// The offset of its first record in this partition.
    pub start_offset: i64,
    /// Whose it is; none if no coordinator says so, or the user may not see it.
    pub transactional_id: Option<String>,
    /// When it began, in milliseconds since 1970, as its coordinator says.
    pub started_ms: Option<i64>,
    /// How long it is open.
    pub open_for_ms: Option<i64>,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Missing {
    /// A partition, a broker, a transactional id.
    pub what: String,
    /// Why.
    pub reason: String,
}

impl Missing {
    pub(crate) fn new(what: impl Into<String>, reason: impl ToString) -> Self {
        Self { what: what.into(), reason: reason.to_string() }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shown(&self.what), shown(&self.reason))
    }
}

/// Asks the leaders of the partitions for their producers.
///
/// # Errors
/// A topic or partition that is named and is not there, or must not be read; brokers that cannot be
/// reached. What fails for a part of what was asked for is in [`ProducersReport::missing`].
pub async fn describe(client: &mut Client, scope: &Scope) -> Result<ProducersReport, InspectError> {
    let mut report = known_to_leaders(client, scope).await?;
    let open = report.partitions.iter().flat_map(|partition| &partition.producers);
    let ids: Vec<i64> = open.filter(|p| p.open.is_some()).map(|p| p.producer_id).collect();
    if ids.is_empty() {
        return Ok(report);
    }
    let (owners, missing) = transactions::listed(client, &ids).await?;
    report.missing.extend(missing);
    let producers = report.partitions.iter_mut().flat_map(|partition| &mut partition.producers);
    for producer in producers {
        let owner = owners.iter().find(|owner| owner.producer_id == producer.producer_id);
        if let (Some(open), Some(owner)) = (&mut producer.open, owner) {
            open.transactional_id = Some(owner.transactional_id.clone());
            open.started_ms = owner.started_ms;
            open.open_for_ms = owner.open_for_ms;
        }
    }
    Ok(report)
}

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

/// What leaders alone say, without the owners of transactions.
pub(crate) async fn known_to_leaders(
    client: &mut Client,
    scope: &Scope,
) -> Result<ProducersReport, InspectError> {
    let until = Instant::now() + client.config().request_timeout;
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
        match (topic.error_code, &scope.topic) {
            (0, _) => {}
            (code, Some(_)) if is_passing(code) && code != UNKNOWN_TOPIC_OR_PARTITION => {}
            (code, Some(_)) => return Err(topic_error(name, code)),
            (code, None) => missing.push(Missing::new(name.as_str(), name_of(code))),
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
            && topic.error_code == 0
        {
            return Err(InspectError::NoSuchPartition { topic: name, partition, count });
        }
    }
    Ok((leaders, missing))
}

fn topic_error(topic: String, code: i16) -> InspectError {
    match code {
        TOPIC_AUTHORIZATION_FAILED => {
            InspectError::NotAuthorized { resource: format!("topic `{topic}`"), right: "Describe" }
        }
        // Either cannot be the name of one that is there.
        UNKNOWN_TOPIC_OR_PARTITION | INVALID_TOPIC => InspectError::NoSuchTopic { topic },
        code => InspectError::Refused {
            broker: format!("topic `{topic}`"),
            request: "Metadata",
            error: name_of(code),
        },
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

/// A table for people.
impl fmt::Display for ProducersReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<Vec<String>> = self
            .partitions
            .iter()
            .flat_map(|partition| {
                partition.producers.iter().map(|producer| row(partition, producer))
            })
            .collect();
        if rows.is_empty() {
            let count = self.partitions.len();
            return writeln!(
                f,
                "No idempotent or transactional producer is known to {count} partitions."
            );
        }
        let heads = [
            "TOPIC",
            "PARTITION",
            "PRODUCER ID",
            "EPOCH",
            "LAST SEQUENCE",
            "LAST TIMESTAMP",
            "COORDINATOR EPOCH",
            "OPEN SINCE OFFSET",
            "OPEN FOR",
            "TRANSACTIONAL ID",
        ];
        f.write_str(&table(&heads, &rows))
    }
}

fn row(partition: &PartitionProducers, producer: &Producer) -> Vec<String> {
    let open = producer.open.as_ref();
    vec![
        shown(&partition.topic),
        partition.partition.to_string(),
        producer.producer_id.to_string(),
        producer.epoch.to_string(),
        or_none(producer.last_sequence),
        producer.last_timestamp_ms.map_or_else(|| NONE.to_owned(), time),
        or_none(producer.coordinator_epoch),
        or_none(open.map(|open| open.start_offset)),
        or_none(open.and_then(|open| open.open_for_ms).map(span)),
        or_none(open.and_then(|open| open.transactional_id.as_deref()).map(shown)),
    ]
}
