//! The engine of Oncestream, pure: no Kafka, no threads, no clock, no files, no async.
//!
//! A topology is a graph of typed nodes ([`graph`]); a worker makes it into running tasks
//! ([`task`]) with typed stores ([`state`]); [`commit`] decides, from observed facts, what an
//! exactly-once commit does next; [`handlers`] decide about records that fail.

pub mod commit;
mod debug;
pub mod error;
pub mod graph;
pub mod handlers;
mod ids;
pub mod partitioner;
mod record;
pub mod serde;
pub mod state;
pub mod task;
pub mod topic_name;

pub use ids::{SubTopologyId, TaskId, TopicPartition};
pub use record::{Header, Headers, Record, RecordMetadata, TimestampMs};
