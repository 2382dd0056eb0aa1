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
//!         .count("counts")
//!         .to_stream()
//!         .to("counts");
//!
//!     let config = StreamsConfig::builder("word-count", "localhost:9092")
//!         .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
//!         .build()?;
//!     Streams::builder(builder.build()?, config).run_until(shutdown_signal()).await?;
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
//! # Whether it suits you
//!
//! What is guaranteed:
//!
//! - With [`ProcessingGuarantee::ExactlyOnce`], outputs, changelogs and offsets commit in one transaction,
//!   and stores follow what is committed. CI fails each request of four topologies in turn, and compares
//!   the result with that of an undisturbed run.
//! - With [`ProcessingGuarantee::AtLeastOnce`], the default as in Kafka Streams, no record is lost; after a
//!   crash some are processed again.
//! - Operators give what Kafka Streams 4.3.1 gives for the same records: tests compare them.
//! - Records that cannot be read, processed or produced go to a [handler](handlers), which may drop them, or
//!   write them to a dead-letter topic in the same transaction. Nothing is dropped without one, but for
//!   what Kafka Streams drops too, such as null keys of tables; a [metric](metrics) counts those.
//! - What goes wrong is a [`StreamsError`] that names the topic, partition, store or key, and says what to
//!   do.
//!
//! What is not there: global tables, versioned tables, interactive queries, standby replicas, and a
//! transaction that spans Kafka and another system.
//!
//! How it compares (exactly once, commits each 100 ms, medians of three runs on two cores that Apache Kafka
//! shares; `docs/speed.md` has the conditions and the command):
//!
//! | records per CPU-second | this crate | Kafka Streams 4.3.1 | a loop written by hand on librdkafka |
//! |---|---|---|---|
//! | map | 917 k | 213 k | 896 k |
//! | count per key, 1 M keys | 519 k, on disk | 87 k, on disk | 683 k, in memory |
//!
//! A loop written by hand is about as quick for what has no state. What it does not have is restores,
//! rebalances that keep to transactions, and the way back from each error. Kafka Streams has the operators
//! that are missing here, and needs a JVM.
//!
//! # Where to go from here
//!
//! | to | read |
//! |---|---|
//! | describe a topology | [`StreamsBuilder`], then [`KStream`], [`KTable`], [`GlobalKTable`], [`KGroupedStream`], [`KGroupedTable`] |
//! | name topics, serdes and stores | [`Consumed`], [`Produced`], [`Grouped`], [`Materialized`] |
//! | read and write keys and values of your own types | [`serde`] |
//! | aggregate by time | [`KGroupedStream::windowed_by`], [`TimeWindows`], [`SlidingWindows`], [`SessionWindows`], [`EmitStrategy`], [`Windowed`] |
//! | join streams | [`KStream::join`], [`KStream::left_join`], [`KStream::outer_join`], [`KStream::self_join`], [`JoinWindows`], [`StreamJoined`] |
//! | join tables | [`KTable::join`], [`KTable::foreign_key_join`], [`KStream::join_table`] for a stream with a table, [`Joined`], [`TableJoined`] |
//! | write an operator by hand, with stores and schedules | [`processor`], [`state`] |
//! | configure | [`config`], and [`StreamsConfig::keys`] for all keys with their defaults |
//! | run it, stop it, watch it | [`Streams::builder`], [`Streams`], [`ClientState`], [`metrics`] |
//! | decide about records that fail | [`handlers`], and [`StreamsClientBuilder::uncaught_error_handler`] |
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

// Each name is listed: what a crate below makes public is not a promise of this one. The list of all that
// is public is docs/public-api.txt.

#[cfg(doctest)]
mod pages;

#[doc(inline)]
pub use oncestream_core::error::{
    BoxError, NameFault, Part, TaskError, TopologyError, Unproducible,
};
#[doc(inline)]
pub use oncestream_core::graph::Topology;
#[doc(inline)]
pub use oncestream_core::task::Activity;
#[doc(inline)]
pub use oncestream_core::{
    Header, Headers, Record, RecordMetadata, SubTopologyId, TaskId, TimestampMs, TopicPartition,
};
#[doc(inline)]
pub use oncestream_engine::{
    ClientError, ClientState, ConnectionFault, ErrorKind, Resource, StreamsError,
};
#[doc(inline)]
pub use oncestream_operators::{
    Branched, BranchedKStream, BufferConfig, Change, ChangeSerde, CogroupedKStream, Consumed, Data,
    Deduplicated, EagerBuffer, EmitStrategy, GlobalKTable, Grouped, JoinWindows, Joined,
    KGroupedStream, KGroupedTable, KStream, KTable, Materialized, Named, Optimization, Printed,
    Produced, Repartitioned, SessionWindowedCogroupedKStream, SessionWindowedKStream,
    SessionWindows, SlidingWindows, StoreKey, StreamJoined, StreamsBuilder, StrictBuffer,
    Suppressed, TableJoined, TimeWindowedCogroupedKStream, TimeWindowedKStream, TimeWindows,
    Topics, UnlimitedWindows, Windowed, Windows,
};
#[cfg(feature = "runtime")]
#[doc(inline)]
pub use oncestream_runtime::{
    ProcessingGuarantee, Streams, StreamsClientBuilder, StreamsConfig, UncaughtErrorResponse,
    shutdown_signal,
};

