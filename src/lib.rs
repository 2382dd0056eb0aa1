//! Stream processing on Kafka as a Rust library, with exactly once that holds.
//!
//! Describe a topology, embed it in a service, and run it in a consumer group. State lives in
//! local stores that follow changelog topics; with `processing.guarantee=exactly_once` every
//! cycle of polling, processing, producing and committing offsets is one Kafka transaction.
//! Words and results are those of Kafka Streams.
//!
//! # Word count
//!
//! ```no_run
//! use oncestream::prelude::*;
//!
//! #[tokio::main]
//! async fn main() -> anyhow::Result<()> {
//!     let builder = StreamsBuilder::new();
//!     builder
//!         .stream::<Option<String>, String>("lines")
//!         .flat_map_values(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
//!         .group_by(|_, word| word.clone())
//!         .count(Materialized::named("counts"))
//!         .to_stream()
//!         .to("counts");
//!
//!     let config = StreamsConfig::builder("word-count", "localhost:9092")
//!         .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
//!         .build()?;
//!     Streams::new(builder.build()?, config)?.run_until(shutdown_signal()).await?;
//!     Ok(())
//! }
//! ```
//!
//! # What exactly once means here
//!
//! Each input record's effect on output topics, stores and committed offsets happens once, as
//! seen by a consumer with `isolation.level=read_committed`, whatever crashes. It does not reach
//! past Kafka: a side effect in a user's function (a call, a write to a database) happens each
//! time the function runs, and it runs again after a crash.
//!
//! # Where to go from here
//!
//! | to | read |
//! |---|---|
//! | describe a topology | [`StreamsBuilder`], then [`KStream`], [`KTable`], [`KGroupedStream`], [`KGroupedTable`] |
//! | name topics, serdes and stores | [`Consumed`], [`Produced`], [`Grouped`], [`Materialized`] |
//! | read and write keys and values of your own types | [`serde`] |
//! | write an operator by hand, with stores and schedules | [`processor`], [`state`] |
//! | configure | [`config`], and [`StreamsConfig::keys`] for all keys with their defaults |
//! | run it, stop it, watch it | [`Streams`], [`ClientState`], [`metrics`] |
//! | decide about records that fail | [`handlers`], and [`Streams::set_uncaught_error_handler`] |
//! | know what may go wrong at the start or while it runs | [`StreamsError`], [`ClientError`] |
//! | begin again | [`reset`] |
//! | test it | the crate `oncestream-testkit`: a driver without Kafka, and a check with a fault at every request |
//! | have a broker in a test | the crate `oncestream-broker` |
//!
//! `use oncestream::prelude::*` brings what nearly every topology needs.
//!
//! # Without librdkafka
//!
//! Without the feature `runtime` a topology is described, and tested with the driver of
//! `oncestream-testkit`, which runs the same worker on an embedded broker: librdkafka is not built, and
//! no C++ compiler is needed.
//!
//! ```toml
//! [dependencies]
//! oncestream = { version = "0.1", default-features = false }
//!
//! [dev-dependencies]
//! oncestream-testkit = { version = "0.1", default-features = false }
//! ```
//!
//! # What it takes to build
//!
//! Rust 1.95, a C and a C++ compiler, and make: librdkafka is built from its source. The cargo
//! features `runtime`, `fjall`, `gzip` and `zstd` are on; `sled`, `bincode`, `ssl`, `ssl-vendored`, `gssapi`,
//! `cmake-build` and `dynamic-linking` are there. A program needs `anyhow`, or another type that
//! takes errors, and `tokio` beside this crate:
//!
//! ```toml
//! [dependencies]
//! oncestream = "0.1"  # before it is published: { path = "..." }
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! ```

#[cfg(doctest)]
mod pages;

pub use oncestream_core::error::{
    BoxError, NameFault, Part, TaskError, TopologyError, Unproducible,
};
pub use oncestream_core::graph::Topology;
pub use oncestream_core::handlers;
pub use oncestream_core::serde;
pub use oncestream_core::state;
pub use oncestream_core::task::{Activity, Outgoing, PunctuationType, ScheduleId};
pub use oncestream_core::{Header, Headers, Record, RecordMetadata, TaskId, TimestampMs};
pub use oncestream_engine::{
    ClientError, ClientState, ConnectionFault, ErrorKind, Resource, StreamsError, metrics,
};
pub use oncestream_operators::*;
#[cfg(feature = "runtime")]
pub use oncestream_runtime::{
    ProcessingGuarantee, Streams, StreamsConfig, UncaughtErrorResponse, config, reset,
    shutdown_signal,
};

/// What nearly every topology needs.
pub mod prelude {
    pub use crate::serde::{HasSerde, JsonSerde, Serde};
    pub use crate::{
        ClientState, Consumed, Grouped, KGroupedStream, KStream, KTable, Materialized, Named,
        Produced, Record, Repartitioned, StreamsBuilder,
    };
    #[cfg(feature = "runtime")]
    pub use crate::{ProcessingGuarantee, Streams, StreamsConfig, shutdown_signal};
}
