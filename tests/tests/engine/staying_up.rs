//! An application stays up: what goes wrong around it ends in progress, or in an error that names
//! the thing, and nothing is lost or doubled either way.
//!
//! Each test has an embedded broker of its own, which it disturbs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use oncestream::prelude::*;
use oncestream_broker::{Action, Api, Broker, Fault, PartitionView, RequestRecord};
use oncestream_core::state::{Backend as _, WriteBatch};
use oncestream_stores::{FjallBackend, FjallOptions};
use oncestream_tests::application::{
    Application, assert_tells, await_state, new_dir, start, stop, streams, wait_until, word_count,
};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// Timeouts short enough to outlast.
const SHORT: [(&str, &str); 3] = [
    ("commit.interval.ms", "100"),
    ("transaction.timeout.ms", "2000"),
    ("session.timeout.ms", "3000"),
];

/// A broker, an application on it, and the words it was given.
struct Place {
    broker: Broker,
    app: Application,
    partitions: i32,
    sent: BTreeMap<String, i64>,
    turn: i32,
}

impl Place {
    fn new(name: &str, nodes: u16, partitions: i32) -> Self {
        let broker =
            Broker::builder().nodes(nodes).keep_requests(1_000_000).start_blocking().unwrap();
        broker.create_topic("in", partitions as usize).unwrap();
        broker.create_topic("out", 2).unwrap();
        let app = Application::new(name);
        Self { broker, app, partitions, sent: BTreeMap::new(), turn: 0 }
    }

    fn streams(
        &self,
        topology: Topology,
        dir: &Path,
        settings: &[(&str, &str)],
    ) -> StreamsClientBuilder {
        let config = self.app.config_at(self.broker.bootstrap_servers(), dir);
        let settings = [&SHORT[..], settings].concat();
        // The last of a key counts.
        let last: BTreeMap<&str, &str> = settings.into_iter().collect();
        let settings: Vec<(&str, &str)> = last.into_iter().collect();
        streams(topology, config, &settings)
    }

    fn word_count(&self, settings: &[(&str, &str)]) -> StreamsClientBuilder {
        self.streams(word_count("in", "out"), self.app.state_dir(), settings)
    }

    /// Writes words, straight into the log.
    fn send(&mut self, words: impl IntoIterator<Item = String>) {
        for word in words {
            *self.sent.entry(word.clone()).or_default() += 1;
            let partition = self.turn % self.partitions;
            self.turn += 1;
            self.broker.append("in", partition, [(Some(word.clone()), Some(word), 1)]).unwrap();
        }
    }

    /// Sends so many of fifty words.
    fn feed(&mut self, count: usize) {
        self.send((0..count).map(|n| format!("word{:02}", n % 50)));
    }

    /// Waits for exact counts, told in order: a count that goes back was doubled or lost.
    fn await_exact(&self) {
        wait_until("exact counts", || self.counts() == self.sent);
    }

    fn counts(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for (key, value) in read_committed(&self.broker, "out") {
            let count = i64::from_be_bytes(value.try_into().unwrap());
            let before = counts.insert(key, count);
            assert!(before.is_none_or(|b| b < count), "{count} after {before:?}");
        }
        counts
    }

    /// The number of the last request of a kind. The log forgets its oldest.
    fn last_request(&self, api: Api) -> u64 {
        let requests = self.broker.requests();
        requests.iter().filter(|r| r.api == api).map(|r| r.number).max().unwrap_or(0)
    }

    fn requests(&self, api: Api) -> usize {
        self.broker.requests().iter().filter(|r| r.api == api).count()
    }
}

/// The committed records of a topic, partition by partition.
fn read_committed(broker: &Broker, topic: &str) -> Vec<(String, Vec<u8>)> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap_servers())
        .set("group.id", "reader")
        .set("client.id", "reader")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "10")
        .create()
        .unwrap();
    let view = broker.view();
    let mut open = view.partitions.iter().filter(|p| p.topic == topic).count();
    let mut list = TopicPartitionList::new();
    for partition in 0..open {
        list.add_partition_offset(topic, partition as i32, Offset::Beginning).unwrap();
    }
    reader.assign(&list).unwrap();
    let mut seen: BTreeMap<i32, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while open > 0 && Instant::now() < deadline {
        match reader.poll(Duration::from_millis(50)) {
            Some(Ok(m)) => {
                let key = String::from_utf8_lossy(m.key().unwrap_or_default()).into_owned();
                let value = m.payload().unwrap_or_default().to_vec();
                seen.entry(m.partition()).or_default().push((key, value));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            // A leader that moves is found again.
            Some(Err(_)) | None => {}
        }
    }
    seen.into_values().flatten().collect()
}

