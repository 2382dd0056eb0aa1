//! What the coordinators know of transactions, and which open ones hang.
//!
//! Asks all brokers (`ListTransactions`, `DescribeTransactions`), because each tells the transactional
//! ids that it coordinates; and the leaders, for what is open in partitions. It asks the leaders first, so
//! that a transaction that begins in between is not taken for one that hangs.

mod hanging;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::{
    DescribeTransactionsRequest, ListTransactionsRequest, ProducerId, TransactionalId,
};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::error::{InspectError, is_passing, name_of};
use crate::producers::{
    BATCH, Missing, PartitionProducers, Producer, RETRY_AFTER, Scope, known_to_leaders, retry_until,
};
use crate::table::{known, now_ms};
use crate::wire::{Client, Topics};
pub use hanging::Why;

const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;
/// The states of a transaction that has not ended.
const OPEN_STATES: [&str; 4] = ["Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"];

/// What to look for.
#[derive(Debug, Clone)]
pub struct Search {
    /// These transactional ids alone; all if there are none.
    pub transactional_ids: Vec<String>,
    /// Where to look for transactions that hang.
    pub scope: Scope,
    /// A transaction may hang once its last batch is so old, in milliseconds: as long as the brokers'
    /// `transaction.max.timeout.ms`, so that none that is alive is judged.
    pub max_timeout_ms: i64,
}

impl Default for Search {
    /// Everything, with the brokers' default of 15 minutes.
    fn default() -> Self {
        Self { transactional_ids: Vec::new(), scope: Scope::all(), max_timeout_ms: 15 * 60_000 }
    }
}

/// What the coordinators and the leaders know.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TransactionsReport {
    /// When it was asked, in milliseconds since 1970, by the clock of this machine.
    pub now_ms: i64,
    /// By transactional id.
    pub transactions: Vec<Transaction>,
    /// Open transactions that no coordinator will end.
    pub hanging: Vec<HangingTransaction>,
    /// How many partitions were searched for them.
    pub partitions_searched: usize,
    /// What could not be looked at.
    pub missing: Vec<Missing>,
}

/// A transactional id.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Transaction {
    /// The `transactional.id`.
    pub transactional_id: String,
    /// `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`, `CompleteAbort` or
    /// another of Kafka's.
    pub state: String,
    /// Its producer id.
    pub producer_id: i64,
    /// The epoch that may write. Older ones are fenced.
    pub epoch: i16,
    /// `transaction.timeout.ms` as the producer gave it.
    pub timeout_ms: i32,
    /// When the open transaction began, in milliseconds since 1970, by the coordinator's clock.
    pub started_ms: Option<i64>,
    /// How long it is open.
    pub open_for_ms: Option<i64>,
    /// The partitions that have yet to get a marker.
    pub partitions: Vec<TopicPartition>,
    /// The broker that coordinates it.
    pub coordinator: i32,
}

/// A topic and the number of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

/// An open transaction that no coordinator will end.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct HangingTransaction {
    /// Where it is open.
    pub topic: String,
    /// Where it is open.
    pub partition: i32,
    /// Who began it.
    pub producer_id: i64,
    /// With which epoch.
    pub epoch: i32,
    /// The epoch of the coordinator that wrote the producer's last marker; none if there is none.
    pub coordinator_epoch: Option<i32>,
    /// The offset of its first record.
    pub start_offset: i64,
    /// The timestamp of its last batch, in milliseconds since 1970.
    pub last_timestamp_ms: Option<i64>,
    /// Why it hangs.
    pub why: Why,
    /// Whose it was, if a coordinator knows the producer.
    pub transactional_id: Option<String>,
    /// The command of Apache Kafka that ends it. It is not run.
    pub abort_command: String,
}

