//! Support of the end-to-end tests: a Kafka, instances to kill, a feeder, and what is checked.
//!
//! It panics where a test would: nothing here can go on without what it asked for.
#![allow(missing_debug_implementations)] // Nobody prints these.
#![allow(clippy::unwrap_used, clippy::expect_used)] // This is test code, shared by test binaries.

pub mod app;
pub mod application;
pub mod broker;
pub mod check;
pub mod feed;
pub mod instance;
pub mod java;
pub mod kafka;
pub mod log;
pub mod metrics;
pub mod program;
pub mod raw;
pub mod stores;
pub mod target;
