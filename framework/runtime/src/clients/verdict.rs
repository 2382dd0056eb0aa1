//! Translates an error of librdkafka into the engine's terms: a [`ClientError`] of some kind.
//!
//! The engine knows what that kind means at a step, and what is done about it (`ErrorKind` and its table).
//! `advice.rs` knows what a user can do about it.
//!
//! Invariants:
//! - Every code of Kafka's protocol and of librdkafka has a line in [`kind`]; a test walks all of them.
//! - No error of the client library leaves this folder as it is.

use oncestream_engine::{
    ClientError, ClientFault as _, ErrorKind, Resource, StreamsError, TransactionFault,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::advice::advice;

/// The client's error as the engine takes it.
pub(crate) fn client_error(error: KafkaError) -> ClientError {
    let code = code_of(&error);
    let transaction = match &error {
        KafkaError::Transaction(e) => Some(TransactionFault {
            requires_abort: e.txn_requires_abort() && !e.is_fatal(),
            is_retriable: e.is_retriable(),
        }),
        _ => None,
    };
    let (kind, advice) = (kind_of(&error), advice(&error));
    ClientError::new(kind, error)
        .with_code(code.map(|code| code as i32))
        .with_transaction(transaction)
        .with_advice(advice)
}

/// What a code says beside all else that an error can say.
pub(super) fn error_of(code: Code) -> ClientError {
    client_error(KafkaError::MessageProduction(code))
}

/// A client that failed at something.
pub(crate) fn client_failed(action: impl Into<String>, error: KafkaError) -> StreamsError {
    StreamsError::client(action, client_error(error))
}

/// A client that failed while a topic was read.
pub(crate) fn reading_failed(action: String, topic: &str, error: KafkaError) -> StreamsError {
    StreamsError::reading(action, topic, client_error(error))
}

/// The code of an error. Errors of the client library's admin client have none.
pub(super) fn code_of(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// An error that a consumer or an admin client gets over by itself.
pub(super) fn is_transient(error: &KafkaError) -> bool {
    client_error(error.clone()).is_transient()
}

/// An error of a look-up that may go away while brokers come and go: the client can know fewer
/// partitions than there are for a while. To be borne for a bounded time.
pub(super) fn is_unsettled(error: &KafkaError) -> bool {
    client_error(error.clone()).is_unsettled()
}

/// A topic or partition is not there, or not yet.
pub(super) fn is_unknown_topic(error: &KafkaError) -> bool {
    kind_of(error) == ErrorKind::UnknownTopic
}

/// The broker blames another record of the batch.
pub(super) fn is_of_neighbour(error: &ClientError) -> bool {
    error.kind() == ErrorKind::Neighbour
}

/// The broker refuses the record's time. For a batch of several records the client only reports that
/// they are invalid.
pub(super) fn is_of_time(error: &ClientError) -> bool {
    has_code(error, &[Code::InvalidTimestamp, Code::InvalidRecord])
}

/// Whether a record that failed with this error may still be on its way to a broker.
///
/// A record that waits in the client's queue may have been sent before: when a connection is lost
/// the client puts what was in flight back there, and reports it like any other record that is purged.
pub(super) fn may_still_arrive(error: &ClientError) -> bool {
    let codes = [
        Code::MessageTimedOut,
        Code::PurgeInflight,
        Code::PurgeQueue,
        Code::BrokerTransportFailure,
        Code::OperationTimedOut,
    ];
    has_code(error, &codes)
}

/// Whether an error has one of these codes.
pub(super) fn has_code(error: &ClientError, codes: &[Code]) -> bool {
    codes.iter().any(|code| error.code() == Some(*code as i32))
}

fn kind_of(error: &KafkaError) -> ErrorKind {
    code_of(error).and_then(kind).unwrap_or(ErrorKind::Other)
}

/// What a code speaks of. The last arm is for codes that this version of the client library does
/// not have; see the test.
#[rustfmt::skip]
fn kind(code: Code) -> Option<ErrorKind> {
    use ErrorKind as Kind;
    use Resource::{Cluster, Group, Topic, TransactionalId};
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
        | Code::Inconsistent | Code::GaplessGuarantee | Code::State
        | Code::Conflict => Kind::Producer,

        Code::PurgeQueue | Code::PurgeInflight => Kind::Purged,

        Code::AutoOffsetReset | Code::OffsetOutOfRange => Kind::OutOfRange,

        Code::ProducerFenced | Code::InvalidProducerEpoch | Code::Fenced => Kind::Fence,

        Code::IllegalGeneration | Code::UnknownMemberId | Code::RebalanceInProgress
        | Code::StaleMemberEpoch | Code::FencedMemberEpoch | Code::MemberIdRequired
        | Code::AssignmentLost | Code::UnknownGroup => Kind::Member,

        Code::FencedInstanceId | Code::UnreleasedInstanceId => Kind::Instance,

        Code::TopicAuthorizationFailed => Kind::Denied(Some(Topic)),
        Code::GroupAuthorizationFailed => Kind::Denied(Some(Group)),
        Code::ClusterAuthorizationFailed => Kind::Denied(Some(Cluster)),
        Code::TransactionalIdAuthorizationFailed => Kind::Denied(Some(TransactionalId)),
        Code::DelegationTokenAuthorizationFailed | Code::DelegationTokenAuthDisabled
        | Code::DelegationTokenNotFound | Code::DelegationTokenOwnerMismatch
        | Code::DelegationTokenRequestNotAllowed
        | Code::DelegationTokenExpired => Kind::Denied(None),

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
        | Code::Application | Code::LogTruncation | Code::Unknown | Code::InvalidMessage
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
    use std::error::Error;

    use oncestream_core::commit::Verdict;
    use oncestream_engine::Step;
    use rdkafka::types::RDKafkaRespErr;

    use super::*;

    fn judge(error: KafkaError, step: Step, fatal: Option<Code>) -> Verdict {
        client_error(error).judge(step, fatal.map(error_of).as_ref())
    }

    fn production(code: Code, step: Step) -> Verdict {
        judge(KafkaError::MessageProduction(code), step, None)
    }

    /// All codes that the client library has.
    pub(in super::super) fn all_codes() -> Vec<Code> {
        let known = |n| RDKafkaRespErr::try_from(n).ok().map(Code::from);
        (-1000..1000).filter_map(known).collect()
    }

    #[test]
    fn every_code_has_a_line_in_the_table() {
        let codes = all_codes();
        assert!(codes.len() > 150, "{}", codes.len());
        for code in codes {
            assert!(kind(code).is_some(), "{code:?} has no line in the table");
        }
    }

    /// Which call had failed says nothing about what its error means.
    #[test]
    fn a_code_means_the_same_whichever_call_it_comes_from() {
        let calls = [
            KafkaError::AdminOp,
            KafkaError::ConsumerCommit,
            KafkaError::Global,
            KafkaError::GroupListFetch,
            KafkaError::MessageConsumption,
            KafkaError::MessageConsumptionFatal,
            KafkaError::MetadataFetch,
            KafkaError::OffsetFetch,
            KafkaError::SetPartitionOffset,
        ];
        for code in all_codes() {
            let expected = error_of(code);
            assert_eq!(expected.code(), Some(code as i32));
            for call in calls {
                let error = client_error(call(code));
                assert_eq!((error.code(), error.kind()), (expected.code(), expected.kind()));
                assert_eq!(error.advice(), expected.advice(), "{code:?}");
                assert_eq!(error.to_string(), call(code).to_string());
                let source = |e: &dyn Error| e.source().map(ToString::to_string);
                assert_eq!(source(&error), source(&call(code)));
                for step in Step::ALL {
                    assert_eq!(error.judge(step, None), expected.judge(step, None), "{code:?}");
                    let fatal = error.judge(step, Some(&error));
                    assert_eq!(fatal, expected.judge(step, Some(&error)), "{code:?}");
                }
            }
        }
    }

    #[test]
    fn an_error_without_a_code_is_one_that_nothing_is_known_of() {
        let error = client_error(KafkaError::Canceled);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Other, None));
        assert_eq!(error.advice(), "");
    }

    #[test]
    fn what_a_right_is_missing_on_is_known_where_the_code_tells() {
        for (code, resource) in [
            (Code::TopicAuthorizationFailed, Some(Resource::Topic)),
            (Code::GroupAuthorizationFailed, Some(Resource::Group)),
            (Code::ClusterAuthorizationFailed, Some(Resource::Cluster)),
            (Code::TransactionalIdAuthorizationFailed, Some(Resource::TransactionalId)),
            (Code::DelegationTokenExpired, None),
        ] {
            assert_eq!(error_of(code).kind(), ErrorKind::Denied(resource), "{code:?}");
        }
        let named = all_codes().into_iter().filter(|code| error_of(*code).denied().is_some());
        assert_eq!(named.count(), 4);
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
        assert_eq!(judge(error, Step::Transaction, fatal), Verdict::Fenced);
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
        assert_eq!(judge(error, Step::Delivery, fatal), Verdict::OutcomeUnknown);
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
            assert_eq!(error_of(code).is_outage(), may, "{code:?}");
        }
    }
}
