//! The engine, end to end. Most of these tests wait most of the time, so they are one program, whose
//! tests run side by side.
//!
//! Run with `cargo test -p oncestream-tests --test engine`, on the embedded broker, and with
//! `ONCESTREAM_TEST_BROKER=apache` on Apache Kafka, which needs Java, and Maven once. The name of a
//! module or a test picks some, as in `--test engine positions::`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod assignments;
mod bad_input;
mod codecs;
mod extremes;
mod generations;
mod global_tables;
mod handlers;
mod inputs;
mod internal_topics;
mod joins;
mod lagging;
mod lifecycle;
mod neighbours;
mod poison;
mod positions;
mod refusals;
mod reset;
mod restores;
mod slow_records;
mod sources;
mod staying_right;
mod staying_up;
mod table_topics;
