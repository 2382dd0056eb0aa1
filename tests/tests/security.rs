//! TLS, SASL/SCRAM and rights, on Apache Kafka with an authoriser that denies what is not granted.
//!
//! Run with `cargo test -p oncestream-tests --features ssl --test security -- --include-ignored`;
//! needs a JDK, Maven once, and OpenSSL's headers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oncestream::config::StreamsConfigBuilder;
use oncestream::prelude::*;
use oncestream::reset::{ApplicationReset, Notice, ResetError, To};
use oncestream::{ConnectionFault, Resource};
use oncestream_testkit::KafkaCluster;
use oncestream_tests::java::Java;
use oncestream_tests::kafka::{
    Isolation, client, committed, consumer, create_topics, eventually, kafka, read_committed,
    use_kafka,
};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

const LIMIT: Duration = Duration::from_secs(60);
/// Begins every password, and must be nowhere in what is logged or told.
const SECRET: &str = "hunter2-";

/// A right, with `{id}` for the application's id: resource, pattern, name, operation.
type Right = (&'static str, &'static str, &'static str, &'static str);

/// What the documentation lists, for an application that reads `in` and writes `out`.
const RIGHTS: [Right; 9] = [
    ("TOPIC", "LITERAL", "in", "READ"),
    ("TOPIC", "LITERAL", "out", "WRITE"),
    ("TOPIC", "PREFIXED", "{id}-", "CREATE"),
    ("TOPIC", "PREFIXED", "{id}-", "READ"),
    ("TOPIC", "PREFIXED", "{id}-", "WRITE"),
    ("TOPIC", "PREFIXED", "{id}-", "DELETE"),
    ("GROUP", "LITERAL", "{id}", "READ"),
    ("TRANSACTIONAL_ID", "PREFIXED", "{id}-", "WRITE"),
    ("TOPIC", "PREFIXED", "{id}-", "DESCRIBE_CONFIGS"),
];

/// A user who lacks one right, what he has in its place, and what the error must name.
struct Case {
    user: &'static str,
    lacks: usize,
    instead: Option<Right>,
    tells: (Resource, &'static str, &'static str),
}

const fn case(
    user: &'static str,
    lacks: usize,
    instead: Option<Right>,
    tells: (Resource, &'static str, &'static str),
) -> Case {
    Case { user, lacks, instead, tells }
}

