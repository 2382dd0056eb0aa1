//! The state directory of an instance: its lock, its id, and the stores in it.
//!
//! Invariants:
//! - One process at a time works in a directory.
//! - Stores that are damaged are thrown away when they are opened, because the changelogs have all that
//!   is in them. Stores that only cannot be read at the moment, on a full disk for instance, are kept.
//! - What is committed may wait in memory for `statestore.write.interval.ms`. After a kill the changelogs
//!   bring it back, and after a clean end it is on the disk.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use oncestream_core::state::Backend;
use oncestream_engine::StreamsError;
use oncestream_engine::ports::Stores;
use oncestream_stores::{MemoryBackend, WriteBehind};

mod stores;
mod write_down;

use self::write_down::WriteDown;
use crate::config::{StateBackendKind, StreamsConfig};

/// The file that is locked.
const LOCK: &str = "lock";
/// The file with the id of the instance.
const INSTANCE_ID: &str = "instance-id";
/// So much may wait in memory until it is written to the backend, if its time is not over before.
const WAITING_MAX_BYTES: usize = 16 << 20;
/// How a file is called until it is whole.
const PARTIAL: &str = "partial";

/// The lock of the directory. A process that this one starts has a copy of the open file until it
/// runs its own program, so the lock is given up and not only closed.
pub(crate) struct Lock(File);

impl Lock {
    /// Locks the directory of an application; `None` if another process works in it.
    pub(crate) fn try_take(directory: &Path) -> io::Result<Option<Self>> {
        let file = File::create(directory.join(LOCK))?;
        Ok(was_got(file.try_lock())?.then_some(Self(file)))
    }

    /// Whether this is the file that is locked.
    pub(crate) fn is_at(file: &Path) -> bool {
        file.file_name().is_some_and(|name| name == LOCK)
    }

    /// Whether another process works in a directory; nothing is written to it.
    pub(crate) fn is_taken(directory: &Path) -> io::Result<bool> {
        match File::open(directory.join(LOCK)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            file => {
                let file = file?;
                let is_free = was_got(file.try_lock_shared())?;
                // Given up as any other.
                drop(Self(file));
                Ok(!is_free)
            }
        }
    }
}

/// Whether a lock was got; `false` if another process has it.
fn was_got(tried: Result<(), TryLockError>) -> io::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether something in the directory of an application was put there by an instance.
pub(crate) fn is_own_entry(name: &str) -> bool {
    let partial = name.strip_suffix(PARTIAL).and_then(|name| name.strip_suffix('.'));
    partial == Some(INSTANCE_ID) || [LOCK, INSTANCE_ID].contains(&name) || stores::is_entry(name)
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the lock of the state directory ends with its file");
        }
    }
}

/// `<state.dir>/<application.id>`, locked.
pub(crate) struct StateDir {
    /// Closed before the lock is given up, by their order here.
    pub(crate) stores: Arc<Stores>,
    pub(crate) instance_id: String,
    /// Writes down what waits in memory, if something may.
    _write_down: Option<WriteDown>,
    /// Held open: the lock ends with the process, however it ends.
    _lock: Option<Lock>,
}

