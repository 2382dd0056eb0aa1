//! One partition's log: what is appended, what may be read, what producers and transactions left in
//! it, and what retention and compaction take out of it again.
//!
//! It knows batches of format 2 and Kafka's rules for them. It does not know topics, requests,
//! connections, threads or clocks: the wall clock comes in as `now_ms`.
//!
//! Invariants:
//! - Offsets strictly increase over the batches, and a record never changes its offset.
//! - Start <= last stable offset <= high watermark = log end: there is one replica.
//! - The log end never moves back. Cleaning keeps the batch that ends at the offset up to which it
//!   cleaned, if only as an empty one.
//! - What is stored was checked: its checksum is right and its length is that of its header.
//!
//! Where this differs from Apache Kafka 4.3.1: a compressed batch for a topic that is not compacted
//! is judged by its header alone, unless its timestamps need a closer look; record offsets that do
//! not count up from zero are refused, not rewritten; retention works per batch, not per segment,
//! and stops at the last stable offset; a segment is only an offset, up to which the log is compacted
//! by itself, and markers do not count towards its size.

mod aborted;
mod append;
mod batch;
mod clean;
mod compression;
mod ends;
mod epochs;
mod exchange;
mod partition;
mod producers;
mod read;
mod records;
mod segments;
mod settings;
mod validate;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use append::Appended;
pub use exchange::{BatchProducer, NewRecord, ReadBatches, read_batches, write_batch};
pub(crate) use partition::PartitionLog;
pub(crate) use settings::{Isolation, LogSettings};
pub(crate) use validate::AppendError;
pub use view::{ControlKind, LogRecord, ProducerView};
