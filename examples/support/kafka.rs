//! The Kafka of an example: brokers that its flags name, or an embedded one; topics and clients there.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use oncestream::prelude::*;
use oncestream_broker::Broker;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(15);

/// Which Kafka an example joins, and how it is configured.
#[derive(clap::Args)]
pub(crate) struct KafkaFlags {
    /// Brokers to join, as host:port,... Without this an embedded broker is started for the run.
    #[arg(long, value_name = "SERVERS")]
    bootstrap_servers: Option<String>,
    /// Set any configuration key; repeat it for more.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Brokers, and the configuration of an application on them.
pub(crate) struct Kafka {
    pub(crate) servers: String,
    pub(crate) config: StreamsConfig,
    /// Both live as long as the run, and are removed after it.
    _embedded: Option<(Broker, TempDir)>,
}

impl KafkaFlags {
    /// Starts a broker if the flags name none. The flags' settings go before those of the example.
    pub(crate) async fn join(
        &self,
        application_id: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Kafka> {
        let mut embedded = None;
        let mut all: Vec<(String, String)> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let servers = match &self.bootstrap_servers {
            Some(servers) => servers.clone(),
            None => {
                println!("Starting an embedded broker for this run.");
                let broker = Broker::builder().start().await?;
                let servers = broker.bootstrap_servers().to_owned();
                let state_dir = tempfile::tempdir()?;
                all.push(("state.dir".to_owned(), state_dir.path().display().to_string()));
                embedded = Some((broker, state_dir));
                servers
            }
        };
        for pair in &self.set {
            let (key, value) = pair
                .split_once('=')
                .with_context(|| format!("--set {pair}: write it as --set key=value"))?;
            all.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        let mut config = StreamsConfig::builder(application_id, &servers);
        for (key, value) in &all {
            config = config.set(key, value)?;
        }
        Ok(Kafka { servers, config: config.build()?, _embedded: embedded })
    }
}

/// Logs to standard error, runs an example, and prints its error as a sentence.
pub(crate) async fn exit_code(run: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The settings of any client.
pub(crate) fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}

/// Creates topics that are not there yet.
pub(crate) async fn create_topics(servers: &str, topics: &[(&str, i32)]) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = client(servers).create()?;
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(-1)))
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let created = admin
        .create_topics(&new, &options)
        .await
        .with_context(|| format!("creating topics on {servers}"))?;
    for result in created {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => bail!("cannot create topic {topic}: {code}"),
        }
    }
    Ok(())
}

/// Reads what is committed in a topic: all of it, or what comes from now on.
pub(crate) fn read_committed(
    servers: &str,
    topic: &str,
    all: bool,
) -> anyhow::Result<BaseConsumer> {
    let consumer: BaseConsumer = client(servers)
        .set("group.id", "example-reader")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let partitions = metadata.topics().first().map_or(0, |t| t.partitions().len());
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions as i32 {
        let from = if all { Offset::Beginning } else { end(&consumer, topic, partition)? };
        list.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

/// The end of a partition, also of one that has no leader yet because its topic is new.
fn end(consumer: &BaseConsumer, topic: &str, partition: i32) -> anyhow::Result<Offset> {
    let began = Instant::now();
    loop {
        match consumer.fetch_watermarks(topic, partition, PATIENCE) {
            Ok((_, end)) => return Ok(Offset::Offset(end)),
            Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
