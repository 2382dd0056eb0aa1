//! The Kafka runtime of Oncestream: it runs a topology in a consumer group, on worker threads,
//! with state in local stores that follow changelog topics.
//!
//! What a worker does is in the crate `oncestream-engine`. Here are the ports that it runs on, made of
//! librdkafka's clients, a state directory and the system's clock, and what starts and stops workers.
//! [`reset`] lets an application begin again.
//!
//! With `processing.guarantee=exactly_once` every cycle of polling, processing, producing and
//! committing offsets is one Kafka transaction.

mod clients;
mod clock;
pub mod config;
mod ports;
pub mod reset;
mod start;
mod state_dir;
mod streams;
mod uncaught;

// For the delivery lab's measurements: unsafe code is in this crate alone.
#[doc(hidden)]
pub use clients::flush;
pub use config::{ProcessingGuarantee, StreamsConfig};
pub use oncestream_engine::{
    ClientError, ClientState, ConnectionFault, ErrorKind, Resource, StreamsError, metrics,
};
pub use streams::{Streams, StreamsClientBuilder, shutdown_signal};
pub use uncaught::UncaughtErrorResponse;
