//! What applications of this process log: shown by `RUST_LOG`, and kept where it is a warning.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

static WARNINGS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes to [`WARNINGS`].
struct Keep;

impl io::Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WARNINGS.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes in what is logged from now on. Only the first call counts.
pub fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        let shown = fmt::layer().with_test_writer().with_filter(EnvFilter::from_default_env());
        let kept =
            fmt::layer().with_ansi(false).with_writer(|| Keep).with_filter(LevelFilter::WARN);
        // Another subscriber may be there, of a test that looks at the log itself.
        let _ = tracing_subscriber::registry().with(shown).with(kept).try_init();
    });
}

/// Whether a warning was logged that has all of these words.
pub fn has_warned(words: &[&str]) -> bool {
    let kept = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&kept);
    text.lines().any(|line| words.iter().all(|word| line.contains(word)))
}
