//! Bad input of every kind: a typed error that names the thing and says what to do, and nothing
//! of it visible in any topic.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use oncestream::config::ConfigError;
use oncestream::prelude::*;
use oncestream::{TaskError, Topics, TopologyError};
use oncestream_tests::application::*;

/// No commit is due before the error.
const LATE: [(&str, &str); 2] =
    [("commit.interval.ms", "30000"), ("transaction.timeout.ms", "40000")];
/// Well below `transaction.timeout.ms`: an abort was asked for, not waited for.
const SETTLED: Duration = Duration::from_secs(20);

fn number(n: i64) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

/// Passes numbers through.
fn numbers(input: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<Option<String>, i64>(input).to(output);
    builder.build().unwrap()
}

/// Passes the numbers 1, 2 and so on through, and holds `last` back until those before it are in
/// the output topic, committed or not. Without this a bad record could stop the application
/// before there is anything to hide.
fn numbers_written_before(last: i64, input: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    let written = output.to_owned();
    builder
        .stream::<Option<String>, i64>(input)
        .map_values(move |n| {
            if n == last {
                let end = || offsets(&written, "read_uncommitted")[0].1;
                wait_until("the records before", || end() >= last - 1);
            }
            assert!(n >= 0, "{n} is not welcome here");
            n
        })
        .to(output);
    builder.build().unwrap()
}

fn counting(input: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(input)
        .group_by(|_, v| v.clone())
        .count("counts")
        .to_stream()
        .to(output);
    builder.build().unwrap()
}

// ---- Topologies ----

#[test]
fn a_name_used_twice_is_told_with_its_kind() {
    let builder = StreamsBuilder::new();
    let words = builder.stream::<String, String>("in").group_by_key();
    words.count("counts");
    words.count("counts");
    let error = builder.build().unwrap_err();
    assert!(matches!(error, TopologyError::DuplicateName { kind: "store", .. }), "{error:?}");
    assert_tells(&error, &["store", "`counts`", "another name"]);
}

#[test]
fn a_topic_that_is_read_twice_in_two_ways_is_told_with_the_difference() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("in").to("a");
    builder.stream::<String, i64>("in").to("b");
    let error = builder.build().unwrap_err();
    assert!(matches!(error, TopologyError::SourcesDiffer { .. }), "{error:?}");
    assert_tells(&error, &["`in`", "value type", "`alloc::string::String`", "`i64`", "give both"]);
}

#[test]
fn a_cycle_is_told_with_its_path() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("in").map_values(|v| v + "!").to("in");
    let error = builder.build().unwrap_err();
    assert!(matches!(error, TopologyError::Cycle { .. }), "{error:?}");
    assert_tells(&error, &["cycle", "KSTREAM-SINK", "->", "a topic that it does not read"]);
}

#[test]
fn a_topology_without_a_source_is_refused() {
    let error = StreamsBuilder::new().build().unwrap_err();
    assert_eq!(error, TopologyError::NoSource);
    assert_tells(&error, &["no source", "stream()", "table()"]);
}

#[test]
fn a_pattern_that_is_no_regular_expression_is_refused() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>(Topics::pattern("in-(a|b")).to("out");
    let error = builder.build().unwrap_err();
    assert!(matches!(error, TopologyError::InvalidPattern { .. }), "{error:?}");
    assert_tells(&error, &["`in-(a|b`", "not a regular expression", "unclosed group"]);
}

// ---- Configuration ----

