//! Opens the stores of an instance, and throws away what is damaged.
//!
//! Knows no backend: what is damaged is for the backend to say. Invariants:
//! - Nothing is thrown away because a disk is full, read-only or out of reach.
//! - A process that ends in the middle of an opening, twice in a row, does not do so a third time.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use oncestream_core::state::{Backend, BackendError};
use oncestream_engine::StreamsError;

/// The folder of the backend.
const STORES: &str = "stores";
/// There if a commit could not be applied: then all stores are read at the next opening.
pub(super) const SUSPECT: &str = "stores-suspect";
/// There while the stores are being opened: how many openings have not come to an end.
const OPENING: &str = "stores-opening";
/// So many openings may be cut short. A kill does it too, so the first one proves nothing.
const MAX_CUT_SHORT: u32 = 2;

/// Opens the stores below `path`, anew if they are damaged.
pub(super) fn open(
    path: &Path,
    open_backend: impl Fn(&Path) -> Result<Arc<dyn Backend>, StreamsError>,
) -> Result<Arc<dyn Backend>, StreamsError> {
    let data = path.join(STORES);
    let failed = |source| StreamsError::StateDir { path: path.display().to_string(), source };
    let (opening, suspect) = (path.join(OPENING), path.join(SUSPECT));
    let cut_short = openings_cut_short(&opening);
    fs::write(&opening, (cut_short + 1).to_string()).map_err(failed)?;
    if cut_short >= MAX_CUT_SHORT {
        throw_away(&data, &format!("{cut_short} processes ended while they opened them"))
            .map_err(failed)?;
    }
    let opened = match open_backend(&data) {
        Ok(backend) if suspect.exists() => verify(&*backend).map(|()| backend).map_err(Into::into),
        other => other,
    };
    let opened = match opened {
        Err(StreamsError::Backend(error)) if error.damaged => {
            throw_away(&data, &error.to_string()).map_err(failed)?;
            open_backend(&data)
        }
        other => other,
    };
    // Also after an error: the process did not end.
    remove(&opening).map_err(failed)?;
    let backend = opened?;
    remove(&suspect).map_err(failed)?;
    Ok(backend)
}

/// Whether something in the directory of an application belongs to its stores.
pub(super) fn is_entry(name: &str) -> bool {
    [STORES, SUSPECT, OPENING].contains(&name)
}

/// The number in the file; 0 if there is no file, and 1 if it holds something else. Only a few bytes
/// are read, because the file may be anything.
fn openings_cut_short(file: &Path) -> u32 {
    let Ok(file) = File::open(file) else { return 0 };
    let mut text = String::new();
    let read = file.take(10).read_to_string(&mut text);
    read.ok().and_then(|_| text.trim().parse().ok()).unwrap_or(1)
}

fn throw_away(data: &Path, reason: &str) -> io::Result<()> {
    tracing::warn!(stores = %data.display(), reason, "the stores are thrown away and rebuilt from their changelogs");
    match fs::remove_dir_all(data) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Reads all there is.
fn verify(backend: &dyn Backend) -> Result<(), BackendError> {
    for name in backend.keyspace_names() {
        for pair in backend.keyspace(&name)?.range(Bound::Unbounded, Bound::Unbounded) {
            pair?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oncestream_stores::MemoryBackend;
    use std::cell::Cell;

    fn backend_error(damaged: bool) -> StreamsError {
        let (action, message) = ("open".to_owned(), "it says so".to_owned());
        StreamsError::Backend(BackendError::new("test", action, message, damaged))
    }

    /// A directory with a store in it, and how many times it was opened.
    fn dir() -> (tempfile::TempDir, Cell<u32>) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("stores")).unwrap();
        fs::write(dir.path().join("stores/data"), "data").unwrap();
        (dir, Cell::new(0))
    }

    #[test]
    fn damaged_stores_are_thrown_away_and_opened_anew() {
        let (dir, opened) = dir();
        let backend = open(dir.path(), |data| {
            opened.set(opened.get() + 1);
            if data.join("data").exists() {
                return Err(backend_error(true));
            }
            Ok(Arc::new(MemoryBackend::new()))
        });
        assert!(backend.is_ok());
        assert_eq!(opened.get(), 2);
        assert!(!dir.path().join(OPENING).exists());
    }

    #[test]
    fn what_a_disk_refuses_is_told_and_kept_however_often() {
        let (dir, _) = dir();
        for _ in 0..5 {
            let error = open(dir.path(), |_| Err(backend_error(false))).unwrap_err();
            assert!(matches!(error, StreamsError::Backend(_)), "{error:?}");
        }
        assert!(dir.path().join("stores/data").exists());
    }

    #[test]
    fn stores_that_end_two_processes_are_thrown_away_by_the_third() {
        let (dir, _) = dir();
        let dies = |_: &Path| -> Result<Arc<dyn Backend>, StreamsError> { panic!("ends here") };
        for _ in 0..MAX_CUT_SHORT {
            let outcome =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| open(dir.path(), dies)));
            assert!(outcome.is_err());
            assert!(dir.path().join("stores/data").exists());
        }
        open(dir.path(), |_| Ok(Arc::new(MemoryBackend::new()))).unwrap();
        assert!(!dir.path().join("stores/data").exists());
        assert!(!dir.path().join(OPENING).exists());
    }
}
