//! What the driver can fail with.

use oncestream_broker::BrokerError;
use oncestream_core::TaskId;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::serde::SerdeError;
use oncestream_core::state::BackendError;
use oncestream_engine::{ClientError, StreamsError};

use super::CommitStep;

/// The driver could not go on. After [`Self::Task`], [`Self::Worker`], [`Self::Crashed`] and [`Self::Backend`]
/// everything in memory is gone, as after a crash; `recover` starts the tasks again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The topology does not fit the topics.
    #[error(transparent)]
    Topology(#[from] TopologyError),
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
    /// The worker stopped, as it would in the runtime.
    #[error(transparent)]
    Worker(Box<StreamsError>),
    /// A topic could not be made.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The broker refuses a record of the test.
    #[error("the broker refuses a record for topic {topic}: {source}")]
    Refused {
        /// The topic.
        topic: String,
        /// What the broker said.
        source: ClientError,
    },
    /// A key or value of the test could not be written, or what it reads has other types.
    #[error(
        "a record of topic {topic} cannot be written or read: {source}; give the input or output the serdes of the topology"
    )]
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
    /// The workers fail and start again without an end.
    #[error(
        "the workers fail and start again for {waited:?} of their clock, and do not come to rest; their log \
         says why"
    )]
    NoRest {
        /// For how long, by their clock.
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
    #[error(
        "a record of {bytes} bytes is larger than message_max_bytes ({max}); make it smaller, or raise the bound"
    )]
    TooLarge {
        /// Key and value together.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// No store of that name, types and kind.
    #[error(
        "there is no store `{store}` with the keys, values and kind {types}; check the name and the types"
    )]
    NoStore {
        /// The store.
        store: String,
        /// The types asked for.
        types: &'static str,
    },
}

impl From<StreamsError> for DriverError {
    fn from(error: StreamsError) -> Self {
        match error {
            StreamsError::Topology(error) => Self::Topology(error),
            StreamsError::Task { task, source } => Self::Task { task, source },
            StreamsError::Backend(error) => Self::Backend(error),
            other => Self::Worker(Box::new(other)),
        }
    }
}
