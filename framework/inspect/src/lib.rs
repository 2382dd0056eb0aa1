//! Looks at producers and transactions of any Kafka, and at Apache Kafka's producer snapshots.
//!
//! librdkafka has no call for these questions, so here is a small client of our own ([`Client`]).
//! Invariants: it only asks, and nothing it asks changes a cluster, not even by creating a topic;
//! each wait ends; no error and no `Debug` shows a password.
//!
//! - [`producers`]: who writes to a partition, and since where it has a transaction open.
//! - [`transactions`]: what the coordinators know, and transactions that hang.
//! - [`snapshot`]: the `.snapshot` file in a partition's directory. It needs no broker.
//!
//! ```no_run
//! use oncestream_inspect::{Client, ClientConfig, Scope, producers};
//!
//! # async fn example() -> Result<(), oncestream_inspect::InspectError> {
//! let config = ClientConfig::new("localhost:9092")?;
//! let mut client = Client::connect(config).await?;
//! let report = producers::describe(&mut client, &Scope::topic("lines")).await?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```

mod config;
mod error;
pub mod producers;
mod security;
pub mod snapshot;
mod table;
pub mod transactions;
mod wire;

pub use config::{ClientConfig, ConfigError};
pub use error::InspectError;
pub use producers::Scope;
pub use wire::Client;
