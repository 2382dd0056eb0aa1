//! One process of an application: started, listened to, killed.
//!
//! Invariant: it does not outlive its handle, nor the process of the test.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kafka::eventually;

/// How long an instance may take for what is asked of it: its own deadlines are shorter.
const LIMIT: Duration = Duration::from_secs(90);

/// What instances log. The actions of commits are traced: kills are aimed by them.
const LOG: &str = "info,oncestream=debug,oncestream_engine::worker::commit=trace";

/// What was heard from an instance so far.
#[derive(Default)]
struct Heard {
    events: Vec<Value>,
    /// The actions of its commits, in order, by name.
    actions: Vec<String>,
    ended: bool,
}

#[derive(Default)]
struct Events {
    heard: Mutex<Heard>,
    changed: Condvar,
}

impl Events {
    fn tell(&self, what: impl FnOnce(&mut Heard)) {
        what(&mut self.heard.lock().unwrap());
        self.changed.notify_all();
    }

    fn listen_to_events(&self, stdout: ChildStdout) {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // A line that a kill cut off is no event.
            if let Ok(event) = serde_json::from_str(&line) {
                self.tell(|heard| heard.events.push(event));
            }
        }
        self.tell(|heard| heard.ended = true);
    }

    fn listen_to_log(&self, stderr: ChildStderr, mut log: File) {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some((_, action)) = line.split_once(" action=") {
                let name = action.split(|c: char| !c.is_alphanumeric()).next();
                self.tell(|heard| heard.actions.push(name.unwrap_or_default().to_owned()));
            }
            writeln!(log, "{line}").unwrap();
        }
    }
}

/// A running instance. Dropping it kills it.
pub struct Instance {
    child: Child,
    /// Held open: its end tells the process that the test is gone.
    _stdin: ChildStdin,
    events: Arc<Events>,
    listeners: Vec<JoinHandle<()>>,
    name: String,
}

impl Instance {
    /// Starts the binary with these flags; its log goes to the file.
    pub fn start(binary: &Path, args: &[String], log: PathBuf) -> Self {
        Self::start_with(binary, args, &[], log)
    }

    /// The same, with variables in its environment.
    pub fn start_with(
        binary: &Path,
        args: &[String],
        environment: &[(&str, &str)],
        log: PathBuf,
    ) -> Self {
        let mut child = Command::new(binary)
            .args(args)
            .envs(environment.iter().copied())
            .env("RUST_LOG", LOG)
            // An error in the log says what is wrong; thirty lines of stack hide what led to it.
            .env("RUST_LIB_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let file = File::create(&log).unwrap();
        let events = Arc::new(Events::default());
        let (of_events, of_log) = (events.clone(), events.clone());
        let listeners = vec![
            std::thread::spawn(move || of_events.listen_to_events(stdout)),
            std::thread::spawn(move || of_log.listen_to_log(stderr, file)),
        ];
        let name = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { child, _stdin: stdin, events, listeners, name }
    }

    /// Waits until `found` finds what it looks for in what was heard.
    fn wait<T>(&self, what: &str, found: impl Fn(&Heard) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        let mut heard = self.events.heard.lock().unwrap();
        loop {
            if let Some(found) = found(&heard) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!heard.ended, "instance {} ended before {what}", self.name);
            assert!(!left.is_zero(), "instance {}: no {what} within {LIMIT:?}", self.name);
            heard = self.events.changed.wait_timeout(heard, left).unwrap().0;
        }
    }

    fn wait_for_event(&self, name: &str) -> Value {
        self.wait(name, |heard| heard.events.iter().find(|e| e["event"] == name).cloned())
    }

    /// How many events came so far.
    pub fn heard(&self) -> usize {
        self.events.heard.lock().unwrap().events.len()
    }

    /// Waits until it runs: the changelog records restored by then, by store and partition.
    pub fn await_running(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.wait_for_event("running")["restored"].clone()).unwrap()
    }

    /// Waits until it runs and has committed since then, counting events after the first `after`.
    pub fn await_progress(&self, after: usize) {
        self.wait("a commit while running", |heard| {
            let events = &heard.events[after..];
            let running = events.iter().position(|e| e["event"] == "running")?;
            events[running..].iter().find(|e| e["event"] == "commit").map(drop)
        });
    }

    /// When it was running, and when it first committed after that: milliseconds since 1970.
    pub fn await_first_commit(&self) -> (u64, u64) {
        self.wait("a commit while running", |heard| {
            let at = heard.events.iter().position(|e| e["event"] == "running")?;
            let commit = heard.events[at..].iter().find(|e| e["event"] == "commit")?;
            Some((heard.events[at]["time_ms"].as_u64()?, commit["time_ms"].as_u64()?))
        })
    }

    /// Waits until its next commit begins this action; it may be over when this returns.
    pub fn await_action(&self, name: &str) {
        let before = self.events.heard.lock().unwrap().actions.len();
        self.wait(name, |heard| heard.actions[before..].iter().find(|a| *a == name).map(drop));
    }

    /// The same for at most so long, and false when it did not begin it.
    pub fn saw_action(&self, name: &str, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut heard = self.events.heard.lock().unwrap();
        let before = heard.actions.len();
        loop {
            if heard.actions[before..].iter().any(|a| a == name) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if heard.ended || left.is_zero() {
                return false;
            }
            heard = self.events.changed.wait_timeout(heard, left).unwrap().0;
        }
    }

    /// How it ended, if it did.
    pub fn exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "{} had ended by itself", self.name);
        self.end();
    }

    /// SIGTERM, and waits for the end, which must be a good one: its `end` event.
    pub fn terminate(&mut self) -> Value {
        self.signal("TERM");
        let mut status = None;
        eventually(&format!("the end of {} after SIGTERM", self.name), LIMIT, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        assert!(status.success(), "{} ended with {status}", self.name);
        self.wait_for_event("end")
    }

    fn end(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for listener in self.listeners.drain(..) {
            let _ = listener.join();
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.end();
    }
}
