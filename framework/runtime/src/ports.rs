//! The engine's ports on Kafka, one set for all workers of an instance.
//!
//! It makes clients from the configuration. `clients` knows what they do.

use std::sync::Arc;

use oncestream_engine::StreamsError;
use oncestream_engine::ports::{Ports, Stores, Subscription};

use crate::clients::{
    Generation, KafkaChangelogs, KafkaCluster, KafkaConsumer, KafkaProducer, client_failed,
    to_posix,
};
use crate::clock::SystemClock;
use crate::config::StreamsConfig;
use crate::state_dir::StateDir;

/// Clients of a Kafka cluster, stores in a state directory, and the system's clock.
pub(crate) struct KafkaPorts {
    config: StreamsConfig,
    cluster: KafkaCluster,
    state_dir: StateDir,
}

impl KafkaPorts {
    pub(crate) fn new(config: StreamsConfig, cluster: KafkaCluster, state_dir: StateDir) -> Self {
        Self { config, cluster, state_dir }
    }
}

impl Ports for KafkaPorts {
    type Generation = Generation;
    type Consumer = KafkaConsumer;
    type Producer = KafkaProducer;
    type Changelogs = KafkaChangelogs;
    type Cluster = KafkaCluster;
    type Clock = SystemClock;

    fn consumer(
        &self,
        worker: usize,
        subscription: &Subscription,
    ) -> Result<KafkaConsumer, StreamsError> {
        let mut topics: Vec<String> = subscription.topics.iter().map(ToString::to_string).collect();
        for pattern in &subscription.patterns {
            topics.push(to_posix(pattern)?);
        }
        KafkaConsumer::subscribe(&self.config.consumer_settings(worker), &topics)
            .map_err(|e| client_failed(format!("subscribing to {topics:?}"), e))
    }

    fn producer(
        &self,
        worker: usize,
        transactional_id: Option<&str>,
    ) -> Result<KafkaProducer, StreamsError> {
        KafkaProducer::new(&self.config.producer_settings(transactional_id, worker))
            .map_err(|e| client_failed(format!("creating the producer of worker {worker}"), e))
    }

    fn changelogs(&self, worker: usize) -> Result<KafkaChangelogs, StreamsError> {
        KafkaChangelogs::new(&self.config.restore_consumer_settings(worker))
            .map_err(|e| client_failed("creating the restore consumer", e))
    }

    fn globals(&self) -> Result<KafkaChangelogs, StreamsError> {
        KafkaChangelogs::waiting(&self.config.global_consumer_settings())
            .map_err(|e| client_failed("creating the consumer of global tables", e))
    }

    fn cluster(&self) -> &KafkaCluster {
        &self.cluster
    }

    fn clock(&self) -> &SystemClock {
        &SystemClock
    }

    fn stores(&self) -> &Arc<Stores> {
        &self.state_dir.stores
    }
}

#[cfg(test)]
mod tests;
