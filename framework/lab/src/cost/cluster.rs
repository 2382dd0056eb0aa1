//! The Kafka that is measured: whether it is there, and topics that are made and deleted.
//!
//! All waits are bounded.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication, TopicResult,
};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaErrorCode;
use tokio::runtime::Runtime;

use super::error::failed;
use super::figures::Conditions;
use super::{CostError, Plan};

/// How long brokers may take to answer at all.
const REACH: Duration = Duration::from_secs(10);
/// How long a request of the admin may take.
const REQUEST: Duration = Duration::from_secs(30);
/// A step in which a stop is noticed.
const STEP: Duration = Duration::from_millis(200);

/// Keeps the last line of librdkafka's log, which tells why a broker is not reached, out of the
/// terminal.
#[derive(Debug, Clone, Default)]
pub(super) struct Quiet(Arc<Mutex<String>>);

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, line: &str) {
        line.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Quiet {}

/// What all clients of a measurement have.
pub(super) fn config(plan: &Plan) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", "oncestream-cost").set_log_level(RDKafkaLogLevel::Error);
    for (key, value) in &plan.client_settings {
        config.set(key, value);
    }
    config.set("bootstrap.servers", &plan.servers);
    config
}

/// A name that no other topic has.
pub(super) fn topic_name() -> String {
    // The standard library's only source of randomness: the keys of a new hasher.
    let random = RandomState::new().hash_one(std::process::id());
    format!("oncestream-cost-{random:016x}")
}

/// A connection for topics.
pub(super) struct Cluster {
    admin: AdminClient<Quiet>,
    executor: Runtime,
}

impl Cluster {
    /// Waits until a broker answers.
    pub(super) fn reach(plan: &Plan) -> Result<Self, CostError> {
        let log = Quiet::default();
        let admin: AdminClient<Quiet> = config(plan)
            .create_with_context(log.clone())
            .map_err(failed("the settings of the clients"))?;
        let executor = tokio::runtime::Builder::new_current_thread().build();
        let executor = executor.map_err(|error| CostError::Plan {
            what: "waiting for brokers",
            reason: error.to_string(),
        })?;
        let until = Instant::now() + REACH;
        while admin.inner().fetch_cluster_id(STEP).is_none() {
            plan.check_stopped()?;
            if Instant::now() > until {
                let reason = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let servers = plan.servers.clone();
                return Err(CostError::Unreachable { servers, seconds: REACH.as_secs(), reason });
            }
        }
        Ok(Self { admin, executor })
    }

    /// Makes a topic and waits until each of its partitions has a leader.
    pub(super) fn create(&self, plan: &Plan, topic: &str) -> Result<(), CostError> {
        let replication = TopicReplication::Fixed(plan.replication_factor);
        let new = plan
            .topic_settings
            .iter()
            .fold(NewTopic::new(topic, plan.partitions, replication), |new, (key, value)| {
                new.set(key, value)
            });
        // Nobody else makes a topic of this name: it is there because an answer did not come.
        let done = |code| code == RDKafkaErrorCode::TopicAlreadyExists;
        self.ask(&format!("creating the topic {topic}"), done, async || {
            self.admin.create_topics([&new], &options()).await
        })?;
        let until = Instant::now() + REQUEST;
        loop {
            plan.check_stopped()?;
            let metadata = self.metadata(topic)?;
            if led(&metadata, topic) == plan.partitions as usize {
                return Ok(());
            }
            if Instant::now() > until {
                let what = format!("leaders for all partitions of {topic}");
                return Err(CostError::Late { what, seconds: REQUEST.as_secs() });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Deletes a topic, which may not be there.
    pub(super) fn delete(&self, topic: &str) -> Result<(), CostError> {
        let done = |code| code == RDKafkaErrorCode::UnknownTopicOrPartition;
        self.ask(&format!("deleting the topic {topic}"), done, async || {
            self.admin.delete_topics(&[topic], &options()).await
        })
    }

    /// Asks for something until there is an answer: one that is lost is no answer. An error may mean
    /// that it was done before.
    fn ask(
        &self,
        what: &str,
        done: impl Fn(RDKafkaErrorCode) -> bool,
        request: impl AsyncFn() -> Result<Vec<TopicResult>, KafkaError>,
    ) -> Result<(), CostError> {
        let until = Instant::now() + REQUEST;
        loop {
            let outcome = self.executor.block_on(request()).and_then(|results| {
                let refused = results.into_iter().filter_map(Result::err);
                refused
                    .map(|(_, code)| code)
                    .find(|code| !done(*code))
                    .map_or(Ok(()), |code| Err(KafkaError::AdminOp(code)))
            });
            match outcome {
                Ok(()) => return Ok(()),
                Err(error) if is_unanswered(&error) && Instant::now() < until => {
                    std::thread::sleep(STEP);
                }
                Err(error) => return Err(failed(what)(error)),
            }
        }
    }

    /// Under what a plan is measured, with one of its topics.
    pub(super) fn conditions(&self, plan: &Plan, topic: &str) -> Conditions {
        let mut conditions = Conditions {
            min_insync_replicas: self.min_insync_replicas(topic),
            partitions: plan.partitions as usize,
            records: plan.records,
            record_bytes: plan.record_bytes,
            rate: plan.rate,
            paced_ms: plan.pace_for.as_millis() as u64,
            rounds: plan.rounds,
            librdkafka: rdkafka::util::get_rdkafka_version().1,
            ..Conditions::default()
        };
        if let Ok(metadata) = self.metadata(topic) {
            conditions.brokers = metadata.brokers().len();
            let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            conditions.replicas = partitions.map(|p| p.replicas().len()).max().unwrap_or(0);
        }
        conditions
    }

    /// What brokers tell of it, if this user may ask.
    fn min_insync_replicas(&self, topic: &str) -> Option<String> {
        let asked = [ResourceSpecifier::Topic(topic)];
        let answer = self.executor.block_on(self.admin.describe_configs(&asked, &options()));
        let configs = answer.ok()?;
        let of_topic = configs.into_iter().flatten().find(|config| {
            matches!(&config.specifier, OwnedResourceSpecifier::Topic(name) if name == topic)
        })?;
        of_topic.get("min.insync.replicas")?.value.clone()
    }

    fn metadata(&self, topic: &str) -> Result<Metadata, CostError> {
        let what = format!("asking for the partitions of {topic}");
        self.admin.inner().fetch_metadata(Some(topic), REQUEST).map_err(failed(what))
    }
}

/// Whether the request may have been done or not, and another one may tell.
fn is_unanswered(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error,
        KafkaError::AdminOp(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::NotController
        )
    )
}

fn led(metadata: &Metadata, topic: &str) -> usize {
    let of_topic = metadata.topics().iter().filter(|found| found.name() == topic);
    of_topic.flat_map(MetadataTopic::partitions).filter(|p| p.leader() >= 0).count()
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST))
}
