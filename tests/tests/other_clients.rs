//! Clients other than librdkafka on a broker: Apache Kafka's command line tools and Java clients,
//! and franz-go.
//!
//! What they check is the broker, not Oncestream: each body is given an address alone, and runs
//! unchanged on every broker that is declared at the end. Names of topics and groups begin with the
//! client's name, because all bodies may run on one broker at the same time.
//!
//! Run with `cargo test -p oncestream-tests --test other_clients -- --include-ignored`; needs Java
//! with its compiler, Maven once, and Go, which fetches franz-go once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use oncestream_broker::Broker;
use oncestream_testkit::KafkaCluster;
use oncestream_tests::java::Java;
use oncestream_tests::kafka::{LIMIT, eventually};
use oncestream_tests::program::{DEADLINE, Ended, checks_passed, run};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

/// How long `go build` may take, which compiles all of franz-go on a machine that has never done so.
const GO_BUILD: Duration = Duration::from_mins(20);
/// How long the transaction lives that the tools look at, one after the other: the longest that brokers allow
/// by default.
const TRANSACTION_TIMEOUT_MS: &str = "900000";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

// ---- Apache Kafka's command line tools ----

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";
const DELETE_RECORDS: &str = "org.apache.kafka.tools.DeleteRecordsCommand";
const PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const TRANSACTIONS: &str = "org.apache.kafka.tools.TransactionsCommand";

struct Tools<'a> {
    java: Java,
    servers: &'a str,
}

impl<'a> Tools<'a> {
    fn new(servers: &'a str) -> Self {
        Self { java: Java::kafka(), servers }
    }

    /// Runs a tool with arguments that hold no spaces.
    fn run(&self, tool: &str, arguments: &str, stdin: &str) -> Ended {
        let line = format!("--bootstrap-server {} {arguments}", self.servers);
        self.java.run(tool, &line.split_whitespace().collect::<Vec<_>>(), stdin)
    }

    /// What a tool prints, as rows of words, without the empty ones.
    fn rows(&self, tool: &str, arguments: &str) -> Vec<Vec<String>> {
        let stdout = self.run(tool, arguments, "").succeeded();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        stdout.lines().map(words).filter(|row| !row.is_empty()).collect()
    }

    /// The lines of a topic that the console consumer prints, sorted.
    fn consume(&self, topic: &str, count: usize, arguments: &str) -> Vec<String> {
        let arguments = format!(
            "--topic {topic} --from-beginning --max-messages {count} --timeout-ms 60000 {arguments}"
        );
        let stdout = self.run(CONSUMER, &arguments, "").succeeded();
        let mut lines: Vec<String> = stdout.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

/// The rows that begin with these words, without them.
fn after<'a>(rows: &'a [Vec<String>], words: &[&str]) -> Vec<Vec<&'a str>> {
    let found = rows.iter().filter(|row| row.iter().zip(words).all(|(a, b)| a == b));
    found.map(|row| row.iter().skip(words.len()).map(String::as_str).collect()).collect()
}

