//! An instance as a process of its own: the running test binary, started again for one test.
//!
//! In the child the same test reaches the same check, which sees the environment and becomes the
//! application. It ends when its standard input does, so it never outlives the parent, and writes
//! how it ended to a file.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::instance::Standing;
use super::local::Local;
use super::settings::Setup;

const CHECK: &str = "ONCESTREAM_CHECK_CHILD";
const SERVERS: &str = "ONCESTREAM_CHECK_SERVERS";
const FOLDER: &str = "ONCESTREAM_CHECK_FOLDER";
const INSTANCE: &str = "ONCESTREAM_CHECK_INSTANCE";

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// So much of a log is shown.
const LOG_BYTES: usize = 3000;

/// The name of the test that runs here: its thread has it, or the path of its closure tells.
pub(super) fn test_name(closure: &str) -> Option<String> {
    let current = std::thread::current();
    match current.name() {
        Some(name) if name != "main" => Some(name.to_owned()),
        _ => {
            let (path, _) = closure.split_once("::{{closure}}")?;
            let (_, test) = path.split_once("::")?;
            (test != "main").then(|| test.to_owned())
        }
    }
}

/// The check that this process is a child of, if it is one.
pub(super) fn child_of() -> Option<String> {
    std::env::var(CHECK).ok()
}

/// A child process that runs the application.
pub(super) struct Process {
    child: Child,
    end: PathBuf,
    runs: PathBuf,
    log: PathBuf,
}

impl Process {
    /// Starts one on a state directory `folder/instance`.
    pub(super) fn start(
        setup: &Setup,
        servers: &str,
        folder: &Path,
        instance: &str,
    ) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("starting a process: {e}");
        let (end, runs) = (file(folder, instance, "end"), file(folder, instance, "runs"));
        let log = file(folder, instance, "log");
        for left in [&end, &runs] {
            let _ = fs::remove_file(left);
        }
        let out = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        if let Some(test) = &setup.test {
            command.args(["--exact", test, "--nocapture", "--include-ignored"]);
        }
        let child = command
            .env(CHECK, &setup.name)
            .env(SERVERS, servers)
            .env(FOLDER, folder)
            .env(INSTANCE, instance)
            .stdin(Stdio::piped())
            .stdout(out.try_clone().map_err(failed)?)
            .stderr(out)
            .spawn()
            .map_err(failed)?;
        Ok(Self { child, end, runs, log })
    }

    /// Kills it with SIGKILL, and waits for its end.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal by name, such as `STOP`.
    pub(super) fn signal(&self, name: &str) -> Result<(), String> {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .map_err(|e| format!("kill -{name}: {e}"))?;
        if sent.success() { Ok(()) } else { Err(format!("kill -{name} failed")) }
    }

    /// What it told when it ended.
    fn told(&self) -> Result<(), String> {
        match fs::read_to_string(&self.end) {
            Ok(told) if told.is_empty() => Ok(()),
            Ok(told) => Err(told),
            Err(_) => {
                let mut log = fs::read(&self.log).unwrap_or_default();
                let from = log.len().saturating_sub(LOG_BYTES);
                let log = String::from_utf8_lossy(&log.split_off(from)).into_owned();
                Err(format!(
                    "the process ended without a word; is the test's name right? Its log:\n{log}"
                ))
            }
        }
    }
}

impl Process {
    /// How it stands now.
    pub(super) fn standing(&mut self) -> Standing {
        match self.child.try_wait() {
            Ok(None) => Standing::Up,
            _ => Standing::Stopped(self.told().err().unwrap_or_else(|| "it ended".to_owned())),
        }
    }

    /// Whether all its tasks have run since it was started.
    pub(super) fn has_run(&mut self) -> bool {
        self.runs.exists()
    }

    /// Commits and stops.
    pub(super) fn stop(mut self, limit: Duration) -> Result<(), String> {
        drop(self.child.stdin.take());
        let until = Instant::now() + limit;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= until {
                return Err("the shutdown hangs".to_owned());
            }
            std::thread::sleep(LOOK);
        }
        self.told()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Also after a failed case; one that is stopped dies of it, too.
        self.kill();
    }
}

/// A file by which a child tells something, or its log.
fn file(folder: &Path, instance: &str, what: &str) -> PathBuf {
    folder.join(format!("{instance}.{what}"))
}

/// The life of a child: runs the application until the parent closes the pipe, or until it stops
/// by itself.
pub(super) fn become_instance(setup: &Setup) -> ! {
    let told = serve(setup);
    let code = i32::from(told.is_err());
    if let (Ok(folder), Ok(instance)) = (std::env::var(FOLDER), std::env::var(INSTANCE)) {
        let end = file(Path::new(&folder), &instance, "end");
        let partial = end.with_extension("partial");
        // Whole or not at all. A parent that finds nothing says so.
        if fs::write(&partial, told.err().unwrap_or_default()).is_ok() {
            let _ = fs::rename(&partial, &end);
        }
    }
    std::process::exit(code);
}

fn serve(setup: &Setup) -> Result<(), String> {
    let given = |name: &str| std::env::var(name).map_err(|e| format!("{name}: {e}"));
    let (servers, folder, instance) = (given(SERVERS)?, given(FOLDER)?, given(INSTANCE)?);
    let (closed, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = closed.send(());
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let state_dir = Path::new(&folder).join(&instance);
    let handle = runtime.handle();
    let mut local = Local::start(handle, setup, &servers, &state_dir, &instance, setup.caching())?;
    let mut told = false;
    while wait.recv_timeout(LOOK * 5) == Err(mpsc::RecvTimeoutError::Timeout) {
        if let Standing::Stopped(error) = local.standing() {
            return Err(error);
        }
        if !told && local.has_run() {
            told = fs::write(file(Path::new(&folder), &instance, "runs"), "").is_ok();
        }
    }
    local.stop(setup.deadline)
}
