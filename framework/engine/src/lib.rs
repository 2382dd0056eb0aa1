//! The worker of Oncestream: it takes records in, commits, restores, follows rebalances and finds the
//! way back from failures.
//!
//! It is written against [ports] and knows no Kafka client, no clock and no files of its own.
//! The runtime runs it on librdkafka, `TopologyTestDriver` on the embedded broker's state: what a
//! test of the driver shows is shown of the code that runs in production.

mod access;
mod client_error;
mod error;
pub mod global;
pub mod metrics;
mod participant;
pub mod ports;
mod settings;
mod state;
pub mod topics;
mod verdict;
pub mod worker;

pub use access::{ConnectionFault, Resource};
pub use client_error::{ClientError, ClientFault, TransactionFault};
pub use error::{ConfigError, StreamsError};
pub use participant::{Commit, Participant, ParticipantError};
pub use settings::{AutoOffsetReset, WorkerSettings};
pub use state::ClientState;
pub use verdict::{ErrorKind, Step};
