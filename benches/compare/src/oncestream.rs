//! The jobs on Oncestream.
//!
//! Runs in a child process of its own, like the other contenders, until SIGTERM.

use crate::job::RunSpec;

/// Says that a contender does not exist in this build; the comparison then leaves it out.
#[derive(Debug)]
pub(crate) struct NotBuilt;

impl std::fmt::Display for NotBuilt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not built yet")
    }
}

impl std::error::Error for NotBuilt {}

/// Runs `spec.job` under `spec.guarantee` until the process is told to stop.
///
/// # Errors
/// [`NotBuilt`] when this build cannot; any other error fails the run.
pub(crate) fn oncestream(_spec: &RunSpec) -> anyhow::Result<()> {
    Err(NotBuilt.into())
}
