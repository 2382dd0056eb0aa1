//! What applications of this process log: shown by `RUST_LOG`, and kept from info on where it is of
//! this workspace's crates.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// The crates whose lines are kept: those whose names begin so. What librdkafka says has a target of
/// its own.
const KEPT: &str = "oncestream=info";

static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes to [`LOGGED`].
struct Keep;

impl io::Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
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
        let kept = fmt::layer().with_ansi(false).with_writer(|| Keep);
        let kept = kept.with_filter(EnvFilter::new(KEPT));
        // Another subscriber may be there, of a test that looks at the log itself.
        let _ = tracing_subscriber::registry().with(shown).with(kept).try_init();
    });
}

/// The lines that have all of these words, of any level from info on. A line begins with its time
/// and its level.
pub fn lines(words: &[&str]) -> Vec<String> {
    let kept = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&kept);
    let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
    text.lines().filter(has_all).map(str::to_owned).collect()
}

/// Whether a warning, or an error, was logged that has all of these words.
pub fn has_warned(words: &[&str]) -> bool {
    let level = |line: &String| line.split_whitespace().nth(1).map(str::to_owned);
    lines(words).iter().filter_map(level).any(|level| level == "WARN" || level == "ERROR")
}
