//! The named steps of a commit, and the plan of where to crash.

use super::DriverError;

/// A place in a commit where a process may die. Each is a different state of the world. At least
/// once, stores are applied before the offsets are sent, so that `AfterCommit` is the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitStep {
    /// The commit is due; nothing of it has happened.
    BeforeFlush,
    /// One task has flushed its caches and changelogs. Passed once per task.
    MidFlush,
    /// All is flushed and acknowledged; no offset is sent and no store is applied.
    BeforeOffsets,
    /// The offsets are in the transaction; it is still open. Exactly once only.
    BeforeCommit,
    /// The broker has committed. Exactly once, the stores are not applied.
    AfterCommit,
    /// The stores are applied. Exactly once, the commit is over.
    AfterApply,
}

enum At {
    Step(CommitStep),
    Count(u64),
}

/// Counts the steps, and says where to crash.
#[derive(Default)]
pub(super) struct CrashPlan {
    passed: u64,
    at: Option<At>,
}

impl CrashPlan {
    pub(super) fn at_step(&mut self, step: CommitStep) {
        self.at = Some(At::Step(step));
    }

    pub(super) fn at_count(&mut self, count: u64) {
        self.at = Some(At::Count(count));
    }

    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// The worker is at a step.
    pub(super) fn pass(&mut self, step: CommitStep) -> Result<(), DriverError> {
        self.passed += 1;
        let hit = match self.at {
            Some(At::Step(wanted)) => wanted == step,
            Some(At::Count(wanted)) => wanted == self.passed,
            None => false,
        };
        if hit {
            self.at = None;
            return Err(DriverError::Crashed { step });
        }
        Ok(())
    }
}
