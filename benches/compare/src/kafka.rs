//! The parent's dealings with Kafka: topics, inputs, committed offsets.
//!
//! Nothing here takes part in a run: the parent only looks at what the group has committed.
//! Invariant: every topic of a run starts with that run's application id, so that cleaning up
//! after it can be complete without a list.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

use crate::job::{Guarantee, RunSpec};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Creates and deletes topics.
pub(crate) struct Topics {
    admin: AdminClient<DefaultClientContext>,
    executor: tokio::runtime::Runtime,
}

impl Topics {
    /// Connects lazily; the first request finds out whether Kafka is there.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub(crate) fn new(bootstrap_servers: &str) -> Result<Self> {
        let admin = ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create()?;
        let executor = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Self { admin, executor })
    }

    /// Creates a topic with one replica of each partition.
    ///
    /// # Errors
    /// When Kafka refuses it.
    pub(crate) fn create(
        &self,
        name: &str,
        partitions: i32,
        config: &[(&str, &str)],
    ) -> Result<()> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = config.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let request = self.admin.create_topics([&topic], &Self::admin_options());
        for result in self.executor.block_on(request)? {
            result.map_err(refused)?;
        }
        self.wait_until_visible(name, partitions)
    }

    /// The controller answers before the brokers know the topic, and a consumer that subscribes
    /// in between is told that there is none.
    fn wait_until_visible(&self, name: &str, partitions: i32) -> Result<()> {
        let asked = Instant::now();
        while asked.elapsed() < REQUEST_TIMEOUT {
            let metadata = self.admin.inner().fetch_metadata(Some(name), REQUEST_TIMEOUT)?;
            let known = |topic: &MetadataTopic| {
                let led = topic.partitions().iter().filter(|partition| partition.leader() >= 0);
                topic.name() == name && led.count() == partitions as usize
            };
            if metadata.topics().iter().any(known) {
                return Ok(());
            }
        }
        bail!("{name} was created and cannot be seen");
    }

    /// Deletes all topics whose names start with `prefix`.
    ///
    /// # Errors
    /// When they cannot be listed or Kafka refuses.
    pub(crate) fn delete_with_prefix(&self, prefix: &str) -> Result<()> {
        let metadata = self.admin.inner().fetch_metadata(None, REQUEST_TIMEOUT)?;
        let names: Vec<&str> = metadata
            .topics()
            .iter()
            .map(MetadataTopic::name)
            .filter(|name| name.starts_with(prefix))
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let request = self.admin.delete_topics(&names, &Self::admin_options());
        for result in self.executor.block_on(request)? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Ok(())
    }

    fn admin_options() -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .operation_timeout(Some(REQUEST_TIMEOUT))
    }
}

fn refused((topic, code): (String, RDKafkaErrorCode)) -> anyhow::Error {
    anyhow::Error::new(KafkaError::AdminOp(code)).context(topic)
}

/// Fills an input topic. Without transactions, so that end offsets count records exactly.
pub(crate) struct Filler {
    producer: BaseProducer<FailOnLoss>,
    topic: String,
}

/// Keeps why a record could not be delivered, of the first one.
#[derive(Default)]
struct FailOnLoss(OnceLock<KafkaError>);

impl ClientContext for FailOnLoss {}

impl ProducerContext for FailOnLoss {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            // A later one says no more.
            let _ = self.0.set(error.clone());
        }
    }
}

impl Filler {
    /// Opens a producer with Java's partitioner.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub(crate) fn new(bootstrap_servers: &str, topic: &str) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap_servers)
            .set("partitioner", "murmur2_random")
            .set("enable.idempotence", "true")
            .create_with_context(FailOnLoss::default())?;
        Ok(Self { producer, topic: topic.to_owned() })
    }

    /// Produces one record, waiting for room in the client's queue.
    ///
    /// # Errors
    /// When the client refuses the record.
    pub(crate) fn send(&self, key: Option<&[u8]>, value: &[u8], at_ms: Option<u64>) -> Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).payload(value);
        record.key = key;
        record.timestamp = at_ms.map(|at_ms| at_ms as i64);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Waits until all is delivered.
    ///
    /// # Errors
    /// When a record was lost.
    pub(crate) fn finish(self) -> Result<()> {
        self.producer.flush(Duration::from_mins(2))?;
        let Some(error) = self.producer.context().0.get() else { return Ok(()) };
        let what = format!("a record of the input {} was not delivered", self.topic);
        Err(anyhow::Error::new(error.clone()).context(what))
    }
}

