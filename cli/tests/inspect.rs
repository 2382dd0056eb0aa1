//! `oncestream inspect` and `oncestream snapshot` as a user meets them: tables, JSON for programs, errors
//! that name what is wrong, an end where nobody reads or waits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use oncestream_broker::{Action, Api, Broker, Fault};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

const LIMIT: Duration = Duration::from_mins(1);

fn oncestream(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oncestream"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn done(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = oncestream(arguments).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(status.success() && stderr.is_empty(), "{arguments:?}: {stderr}");
    String::from_utf8(stdout).unwrap()
}

fn refused(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = oncestream(arguments).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!status.success() && stdout.is_empty(), "{arguments:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

fn assert_tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

/// A broker with a transaction of two records that is open in partition 1 of `lines`.
fn open_transaction() -> (Broker, BaseProducer) {
    let broker = Broker::builder().start_blocking().unwrap();
    broker.create_topic("lines", 2).unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap_servers());
    let producer: BaseProducer = config.set("transactional.id", "word-count-0").create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer.begin_transaction().unwrap();
    for _ in 0..2 {
        let record: BaseRecord<'_, str, str> = BaseRecord::to("lines").partition(1).payload("a");
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    (broker, producer)
}

fn snapshot() -> PathBuf {
    let file = "../framework/inspect/tests/data/00000000000000000007.snapshot";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[test]
fn an_open_transaction_is_told_by_its_partition_and_by_its_coordinator() {
    let (broker, _producer) = open_transaction();
    let at = ["--bootstrap-servers", broker.bootstrap_servers()];
    let producers = ["inspect", "producers"];
    let text = done(&[&producers[..], &at, &["--topic", "lines"]].concat());
    assert_tells(&text, &["LAST SEQUENCE", "OPEN SINCE OFFSET", "lines  1 ", "word-count-0"]);
    let text = done(&[&producers[..], &at, &["--json"]].concat());
    let json: Value = serde_json::from_str(&text).unwrap();
    let producer = &json["partitions"][1]["producers"][0];
    assert_eq!(producer["last_sequence"], 1);
    assert_eq!(producer["open"]["start_offset"], 0);
    assert_eq!(producer["open"]["transactional_id"], "word-count-0");
    assert_eq!(json["partitions"][0]["producers"], Value::Array(Vec::new()));
    let text = done(&[&producers[..], &at, &["--topic", "lines", "--partition", "0"]].concat());
    assert_tells(&text, &["No idempotent or transactional producer"]);

    let transactions = ["inspect", "transactions"];
    let text = done(&[&transactions[..], &at].concat());
    assert_tells(&text, &["word-count-0", "Ongoing", "lines-1", "No transaction hangs"]);
    let one = ["--transactional-id", "word-count-0", "--json"];
    let json: Value =
        serde_json::from_str(&done(&[&transactions[..], &at, &one].concat())).unwrap();
    assert_eq!(json["transactions"][0]["state"], "Ongoing");
    assert_eq!(json["transactions"][0]["producer_id"], producer["producer_id"]);
    assert_eq!(json["hanging"], Value::Array(Vec::new()));
}

#[test]
fn a_snapshot_is_shown_field_by_field() {
    let file = snapshot();
    let text = done(&["snapshot", file.to_str().unwrap()]);
    assert_tells(&text, &["before offset 7", "0x352b8fd9", "3 producers", "COORDINATOR EPOCH"]);
    assert_eq!(text.lines().count(), 7, "a title, a head, a row for each\n{text}");
    let json = done(&["snapshot", file.to_str().unwrap(), "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["producers"].as_array().unwrap().len(), 3);
}

#[test]
fn what_is_wrong_is_named() {
    let (broker, _producer) = open_transaction();
    let servers = broker.bootstrap_servers();
    let inspect = |more: &[&str]| {
        let arguments = [&["inspect", "producers", "--bootstrap-server", servers], more].concat();
        refused(&arguments)
    };
    assert_tells(&inspect(&["--topic", "nothing"]), &["`nothing`"]);
    let error = inspect(&["--topic", "lines", "--partition", "2"]);
    assert_tells(&error, &["`lines` has no partition 2"]);
    assert_tells(&inspect(&["--partition", "0"]), &["--topic"]);
    assert_tells(&inspect(&["--topic", "lines", "--partition", "-1"]), &["-1"]);
    assert_tells(&inspect(&["--topics", "lines"]), &["--topic"]);
    let error = refused(&["inspect", "producers", "--bootstrap-server", "127.0.0.1:1"]);
    assert_tells(&error, &["127.0.0.1:1", "cannot connect"]);
    let error = refused(&["inspect", "producers", "--bootstrap-server", "localhost"]);
    assert_tells(&error, &["`localhost`", "host:port"]);
    assert_tells(&refused(&["inspect", "groups"]), &["groups"]);
    assert_tells(&refused(&["snapshot", "/not/there"]), &["/not/there"]);
    assert_tells(&refused(&["snapshot", env!("CARGO_MANIFEST_DIR")]), &["no producer snapshot"]);
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert_tells(&refused(&["snapshot", manifest]), &["no producer snapshot", "version 1"]);
}

#[test]
fn a_configuration_file_is_understood_or_refused_by_its_keys_and_never_quoted() {
    let (broker, _producer) = open_transaction();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("client.properties");
    let run = |text: &str, more: &[&str]| {
        fs::write(&file, text).unwrap();
        let arguments = ["inspect", "producers", "--command-config", file.to_str().unwrap()];
        let Output { status, stderr, .. } =
            oncestream(&[&arguments, more].concat()).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert!(!stderr.contains("hunter2"), "{stderr}");
        (status.success(), stderr)
    };
    let servers = format!("bootstrap.servers={}\n", broker.bootstrap_servers());
    assert_eq!(run(&servers, &[]), (true, String::new()));
    let (success, text) = run(&format!("{servers}commit.interval.ms=100\n"), &[]);
    assert!(success);
    assert_tells(&text, &["have no effect here", "commit.interval.ms"]);
    // The flag wins over the file.
    let elsewhere = "bootstrap.servers=127.0.0.1:1\n";
    assert!(run(elsewhere, &["--bootstrap-server", broker.bootstrap_servers()]).0);

    let sasl = format!("{servers}security.protocol=SASL_PLAINTEXT\n");
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    for (lines, parts) in [
        ("sasl.mechanism=GSSAPI\n", &["`sasl.mechanism` is `GSSAPI`", "SCRAM-SHA-512"][..]),
        ("sasl.mechanism=PLAIN\nsasl.username=a\n", &["`sasl.password` is required"]),
        (
            "sasl.mechanism=PLAIN\nsasl.jaas.config=x.KerberosLoginModule required password=hunter2;\n",
            &["`sasl.jaas.config`"],
        ),
        ("ssl.keystore.password=hunter2\n", &["`ssl.keystore.password`", "no client certificates"]),
        // A value that lost its backslash.
        ("sasl.password=a\nhunter2\n", &["line 4"]),
    ] {
        let (success, text) = run(&format!("{sasl}{lines}"), &[]);
        assert!(!success);
        assert_tells(&text, parts);
    }
    // The embedded broker authenticates nobody; that it was asked to shows that the login was read.
    let jaas = format!(
        "sasl.mechanism=PLAIN\nsasl.jaas.config={module} username=\"a\" password=\"hunter2\";\n"
    );
    let (success, text) = run(&format!("{sasl}{jaas}"), &[]);
    assert!(!success);
    assert_tells(&text, &["SaslHandshake", broker.bootstrap_servers()]);
}

#[test]
fn what_could_not_be_looked_at_is_named_after_the_rest_and_fails() {
    let (broker, _producer) = open_transaction();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("client.properties");
    fs::write(&file, "request.timeout.ms=500\n").unwrap();
    // Not the leader, for good.
    broker.faults().add(Fault::on(Api::DescribeProducers).always().then(Action::Error(6)));
    let servers = broker.bootstrap_servers();
    for more in [&[][..], &["--json"]] {
        let arguments = ["inspect", "transactions", "--command-config", file.to_str().unwrap()];
        let mut command =
            oncestream(&[&arguments[..], &["--bootstrap-server", servers], more].concat());
        let Output { status, stdout, stderr } = command.output().unwrap();
        assert!(!status.success());
        assert_tells(&String::from_utf8(stdout).unwrap(), &["word-count-0", "Ongoing"]);
        let stderr = String::from_utf8(stderr).unwrap();
        assert_tells(&stderr, &["incomplete", "lines-0: NotLeaderOrFollower", "lines-1: "]);
    }
}

/// Its standard output is closed before it writes.
fn into_a_closed_pipe(arguments: &[&str]) {
    let mut child =
        oncestream(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(child.wait().unwrap().success() && stderr.is_empty(), "{arguments:?}: {stderr}");
}

#[test]
fn a_reader_who_is_gone_is_no_error() {
    let (broker, _producer) = open_transaction();
    let servers = broker.bootstrap_servers();
    for what in ["producers", "transactions"] {
        into_a_closed_pipe(&["inspect", what, "--bootstrap-server", servers]);
        into_a_closed_pipe(&["inspect", what, "--bootstrap-server", servers, "--json"]);
    }
    into_a_closed_pipe(&["snapshot", snapshot().to_str().unwrap()]);
    let reset = ["reset", "--application-id", "word-count", "--input-topics", "lines"];
    into_a_closed_pipe(&[&reset[..], &["--bootstrap-server", servers]].concat());
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_it_while_it_waits_for_an_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut child = oncestream(&["inspect", "producers", "--bootstrap-server", &address])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut connection, _) = silent.accept().unwrap();
    // It has asked, and waits. Where the signal is ignored from the start, as in a script's
    // background, the command listens for it all the same.
    connection.read_exact(&mut [0; 4]).unwrap();
    let begun = Instant::now();
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(!child.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(10), "it waited for the answer");
}
