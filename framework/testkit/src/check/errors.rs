//! The errors Kafka may answer each request with, and what an application may make of them.
//!
//! From Kafka's protocol documentation and the handlers of Apache Kafka 4.3.1. Left out are answers
//! that would be untrue here and that a client must believe: `OFFSET_OUT_OF_RANGE` for a record that
//! is there, `DUPLICATE_SEQUENCE_NUMBER` for one that is not, a topic that does not exist or is just
//! being made.

use oncestream_broker::{Action, Api};

use Answer::{Applied, Refused};
use Gravity::{Passing, Stopping};

/// Whether an application may end because of a fault. It must be exact in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gravity {
    /// It must go on by itself.
    Passing,
    /// It may end with a typed error; started again, it goes on.
    Stopping,
}

/// Whether the broker did what it was asked for in spite of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Refused,
    Applied,
}

/// One error of one request.
struct KafkaError {
    api: Api,
    code: i16,
    answer: Answer,
    gravity: Gravity,
}

const fn of(api: Api, code: i16, gravity: Gravity) -> KafkaError {
    KafkaError { api, code, answer: Refused, gravity }
}

const fn after(api: Api, code: i16) -> KafkaError {
    KafkaError { api, code, answer: Applied, gravity: Passing }
}

/// The name of an error code.
pub(super) fn name(code: i16) -> &'static str {
    NAMES.iter().find(|(known, _)| *known == code).map_or("?", |(_, name)| name)
}

/// What a request may be answered with.
pub(super) fn answers(api: Api) -> impl Iterator<Item = (Action, Gravity)> {
    ERRORS.iter().filter(move |error| error.api == api).map(|error| {
        let action = match error.answer {
            Refused => Action::Error(error.code),
            Applied => Action::ErrorAfter(error.code),
        };
        (action, error.gravity)
    })
}

const UNKNOWN_SERVER_ERROR: i16 = -1;
const CORRUPT_MESSAGE: i16 = 2;
const LEADER_NOT_AVAILABLE: i16 = 5;
const NOT_LEADER: i16 = 6;
const REQUEST_TIMED_OUT: i16 = 7;
const COORDINATOR_LOADING: i16 = 14;
const NO_COORDINATOR: i16 = 15;
const NOT_COORDINATOR: i16 = 16;
const NOT_ENOUGH_REPLICAS: i16 = 19;
const NOT_ENOUGH_REPLICAS_AFTER: i16 = 20;
const ILLEGAL_GENERATION: i16 = 22;
const UNKNOWN_MEMBER: i16 = 25;
const REBALANCING: i16 = 27;
const TOPIC_AUTHORIZATION: i16 = 29;
const GROUP_AUTHORIZATION: i16 = 30;
const NOT_CONTROLLER: i16 = 41;
const OUT_OF_ORDER: i16 = 45;
const INVALID_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const INVALID_MAPPING: i16 = 49;
const CONCURRENT: i16 = 51;
const TXN_AUTHORIZATION: i16 = 53;
const STORAGE_ERROR: i16 = 56;
const UNKNOWN_PRODUCER: i16 = 59;
const FENCED_LEADER_EPOCH: i16 = 74;
const UNKNOWN_LEADER_EPOCH: i16 = 75;
const OFFSET_NOT_AVAILABLE: i16 = 78;
const UNSTABLE_OFFSET: i16 = 88;
const THROTTLED: i16 = 89;
const FENCED: i16 = 90;

const MEMBER_ID_REQUIRED: i16 = 79;

