//! Topics: what is there, what must be made, and what may be purged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use oncestream_core::TopicPartition;
use oncestream_core::graph::InternalTopics;
use oncestream_core::state::Incarnation;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::groups::{GroupInfo, GroupMemberInfo};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};

use super::context::{self, LogContext, LookupContext};
use super::native;
use super::verdict::is_transient;
use crate::access::{ConnectionFault, Resource};
use crate::config::ClientSettings;
use crate::error::StreamsError;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a look-up may take that can be done without.
const GLANCE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often it is asked why there is no answer.
const FIRST_CONTACT_STEP: Duration = Duration::from_millis(500);
/// How long the client is listened to then.
const LISTEN: Duration = Duration::from_millis(50);
/// How long refused credentials or handshakes may be those of a broker that is being restarted.
const FAULT_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before a request is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(200);
/// How long a new topic may take to show on the broker.
const TOPIC_DEADLINE: Duration = Duration::from_secs(60);

/// A member of a group.
#[derive(Clone, Debug)]
pub(crate) struct GroupMember {
    /// What the coordinator named it.
    pub(crate) id: String,
    /// What it named itself.
    pub(crate) client_id: String,
    /// Where it is.
    pub(crate) host: String,
}

/// The admin client of an instance, and a plain consumer for metadata and end offsets.
pub(crate) struct Admin {
    client: AdminClient<LogContext>,
    /// Reads uncommitted: its end offset is the high watermark.
    lookup: BaseConsumer<LookupContext>,
    bootstrap_servers: String,
}

impl Admin {
    pub(crate) fn new(
        settings: &ClientSettings,
        bootstrap_servers: &str,
    ) -> Result<Self, StreamsError> {
        let failed = |e| StreamsError::client("creating the admin client", e);
        let lookup = settings.clone().with("isolation.level", "read_uncommitted");
        Ok(Self {
            client: context::create(settings, LogContext).map_err(failed)?,
            lookup: context::create(&lookup, LookupContext::default()).map_err(failed)?,
            bootstrap_servers: bootstrap_servers.to_owned(),
        })
    }

    /// Every topic with its number of partitions. Also the first contact with a broker.
    pub(crate) fn topics(&self) -> Result<BTreeMap<Arc<str>, i32>, StreamsError> {
        let metadata = self.all_metadata()?;
        Ok(metadata
            .topics()
            .iter()
            .filter(|t| t.error().is_none() && !t.partitions().is_empty())
            .map(|t| (t.name().into(), t.partitions().len() as i32))
            .collect())
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
                let source = Box::new(source);
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
        let metadata = self
            .lookup
            .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
            .map_err(|e| StreamsError::client(format!("looking up topic {topic}"), e))?;
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
            let metadata =
                client.fetch_metadata(Some(topic), REQUEST_TIMEOUT).map_err(|source| {
                    StreamsError::client(format!("looking up sink topic {topic}"), source)
                })?;
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

    /// The bounds of many partitions: a glance that waits for no leader that is away.
    pub(crate) fn bounds(&self, partitions: &[TopicPartition]) -> Vec<Option<(i64, i64)>> {
        self.listen(Duration::ZERO);
        super::offsets::bounds(&self.lookup, partitions, GLANCE_TIMEOUT)
    }

    /// Which topics these are now: their ids, and the cluster's. An error comes with the topic that
    /// it is about.
    pub(crate) fn incarnations(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Incarnation>, (Arc<str>, KafkaError)> {
        let client = self.client.inner();
        let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
        let of_all = |e| (topics.first().cloned().unwrap_or_default(), e);
        let ids = native::topic_ids(client, &names, REQUEST_TIMEOUT).map_err(of_all)?;
        let cluster = client.fetch_cluster_id(REQUEST_TIMEOUT).unwrap_or_default();
        let cluster: Arc<str> = cluster.into();
        let incarnation = |(topic, id): (&Arc<str>, Result<u128, KafkaError>)| match id {
            Ok(topic) => Ok(Incarnation { cluster: cluster.clone(), topic }),
            Err(error) => Err((topic.clone(), error)),
        };
        topics.iter().zip(ids).map(incarnation).collect()
    }

    /// The members of a group; `None` if that is not to be learnt now.
    pub(crate) fn group_members(&self, group: &str) -> Option<Vec<GroupMember>> {
        let found = match self.client.inner().fetch_group_list(Some(group), REQUEST_TIMEOUT) {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(group, %error, "the members of the group are not known");
                return None;
            }
        };
        let members =
            found.groups().iter().filter(|g| g.name() == group).flat_map(GroupInfo::members);
        let member = |m: &GroupMemberInfo| GroupMember {
            id: m.id().to_owned(),
            client_id: m.client_id().to_owned(),
            host: m.client_host().to_owned(),
        };
        Some(members.map(member).collect())
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
        let deadline = Instant::now() + TOPIC_DEADLINE;
        let results = loop {
            match self.client.create_topics(&topics, &options).await {
                Ok(results) => break results,
                // The broker that was asked went away; another one may be the controller now.
                Err(e) if is_transient(&e) && Instant::now() < deadline => {
                    tracing::info!(error = %e, "creating the internal topics: trying again");
                    tokio::time::sleep(RETRY_EVERY).await;
                }
                Err(e) => return Err(StreamsError::client("creating the internal topics", e)),
            }
        };
        for result in results {
            match result {
                // Another instance was first; it is checked like any other below.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((
                    topic,
                    RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed,
                )) => {
                    return Err(StreamsError::not_authorized(Resource::Topic, &topic, "Create"));
                }
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
            // Created, but not for these eyes.
            self.check_visible(topic, "Read")?;
            if Instant::now() >= deadline {
                let action = format!("the creation of topic {topic}");
                return Err(StreamsError::TimedOut { action, waited: TOPIC_DEADLINE });
            }
        }
    }

