//! What a case needs of an instance, in this process or in one of its own.

use std::time::Duration;

use super::local::Local;
use super::process::Process;

/// How an instance stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It runs, or is on its way there.
    Up,
    /// It stopped with an error.
    Stopped(String),
}

/// An instance, as what it is.
pub(super) enum Running {
    Local(Box<Local>),
    Process(Box<Process>),
}

impl Running {
    /// How it stands now.
    pub(super) fn standing(&mut self) -> Standing {
        match self {
            Self::Local(local) => local.standing(),
            Self::Process(process) => process.standing(),
        }
    }

    /// Whether all its tasks have run since it was started.
    pub(super) fn has_run(&mut self) -> bool {
        match self {
            Self::Local(local) => local.has_run(),
            Self::Process(process) => process.has_run(),
        }
    }

    /// Commits and stops. An error is the one the application told.
    pub(super) fn stop(self, limit: Duration) -> Result<(), String> {
        match self {
            Self::Local(local) => local.stop(limit),
            Self::Process(process) => process.stop(limit),
        }
    }
}