/// Counts by key, without a repartition topic.
fn count_by_key() -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("in").group_by_key().count("counts").to_stream().to("out");
    builder.build().unwrap()
}

// ---- Kafka that is away, or moves ----

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_session_and_transaction_ends_in_exact_counts() {
    let mut place = Place::new("outage", 1, 2);
    let app = place.word_count(&[]);
    let app = start(app).await;
    place.feed(200);
    place.await_exact();
    // Something is under way when Kafka goes.
    place.feed(500);
    place.broker.stop_node(1).unwrap();
    place.feed(300);
    // Not a wait for something: the outage itself.
    tokio::time::sleep(Duration::from_secs(6)).await;
    place.broker.start_node(1).unwrap();
    place.feed(300);
    place.await_exact();
    stop(&app).await;
    place.await_exact();
}

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_and_leaders_that_move_leave_counts_exact() {
    let mut place = Place::new("moving", 3, 2);
    let settings = [("num.stream.threads", "2"), ("repartition.purge.interval.ms", "100")];
    let app = place.word_count(&settings);
    let app = start(app).await;
    for round in 0..12 {
        place.feed(100);
        let ids: Vec<String> =
            place.broker.view().transactions.iter().map(|t| t.transactional_id.clone()).collect();
        assert!(!ids.is_empty());
        match round % 3 {
            0 => place.broker.move_group_coordinator(&place.app.id),
            1 => ids.iter().for_each(|id| place.broker.move_transaction_coordinator(id)),
            _ => {
                for p in place.broker.view().partitions {
                    assert!(place.broker.move_leader(&p.topic, p.partition));
                }
            }
        }
    }
    place.await_exact();
    let ends: Vec<i64> = repartition(&place.broker).map(|p| p.high_watermark).collect();
    place.feed(100);
    wait_until("the new leaders to be asked to purge", || {
        repartition(&place.broker).zip(&ends).all(|(p, end)| p.start_offset > *end)
    });
    stop(&app).await;
    place.await_exact();
}

/// The partitions of the repartition topic.
fn repartition(broker: &Broker) -> impl Iterator<Item = PartitionView> {
    broker.view().partitions.into_iter().filter(|p| p.topic.ends_with("-repartition"))
}

// ---- Slow things ----

