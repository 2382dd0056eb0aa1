//! What tests of Oncestream topologies need beside the topology: a driver that runs it without
//! Kafka ([`driver`]), a checker that runs it under every fault ([`ExactlyOnceCheck`]), and a real
//! Apache Kafka.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[cfg(unix)]
pub mod check;
pub mod driver;
#[cfg(unix)]
pub mod kafka;

#[cfg(unix)]
pub use check::ExactlyOnceCheck;
pub use driver::TopologyTestDriver;
#[cfg(unix)]
pub use kafka::KafkaCluster;