/// Asks for transactions, and searches for those that hang.
///
/// # Errors
/// A transactional id, a topic or a partition that is named and is not there; brokers that cannot be
/// reached. What fails for a part of what was asked for is in [`TransactionsReport::missing`].
pub async fn describe(
    client: &mut Client,
    search: &Search,
) -> Result<TransactionsReport, InspectError> {
    let leaders = known_to_leaders(client, &search.scope).await?;
    let (mut transactions, missing_ids) = listed(client, &[]).await?;
    let command = AbortCommand::of(client);
    let hanging = leaders
        .partitions
        .iter()
        .flat_map(|partition| partition.producers.iter().map(move |producer| (partition, producer)))
        .filter_map(|(partition, producer)| {
            let mut owners = transactions.iter();
            let owner = owners.find(|owner| owner.producer_id == producer.producer_id);
            hangs(partition, producer, owner, leaders.now_ms, search.max_timeout_ms, &command)
        })
        .collect();
    for id in &search.transactional_ids {
        if !transactions.iter().any(|found| found.transactional_id == *id) {
            return Err(InspectError::NoSuchTransactionalId { transactional_id: id.clone() });
        }
    }
    if !search.transactional_ids.is_empty() {
        transactions.retain(|found| search.transactional_ids.contains(&found.transactional_id));
    }
    Ok(TransactionsReport {
        now_ms: leaders.now_ms,
        transactions,
        hanging,
        partitions_searched: leaders.partitions.len(),
        missing: leaders.missing.into_iter().chain(missing_ids).collect(),
    })
}

fn hangs(
    partition: &PartitionProducers,
    producer: &Producer,
    owner: Option<&Transaction>,
    now_ms: i64,
    max_timeout_ms: i64,
    command: &AbortCommand,
) -> Option<HangingTransaction> {
    let start_offset = producer.open.as_ref()?.start_offset;
    let open = hanging::Open {
        topic: &partition.topic,
        partition: partition.partition,
        last_timestamp_ms: producer.last_timestamp_ms,
    };
    let known = owner.map(|owner| hanging::Owner { partitions: &owner.partitions });
    let why = hanging::judge(open, known, now_ms, max_timeout_ms)?;
    Some(HangingTransaction {
        topic: partition.topic.clone(),
        partition: partition.partition,
        producer_id: producer.producer_id,
        epoch: producer.epoch,
        coordinator_epoch: producer.coordinator_epoch,
        start_offset,
        last_timestamp_ms: producer.last_timestamp_ms,
        why,
        transactional_id: owner.map(|owner| owner.transactional_id.clone()),
        abort_command: command.text(&partition.topic, partition.partition, start_offset),
    })
}

/// How Apache Kafka's tool reaches the same brokers.
struct AbortCommand {
    servers: String,
    command_config: Option<String>,
}

impl AbortCommand {
    fn of(client: &Client) -> Self {
        let config = client.config();
        Self { servers: config.bootstrap_servers(), command_config: config.command_config.clone() }
    }

    fn text(&self, topic: &str, partition: i32, start_offset: i64) -> String {
        let config = self.command_config.as_deref();
        let config =
            config.map(|file| format!(" --command-config {}", quoted(file))).unwrap_or_default();
        format!(
            "kafka-transactions.sh --bootstrap-server {}{config} abort --topic {} --partition \
             {partition} --start-offset {start_offset}",
            quoted(&self.servers),
            quoted(topic)
        )
    }
}

/// A word as a shell takes it: what brokers say must not become another command.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:,/[]".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.contains(['[', ']']) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// All transactional ids, or those of these producers, as their coordinators describe them.
pub(crate) async fn listed(
    client: &mut Client,
    producer_ids: &[i64],
) -> Result<(Vec<Transaction>, Vec<Missing>), InspectError> {
    let until = retry_until(client);
    let mut found: BTreeMap<String, Transaction> = BTreeMap::new();
    loop {
        // A coordinator that moved is another broker's answer: all are asked again.
        client.metadata(Topics::None).await?;
        let mut failed = Vec::new();
        let mut missing = Vec::new();
        for broker in client.brokers() {
            match of_coordinator(client, broker, producer_ids).await {
                Ok(answer) => {
                    found.extend(
                        answer.described.into_iter().map(|t| (t.transactional_id.clone(), t)),
                    );
                    missing.extend(answer.missing);
                    failed.extend(answer.moving);
                }
                Err(error @ InspectError::Unsupported { .. }) => return Err(error),
                Err(error) => {
                    failed.push(Missing::new(format!("broker {}", client.name_of(broker)), error));
                }
            }
        }
        if failed.is_empty() || Instant::now() >= until {
            missing.extend(failed);
            return Ok((found.into_values().collect(), missing));
        }
        sleep(RETRY_AFTER).await;
    }
}

