//! What an error of a Kafka client means: one table from what it speaks of, and a step, to a verdict.
//!
//! A port says what an error speaks of ([`ErrorKind`]); the runtime does so by a list of all codes of
//! Kafka's protocol and of its client. It knows neither what happened before nor how often something
//! may fail: the commit machine does.

use oncestream_core::commit::Verdict;

use crate::access::Resource;

/// The call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading records.
    Read,
    /// A question about topics, offsets or the group, which is asked again for a bounded time.
    LookUp,
    /// Handing one record to the client, which refuses it at once.
    HandOver,
    /// The delivery of one record, in a transaction or outside.
    Delivery,
    /// A call of the transaction's life: init, begin, send offsets, commit, abort.
    Transaction,
    /// Committing offsets to the group, at least once.
    GroupCommit,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Read,
        Self::LookUp,
        Self::HandOver,
        Self::Delivery,
        Self::Transaction,
        Self::GroupCommit,
    ];
}

/// What an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A broker is away, busy, slow or has just changed its role. It passes.
    Away,
    /// The client's own queue is full.
    Full,
    /// The record: its size, its time, its form, or a rule of its topic.
    Record,
    /// Another record of the same batch.
    Neighbour,
    /// A topic or partition that is not there, or not yet.
    UnknownTopic,
    /// The log has nothing at a position.
    OutOfRange,
    /// The producer id, its sequence or its transaction is not what the client thinks.
    Producer,
    /// The client itself has thrown the record away.
    Purged,
    /// Another producer with the same transactional id.
    Fence,
    /// The group has another generation, or does not know the member.
    Member,
    /// Another member with the same group instance id.
    Instance,
    /// A right is missing; on what, where it is known.
    Denied(Option<Resource>),
    /// Client, broker and settings do not fit each other.
    Unfit,
    /// Nothing that this application's calls should be answered with, or nothing that is known.
    Other,
}

/// What to do about a kind of error at each step: the table.
#[rustfmt::skip]
#[allow(clippy::match_same_arms, reason = "a table has a line for each kind")]
fn row(kind: ErrorKind) -> Row {
    use ErrorKind as K;
    use Verdict::{Abort, Fatal, Fenced, OutcomeUnknown, Refused, Retry, StaleMember, TwinMember};
    let (read, look_up, hand_over, delivery, transaction, group_commit) = match kind {
        K::Away         => (Retry, Retry, Abort,       Abort,       OutcomeUnknown, Abort),
        K::Full         => (Fatal, Fatal, Retry,       Abort,       OutcomeUnknown, Abort),
        K::Record       => (Fatal, Fatal, Refused,     Refused,     OutcomeUnknown, Abort),
        K::Neighbour    => (Fatal, Fatal, Abort,       Abort,       OutcomeUnknown, Abort),
        // Not believed at once: brokers learn of topics one after the other. The hand-over decides.
        K::UnknownTopic => (Fatal, Retry, Retry,       Abort,       OutcomeUnknown, Abort),
        K::OutOfRange   => (Fatal, Fatal, Abort,       Abort,       OutcomeUnknown, Abort),
        K::Producer     => (Fatal, Fatal, Abort,       Abort,       OutcomeUnknown, Abort),
        K::Purged       => (Fatal, Fatal, Abort,       Abort,       OutcomeUnknown, Abort),
        K::Fence        => (Fatal, Fatal, Fenced,      Fenced,      Fenced,         Fenced),
        // A consumer gets over it by itself, and tells of it all the same.
        K::Member       => (Retry, Retry, StaleMember, StaleMember, StaleMember,    StaleMember),
        // Told to a member that has given its membership up by itself, too.
        K::Instance     => (Fatal, Fatal, TwinMember,  TwinMember,  TwinMember,     TwinMember),
        K::Denied(_)    => (Fatal, Fatal, Fatal,       Fatal,       Fatal,          Fatal),
        K::Unfit        => (Fatal, Fatal, Fatal,       Fatal,       Fatal,          Fatal),
        K::Other        => (Fatal, Fatal, Abort,       Abort,       OutcomeUnknown, Abort),
    };
    Row { read, look_up, hand_over, delivery, transaction, group_commit }
}

/// One kind's verdicts, by step. `Abort` of a delivery or a group commit starts the tasks again:
/// the partitions are still this member's, and nobody else would process them. In doubt, a call of
/// a transaction has an unknown outcome; [`ClientFault::judge`](crate::ClientFault::judge) knows
/// better if the client does.
struct Row {
    read: Verdict,
    look_up: Verdict,
    hand_over: Verdict,
    delivery: Verdict,
    transaction: Verdict,
    group_commit: Verdict,
}

/// What to do about an error of a kind at a step.
pub(crate) fn verdict(kind: ErrorKind, step: Step) -> Verdict {
    let row = row(kind);
    match step {
        Step::Read => row.read,
        Step::LookUp => row.look_up,
        Step::HandOver => row.hand_over,
        Step::Delivery => row.delivery,
        Step::Transaction => row.transaction,
        Step::GroupCommit => row.group_commit,
    }
}
