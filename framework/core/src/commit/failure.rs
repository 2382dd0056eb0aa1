//! What can go wrong, as facts: what was seen, and with which error. Nothing is decided here.

/// What an error of a client means by itself, whatever happened before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It passes: the same call may be made again here, for as long as the caller has patience.
    Retry,
    /// The record itself is at fault, and sending it again is of no use.
    Refused,
    /// What is open cannot be committed: abort it and start the tasks again.
    Abort,
    /// Nobody knows what the broker did: replace the producer and start the tasks again.
    OutcomeUnknown,
    /// Another producer with this transactional id has taken over.
    Fenced,
    /// The membership of the group is not what this member thinks: start the tasks again.
    StaleMember,
    /// Another member has the same group instance id.
    TwinMember,
    /// Nothing will change by itself: stop.
    Fatal,
}

/// How old the open transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Age {
    /// Younger than its timeout, or there is none.
    InTime,
    /// Older than its timeout: the broker may have ended it by itself.
    Outlived {
        /// Processing the records alone took that long, and not the brokers.
        slow: bool,
    },
}

/// A call of a client failed, or a delivery did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientFailure {
    /// What its error means.
    pub verdict: Verdict,
    /// The code of its error, by which a repetition is known.
    pub code: Option<i32>,
    /// A broker or a group is away, which may last.
    pub is_outage: bool,
    /// The producer has failed for good, and only a new one can go on.
    pub producer_is_dead: bool,
    /// The open transaction.
    pub age: Age,
    /// The client has given its membership up by itself, and joins again.
    pub is_rejoining: bool,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symptom {
    /// A client's call failed.
    Client(ClientFailure),
    /// The broker has refused records for good, and a handler may say to go on without them.
    RecordsRefused,
    /// An acknowledgement, or a record in work, did not come in time.
    Late,
    /// Partitions or tasks are somebody else's by now, or will be.
    Moved,
    /// An input went back to an earlier record.
    WentBack,
    /// A record came for a task that does not run.
    NotRunning,
    /// The log has nothing at a position.
    PositionGone,
    /// What a store has on the disk is not what was written.
    StoreDamaged,
    /// What commits together with the transaction, beside the stores, refuses it, or has not put down
    /// what Kafka has committed.
    ParticipantFailed,
    /// There is no producer to ask.
    NoProducer,
    /// A fault that nothing here can mend: a user's, a setting's, or a disk's.
    Fatal,
}

/// What was seen, and the error that tells of it.
#[derive(Debug)]
pub struct Failure<E> {
    /// What was seen.
    pub symptom: Symptom,
    /// The error; none where a warning was all there is to say.
    pub error: Option<E>,
}

impl<E> Failure<E> {
    /// A failure with its error.
    pub fn new(symptom: Symptom, error: E) -> Self {
        Self { symptom, error: Some(error) }
    }

    /// A failure that no error tells of.
    pub fn silent(symptom: Symptom) -> Self {
        Self { symptom, error: None }
    }
}

/// Why a worker stops, beside the error that was seen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The error says it all.
    AsItIs,
    /// Another producer with the same transactional id takes over again and again.
    Fenced,
    /// It failed so many times in a row.
    Repeated(u32),
    /// A record outlived its transaction alone.
    TooSlow,
}
