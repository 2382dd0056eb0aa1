//! The port on the cluster: the admin client of the instance, which all its workers share. What would hold
//! a worker up runs on another thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use oncestream_core::TopicPartition;
use oncestream_core::graph::InternalTopics;
use oncestream_core::state::Incarnation;
use oncestream_engine::ports::{Cluster, Group, Topics};
use oncestream_engine::{ClientError, StreamsError};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;

use super::Admin;
use super::context::{self, LogContext};
use super::verdict::{client_error, code_of, is_transient};
use crate::config::StreamsConfig;

/// How long reading one topic is tried.
const TRIAL: Duration = Duration::from_secs(5);

/// The cluster of an instance.
pub(crate) struct KafkaCluster {
    /// Shared with purges under way, which outlive a shutdown and its lock on the state.
    admin: Arc<Admin>,
    /// Runs what is asynchronous.
    runtime: Handle,
    config: StreamsConfig,
}

impl KafkaCluster {
    pub(crate) fn new(config: StreamsConfig, admin: Arc<Admin>, runtime: Handle) -> Self {
        Self { admin, runtime, config }
    }
}

impl Cluster for KafkaCluster {
    fn topics(&self) -> Result<Topics, StreamsError> {
        self.admin.topics()
    }

    fn watermarks(&self, partition: &TopicPartition) -> Result<(i64, i64), ClientError> {
        self.admin.watermarks(partition).map_err(client_error)
    }

    fn bounds(&self, partitions: &[TopicPartition]) -> Vec<Option<(i64, i64)>> {
        self.admin.bounds(partitions)
    }

    fn delete_retention_ms(&self, topic: &str) -> i64 {
        self.admin.delete_retention_ms(topic)
    }

    fn incarnations(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Incarnation>, (Arc<str>, ClientError)> {
        self.admin.incarnations(topics).map_err(|(topic, error)| (topic, client_error(error)))
    }

    /// Not asked on the runtime of the application, whose end would wait for the answer.
    fn ask_for_group(&self, group: &str) -> Receiver<Group> {
        let (tell, answer) = channel();
        let (admin, group) = (self.admin.clone(), group.to_owned());
        let asking = std::thread::Builder::new().name("oncestream-group".to_owned());
        let asked = asking.spawn(move || match admin.group(&group) {
            // Nobody listens to a worker that has ended.
            Ok(described) => drop(tell.send(described)),
            Err(error) => tracing::debug!(group, %error, "the group is not described"),
        });
        if let Err(error) = asked {
            tracing::debug!(%error, "no thread to look at the group");
        }
        answer
    }

    fn ensure(&self, topics: &InternalTopics) -> Result<(), StreamsError> {
        self.runtime.block_on(self.admin.ensure(topics, self.config.replication_factor()))
    }

    fn check_visible(&self, topic: &str, operation: &'static str) -> Result<(), StreamsError> {
        self.admin.check_visible(topic, operation)
    }

    fn purge(&self, before: Vec<(TopicPartition, i64)>) {
        let admin = self.admin.clone();
        self.runtime.spawn(async move { admin.purge(before).await });
    }

    fn unreadable(&self, worker: usize, topics: Vec<String>) -> Option<String> {
        let settings = self.config.restore_consumer_settings(worker);
        let consumer: BaseConsumer<LogContext> = context::create(&settings, LogContext).ok()?;
        topics.into_iter().find(|topic| is_denied(&consumer, topic))
    }
}

/// Whether reading a topic is refused for want of a right.
fn is_denied(consumer: &BaseConsumer<LogContext>, topic: &str) -> bool {
    let mut list = TopicPartitionList::new();
    if list.add_partition_offset(topic, 0, Offset::End).is_err() || consumer.assign(&list).is_err()
    {
        return false;
    }
    let deadline = Instant::now() + TRIAL;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Err(e)) if code_of(&e) == Some(Code::TopicAuthorizationFailed) => return true,
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return false,
            Some(Err(e)) if !is_transient(&e) => return false,
            Some(Err(_)) | None => {}
        }
    }
    false
}