/// The first program that a doc comment or a README has, without comments and blanks.
fn first_program(text: &str) -> String {
    let lines = text.lines().map(|line| line.strip_prefix("//! ").unwrap_or(line));
    let begins = |line: &&str| line.starts_with("```") && line.ends_with("no_run");
    let program = lines.skip_while(|line| !begins(line)).skip(1);
    let code = program.take_while(|line| !line.starts_with("```"));
    code.map(|line| line.split("  //").next().unwrap_or(line).trim())
        .filter(|line| !line.is_empty() && *line != "//!")
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_readmes_program_prints_an_error_as_a_sentence() {
    // The crate's documentation has the same program.
    let program = first_program(include_str!("../../../README.md"));
    assert_eq!(program, first_program(include_str!("../../../src/lib.rs")));
    assert!(program.contains("async fn main() -> anyhow::Result<()> {"), "{program}");
    // When `main` returns an error, the standard library prints its `Debug`.
    let main = || -> anyhow::Result<()> {
        StreamsConfig::from_properties("application.id = a")?;
        Ok(())
    };
    // A backtrace comes after it only for who has asked for one.
    let printed = |error: anyhow::Error| {
        let all = format!("{error:?}");
        all.split("\n\nStack backtrace:").next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        printed(main().unwrap_err()),
        "`bootstrap.servers` is required, because it has no default; set it"
    );
    let error = StreamsError::from(ConfigError::Missing { key: "application.id" });
    assert_eq!(
        printed(error.into()),
        "`application.id` is required, because it has no default; set it"
    );
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_one() {
    let set = StreamsConfig::builder("app", "localhost:9092").set("commit.intervall.ms", "100");
    let error = set.expect_err("it was taken");
    assert!(matches!(error, ConfigError::UnknownKey { .. }), "{error:?}");
    assert_tells(&error, &["`commit.intervall.ms`", "did you mean `commit.interval.ms`"]);
}

#[test]
fn a_contradiction_is_told_with_both_keys_and_values() {
    let error = StreamsConfig::builder("app", "localhost:9092")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .set("commit.interval.ms", "20000")
        .unwrap()
        .set("transaction.timeout.ms", "10000")
        .unwrap()
        .build()
        .expect_err("it was taken");
    assert!(matches!(error, ConfigError::Contradiction { .. }), "{error:?}");
    assert_tells(
        &error,
        &["`transaction.timeout.ms` (10000)", "above `commit.interval.ms` (20000)", "abort"],
    );
}

// ---- The state directory ----

#[tokio::test]
async fn a_state_directory_below_a_file_is_refused() {
    let dir = new_dir();
    let file = dir.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let app = Application::new("unwritable");
    let config = app.config_at("127.0.0.1:9", &file.join("state"));
    let error = refused(streams(numbers("in", "out"), config, &[])).await;
    assert!(matches!(error, StreamsError::StateDir { .. }), "{error:?}");
    assert_tells(&error, &["state directory", "a-file/state", "permissions"]);
}

/// The lock is the system's `flock`, so that program stands for another process.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_state_directory_of_another_process_is_refused() {
    let app = Application::new("locked");
    let dir = app.state_dir().join(&app.id);
    std::fs::create_dir_all(&dir).unwrap();
    let mut other = Command::new("flock")
        .args(["--exclusive", "--no-fork"])
        .arg(dir.join("lock"))
        .args(["cat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let lock = dir.join("lock");
    wait_until("the lock", || {
        let tried = Command::new("flock").arg("--nonblock").arg(&lock).arg("true").status();
        !tried.unwrap().success()
    });
    let config = app.config_at("127.0.0.1:9", app.state_dir());
    let error = refused(streams(numbers("in", "out"), config, &[])).await;
    drop(other.stdin.take());
    other.wait().unwrap();
    assert!(matches!(error, StreamsError::StateDirInUse { .. }), "{error:?}");
    assert_tells(&error, &[dir.to_str().unwrap(), "in use", "its own state.dir"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_is_used_by_one_application_at_a_time() {
    let app = Application::new("twice");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let first = app.streams(numbers(&input, &output), &[]);
    let first = start(first).await;
    let error = refused(app.streams(numbers(&input, &output), &[])).await;
    assert!(matches!(error, StreamsError::StateDirInUse { .. }), "{error:?}");
    assert_tells(&error, &[app.state_dir().to_str().unwrap(), "its own state.dir"]);
    stop(&first).await;
    let next = app.streams(numbers(&input, &output), &[]);
    let next = start(next).await;
    stop(&next).await;
}

// ---- Brokers and topics, before any record is touched ----

#[tokio::test]
async fn a_broker_that_cannot_be_reached_is_told_in_time() {
    // A port that no broker of another test can get.
    let servers = "127.0.0.1:1";
    let app = Application::new("unreachable");
    let started = Instant::now();
    let config = app.config_at(servers, app.state_dir());
    let error = refused(streams(numbers("in", "out"), config, &[])).await;
    assert!(started.elapsed() < DEADLINE, "{:?}", started.elapsed());
    assert!(matches!(error, StreamsError::BrokerUnreachable { .. }), "{error:?}");
    assert_tells(&error, &["no broker", servers, "bootstrap.servers"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_topic_that_does_not_exist_is_named() {
    let app = Application::new("no-source");
    let output = app.create("out", 1).await;
    let input = app.topic("in");
    let error = refused(app.streams(numbers(&input, &output), &[])).await;
    let StreamsError::Topology(TopologyError::MissingSourceTopic { topic }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*topic, input);
    assert_tells(&error, &[&input, "does not exist", "create it"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_topic_that_does_not_exist_is_named() {
    let app = Application::new("no-sink");
    let input = app.create("in", 1).await;
    let output = app.topic("out");
    let error = refused(app.streams(numbers(&input, &output), &[])).await;
    assert!(matches!(error, StreamsError::MissingSinkTopic { .. }), "{error:?}");
    assert_tells(&error, &[&output, "does not exist", "create it"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_that_are_not_co_partitioned_are_named_with_their_counts() {
    let app = Application::new("co-partitioning");
    let (two, three) = (app.create("two", 2).await, app.create("three", 3).await);
    let output = app.create("out", 1).await;
    let builder = StreamsBuilder::new();
    let other = builder.stream::<String, String>(&three);
    builder
        .stream::<String, String>(&two)
        .merge(&other)
        .group_by_key()
        .count("counts")
        .to_stream()
        .to(&output);
    let error = refused(app.streams(builder.build().unwrap(), &[])).await;
    assert!(
        matches!(error, StreamsError::Topology(TopologyError::NotCopartitioned { .. })),
        "{error:?}"
    );
    let (two, three) = (format!("`{two}` has 2"), format!("`{three}` has 3"));
    assert_tells(&error, &[&two, &three, "same number of partitions", "repartition()"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_topic_with_another_number_of_partitions_is_refused() {
    for kind in ["changelog", "repartition"] {
        let app = Application::new("partitions");
        let (input, output) = (app.create("in", 2).await, app.create("out", 1).await);
        let internal = format!("{}-counts-{kind}", app.id);
        create_topic(&internal, 3, &[]).await;
        let error = refused(app.streams(counting(&input, &output), &[])).await;
        assert!(
            matches!(error, StreamsError::PartitionCount { expected: 2, actual: 3, .. }),
            "{error:?}"
        );
        assert_tells(&error, &[&internal, "has 3 partitions and needs 2", "reset"]);
    }
}

// ---- Records ----

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_deserialised_stops_and_its_transaction_stays_unseen() {
    let app = Application::new("bad-record");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let good: Vec<_> = (1..=10).map(number).collect();
    produce(&input, good.iter().map(|n| (None, Some(&n[..]))).chain([(None, Some(&b"bad"[..]))]));
    let topology = numbers_written_before(10, &input, &output);
    let error = run_to_error(app.streams(topology, &LATE)).await;
    let StreamsError::Task {
        source: TaskError::Deserialize { topic, partition, offset, .. }, ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((topic, *partition, *offset), (&input, 0, 10));
    let place = format!("value of the record in {input}-0 at offset 10");
    assert_tells(&error, &["task 0_0", &place, "deserialization.exception.handler=continue"]);
    assert_settled_within(&output, SETTLED);
    assert!(offsets(&output, "read_uncommitted")[0].1 > 0, "there was nothing to hide");
    assert_eq!(visible(&output), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_handler_continue_a_bad_record_is_skipped_for_good() {
    let app = Application::new("skip");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let (one, two, three) = (number(1), number(2), number(3));
    produce(&input, [(None, Some(&one[..])), (None, Some(b"bad")), (None, Some(&two[..]))]);
    produce(&input, [(None, None), (None, Some(&b"bad"[..]))]);
    let settings = [("deserialization.exception.handler", "continue")];
    let first = app.streams(numbers(&input, &output), &settings);
    let first = start(first).await;
    wait_until("two numbers", || visible(&output).len() == 2);
    stop(&first).await;
    // With the default handler: what was skipped at the end is not read again.
    let second = app.streams(numbers(&input, &output), &[]);
    let second = start(second).await;
    produce(&input, [(None, Some(&three[..]))]);
    wait_until("the third number", || visible(&output).len() >= 3);
    stop(&second).await;
    assert_eq!(visible(&output), [one, two, three].map(|n| (None, Some(n))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_value_where_the_type_has_none_is_a_bad_record() {
    let app = Application::new("null");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    produce(&input, [(Some("k"), None)]);
    let error = run_to_error(app.streams(numbers(&input, &output), &[])).await;
    assert!(
        matches!(
            error,
            StreamsError::Task { source: TaskError::Deserialize { offset: 0, .. }, .. }
        ),
        "{error:?}"
    );
    let place = format!("value of the record in {input}-0 at offset 0");
    assert_tells(&error, &[&place, "null", "Option<i64>"]);
    assert_eq!(visible(&output), []);
}

/// Refused by the client (over `message.max.bytes`) and by the broker (over the topic's
/// `max.message.bytes`).
#[tokio::test(flavor = "multi_thread")]
async fn a_record_too_large_to_produce_stops_and_names_the_topic() {
    for (who, bytes) in [("client", 2_000_000), ("broker", 20_000)] {
        let app = Application::new(&format!("large-{who}"));
        let (input, output) = (app.create("in", 1).await, app.topic("out"));
        create_topic(&output, 1, &[("max.message.bytes", "10000")]).await;
        produce_lines(&input, ["small", "large"]);
        let builder = StreamsBuilder::new();
        builder
            .stream::<Option<String>, String>(&input)
            .map_values(move |v| if v == "large" { "x".repeat(bytes) } else { v })
            .to(&output);
        let streams = app.streams(builder.build().unwrap(), &LATE);
        let error = run_to_error(streams).await;
        let StreamsError::Produce { topic, .. } = &error else { panic!("{who}: {error:?}") };
        assert_eq!(*topic, output);
        assert_tells(&error, &[&output, "max.message.bytes", "producer.message.max.bytes"]);
        assert_settled_within(&output, SETTLED);
        assert_eq!(visible(&output), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_chosen_by_a_record_that_does_not_exist_stops_and_is_named() {
    let app = Application::new("chosen");
    let (input, missing) = (app.create("in", 1).await, app.topic("missing"));
    produce_lines(&input, ["a"]);
    let builder = StreamsBuilder::new();
    let chosen = missing.clone();
    builder
        .stream::<Option<String>, String>(&input)
        .to(Produced::chosen(move |_, _| chosen.clone()));
    let error = run_to_error(app.streams(builder.build().unwrap(), &[])).await;
    let StreamsError::Produce { topic, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*topic, missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_users_function_aborts_and_is_told() {
    let app = Application::new("panic");
    let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
    let records: Vec<_> = [1, 2, 3, -1].map(number).into();
    produce(&input, records.iter().map(|n| (None, Some(&n[..]))));
    let topology = numbers_written_before(3, &input, &output);
    let error = run_to_error(app.streams(topology, &LATE)).await;
    assert!(matches!(error, StreamsError::Panicked { worker: 0, .. }), "{error:?}");
    assert_tells(&error, &["panicked", "-1 is not welcome here", "since its last commit"]);
    assert_settled_within(&output, SETTLED);
    assert!(offsets(&output, "read_uncommitted")[0].1 > 0, "there was nothing to hide");
    assert_eq!(visible(&output), []);
}
