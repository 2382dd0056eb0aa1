//! What tests of one application in this process share: one broker for the test binary, topics,
//! records in and out, and waiting for things.
//!
//! Knows nothing of what an application does. Invariant: nothing here sleeps to wait for
//! something; every wait looks at the thing itself, under [`DEADLINE`], and panics after it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use oncestream::config::StreamsConfigBuilder;
use oncestream::prelude::*;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tempfile::TempDir;

use crate::broker::TestBroker;

/// How long anything may take.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// How often a state that cannot be waited for is looked at.
const LOOK: Duration = Duration::from_millis(20);

static BROKER: LazyLock<TestBroker> = LazyLock::new(TestBroker::start);

static PRODUCER: LazyLock<ThreadedProducer<DefaultProducerContext>> = LazyLock::new(|| {
    let mut config = client();
    config.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
    config.create().unwrap_or_else(|e| panic!("{e}"))
});

/// The address of the broker that most tests of this binary share, of the kind that was chosen for
/// it and not the one of `kafka::broker`, so that a test may take that one away. The first call
/// starts it.
pub fn servers() -> &'static str {
    BROKER.bootstrap_servers()
}

/// A record as tests see it: a key in text, a value in bytes.
pub type Seen = (Option<String>, Option<Vec<u8>>);

/// One test's application: its own name, topics that begin with it, its own state directory.
pub struct Application {
    /// The `application.id`, and what the names of its topics begin with.
    pub id: String,
    state_dir: TempDir,
}

impl Application {
    /// A new name that begins with `name`, and a new directory.
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // `RUST_LOG=debug` shows what an application does.
        crate::log::init();
        crate::metrics::init();
        let id = format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { id, state_dir: new_dir() }
    }

    /// The state directory.
    pub fn state_dir(&self) -> &Path {
        self.state_dir.path()
    }

    /// A name for a topic of this test alone.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.id)
    }

    /// A topic of this test alone, created.
    pub async fn create(&self, name: &str, partitions: i32) -> String {
        let topic = self.topic(name);
        // Records of tests may be as old as 1970, and Apache Kafka looks for old ones now and then.
        create_topic(&topic, partitions, &[("retention.ms", "-1")]).await;
        topic
    }

    /// Exactly once, on the shared broker, with the state directory of this test.
    pub fn config(&self) -> StreamsConfigBuilder {
        self.config_at(servers(), self.state_dir())
    }

    /// The same for other brokers and another directory.
    pub fn config_at(&self, servers: &str, state_dir: &Path) -> StreamsConfigBuilder {
        StreamsConfig::builder(&self.id, servers)
            .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
            .state_dir(state_dir)
    }

    /// An application with these settings on top of [`Self::config`].
    pub fn streams(&self, topology: Topology, settings: &[(&str, &str)]) -> StreamsClientBuilder {
        streams(topology, self.config(), settings)
    }
}

/// A new directory, removed with the value.
pub fn new_dir() -> TempDir {
    tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary directory: {e}"))
}

/// An application from a configuration and settings on top of it.
pub fn streams(
    topology: Topology,
    mut config: StreamsConfigBuilder,
    settings: &[(&str, &str)],
) -> StreamsClientBuilder {
    for (key, value) in settings {
        config = config.set(key, value).unwrap_or_else(|e| panic!("{key}={value}: {e}"));
    }
    let config = config.build().unwrap_or_else(|e| panic!("{e}"));
    Streams::builder(topology, config)
}

/// Counts the words of values, in the store `counts`.
pub fn word_count(input: &str, output: &str) -> Topology {
    word_count_in("counts", input, output)
}

