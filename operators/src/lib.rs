//! The typed DSL of Oncestream, one operator per file.
//!
//! A [`StreamsBuilder`] gives streams and tables; their methods add operators; `build` gives a
//! [`Topology`](oncestream_core::graph::Topology), which the runtime or a test driver runs:
//!
//! ```
//! use oncestream_operators::StreamsBuilder;
//! let builder = StreamsBuilder::new();
//! builder
//!     .stream::<Option<String>, String>("lines")
//!     .flat_map_values(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
//!     .group_by(|_, word| word.clone())
//!     .count("counts")
//!     .to_stream()
//!     .to("counts");
//! assert!(builder.build().unwrap().describe().contains("Sub-topology: 1"));
//! ```
//!
//! Names, null handling and results are those of Kafka Streams. Nothing here knows Kafka's clients,
//! threads or files.
//!
//! # Where to look
//!
//! - [`StreamsBuilder`] begins: `stream`, `table`, `global_table`, `add_state_store`, `build`.
//! - [`KStream`], records that each stand for themselves; [`KTable`], the last value of each key;
//!   [`GlobalKTable`], the last value of each key of a whole topic, on every instance; [`KGroupedStream`]
//!   and [`KGroupedTable`], what is aggregated.
//! - [`JoinWindows`], for [`KStream::join`], [`KStream::left_join`], [`KStream::outer_join`] and
//!   [`KStream::self_join`].
//! - [`TimeWindows`], [`SlidingWindows`], [`SessionWindows`], [`UnlimitedWindows`], for
//!   [`KGroupedStream::windowed_by`]; [`Windowed`], the key of what comes out.
//! - [`processor`], operators of your own, with stores and schedules.
//!
//! # Options
//!
//! What an operator may be told beside its functions is one argument: [`Consumed`], [`Produced`],
//! [`Materialized`], [`Repartitioned`], [`Branched`], [`StreamJoined`],
//! [`Deduplicated`]. It is `impl Into<..>`, so that the name of a topic or a store alone will do:
//! `count("counts")`, or
//! `count(Materialized::named("counts").caching_disabled())`.
//!
//! What may be left out altogether is a call on what the operator returns:
//! [`KTable::materialized`] gives a table a store, [`KGroupedStream::grouped`] a grouping a name.
//! A name for an operator comes before it: `stream.named("positive").filter(..)`.
//!
//! A store or a repartition topic without a name of yours gets the one that Kafka Streams would give
//! it; [`StreamsBuilder::explicit_names`] refuses those.
//!
//! # Functions
//!
//! Functions that look at a record are lent it, `&K, &V`: predicates, selectors, `peek`. Functions that
//! make something of it are given what they use up: a mapper of values the value, `map`, `flat_map`,
//! `filter_map` and `for_each` the key too. A key that stays is lent: `&K, V`.
//!
//! Functions may run on several threads at once, so they are `Fn + Send + Sync + 'static`. Keys and
//! values are [`Data`]: `Clone + Send + 'static`. Those whose names begin with `try_` may fail, and
//! leave the error to `processing.exception.handler`.
//!
//! # Nulls
//!
//! A null is an `Option`'s `None`. In a topic it is a tombstone, and in a table a deletion: a table of
//! `V` reads a stream of `Option<V>` and gives one ([`KTable::to_stream`]). A reducer, an aggregator
//! or [`KTable::filter_map_values`] that gives `None` deletes the key, so their tables stay tables of
//! `V` and not of `Option<V>`. A stream of `Option<V>` becomes one of `V` by
//! `filter_map_values(|value| value)`.

mod builder;
mod cogrouped;
mod dsl;
mod global_table;
mod grouped;
mod grouped_table;
mod optimization;
mod options;
pub mod processor;
mod refused;
mod sources;
mod stream;
mod stream_join;
mod table;
mod windowed;
mod windows;

pub use builder::StreamsBuilder;
pub use cogrouped::{
    CogroupedKStream, SessionWindowedCogroupedKStream, TimeWindowedCogroupedKStream,
};
pub use dsl::{Data, StoreKey};
pub use global_table::GlobalKTable;
pub use grouped::KGroupedStream;
pub use grouped_table::KGroupedTable;
pub use options::{
    Branched, BufferConfig, Consumed, Deduplicated, EagerBuffer, Grouped, Joined, Materialized,
    Named, Optimization, Printed, Produced, Repartitioned, StreamJoined, StrictBuffer, Suppressed,
    TableJoined, Topics,
};
pub use stream::{BranchedKStream, KStream};
pub use table::{Change, ChangeSerde, KTable};
pub use windowed::{SessionWindowedKStream, TimeWindowedKStream, Windows};
pub use windows::{
    EmitStrategy, JoinWindows, SessionWindowedSerde, SessionWindows, SlidingWindows,
    TimeWindowedSerde, TimeWindows, UnlimitedWindows, Windowed,
};
