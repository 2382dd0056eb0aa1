//! The Kafka clients of a worker: everything the rest of the runtime knows of rdkafka.

mod admin;
pub(crate) mod assignment;
mod consumer;
mod context;
mod disposition;
mod native;
mod offsets;
mod pattern;
mod producer;
mod refused;

pub(crate) use admin::{Admin, GroupMember};
pub(crate) use consumer::{Committed, GroupConsumer, Rebalance, is_transient, raw_record};
pub(crate) use context::LogContext;
pub(crate) use disposition::{Step, disposition};
pub(crate) use native::{Fetched, PartitionQueue};
pub(crate) use offsets::{end_offset, is_out_of_range, is_unsettled, restore_consumer};
pub(crate) use pattern::to_posix;
pub(crate) use producer::{DeliveryFailure, WorkerProducer};

use rdkafka::ClientConfig;

use crate::config::ClientSettings;

/// librdkafka's configuration from ours.
fn client_config(settings: &ClientSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in settings.iter() {
        config.set(key, value);
    }
    config
}
