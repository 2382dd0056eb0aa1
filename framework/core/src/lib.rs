//! The engine of Oncestream, pure: no Kafka, no threads, no clock, no files, no async.

mod ids;
mod record;
pub mod serde;
pub mod state;

pub use ids::{SubTopologyId, TaskId, TopicPartition};
pub use record::{Header, Headers, Record, RecordMetadata, TimestampMs};
