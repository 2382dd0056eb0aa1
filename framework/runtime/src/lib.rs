//! The Kafka runtime of Oncestream: it runs a topology in a consumer group, on worker threads,
//! with state in local stores that follow changelog topics.
//!
//! [`reset`] lets an application begin again.
//!
//! With `processing.guarantee=exactly_once` every cycle of polling, processing, producing and
//! committing offsets is one Kafka transaction.

mod access;
mod clients;
pub mod config;
mod error;
pub mod metrics;
pub mod reset;
mod start;
mod state;
mod state_dir;
mod streams;
mod uncaught;
mod worker;

pub use access::{ConnectionFault, Resource};
// For the delivery lab's measurements: unsafe code is in this crate alone.
#[doc(hidden)]
pub use clients::flush;
pub use config::{ProcessingGuarantee, StreamsConfig};
pub use error::StreamsError;
pub use state::ClientState;
pub use streams::{Streams, shutdown_signal};
pub use uncaught::UncaughtErrorResponse;