fn tools_manage_topics(servers: &str) {
    let tools = Tools::new(servers);
    let topic = "tools-topics";
    let create = format!("--create --topic {topic} --partitions 2 --config cleanup.policy=compact");
    let created = tools.run(TOPICS, &create, "").succeeded();
    assert!(created.contains("Created topic tools-topics."), "{created}");
    let again = tools.run(TOPICS, &create, "");
    assert!(!again.status.success(), "{again:?}");
    assert!(again.stdout.contains("Topic 'tools-topics' already exists"), "{again:?}");
    let listed = tools.rows(TOPICS, "--list");
    assert!(listed.contains(&vec![topic.to_owned()]), "{listed:?}");

    tools.run(TOPICS, &format!("--alter --topic {topic} --partitions 3"), "").succeeded();
    let described = tools.run(TOPICS, &format!("--describe --topic {topic}"), "").succeeded();
    for part in ["PartitionCount: 3", "ReplicationFactor: 1", "cleanup.policy=compact"] {
        assert!(described.contains(part), "{part} in {described}");
    }
    for partition in 0..3 {
        let line = format!("Topic: {topic}\tPartition: {partition}\tLeader: ");
        let rest = described.split(&line).nth(1).unwrap_or_else(|| panic!("{line} {described}"));
        let leader = rest.split('\t').next().unwrap();
        assert!(leader.parse::<i32>().is_ok(), "partition {partition} has a leader: {described}");
        assert!(rest.starts_with(&format!("{leader}\tReplicas: {leader}\tIsr: {leader}\t")));
    }

    let entity = format!("--entity-type topics --entity-name {topic}");
    let alter = format!("--alter {entity} --add-config retention.ms=12345,max.message.bytes=2000");
    let altered = tools.run(CONFIGS, &alter, "").succeeded();
    assert!(altered.contains("Completed updating config for topic tools-topics."), "{altered}");
    let delete = format!("--alter {entity} --delete-config cleanup.policy");
    tools.run(CONFIGS, &delete, "").succeeded();
    let settings = tools.run(CONFIGS, &format!("--describe {entity}"), "").succeeded();
    assert!(settings.contains("retention.ms=12345 sensitive=false"), "{settings}");
    assert!(settings.contains("max.message.bytes=2000 sensitive=false"), "{settings}");
    assert!(!settings.contains("cleanup.policy"), "{settings}");
    let wrong = tools.run(CONFIGS, &format!("--alter {entity} --add-config retention.ms=x"), "");
    assert!(!wrong.status.success(), "{wrong:?}");
    assert!(format!("{wrong:?}").contains("InvalidConfigurationException"), "{wrong:?}");

    tools.run(TOPICS, &format!("--delete --topic {topic}"), "").succeeded();
    let gone = tools.run(TOPICS, &format!("--describe --topic {topic}"), "");
    assert!(!gone.status.success(), "{gone:?}");
    assert!(format!("{gone:?}").contains("does not exist as expected"), "{gone:?}");
}

