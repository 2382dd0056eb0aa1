//! The local state of an application, to be deleted.
//!
//! Invariant: nothing is deleted that an instance works in, or that no instance has made.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use oncestream_engine::StreamsError;

use super::ResetError;
use crate::config::StreamsConfig;
use crate::state_dir::{Lock, is_own_entry};

/// The application's directory, if there is one that may be deleted. It is only looked at.
pub(super) fn find(config: &StreamsConfig) -> Result<Option<PathBuf>, ResetError> {
    // An application's id is one name, and no path.
    let path = config.state_dir().join(config.application_id());
    let failed = |source| failed(&path, source);
    let mut names = Vec::new();
    match fs::read_dir(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        entries => {
            for entry in entries.map_err(failed)? {
                let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
                if !is_own_entry(&name) {
                    names.push(name);
                }
            }
        }
    }
    let told = path.display().to_string();
    if !names.is_empty() {
        names.sort();
        return Err(ResetError::ForeignFiles { path: told, names });
    }
    if Lock::is_taken(&path).map_err(failed)? {
        return Err(ResetError::StateDirInUse { path: told });
    }
    Ok(Some(path))
}

/// A directory that no instance can work in until this value is gone.
pub(super) struct LockedDirectory {
    path: PathBuf,
    _lock: Lock,
}

impl LockedDirectory {
    pub(super) fn lock(path: PathBuf) -> Result<Self, ResetError> {
        match Lock::try_take(&path).map_err(|source| failed(&path, source))? {
            Some(lock) => Ok(Self { path, _lock: lock }),
            None => Err(ResetError::StateDirInUse { path: path.display().to_string() }),
        }
    }

    /// Deletes it, its lock last.
    pub(super) fn delete(self) -> Result<(), ResetError> {
        let delete = || {
            for entry in fs::read_dir(&self.path)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else if !Lock::is_at(&entry.path()) {
                    fs::remove_file(entry.path())?;
                }
            }
            fs::remove_dir_all(&self.path)
        };
        delete().map_err(|source: io::Error| failed(&self.path, source))
    }
}

fn failed(path: &Path, source: io::Error) -> ResetError {
    StreamsError::StateDir { path: path.display().to_string(), source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &Path) -> StreamsConfig {
        StreamsConfig::builder("app", "b:1").state_dir(dir).build().unwrap()
    }

    #[test]
    fn the_directory_of_the_application_alone_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        for app in ["app", "app-2"] {
            fs::create_dir_all(dir.path().join(app).join("stores/deep")).unwrap();
            for file in ["lock", "instance-id", "instance-id.partial", "stores/deep/data"] {
                fs::write(dir.path().join(app).join(file), "x").unwrap();
            }
        }
        let path = find(&config(dir.path())).unwrap().unwrap();
        LockedDirectory::lock(path).unwrap().delete().unwrap();
        assert!(!dir.path().join("app").exists());
        assert!(dir.path().join("app-2/stores/deep/data").exists());
        assert_eq!(find(&config(dir.path())).unwrap(), None);
    }

    #[test]
    fn a_directory_with_other_files_in_it_is_refused_with_their_names() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("app/stores")).unwrap();
        for file in ["thesis.tex", ".profile"] {
            fs::write(dir.path().join("app").join(file), "x").unwrap();
        }
        let error = find(&config(dir.path())).unwrap_err();
        let ResetError::ForeignFiles { names, .. } = error else { panic!("{error}") };
        assert_eq!(names, [".profile", "thesis.tex"]);
    }

    #[test]
    fn a_directory_that_an_instance_works_in_is_refused_and_then_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app");
        fs::create_dir_all(&path).unwrap();
        let instance = Lock::try_take(&path).unwrap().unwrap();
        let is_in_use = |e: Option<ResetError>| matches!(e, Some(ResetError::StateDirInUse { .. }));
        assert!(is_in_use(find(&config(dir.path())).err()));
        assert!(is_in_use(LockedDirectory::lock(path.clone()).err()));
        drop(instance);
        assert_eq!(find(&config(dir.path())).unwrap(), Some(path));
    }
}
