//! A task: one sub-topology over one partition, instantiated and running. Pure.

mod activity;
mod buffers;
mod builder;
mod context;
mod failed;
mod input;
mod intake;
mod ledger;
mod node;
mod offset_metadata;
mod punctuate;
mod readiness;
mod replay;
mod run;
mod sink;
mod source;
mod times;

pub use activity::Activity;
pub use buffers::{BufferId, BufferReport, Buffered};
pub use builder::{BuildError, NodeHandle, TaskBuilder};
pub use context::{ChangelogId, Collector, Context, Origin, Outgoing};
pub use failed::{FailedAt, RecordRefused};
pub use ledger::Held;
pub use node::{Downstream, Flush, Flushed, Lifecycle, Node, Shared};
pub use offset_metadata::OffsetMetadata;
pub use punctuate::{PunctuationType, PunctuatorId, ScheduleId};
pub use readiness::Readiness;
pub use replay::Replay;
pub use run::{InputId, Position, Task};
pub use sink::{Destination, Partitioner, Sink, TopicNameExtractor};
pub use source::{RawRecord, SourceConfig, SourceInstance, TimestampExtractor};
pub use times::{MarkId, TimeId};

/// Settings that tasks depend on.
#[derive(Clone, Debug)]
pub struct TaskConfig {
    /// Whether a record's effects may happen twice after a failure.
    pub guarantee: crate::commit::Guarantee,
    /// In front of every internal topic's name.
    pub application_id: std::sync::Arc<str>,
    /// What to do with records that fail.
    pub handlers: std::sync::Arc<crate::handlers::ErrorHandlers>,
    /// How many records wait per partition before it is paused.
    pub buffered_records_per_partition: usize,
    /// How long a task with several inputs waits for records that are not written yet, in milliseconds
    /// of wall clock. With 0 it waits for what the broker has, with -1 for nothing.
    pub max_task_idle_ms: i64,
}

impl TaskConfig {
    /// The defaults of Kafka Streams, but exactly once.
    pub fn new(application_id: &str) -> Self {
        Self {
            guarantee: crate::commit::Guarantee::ExactlyOnce,
            application_id: application_id.into(),
            handlers: std::sync::Arc::default(),
            buffered_records_per_partition: 1000,
            max_task_idle_ms: 0,
        }
    }
}
