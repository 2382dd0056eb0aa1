//! What the command prints: texts and JSON on standard output, and errors in words.
//!
//! It is no error if nobody reads standard output any more: `oncestream ... | head`.

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

/// An error with its causes. Texts of ours have their cause in them, so a cause that was said is left out.
pub(crate) fn in_words(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// As [`print()`], a value for programs.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use oncestream_runtime::config::StreamsConfigBuilder;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = StreamsConfigBuilder::new().properties_file("/no/such/file").unwrap_err();
        let words = in_words(&anyhow::Error::new(error).context("cannot start"));
        assert_eq!(words.matches("/no/such/file").count(), 1, "{words}");
        assert_eq!(words.matches("os error 2").count(), 1, "{words}");
        assert!(words.starts_with("cannot start: cannot read the configuration file"), "{words}");
    }
}