/// Reads how far a run's group has come.
pub(crate) struct Progress<'a> {
    consumer: BaseConsumer,
    spec: &'a RunSpec,
    total: u64,
}

impl<'a> Progress<'a> {
    /// Watches the group of `spec`; the input has `total` records.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub(crate) fn new(spec: &'a RunSpec, total: u64) -> Result<Self> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", &spec.bootstrap_servers)
            .set("group.id", &spec.application_id)
            .set("enable.auto.commit", "false")
            // Asks for offsets as they are: a commit under way must not hold the sampler up.
            .set("isolation.level", "read_uncommitted")
            .create()?;
        Ok(Self { consumer, spec, total })
    }

    /// The records of the input that the group has committed, and whether the run is done.
    ///
    /// Done is: the input is committed to its end, and so is every repartition topic of the run.
    /// The end of a repartition topic may be a transaction marker, of which a contender's
    /// position need not know, so under exactly once one offset may be left over.
    ///
    /// # Errors
    /// When Kafka does not answer, or the input is not as long as it should be.
    pub(crate) fn look(&self) -> Result<(u64, bool)> {
        let committed = self.committed(&self.spec.input)?.iter().sum::<i64>() as u64;
        if committed > self.total {
            bail!("the group committed {committed} of {} records", self.total);
        }
        if committed < self.total {
            return Ok((committed, false));
        }
        for topic in self.repartition_topics()? {
            let committed = self.committed(&topic)?;
            for (end, committed) in self.ends(&topic)?.into_iter().zip(committed) {
                let slack = i64::from(self.spec.guarantee == Guarantee::ExactlyOnce && end > 0);
                if committed + slack < end {
                    return Ok((self.total, false));
                }
            }
        }
        Ok((self.total, true))
    }

    /// Checks that the input holds exactly the records that were meant to be in it.
    ///
    /// # Errors
    /// When it does not, or Kafka does not answer.
    pub(crate) fn check_input(&self) -> Result<()> {
        let end = self.ends(&self.spec.input)?.iter().sum::<i64>();
        if end as u64 != self.total {
            bail!("the input {} ends at {end}, not {}", self.spec.input, self.total);
        }
        Ok(())
    }

    /// The ends of a topic's partitions, with one request: asked for one by one, those of hundreds
    /// would take longer than the time between two samples.
    fn ends(&self, topic: &str) -> Result<Vec<i64>> {
        let mut asked = self.all_of(topic);
        asked.set_all_offsets(Offset::End)?;
        let answer = self.consumer.offsets_for_times(asked, REQUEST_TIMEOUT)?;
        let end = |partition| match answer.find_partition(topic, partition)?.offset() {
            Offset::Offset(end) => Some(end),
            _ => None,
        };
        let ends = (0..self.spec.partitions)
            .map(|partition| end(partition).with_context(|| format!("the end of {topic}")));
        ends.collect()
    }

    fn all_of(&self, topic: &str) -> TopicPartitionList {
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_range(topic, 0, self.spec.partitions - 1);
        partitions
    }

    fn committed(&self, topic: &str) -> Result<Vec<i64>> {
        let partitions = self.all_of(topic);
        let asked = Instant::now();
        let answer = loop {
            match self.consumer.committed_offsets(partitions.clone(), REQUEST_TIMEOUT) {
                Ok(answer) => break answer,
                Err(error)
                    if coordinator_is_moving(&error) && asked.elapsed() < REQUEST_TIMEOUT => {}
                Err(error) => return Err(error).context("committed offsets"),
            }
        };
        let offset = |partition| match answer.find_partition(topic, partition)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        Ok((0..self.spec.partitions).map(|partition| offset(partition).unwrap_or(0)).collect())
    }

    fn repartition_topics(&self) -> Result<Vec<String>> {
        let metadata = self.consumer.fetch_metadata(None, REQUEST_TIMEOUT)?;
        let prefix = format!("{}-", self.spec.application_id);
        Ok(metadata
            .topics()
            .iter()
            .map(MetadataTopic::name)
            .filter(|name| name.starts_with(&prefix) && name.ends_with("-repartition"))
            .map(str::to_owned)
            .collect())
    }
}

/// A new Kafka makes its offsets topic at the first group; until then nobody coordinates it.
fn coordinator_is_moving(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
        )
    )
}
