//! What fjall does not check itself, and which of its errors mean damage.
//!
//! fjall 3.1.13 has a checksum over each block of a table, each table's contents and the items of
//! each batch in a journal. It does not look at the checksum of a tree's list of tables (the file
//! `v<n>`, whose checksum is in `current`), nor has it one over the head of a batch, where its
//! sequence number is. So the lists are checked here at each opening, and the journals after a
//! clean stop, against sums in a file that [`seal`] writes and [`unseal`] removes.
//!
//! After a kill there are no such sums; then [`journal`](super::journal) looks at the batches.

use std::error::Error as _;
use std::fmt::{Display, Write as _};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use oncestream_core::state::BackendError;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use super::NAME;

/// The file with the sums, beside fjall's own.
const SEAL: &str = "oncestream-seal";
/// So many bytes of a journal are read at a time.
const PIECE: usize = 64 * 1024;
/// fjall's lock, and how often and how far apart it is tried to take it. A child of this process has it
/// too between its fork and its exec, which takes a while on a busy machine.
const LOCK: &str = "lock";
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);
const FIRST_LINE: &str = "oncestream-seal 1";

/// An error that says: throw the directory away and make it anew.
pub(super) fn damaged(dir: &Path, reason: impl Display) -> BackendError {
    let action = format!("open {}", dir.display());
    BackendError::new(NAME, action, format!("it is damaged: {reason}"), true)
}

/// An error of fjall's, and whether its cause is damage.
pub(super) fn fault(action: String, cause: &fjall::Error) -> BackendError {
    let message = match cause {
        fjall::Error::Poisoned => {
            "an earlier write failed, the log says how; the disk may be full or read-only".into()
        }
        other => other.to_string(),
    };
    BackendError::new(NAME, action, message, is_damage(cause))
}

fn is_damage(error: &fjall::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return is_damage_io(io);
        }
        source = cause.source();
    }
    // All others are about what was read.
    !matches!(error, fjall::Error::Poisoned | fjall::Error::KeyspaceDeleted | fjall::Error::Locked)
}

/// A file that is missing, too short or senseless; not a disk that is full or refuses.
pub(super) fn is_damage_io(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::UnexpectedEof
            | ErrorKind::InvalidData
            | ErrorKind::InvalidInput
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
    )
}

pub(super) fn refused(dir: &Path, error: &io::Error) -> BackendError {
    super::failed(NAME, format!("check the files in {}", dir.display()), error)
}

/// A file's bytes; `None` if it is not there.
fn read(dir: &Path, file: &Path) -> Result<Option<Vec<u8>>, BackendError> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if is_damage_io(&e) => Ok(None),
        Err(e) => Err(refused(dir, &e)),
    }
}

/// A lock that is given up when it is dropped, also if a child that was forked meanwhile has the file.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file does it too, but for the child.
        let _ = self.0.unlock();
    }
}

/// Keeps others from opening the database while its files are checked; they change while it is open
/// elsewhere, and would look damaged. `None` if there is no lock to take: fjall makes it, or tells.
pub(super) fn lock(dir: &Path) -> Result<Option<Lock>, BackendError> {
    let Ok(file) = File::options().read(true).write(true).open(dir.join(LOCK)) else {
        return Ok(None);
    };
    for is_last in (1..=LOCK_TRIES).map(|n| n == LOCK_TRIES) {
        match file.try_lock() {
            Ok(()) => return Ok(Some(Lock(file))),
            Err(TryLockError::Error(_)) => break,
            Err(TryLockError::WouldBlock) if is_last => {
                return Err(fault(format!("open {}", dir.display()), &fjall::Error::Locked));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
        }
    }
    Ok(None)
}

/// Checks the files of a database that is not open. Tells the last batch before a clean stop, if
/// nothing was written since.
pub(super) fn files(dir: &Path) -> Result<Option<u64>, BackendError> {
    let trees = match fs::read_dir(dir.join("keyspaces")) {
        Ok(trees) => trees,
        // fjall will tell what else is missing.
        Err(e) if is_damage_io(&e) => return sealed(dir),
        Err(e) => return Err(refused(dir, &e)),
    };
    for tree in trees {
        let tree = tree.map_err(|e| refused(dir, &e))?.path();
        // Without it the tree was never finished, or the marks tell.
        let Some(current) = read(dir, &tree.join("current"))? else { continue };
        let Some((id, rest)) = current.split_first_chunk::<8>() else {
            return Err(damaged(dir, format!("{}/current is too short", tree.display())));
        };
        let list = tree.join(format!("v{}", u64::from_le_bytes(*id)));
        // fjall opens no tree without its list. But it removes the trees of dropped keyspaces file by
        // file, so a kill may leave one that lacks it.
        let Some(bytes) = read(dir, &list)? else { continue };
        if rest.first_chunk::<16>() != Some(&xxh3_128(&bytes).to_le_bytes()) {
            return Err(damaged(dir, format!("{} does not have its checksum", list.display())));
        }
    }
    sealed(dir)
}

/// Checks the journals against their sums.
fn sealed(dir: &Path) -> Result<Option<u64>, BackendError> {
    let Some(bytes) = read(dir, &dir.join(SEAL))? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let broken = || damaged(dir, format!("{SEAL} does not have its checksum"));
    let (body, own) = text.trim_end().rsplit_once('\n').ok_or_else(broken)?;
    if own != format!("{:032x}", xxh3_128(body.as_bytes())) {
        return Err(broken());
    }
    let mut lines = body.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Err(broken());
    }
    let last = lines.next().and_then(|n| n.parse().ok()).ok_or_else(broken)?;
    for line in lines {
        let (name, sum) = line.split_once(' ').ok_or_else(broken)?;
        // One that is not there was written out after the sums, or the marks tell.
        let Some(found) = journal_sum(dir, &dir.join(name))? else { continue };
        if sum != found {
            return Err(damaged(dir, format!("{name} does not have its checksum")));
        }
    }
    Ok(Some(last))
}

