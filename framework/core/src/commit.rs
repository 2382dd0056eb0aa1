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
//! - A transaction that outlived its timeout because its records are slow is tried again with half
//!   as many records, so that a slow one is alone in the end. If that is still too long, no
//!   repetition helps.

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
    /// The broker has ended the transaction by its timeout; replace the producer and start the
    /// tasks again, with fewer records at a time.
    Outlived {
        /// Processing the records alone took that long, and not the brokers.
        slow: bool,
    },
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
    /// Records processed since the transaction began.
    records: usize,
    /// At most so many records go into a transaction.
    max_records: usize,
}

/// So often may a producer be fenced without a commit in between: then two processes share a
/// transactional id and would fence each other for ever.
const MAX_FENCED: u32 = 5;

/// A bound on the records of a transaction that has grown to this again is none any more.
const UNBOUNDED_FROM: usize = 1 << 16;

impl CommitMachine {
    /// A machine without an open transaction.
    pub fn new(guarantee: Guarantee) -> Self {
        Self {
            guarantee,
            state: CommitState::Idle,
            transactions: 0,
            fenced: 0,
            records: 0,
            max_records: usize::MAX,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> CommitState {
        self.state
    }

    /// True while records may be sent.
    pub fn is_open(&self) -> bool {
        self.state == CommitState::Open
    }

    /// So many records were processed in the open transaction.
    pub fn processed(&mut self, records: usize) {
        self.records = self.records.saturating_add(records);
    }

    /// How many more records may go into the open transaction. With none left a commit is due.
    pub fn room(&self) -> usize {
        let used = if self.is_open() { self.records } else { 0 };
        self.max_records.saturating_sub(used)
    }

    /// Whether the records of transactions are bounded, after some took too long.
    pub fn is_bounded(&self) -> bool {
        self.max_records != usize::MAX
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
        self.records = 0;
        self.state = CommitState::Open;
        match self.guarantee {
            Guarantee::AtLeastOnce => Action::Nothing,
            Guarantee::ExactlyOnce => Action::Begin,
        }
    }

    /// A transaction was in time: the next may be twice as large.
    fn widen(&mut self) {
        if self.is_bounded() {
            let twice = self.max_records * 2;
            self.max_records = if twice < UNBOUNDED_FROM { twice } else { usize::MAX };
        }
    }

    /// A transaction took too long. Records that were not counted, since the failure came in the
    /// midst of them, are at most one.
    fn narrow(&mut self, slow: bool) -> Action {
        if slow && self.max_records == 1 {
            return self.enter(CommitState::Stopped, Action::Stop);
        }
        self.max_records = (self.records / 2).clamp(1, UNBOUNDED_FROM);
        self.enter(CommitState::OutcomeUnknown, Action::ReplaceAndRestart)
    }

    /// The commit is over, with success.
    fn end(&mut self) -> Action {
        self.fenced = 0;
        self.widen();
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
            Disposition::Outlived { slow } => self.narrow(slow),
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

    const FACTS: [Fact; 10] = [
        Fact::Work,
        Fact::CommitDue,
        Fact::Done,
        Fact::Lost,
        Fact::Failed(Disposition::AbortTransaction),
        Fact::Failed(Disposition::OutcomeUnknown),
        Fact::Failed(Disposition::RestoreTask),
        Fact::Failed(Disposition::Outlived { slow: true }),
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

    /// One transaction with `records` of which the `slow`th takes too long.
    fn run(m: &mut CommitMachine, records: usize, slow: Option<usize>) -> (usize, Action) {
        assert_eq!(m.on(Fact::Work), Action::Begin);
        let taken = records.min(m.room());
        m.processed(taken);
        if slow.is_some_and(|at| at < taken) {
            let action = m.on(Fact::Failed(Disposition::Outlived { slow: true }));
            m.on(Fact::Done);
            return (0, action);
        }
        for fact in [Fact::CommitDue, Fact::Done, Fact::Done, Fact::Done] {
            m.on(fact);
        }
        (taken, m.on(Fact::Done))
    }

    #[test]
    fn a_slow_record_is_alone_in_the_end_and_what_was_before_it_is_committed() {
        for records in 2..200 {
            for slow in 0..records {
                let mut m = CommitMachine::new(Guarantee::ExactlyOnce);
                let (mut done, mut turns) = (0, 0);
                loop {
                    let (taken, action) = run(&mut m, records - done, slow.checked_sub(done));
                    done += taken;
                    turns += 1;
                    assert!(turns < 80, "{records} records, {slow} is slow: no end");
                    if action == Action::Stop {
                        break;
                    }
                }
                assert_eq!(done, slow, "of {records}");
            }
        }
    }

    #[test]
    fn brokers_that_take_too_long_never_stop_it() {
        let mut m = CommitMachine::new(Guarantee::ExactlyOnce);
        for _ in 0..100 {
            m.on(Fact::Work);
            m.processed(1);
            let slow = Fact::Failed(Disposition::Outlived { slow: false });
            assert_eq!(m.on(slow), Action::ReplaceAndRestart);
            m.on(Fact::Done);
        }
        assert_eq!(m.room(), 1);
    }

    #[test]
    fn a_bound_on_the_records_goes_away_with_commits() {
        let mut m = CommitMachine::new(Guarantee::ExactlyOnce);
        assert_eq!(run(&mut m, 100, Some(3)).1, Action::ReplaceAndRestart);
        assert_eq!(m.room(), 50);
        while m.is_bounded() {
            assert_eq!(run(&mut m, usize::MAX, None).1, Action::Nothing);
        }
        assert_eq!(m.room(), usize::MAX);
    }
}
