//! One child process under a watchdog: a small shell script between this process and the child.
//!
//! Knows nothing of Kafka. Invariants:
//!
//! - The child is dead when its [`Process`] is dropped, and soon after this process dies in
//!   whatever way, SIGKILL included: the script reads a pipe whose only other end is held here,
//!   and kills the child when that end closes.
//! - A signal reaches the child itself, never the script.
//! - The script ends when the child ends, with the child's status, so waiting for the one is
//!   waiting for the other. No signal is sent to a process id that may have been reused.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const WATCHDOG: &str = include_str!("watchdog.sh");

/// How often a condition outside this process is looked at.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The signals a node can be sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    /// Ends the child at once.
    Kill,
    /// Asks the child to shut down.
    Term,
    /// Freezes the child; its connections stay open.
    Stop,
    /// Lets a frozen child run on.
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Term => "TERM",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// A running child and its watchdog.
#[derive(Debug)]
pub(super) struct Process {
    watchdog: Child,
    /// Closing it is what kills the child when this process dies.
    signals: ChildStdin,
    pid: u32,
}

impl Process {
    /// Starts `command` with its output appended to `log`. `folder` is removed if this process
    /// dies before the child (all but its logs, where it holds a file named `keep`).
    pub(super) fn spawn<S: AsRef<OsStr>>(
        folder: &Path,
        log: &Path,
        command: &[S],
    ) -> io::Result<Self> {
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .args([folder, log])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C in a terminal goes to the foreground group. It must end this process only,
            // and through the closed pipe the rest.
            .process_group(0)
            .spawn()?;
        let (Some(signals), Some(stdout)) = (watchdog.stdin.take(), watchdog.stdout.take()) else {
            return Err(io::Error::other("the watchdog has no pipes"));
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let pid = line.trim().parse().map_err(|_| {
            io::Error::other(format!("the watchdog gave no process id but {line:?}"))
        })?;
        Ok(Self { watchdog, signals, pid })
    }

    /// The child's process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal to the child. A child that has ended is left alone.
    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.exited()?.is_some() {
            return Ok(());
        }
        match writeln!(self.signals, "{}", signal.name()) {
            // The child ended in between.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// The child's exit status, when it has ended.
    pub(super) fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.watchdog.try_wait()
    }

    /// Waits for the child to end, for at most `limit`.
    pub(super) fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.exited()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not by closing the pipe: that would remove the folder, and the cluster may live on.
        if self.signal(Signal::Kill).is_ok() {
            // A killed process ends; there is nobody to tell if even that fails.
            let _ = self.watchdog.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::mem::ManuallyDrop;
    use std::os::fd::OwnedFd;

    const LIMIT: Duration = Duration::from_secs(20);

    fn sleeper(folder: &Path) -> Process {
        Process::spawn(folder, &folder.join("log"), &["sleep", "1000"]).unwrap()
    }

    fn alive(pid: u32) -> bool {
        let probe = format!("kill -0 {pid} 2>/dev/null");
        Command::new("sh").args(["-c", &probe]).status().unwrap().success()
    }

    fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !holds() {
            assert!(Instant::now() < deadline, "{what} did not come true");
            thread::sleep(POLL_INTERVAL);
        }
    }

    #[test]
    fn a_signal_ends_the_child_and_its_status_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = sleeper(folder.path());
        assert!(alive(process.pid()));
        process.signal(Signal::Kill).unwrap();
        let status = process.wait(LIMIT).unwrap().unwrap();
        assert_eq!(status.code(), Some(128 + 9));
        assert!(!alive(process.pid()));
        assert!(folder.path().exists(), "a killed child leaves the folder");
    }

    #[test]
    fn the_end_of_a_child_is_seen_and_later_signals_are_harmless() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let command = ["sh", "-c", "echo out; echo err >&2; exit 7"];
        let mut process = Process::spawn(folder.path(), &log, &command).unwrap();
        assert_eq!(process.wait(LIMIT).unwrap().unwrap().code(), Some(7));
        process.signal(Signal::Kill).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "out\nerr\n");
    }

    #[test]
    fn a_frozen_child_is_still_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = sleeper(folder.path());
        process.signal(Signal::Stop).unwrap();
        process.signal(Signal::Kill).unwrap();
        assert!(process.wait(LIMIT).unwrap().is_some());
    }

    #[test]
    fn dropping_kills_the_child() {
        let folder = tempfile::tempdir().unwrap();
        let process = sleeper(folder.path());
        let pid = process.pid();
        drop(process);
        assert!(!alive(pid));
        assert!(folder.path().exists());
    }

    /// What the death of this process does: the pipe closes and nobody waits.
    fn abandon(process: Process) -> u32 {
        let pid = process.pid();
        let mut process = ManuallyDrop::new(process);
        let (_, unrelated) = io::pipe().unwrap();
        process.signals = ChildStdin::from(OwnedFd::from(unrelated));
        pid
    }

    #[test]
    fn a_closed_pipe_kills_the_child_and_removes_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let pid = abandon(sleeper(folder.path()));
        eventually("the child's death", || !alive(pid));
        eventually("the folder's removal", || !folder.path().exists());
    }

    #[test]
    fn a_closed_pipe_leaves_the_logs_where_they_are_to_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("keep"), "").unwrap();
        abandon(sleeper(folder.path()));
        eventually("the data's removal", || !folder.path().join("data").exists());
        assert!(folder.path().join("log").exists());
    }
}