/// How keys and values become bytes: the [`Serde`](serde::Serde) trait, [`HasSerde`](serde::HasSerde) to
/// find a serde by type, and the serdes that are there.
///
/// The bytes of the built-in serdes are those of Kafka's own serializers. Null is a type: only
/// the serde of an `Option` accepts a null; every other refuses it with
/// [`SerdeError::Null`](serde::SerdeError::Null).
pub mod serde {
    #[doc(inline)]
    pub use oncestream_core::serde::{
        ArcBytesSerde, ArcSerde, ArcStrSerde, BoolSerde, BoxStrSerde, ByteArraySerde, BytesSerde,
        DeserializeContext, DynSerde, F32Serde, F64Serde, FnSerde, FnSerdeIn, HasSerde, I8Serde,
        I16Serde, I32Serde, I64Serde, I128Serde, IsizeSerde, Json, JsonSerde, OptionSerde,
        PairSerde, Part, Serde, SerdeError, SerdeIdentity, SerializeContext, StringSerde,
        TripleSerde, U8Serde, U16Serde, U32Serde, U64Serde, U128Serde, UnitSerde, UsizeSerde,
        UuidSerde, fn_serde, fn_serde_in, nullable,
    };
    #[cfg(feature = "bincode")]
    #[doc(inline)]
    pub use oncestream_core::serde::{Bincode, BincodeSerde};
    #[doc(inline)]
    pub use oncestream_operators::{SessionWindowedSerde, TimeWindowedSerde};
}

/// Operators of your own, with stores and schedules: the Processor API.
///
/// A [`Processor`](processor::Processor) is made anew for each task, and never shared between tasks. What
/// it writes, forwards and stores belongs to the task's transaction. It is not asked to undo anything:
/// after an abort it is dropped and made anew, so its own fields must hold nothing that a store should.
pub mod processor {
    #[doc(inline)]
    pub use oncestream_core::task::{PunctuationType, ScheduleId};
    #[doc(inline)]
    pub use oncestream_operators::processor::{
        Entries, FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord, GlobalStoreHandle,
        ProcessingContext, Processor, ProcessorContext, ProcessorError, StoreHandle, StoreRef,
        Stores, TableProcessor, TableProcessorContext,
    };
}

/// What stores hold, and the kinds of stores.
///
/// A store belongs to a task. Operators make theirs by [`Materialized`]; a processor's are read and
/// written through a [`StoreHandle`](processor::StoreHandle). A null deletes: see
/// [`Serde::is_null`](serde::Serde::is_null).
pub mod state {
    #[doc(inline)]
    pub use oncestream_core::state::{
        BackendError, KeyValue, MAX_KEY_BYTES, Session, SessionKey, ValueAndTimestamp, Version,
        VersionPut, Versioned, Window, WindowKey,
    };
}

/// Exception handlers: what to do with a record that cannot be read, processed or produced.
///
/// A dead letter goes the way of every other output: under exactly once it is committed or aborted with
/// the record that it stands for. Handlers are shared between workers and asked only after something
/// has failed.
pub mod handlers {
    #[doc(inline)]
    pub use oncestream_core::handlers::{
        DeadLetter, DeserializationExceptionHandler, DropReason, ErrorHandlerContext,
        HEADER_EXCEPTION, HEADER_MESSAGE, HEADER_OFFSET, HEADER_PARTITION, HEADER_STACKTRACE,
        HEADER_TOPIC, HandlerResponse, HandlerResult, LogAndContinue, LogAndFail,
        ProcessingExceptionHandler, ProductionExceptionHandler,
    };
    #[doc(inline)]
    pub use oncestream_core::task::Outgoing;
}

/// The configuration: Kafka's own dotted keys from a builder, a properties or TOML text, or the
/// environment, checked as a whole before anything starts.
#[cfg(feature = "runtime")]
pub mod config {
    #[doc(inline)]
    pub use oncestream_runtime::config::{
        AutoOffsetReset, ConfigError, ExceptionHandler, Key, ProcessingGuarantee, StateBackendKind,
        StreamsConfig, StreamsConfigBuilder,
    };
}

#[doc(inline)]
pub use oncestream_engine::metrics;

/// Lets an application begin again: its inputs are read from where one says, its internal topics and its
/// local state are deleted. `oncestream reset` is this on a command line.
///
/// All instances have to be stopped. State on other hosts may stay: a store whose changelog was
/// deleted is rebuilt, because its checkpoint names the topic by its id. Only stores without a
/// changelog have to be deleted on each host. Output topics are not touched.
///
/// It needs the rights Read on the group and on the input topics, and Delete on the internal topics.
#[cfg(feature = "runtime")]
pub mod reset {
    #[doc(inline)]
    pub use oncestream_runtime::reset::{
        ActiveMember, ApplicationReset, Notice, OffsetChange, ResetError, ResetPlan, To, WrongTopic,
    };
}

/// What the first and the second topology need, and a program around them.
pub mod prelude {
    pub use crate::processor::{
        FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord, Processor, ProcessorContext,
        PunctuationType, ScheduleId, StoreHandle, StoreRef,
    };
    pub use crate::serde::{HasSerde, Json, JsonSerde, Serde};
    pub use crate::{
        BoxError, BufferConfig, ClientState, CogroupedKStream, Consumed, EmitStrategy,
        GlobalKTable, Grouped, Headers, JoinWindows, Joined, KGroupedStream, KGroupedTable,
        KStream, KTable, Materialized, Named, Produced, Record, Repartitioned,
        SessionWindowedKStream, SessionWindows, SlidingWindows, StreamJoined, StreamsBuilder,
        StreamsError, Suppressed, TableJoined, TimeWindowedKStream, TimeWindows, TimestampMs,
        Topics, Topology, TopologyError, UnlimitedWindows, Windowed,
    };
    #[cfg(feature = "runtime")]
    pub use crate::{
        ProcessingGuarantee, Streams, StreamsClientBuilder, StreamsConfig, UncaughtErrorResponse,
        shutdown_signal,
    };
}