/// The sum of a journal without the zeros at its end: fjall takes room in advance and gives it
/// back. `None` if there is no such file.
fn journal_sum(dir: &Path, file: &Path) -> Result<Option<String>, BackendError> {
    let mut journal = match File::open(file) {
        Ok(journal) => journal,
        Err(e) if is_damage_io(&e) => return Ok(None),
        Err(e) => return Err(refused(dir, &e)),
    };
    let (mut piece, zeros) = (vec![0; PIECE], vec![0; PIECE]);
    let mut sum = Xxh3Default::new();
    // Zeros that were read and belong to the sum only if something follows them.
    let mut held = 0;
    loop {
        let read = journal.read(&mut piece).map_err(|e| refused(dir, &e))?;
        if read == 0 {
            return Ok(Some(format!("{:032x}", sum.digest128())));
        }
        let piece = &piece[..read];
        if piece == &zeros[..read] {
            held += read + skip_hole(&mut journal).map_err(|e| refused(dir, &e))?;
            continue;
        }
        while held > 0 {
            let some = held.min(PIECE);
            sum.update(&zeros[..some]);
            held -= some;
        }
        let end = piece.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        sum.update(&piece[..end]);
        held = read - end;
    }
}

/// Goes on to where the file has data, or to its end: how many zeros are in between. fjall takes
/// 64 MiB in advance, which would be read at each start and stop.
#[cfg(target_os = "linux")]
fn skip_hole(file: &mut File) -> io::Result<usize> {
    use std::io::Seek as _;

    let from = file.stream_position()?;
    let to = match rustix::fs::seek(&*file, rustix::fs::SeekFrom::Data(from)) {
        Ok(data) => data,
        // Nothing but a hole up to the end.
        Err(rustix::io::Errno::NXIO) => file.seek(io::SeekFrom::End(0))?,
        // A file system that does not tell.
        Err(_) => file.seek(io::SeekFrom::Start(from))?,
    };
    Ok(usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX))
}

/// Elsewhere all of a file is read.
#[cfg(not(target_os = "linux"))]
fn skip_hole(_: &mut File) -> io::Result<usize> {
    Ok(0)
}

/// Writes the sums, when nothing will be written any more.
pub(super) fn seal(dir: &Path, last_batch: u64) -> Result<(), BackendError> {
    let refused = |e: io::Error| refused(dir, &e);
    let mut body = format!("{FIRST_LINE}\n{last_batch}");
    for file in fs::read_dir(dir).map_err(refused)? {
        let name = file.map_err(refused)?.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|e| e == "jnl")
            && let Some(sum) = journal_sum(dir, &dir.join(&name))?
        {
            let _ = write!(body, "\n{name} {sum}");
        }
    }
    let text = format!("{body}\n{:032x}\n", xxh3_128(body.as_bytes()));
    let partial = dir.join(format!("{SEAL}.partial"));
    fs::write(&partial, text).map_err(refused)?;
    fs::rename(partial, dir.join(SEAL)).map_err(refused)
}

/// Removes the sums, before the files change.
pub(super) fn unseal(dir: &Path) -> Result<(), BackendError> {
    match fs::remove_file(dir.join(SEAL)) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(refused(dir, &e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// What a child has between its fork and its exec is such a copy.
    #[test]
    fn a_lock_that_is_dropped_is_free_while_a_copy_of_its_file_is_open() {
        let dir = tempfile::tempdir().unwrap();
        File::create(dir.path().join(LOCK)).unwrap();
        let taken = lock(dir.path()).unwrap().unwrap();
        let copy = taken.0.try_clone().unwrap();
        drop(taken);
        let again = File::options().write(true).open(dir.path().join(LOCK)).unwrap();
        again.try_lock().unwrap();
        drop(copy);
    }
}