impl StateDir {
    /// Locks the directory, reads or makes the instance id, opens the backend.
    pub(crate) fn open(config: &StreamsConfig) -> Result<Self, StreamsError> {
        let path = config.state_dir().join(config.application_id());
        let failed = |source| StreamsError::StateDir { path: path.display().to_string(), source };
        if config.state_backend() == StateBackendKind::Memory {
            // Nothing on disk, so nothing to lock; the id is new at each start.
            return Ok(Self {
                stores: Arc::new(Stores::new(Arc::new(MemoryBackend::new()), |_| {})),
                instance_id: config.instance_id().map_or_else(new_id, str::to_owned),
                _write_down: None,
                _lock: None,
            });
        }
        if config.is_state_dir_default() {
            tracing::warn!(
                path = %path.display(),
                "state.dir is not set, and its default lies in the temporary directory, which \
                 reboots and clean-ups such as systemd-tmpfiles empty, also while the application \
                 runs: set state.dir"
            );
        }
        fs::create_dir_all(&path).map_err(failed)?;
        let Some(lock) = Lock::try_take(&path).map_err(failed)? else {
            return Err(StreamsError::StateDirInUse { path: path.display().to_string() });
        };
        let instance_id = match config.instance_id() {
            Some(id) => id.to_owned(),
            None => persisted_id(&path.join(INSTANCE_ID)).map_err(failed)?,
        };
        let backend = stores::open(&path, |data| open_backend(config.state_backend(), data))?;
        let interval = config.write_interval();
        let backend = if interval.is_zero() {
            backend
        } else {
            Arc::new(WriteBehind::new(backend, WAITING_MAX_BYTES)) as Arc<dyn Backend>
        };
        let suspect = path.join(stores::SUSPECT);
        let stores = Arc::new(Stores::new(backend, move |error| {
            // If this fails too, the disk is at fault and not what is on it.
            let _ = fs::write(&suspect, error.to_string());
        }));
        let write_down = (!interval.is_zero())
            .then(|| WriteDown::start(stores.clone(), interval))
            .transpose()
            .map_err(failed)?;
        Ok(Self { stores, instance_id, _write_down: write_down, _lock: Some(lock) })
    }
}

fn open_backend(kind: StateBackendKind, data: &Path) -> Result<Arc<dyn Backend>, StreamsError> {
    match kind {
        StateBackendKind::Memory => Ok(Arc::new(MemoryBackend::new())),
        #[cfg(feature = "fjall")]
        StateBackendKind::Fjall => Ok(Arc::new(oncestream_stores::FjallBackend::open(
            data,
            &oncestream_stores::FjallOptions::default(),
        )?)),
        #[cfg(feature = "sled")]
        StateBackendKind::Sled => Ok(Arc::new(oncestream_stores::SledBackend::open(
            data,
            &oncestream_stores::SledOptions::default(),
        )?)),
        #[allow(unreachable_patterns)] // Reached when a backend's feature is off.
        other => Err(StreamsError::StateDir {
            path: data.display().to_string(),
            source: io::Error::other(format!(
                "state.backend={other:?} needs the cargo feature of that name"
            )),
        }),
    }
}

/// The id in the file, or a new one written to it.
fn persisted_id(file: &Path) -> io::Result<String> {
    match fs::read_to_string(file) {
        Ok(id) if is_id(id.trim()) => return Ok(id.trim().to_owned()),
        Ok(_) => damaged_id(file),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => damaged_id(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let id = new_id();
    let partial = file.with_extension(PARTIAL);
    fs::write(&partial, &id)?;
    fs::rename(partial, file)?;
    Ok(id)
}

/// Whether [`new_id`] could have made it.
fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// What the old id left open ends by its timeout.
fn damaged_id(file: &Path) {
    tracing::warn!(file = %file.display(), "the instance id is damaged: a new one is made");
}

fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use std::io::Write;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<Vec<u8>>>);

    impl Write for Logged {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// How often it is warned of `state.dir` while the directory is opened.
    fn warnings(settings: &[(&str, &str)]) -> usize {
        let app = format!("state-dir-test-{}", new_id());
        let config = StreamsConfig::builder(&app, "b:1");
        let config = settings.iter().fold(config, |c, (key, value)| c.set(key, value).unwrap());
        let config = config.build().unwrap();
        let logged = Logged::default();
        let writer = logged.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone())
            .finish();
        let opened = tracing::subscriber::with_default(subscriber, || StateDir::open(&config));
        drop(opened.unwrap());
        // Nothing is left in the directory that all applications share.
        let _ = fs::remove_dir_all(config.state_dir().join(&app));
        let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("WARN") && line.contains("set state.dir")).count()
    }

    #[test]
    fn a_state_directory_that_may_be_cleaned_away_is_warned_of_if_nobody_chose_it() {
        let chosen = tempfile::tempdir().unwrap();
        let path = chosen.path().to_str().unwrap();
        assert_eq!(warnings(&[]), 1);
        assert_eq!(warnings(&[("state.dir", path)]), 0);
        assert_eq!(warnings(&[("state.backend", "memory")]), 0, "nothing is on disk");
    }
}