fn tools_produce_consume_and_manage_groups(servers: &str) {
    let tools = Tools::new(servers);
    let topic = "tools-console";
    tools.run(TOPICS, &format!("--create --topic {topic} --partitions 2"), "").succeeded();
    let produce = format!(
        "--topic {topic} --compression-codec zstd --reader-property parse.key=true \
         --reader-property key.separator=: --reader-property parse.headers=true"
    );
    let input: Vec<String> =
        (0..10).map(|n| format!("h1:v{n},h2:x\tkey-{n}:value-{n}\n")).collect();
    tools.run(PRODUCER, &produce, &input.concat()).succeeded();
    let read = tools.consume(
        topic,
        10,
        "--group tools-group --isolation-level read_committed --formatter-property print.key=true \
         --formatter-property print.headers=true",
    );
    let expected: Vec<String> =
        (0..10).map(|n| format!("h1:v{n},h2:x\tkey-{n}\tvalue-{n}")).collect();
    assert_eq!(read, expected);

    let ends = tools.rows(OFFSETS, &format!("--topic {topic}"));
    let ends: Vec<i64> = (0..2)
        .map(|p| {
            let of = format!("{topic}:{p}:");
            let row = ends.iter().find_map(|row| row[0].strip_prefix(&of));
            row.unwrap_or_else(|| panic!("{of} in {ends:?}")).parse().unwrap()
        })
        .collect();
    assert_eq!(ends.iter().sum::<i64>(), 10);
    assert!(ends.iter().all(|end| *end > 0), "both partitions have records: {ends:?}");

    let lags = |committed: [i64; 2]| {
        let rows = tools.rows(GROUPS, "--describe --group tools-group");
        for (partition, (now, end)) in committed.iter().zip(&ends).enumerate() {
            let row = ["tools-group", topic, &partition.to_string()].map(str::to_owned);
            // The committed offset, the end and the lag.
            let numbers = [*now, *end, end - now].map(|number| number.to_string());
            let expected = [row, numbers].concat();
            assert!(rows.iter().any(|row| row.starts_with(&expected)), "{expected:?} in {rows:?}");
        }
    };
    lags([ends[0], ends[1]]);
    let reset = format!("--reset-offsets --group tools-group --topic {topic} --to-earliest");
    tools.run(GROUPS, &format!("{reset} --execute"), "").succeeded();
    lags([0, 0]);
    a_group_in_use_is_described_and_kept(&tools, topic);

    tools.run(GROUPS, "--delete --group tools-group", "").succeeded();
    let listed = tools.rows(GROUPS, "--list");
    assert!(after(&listed, &["tools-group"]).is_empty(), "{listed:?}");

    let file = tempfile::NamedTempFile::new().unwrap();
    let offsets =
        format!(r#"{{"version":1,"partitions":[{{"topic":"{topic}","partition":0,"offset":1}}]}}"#);
    std::fs::write(file.path(), offsets).unwrap();
    let delete = format!("--offset-json-file {}", file.path().display());
    let deleted = tools.run(DELETE_RECORDS, &delete, "").succeeded();
    assert!(deleted.contains("tools-console-0\tlow_watermark: 1"), "{deleted}");
    let starts = tools.rows(OFFSETS, &format!("--topic {topic} --time earliest"));
    assert!(starts.contains(&vec![format!("{topic}:0:1")]), "{starts:?}");
}

fn a_group_in_use_is_described_and_kept(tools: &Tools<'_>, topic: &str) {
    let member: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", tools.servers)
        .set("group.id", "tools-group")
        .set("client.id", "a-member")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    member.subscribe(&[topic]).unwrap();
    eventually("an assignment", LIMIT, || {
        let _ = member.poll(Duration::from_millis(50)).transpose().unwrap();
        member.assignment().unwrap().count() == 2
    });
    let state = tools.rows(GROUPS, "--list --state");
    assert_eq!(after(&state, &["tools-group"]), [["Stable"]], "{state:?}");
    let members = tools.rows(GROUPS, "--describe --members --group tools-group");
    let row = &after(&members, &["tools-group"])[0];
    assert!(row[0].starts_with("a-member-"), "{members:?}");
    assert_eq!(row[2..4], ["a-member", "2"], "client and partitions: {members:?}");
    let refused = tools.run(GROUPS, "--delete --group tools-group", "");
    assert!(format!("{refused:?}").contains("GroupNotEmptyException"), "{refused:?}");
    member.unsubscribe();
}

fn tools_see_transactions(servers: &str) {
    let tools = Tools::new(servers);
    let (topic, id) = ("tools-transactions", "tools-transactions");
    tools.run(TOPICS, &format!("--create --topic {topic} --partitions 1"), "").succeeded();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("transactional.id", id)
        .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
        .create()
        .unwrap();
    let send = |value: &str| {
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::<str, str>::to(topic).payload(value)).unwrap();
        producer.flush(LIMIT).unwrap();
    };
    producer.init_transactions(LIMIT).unwrap();
    send("committed");
    producer.commit_transaction(LIMIT).unwrap();
    send("open");

    let listed = tools.rows(TRANSACTIONS, "list");
    let row = &after(&listed, &[id])[0];
    assert_eq!(row[2], "Ongoing", "{listed:?}");
    let producer_id = row[1];
    let described = tools.rows(TRANSACTIONS, &format!("describe --transactional-id {id}"));
    let words = described.concat();
    for word in ["Ongoing", producer_id, "tools-transactions-0"] {
        assert!(words.iter().any(|found| found == word), "{word} in {described:?}");
    }
    let start = |rows: &[Vec<String>]| rows_end(rows, producer_id);
    let of = format!("describe-producers --topic {topic} --partition 0");
    let producers = tools.rows(TRANSACTIONS, &of);
    // Behind the first record and its marker.
    assert_eq!(start(&producers), "2", "{producers:?}");
    let all = tools.consume(topic, 2, "--isolation-level read_uncommitted");
    assert_eq!(all, ["committed", "open"]);

    let force = format!("forceTerminateTransaction --transactionalId {id}");
    tools.run(TRANSACTIONS, &force, "").succeeded();
    assert!(producer.commit_transaction(LIMIT).is_err(), "its transaction was ended by the tool");
    // The marker may be written after the tool has its answer.
    eventually("the end of the transaction", LIMIT, || {
        start(&tools.rows(TRANSACTIONS, &of)) == "None"
    });
    tools.run(PRODUCER, &format!("--topic {topic}"), "after\n").succeeded();
    let committed = tools.consume(topic, 2, "--isolation-level read_committed");
    assert_eq!(committed, ["after", "committed"]);
}

