//! The steps of a worker, and the plan of where to crash.
//!
//! A step is a call of a port that changes something outside the worker: in the broker, or on its
//! disk. What lies between two steps is in memory, and a crash takes it all, so that a crash at every
//! step is a crash at every state of the world.

/// A place where a process may die. Each but the first few is passed many times.
///
/// Exactly once, a commit passes `BeforeOffsets`, `BeforeCommit`, `AfterCommit` and `AfterApply`. At
/// least once, stores are applied before the offsets are sent: `BeforeOffsets`, `AfterApply`,
/// `AfterCommit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommitStep {
    /// A producer is about to settle what an earlier one left open, and to fence it.
    BeforeInit,
    /// A consumer is about to join the group.
    BeforeJoin,
    /// An internal topic is about to be made.
    BeforeTopic,
    /// Partitions are about to be taken at their offsets.
    BeforeAssign,
    /// It is about to be committed where inputs begin.
    BeforeStart,
    /// Rows of a changelog are about to be written to a store that is restored.
    BeforeRestore,
    /// They are written.
    AfterRestore,
    /// A transaction is about to begin in the producer.
    BeforeBegin,
    /// A record of a sink, or a dead letter, is about to be sent.
    BeforeSend,
    /// A row of a changelog is about to be sent. A commit flushes many.
    BeforeChangelog,
    /// All is flushed and acknowledged; no offset is sent and no store is applied.
    BeforeOffsets,
    /// The offsets are in the transaction; it is still open. Exactly once only.
    BeforeCommit,
    /// The broker has committed. Exactly once, the stores are not applied.
    AfterCommit,
    /// The stores are applied. Exactly once, the commit is over.
    AfterApply,
    /// A transaction is about to be aborted.
    BeforeAbort,
}

enum At {
    Step(CommitStep),
    Count(u64),
    /// The call fails, and the instance lives on.
    Failure(u64),
}

/// What becomes of an instance at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    On,
    /// The call has no answer.
    Fails,
    Crashes,
}

/// Counts the steps, and says where to crash.
#[derive(Default)]
pub(super) struct CrashPlan {
    passed: u64,
    at: Option<At>,
    /// The crash that has happened and was not told yet.
    crashed: Option<CommitStep>,
}

impl CrashPlan {
    pub(super) fn at_step(&mut self, step: CommitStep) {
        self.at = Some(At::Step(step));
    }

    pub(super) fn at_count(&mut self, count: u64) {
        self.at = Some(At::Count(count));
    }

    pub(super) fn fail_at_count(&mut self, count: u64) {
        self.at = Some(At::Failure(count));
    }

    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// Counts from 0 again.
    pub(super) fn restart(&mut self) {
        self.passed = 0;
    }

    /// A worker is at a step.
    pub(super) fn pass(&mut self, step: CommitStep) -> Passed {
        self.passed += 1;
        let passed = match self.at {
            Some(At::Step(wanted)) if wanted == step => Passed::Crashes,
            Some(At::Count(wanted)) if wanted == self.passed => Passed::Crashes,
            Some(At::Failure(wanted)) if wanted == self.passed => Passed::Fails,
            _ => return Passed::On,
        };
        self.at = None;
        self.crashed = Some(step).filter(|_| passed == Passed::Crashes);
        passed
    }

    /// Where a worker has crashed, once.
    pub(super) fn take_crashed(&mut self) -> Option<CommitStep> {
        self.crashed.take()
    }
}
