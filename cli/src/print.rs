//! Standard output. Nobody may read it any more, which is no error: `oncestream ... | head`.

use std::io::{ErrorKind, Write, stdout};

use anyhow::Context;

/// Writes a text. Where the reader is gone, it is dropped.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// As [`print()`], a value for programs.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