#[tokio::test(flavor = "multi_thread")]
async fn a_full_producer_queue_holds_records_back_and_keeps_the_membership() {
    let mut place = Place::new("full", 1, 1);
    let settings = [
        ("producer.queue.buffering.max.messages", "20"),
        ("producer.linger.ms", "0"),
        ("transaction.timeout.ms", "20000"),
        ("session.timeout.ms", "25000"),
        ("commit.interval.ms", "1000"),
    ];
    let app = place.word_count(&settings);
    let app = start(app).await;
    let joins = place.requests(Api::JoinGroup);
    let delay = Fault::on(Api::Produce).always().then(Action::Delay(Duration::from_millis(50)));
    place.broker.faults().add(delay);
    place.feed(1000);
    place.await_exact();
    assert_eq!(place.requests(Api::JoinGroup), joins, "the membership was lost");
    assert_eq!(app.state(), ClientState::Running);
    stop(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_longer_than_max_poll_interval_loses_and_doubles_nothing() {
    let mut place = Place::new("long-step", 1, 1);
    let slow = Arc::new(AtomicUsize::new(0));
    let calls = slow.clone();
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .peek(move |_, word| {
            if word == "slow" && calls.fetch_add(1, Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_secs(7));
            }
        })
        .group_by_key()
        .count("counts")
        .to_stream()
        .to("out");
    let settings = [("max.poll.interval.ms", "4000")];
    let app = place.streams(builder.build().unwrap(), place.app.state_dir(), &settings);
    let app = start(app).await;
    place.feed(100);
    place.send(["slow".to_owned()]);
    place.feed(100);
    place.await_exact();
    assert!(slow.load(Ordering::SeqCst) > 1, "the step was never repeated: nothing was missed");
    stop(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_a_new_producer_waits_for_its_coordinator_ends_without_an_error() {
    const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
    let mut place = Place::new("stopped-without-coordinator", 1, 1);
    let app = place.word_count(&[]);
    let app = start(app).await;
    let asked = place.last_request(Api::InitProducerId);
    let faults = place.broker.faults();
    let away = Action::Error(COORDINATOR_NOT_AVAILABLE);
    faults.add(Fault::on(Api::InitProducerId).always().then(away));
    let lost = Action::Error(INVALID_PRODUCER_ID_MAPPING);
    faults.add(Fault::on(Api::EndTxn).nth(1).then(lost));
    place.feed(100);
    wait_until("a new producer to ask", || place.last_request(Api::InitProducerId) > asked);
    stop(&app).await;
    // One that never had a producer.
    let app = place.word_count(&[]);
    let asked = place.last_request(Api::InitProducerId);
    let app = app.start().await.unwrap();
    wait_until("its first producer to ask", || place.last_request(Api::InitProducerId) > asked);
    stop(&app).await;
    place.broker.faults().clear();
    let app = place.word_count(&[]);
    let app = start(app).await;
    place.await_exact();
    stop(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_longer_than_the_transaction_opens_none_and_ends() {
    let mut place = Place::new("long-restore", 1, 1);
    let first = place.streams(count_by_key(), place.app.state_dir(), &[]);
    let first = start(first).await;
    place.feed(500);
    place.await_exact();
    stop(&first).await;
    place.feed(500);
    let changelog = format!("{}-counts-changelog", place.app.id);
    let delay = Fault::on(Api::Fetch).topic(&changelog).times(1);
    place.broker.faults().add(delay.then(Action::Delay(Duration::from_secs(5))));
    place.broker.forget_requests();
    let dir = new_dir();
    let second = place.streams(count_by_key(), dir.path(), &[]);
    let began = Instant::now();
    let second = start(second).await;
    assert!(began.elapsed() > Duration::from_secs(5), "the restore was not slow");
    let all = place.broker.requests();
    let slow = all.iter().position(|r| r.fault.is_some()).expect("a slow fetch");
    let added = all.iter().position(|r| r.api == Api::AddPartitionsToTxn);
    assert!(added.is_none_or(|at| at > slow), "a transaction was open during the restore");
    place.await_exact();
    stop(&second).await;
}

// ---- The disk ----

/// librdkafka's thread sleeps on when a partition is resumed, until its broker is asked something.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_task_wakes_the_client_that_reads_its_input() {
    let mut place = Place::new("awake", 1, 2);
    // The second finds a changelog and no store.
    for dir in [new_dir(), new_dir()] {
        place.feed(100);
        let streams = place.streams(word_count("in", "out"), dir.path(), &[]);
        let streams = start(streams).await;
        place.await_exact();
        stop(&streams).await;
    }
    let requests = place.broker.requests();
    let is = |r: &RequestRecord, api, of: &str| r.api == api && r.client_id.ends_with(of);
    let mut since = requests.iter();
    since.find(|r| is(r, Api::Fetch, "-worker-0-restore-consumer")).expect("a restore");
    // Its partitions are resumed after the restore alone.
    let input = format!("{}-counts-repartition", place.app.id);
    let wakes = |r: &RequestRecord| {
        is(r, Api::ListOffsets, "-worker-0-consumer") && r.topics.contains(&input)
    };
    assert!(since.any(wakes), "it was not woken");
}

/// The files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Every file of a stopped application, missing, cut to half, or with one byte flipped: the next
/// run goes on exactly. Kinds of files repeat, so of each kind one file stands for all.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_directory_is_rebuilt_and_counts_stay_exact() {
    let mut place = Place::new("damaged", 1, 1);
    let dir = place.app.state_dir().join(&place.app.id);
    let run = |place: &Place| place.streams(count_by_key(), place.app.state_dir(), &[]);
    let app = run(&place);
    let app = start(app).await;
    place.feed(200);
    place.await_exact();
    stop(&app).await;
    let mut kinds: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in files(&dir) {
        let name = file.strip_prefix(&dir).unwrap().display().to_string();
        let kind: String = name.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        kinds.insert(kind, PathBuf::from(name));
    }
    assert!(kinds.len() >= 8, "{kinds:?}");
    for (kind, name) in kinds {
        for damage in ["missing", "half", "flipped"] {
            // Names change when stores are rebuilt: the first of the same kind then.
            let is_kind = |f: &&PathBuf| {
                let name = f.strip_prefix(&dir).unwrap().display().to_string();
                name.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).eq(kind.chars())
            };
            let all = files(&dir);
            let at = dir.join(&name);
            let Some(file) = all.iter().find(|f| **f == at).or_else(|| all.iter().find(is_kind))
            else {
                continue;
            };
            let mut bytes = fs::read(file).unwrap();
            match damage {
                "missing" => fs::remove_file(file).unwrap(),
                "half" => fs::write(file, &bytes[..bytes.len() / 2]).unwrap(),
                _ if bytes.is_empty() => continue,
                _ => {
                    let used = bytes.iter().rposition(|b| *b != 0).map_or(1, |at| at + 1);
                    bytes[used / 2] ^= 0x55;
                    fs::write(file, bytes).unwrap();
                }
            }
            let app = run(&place);
            let app = start(app).await;
            place.feed(50);
            wait_until(&format!("exact counts after {} {damage}", file.display()), || {
                place.counts() == place.sent
            });
            stop(&app).await;
        }
    }
}

/// Writes out what a stopped application's journal holds, and gives its largest table.
fn write_out(stores: &Path, keyspace: &str) -> PathBuf {
    let options = FjallOptions { max_journal_bytes: 1, ..FjallOptions::default() };
    let backend = FjallBackend::open(stores, &options).unwrap();
    backend.keyspace(keyspace).unwrap();
    backend.keyspace("extra").unwrap();
    let mut batch = WriteBatch::default();
    batch.put("extra", b"key", b"value");
    backend.commit(&batch).unwrap();
    let tables = || -> Vec<PathBuf> {
        let all = files(&stores.join("keyspaces")).into_iter();
        all.filter(|f| f.parent().unwrap().ends_with("tables")).collect()
    };
    let size = |f: &PathBuf| fs::metadata(f).map_or(0, |m| m.len());
    wait_until("a table", || tables().iter().any(|f| size(f) > 20_000));
    drop(backend);
    tables().into_iter().max_by_key(size).unwrap()
}

/// Opening reads the first block of a table alone, so this shows when a key is looked up.
#[tokio::test(flavor = "multi_thread")]
async fn damage_that_a_look_up_finds_is_mended_while_running() {
    let mut place = Place::new("block", 1, 1);
    let run = |place: &Place| place.streams(count_by_key(), place.app.state_dir(), &[]);
    let words = || (0..4000).map(|n| format!("word{:x}", n * 7_654_321_u64));
    let app = run(&place);
    let app = start(app).await;
    place.send(words());
    place.await_exact();
    stop(&app).await;
    let stores = place.app.state_dir().join(&place.app.id).join("stores");
    let table = write_out(&stores, "counts-0");
    let mut bytes = fs::read(&table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&table, bytes).unwrap();
    let app = run(&place);
    let app = start(app).await;
    assert!(table.exists(), "the opening found it: then this tests nothing");
    place.send(words());
    place.await_exact();
    assert_eq!(app.state(), ClientState::Running);
    stop(&app).await;
    drop(app);
    let app = run(&place);
    let app = start(app).await;
    place.send(words().take(10));
    place.await_exact();
    stop(&app).await;
    assert!(!table.exists(), "the damaged table is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_with_the_directory_and_left_as_it_was() {
    let mut place = Place::new("disk-full", 1, 1);
    let run = |place: &Place| place.streams(count_by_key(), place.app.state_dir(), &[]);
    let app = run(&place);
    let app = start(app).await;
    place.feed(200);
    place.await_exact();
    stop(&app).await;
    // Every write there fails with ENOSPC.
    let dir = place.app.state_dir().join(&place.app.id);
    let opening = dir.join("stores-opening");
    std::os::unix::fs::symlink("/dev/full", &opening).unwrap();
    let error = run(&place).start().await.unwrap_err();
    assert!(matches!(error, StreamsError::StateDir { .. }), "{error:?}");
    assert_tells(&error, &[&dir.display().to_string(), "No space left"]);
    fs::remove_file(&opening).unwrap();
    assert!(dir.join("stores/version").exists(), "the stores were thrown away");
    let app = run(&place);
    let app = start(app).await;
    place.feed(100);
    place.await_exact();
    stop(&app).await;
}

/// A process that may write files of some hundred KiB: the journal's next record fails with EFBIG,
/// where a full disk has ENOSPC.
#[test]
fn a_disk_that_fills_up_stops_with_its_directory_and_the_next_run_is_exact() {
    let mut place = Place::new("filling", 1, 1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let once = |place: &mut Place, words: usize| {
        let app = place.word_count(&[]);
        let app = runtime.block_on(start(app));
        place.feed(words);
        place.await_exact();
        runtime.block_on(stop(&app));
    };
    once(&mut place, 100);
    let long = "x".repeat(2000);
    place.send((0..1500).map(|n| format!("{long}{n}")));
    let state_dir = place.app.state_dir().display().to_string();
    let child = Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_instance"))
        .args(["--bootstrap-servers", place.broker.bootstrap_servers()])
        .args(["--application-id", &place.app.id, "--job", "word_count"])
        .args(["--input", "in", "--output", "out", "--state-dir", &state_dir])
        .args(["--set", "processing.guarantee=exactly_once"])
        .env("RUST_LOG", "warn")
        .env("RUST_LIB_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its input stays open until it has ended by itself: the end of it would end the process.
    let output = wait_for(child);
    assert!(!output.status.success(), "it went on without a disk");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("state backend fjall"), "{told}");
    assert!(told.contains(&state_dir), "{told}");
    once(&mut place, 100);
}

/// Waits for the end of a process, and kills it where that does not come.
fn wait_for(mut child: Child) -> Output {
    let stdin = child.stdin.take();
    let id = child.id().to_string();
    let (ended, end) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if end.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-KILL", &id]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop((ended, stdin));
    watchdog.join().unwrap();
    output
}

// ---- Topics that change ----

async fn grow(place: &mut Place, to: usize) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", place.broker.bootstrap_servers())
        .create()
        .unwrap();
    let grown =
        admin.create_partitions([&NewPartitions::new("in", to)], &AdminOptions::new()).await;
    assert!(grown.unwrap().iter().all(Result::is_ok));
    place.partitions = to as i32;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_gains_partitions_is_named_while_running_and_at_a_restart() {
    let mut place = Place::new("grown", 1, 2);
    let settings = [("consumer.topic.metadata.refresh.interval.ms", "500")];
    let app = place.streams(count_by_key(), place.app.state_dir(), &settings);
    let app = start(app).await;
    place.feed(100);
    place.await_exact();
    grow(&mut place, 3).await;
    await_state(&app, ClientState::Error).await;
    let error = app.shutdown().await.unwrap_err();
    let StreamsError::PartitionCount { topic, expected, actual } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (&**topic, *expected, *actual),
        (&*format!("{}-counts-changelog", place.app.id), 3, 2)
    );
    let app = place.streams(count_by_key(), place.app.state_dir(), &settings);
    let error = app.start().await.unwrap_err();
    assert!(matches!(error, StreamsError::PartitionCount { .. }), "{error:?}");
    assert_eq!(place.counts(), place.sent, "nothing was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changelog_deleted_while_running_ends_in_an_error_that_names_it() {
    let mut place = Place::new("deleted", 1, 1);
    let app = place.streams(count_by_key(), place.app.state_dir(), &[]);
    let app = start(app).await;
    place.feed(100);
    place.await_exact();
    let changelog = format!("{}-counts-changelog", place.app.id);
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", place.broker.bootstrap_servers())
        .create()
        .unwrap();
    let deleted = admin.delete_topics(&[&changelog], &AdminOptions::new()).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    let before = place.counts();
    place.feed(100);
    let deadline = Instant::now() + Duration::from_secs(150);
    while app.state() != ClientState::Error {
        assert!(Instant::now() < deadline, "it neither goes on nor says why: {}", app.state());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let error = app.shutdown().await.unwrap_err();
    assert_tells(&error, &[&changelog]);
    assert_eq!(place.counts(), before, "what the changelog lacks was told");
}
