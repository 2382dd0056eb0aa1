//! What the broker's answers mean to a worker, and the error of a crash.

use kafka_protocol::error::{ParseResponseErrorCode, ResponseError};
use oncestream_engine::{ClientError, ClientFault as _, ErrorKind};

use super::super::crash::CommitStep;

/// What a broker has answered.
#[derive(Debug, thiserror::Error)]
#[error("the broker answers {0}")]
struct Answered(ResponseError);

/// The crash that was asked for: from here on no call does anything.
#[derive(Debug, thiserror::Error)]
#[error("crashed at {0:?}, as asked")]
struct Crashed(CommitStep);

/// There is no answer, or none that fits.
#[derive(Debug, thiserror::Error)]
#[error("the broker does not answer")]
struct NoAnswer;

/// What an error code speaks of; `Ok` for none.
pub(in super::super) fn check(code: i16) -> Result<(), ClientError> {
    match code.err() {
        None => Ok(()),
        Some(error) => Err(of(error)),
    }
}

/// An error of the broker's.
pub(super) fn of(error: ResponseError) -> ClientError {
    ClientError::new(kind(error), Answered(error)).with_code(Some(error.code().into()))
}

/// An instance that has crashed is beyond all help.
pub(super) fn crashed(step: CommitStep) -> ClientError {
    ClientError::new(ErrorKind::Unfit, Crashed(step))
}

/// The connection is gone.
pub(in super::super) fn no_answer() -> ClientError {
    ClientError::new(ErrorKind::Away, NoAnswer)
}

/// What the embedded broker's errors speak of. It has no others.
fn kind(error: ResponseError) -> ErrorKind {
    use ResponseError as E;
    match error {
        E::NotLeaderOrFollower
        | E::LeaderNotAvailable
        | E::RequestTimedOut
        | E::NetworkException
        | E::CoordinatorLoadInProgress
        | E::CoordinatorNotAvailable
        | E::NotCoordinator
        | E::NotEnoughReplicas
        | E::NotEnoughReplicasAfterAppend
        | E::ConcurrentTransactions
        | E::FencedLeaderEpoch
        | E::UnknownLeaderEpoch
        | E::KafkaStorageError
        | E::UnstableOffsetCommit => ErrorKind::Away,
        E::MessageTooLarge
        | E::RecordListTooLarge
        | E::InvalidTimestamp
        | E::InvalidRecord
        | E::InvalidTopicException
        | E::UnsupportedCompressionType
        | E::PolicyViolation => ErrorKind::Record,
        E::UnknownTopicOrPartition | E::UnknownTopicId => ErrorKind::UnknownTopic,
        E::OffsetOutOfRange => ErrorKind::OutOfRange,
        E::OutOfOrderSequenceNumber
        | E::DuplicateSequenceNumber
        | E::UnknownProducerId
        | E::InvalidTxnState
        | E::TransactionAbortable
        | E::InvalidProducerIdMapping => ErrorKind::Producer,
        E::ProducerFenced | E::InvalidProducerEpoch => ErrorKind::Fence,
        E::IllegalGeneration
        | E::UnknownMemberId
        | E::RebalanceInProgress
        | E::MemberIdRequired
        | E::GroupIdNotFound => ErrorKind::Member,
        E::FencedInstanceId | E::UnreleasedInstanceId => ErrorKind::Instance,
        E::TopicAuthorizationFailed
        | E::GroupAuthorizationFailed
        | E::ClusterAuthorizationFailed
        | E::TransactionalIdAuthorizationFailed => ErrorKind::Denied(None),
        E::UnsupportedVersion
        | E::InvalidRequest
        | E::InvalidTransactionTimeout
        | E::InvalidSessionTimeout
        | E::InvalidGroupId
        | E::InconsistentGroupProtocol
        | E::OffsetMetadataTooLarge => ErrorKind::Unfit,
        _ => ErrorKind::Other,
    }
}
