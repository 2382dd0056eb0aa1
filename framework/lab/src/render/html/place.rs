//! Where a page is written, and how: into a file beside it that then takes its name.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::LabError;

/// The file to write, if it can be written. A link is followed.
pub(super) fn checked(place: PathBuf) -> Result<PathBuf, LabError> {
    let failed = |source| LabError::Page { place: place.clone(), source };
    match std::fs::metadata(&place) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(failed(std::io::Error::other("something other than a file is there"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if place.file_name().is_none() {
                return Err(failed(std::io::Error::other("this is not the name of a file")));
            }
        }
        Err(error) => return Err(failed(error)),
    }
    // Where nothing is yet, the place is as it was said.
    let target = std::fs::canonicalize(&place).unwrap_or_else(|_| place.clone());
    beside(&target).map_err(failed)?;
    Ok(target)
}

/// Writes the text and then gives it its name.
pub(super) fn write(place: &Path, text: &str) -> Result<(), LabError> {
    let written = beside(place).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.persist(place).map_err(|error| error.error)
    });
    written.map(drop).map_err(|source| LabError::Page { place: place.to_owned(), source })
}

/// A file in the same folder, which is gone when it is dropped.
fn beside(place: &Path) -> std::io::Result<NamedTempFile> {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = Builder::new();
    builder.prefix(".oncestream-lab-").suffix(".html");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any file that is written for a reader; the umask takes its part.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder.unwrap_or(Path::new(".")))
}
