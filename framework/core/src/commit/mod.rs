//! The commit and the way back from every failure, decided: facts in, the next action out. No I/O.
//!
//! The worker executes what [`CommitMachine::on`] asks for and reports what it saw. All rules of
//! exactly once that are about order live here, and so does every bound on how often something may
//! fail:
//!
//! - A [`CommitPermit`] is minted only when every record of the transaction is acknowledged, its
//!   offsets are part of it, and nothing was lost meanwhile. Only a permit can commit.
//! - Exactly once, stores are applied only after the commit is known to have succeeded. At least
//!   once, they are applied before the offsets: a store without a changelog would otherwise lack,
//!   after a crash in between, what the offsets say is done.
//! - After a call that timed out the outcome is unknown: the producer is never used again. A new
//!   one with the same transactional id settles the old transaction, and the tasks go back to
//!   what the broker says is committed. That is right for both outcomes.
//! - There is one way back from every failure: abort or replace the producer, drop the tasks,
//!   start them again from what is committed.
//! - What fails in the same way again and again without a commit in between stops the worker, but
//!   for brokers and groups that are away: those are waited for.
//! - A transaction that outlived its timeout because its records are slow is tried again with half
//!   as many records, so that a slow one is alone in the end. If that is still too long, no
//!   repetition helps.

mod bounds;
mod failure;
mod machine;
#[cfg(test)]
mod tests;

pub use failure::{Age, ClientFailure, Ending, Failure, Symptom, Verdict};
pub use machine::{Action, CommitMachine, CommitPermit, CommitState, Fact, Guarantee};
