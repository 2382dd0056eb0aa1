//! The commit as a machine: observed facts in, the next action out. No I/O.
//!
//! The worker executes what [`CommitMachine::on`] asks for and reports what it saw. All rules of
//! exactly once that are about order live here:
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

/// Which guarantee the machine works for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guarantee {
    /// Records may be processed again after a failure.
    #[default]
    AtLeastOnce,
    /// Results are as if each record had been processed once.
    ExactlyOnce,
}

/// What to do about an error of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// The transaction cannot be committed; abort it and start the tasks again.
    AbortTransaction,
    /// Nobody knows what happened; replace the producer and start the tasks again.
    OutcomeUnknown,
    /// The tasks' generation is gone, or their stores are behind; start them again.
    RestoreTask,
    /// Another producer with this transactional id has taken over.
    Fenced,
    /// Nothing will ever work; stop.
    Fatal,
}

/// Where a commit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitState {
    /// No transaction is open.
    Idle,
    /// A transaction is open; records are processed.
    Open,
    /// Caches and changelogs were written; acknowledgements are awaited.
    Flushing,
    /// The offsets are on their way into the transaction, or, at least once, to the group.
    SendingOffsets,
    /// The commit is on its way.
    Committing,
    /// It is committed, or, at least once, acknowledged; the stores are being applied.
    Applying,
    /// A call timed out; the producer is being replaced.
    OutcomeUnknown,
    /// The transaction is being aborted.
    Aborting,
    /// This producer was fenced; it is being replaced.
    Fenced,
    /// The end.
    Stopped,
}

/// What the worker saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// A record is about to be sent, or a position has moved: there is something to commit.
    Work,
    /// The time or the bound for a commit is reached.
    CommitDue,
    /// The asked-for action is done.
    Done,
    /// The asked-for action failed, or a delivery did.
    Failed(Disposition),
    /// The partitions were taken away without asking.
    Lost,
}

/// What the worker shall do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on.
    Nothing,
    /// Begin a transaction, then report [`Fact::Done`].
    Begin,
    /// Flush caches and changelogs, wait for every acknowledgement, report.
    Flush,
    /// Send the positions: into the transaction, or to the group. Report.
    SendOffsets,
    /// Commit the transaction. Report.
    Commit(CommitPermit),
    /// Apply the stores' batch. Report; a failure here is [`Disposition::Fatal`].
    Apply,
    /// Abort the transaction, drop the tasks, start them again. Report.
    AbortAndRestart,
    /// Replace the producer, drop the tasks, start them again. Report.
    ReplaceAndRestart,
    /// Drop the tasks; their partitions are gone. Abort what is open. Report.
    AbortAndDrop,
    /// Stop the worker with the error.
    Stop,
}

/// The right to commit one transaction. Taken by value by the call that commits.
#[derive(Debug, PartialEq, Eq)]
pub struct CommitPermit {
    transaction: u64,
}

impl CommitPermit {
    /// The number of the transaction, from 1.
    pub fn transaction(&self) -> u64 {
        self.transaction
    }
}

/// The commit of one worker.
#[derive(Debug)]
pub struct CommitMachine {
    guarantee: Guarantee,
    state: CommitState,
    /// Transactions begun so far.
    transactions: u64,
    /// Fenced so many times in a row without a commit in between.
    fenced: u32,
}

/// So often may a producer be fenced without a commit in between: then two processes share a
/// transactional id and would fence each other for ever.
const MAX_FENCED: u32 = 5;

impl CommitMachine {
    /// A machine without an open transaction.
    pub fn new(guarantee: Guarantee) -> Self {
        Self { guarantee, state: CommitState::Idle, transactions: 0, fenced: 0 }
    }

    /// Where it stands.
    pub fn state(&self) -> CommitState {
        self.state
    }

    /// True while records may be sent.
    pub fn is_open(&self) -> bool {
        self.state == CommitState::Open
    }

    /// Whether the commit is over once this action is done.
    pub fn ends_commit(&self, action: &Action) -> bool {
        match self.guarantee {
            Guarantee::AtLeastOnce => *action == Action::SendOffsets,
            Guarantee::ExactlyOnce => *action == Action::Apply,
        }
    }

