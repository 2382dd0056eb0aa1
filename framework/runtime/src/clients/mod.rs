//! The Kafka clients of a worker: everything the rest of the runtime knows of rdkafka.

mod admin;
mod advice;
pub(crate) mod assignment;
mod consumer;
mod context;
mod deliveries;
mod group_offsets;
mod native;
mod offsets;
mod pattern;
mod producer;
mod refused;
mod unknown;
mod verdict;

pub(crate) use admin::{Admin, Deletion, TopicId};
pub(crate) use advice::advice;
pub(crate) use consumer::{Committed, GroupConsumer, Rebalance, raw_record};
pub(crate) use context::LogContext;
pub(crate) use deliveries::DeliveryFailure;
pub(crate) use group_offsets::{GroupOffsets, is_refused_for_members};
pub use native::flush;
pub(crate) use native::{Fetched, Group, GroupMember, PartitionQueue};
pub(crate) use offsets::{end_offset, restore_consumer};
pub(crate) use pattern::to_posix;
pub(crate) use producer::WorkerProducer;
pub(crate) use verdict::{
    Step, Verdict, code_of, is_consequence, is_out_of_range, is_outage, is_transient,
    is_unknown_topic, is_unsettled, judge,
};

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
