//! A contender's process: started, sampled, stopped.
//!
//! Knows processes and `/proc` (Linux only), not Kafka. CPU time and memory are those of the
//! child alone; the broker and the parent are not in them. Invariant: no child outlives its
//! [`Child`]. Dropping it kills the process; and when the parent is killed, the child's standard
//! input ends, which [`end_with_parent`] and the Java program take as the order to stop.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal};

const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// A running contender.
pub(crate) struct Child {
    process: std::process::Child,
    log: PathBuf,
    started: Instant,
}

impl Child {
    /// Starts `command` with its output in the file `log`.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log)?;
        command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        let process = command
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        Ok(Self { process, log: log.to_owned(), started: Instant::now() })
    }

    /// The time since the start.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// The exit status, if the process has ended by itself.
    ///
    /// # Errors
    /// When the process cannot be asked.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.process.try_wait()?)
    }

    /// User and system CPU time of all threads until now.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let ticks = cpu_ticks(&stat).context("/proc/<pid>/stat is not understood")?;
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64))
    }

    /// The largest resident set until now, in bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn peak_rss_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        peak_rss_bytes(&status).context("/proc/<pid>/status has no VmHWM")
    }

    /// The last lines the contender wrote.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    /// Asks the process to end, and waits until it has.
    ///
    /// # Errors
    /// When it ended with an error of its own, or had to be killed.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if let Some(status) = self.exited()? {
            bail!("ended by itself with {status}: {}", self.last_words());
        }
        rustix::process::kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_DEADLINE {
            if let Some(status) = self.exited()? {
                return stopped_well(status).map_err(|error| error.context(self.last_words()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("did not end within {STOP_DEADLINE:?} of SIGTERM: {}", self.last_words())
    }
}

/// For the child: ends this process when the parent is gone.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        // The parent writes nothing, so this returns at its end only.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only when the process is gone already, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// SIGTERM without a handler, a clean exit, and a JVM's code for SIGTERM are all fine.
fn stopped_well(status: ExitStatus) -> Result<()> {
    let term = Signal::TERM.as_raw();
    if status.success() || status.signal() == Some(term) || status.code() == Some(128 + term) {
        return Ok(());
    }
    Err(anyhow!("stopped with {status}"))
}

/// The sum of the fields 14 and 15 (utime, stime). The name, field 2, may hold anything, so
/// counting starts behind its closing bracket.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn peak_rss_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) b) 7) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(cpu_ticks(stat), Some(300));
    }

    #[test]
    fn peak_memory_is_read_in_bytes() {
        assert_eq!(peak_rss_bytes("VmPeak:\t 9 kB\nVmHWM:\t   1024 kB\n"), Some(1 << 20));
        assert_eq!(peak_rss_bytes("VmPeak:\t 9 kB\n"), None);
    }

    #[test]
    fn a_child_is_sampled_and_stopped() {
        let log = std::env::temp_dir().join(format!("compare-child-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "echo hello; while :; do :; done"]);
        let mut child = Child::start(command, &log).unwrap();
        while child.cpu().unwrap() < Duration::from_millis(20) {
            assert!(child.age() < Duration::from_secs(30));
        }
        assert!(child.peak_rss_bytes().unwrap() > 0);
        child.stop().unwrap();
        assert_eq!(child.last_words(), "hello");
        assert!(child.stop().unwrap_err().to_string().contains("ended by itself"));
        fs::remove_file(log).unwrap();
    }

    #[test]
    fn an_error_at_the_end_is_an_error() {
        use std::os::unix::process::ExitStatusExt;
        assert!(stopped_well(ExitStatus::from_raw(0)).is_ok());
        assert!(stopped_well(ExitStatus::from_raw(15)).is_ok());
        assert!(stopped_well(ExitStatus::from_raw(143 << 8)).is_ok());
        assert!(stopped_well(ExitStatus::from_raw(1 << 8)).is_err());
        assert!(stopped_well(ExitStatus::from_raw(9)).is_err());
    }
}