    /// Takes a fact and says what to do next.
    pub fn on(&mut self, fact: Fact) -> Action {
        use CommitState as S;
        match (self.state, fact) {
            (S::Stopped, _) => Action::Stop,
            (S::Idle, Fact::Work) => self.begin(),
            (S::Open, Fact::CommitDue) => self.enter(S::Flushing, Action::Flush),
            (S::Flushing, Fact::Done) => match self.guarantee {
                Guarantee::AtLeastOnce => self.enter(S::Applying, Action::Apply),
                Guarantee::ExactlyOnce => self.enter(S::SendingOffsets, Action::SendOffsets),
            },
            (S::SendingOffsets, Fact::Done) => match self.guarantee {
                Guarantee::AtLeastOnce => self.end(),
                Guarantee::ExactlyOnce => {
                    let permit = CommitPermit { transaction: self.transactions };
                    self.enter(S::Committing, Action::Commit(permit))
                }
            },
            (S::Committing, Fact::Done) => self.enter(S::Applying, Action::Apply),
            (S::Applying, Fact::Done) => match self.guarantee {
                Guarantee::AtLeastOnce => self.enter(S::SendingOffsets, Action::SendOffsets),
                Guarantee::ExactlyOnce => self.end(),
            },
            (S::Aborting | S::OutcomeUnknown | S::Fenced, Fact::Done) => {
                self.enter(S::Idle, Action::Nothing)
            }
            (_, Fact::Failed(disposition)) => self.failed(disposition),
            // What is committed is applied, whoever has the partitions now: the apply checks.
            (S::Applying, Fact::Lost)
            // Nothing to commit, or already at it.
            | (_, Fact::Work | Fact::CommitDue)
            | (S::Idle | S::Open, Fact::Done) => Action::Nothing,
            (_, Fact::Lost) => self.enter(S::Aborting, Action::AbortAndDrop),
        }
    }

    fn begin(&mut self) -> Action {
        self.transactions += 1;
        self.state = CommitState::Open;
        match self.guarantee {
            Guarantee::AtLeastOnce => Action::Nothing,
            Guarantee::ExactlyOnce => Action::Begin,
        }
    }

    /// The commit is over, with success.
    fn end(&mut self) -> Action {
        self.fenced = 0;
        self.enter(CommitState::Idle, Action::Nothing)
    }

    fn enter(&mut self, state: CommitState, action: Action) -> Action {
        self.state = state;
        action
    }

