//! Resets an application: sets where its inputs begin, and deletes its internal topics and its local
//! state. The command `oncestream reset` does the same.
//!
//! ```no_run
//! # async fn example(topology: oncestream_core::graph::Topology) -> Result<(), Box<dyn std::error::Error>> {
//! use oncestream_runtime::StreamsConfig;
//! use oncestream_runtime::reset::{ApplicationReset, To};
//!
//! let config = StreamsConfig::builder("word-count", "localhost:9092")
//!     .state_dir("/var/lib/oncestream")
//!     .build()?;
//! let plan = ApplicationReset::new(config)
//!     .topology(topology) // has the names of the application's internal topics
//!     .input_topic("lines", To::Earliest)
//!     .local_state()
//!     .plan()
//!     .await?;
//! println!("{plan}"); // nothing has changed so far
//! plan.execute().await?;
//! # Ok(())
//! # }
//! ```
//!
//! All instances have to be stopped. State on other hosts may stay: a store whose changelog was
//! deleted is rebuilt, because its checkpoint names the topic by its id. Only stores without a
//! changelog have to be deleted on each host. Output topics are not touched.
//!
//! It needs the rights Read on the group and on the input topics, and Delete on the internal topics.
//!
//! - `names.rs` says whose an internal topic is, `targets.rs` where an input begins; both are pure.
//! - `planning.rs` asks the brokers and makes the plan; `plan.rs` shows it and executes it.
//! - `directory.rs` deletes the local state.

mod directory;
mod error;
mod names;
mod plan;
mod planning;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oncestream_core::graph::Topology;

use crate::config::StreamsConfig;
use crate::streams::joined;

pub use error::{ActiveMember, ResetError, WrongTopic};
pub use plan::{Notice, OffsetChange, ResetPlan};

/// Where an input is to be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum To {
    /// Its first record.
    Earliest,
    /// Its end, as a consumer with `isolation.level=read_committed` sees it.
    Latest,
    /// This offset of each partition.
    Offset(i64),
    /// The first record of this time or later, in milliseconds since 1970; its end, if there is none.
    Time(i64),
    /// So many records after the committed offset, or before it.
    ShiftBy(i64),
}

/// What is to be reset. Nothing happens before a [`plan`](Self::plan) is
/// [executed](ResetPlan::execute); the [module](self) has an example.
#[derive(Clone, Debug)]
#[must_use]
pub struct ApplicationReset {
    config: StreamsConfig,
    inputs: BTreeMap<Arc<str>, To>,
    topology: Option<Topology>,
    internal: BTreeSet<Arc<str>>,
    local_state: bool,
}

impl ApplicationReset {
    /// The application with this configuration. Of it count `application.id`, the brokers and how
    /// to reach them, and `state.dir`.
    pub fn new(config: StreamsConfig) -> Self {
        Self {
            config,
            inputs: BTreeMap::new(),
            topology: None,
            internal: BTreeSet::new(),
            local_state: false,
        }
    }

    /// Sets where an input topic is read from. Inputs that are not named go on from what is
    /// committed. A topic that a pattern matches is named like any other.
    pub fn input_topic(mut self, topic: impl Into<Arc<str>>, to: To) -> Self {
        self.inputs.insert(topic.into(), to);
        self
    }

    /// Deletes the internal topics of this topology, and no others. Without it the internal topics
    /// are found by their names.
    pub fn topology(mut self, topology: Topology) -> Self {
        self.topology = Some(topology);
        self
    }

    /// Deletes this internal topic, and no others but those that are named likewise or are of the
    /// [`topology`](Self::topology).
    pub fn internal_topic(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.internal.insert(topic.into());
        self
    }

    /// Deletes the state on this host too: the application's directory in `state.dir`.
    pub fn local_state(mut self) -> Self {
        self.local_state = true;
        self
    }

    /// Asks the brokers what there is to do. Changes nothing.
    ///
    /// # Errors
    /// Among others: instances that run, topics that are not there (all of them in one answer),
    /// internal topics that may be another application's, a right that is missing.
    pub async fn plan(&self) -> Result<ResetPlan, ResetError> {
        let reset = self.clone();
        blocking(move || reset.plan_blocking()).await
    }
}

/// Runs what waits for brokers or disks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ResetError> + Send + 'static,
) -> Result<T, ResetError> {
    tokio::task::spawn_blocking(work).await.map_err(joined)?
}
