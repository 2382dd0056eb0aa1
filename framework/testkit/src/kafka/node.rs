//! One Kafka node: its Java process, which may be killed, stopped, frozen and started again.
//!
//! Knows nothing of the other nodes. Invariants: a node keeps its ports and its data for the
//! cluster's whole life; "ready" means that its log says so after this start, and that its port
//! answers.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::KafkaError;
use super::process::{POLL_INTERVAL, Process, Signal};

/// How long a node may take for a controlled shutdown.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A killed process is gone as soon as the system has torn it down.
const KILL_LIMIT: Duration = Duration::from_secs(30);

/// How much of a log an error shows.
const TAIL_LINES: usize = 40;

/// A node and, while it runs, its process.
#[derive(Debug)]
pub(super) struct Node {
    /// Kafka's `node.id`.
    pub(super) id: i32,
    /// The port that clients connect to.
    pub(super) port: u16,
    /// The cluster's folder, which the watchdog removes when this process dies.
    pub(super) folder: PathBuf,
    /// Where all starts of this node log to.
    pub(super) log: PathBuf,
    /// The Java program and its arguments.
    pub(super) command: Vec<OsString>,
    /// None while the node does not run.
    pub(super) process: Option<Process>,
    /// The length of the log when the node was last started.
    pub(super) log_start: u64,
}

impl Node {
    /// Starts the process, without waiting for anything.
    pub(super) fn launch(&mut self) -> Result<(), KafkaError> {
        self.log_start = fs::metadata(&self.log).map_or(0, |metadata| metadata.len());
        let process = Process::spawn(&self.folder, &self.log, &self.command)
            .map_err(KafkaError::io("run", Path::new("sh")))?;
        self.process = Some(process);
        Ok(())
    }

    /// Waits until the node serves clients. When it does not come to that, it is ended.
    pub(super) fn await_ready(&mut self, limit: Duration) -> Result<(), KafkaError> {
        let deadline = Instant::now() + limit;
        let result = loop {
            match self.is_ready() {
                Ok(true) => return Ok(()),
                Ok(false) if Instant::now() < deadline => thread::sleep(POLL_INTERVAL),
                Ok(false) => {
                    let log_tail = tail(&self.log_of_this_start());
                    break KafkaError::NotReadyInTime { node: self.id, limit, log_tail };
                }
                Err(error) => break error,
            }
        };
        self.process = None;
        Err(result)
    }

    fn is_ready(&mut self) -> Result<bool, KafkaError> {
        let Some(process) = &mut self.process else { return Ok(false) };
        let exited = process.exited().map_err(KafkaError::io("wait for", Path::new("sh")))?;
        let log = self.log_of_this_start();
        if let Some(status) = exited {
            if log.contains("Address already in use") {
                return Err(KafkaError::PortTaken { node: self.id });
            }
            return Err(KafkaError::NodeExited { node: self.id, status, log_tail: tail(&log) });
        }
        Ok(log.contains("Kafka Server started")
            && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok())
    }

    /// The process id of the node's Java, when it runs.
    pub(super) fn pid(&mut self) -> Option<u32> {
        let process = self.process.as_mut()?;
        matches!(process.exited(), Ok(None)).then(|| process.pid())
    }

    /// SIGKILL, and waits for the end.
    pub(super) fn kill(&mut self) -> Result<(), KafkaError> {
        self.end(Signal::Kill, KILL_LIMIT)
    }

    /// SIGTERM, and waits for the controlled shutdown.
    pub(super) fn stop(&mut self) -> Result<(), KafkaError> {
        self.end(Signal::Term, STOP_LIMIT)
    }

    fn end(&mut self, signal: Signal, limit: Duration) -> Result<(), KafkaError> {
        self.send(signal)?;
        let Some(process) = &mut self.process else { return Ok(()) };
        match process.wait(limit) {
            Ok(Some(_)) => {
                self.process = None;
                Ok(())
            }
            Ok(None) => Err(KafkaError::NotStoppedInTime { node: self.id, limit }),
            Err(source) => Err(KafkaError::io("wait for", Path::new("sh"))(source)),
        }
    }

    /// Sends a signal to a node that runs; does nothing to one that does not.
    pub(super) fn send(&mut self, signal: Signal) -> Result<(), KafkaError> {
        match &mut self.process {
            Some(process) => {
                process.signal(signal).map_err(KafkaError::io("signal", Path::new("java")))
            }
            None => Ok(()),
        }
    }

    /// The log since the last start. Empty when it cannot be read: then the node is not ready.
    fn log_of_this_start(&self) -> String {
        let mut bytes = Vec::new();
        let read = fs::File::open(&self.log).and_then(|mut log| {
            log.seek(SeekFrom::Start(self.log_start))?;
            log.read_to_end(&mut bytes)
        });
        read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn node(folder: &Path, port: u16, script: &str) -> Node {
        Node {
            id: 1,
            port,
            folder: folder.to_owned(),
            log: folder.join("log"),
            command: ["sh", "-c", script].map(OsString::from).into(),
            process: None,
            log_start: 0,
        }
    }

    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn ready_wants_both_the_log_and_the_port() {
        let temp = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();

        let mut silent = node(temp.path(), port, "exec sleep 1000");
        silent.launch().unwrap();
        let error = silent.await_ready(SHORT).unwrap_err();
        assert!(matches!(error, KafkaError::NotReadyInTime { .. }), "{error}");
        assert_eq!(silent.pid(), None, "it is not left running");

        let mut ready = node(temp.path(), port, "echo Kafka Server started; exec sleep 1000");
        ready.launch().unwrap();
        ready.await_ready(LONG).unwrap();
        drop(listener);
        assert!(ready.await_ready(SHORT).is_err(), "the port no longer answers");
    }

    #[test]
    fn the_log_of_an_earlier_start_does_not_count() {
        let temp = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        fs::write(temp.path().join("log"), "Kafka Server started\n").unwrap();
        let mut node = node(temp.path(), port, "exec sleep 1000");
        node.launch().unwrap();
        assert!(node.await_ready(SHORT).is_err());
    }

    #[test]
    fn an_early_end_shows_the_status_and_the_log() {
        let temp = tempfile::tempdir().unwrap();
        let mut node = node(temp.path(), 1, "echo no such property; exit 3");
        node.launch().unwrap();
        let error = node.await_ready(LONG).unwrap_err();
        let KafkaError::NodeExited { node: 1, status, log_tail } = error else {
            panic!("unexpected {error}")
        };
        assert_eq!((status.code(), log_tail.as_str()), (Some(3), "no such property"));
    }

    #[test]
    fn a_taken_port_is_told_from_other_ends() {
        let temp = tempfile::tempdir().unwrap();
        let script = "echo java.net.BindException: Address already in use; exit 1";
        let mut node = node(temp.path(), 1, script);
        node.launch().unwrap();
        let error = node.await_ready(LONG).unwrap_err();
        assert!(matches!(error, KafkaError::PortTaken { node: 1 }), "{error}");
    }
}
