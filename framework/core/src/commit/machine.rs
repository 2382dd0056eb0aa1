//! The machine: where a commit stands, and what each fact leads to.
//!
//! Invariant: what was decided follows from the facts alone, in their order.

use std::time::Duration;

use super::bounds::Bounds;
use super::failure::{Age, ClientFailure, Ending, Failure, Symptom, Verdict};

/// Which guarantee the machine works for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guarantee {
    /// Records may be processed again after a failure.
    #[default]
    AtLeastOnce,
    /// Results are as if each record had been processed once.
    ExactlyOnce,
}

/// The way back from a failure.
enum WayBack {
    /// The transaction cannot be committed; abort it and start the tasks again.
    Abort,
    /// Nobody knows what happened; replace the producer and start the tasks again.
    Replace,
    /// The tasks' generation is gone, or their stores are behind; start them again.
    Restore,
    /// The broker has ended the transaction by its timeout: replace the producer, and take fewer
    /// records at a time.
    Narrow { slow: bool },
    /// Another producer with this transactional id has taken over.
    Fenced,
    /// Nothing will ever work.
    Stop(Ending),
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
    /// Refused records are being told apart, before the transaction is aborted.
    Learning,
    /// A damaged store is being given up, before the transaction is aborted.
    Discarding,
    /// The transaction is being aborted.
    Aborting,
    /// This producer was fenced; it is being replaced.
    Fenced,
    /// The end.
    Stopped,
}

/// What the worker saw.
#[derive(Debug)]
pub enum Fact<E> {
    /// A record is about to be sent, or a position has moved: there is something to commit.
    Work,
    /// The time or the bound for a commit is reached.
    CommitDue,
    /// The asked-for action is done.
    Done,
    /// The asked-for action failed, or a delivery did.
    Failed(Failure<E>),
    /// The partitions were taken away without asking.
    Lost,
}

/// What the worker shall do next, and then report.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on. Nothing is to be reported.
    Nothing,
    /// Begin a transaction.
    Begin,
    /// Flush caches and changelogs, and wait for every acknowledgement.
    Flush,
    /// Send the positions: into the transaction, or to the group.
    SendOffsets,
    /// Commit the transaction.
    Commit(CommitPermit),
    /// Apply the stores' batch and what other participants have prepared. A failure here stops the
    /// worker, unless tasks have moved or a participant can recover.
    Apply,
    /// Find out which records are refused. [`Fact::Done`] if at least one is known now.
    Learn,
    /// Give up what the damaged store has on the disk.
    Discard,
    /// Abort the transaction, drop the tasks, start them again after this pause.
    AbortAndRestart(Duration),
    /// Replace the producer, drop the tasks, start them again after this pause.
    ReplaceAndRestart(Duration),
    /// Drop the tasks; their partitions are gone. Abort what is open.
    AbortAndDrop,
    /// Stop the worker. Nothing is to be reported.
    Stop(Ending),
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

/// The commit of one worker. `E` is the error that failures bring along.
#[derive(Debug)]
pub struct CommitMachine<E> {
    guarantee: Guarantee,
    state: CommitState,
    /// Transactions begun so far.
    transactions: u64,
    bounds: Bounds,
    /// The last error since the last commit: why the way back was taken, or why the worker stops.
    cause: Option<E>,
    ending: Ending,
    /// Records processed since the transaction began.
    records: usize,
    /// At most so many records go into a transaction.
    max_records: usize,
}

/// A bound on the records of a transaction that has grown to this again is none any more.
const UNBOUNDED_FROM: usize = 1 << 16;

