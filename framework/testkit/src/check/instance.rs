//! What a case needs of an instance, in this process or in one of its own.

use std::time::Duration;

/// How an instance stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It runs, or is on its way there.
    Up,
    /// It stopped with an error.
    Stopped(String),
}

/// One instance of the application.
pub(super) trait Instance {
    /// How it stands now.
    fn standing(&mut self) -> Standing;

    /// Whether all its tasks have run since it was started.
    fn has_run(&mut self) -> bool;

    /// Commits and stops. An error is the one the application told.
    fn stop(self: Box<Self>, limit: Duration) -> Result<(), String>;
}
