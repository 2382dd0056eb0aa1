//! State backends of Oncestream: memory, fjall and sled, behind the traits of `oncestream-core`.
//!
//! This crate knows bytes, keyspaces and batches. It knows nothing of types, tasks, changelogs or
//! Kafka. Each backend lives in one file, with a folder beside it if need be, and these alone name
//! its library.
//!
//! [`WriteBehind`] stands in front of another backend and lets batches wait in memory, so that a hot row
//! goes down once and not with each commit.
//!
//! What every backend keeps:
//! - A batch is applied whole or not at all, over all its keyspaces, also across a process kill.
//! - What is found after a kill is the result of batches 1 to n, in order, for some n. With fjall
//!   every batch whose commit returned is among them; with sled, and behind a [`WriteBehind`], the last
//!   ones may be lost.
//! - Of several writes to one key in one batch the last one wins.
//! - Any key of up to [`MAX_KEY_BYTES`] is allowed, the empty
//!   one too, and a range whose bounds are crossed is empty.
//!
//! | backend | feature | survives | use |
//! |---|---|---|---|
//! | [`MemoryBackend`] | always | nothing: it is rebuilt from the changelog | tests, small state |
//! | [`FjallBackend`] | `fjall` (default) | a process kill, with every committed batch | services |
//! | [`SledBackend`] | `sled` | a process kill, as a prefix of the batches | those who have sled |
//!
//! ```
//! use oncestream_core::state::{Backend, WriteBatch};
//! use oncestream_stores::MemoryBackend;
//!
//! let backend = MemoryBackend::new();
//! let counts = backend.keyspace("0_1-counts")?;
//! let mut batch = WriteBatch::default();
//! batch.put("0_1-counts", b"word", b"7");
//! backend.commit(&batch)?;
//!
//! let mut seen = Vec::new();
//! counts.get(b"word", &mut |value| seen.extend_from_slice(value))?;
//! assert_eq!(seen, b"7");
//! # Ok::<(), oncestream_core::state::BackendError>(())
//! ```

mod batch;
mod behind;
mod bounds;
#[cfg(feature = "fjall")]
mod fjall;
mod memory;
#[cfg(feature = "sled")]
mod sled;

pub use self::behind::WriteBehind;
#[cfg(feature = "fjall")]
pub use self::fjall::{FjallBackend, FjallOptions};
pub use self::memory::MemoryBackend;
#[cfg(feature = "sled")]
pub use self::sled::{SledBackend, SledOptions};

use oncestream_core::state::{BackendError, MAX_KEY_BYTES};
use std::fmt::Display;

/// An error of a backend, from whatever its library said.
fn failed(backend: &'static str, action: impl Into<String>, cause: impl Display) -> BackendError {
    BackendError::new(backend, action, cause.to_string(), false)
}

/// The error for a batch that names a keyspace nobody opened.
fn not_open(backend: &'static str, keyspace: &str) -> BackendError {
    failed(backend, format!("commit to keyspace {keyspace}"), "the keyspace was not opened")
}

/// Refuses a key that not every backend could hold.
fn check_key(backend: &'static str, keyspace: &str, key: &[u8]) -> Result<(), BackendError> {
    if key.len() <= MAX_KEY_BYTES {
        return Ok(());
    }
    let fault = format!("a key of {} bytes: keys have up to {MAX_KEY_BYTES}", key.len());
    Err(failed(backend, format!("commit to keyspace {keyspace}"), fault))
}
