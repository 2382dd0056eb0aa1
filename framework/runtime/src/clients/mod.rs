//! The engine's ports on librdkafka: everything the rest of the runtime knows of rdkafka.

mod admin;
mod advice;
mod assignment;
mod changelogs;
mod cluster;
mod consumer;
mod context;
mod deliveries;
mod group_offsets;
mod hand_over;
mod lists;
mod native;
mod offsets;
mod patience;
mod pattern;
mod producer;
mod queues;
mod refused;
mod unknown;
mod verdict;

pub(crate) use admin::{Admin, Deletion, TopicId};
pub(crate) use changelogs::KafkaChangelogs;
pub(crate) use cluster::KafkaCluster;
pub(crate) use consumer::{Generation, KafkaConsumer};
pub(crate) use group_offsets::{GroupOffsets, is_refused_for_members};
pub use native::flush;
pub(crate) use pattern::to_posix;
pub(crate) use producer::KafkaProducer;
pub(crate) use verdict::client_failed;

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
