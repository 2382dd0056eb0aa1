//! The chapters, one to a file, in the order to read them.

mod at_least_once;
mod at_most_once;
mod five_in_flight;
mod idempotence_limits;
mod idempotent_producer;
mod new_leader;
mod producer_snapshot;

use crate::Chapter;

pub(crate) const ALL: &[&Chapter] = &[
    &at_most_once::CHAPTER,
    &at_least_once::CHAPTER,
    &idempotent_producer::CHAPTER,
    &idempotence_limits::CHAPTER,
    &five_in_flight::CHAPTER,
    &new_leader::CHAPTER,
    &producer_snapshot::CHAPTER,
];

/// The first few messages of a chapter: `payment 1`, `payment 2`, ...
fn payments(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("payment {number}")).collect()
}
