//! What tests of Oncestream topologies need beside the topology: a driver that runs it without
//! Kafka ([`driver`]), and a real Apache Kafka.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod driver;
#[cfg(unix)]
pub mod kafka;

pub use driver::TopologyTestDriver;
#[cfg(unix)]
pub use kafka::KafkaCluster;
