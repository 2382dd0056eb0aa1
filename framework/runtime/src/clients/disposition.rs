//! One function from a client's error to what to do about it: fatal first, then abort, then
//! retriable.

use oncestream_core::commit::Disposition;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// The call that failed; a time-out means different things in different calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A call of the transaction's life: init, begin, send offsets, commit, abort.
    Transaction,
    /// The delivery of one record in a transaction.
    TransactionalDelivery,
    /// The delivery of one record outside a transaction.
    PlainDelivery,
    /// Committing offsets to the group, at least once.
    GroupCommit,
}

/// What to do about `error` at `step`. `fatal` is the client's own fatal error, if it has one.
pub(crate) fn disposition(error: &KafkaError, step: Step, fatal: Option<Code>) -> Disposition {
    let code = error.rdkafka_error_code();
    if let Some(special) = fatal.or(code).and_then(by_code) {
        return special;
    }
    if fatal.is_some() {
        // Sequence errors, an expired producer id: a new producer gets over them. The worker
        // bounds how often.
        return Disposition::OutcomeUnknown;
    }
    if let KafkaError::Transaction(e) = error {
        if e.is_fatal() {
            return Disposition::OutcomeUnknown;
        }
        if e.txn_requires_abort() {
            return Disposition::AbortTransaction;
        }
        // Timed out, retriable or in the wrong state: what the broker did is not known.
        return Disposition::OutcomeUnknown;
    }
    match step {
        Step::Transaction => Disposition::OutcomeUnknown,
        // The partitions are still this member's: their tasks must start again, or nobody would
        // process them.
        Step::TransactionalDelivery | Step::PlainDelivery | Step::GroupCommit => {
            Disposition::AbortTransaction
        }
    }
}

/// Codes that say the same wherever they come from.
fn by_code(code: Code) -> Option<Disposition> {
    match code {
        Code::ProducerFenced | Code::InvalidProducerEpoch | Code::Fenced => {
            Some(Disposition::Fenced)
        }
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::RebalanceInProgress
        | Code::StaleMemberEpoch => Some(Disposition::RestoreTask),
        Code::FencedInstanceId
        | Code::MessageSizeTooLarge
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::UnsupportedVersion
        | Code::InvalidTopic
        | Code::PolicyViolation
        | Code::InvalidRecord
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition => Some(Disposition::Fatal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(code: Code, step: Step) -> Disposition {
        disposition(&KafkaError::MessageProduction(code), step, None)
    }

    #[test]
    fn a_fence_is_a_fence_wherever_it_shows() {
        for step in [Step::Transaction, Step::TransactionalDelivery, Step::GroupCommit] {
            assert_eq!(delivery(Code::InvalidProducerEpoch, step), Disposition::Fenced);
        }
        let fatal = Some(Code::ProducerFenced);
        let error = KafkaError::MessageProduction(Code::Fatal);
        assert_eq!(disposition(&error, Step::Transaction, fatal), Disposition::Fenced);
    }

    #[test]
    fn a_timed_out_transactional_call_is_unknown_and_never_a_failure() {
        assert_eq!(
            delivery(Code::OperationTimedOut, Step::Transaction),
            Disposition::OutcomeUnknown
        );
        assert_eq!(
            delivery(Code::MessageTimedOut, Step::TransactionalDelivery),
            Disposition::AbortTransaction
        );
    }

    #[test]
    fn at_least_once_a_failure_that_no_rebalance_follows_starts_the_tasks_again() {
        for step in [Step::PlainDelivery, Step::GroupCommit] {
            assert_eq!(delivery(Code::MessageTimedOut, step), Disposition::AbortTransaction);
            assert_eq!(delivery(Code::IllegalGeneration, step), Disposition::RestoreTask);
        }
    }

    #[test]
    fn a_record_too_large_is_fatal_and_a_stale_generation_is_not() {
        assert_eq!(
            delivery(Code::MessageSizeTooLarge, Step::TransactionalDelivery),
            Disposition::Fatal
        );
        assert_eq!(delivery(Code::IllegalGeneration, Step::Transaction), Disposition::RestoreTask);
    }

    #[test]
    fn a_fatal_client_error_without_a_name_wants_a_new_producer() {
        let error = KafkaError::MessageProduction(Code::Fatal);
        assert_eq!(
            disposition(&error, Step::TransactionalDelivery, Some(Code::OutOfOrderSequenceNumber)),
            Disposition::OutcomeUnknown
        );
    }
}
