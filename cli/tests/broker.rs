//! `oncestream broker` as a user meets it: an address on standard output, errors that say what to
//! do, and an end on Ctrl-C.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

fn oncestream(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oncestream"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn refused(arguments: &[&str]) -> String {
    let Output { status, stderr, stdout } = oncestream(arguments).output().unwrap();
    assert!(!status.success(), "{arguments:?}");
    assert!(stdout.is_empty(), "{arguments:?}");
    String::from_utf8(stderr).unwrap()
}

/// Starts it and reads the addresses it tells.
fn start(arguments: &[&str]) -> (Child, Vec<String>) {
    let mut child =
        oncestream(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let servers = line.trim_end().strip_prefix("bootstrap.servers=").expect("the address");
    let servers = servers.split(',').map(str::to_owned).collect();
    (child, servers)
}

fn signal(child: &Child, name: &str) {
    let killed = Command::new("kill").arg(name).arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
}

#[test]
fn it_tells_its_address_answers_there_and_ends_on_a_signal() {
    for ending in ["-INT", "-TERM"] {
        let (mut child, servers) = start(&["broker", "--port", "0", "--topic", "lines:4"]);
        let mut stream = TcpStream::connect(&servers[0]).unwrap();
        // ApiVersions, version 0, correlation id 7, no client id.
        stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]).unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[4..], [0, 0, 0, 7, 0, 0], "correlation id, no error");
        signal(&child, ending);
        assert!(child.wait().unwrap().success(), "{ending}");
    }
}

#[test]
fn every_node_has_an_address() {
    let (mut child, servers) = start(&["broker", "--port", "0", "--nodes", "3"]);
    assert_eq!(servers.len(), 3);
    for server in &servers {
        TcpStream::connect(server).unwrap();
    }
    signal(&child, "-KILL");
    child.wait().unwrap();
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = refused(&["broker", "--port", &port]);
    assert!(error.contains(&port) && error.contains("choose another port"), "{error}");
    let error = refused(&["broker", "--port", "0", "--set", "num.partition=3"]);
    assert!(error.contains("num.partitions"), "{error}");
    let error = refused(&["broker", "--port", "0", "--set", "num.partitions"]);
    assert!(error.contains("--set key=value"), "{error}");
    let error = refused(&["broker", "--port", "0", "--topic", "lines:many"]);
    assert!(error.contains("1 to 10000"), "{error}");
    let error = refused(&["broker", "--port", "0", "--topic", "bad name"]);
    assert!(error.contains("bad name"), "{error}");
    assert!(refused(&["broker", "--prot", "1"]).contains("--port"));
    assert!(refused(&["brokr"]).contains("broker"));
}
