//! The chapters, one to a file, in the order to read them.

mod all_or_nothing;
mod another_cluster;
mod at_least_once;
mod at_most_once;
mod consume_transform_produce;
mod crash_before_commit;
mod database;
mod five_in_flight;
mod idempotence_limits;
mod idempotent_producer;
mod new_leader;
mod producer_snapshot;
mod read_committed;
mod side_effect;
mod thought_dead;
mod uncommitted_reader;
mod zombie;

use oncestream_broker::Broker;

use crate::stage::Stage;
use crate::{Chapter, LabError};

pub(crate) const ALL: &[&Chapter] = &[
    &at_most_once::CHAPTER,
    &at_least_once::CHAPTER,
    &idempotent_producer::CHAPTER,
    &idempotence_limits::CHAPTER,
    &five_in_flight::CHAPTER,
    &new_leader::CHAPTER,
    &producer_snapshot::CHAPTER,
    &all_or_nothing::CHAPTER,
    &zombie::CHAPTER,
    &read_committed::CHAPTER,
    &crash_before_commit::CHAPTER,
    &thought_dead::CHAPTER,
    &consume_transform_produce::CHAPTER,
    &side_effect::CHAPTER,
    &database::CHAPTER,
    &another_cluster::CHAPTER,
    &uncommitted_reader::CHAPTER,
];

/// Waits until the markers of all transactions are in partition 0 of a topic. They may come after the
/// answer to `EndTxn`, and a reader of committed records would end before them.
fn settled(stage: &Stage<'_>, other: Option<&Broker>, topic: &str) -> Result<(), LabError> {
    stage.wait_for("the end of all transactions", |broker| {
        let view = other.unwrap_or(broker).view();
        let found = view.partition(topic, 0);
        found.is_some_and(|partition| partition.last_stable_offset == partition.high_watermark)
    })
}

/// The first few messages of a chapter: `payment 1`, `payment 2`, ...
fn payments(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("payment {number}")).collect()
}
