//! `oncestream reset` as a user meets it: a plan on standard output, nothing done without `--yes`,
//! and errors that say what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use oncestream_broker::Broker;

fn run(broker: &Broker, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oncestream"));
    command.args(["reset", "--bootstrap-server", broker.bootstrap_servers()]);
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// What a run that goes well prints.
fn done(broker: &Broker, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(broker, arguments);
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{arguments:?}: {stderr}");
    assert_eq!(stderr, "", "{arguments:?}");
    String::from_utf8(stdout).unwrap()
}

/// The error of one that does not.
fn refused(broker: &Broker, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(broker, arguments);
    assert!(!status.success() && stdout.is_empty(), "{arguments:?}");
    String::from_utf8(stderr).unwrap()
}

fn assert_tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

/// A broker with an input of two partitions, with records of the times 1 s to 5 s, and the topics of
/// an application.
fn broker() -> Broker {
    let broker = Broker::builder().start_blocking().unwrap();
    broker.create_topic("lines", 2).unwrap();
    for topic in ["word-count-counts-changelog", "word-count-counts-repartition"] {
        broker.create_topic(topic, 2).unwrap();
    }
    for partition in 0..2 {
        let records = (1..=5).map(|second| (None, Some("line"), second * 1000));
        broker.append("lines", partition, records).unwrap();
    }
    broker
}

fn offsets(broker: &Broker) -> Vec<i64> {
    let view = broker.view();
    view.group("word-count").map_or_else(Vec::new, |group| {
        group.offsets.iter().map(|(_, _, committed)| committed.offset).collect()
    })
}

fn has(broker: &Broker, topic: &str) -> bool {
    broker.view().partition(topic, 0).is_some()
}

const APP: [&str; 4] = ["--application-id", "word-count", "--input-topics", "lines"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&APP, more].concat()
}

fn state_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for app in ["word-count", "word-count-2"] {
        fs::create_dir_all(dir.path().join(app).join("stores")).unwrap();
    }
    dir
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn without_yes_it_shows_what_it_would_do_and_with_it_it_does_that() {
    let (broker, state) = (broker(), state_dir());
    let arguments = with(&["--state-dir", text(state.path())]);
    let directory = state.path().join("word-count");
    let shown = done(&broker, &arguments);
    assert_tells(&shown, &["lines", "FROM", "Internal topics", "changelog (2 partitions)"]);
    assert_tells(&shown, &["repartition", text(&directory), "--yes", "Nothing was changed"]);
    assert!(offsets(&broker).is_empty() && directory.exists());
    assert!(has(&broker, "word-count-counts-changelog"));

    let shown = done(&broker, &[&*arguments, &["--yes"]].concat());
    assert_tells(&shown, &["Done."]);
    assert_eq!(offsets(&broker), [0, 0]);
    assert!(!has(&broker, "word-count-counts-changelog"));
    assert!(!has(&broker, "word-count-counts-repartition"));
    assert!(!directory.exists() && state.path().join("word-count-2").exists());
    // A second time there is less to do.
    done(&broker, &[&*arguments, &["--yes"]].concat());
    assert_eq!(offsets(&broker), [0, 0]);
}

#[test]
fn each_flag_says_where_inputs_begin() {
    let broker = broker();
    for (flags, offset) in [
        (&["--to-latest"][..], 5),
        (&["--shift-by", "-2"], 3),
        (&["--shift-by", "+1"], 4),
        (&["--to-offset", "1"], 1),
        (&["--to-datetime", "1970-01-01T00:00:03"], 2),
        (&["--to-datetime", "1970-01-01T01:00:04.000+01:00"], 3),
        (&["--by-duration", "P1D"], 5),
        (&["--to-earliest"], 0),
    ] {
        done(&broker, &with(&[flags, &["--yes"]].concat()));
        assert_eq!(offsets(&broker), [offset; 2], "{flags:?}");
    }
}

