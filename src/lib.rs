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

pub use oncestream_core::error::{
    BoxError, NameFault, Part, TaskError, TopologyError, Unproducible,
};
pub use oncestream_core::graph::Topology;
pub use oncestream_core::handlers;
pub use oncestream_core::serde;
pub use oncestream_core::state;
pub use oncestream_core::task::{Activity, Outgoing, PunctuationType, ScheduleId};
pub use oncestream_core::{Header, Headers, Record, RecordMetadata, TaskId, TimestampMs};
pub use oncestream_operators::*;
pub use oncestream_runtime::{
    ClientState, ConnectionFault, ProcessingGuarantee, Resource, Streams, StreamsConfig,
    StreamsError, UncaughtErrorResponse, config, metrics, reset, shutdown_signal,
};

/// What nearly every topology needs.
pub mod prelude {
    pub use crate::serde::{HasSerde, JsonSerde, Serde};
    pub use crate::{
        ClientState, Consumed, Grouped, KGroupedStream, KStream, KTable, Materialized, Named,
        ProcessingGuarantee, Produced, Record, Repartitioned, Streams, StreamsBuilder,
        StreamsConfig, shutdown_signal,
    };
}
