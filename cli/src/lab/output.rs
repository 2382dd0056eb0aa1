//! Standard output, whose reader may go away.

use std::io::{ErrorKind, Result, Stdout, Write};

/// Standard output. Where a page is written too, a reader who goes away takes nothing from the page.
pub(super) struct Output {
    out: Stdout,
    goes_on: bool,
    closed: bool,
}

impl Output {
    pub(super) fn new(goes_on: bool) -> Self {
        Self { out: std::io::stdout(), goes_on, closed: false }
    }

    fn unless_closed<T>(&mut self, outcome: Result<T>, instead: T) -> Result<T> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::BrokenPipe && self.goes_on => {
                self.closed = true;
                Ok(instead)
            }
            other => other,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let outcome = self.out.write(bytes);
        self.unless_closed(outcome, bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let outcome = self.out.flush();
        self.unless_closed(outcome, ())
    }
}