#[test]
fn a_configuration_file_says_what_the_flags_do_not() {
    let (broker, dir) = (broker(), tempfile::tempdir().unwrap());
    let file = dir.path().join("app.properties");
    let state = dir.path().join("kept");
    fs::create_dir_all(state.join("word-count/stores")).unwrap();
    let kept = format!("application.id=word-count\nstate.dir={}\n", state.display());
    // The flag wins over the file.
    fs::write(&file, format!("{kept}bootstrap.servers=localhost:1\nclient.id=resetter\n")).unwrap();
    let arguments = ["--command-config", text(&file), "--input-topics", "lines", "--yes"];
    done(&broker, &arguments);
    assert_eq!(offsets(&broker), [0, 0]);
    // Without the flag, state is never deleted.
    assert!(state.join("word-count/stores").exists());
    assert!(broker.requests().iter().any(|request| request.client_id.starts_with("resetter")));
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do_and_nothing_is_done() {
    let (broker, state) = (broker(), state_dir());
    let error = refused(&broker, &["--input-topics", "lines"]);
    assert_tells(&error, &["application.id"]);
    let error = refused(&broker, &with(&["--to-earlist"]));
    assert_tells(&error, &["--to-earliest"]);
    let error = refused(&broker, &with(&["--to-earliest", "--to-latest"]));
    assert_tells(&error, &["--to-latest", "cannot be used with"]);
    let error = refused(&broker, &["--application-id", "word-count", "--to-latest"]);
    assert_tells(&error, &["--input-topics"]);
    let error = refused(&broker, &with(&["--yes", "--dry-run"]));
    assert_tells(&error, &["--dry-run", "cannot be used with"]);
    let error = refused(&broker, &with(&["--to-datetime", "yesterday"]));
    assert_tells(&error, &["yesterday", "2026-01-31T13:00:00.000"]);
    let error = refused(&broker, &with(&["--by-duration", "1 fortnight"]));
    assert_tells(&error, &["fortnight", "PT2H30M"]);
    let error = refused(&broker, &with(&["--shift-by", "some"]));
    assert_tells(&error, &["some", "--shift-by"]);
    let error = refused(&broker, &with(&["--command-config", "no/such.properties"]));
    assert_tells(&error, &["no/such.properties"]);

    let wrong = ["--application-id", "word-count", "--input-topics", "lins,lines,wrods", "--yes"];
    assert_tells(&refused(&broker, &wrong), &["lins", "wrods"]);
    let wrong = with(&["--internal-topics", "word-count-cuonts-changelog", "--yes"]);
    assert_tells(&refused(&broker, &wrong), &["cuonts", "word-count-counts-changelog"]);
    let error = refused(&broker, &["--application-id", "wrod-count"]);
    assert_tells(&error, &["nothing to reset", "wrod-count"]);
    fs::write(state.path().join("word-count/notes.txt"), "mine").unwrap();
    let error = refused(&broker, &with(&["--state-dir", text(state.path()), "--yes"]));
    assert_tells(&error, &["notes.txt"]);
    // Names that may be another application's.
    broker.create_topic("word-count-by-day-changelog", 1).unwrap();
    let error = refused(&broker, &with(&["--yes"]));
    assert_tells(&error, &["word-count-by-day-changelog", "--internal-topics"]);

    assert!(offsets(&broker).is_empty());
    for topic in ["counts-changelog", "counts-repartition", "by-day-changelog"] {
        assert!(has(&broker, &format!("word-count-{topic}")));
    }
    let topics = "word-count-by-day-changelog,word-count-counts-changelog";
    done(&broker, &with(&["--internal-topics", topics, "--yes"]));
    assert!(!has(&broker, "word-count-by-day-changelog"));
    assert!(has(&broker, "word-count-counts-repartition"), "it was not named");
}

#[test]
fn the_help_tells_all_there_is_to_know() {
    let broker = broker();
    let help = done(&broker, &["--help"]);
    assert_tells(&help, &["--yes", "Output topics", "Read on the group", "Stop all instances"]);
    assert_tells(&help, &["--to-earliest", "--to-latest", "--to-datetime", "--shift-by"]);
    assert_tells(&help, &["--internal-topics", "--state-dir", "--command-config", "Examples"]);
}
