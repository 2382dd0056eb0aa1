//! What guarantees of delivery cost, measured on any Kafka.
//!
//! The same records are sent by a plain producer with `acks=1` and with `acks=all`, by an
//! idempotent one and by transactional ones, with small and with large batches, in turn
//! ([`Plan`]). Of each there are two figures at full speed, records a second and CPU time, and
//! one at a pace that no producer is kept busy by: how long a record takes to be acknowledged and,
//! in a transaction, committed.
//!
//! Nothing counts unseen: after each run the topic is read, and a record that is missing or there
//! twice is an error and no figure.
//!
//! Knows nothing of chapters. Invariant: no topic of a measurement outlives it, however it ends,
//! unless the process is killed or the brokers are gone; then the error names the topic.

mod cluster;
mod error;
mod figures;
mod payload;
mod plan;
mod plot;
mod reader;
mod run;
mod sender;
mod table;
mod variant;

pub use error::CostError;
pub use figures::{Conditions, Costs, Figures, Latency, Measurement, Spread};
pub use plan::{Plan, Progress};
pub use variant::{Batches, Delivery, Variant};
