//! [`Participant`]: what changes together with a Kafka transaction, beside the topics.

use std::collections::HashMap;

use oncestream_core::error::BoxError;
use oncestream_core::task::{ChangelogId, Position, Task};
use oncestream_core::{TaskId, TopicPartition};

/// A commit that is about to happen, or that has.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The worker.
    pub worker: usize,
    /// The tasks that take part.
    pub tasks: &'a [&'a Task],
    /// The positions that are committed with it: of each input partition that moved, the offset of
    /// the next record to process. If none moved, it is one that is known already.
    pub positions: &'a [Position],
    /// The offset after the last record of each changelog that was written to. Empty before Kafka has
    /// committed.
    pub changelogs: &'a HashMap<ChangelogId, i64>,
    /// The wall clock, in milliseconds.
    pub now_ms: i64,
}

/// Why a participant has not done what it was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum ParticipantError {
    /// The tasks are another worker's by now.
    Moved,
    /// It may go better the next time. A recovery is tried again for a minute; after the failure of
    /// another step the tasks start again from what is committed, and if that goes on without a commit
    /// in between, the worker stops.
    Failed(BoxError),
    /// Nothing will change by itself: the worker stops.
    Fatal(BoxError),
}

/// Changes something outside Kafka together with Kafka's transactions: a worker's local stores do, and
/// a database may.
///
/// What the worker asks for, in this order:
///
/// 1. [`recover`](Self::recover), for each task, before it takes a record: to what Kafka has
///    committed.
/// 2. [`prepare`](Self::prepare), when all records of a transaction are acknowledged: what a later
///    `apply` needs is certain after that, or the commit does not happen.
/// 3. [`apply`](Self::apply), when Kafka has committed. Under at least once: before it does, so that
///    nothing that the offsets say is done is lacking.
/// 4. [`discard`](Self::discard), on every way back and before each start of tasks: what was prepared
///    and not applied is void, *as far as is known*. A crash, or a commit whose outcome is not known,
///    leaves that to `recover`.
///
/// Exactly once holds if `recover` can find out whether the transaction of what was prepared last was
/// committed. It is given the committed positions. So `prepare` stores its own positions beside the data,
/// and `recover` compares the two.
///
/// Two limits of that:
/// - A commit in which no input moved, because only a punctuation worked, has the positions of the one
///   before. `recover` cannot find out whether it was committed. So a participant takes part in what
///   records do, and not in what punctuations do.
/// - Where an input begins is committed without a `prepare`. So a committed position may lie behind what
///   was applied last.
pub trait Participant {
    /// What it is, for errors and the log.
    fn name(&self) -> &str;

    /// Brings what a task has here to what Kafka has committed. `committed` has all input partitions
    /// of the task; `None` where nothing is committed.
    ///
    /// # Errors
    /// The task cannot start, or not yet.
    fn recover(
        &mut self,
        task: TaskId,
        committed: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), ParticipantError>;

    /// Gets ready. No part of it may be seen by others yet.
    ///
    /// # Errors
    /// The transaction is aborted then.
    fn prepare(&mut self, commit: &Commit<'_>) -> Result<(), ParticipantError>;

    /// Puts down what was prepared, for all to see.
    ///
    /// # Errors
    /// Kafka has committed, so it is not taken back: the tasks start again, and `recover` is asked.
    fn apply(&mut self, commit: &Commit<'_>) -> Result<(), ParticipantError>;

    /// Forgets what was prepared.
    fn discard(&mut self);
}