    fn failed(&mut self, disposition: Disposition) -> Action {
        use CommitState as S;
        // Broker and store may disagree once a commit has succeeded and its apply has not; only
        // tasks that follow the changelog again may go on from here.
        if self.state == S::Applying && disposition != Disposition::RestoreTask {
            return self.enter(S::Stopped, Action::Stop);
        }
        match disposition {
            // An abort that cannot be made leaves the producer in doubt.
            Disposition::AbortTransaction if self.state == S::Aborting => {
                self.enter(S::OutcomeUnknown, Action::ReplaceAndRestart)
            }
            Disposition::AbortTransaction | Disposition::RestoreTask => {
                self.enter(S::Aborting, Action::AbortAndRestart)
            }
            Disposition::OutcomeUnknown => self.enter(S::OutcomeUnknown, Action::ReplaceAndRestart),
            Disposition::Fenced => {
                self.fenced += 1;
                if self.fenced >= MAX_FENCED {
                    return self.enter(S::Stopped, Action::Stop);
                }
                self.enter(S::Fenced, Action::ReplaceAndRestart)
            }
            Disposition::Fatal => self.enter(S::Stopped, Action::Stop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const FACTS: [Fact; 9] = [
        Fact::Work,
        Fact::CommitDue,
        Fact::Done,
        Fact::Lost,
        Fact::Failed(Disposition::AbortTransaction),
        Fact::Failed(Disposition::OutcomeUnknown),
        Fact::Failed(Disposition::RestoreTask),
        Fact::Failed(Disposition::Fenced),
        Fact::Failed(Disposition::Fatal),
    ];

    /// Runs every sequence of facts of the given length.
    fn every_path(
        guarantee: Guarantee,
        len: u32,
        mut check: impl FnMut(&[(Fact, CommitState, Action)]),
    ) {
        let total = FACTS.len().pow(len);
        for mut code in 0..total {
            let mut machine = CommitMachine::new(guarantee);
            let mut path = Vec::new();
            for _ in 0..len {
                let fact = FACTS[code % FACTS.len()];
                code /= FACTS.len();
                let before = machine.state();
                let action = machine.on(fact);
                path.push((fact, before, action));
            }
            check(&path);
        }
    }

    #[test]
    fn a_commit_goes_through_every_step_in_order() {
        let mut m = CommitMachine::new(Guarantee::ExactlyOnce);
        assert_eq!(m.on(Fact::CommitDue), Action::Nothing, "nothing to commit, no transaction");
        assert_eq!(m.on(Fact::Work), Action::Begin);
        assert_eq!(m.on(Fact::CommitDue), Action::Flush);
        assert_eq!(m.on(Fact::Done), Action::SendOffsets);
        assert!(matches!(m.on(Fact::Done), Action::Commit(p) if p.transaction() == 1));
        assert_eq!(m.on(Fact::Done), Action::Apply);
        assert_eq!(m.on(Fact::Done), Action::Nothing);
        assert_eq!(m.state(), CommitState::Idle);
    }

    #[test]
    fn at_least_once_stores_are_applied_before_each_sending_of_offsets() {
        let mut m = CommitMachine::new(Guarantee::AtLeastOnce);
        assert_eq!(m.on(Fact::Work), Action::Nothing);
        assert_eq!(m.on(Fact::CommitDue), Action::Flush);
        assert_eq!(m.on(Fact::Done), Action::Apply);
        assert!(!m.ends_commit(&Action::Apply));
        assert_eq!(m.on(Fact::Done), Action::SendOffsets);
        assert!(m.ends_commit(&Action::SendOffsets));
        assert_eq!(m.on(Fact::Done), Action::Nothing);
        assert_eq!(m.state(), CommitState::Idle);
        every_path(Guarantee::AtLeastOnce, 6, |path| {
            for (fact, before, action) in path {
                let applied = (*fact, *before) == (Fact::Done, CommitState::Applying);
                assert!(*action != Action::SendOffsets || applied, "not applied: {path:?}");
            }
        });
    }

    #[test]
    fn at_least_once_never_begins_nor_commits_a_transaction() {
        every_path(Guarantee::AtLeastOnce, 5, |path| {
            for (_, _, action) in path {
                assert!(!matches!(action, Action::Begin | Action::Commit(_)));
            }
        });
    }

    #[test]
    fn no_path_commits_or_applies_after_a_failure_without_a_new_transaction() {
        let mut permits = HashSet::new();
        every_path(Guarantee::ExactlyOnce, 6, |path| {
            let mut clean = false;
            let mut committed = false;
            for (fact, before, action) in path {
                match fact {
                    // What is committed stays committed.
                    Fact::Lost if *before == CommitState::Applying => {}
                    Fact::Failed(_) | Fact::Lost => (clean, committed) = (false, false),
                    _ => {}
                }
                match action {
                    Action::Begin => (clean, committed) = (true, false),
                    Action::Commit(p) => {
                        assert!(clean, "committed a failed transaction: {path:?}");
                        permits.insert(p.transaction());
                        committed = true;
                    }
                    Action::Apply => assert!(committed, "applied without a commit: {path:?}"),
                    _ => {}
                }
            }
        });
        assert!(!permits.is_empty(), "some path commits");
    }

    #[test]
    fn a_failed_abort_replaces_the_producer() {
        let mut m = CommitMachine::new(Guarantee::ExactlyOnce);
        m.on(Fact::Work);
        assert_eq!(m.on(Fact::Failed(Disposition::AbortTransaction)), Action::AbortAndRestart);
        assert_eq!(m.on(Fact::Failed(Disposition::AbortTransaction)), Action::ReplaceAndRestart);
        assert_eq!(m.on(Fact::Done), Action::Nothing);
        assert_eq!(m.state(), CommitState::Idle);
    }

    #[test]
    fn two_producers_that_fence_each_other_stop() {
        let mut m = CommitMachine::new(Guarantee::ExactlyOnce);
        for _ in 1..MAX_FENCED {
            m.on(Fact::Work);
            assert_eq!(m.on(Fact::Failed(Disposition::Fenced)), Action::ReplaceAndRestart);
            m.on(Fact::Done);
        }
        m.on(Fact::Work);
        assert_eq!(m.on(Fact::Failed(Disposition::Fenced)), Action::Stop);
    }
}
