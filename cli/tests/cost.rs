//! `oncestream lab cost` as a user meets it: a table on standard output, files, errors that say what
//! to do, and nothing left on the brokers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use oncestream_broker::Broker;

fn oncestream(servers: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oncestream"));
    command
        .args(["lab", "cost", "--bootstrap-servers", servers])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn refused(servers: &str, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = oncestream(servers, arguments).output().unwrap();
    assert!(!status.success() && stdout.is_empty(), "{arguments:?}");
    String::from_utf8(stderr).unwrap()
}

fn topics(broker: &Broker) -> Vec<String> {
    broker.view().partitions.into_iter().map(|partition| partition.topic).collect()
}

#[test]
fn it_prints_a_table_and_writes_files() {
    let broker = Broker::builder().nodes(3).start_blocking().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [json, svg, config] =
        ["cost.json", "cost.svg", "client.properties"].map(|name| folder.path().join(name));
    // A longer file that was there before is replaced.
    fs::write(&svg, "old ".repeat(100_000)).unwrap();
    fs::write(&config, "compression.type=lz4\n").unwrap();
    let flags = "--records 200 --record-bytes 50 --rate 2000 --seconds 1 --rounds 1 --commit-ms 20 \
                 --batches large --partitions 3 --replication-factor 3 \
                 --topic-config min.insync.replicas=2 --set queue.buffering.max.messages=50";
    let output = oncestream(broker.bootstrap_servers(), &[])
        .args(flags.split_whitespace())
        .args(["--json", json.to_str().unwrap(), "--svg", svg.to_str().unwrap()])
        .args(["--command-config", config.to_str().unwrap()])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("round 1 of 1: acks=all, large batches: "), "{told}");
    let table = String::from_utf8(output.stdout).unwrap();
    for part in [
        "3 broker(s), 3 partitions, 3 replica(s), min.insync.replicas=2, 200 records of 50 bytes",
        "| large   | acks=1 ",
        "| large   | transactions of 20 ms ",
    ] {
        assert!(table.contains(part), "`{part}` is missing in:\n{table}");
    }
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(json["conditions"]["replicas"], 3);
    assert_eq!(json["measurements"].as_array().unwrap().len(), 4);
    let svg = fs::read_to_string(&svg).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert_eq!(topics(&broker), [""; 0]);
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let broker = Broker::builder().start_blocking().unwrap();
    let servers = broker.bootstrap_servers();
    for (flags, parts) in [
        (&["--records", "0"][..], &["--records", "1.."][..]),
        (&["--record", "5"], &["--record"]),
        (&["--record-bytes", "3"], &["bytes of a record", "8 to"]),
        (&["--set", "linger.ms=5"], &["linger.ms", "leave it out"]),
        (&["--set", "linger.ms"], &["key=value"]),
        (&["--set", "sasl.mechanisn=PLAIN"], &["sasl.mechanisn"]),
        (&["--batches", "huge"], &["huge", "small"]),
        (&["--commit-ms", "0"], &["commit intervals", "1 ms"]),
        (&["--replication-factor", "3", "--records", "1"], &["creating the topic", "replication"]),
        (&["--topic-config", "retention=1"], &["creating the topic"]),
        (&["--json", "/no/such/folder/cost.json"], &["/no/such/folder/cost.json"]),
        (&["--command-config", "/no/such/file"], &["/no/such/file"]),
    ] {
        let error = refused(servers, flags);
        for part in parts {
            assert!(error.contains(part), "{flags:?}: `{part}` is missing in:\n{error}");
        }
        // Each cause is told once.
        for part in error.trim().split(": ") {
            assert_eq!(error.matches(part).count(), 1, "{flags:?}: `{part}` in:\n{error}");
        }
    }
    assert_eq!(topics(&broker), [""; 0]);
}

#[test]
fn a_broker_that_is_not_there_is_named_and_no_file_is_left() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    drop(taken);
    let folder = tempfile::tempdir().unwrap();
    let [new, old] = ["new.json", "old.svg"].map(|name| folder.path().join(name));
    fs::write(&old, "old").unwrap();
    let begun = Instant::now();
    let files = ["--json", new.to_str().unwrap(), "--svg", old.to_str().unwrap()];
    let error = refused(&address, &files);
    assert!(error.contains(&address) && error.contains("that Kafka runs there"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(!new.exists());
    assert_eq!(fs::read_to_string(&old).unwrap(), "old");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_and_deletes_the_topic() {
    let broker = Broker::builder().start_blocking().unwrap();
    for signal in ["-INT", "-TERM"] {
        let child = oncestream(broker.bootstrap_servers(), &["--rate", "10", "--seconds", "600"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while topics(&broker).is_empty() {
            assert!(Instant::now() < until, "no topic was made");
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap();
        assert!(sent.success());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let error = String::from_utf8(stderr).unwrap();
        assert!(!status.success() && stdout.is_empty(), "{signal}: {error}");
        assert!(error.contains("Error: stopped"), "{signal}: {error}");
        assert_eq!(topics(&broker), [""; 0], "{signal}");
    }
}