const NAMES: &[(i16, &str)] = &[
    (MEMBER_ID_REQUIRED, "MEMBER_ID_REQUIRED"),
    (UNKNOWN_SERVER_ERROR, "UNKNOWN_SERVER_ERROR"),
    (CORRUPT_MESSAGE, "CORRUPT_MESSAGE"),
    (LEADER_NOT_AVAILABLE, "LEADER_NOT_AVAILABLE"),
    (NOT_LEADER, "NOT_LEADER_OR_FOLLOWER"),
    (REQUEST_TIMED_OUT, "REQUEST_TIMED_OUT"),
    (COORDINATOR_LOADING, "COORDINATOR_LOAD_IN_PROGRESS"),
    (NO_COORDINATOR, "COORDINATOR_NOT_AVAILABLE"),
    (NOT_COORDINATOR, "NOT_COORDINATOR"),
    (NOT_ENOUGH_REPLICAS, "NOT_ENOUGH_REPLICAS"),
    (NOT_ENOUGH_REPLICAS_AFTER, "NOT_ENOUGH_REPLICAS_AFTER_APPEND"),
    (ILLEGAL_GENERATION, "ILLEGAL_GENERATION"),
    (UNKNOWN_MEMBER, "UNKNOWN_MEMBER_ID"),
    (REBALANCING, "REBALANCE_IN_PROGRESS"),
    (TOPIC_AUTHORIZATION, "TOPIC_AUTHORIZATION_FAILED"),
    (GROUP_AUTHORIZATION, "GROUP_AUTHORIZATION_FAILED"),
    (NOT_CONTROLLER, "NOT_CONTROLLER"),
    (OUT_OF_ORDER, "OUT_OF_ORDER_SEQUENCE_NUMBER"),
    (INVALID_EPOCH, "INVALID_PRODUCER_EPOCH"),
    (INVALID_TXN_STATE, "INVALID_TXN_STATE"),
    (INVALID_MAPPING, "INVALID_PRODUCER_ID_MAPPING"),
    (CONCURRENT, "CONCURRENT_TRANSACTIONS"),
    (TXN_AUTHORIZATION, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
    (STORAGE_ERROR, "KAFKA_STORAGE_ERROR"),
    (UNKNOWN_PRODUCER, "UNKNOWN_PRODUCER_ID"),
    (FENCED_LEADER_EPOCH, "FENCED_LEADER_EPOCH"),
    (UNKNOWN_LEADER_EPOCH, "UNKNOWN_LEADER_EPOCH"),
    (OFFSET_NOT_AVAILABLE, "OFFSET_NOT_AVAILABLE"),
    (UNSTABLE_OFFSET, "UNSTABLE_OFFSET_COMMIT"),
    (THROTTLED, "THROTTLING_QUOTA_EXCEEDED"),
    (FENCED, "PRODUCER_FENCED"),
];

const ERRORS: &[KafkaError] = &[
    of(Api::Produce, CORRUPT_MESSAGE, Passing),
    of(Api::Produce, LEADER_NOT_AVAILABLE, Passing),
    of(Api::Produce, NOT_LEADER, Passing),
    after(Api::Produce, REQUEST_TIMED_OUT),
    of(Api::Produce, NOT_ENOUGH_REPLICAS, Passing),
    after(Api::Produce, NOT_ENOUGH_REPLICAS_AFTER),
    of(Api::Produce, OUT_OF_ORDER, Passing),
    of(Api::Produce, INVALID_EPOCH, Passing),
    of(Api::Produce, INVALID_TXN_STATE, Passing),
    of(Api::Produce, INVALID_MAPPING, Passing),
    of(Api::Produce, STORAGE_ERROR, Passing),
    of(Api::Produce, UNKNOWN_PRODUCER, Passing),
    of(Api::Produce, TOPIC_AUTHORIZATION, Stopping),
    of(Api::Produce, TXN_AUTHORIZATION, Stopping),
    of(Api::Fetch, NOT_LEADER, Passing),
    of(Api::Fetch, STORAGE_ERROR, Passing),
    of(Api::Fetch, FENCED_LEADER_EPOCH, Passing),
    of(Api::Fetch, UNKNOWN_LEADER_EPOCH, Passing),
    of(Api::Fetch, OFFSET_NOT_AVAILABLE, Passing),
    of(Api::Fetch, TOPIC_AUTHORIZATION, Stopping),
    of(Api::ListOffsets, NOT_LEADER, Passing),
    of(Api::ListOffsets, LEADER_NOT_AVAILABLE, Passing),
    of(Api::ListOffsets, OFFSET_NOT_AVAILABLE, Passing),
    of(Api::ListOffsets, TOPIC_AUTHORIZATION, Stopping),
    of(Api::Metadata, TOPIC_AUTHORIZATION, Stopping),
    of(Api::FindCoordinator, COORDINATOR_LOADING, Passing),
    of(Api::FindCoordinator, NO_COORDINATOR, Passing),
    of(Api::FindCoordinator, GROUP_AUTHORIZATION, Stopping),
    of(Api::JoinGroup, COORDINATOR_LOADING, Passing),
    of(Api::JoinGroup, NO_COORDINATOR, Passing),
    of(Api::JoinGroup, NOT_COORDINATOR, Passing),
    of(Api::JoinGroup, UNKNOWN_MEMBER, Passing),
    of(Api::JoinGroup, REBALANCING, Passing),
    of(Api::JoinGroup, GROUP_AUTHORIZATION, Stopping),
    of(Api::SyncGroup, NO_COORDINATOR, Passing),
    of(Api::SyncGroup, NOT_COORDINATOR, Passing),
    of(Api::SyncGroup, ILLEGAL_GENERATION, Passing),
    of(Api::SyncGroup, UNKNOWN_MEMBER, Passing),
    of(Api::SyncGroup, REBALANCING, Passing),
    of(Api::SyncGroup, GROUP_AUTHORIZATION, Stopping),
    of(Api::Heartbeat, NO_COORDINATOR, Passing),
    of(Api::Heartbeat, NOT_COORDINATOR, Passing),
    of(Api::Heartbeat, ILLEGAL_GENERATION, Passing),
    of(Api::Heartbeat, UNKNOWN_MEMBER, Passing),
    of(Api::Heartbeat, REBALANCING, Passing),
    of(Api::LeaveGroup, NO_COORDINATOR, Passing),
    of(Api::LeaveGroup, NOT_COORDINATOR, Passing),
    of(Api::LeaveGroup, UNKNOWN_MEMBER, Passing),
    of(Api::OffsetFetch, COORDINATOR_LOADING, Passing),
    of(Api::OffsetFetch, NOT_COORDINATOR, Passing),
    of(Api::OffsetFetch, UNSTABLE_OFFSET, Passing),
    of(Api::OffsetFetch, GROUP_AUTHORIZATION, Stopping),
    of(Api::OffsetCommit, COORDINATOR_LOADING, Passing),
    of(Api::OffsetCommit, NOT_COORDINATOR, Passing),
    of(Api::OffsetCommit, ILLEGAL_GENERATION, Passing),
    of(Api::OffsetCommit, UNKNOWN_MEMBER, Passing),
    of(Api::OffsetCommit, REBALANCING, Passing),
    of(Api::OffsetCommit, GROUP_AUTHORIZATION, Stopping),
    of(Api::InitProducerId, COORDINATOR_LOADING, Passing),
    of(Api::InitProducerId, NO_COORDINATOR, Passing),
    of(Api::InitProducerId, NOT_COORDINATOR, Passing),
    of(Api::InitProducerId, CONCURRENT, Passing),
    of(Api::InitProducerId, FENCED, Stopping),
    of(Api::InitProducerId, INVALID_EPOCH, Stopping),
    of(Api::InitProducerId, TXN_AUTHORIZATION, Stopping),
    of(Api::AddPartitionsToTxn, COORDINATOR_LOADING, Passing),
    of(Api::AddPartitionsToTxn, NOT_COORDINATOR, Passing),
    of(Api::AddPartitionsToTxn, CONCURRENT, Passing),
    of(Api::AddPartitionsToTxn, INVALID_EPOCH, Passing),
    of(Api::AddPartitionsToTxn, INVALID_MAPPING, Passing),
    of(Api::AddPartitionsToTxn, INVALID_TXN_STATE, Passing),
    of(Api::AddPartitionsToTxn, FENCED, Passing),
    of(Api::AddPartitionsToTxn, TOPIC_AUTHORIZATION, Stopping),
    of(Api::AddPartitionsToTxn, TXN_AUTHORIZATION, Stopping),
    of(Api::AddOffsetsToTxn, COORDINATOR_LOADING, Passing),
    of(Api::AddOffsetsToTxn, NOT_COORDINATOR, Passing),
    of(Api::AddOffsetsToTxn, CONCURRENT, Passing),
    of(Api::AddOffsetsToTxn, INVALID_EPOCH, Passing),
    of(Api::AddOffsetsToTxn, INVALID_MAPPING, Passing),
    of(Api::AddOffsetsToTxn, INVALID_TXN_STATE, Passing),
    of(Api::AddOffsetsToTxn, FENCED, Passing),
    of(Api::AddOffsetsToTxn, GROUP_AUTHORIZATION, Stopping),
    of(Api::AddOffsetsToTxn, TXN_AUTHORIZATION, Stopping),
    of(Api::TxnOffsetCommit, COORDINATOR_LOADING, Passing),
    of(Api::TxnOffsetCommit, NOT_COORDINATOR, Passing),
    of(Api::TxnOffsetCommit, ILLEGAL_GENERATION, Passing),
    of(Api::TxnOffsetCommit, UNKNOWN_MEMBER, Passing),
    of(Api::TxnOffsetCommit, INVALID_EPOCH, Passing),
    of(Api::TxnOffsetCommit, FENCED, Passing),
    of(Api::TxnOffsetCommit, GROUP_AUTHORIZATION, Stopping),
    of(Api::TxnOffsetCommit, TXN_AUTHORIZATION, Stopping),
    of(Api::EndTxn, COORDINATOR_LOADING, Passing),
    of(Api::EndTxn, NO_COORDINATOR, Passing),
    of(Api::EndTxn, NOT_COORDINATOR, Passing),
    of(Api::EndTxn, CONCURRENT, Passing),
    of(Api::EndTxn, INVALID_EPOCH, Passing),
    of(Api::EndTxn, INVALID_MAPPING, Passing),
    of(Api::EndTxn, INVALID_TXN_STATE, Passing),
    of(Api::EndTxn, FENCED, Passing),
    of(Api::EndTxn, UNKNOWN_SERVER_ERROR, Passing),
    of(Api::EndTxn, TXN_AUTHORIZATION, Stopping),
    of(Api::CreateTopics, NOT_CONTROLLER, Stopping),
    of(Api::CreateTopics, THROTTLED, Stopping),
    of(Api::CreateTopics, TOPIC_AUTHORIZATION, Stopping),
    of(Api::DescribeConfigs, TOPIC_AUTHORIZATION, Passing),
    of(Api::DescribeConfigs, REQUEST_TIMED_OUT, Passing),
    of(Api::DeleteRecords, NOT_LEADER, Passing),
    of(Api::DeleteRecords, TOPIC_AUTHORIZATION, Passing),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_and_stands_once_per_request() {
        for (at, error) in ERRORS.iter().enumerate() {
            assert_ne!(name(error.code), "?", "{:?} {}", error.api, error.code);
            let again = ERRORS[..at].iter().any(|e| e.api == error.api && e.code == error.code);
            assert!(!again, "{:?} {}", error.api, name(error.code));
        }
    }
}