    /// Deletes the records before the given offsets. A purge that fails is tried again later.
    pub(crate) async fn purge(self: &Arc<Self>, before: Vec<(TopicPartition, i64)>) {
        let mut list = TopicPartitionList::new();
        for (p, offset) in &before {
            if list.add_partition_offset(&p.topic, p.partition, Offset::Offset(*offset)).is_err() {
                return;
            }
        }
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        match self.client.delete_records(&list, &options).await {
            Err(error) => {
                tracing::warn!(%error, "cannot purge repartition topics; it will be tried again");
            }
            Ok(purged) => {
                let mut moved = BTreeSet::new();
                for p in purged.elements() {
                    match p.error() {
                        Ok(()) => {}
                        Err(error) if is_transient(&error) => {
                            tracing::debug!(
                                topic = p.topic(), partition = p.partition(), %error,
                                "cannot purge a repartition topic now; it will be tried again"
                            );
                            moved.insert(p.topic().to_owned());
                        }
                        Err(error) => tracing::warn!(
                            topic = p.topic(), partition = p.partition(), %error,
                            "cannot purge a repartition topic, which needs the right Delete on \
                             it; it grows until that is possible"
                        ),
                    }
                }
                self.find_leaders(moved).await;
            }
        }
    }

    /// Asks for the leaders of topics anew. librdkafka 2.12 does so by itself for records, but the
    /// requests of its admin client go to the leaders it knows for as long as they answer.
    async fn find_leaders(self: &Arc<Self>, topics: BTreeSet<String>) {
        for topic in topics {
            let admin = self.clone();
            let look_up = move || {
                let found = admin.client.inner().fetch_metadata(Some(&topic), REQUEST_TIMEOUT);
                if let Err(error) = found {
                    tracing::debug!(topic, %error, "no leaders were found");
                }
            };
            if tokio::task::spawn_blocking(look_up).await.is_err() {
                return;
            }
        }
    }
}

/// How long a refusal may be a broker's that is being restarted: to the end, if it is a guess.
fn patience(fault: ConnectionFault) -> Duration {
    match fault {
        ConnectionFault::Protocol => REQUEST_TIMEOUT,
        ConnectionFault::Authentication | ConnectionFault::Tls => FAULT_PATIENCE,
    }
}

/// What is wrong with the one topic that was asked for.
fn topic_error(metadata: &Metadata) -> Option<RDKafkaErrorCode> {
    metadata.topics().first().and_then(MetadataTopic::error).map(RDKafkaErrorCode::from)
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
