//! What an error of a Kafka client means: one table from an error code and a step to a verdict.
//!
//! The table has two halves. [`kind`] says what a code speaks of, [`verdict`] what that means at a
//! step. Neither does any I/O, and neither knows what happened before: how often something may
//! fail is the worker's business.
//!
//! Invariant: every code of Kafka's protocol and of librdkafka has a line in [`kind`]; a test walks
//! all of them.

pub(crate) use oncestream_core::commit::Verdict;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// The call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
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

/// What a code speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
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
    /// The producer id, its sequence or its transaction is not what the client thinks.
    Producer,
    /// Another producer with the same transactional id.
    Fence,
    /// The group has another generation, or does not know the member.
    Member,
    /// Another member with the same group instance id.
    Instance,
    /// A right is missing.
    Denied,
    /// Client, broker and settings do not fit each other.
    Unfit,
    /// Nothing that this application's calls should be answered with, or nothing that is known.
    Other,
}

/// What to do about a kind of error at each step: the table.
#[rustfmt::skip]
#[allow(clippy::match_same_arms, reason = "a table has a line for each kind")]
fn row(kind: Kind) -> Row {
    use Verdict::{Abort, Fatal, Fenced, OutcomeUnknown, Refused, Retry, StaleMember, TwinMember};
    let (read, look_up, hand_over, delivery, transaction, group_commit) = match kind {
        Kind::Away         => (Retry, Retry, Abort,       Abort,       OutcomeUnknown, Abort),
        Kind::Full         => (Fatal, Fatal, Retry,       Abort,       OutcomeUnknown, Abort),
        Kind::Record       => (Fatal, Fatal, Refused,     Refused,     OutcomeUnknown, Abort),
        Kind::Neighbour    => (Fatal, Fatal, Abort,       Abort,       OutcomeUnknown, Abort),
        // Not believed at once: brokers learn of topics one after the other. The hand-over decides.
        Kind::UnknownTopic => (Fatal, Retry, Retry,       Abort,       OutcomeUnknown, Abort),
        Kind::Producer     => (Fatal, Fatal, Abort,       Abort,       OutcomeUnknown, Abort),
        Kind::Fence        => (Fatal, Fatal, Fenced,      Fenced,      Fenced,         Fenced),
        // A consumer gets over it by itself, and tells of it all the same.
        Kind::Member       => (Retry, Retry, StaleMember, StaleMember, StaleMember,    StaleMember),
        // Told to a member that has given its membership up by itself, too.
        Kind::Instance     => (Fatal, Fatal, TwinMember,  TwinMember,  TwinMember,     TwinMember),
        Kind::Denied       => (Fatal, Fatal, Fatal,       Fatal,       Fatal,          Fatal),
        Kind::Unfit        => (Fatal, Fatal, Fatal,       Fatal,       Fatal,          Fatal),
        Kind::Other        => (Fatal, Fatal, Abort,       Abort,       OutcomeUnknown, Abort),
    };
    Row { read, look_up, hand_over, delivery, transaction, group_commit }
}

/// One kind's verdicts, by step. `Abort` of a delivery or a group commit starts the tasks again:
/// the partitions are still this member's, and nobody else would process them. In doubt, a call of
/// a transaction has an unknown outcome; [`judge`] knows better if the client does.
struct Row {
    read: Verdict,
    look_up: Verdict,
    hand_over: Verdict,
    delivery: Verdict,
    transaction: Verdict,
    group_commit: Verdict,
}

/// What to do about a code at a step.
fn verdict(code: Code, step: Step) -> Option<Verdict> {
    let row = row(kind(code)?);
    Some(match step {
        Step::Read => row.read,
        Step::LookUp => row.look_up,
        Step::HandOver => row.hand_over,
        Step::Delivery => row.delivery,
        Step::Transaction => row.transaction,
        Step::GroupCommit => row.group_commit,
    })
}