impl<E> CommitMachine<E> {
    /// A machine without an open transaction.
    pub fn new(guarantee: Guarantee) -> Self {
        Self {
            guarantee,
            state: CommitState::Idle,
            transactions: 0,
            bounds: Bounds::default(),
            cause: None,
            ending: Ending::AsItIs,
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

    /// The last error since the last commit, if a failure has brought one.
    pub fn cause(&self) -> Option<&E> {
        self.cause.as_ref()
    }

    /// The same, for whoever ends the worker.
    pub fn take_cause(&mut self) -> Option<E> {
        self.cause.take()
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
    pub fn on(&mut self, fact: Fact<E>) -> Action {
        use CommitState as S;
        match (self.state, fact) {
            (S::Stopped, _) => Action::Stop(self.ending),
            (_, Fact::Failed(failure)) => self.failed(failure),
            (S::Idle, Fact::Work) => self.begin(),
            (S::Open, Fact::CommitDue) => self.enter(S::Flushing, Action::Flush),
            (S::Learning | S::Discarding, Fact::Done) => self.abort(),
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

    /// The commit is over, with success.
    fn end(&mut self) -> Action {
        self.bounds.committed();
        self.cause = None;
        self.widen();
        self.enter(CommitState::Idle, Action::Nothing)
    }

    fn enter(&mut self, state: CommitState, action: Action) -> Action {
        self.state = state;
        action
    }

    fn abort(&mut self) -> Action {
        let pause = self.bounds.pause();
        self.enter(CommitState::Aborting, Action::AbortAndRestart(pause))
    }

    fn replace(&mut self, state: CommitState) -> Action {
        let pause = self.bounds.pause();
        self.enter(state, Action::ReplaceAndRestart(pause))
    }

    fn stop(&mut self, ending: Ending) -> Action {
        self.ending = ending;
        self.enter(CommitState::Stopped, Action::Stop(ending))
    }

    fn failed(&mut self, failure: Failure<E>) -> Action {
        use CommitState as S;
        let Failure { symptom, error } = failure;
        self.cause = error.or(self.cause.take());
        // Broker and store may disagree once a commit has succeeded and its apply has not; only
        // tasks that follow the changelog again, and participants that recover, may go on from here.
        if self.state == S::Applying
            && !matches!(symptom, Symptom::Moved | Symptom::ParticipantFailed)
        {
            return self.stop(Ending::AsItIs);
        }
        // Neither can be asked for twice in a row: the first has not helped.
        match (self.state, symptom) {
            (S::Learning, Symptom::RecordsRefused) | (S::Discarding, Symptom::StoreDamaged) => {
                return self.stop(Ending::AsItIs);
            }
            (_, Symptom::RecordsRefused) => {
                return match self.bounds.refused() {
                    None => self.enter(S::Learning, Action::Learn),
                    Some(times) => self.stop(Ending::Repeated(times)),
                };
            }
            (_, Symptom::StoreDamaged) => {
                return match self.bounds.symptom(symptom) {
                    None => self.enter(S::Discarding, Action::Discard),
                    Some(times) => self.stop(Ending::Repeated(times)),
                };
            }
            _ => {}
        }
        match self.way_back(symptom) {
            // An abort that cannot be made leaves the producer in doubt.
            WayBack::Abort if self.state == S::Aborting => self.replace(S::OutcomeUnknown),
            WayBack::Abort | WayBack::Restore => self.abort(),
            WayBack::Replace => self.replace(S::OutcomeUnknown),
            WayBack::Narrow { slow } => self.narrow(slow),
            WayBack::Fenced if self.bounds.fenced() => self.stop(Ending::Fenced),
            WayBack::Fenced => self.replace(S::Fenced),
            WayBack::Stop(ending) => self.stop(ending),
        }
    }

    /// A transaction took too long. Records that were not counted, since the failure came in the
    /// midst of them, are at most one.
    fn narrow(&mut self, slow: bool) -> Action {
        if slow && self.max_records == 1 {
            return self.stop(Ending::TooSlow);
        }
        self.max_records = (self.records / 2).clamp(1, UNBOUNDED_FROM);
        self.replace(CommitState::OutcomeUnknown)
    }

    fn way_back(&mut self, symptom: Symptom) -> WayBack {
        match symptom {
            Symptom::Client(failure) => self.after_client(failure),
            Symptom::Late => WayBack::Abort,
            Symptom::Moved => WayBack::Restore,
            // The tasks go on from the committed offset, wherever that leads by now.
            Symptom::WentBack
            | Symptom::NotRunning
            | Symptom::PositionGone
            | Symptom::ParticipantFailed => match self.bounds.symptom(symptom) {
                None => WayBack::Restore,
                Some(times) => WayBack::Stop(Ending::Repeated(times)),
            },
            Symptom::NoProducer => WayBack::Replace,
            Symptom::RecordsRefused | Symptom::StoreDamaged | Symptom::Fatal => {
                WayBack::Stop(Ending::AsItIs)
            }
        }
    }

    fn after_client(&mut self, failure: ClientFailure) -> WayBack {
        match failure.verdict {
            Verdict::Fenced => match failure.age {
                Age::InTime => WayBack::Fenced,
                // Its own timeout has ended the transaction, not a rival.
                Age::Outlived { slow } => WayBack::Narrow { slow },
            },
            // No twin: the client itself has given the membership up, and joins again.
            Verdict::TwinMember if failure.is_rejoining => WayBack::Restore,
            Verdict::StaleMember => WayBack::Restore,
            Verdict::Abort | Verdict::Retry => match self.bounds.client(&failure) {
                None => WayBack::Abort,
                Some(times) => WayBack::Stop(Ending::Repeated(times)),
            },
            Verdict::OutcomeUnknown => {
                let dead = if failure.producer_is_dead { self.bounds.dead() } else { None };
                match dead.or_else(|| self.bounds.client(&failure)) {
                    None => WayBack::Replace,
                    Some(times) => WayBack::Stop(Ending::Repeated(times)),
                }
            }
            Verdict::TwinMember | Verdict::Refused | Verdict::Fatal => {
                WayBack::Stop(Ending::AsItIs)
            }
        }
    }
}
