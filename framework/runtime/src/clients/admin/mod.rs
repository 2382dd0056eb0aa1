//! Topics: what is there, what must be made, and what may be purged.
//!
//! - `settings.rs` says what internal topics are made with, and what of a topic's settings is wrong.
//! - `create.rs` makes topics, `delete.rs` deletes them, `describe.rs` looks at the settings of those
//!   that are there, and `purge.rs` deletes records; `identify.rs` tells topics and members of one
//!   name apart.
//! - `controller.rs` says which broker is asked, and how often.
//!
//! It knows no tasks and no stores. Invariant: no internal topic is used whose settings were not
//! looked at, but where the broker does not tell them.

mod controller;
mod create;
mod delete;
mod describe;
mod identify;
mod purge;
mod settings;
mod table_topics;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oncestream_core::TopicPartition;
use oncestream_core::graph::InternalTopics;
use oncestream_engine::ports::Topics;
use oncestream_engine::{ConnectionFault, Resource, StreamsError};
use rdkafka::admin::AdminClient;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};

pub(crate) use delete::{Deletion, TopicId};

use super::context::{self, LogContext, LookupContext};
use super::patience::{RETRY_EVERY, patiently};
use super::verdict::{client_error, client_failed};
use crate::config::StreamsConfig;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How often it is asked why there is no answer.
const FIRST_CONTACT_STEP: Duration = Duration::from_millis(500);
/// How long the client is listened to then.
const LISTEN: Duration = Duration::from_millis(50);
/// How long refused credentials or handshakes may be those of a broker that is being restarted.
const FAULT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a new topic may take to show on the broker, and how long brokers may be away once there was one.
const TOPIC_DEADLINE: Duration = Duration::from_secs(60);

/// The admin client of an instance, and a plain consumer for metadata and end offsets.
pub(crate) struct Admin {
    client: AdminClient<LogContext>,
    /// Reads uncommitted: its end offset is the high watermark.
    lookup: BaseConsumer<LookupContext>,
    bootstrap_servers: String,
    /// The `topic.*` keys: settings of every new internal topic.
    topic_settings: BTreeMap<String, String>,
    /// How much longer than its store a changelog of windows keeps them.
    additional_retention: Duration,
    /// The internal topics whose settings were looked at, with their `delete.retention.ms`.
    looked_at: Mutex<BTreeMap<Arc<str>, i64>>,
}

impl Admin {
    pub(crate) fn new(config: &StreamsConfig) -> Result<Self, StreamsError> {
        let failed = |e| client_failed("creating the admin client", e);
        let settings = config.admin_settings();
        let lookup = settings.clone().with("isolation.level", "read_uncommitted");
        Ok(Self {
            client: context::create(&settings, LogContext).map_err(failed)?,
            lookup: context::create(&lookup, LookupContext::default()).map_err(failed)?,
            bootstrap_servers: config.bootstrap_servers().to_owned(),
            topic_settings: config.topic_settings(),
            additional_retention: config.windowstore_changelog_additional_retention(),
            looked_at: Mutex::default(),
        })
    }

    /// Every topic with its number of partitions. Also the first contact with a broker.
    pub(crate) fn topics(&self) -> Result<Topics, StreamsError> {
        let metadata = self.all_metadata()?;
        Ok(metadata
            .topics()
            .iter()
            .filter(|t| t.error().is_none() && !t.partitions().is_empty())
            .map(|t| (t.name().into(), t.partitions().len() as i32))
            .collect())
    }

    /// How many brokers there are now. To be asked after the topics.
    pub(crate) fn brokers(&self) -> Result<usize, StreamsError> {
        Ok(again_while_away(|| self.all_metadata())?.brokers().len())
    }

