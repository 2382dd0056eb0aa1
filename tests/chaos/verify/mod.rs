//! What came out against what went in, record by record and key by key.
//!
//! - `tally.rs` counts what is wrong, and tells the first findings.
//! - `turns.rs` says which numbers of a key come when; `numbers.rs` holds what came against that.
//! - `extremes.rs` has the results of the smoke test, and `latest.rs` those of the foreign-key join: of both
//!   the last ones count.
//!
//! Pure: knows nothing of Kafka, and takes what it is shown. Invariants: nothing that was shown is
//! forgotten, and a tally is clean only if every expected record came exactly once and in order.

mod extremes;
mod latest;
mod numbers;
mod tally;
mod turns;

pub(crate) use extremes::{Extremes, Results, STEP};
pub(crate) use latest::Latest;
pub(crate) use numbers::Numbers;
pub(crate) use tally::Tally;
pub(crate) use turns::Turns;