/// The code of an error. The client library tells none for errors of its admin client.
pub(crate) fn code_of(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// What to do about `error` at `step`. `fatal` is the client's own fatal error, if it has one.
pub(crate) fn judge(error: &KafkaError, step: Step, fatal: Option<Code>) -> Verdict {
    let found = fatal.or(code_of(error)).and_then(|code| verdict(code, step));
    if let Some(
        clear @ (Verdict::Fenced | Verdict::StaleMember | Verdict::TwinMember | Verdict::Fatal),
    ) = found
    {
        return clear;
    }
    if fatal.is_some() {
        // Sequence errors, an expired producer id: a new producer gets over them.
        return Verdict::OutcomeUnknown;
    }
    if let KafkaError::Transaction(e) = error {
        // Timed out, retriable or in the wrong state: what the broker did is not known.
        let sure = e.txn_requires_abort() && !e.is_fatal();
        return if sure { Verdict::Abort } else { Verdict::OutcomeUnknown };
    }
    found.unwrap_or(match step {
        Step::Read | Step::LookUp => Verdict::Fatal,
        Step::Transaction => Verdict::OutcomeUnknown,
        Step::HandOver | Step::Delivery | Step::GroupCommit => Verdict::Abort,
    })
}

/// An error that a consumer or an admin client gets over by itself.
pub(crate) fn is_transient(error: &KafkaError) -> bool {
    judge(error, Step::Read, None) == Verdict::Retry
}

/// An error of a look-up that may go away while brokers come and go: the client can know fewer
/// partitions than there are for a while. To be borne for a bounded time.
pub(crate) fn is_unsettled(error: &KafkaError) -> bool {
    judge(error, Step::LookUp, None) == Verdict::Retry
}

/// A topic or partition is not there, or not yet.
pub(crate) fn is_unknown_topic(error: &KafkaError) -> bool {
    kind_of(error) == Some(Kind::UnknownTopic)
}

/// The log has nothing at a position: it begins later, or ends before.
pub(crate) fn is_out_of_range(error: &KafkaError) -> bool {
    matches!(code_of(error), Some(Code::AutoOffsetReset | Code::OffsetOutOfRange))
}

/// The broker blames another record of the batch.
pub(crate) fn is_of_neighbour(error: &KafkaError) -> bool {
    kind_of(error) == Some(Kind::Neighbour)
}

/// The record's time is refused. Of several records in a batch the client only tells that they
/// are invalid.
pub(crate) fn is_of_time(error: &KafkaError) -> bool {
    matches!(code_of(error), Some(Code::InvalidTimestamp | Code::InvalidRecord))
}

/// A record was thrown away by the client itself, for a reason that this error does not tell.
pub(crate) fn is_consequence(error: &KafkaError) -> bool {
    matches!(code_of(error), Some(Code::PurgeQueue | Code::PurgeInflight))
}

/// What may go on for as long as brokers or the group need it, however often it fails in a row.
pub(crate) fn is_outage(error: &KafkaError) -> bool {
    matches!(kind_of(error), Some(Kind::Away | Kind::Full | Kind::Member))
}

fn kind_of(error: &KafkaError) -> Option<Kind> {
    code_of(error).and_then(kind)
}

/// Whether a record that failed with this error may still be on its way to a broker.
///
/// A record that waits in the client's queue may have been sent before: when a connection is lost
/// the client puts what was in flight back there, and tells of it as of any other that is purged.
pub(crate) fn may_still_arrive(error: &KafkaError) -> bool {
    matches!(
        code_of(error),
        Some(
            Code::MessageTimedOut
                | Code::PurgeInflight
                | Code::PurgeQueue
                | Code::BrokerTransportFailure
                | Code::OperationTimedOut
        )
    )
}

/// What a code speaks of. The last arm is for codes that this version of the client library does
/// not have; see the test.
#[rustfmt::skip]
fn kind(code: Code) -> Option<Kind> {
    Some(match code {
        Code::BrokerTransportFailure | Code::AllBrokersDown | Code::DestroyBroker | Code::Resolve
        | Code::TimedOutQueue | Code::OperationTimedOut | Code::MessageTimedOut
        | Code::ISRInsufficient | Code::NodeUpdate | Code::WaitingForCoordinator
        | Code::InProgress | Code::PreviousInProgress | Code::WaitCache | Code::Interrupted
        | Code::Retry | Code::UnknownBroker | Code::Outdated | Code::PollExceeded
        // A broker that restarts cuts handshakes; wrong credentials show at the start.
        | Code::SSL | Code::Authentication | Code::SaslAuthenticationFailed
        | Code::LeaderNotAvailable | Code::NotLeaderForPartition | Code::RequestTimedOut
        | Code::BrokerNotAvailable | Code::ReplicaNotAvailable | Code::StaleControllerEpoch
        | Code::NetworkException | Code::CoordinatorLoadInProgress | Code::CoordinatorNotAvailable
        | Code::NotCoordinator | Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend
        | Code::NotController | Code::ConcurrentTransactions | Code::TransactionCoordinatorFenced
        | Code::KafkaStorageError | Code::ReassignmentInProgress | Code::FetchSessionIdNotFound
        | Code::InvalidFetchSessionEpoch | Code::ListenerNotFound | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch | Code::StaleBrokerEpoch | Code::OffsetNotAvailable
        | Code::PreferredLeaderNotAvailable | Code::EligibleLeadersNotAvailable
        | Code::UnstableOffsetCommit | Code::ThrottlingQuotaExceeded
        | Code::RebootstrapRequired => Kind::Away,

        Code::QueueFull => Kind::Full,

        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidTimestamp
        | Code::UnsupportedForMessageFormat | Code::PolicyViolation | Code::InvalidTopic
        | Code::UnsupportedCompressionType | Code::InvalidRecord
        | Code::KeySerialization | Code::ValueSerialization => Kind::Record,

        Code::InvalidDifferentRecord => Kind::Neighbour,

        Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId => Kind::UnknownTopic,

        Code::OutOfOrderSequenceNumber | Code::DuplicateSequenceNumber | Code::UnknownProducerId
        | Code::InvalidTransactionalState | Code::InvalidProducerIdMapping
        | Code::Inconsistent | Code::GaplessGuarantee | Code::State | Code::Conflict
        | Code::PurgeQueue | Code::PurgeInflight => Kind::Producer,

        Code::ProducerFenced | Code::InvalidProducerEpoch | Code::Fenced => Kind::Fence,

        Code::IllegalGeneration | Code::UnknownMemberId | Code::RebalanceInProgress
        | Code::StaleMemberEpoch | Code::FencedMemberEpoch | Code::MemberIdRequired
        | Code::AssignmentLost | Code::UnknownGroup => Kind::Member,

        Code::FencedInstanceId | Code::UnreleasedInstanceId => Kind::Instance,

        Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed | Code::TransactionalIdAuthorizationFailed
        | Code::DelegationTokenAuthorizationFailed | Code::DelegationTokenAuthDisabled
        | Code::DelegationTokenNotFound | Code::DelegationTokenOwnerMismatch
        | Code::DelegationTokenRequestNotAllowed | Code::DelegationTokenExpired => Kind::Denied,

        Code::UnsupportedVersion | Code::UnsupportedFeature | Code::NotImplemented
        | Code::UnknownProtocol | Code::UnsupportedSASLMechanism | Code::IllegalSASLState
        | Code::SecurityDisabled | Code::NotConfigured | Code::InvalidArgument
        | Code::InvalidRequest | Code::InvalidRequiredAcks | Code::InvalidTransactionTimeout
        | Code::InvalidSessionTimeout | Code::InvalidGroupId | Code::InconsistentGroupProtocol
        | Code::GroupMaxSizeReached | Code::UnsupportedAssignor | Code::OffsetMetadataTooLarge
        | Code::InvalidCommitOffsetSize | Code::InvalidConfig => Kind::Unfit,

        Code::Begin | Code::End | Code::EndAll | Code::NoError | Code::Noop | Code::PartitionEOF
        | Code::AssignPartitions | Code::RevokePartitions | Code::Partial
        | Code::BadMessage | Code::BadCompression | Code::BrokerDestroy | Code::Fail
        | Code::CriticalSystemResource | Code::FileSystem | Code::ExistingSubscription
        | Code::NoOffset | Code::KeyDeserialization | Code::ValueDeserialization
        | Code::ReadOnly | Code::NoEnt | Code::Underflow | Code::InvalidType | Code::Fatal
        | Code::Application | Code::AutoOffsetReset | Code::LogTruncation
        | Code::Unknown | Code::OffsetOutOfRange | Code::InvalidMessage
        | Code::InvalidMessageSize | Code::TopicAlreadyExists | Code::InvalidPartitions
        | Code::InvalidReplicationFactor | Code::InvalidReplicaAssignment
        | Code::OperationNotAttempted | Code::LogDirNotFound | Code::InvalidPrincipalType
        | Code::NonEmptyGroup | Code::GroupIdNotFound | Code::TopicDeletionDisabled
        | Code::ElectionNotNeeded | Code::NoReassignmentInProgress | Code::GroupSubscribedToTopic
        | Code::ResourceNotFound | Code::DuplicateResource | Code::UnacceptableCredential
        | Code::InconsistentVoterSet | Code::InvalidUpdateVersion | Code::FeatureUpdateFailed
        | Code::PrincipalDeserializationFailure | Code::UnknownSubscriptionId
        | Code::TelemetryTooLarge => Kind::Other,

        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use rdkafka::types::RDKafkaRespErr;

    use super::*;

    const STEPS: [Step; 6] = [
        Step::Read,
        Step::LookUp,
        Step::HandOver,
        Step::Delivery,
        Step::Transaction,
        Step::GroupCommit,
    ];

    fn production(code: Code, step: Step) -> Verdict {
        judge(&KafkaError::MessageProduction(code), step, None)
    }

    /// All codes that the client library has.
    pub(in super::super) fn all_codes() -> Vec<Code> {
        let known = |n| RDKafkaRespErr::try_from(n).ok().map(Code::from);
        (-1000..1000).filter_map(known).collect()
    }

    #[test]
    fn every_code_has_a_verdict_at_every_step() {
        let codes = all_codes();
        assert!(codes.len() > 150, "{}", codes.len());
        for code in codes {
            for step in STEPS {
                assert!(verdict(code, step).is_some(), "{code:?} has no line in the table");
            }
        }
    }

    #[test]
    fn a_permanent_refusal_of_a_record_is_its_own_fault_and_never_a_restart() {
        for code in [
            Code::MessageSizeTooLarge,
            Code::MessageBatchTooLarge,
            Code::InvalidTimestamp,
            Code::UnsupportedForMessageFormat,
            Code::UnsupportedCompressionType,
            Code::InvalidRecord,
            Code::PolicyViolation,
            Code::InvalidTopic,
        ] {
            assert_eq!(production(code, Step::Delivery), Verdict::Refused, "{code:?}");
        }
        assert_eq!(production(Code::InvalidDifferentRecord, Step::Delivery), Verdict::Abort);
    }

    #[test]
    fn a_topic_that_is_unknown_at_once_is_asked_for_again() {
        for code in [Code::UnknownTopic, Code::UnknownPartition, Code::UnknownTopicOrPartition] {
            assert_eq!(production(code, Step::HandOver), Verdict::Retry);
            assert_eq!(production(code, Step::Delivery), Verdict::Abort);
            assert_eq!(production(code, Step::Read), Verdict::Fatal);
        }
    }

    #[test]
    fn a_fence_is_a_fence_wherever_it_shows() {
        for step in [Step::Transaction, Step::Delivery, Step::GroupCommit] {
            assert_eq!(production(Code::InvalidProducerEpoch, step), Verdict::Fenced);
        }
        let fatal = Some(Code::ProducerFenced);
        let error = KafkaError::MessageProduction(Code::Fatal);
        assert_eq!(judge(&error, Step::Transaction, fatal), Verdict::Fenced);
    }

    #[test]
    fn a_timed_out_transactional_call_is_unknown_and_never_a_failure() {
        assert_eq!(production(Code::OperationTimedOut, Step::Transaction), Verdict::OutcomeUnknown);
        assert_eq!(production(Code::MessageTimedOut, Step::Delivery), Verdict::Abort);
    }

    #[test]
    fn at_least_once_a_failure_that_no_rebalance_follows_starts_the_tasks_again() {
        for step in [Step::Delivery, Step::GroupCommit] {
            assert_eq!(production(Code::MessageTimedOut, step), Verdict::Abort);
            assert_eq!(production(Code::IllegalGeneration, step), Verdict::StaleMember);
        }
    }

    #[test]
    fn a_fatal_client_error_without_a_name_wants_a_new_producer() {
        let error = KafkaError::MessageProduction(Code::Fatal);
        let fatal = Some(Code::OutOfOrderSequenceNumber);
        assert_eq!(judge(&error, Step::Delivery, fatal), Verdict::OutcomeUnknown);
    }

    #[test]
    fn an_error_of_the_admin_client_is_judged_like_any_other() {
        for (code, transient) in [
            (Code::BrokerTransportFailure, true),
            (Code::OperationTimedOut, true),
            (Code::TopicAuthorizationFailed, false),
        ] {
            assert_eq!(is_transient(&KafkaError::AdminOp(code)), transient, "{code:?}");
            assert_eq!(is_transient(&KafkaError::MetadataFetch(code)), transient, "{code:?}");
        }
    }

    #[test]
    fn only_brokers_and_groups_may_fail_for_ever() {
        for (code, may) in [
            (Code::NotEnoughReplicas, true),
            (Code::MessageTimedOut, true),
            (Code::IllegalGeneration, true),
            (Code::InvalidTransactionalState, false),
            (Code::InvalidMessage, false),
            (Code::UnknownTopicOrPartition, false),
        ] {
            assert_eq!(is_outage(&KafkaError::MessageProduction(code)), may, "{code:?}");
        }
    }
}