const CASES: [Case; 9] = [
    case("source", 0, None, (Resource::Topic, "in", "Read")),
    case(
        "sourceseen",
        0,
        Some(("TOPIC", "LITERAL", "in", "DESCRIBE")),
        (Resource::Topic, "in", "Read"),
    ),
    case("sink", 1, None, (Resource::Topic, "out", "Write")),
    case(
        "sinkseen",
        1,
        Some(("TOPIC", "LITERAL", "out", "DESCRIBE")),
        (Resource::Topic, "out", "Write"),
    ),
    case("create", 2, None, (Resource::Topic, "create-", "Create")),
    case("internalread", 3, None, (Resource::Topic, "internalread-", "Read")),
    case("internalwrite", 4, None, (Resource::Topic, "internalwrite-", "Write")),
    case("group", 6, None, (Resource::Group, "group", "Read")),
    case("transactions", 7, None, (Resource::TransactionalId, "transactions-", "Write")),
];
/// All rights; all but the one that only costs room; all but the one that only checks.
const FULL: &str = "full";
const HOARDER: &str = "hoarder";
const BLIND: &str = "blind";
/// All rights, for an application of its own.
const QUIET: &str = "quiet";
/// What a reset needs, for an application that reads `in`.
const RESET_RIGHTS: [Right; 3] = [
    ("TOPIC", "LITERAL", "in", "READ"),
    ("TOPIC", "PREFIXED", "{id}-", "DELETE"),
    ("GROUP", "LITERAL", "{id}", "READ"),
];
const RESET_CASES: [Case; 5] = [
    case("resetinput", 0, None, (Resource::Topic, "in", "Read")),
    case(
        "resetinputseen",
        0,
        Some(("TOPIC", "LITERAL", "in", "DESCRIBE")),
        (Resource::Topic, "in", "Read"),
    ),
    case("resetinternal", 1, None, (Resource::Topic, "resetinternal-", "Delete")),
    case(
        "resetinternalseen",
        1,
        Some(("TOPIC", "PREFIXED", "{id}-", "DESCRIBE")),
        (Resource::Topic, "resetinternalseen-", "Delete"),
    ),
    case("resetgroup", 2, None, (Resource::Group, "resetgroup", "Read")),
];
/// May reset its application and nothing else.
const RESETTER: &str = "resetter";
const DELETE: usize = 5;
const DESCRIBE_CONFIGS: usize = 8;

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Kafka with topics, records, users and rights; and what is logged from then on.
static READY: LazyLock<Logged> = LazyLock::new(|| {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("trace"))
        .with_ansi(false)
        .with_writer(move || writer.clone());
    subscriber.init();
    use_kafka(KafkaCluster::builder().secured().start().unwrap());
    create_topics(&["in", "out"], 2);
    let producer: BaseProducer = client().create().unwrap();
    for partition in 0..2 {
        let record: BaseRecord<'_, str, str> =
            BaseRecord::to("in").partition(partition).payload("a b a");
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(LIMIT).unwrap();

    let mut lines = String::new();
    user(&mut lines, &RIGHTS, FULL, None, None);
    user(&mut lines, &RIGHTS, HOARDER, Some(DELETE), None);
    user(&mut lines, &RIGHTS, BLIND, Some(DESCRIBE_CONFIGS), None);
    user(&mut lines, &RIGHTS, QUIET, None, None);
    user(&mut lines, &RESET_RIGHTS, RESETTER, None, None);
    for (cases, rights) in [(&CASES[..], &RIGHTS[..]), (&RESET_CASES, &RESET_RIGHTS)] {
        for case in cases {
            user(&mut lines, rights, case.user, Some(case.lacks), case.instead);
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/security");
    Java::compile(&folder).run("Rights", &[kafka().bootstrap_servers()], &lines).succeeded();
    logged
});

/// Made in a thread of its own: what makes topics blocks, which a thread of tokio's may not.
fn ready() -> Logged {
    std::thread::spawn(|| LazyLock::force(&READY).clone()).join().unwrap()
}

fn user(
    lines: &mut String,
    rights: &[Right],
    name: &str,
    lacks: Option<usize>,
    instead: Option<Right>,
) {
    writeln!(lines, "user {name} {SECRET}{name}").unwrap();
    let kept = rights.iter().enumerate().filter(|(at, _)| Some(*at) != lacks);
    for (resource, pattern, thing, operation) in kept.map(|(_, right)| *right).chain(instead) {
        let thing = thing.replace("{id}", name);
        writeln!(lines, "grant {name} {resource} {pattern} {thing} {operation}").unwrap();
    }
}

/// An application whose id is its user's name.
fn config(user: &str, state_dir: &Path) -> StreamsConfigBuilder {
    let settings = [
        ("security.protocol", "SASL_SSL".to_owned()),
        ("ssl.ca.location", kafka().authority().unwrap().display().to_string()),
        ("sasl.mechanism", "SCRAM-SHA-512".to_owned()),
        ("sasl.username", user.to_owned()),
        ("sasl.password", format!("{SECRET}{user}")),
        ("repartition.purge.interval.ms", "100".to_owned()),
        // What librdkafka itself says of settings and logins, at its most talkative.
        ("admin.debug", "all".to_owned()),
        ("consumer.debug", "conf,security,broker".to_owned()),
        ("producer.debug", "conf,security,broker,eos".to_owned()),
    ];
    let base = StreamsConfig::builder(user, kafka().secure_servers().unwrap())
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .state_dir(state_dir);
    settings.iter().fold(base, |config, (key, value)| config.set(key, value).unwrap())
}

fn word_count() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>("in")
        .flat_map_values(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("counts")
        .to_stream()
        .to("out");
    builder.build().unwrap()
}

/// An application that has read two records, and has what it keeps: an internal topic, offsets.
/// Made by who may do everything.
fn has_run(user: &str) -> String {
    let changelog = format!("{user}-counts-changelog");
    create_topics(&[&changelog], 2);
    let consumer: BaseConsumer = client().set("group.id", user).create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..2 {
        list.add_partition_offset("in", partition, Offset::Offset(1)).unwrap();
    }
    consumer.commit(&list, CommitMode::Sync).unwrap();
    changelog
}

/// The first offset of the group on `in`.
fn first_committed(group: &str) -> Option<i64> {
    committed(&consumer(group, Isolation::Committed), "in")[0]
}

fn is_there(topic: &str) -> bool {
    let all = consumer("looks", Isolation::Committed).fetch_metadata(None, LIMIT).unwrap();
    all.topics().iter().any(|t| t.name() == topic)
}

/// A reset by a user, who names the internal topic or leaves it to be found.
async fn reset_by(user: &str, named: Option<&str>) -> Result<Vec<Notice>, ResetError> {
    let state = tempfile::tempdir().unwrap();
    let config = config(user, state.path()).build().unwrap();
    let mut reset = ApplicationReset::new(config).input_topic("in", To::Earliest);
    if let Some(topic) = named {
        reset = reset.internal_topic(topic);
    }
    let plan = reset.plan().await?;
    let notices = plan.notices().to_vec();
    plan.execute().await?;
    Ok(notices)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka from Maven and OpenSSL's headers"]
async fn a_reset_needs_the_listed_rights_alone_and_names_each_that_is_missing() {
    let _logged = ready();
    let blocking = tokio::task::spawn_blocking(|| has_run(RESETTER));
    let changelog = blocking.await.unwrap();
    assert_eq!(reset_by(RESETTER, None).await.unwrap(), []);
    assert_eq!((first_committed(RESETTER), is_there(&changelog)), (Some(0), false));

    for case in &RESET_CASES {
        let changelog = tokio::task::spawn_blocking(|| has_run(case.user)).await.unwrap();
        let error = reset_by(case.user, Some(&changelog)).await.unwrap_err();
        let ResetError::Streams(error) = error else { panic!("{}: {error}", case.user) };
        let StreamsError::NotAuthorized { resource, name, operation } = *error else {
            panic!("{}: {error}", case.user)
        };
        let (wanted, begins, right) = case.tells;
        assert_eq!((resource, operation), (wanted, right), "{}", case.user);
        assert!(name.starts_with(begins), "{}: {name}", case.user);
        // Nothing was changed.
        assert_eq!((first_committed(case.user), is_there(&changelog)), (Some(1), true));
    }
    // What is not seen cannot be named by anyone, but that it is not seen is told.
    let notices = reset_by("resetinternal", None).await.unwrap();
    assert_eq!(notices, [Notice::InternalTopicsHidden]);
}

/// What an application ends with that does not stay up; `None` if it is up after all.
async fn outcome(config: StreamsConfigBuilder) -> (Option<StreamsError>, Duration) {
    let started = Instant::now();
    let streams = Streams::builder(word_count(), config.build().unwrap()).start().await;
    let streams = match streams {
        Ok(streams) => streams,
        Err(error) => return (Some(error), started.elapsed()),
    };
    let mut changes = streams.state_changes();
    // What it gives locks the state: not beyond this line.
    let ended =
        tokio::time::timeout(LIMIT, changes.wait_for(|s| *s == ClientState::Error)).await.is_ok();
    let elapsed = started.elapsed();
    let error = streams.shutdown().await.err();
    assert!(ended && error.is_some(), "it is still up after {elapsed:?}: {error:?}");
    (error, elapsed)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka from Maven and OpenSSL's headers"]
async fn a_word_count_runs_exactly_once_with_the_listed_rights_alone() {
    let logged = ready();
    for user in [FULL, HOARDER, BLIND] {
        let state = tempfile::tempdir().unwrap();
        let before = read_committed("out").len();
        let config = config(user, state.path()).build().unwrap();
        let streams = Streams::builder(word_count(), config).start().await.unwrap();
        // The topics of this user, named in a complaint about each right.
        let complains = |of: &str| {
            let text = logged.text();
            text.lines().any(|l| l.contains(of) && l.contains(&format!("\"{user}-counts-")))
        };
        let (delete, describe) =
            ("right Delete on it; it grows until", "grant the right DescribeConfigs");
        eventually("the counts of both words", LIMIT, || {
            let counts = read_committed("out").split_off(before);
            ["a", "b"].iter().all(|word| {
                let count: i64 = if *word == "a" { 4 } else { 2 };
                counts.iter().any(|r| {
                    r.key.as_deref() == Some(word.as_bytes())
                        && r.value.as_deref() == Some(&count.to_be_bytes())
                })
            })
        });
        if user == HOARDER {
            eventually("the warning", LIMIT, || complains(delete));
        }
        streams.shutdown().await.unwrap();
        assert_eq!(complains(delete), user == HOARDER, "{user}");
        assert_eq!(complains(describe), user == BLIND, "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka from Maven and OpenSSL's headers"]
async fn each_missing_right_ends_in_an_error_that_names_it() {
    let _logged = ready();
    let mut wrong = Vec::new();
    for case in &CASES {
        let state = tempfile::tempdir().unwrap();
        let (error, elapsed) = outcome(config(case.user, state.path())).await;
        println!("{}: {elapsed:?}: {}", case.user, error.as_ref().unwrap());
        let told = match &error {
            Some(StreamsError::NotAuthorized { resource, name, operation, .. }) => {
                let (wanted, begins, right) = case.tells;
                *resource == wanted && name.starts_with(begins) && *operation == right
            }
            _ => false,
        };
        if !told {
            wrong.push(format!("{}: {error:?}", case.user));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka from Maven and OpenSSL's headers"]
async fn a_refused_connection_is_told_with_its_cause_and_soon() {
    let _logged = ready();
    let state = tempfile::tempdir().unwrap();
    for (key, value, wanted) in [
        ("sasl.password", format!("{SECRET}mistyped"), ConnectionFault::Authentication),
        // The authorities of the system have not signed it.
        ("ssl.ca.location", "probe".to_owned(), ConnectionFault::Tls),
        ("security.protocol", "SASL_PLAINTEXT".to_owned(), ConnectionFault::Protocol),
        ("security.protocol", "PLAINTEXT".to_owned(), ConnectionFault::Protocol),
    ] {
        let config = config(FULL, state.path()).set(key, &value).unwrap();
        let (error, elapsed) = outcome(config).await;
        println!("{key}: {elapsed:?}: {}", error.as_ref().unwrap());
        assert!(elapsed < Duration::from_secs(30), "{key}: {elapsed:?}");
        let Some(StreamsError::ConnectionRefused { fault, reason, .. }) = &error else {
            panic!("{key}: {error:?}");
        };
        assert_eq!(*fault, wanted, "{key}: {error:?}");
        assert!(!reason.is_empty());
        assert!(!format!("{error:?} {}", error.as_ref().unwrap()).contains(SECRET));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka from Maven and OpenSSL's headers"]
async fn no_password_is_logged_while_clients_log_in() {
    let logged = ready();
    let state = tempfile::tempdir().unwrap();
    let wrong = config(FULL, state.path()).set("sasl.password", &format!("{SECRET}x")).unwrap();
    outcome(wrong).await;
    let quiet = config(QUIET, state.path()).build().unwrap();
    let streams = Streams::builder(word_count(), quiet).start().await.unwrap();
    let mut changes = streams.state_changes();
    let running = changes.wait_for(|s| *s == ClientState::Running);
    tokio::time::timeout(LIMIT, running).await.unwrap().unwrap();
    streams.shutdown().await.unwrap();
    let text = logged.text();
    let line = text.lines().find(|line| line.contains(SECRET));
    assert_eq!(line, None);
    // The capture works, and has the lines in which a secret would be: those of the clients.
    for seen in ["SCRAM-SHA-512", "sasl.password", QUIET, "librdkafka"] {
        assert!(text.contains(seen), "{seen} is not logged");
    }
}