/// What one broker says of the transactional ids that it coordinates.
#[derive(Default)]
struct OfCoordinator {
    described: Vec<Transaction>,
    /// What the user may not see.
    missing: Vec<Missing>,
    /// What may be answered soon, here or by another broker.
    moving: Vec<Missing>,
}

async fn of_coordinator(
    client: &mut Client,
    broker: i32,
    producer_ids: &[i64],
) -> Result<OfCoordinator, InspectError> {
    let mut found = OfCoordinator::default();
    let producers: BTreeSet<i64> = producer_ids.iter().copied().collect();
    let producers = producers.into_iter().map(ProducerId).collect();
    let request = ListTransactionsRequest::default().with_producer_id_filters(producers);
    let answer = client.ask(broker, &request).await?;
    if answer.error_code != 0 {
        let what = format!("broker {}", client.name_of(broker));
        let why = Missing::new(what, name_of(answer.error_code));
        let passing = is_passing(answer.error_code);
        if passing {
            found.moving.push(why);
        } else {
            found.missing.push(why);
        }
        return Ok(found);
    }
    let ids: Vec<TransactionalId> =
        answer.transaction_states.into_iter().map(|state| state.transactional_id).collect();
    for batch in ids.chunks(BATCH) {
        let request = DescribeTransactionsRequest::default().with_transactional_ids(batch.to_vec());
        let now_ms = now_ms();
        for state in client.ask(broker, &request).await?.transaction_states {
            let what = || format!("transactional id {}", state.transactional_id.0.as_str());
            match state.error_code {
                0 => found.described.push(transaction(broker, &state, now_ms)),
                // It has expired since it was listed.
                TRANSACTIONAL_ID_NOT_FOUND => {}
                TRANSACTIONAL_ID_AUTHORIZATION_FAILED => {
                    found.missing.push(Missing::new(
                        what(),
                        "not authorized: grant the right Describe on it",
                    ));
                }
                code if is_passing(code) => found.moving.push(Missing::new(what(), name_of(code))),
                code => found.missing.push(Missing::new(what(), name_of(code))),
            }
        }
    }
    Ok(found)
}

fn transaction(coordinator: i32, state: &TransactionState, now_ms: i64) -> Transaction {
    let name = state.transaction_state.to_string();
    // An ended transaction may still have a time.
    let is_open = OPEN_STATES.contains(&name.as_str());
    let started_ms = known(state.transaction_start_time_ms).filter(|_| is_open);
    let partitions = state.topics.iter().flat_map(|topic| {
        let named = |partition: &i32| TopicPartition {
            topic: topic.topic.0.to_string(),
            partition: *partition,
        };
        topic.partitions.iter().map(named)
    });
    Transaction {
        transactional_id: state.transactional_id.0.to_string(),
        state: name,
        producer_id: state.producer_id.0,
        epoch: state.producer_epoch,
        timeout_ms: state.transaction_timeout_ms,
        started_ms,
        // The clocks of two machines differ.
        open_for_ms: started_ms.map(|started_ms| now_ms.saturating_sub(started_ms).max(0)),
        partitions: partitions.collect(),
        coordinator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_one_that_a_shell_takes_as_it_is_meant() {
        let command = AbortCommand { servers: "a:1,b:2".to_owned(), command_config: None };
        assert_eq!(
            command.text("lines", 3, 42),
            "kafka-transactions.sh --bootstrap-server a:1,b:2 abort --topic lines --partition 3 \
             --start-offset 42"
        );
        let command_config = Some("my config.properties".to_owned());
        let command = AbortCommand { servers: "[::1]:9092".to_owned(), command_config };
        assert_eq!(
            command.text("a; rm 'x'", 0, 0),
            "kafka-transactions.sh --bootstrap-server '[::1]:9092' --command-config \
             'my config.properties' abort --topic 'a; rm '\\''x'\\''' --partition 0 --start-offset 0"
        );
    }
}
