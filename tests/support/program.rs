//! Runs a foreign program to its end: standard input given, output caught, a deadline kept.
//!
//! Knows nothing of Kafka or of languages. Invariants: no program outlives its call, and one that
//! hangs or fails is a panic that shows all it printed.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take: far longer than any needs.
pub const DEADLINE: Duration = Duration::from_mins(4);

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Ended {
    /// Its standard output, if it ended well.
    ///
    /// # Panics
    /// If it did not.
    pub fn succeeded(self) -> String {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.stdout, self.stderr);
        self.stdout
    }
}

/// Runs a command, with this text as its standard input, until it ends by itself.
///
/// # Panics
/// If it cannot be started, or has not ended after `limit`.
pub fn run(mut command: Command, stdin: &str, limit: Duration) -> Ended {
    let deadline = Instant::now() + limit;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|e| panic!("{} is needed: {e}", program(&command)));
    let stdout = drain(child.stdout.take().unwrap());
    let stderr = drain(child.stderr.take().unwrap());
    // Its end closes the pipe. One that reads nothing may close it before: no error of ours.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let stdout = read(&mut child, &command, &stdout, deadline);
    let stderr = read(&mut child, &command, &stderr, deadline);
    // It has closed its output: what is left of it is to exit.
    let status = child.wait().unwrap();
    Ended { status, stdout, stderr }
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// Reads a pipe in a thread of its own, so that no program waits for a reader. What comes arrives
/// in pieces; the sender goes at the end.
fn drain(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut piece) {
            let _ = sender.send(piece[..length].to_vec());
        }
    });
    receiver
}

fn read(
    child: &mut Child,
    command: &Command,
    pipe: &Receiver<Vec<u8>>,
    deadline: Instant,
) -> String {
    let mut bytes = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match pipe.recv_timeout(left) {
            Ok(piece) => bytes.extend(piece),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                child.wait().unwrap();
                let text = String::from_utf8_lossy(&bytes);
                panic!("{command:?} hung after it printed:\n{text}");
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The names in the lines `ok <check>` that a program of checks printed.
pub fn checks_passed(stdout: &str) -> Vec<&str> {
    stdout.lines().filter_map(|line| line.strip_prefix("ok ")).collect()
}
