//! The processes that chapters kill: this program, started again in another role.
//!
//! A process ends when its standard input does, so it never outlives the chapter.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::workers::{receipts, topology, transfer};
use crate::{Lab, LabError};

/// The variable of the environment that tells a process its role.
const ROLE: &str = "ONCESTREAM_LAB_WORKER";

/// What a process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Role {
    /// The key in [`ROLES`].
    pub(crate) name: String,
    /// The brokers.
    pub(crate) servers: String,
    /// What else it is told.
    pub(crate) settings: BTreeMap<String, String>,
}

impl Role {
    /// A setting, or what is so without it.
    pub(crate) fn setting<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.settings.get(name).map_or(default, String::as_str)
    }

    /// The settings whose names begin so, without that beginning.
    pub(crate) fn passed_on(&self, prefix: &str) -> Vec<(&str, &str)> {
        let all = self.settings.iter();
        all.filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value.as_str()))).collect()
    }
}

/// What a role does, until it is killed or has an error to tell.
type Play = fn(&Role) -> Result<(), LabError>;

/// All roles.
const ROLES: &[(&str, Play)] = &[
    (receipts::NAME, receipts::play),
    (transfer::NAME, transfer::play),
    (topology::NAME, topology::play),
];

/// Becomes a process of a chapter if this program was started as one, and never returns then.
///
/// Call it first in `main` of a program that runs chapters.
pub fn run_if_worker() {
    let Ok(told) = std::env::var(ROLE) else { return };
    std::thread::spawn(|| {
        let mut ignored = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut ignored);
        std::process::exit(0);
    });
    let outcome = serde_json::from_str::<Role>(&told).map_err(|e| e.to_string()).and_then(|role| {
        let found = ROLES.iter().find(|(name, _)| *name == role.name);
        let (_, play) = found.ok_or_else(|| format!("no role {}", role.name))?;
        play(&role).map_err(|error| error.to_string())
    });
    match outcome {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}

/// A process of a chapter. Dropping it kills it.
pub(crate) struct Worker {
    child: Child,
    name: String,
}

impl Worker {
    pub(crate) fn start(lab: &Lab, role: &Role) -> Result<Self, LabError> {
        let failed = |reason: String| LabError::Worker { worker: role.name.clone(), reason };
        let told = serde_json::to_string(role).map_err(|error| failed(error.to_string()))?;
        let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
        let child = Command::new(program)
            .args(lab.arguments())
            .env(ROLE, told)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { child, name: role.name.clone() })
    }

    /// Kills it with SIGKILL, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Sends it a signal by name: `STOP` freezes it, `CONT` lets it go on.
    pub(crate) fn signal(&self, name: &str) -> Result<(), LabError> {
        let failed = |reason: String| LabError::Worker { worker: self.name.clone(), reason };
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .map_err(|error| failed(format!("kill -{name}: {error}")))?;
        if sent.success() { Ok(()) } else { Err(failed(format!("kill -{name}: {sent}"))) }
    }

    /// Has it ended by itself, without an error?
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(status)) if status.success())
    }

    /// Has it ended by itself?
    ///
    /// # Errors
    ///
    /// [`LabError::Worker`] if it has, which no chapter wants.
    pub(crate) fn check(&mut self) -> Result<(), LabError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                Err(LabError::Worker { worker: self.name.clone(), reason: status.to_string() })
            }
            Err(error) => {
                Err(LabError::Worker { worker: self.name.clone(), reason: error.to_string() })
            }
        }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}