/// Counts the words of values, in a store of this name.
pub fn word_count_in(store: &str, input: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(input)
        .flat_map_values(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count(store)
        .to_stream()
        .to(output);
    builder.build().unwrap_or_else(|e| panic!("{e}"))
}

/// Counts the keys of a topic, in the store `counts`.
pub fn counting(input: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>(input).group_by_key().count("counts").to_stream().to(output);
    builder.build().unwrap_or_else(|e| panic!("{e}"))
}

/// Waits until the application is in this state.
pub async fn await_state(streams: &Streams, wanted: ClientState) {
    let mut changes = streams.state_changes();
    let reached = tokio::time::timeout(DEADLINE, changes.wait_for(|s| *s == wanted)).await;
    assert!(reached.is_ok(), "{wanted} was not reached, but {}", streams.state());
}

/// Starts an application and waits until all its tasks run.
pub async fn start(streams: StreamsClientBuilder) -> Streams {
    let streams = streams.start().await.unwrap_or_else(|e| panic!("{e}"));
    await_state(&streams, ClientState::Running).await;
    streams
}

/// Stops an application that is fine.
pub async fn stop(streams: &Streams) {
    streams.shutdown().await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(streams.state(), ClientState::NotRunning);
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts an application that is expected not to start, and gives the error that says why.
pub async fn refused(streams: StreamsClientBuilder) -> StreamsError {
    let last = Arc::new(Mutex::new(ClientState::Created));
    let told = last.clone();
    let listening = streams.on_state_change(move |_, to| *locked(&told) = to);
    let Err(error) = listening.start().await else { panic!("it starts") };
    assert_eq!(*locked(&last), ClientState::Error, "{error}");
    error
}

/// Starts an application that is expected to stop by itself, and gives the error it stops with.
pub async fn run_to_error(streams: StreamsClientBuilder) -> StreamsError {
    let streams = streams.start().await.unwrap_or_else(|e| panic!("{e}"));
    await_state(&streams, ClientState::Error).await;
    let Err(error) = streams.shutdown().await else { panic!("it ended without an error") };
    assert_eq!(streams.state(), ClientState::Error, "{error}");
    error
}

/// Asserts that a message has every one of these words in it.
pub fn assert_tells(error: &impl std::fmt::Display, words: &[&str]) {
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is missing in: {message}");
    }
}

fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers());
    config
}

fn admin() -> AdminClient<DefaultClientContext> {
    client().create().unwrap_or_else(|e| panic!("{e}"))
}

/// Creates a topic with settings of its own.
pub async fn create_topic(topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
    let created = admin().create_topics(&[new], &AdminOptions::new()).await;
    let results = created.unwrap_or_else(|e| panic!("creating {topic}: {e}"));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    wait_until(&format!("topic {topic}"), || partition_count(topic) == partitions);
}

/// Deletes a topic and waits until it is gone.
pub async fn delete_topic(topic: &str) {
    let deleted = admin().delete_topics(&[topic], &AdminOptions::new()).await;
    let results = deleted.unwrap_or_else(|e| panic!("deleting {topic}: {e}"));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    wait_until(&format!("the end of topic {topic}"), || partition_count(topic) == 0);
}

fn reader(isolation: &str) -> BaseConsumer {
    let created = client()
        .set("group.id", "the-tests-read-without-a-group")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation)
        .set("fetch.wait.max.ms", "10")
        .create();
    created.unwrap_or_else(|e| panic!("{e}"))
}

/// The partitions of a topic; 0 if it does not exist.
pub fn partition_count(topic: &str) -> i32 {
    let metadata = reader("read_committed").fetch_metadata(None, DEADLINE);
    let metadata = metadata.unwrap_or_else(|e| panic!("{e}"));
    let found = metadata.topics().iter().find(|t| t.name() == topic);
    found.map_or(0, |t| t.partitions().len() as i32)
}

/// Waits for something that cannot be subscribed to.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(LOOK);
    }
}

/// Writes records. Those with a null key go to the partitions in turn, so that each gets some:
/// the client itself would stay with one for a while.
pub fn produce<'a>(
    topic: &str,
    records: impl IntoIterator<Item = (Option<&'a str>, Option<&'a [u8]>)>,
) {
    let partitions = partition_count(topic);
    for (at, (key, value)) in (0..).zip(records) {
        let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(topic);
        record.partition = key.is_none().then_some(at % partitions);
        record.key = key;
        record.payload = value;
        PRODUCER.send(record).unwrap_or_else(|(e, _)| panic!("{e}"));
    }
    PRODUCER.flush(DEADLINE).unwrap_or_else(|e| panic!("{e}"));
}