    /// Tries until a broker answers, and as long as there is no better reason for silence than
    /// that nobody is there.
    fn all_metadata(&self) -> Result<Metadata, StreamsError> {
        let started = Instant::now();
        loop {
            let source = match self.lookup.fetch_metadata(None, FIRST_CONTACT_STEP) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => error,
            };
            self.listen(LISTEN);
            let (heard, waited) = (self.lookup.context().heard(), started.elapsed());
            let bootstrap_servers = self.bootstrap_servers.clone();
            if let Some((fault, reason)) = heard.fault
                && waited >= patience(fault)
            {
                return Err(StreamsError::ConnectionRefused { bootstrap_servers, fault, reason });
            }
            if waited >= REQUEST_TIMEOUT {
                let reason = heard.reason.unwrap_or_else(|| "no connection yet".to_owned());
                let waited = REQUEST_TIMEOUT;
                let source = Box::new(client_error(source));
                return Err(StreamsError::BrokerUnreachable {
                    bootstrap_servers,
                    waited,
                    reason,
                    source,
                });
            }
        }
    }

    /// Takes in what the client has to say, for so long. One poll of no length takes one event.
    fn listen(&self, time: Duration) {
        while self.lookup.poll(time).is_some() {}
    }

    /// An error that names the right if it is why a topic is not seen: without a right on it, a
    /// topic is not even listed.
    pub(crate) fn check_visible(
        &self,
        topic: &str,
        operation: &'static str,
    ) -> Result<(), StreamsError> {
        let look_up = || self.lookup.fetch_metadata(Some(topic), REQUEST_TIMEOUT);
        let metadata = patiently(TOPIC_DEADLINE, look_up)
            .map_err(|e| client_failed(format!("looking up topic {topic}"), e))?;
        match topic_error(&metadata) {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(StreamsError::not_authorized(Resource::Topic, topic, operation))
            }
            _ => Ok(()),
        }
    }

    /// Asks for the topics that records will be written to, as a producer does: a broker that
    /// creates topics by itself creates them now.
    pub(crate) fn check_sinks(&self, topics: &[Arc<str>]) -> Result<(), StreamsError> {
        for topic in topics {
            let client = self.client.inner();
            let look_up = || client.fetch_metadata(Some(topic), REQUEST_TIMEOUT);
            let metadata = patiently(TOPIC_DEADLINE, look_up)
                .map_err(|e| client_failed(format!("looking up sink topic {topic}"), e))?;
            match topic_error(&metadata) {
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                    return Err(StreamsError::MissingSinkTopic { topic: topic.to_string() });
                }
                Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                    return Err(StreamsError::not_authorized(Resource::Topic, &**topic, "Write"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The first offset and the high watermark of a partition.
    pub(crate) fn watermarks(&self, partition: &TopicPartition) -> Result<(i64, i64), KafkaError> {
        self.listen(Duration::ZERO);
        super::offsets::watermarks(&self.lookup, partition, REQUEST_TIMEOUT)
    }

    /// Creates the internal topics that are missing, and checks those that are there: the number of
    /// partitions each time, the settings once. Without anything new it costs one look at the list
    /// of topics.
    pub(crate) async fn ensure(
        &self,
        topics: &InternalTopics,
        replication: i32,
    ) -> Result<(), StreamsError> {
        let wanted = settings::wanted(topics, &self.topic_settings, self.additional_retention);
        for topic in &wanted {
            topic.check()?;
        }
        let there = again_while_away(|| self.topics())?;
        let mut missing = Vec::new();
        for topic in &wanted {
            match there.get(&topic.name) {
                None => missing.push(topic),
                Some(actual) if *actual != topic.partitions => {
                    return Err(StreamsError::PartitionCount {
                        topic: topic.name.to_string(),
                        expected: topic.partitions,
                        actual: *actual,
                    });
                }
                Some(_) => {}
            }
        }
        if !missing.is_empty() {
            self.create(&missing, replication).await?;
            self.await_topics(&missing)?;
        }
        self.look_at(&wanted, &missing).await
    }
}

/// Asks again while no broker answers: one was there before.
fn again_while_away<T>(
    mut ask: impl FnMut() -> Result<T, StreamsError>,
) -> Result<T, StreamsError> {
    let deadline = Instant::now() + TOPIC_DEADLINE;
    loop {
        match ask() {
            Err(error @ StreamsError::BrokerUnreachable { .. }) if Instant::now() < deadline => {
                tracing::warn!(%error, "waiting for a broker");
            }
            answer => return answer,
        }
    }
}

/// How long a refusal may be a broker's that is being restarted: to the end, if it is a guess.
fn patience(fault: ConnectionFault) -> Duration {
    match fault {
        ConnectionFault::Protocol => REQUEST_TIMEOUT,
        _ => FAULT_PATIENCE,
    }
}

/// What is wrong with the one topic that was asked for.
fn topic_error(metadata: &Metadata) -> Option<RDKafkaErrorCode> {
    metadata.topics().first().and_then(MetadataTopic::error).map(RDKafkaErrorCode::from)
}
