//! What librdkafka can and the crate rdkafka 0.39 does not pass on. All unsafe code is here.
//!
//! Knows no worker and no store. Invariants:
//! - What librdkafka owns is wrapped at once in a value that gives it back when dropped.
//! - A pointer into a message or a result does not outlive the value that it was borrowed from.
//! - A client outlives all that was made from it: wrappers keep it, or borrow it.
//!
//! `.ci/run` runs the tests of this folder under valgrind.

#![allow(unsafe_code, reason = "the one place for calls that the crate rdkafka does not have")]

mod admin_op;
mod flush;
mod group;
mod headers;
mod listener;
mod member_id;
mod message;
mod partition_queue;
mod queued;
mod record_queue;
mod topic_ids;

pub use flush::flush;
pub(crate) use group::describe_group;
pub(crate) use member_id::member_id;
pub(crate) use message::KafkaMessage;
pub(crate) use partition_queue::PartitionQueue;
pub(crate) use queued::queued;
pub(crate) use record_queue::RecordQueue;
pub(crate) use topic_ids::topic_ids;
