//! Topics: what is there, what must be made, and what may be purged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oncestream_core::TopicPartition;
use oncestream_core::graph::InternalTopics;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::client_config;
use crate::config::ClientSettings;
use crate::error::StreamsError;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a new topic may take to show on the broker.
const TOPIC_DEADLINE: Duration = Duration::from_secs(60);

/// The admin client of an instance, and a plain consumer for metadata and end offsets.
pub(crate) struct Admin {
    client: AdminClient<DefaultClientContext>,
    /// Reads uncommitted: its end offset is the high watermark.
    lookup: BaseConsumer,
    bootstrap_servers: String,
}

impl Admin {
    pub(crate) fn new(
        settings: &ClientSettings,
        bootstrap_servers: &str,
    ) -> Result<Self, StreamsError> {
        let failed = |e| StreamsError::client("creating the admin client", e);
        let config = client_config(settings);
        let mut lookup = config.clone();
        lookup.set("isolation.level", "read_uncommitted");
        Ok(Self {
            client: config.create().map_err(failed)?,
            lookup: lookup.create().map_err(failed)?,
            bootstrap_servers: bootstrap_servers.to_owned(),
        })
    }

    /// Every topic with its number of partitions. Also the first contact with a broker.
    pub(crate) fn topics(&self) -> Result<BTreeMap<Arc<str>, i32>, StreamsError> {
        let metadata = self.lookup.fetch_metadata(None, REQUEST_TIMEOUT).map_err(|source| {
            StreamsError::BrokerUnreachable {
                bootstrap_servers: self.bootstrap_servers.clone(),
                waited: REQUEST_TIMEOUT,
                source,
            }
        })?;
        Ok(metadata
            .topics()
            .iter()
            .filter(|t| t.error().is_none() && !t.partitions().is_empty())
            .map(|t| (t.name().into(), t.partitions().len() as i32))
            .collect())
    }

    /// Asks for the topics that records will be written to, as a producer does: a broker that
    /// creates topics by itself creates them now.
    pub(crate) fn check_sinks(&self, topics: &[Arc<str>]) -> Result<(), StreamsError> {
        for topic in topics {
            let client = self.client.inner();
            let metadata =
                client.fetch_metadata(Some(topic), REQUEST_TIMEOUT).map_err(|source| {
                    StreamsError::client(format!("looking up sink topic {topic}"), source)
                })?;
            let unknown = RDKafkaErrorCode::UnknownTopicOrPartition;
            let error = metadata.topics().first().and_then(rdkafka::metadata::MetadataTopic::error);
            if error.map(RDKafkaErrorCode::from) == Some(unknown) {
                return Err(StreamsError::MissingSinkTopic { topic: topic.to_string() });
            }
        }
        Ok(())
    }

    /// The first offset and the high watermark of a partition.
    pub(crate) fn watermarks(&self, partition: &TopicPartition) -> Result<(i64, i64), KafkaError> {
        self.lookup.fetch_watermarks(&partition.topic, partition.partition, REQUEST_TIMEOUT)
    }

    /// Creates the internal topics that are missing and checks those that are there.
    pub(crate) async fn ensure(
        &self,
        wanted: &InternalTopics,
        replication: i32,
    ) -> Result<(), StreamsError> {
        let there = self.topics()?;
        let mut missing = Vec::new();
        let compacted = wanted.changelogs.iter().map(|c| (&c.topic, c.partitions, changelog(c)));
        let purged = wanted.repartitions.iter().map(|r| (&r.topic, r.partitions, repartition()));
        for (topic, partitions, settings) in compacted.chain(purged) {
            match there.get(topic) {
                None => missing.push((topic.clone(), partitions, settings)),
                Some(actual) if *actual != partitions => {
                    return Err(StreamsError::PartitionCount {
                        topic: topic.to_string(),
                        expected: partitions,
                        actual: *actual,
                    });
                }
                Some(_) => {}
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        self.create(&missing, replication).await?;
        self.await_topics(&missing)
    }

    async fn create(
        &self,
        missing: &[(Arc<str>, i32, BTreeMap<String, String>)],
        replication: i32,
    ) -> Result<(), StreamsError> {
        let topics: Vec<NewTopic<'_>> = missing
            .iter()
            .map(|(topic, partitions, settings)| {
                let new = NewTopic::new(topic, *partitions, TopicReplication::Fixed(replication));
                settings.iter().fold(new, |new, (key, value)| new.set(key, value))
            })
            .collect();
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let results = self
            .client
            .create_topics(&topics, &options)
            .await
            .map_err(|e| StreamsError::client("creating the internal topics", e))?;
        for result in results {
            match result {
                // Another instance was first; it is checked like any other below.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    return Err(StreamsError::CreateTopic { topic, message: code.to_string() });
                }
            }
        }
        Ok(())
    }

    fn await_topics(
        &self,
        wanted: &[(Arc<str>, i32, BTreeMap<String, String>)],
    ) -> Result<(), StreamsError> {
        let deadline = Instant::now() + TOPIC_DEADLINE;
        loop {
            let there = self.topics()?;
            let Some((topic, expected, _)) =
                wanted.iter().find(|(topic, n, _)| there.get(topic) != Some(n))
            else {
                return Ok(());
            };
            if let Some(actual) = there.get(topic) {
                return Err(StreamsError::PartitionCount {
                    topic: topic.to_string(),
                    expected: *expected,
                    actual: *actual,
                });
            }
            if Instant::now() >= deadline {
                let action = format!("the creation of topic {topic}");
                return Err(StreamsError::TimedOut { action, waited: TOPIC_DEADLINE });
            }
        }
    }

    /// Deletes the records before the given offsets. A purge that fails is tried again later.
    pub(crate) async fn purge(&self, before: Vec<(TopicPartition, i64)>) {
        let mut list = TopicPartitionList::new();
        for (p, offset) in &before {
            if list.add_partition_offset(&p.topic, p.partition, Offset::Offset(*offset)).is_err() {
                return;
            }
        }
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        if let Err(error) = self.client.delete_records(&list, &options).await {
            tracing::warn!(%error, "cannot purge repartition topics; it will be tried again");
        }
    }
}

/// A changelog keeps the last record of each key.
fn changelog(topic: &oncestream_core::graph::ChangelogTopic) -> BTreeMap<String, String> {
    let mut settings = topic.settings.clone();
    settings.entry("cleanup.policy".to_owned()).or_insert_with(|| "compact".to_owned());
    settings
}

/// A repartition topic is never cut by time: what is read and committed is purged by its reader
/// (the settings of Kafka Streams' `RepartitionTopicConfig`).
fn repartition() -> BTreeMap<String, String> {
    [
        ("cleanup.policy", "delete"),
        ("retention.ms", "-1"),
        ("segment.bytes", "52428800"),
        ("message.timestamp.type", "CreateTime"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into()
}
