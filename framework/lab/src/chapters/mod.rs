//! The chapters, one to a file, in the order to read them.

mod all_or_nothing;
mod at_least_once;
mod crash_before_commit;
mod idempotent_producer;
mod read_committed;
mod thought_dead;
mod zombie;

use crate::Chapter;

pub(crate) const ALL: &[&Chapter] = &[
    &at_least_once::CHAPTER,
    &idempotent_producer::CHAPTER,
    &all_or_nothing::CHAPTER,
    &zombie::CHAPTER,
    &read_committed::CHAPTER,
    &crash_before_commit::CHAPTER,
    &thought_dead::CHAPTER,
];

/// The first few messages of a chapter: `payment 1`, `payment 2`, ...
fn payments(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("payment {number}")).collect()
}
