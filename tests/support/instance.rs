//! One process of an application: started, listened to, killed.
//!
//! Invariant: it does not outlive its handle, nor the process of the test.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kafka::eventually;

/// How long an instance may take for what is asked of it: its own deadlines are shorter.
const LIMIT: Duration = Duration::from_secs(90);

#[derive(Default)]
struct Events {
    list: Mutex<(Vec<Value>, bool)>,
    changed: Condvar,
}

/// A running instance. Dropping it kills it.
pub struct Instance {
    child: Child,
    /// Held open: its end tells the process that the test is gone.
    _stdin: ChildStdin,
    events: Arc<Events>,
    listener: Option<JoinHandle<()>>,
    name: String,
}

impl Instance {
    /// Starts the binary with these flags; its log goes to the file.
    pub fn start(binary: &Path, args: &[String], log: PathBuf) -> Self {
        let mut child = Command::new(binary)
            .args(args)
            .env("RUST_LOG", "info,oncestream=debug")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let events = Arc::new(Events::default());
        let told = events.clone();
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // A line that a kill cut off is no event.
                if let Ok(event) = serde_json::from_str(&line) {
                    told.list.lock().unwrap().0.push(event);
                    told.changed.notify_all();
                }
            }
            told.list.lock().unwrap().1 = true;
            told.changed.notify_all();
        });
        let name = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { child, _stdin: stdin, events, listener: Some(listener), name }
    }

    /// Waits until `found` finds what it looks for in the events after the first `after`.
    fn wait<T>(&self, what: &str, after: usize, found: impl Fn(&[Value]) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        let mut list = self.events.list.lock().unwrap();
        loop {
            if let Some(found) = found(&list.0[after..]) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!list.1, "instance {} ended before {what}", self.name);
            assert!(!left.is_zero(), "instance {}: no {what} within {LIMIT:?}", self.name);
            list = self.events.changed.wait_timeout(list, left).unwrap().0;
        }
    }

    /// How many events came so far.
    pub fn heard(&self) -> usize {
        self.events.list.lock().unwrap().0.len()
    }

    /// Waits until it runs: the changelog records restored by then, by store and partition.
    pub fn await_running(&self) -> BTreeMap<String, u64> {
        let event = self
            .wait("running", 0, |events| events.iter().find(|e| e["event"] == "running").cloned());
        serde_json::from_value(event["restored"].clone()).unwrap()
    }

    /// Waits until it runs and has committed since then, counting events after the first `after`.
    pub fn await_progress(&self, after: usize) {
        self.wait("a commit while running", after, |events| {
            let running = events.iter().position(|e| e["event"] == "running")?;
            events[running..].iter().find(|e| e["event"] == "commit").map(drop)
        });
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "{} had ended by itself", self.name);
        self.end();
    }

    /// SIGTERM, and waits for the end, which must be a good one: its `end` event.
    pub fn terminate(&mut self) -> Value {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut status = None;
        eventually(&format!("the end of {} after SIGTERM", self.name), LIMIT, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        assert!(status.success(), "{} ended with {status}", self.name);
        self.wait("end", 0, |events| events.iter().find(|e| e["event"] == "end").cloned())
    }

    fn end(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.end();
    }
}
