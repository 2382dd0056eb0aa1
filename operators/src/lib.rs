//! The typed DSL of Oncestream, one operator per file.
//!
//! A [`StreamsBuilder`] gives streams and tables; their methods add operators; `build` gives a
//! [`Topology`](oncestream_core::graph::Topology). Names, null handling and results are those of
//! Kafka Streams. Nothing here knows Kafka's clients, threads or files.
//!
//! ```
//! use oncestream_operators::{Materialized, StreamsBuilder};
//! let builder = StreamsBuilder::new();
//! builder
//!     .stream::<Option<String>, String>("lines")
//!     .flat_map_values(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
//!     .group_by(|_, word| word.clone())
//!     .count(Materialized::named("counts"))
//!     .to_stream()
//!     .to("counts");
//! assert_eq!(builder.build().unwrap().sub_topologies().len(), 2);
//! ```

mod builder;
mod dsl;
mod grouped;
mod grouped_table;
mod options;
pub mod processor;
mod sources;
mod stream;
mod table;

pub use builder::StreamsBuilder;
pub use grouped::KGroupedStream;
pub use grouped_table::KGroupedTable;
pub use options::{
    Consumed, Grouped, KeyValueStoreBuilder, Materialized, Named, Produced, Repartitioned,
};
pub use stream::{BranchedKStream, KStream};
pub use table::{Change, ChangeSerde, KTable};