/// The last word of the row of a producer: where its transaction starts.
fn rows_end(rows: &[Vec<String>], producer_id: &str) -> String {
    let row = rows.iter().find(|row| row[0] == producer_id);
    row.unwrap_or_else(|| panic!("no producer {producer_id}: {rows:?}")).last().unwrap().clone()
}

// ---- Clients in other languages ----

const JAVA_CHECKS: &[&str] = &[
    "committed-and-aborted",
    "last-stable-offset",
    "consume-transform-produce",
    "old-generation",
    "fenced-by-the-same-id",
    "fenced-by-the-admin",
    "idempotent-gzip",
    "idempotent-snappy",
    "idempotent-lz4",
    "idempotent-zstd",
    "cooperative-sticky",
    "static-membership",
    "topics",
    "topic-settings",
    "list-offsets",
    "producers-and-transactions",
    "delete-records",
    "groups",
];

fn java_clients_work(servers: &str) {
    let ended = Java::compile(&folder("java")).run("Main", &[servers], "");
    assert_eq!(checks_passed(&ended.stdout), JAVA_CHECKS, "{}{}", ended.stdout, ended.stderr);
    ended.succeeded();
}

const GO_CHECKS: &[&str] = &[
    "produce-and-consume",
    "two-in-a-group",
    "committed-and-aborted",
    "consume-transform-produce",
    "fenced-by-the-same-id",
];

fn franz_go_works(servers: &str) {
    let target = tempfile::tempdir().unwrap();
    let binary = target.path().join("client");
    let mut build = Command::new("go");
    build.current_dir(folder("go")).arg("build").arg("-o").arg(&binary).arg(".");
    run(build, "", GO_BUILD).succeeded();
    let mut client = Command::new(binary);
    client.arg(servers);
    let ended = run(client, "", DEADLINE);
    assert_eq!(checks_passed(&ended.stdout), GO_CHECKS, "{}{}", ended.stdout, ended.stderr);
    ended.succeeded();
}

// ---- The brokers ----

/// Declares each body as a test on a broker, given its name and an expression for its address.
macro_rules! on_broker {
    ($broker:ident, $servers:expr) => {
        mod $broker {
            #[test]
            #[ignore = "needs Java, and Maven once"]
            fn tools_manage_topics() {
                super::tools_manage_topics($servers);
            }

            #[test]
            #[ignore = "needs Java, and Maven once"]
            fn tools_produce_consume_and_manage_groups() {
                super::tools_produce_consume_and_manage_groups($servers);
            }

            #[test]
            #[ignore = "needs Java, and Maven once"]
            fn tools_see_transactions() {
                super::tools_see_transactions($servers);
            }

            #[test]
            #[ignore = "needs Java with its compiler, and Maven once"]
            fn java_clients_work() {
                super::java_clients_work($servers);
            }

            #[test]
            #[ignore = "needs Go and franz-go; on Apache Kafka also Java, and Maven once"]
            fn franz_go_works() {
                super::franz_go_works($servers);
            }
        }
    };
}

/// Set up as the command `oncestream broker` does it, but for its markers: they come late, so that
/// a check which reads before them fails each time, and not once in a while on a slow machine.
fn embedded() -> &'static str {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    let start = || {
        let builder = Broker::builder().marker_delay(Duration::from_millis(100));
        let builder = builder.setting("auto.create.topics.enable", "true");
        builder.and_then(oncestream_broker::BrokerBuilder::start_blocking).expect("it starts")
    };
    BROKER.get_or_init(start).bootstrap_servers()
}

/// One node, for all tests of this kind.
fn apache() -> &'static str {
    static KAFKA: OnceLock<KafkaCluster> = OnceLock::new();
    KAFKA.get_or_init(|| KafkaCluster::start().expect("Apache Kafka starts")).bootstrap_servers()
}

on_broker!(apache_kafka, crate::apache());
on_broker!(embedded_broker, crate::embedded());
