//! What the driver can fail with.

use oncestream_core::TaskId;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::serde::SerdeError;
use oncestream_core::state::BackendError;
use oncestream_core::task::BuildError;

use super::CommitStep;

/// The driver could not go on. After [`Self::Task`], [`Self::Crashed`] and [`Self::Backend`]
/// everything in memory is gone, as after a crash; `recover` starts the tasks again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The topology does not fit the topics.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A task could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A task failed, for example on a record that it cannot read.
    #[error("task {task}: {source}")]
    Task {
        /// The task.
        task: TaskId,
        /// What it said.
        source: TaskError,
    },
    /// The state backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A key or value of the test could not be written, or what it reads has other types.
    #[error("topic {topic}: {source}; give the input or output the serdes of the topology")]
    Serde {
        /// The topic.
        topic: String,
        /// What the serde said.
        source: SerdeError,
    },
    /// The crash that was asked for.
    #[error("crashed at {step:?}, as asked; call recover()")]
    Crashed {
        /// Where.
        step: CommitStep,
    },
    /// A node has records in work, and a commit waits for them.
    #[error(
        "task {task} holds records that its nodes have not released in {waited:?}; a node that holds \
         one must release it by itself, and one that is asked to flush, soon"
    )]
    NotFlushed {
        /// The task.
        task: TaskId,
        /// How long the commit has waited.
        waited: std::time::Duration,
    },
    /// The tasks are gone since a crash or an error.
    #[error("the driver is down since a crash or an error; call recover()")]
    Down,
    /// A partition that the topic has not.
    #[error("topic {topic} has no partition {partition}; it has {partitions}")]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// How many there are.
        partitions: i32,
    },
    /// A record over the bound set with `message_max_bytes`.
    #[error("a record of {bytes} bytes is larger than message_max_bytes ({max})")]
    TooLarge {
        /// Key and value together.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// No store of that name, types and kind.
    #[error("no store `{store}` of keys, values and kind {types}; check the name and the types")]
    NoStore {
        /// The store.
        store: String,
        /// The types asked for.
        types: &'static str,
    },
}
