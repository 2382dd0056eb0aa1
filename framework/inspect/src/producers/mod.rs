//! Who writes to a partition: producer ids, epochs, sequence numbers, open transactions.
//!
//! Asks the leaders (`DescribeProducers`), and the coordinators for the transactional ids of producers
//! with an open transaction. A plain producer leaves no trace here: only one that is idempotent or
//! transactional has an id, and a broker forgets it after `producer.id.expiration.ms`.

mod leaders;
mod text;

use serde::Serialize;

use crate::error::InspectError;
use crate::transactions;
use crate::wire::{Client, Topics};
pub(crate) use leaders::{BATCH, RETRY_AFTER, known_to_leaders, retry_until};

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
