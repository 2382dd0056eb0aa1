//! What tests of Oncestream topologies need beside the topology: a driver that runs it without
//! Kafka ([`driver`]), a checker that runs it under every fault ([`ExactlyOnceCheck`]), and a real
//! Apache Kafka.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[cfg(all(unix, feature = "runtime"))]
pub mod check;
pub mod driver;
#[cfg(all(unix, feature = "runtime"))]
pub mod kafka;

#[cfg(all(unix, feature = "runtime"))]
pub use check::ExactlyOnceCheck;
pub use driver::TopologyTestDriver;
#[cfg(all(unix, feature = "runtime"))]
pub use kafka::KafkaCluster;
/// Whether the driver commits exactly once or at least once.
pub use oncestream_core::commit::Guarantee;