/// Writes lines without keys.
pub fn produce_lines<'a>(topic: &str, lines: impl IntoIterator<Item = &'a str>) {
    produce(topic, lines.into_iter().map(|line| (None, Some(line.as_bytes()))));
}

/// Writes a record for each key, to the partition that its key chooses.
pub fn produce_keys<K: AsRef<str>>(topic: &str, keys: impl IntoIterator<Item = K>) {
    let keys: Vec<K> = keys.into_iter().collect();
    produce(topic, keys.iter().map(|key| (Some(key.as_ref()), Some(&b"v"[..]))));
}

/// The first and the end offset of each partition: for `read_committed` the last stable offset,
/// for `read_uncommitted` the high watermark.
pub fn offsets(topic: &str, isolation: &str) -> Vec<(i64, i64)> {
    let reader = reader(isolation);
    (0..partition_count(topic))
        .map(|p| reader.fetch_watermarks(topic, p, DEADLINE).unwrap_or_else(|e| panic!("{e}")))
        .collect()
}

/// Waits until no transaction is open on a topic, for at most `limit`.
pub fn assert_settled_within(topic: &str, limit: Duration) {
    let deadline = Instant::now() + limit;
    while offsets(topic, "read_committed") != offsets(topic, "read_uncommitted") {
        assert!(Instant::now() < deadline, "a transaction is still open on {topic}");
        std::thread::sleep(LOOK);
    }
}

/// Everything that is visible in a topic now, read committed, partition by partition.
pub fn visible(topic: &str) -> Vec<Seen> {
    let reader = reader("read_committed");
    let mut open = partition_count(topic);
    let mut list = TopicPartitionList::new();
    for partition in 0..open {
        let added = list.add_partition_offset(topic, partition, Offset::Beginning);
        added.unwrap_or_else(|e| panic!("{e}"));
    }
    reader.assign(&list).unwrap_or_else(|e| panic!("{e}"));
    let mut seen: BTreeMap<i32, Vec<Seen>> = BTreeMap::new();
    let deadline = Instant::now() + DEADLINE;
    while open > 0 {
        assert!(Instant::now() < deadline, "{topic} was not read to its end");
        match reader.poll(LOOK) {
            None => {}
            Some(Ok(m)) => {
                let key = m.key().map(|k| String::from_utf8_lossy(k).into_owned());
                let record = (key, m.payload().map(<[u8]>::to_vec));
                seen.entry(m.partition()).or_default().push(record);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(e)) if is_passing(&e) => {}
            Some(Err(e)) => panic!("reading {topic}: {e}"),
        }
    }
    seen.into_values().flatten().collect()
}

fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown)
    )
}

/// The visible values of a topic as text, sorted.
pub fn visible_texts(topic: &str) -> Vec<String> {
    let text = |v: Vec<u8>| String::from_utf8_lossy(&v).into_owned();
    let mut texts: Vec<String> =
        visible(topic).into_iter().filter_map(|(_, value)| value.map(text)).collect();
    texts.sort();
    texts
}

/// The latest visible count of each key.
pub fn visible_counts(topic: &str) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for (key, value) in visible(topic) {
        let bytes: [u8; 8] = value.unwrap_or_default().try_into().unwrap_or_else(|v| {
            panic!("{v:?} is no count");
        });
        counts.insert(key.unwrap_or_default(), i64::from_be_bytes(bytes));
    }
    counts
}

/// Waits until the counts are these.
pub fn await_counts(topic: &str, wanted: &[(&str, i64)]) {
    let wanted: BTreeMap<String, i64> = wanted.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
    let deadline = Instant::now() + DEADLINE;
    loop {
        let counts = visible_counts(topic);
        if counts == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{topic} has {counts:?}, not {wanted:?}");
        std::thread::sleep(LOOK);
    }
}
