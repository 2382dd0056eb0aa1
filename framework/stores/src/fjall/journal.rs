//! The order of the batches in fjall's journals.
//!
//! fjall 3.1.13 has no checksum over the head of a batch, where its sequence number is, and which of
//! two values of a key is the newer hangs on it. Numbers are given one after the other under the
//! lock of the journal, so they rise from batch to batch, through all journals. A flip that
//! leaves that order as it was changes nothing; any other is found here.
//!
//! Knows of the form of a journal what `journal/entry.rs` of fjall has. What does not have that form
//! is left to fjall, which cuts a journal there or refuses it.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use oncestream_core::state::BackendError;

use super::check::{damaged, refused};

/// The tags of entries.
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// What ends the end of a batch.
const MAGIC: [u8; 4] = *b"FJL\x03";
/// Between two batches no more than so many numbers are given: to changes of the table of
/// keyspaces and to openings. Only a flip skips more.
const LARGEST_GAP: u64 = 1 << 16;

/// Checks the journals of a database that is not open.
pub(super) fn in_order(dir: &Path) -> Result<(), BackendError> {
    let mut last = None;
    for (_, file) in journals(dir)? {
        let mut journal = BufReader::new(File::open(&file).map_err(|e| refused(dir, &e))?);
        while let Some(number) = next_batch(&mut journal).map_err(|e| refused(dir, &e))? {
            if last.is_some_and(|last| number <= last || number - last > LARGEST_GAP) {
                let reason = format!("{} has a batch out of its order", file.display());
                return Err(damaged(dir, reason));
            }
            last = Some(number);
        }
    }
    Ok(())
}

/// The journals, the oldest first.
fn journals(dir: &Path) -> Result<Vec<(u64, PathBuf)>, BackendError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(refused(dir, &e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| refused(dir, &e))?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".jnl")?.parse().ok());
        found.extend(id.map(|id| (id, dir.join(name))));
    }
    found.sort_unstable();
    Ok(found)
}

/// The sequence number of the next whole batch.
fn next_batch(journal: &mut BufReader<File>) -> io::Result<Option<u64>> {
    match read_batch(journal) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(None),
        other => other,
    }
}

fn read_batch(journal: &mut BufReader<File>) -> io::Result<Option<u64>> {
    let mut number = None;
    loop {
        match bytes::<1>(journal)?[0] {
            START => {
                let _count: [u8; 4] = bytes(journal)?;
                number = Some(u64::from_le_bytes(bytes(journal)?));
            }
            ITEM => {
                let _type_compression_and_keyspace: [u8; 10] = bytes(journal)?;
                let key = u16::from_le_bytes(bytes(journal)?);
                let _uncompressed: [u8; 4] = bytes(journal)?;
                let value = u32::from_le_bytes(bytes(journal)?);
                journal.seek_relative(i64::from(key) + i64::from(value))?;
            }
            CLEAR => {
                let _keyspace: [u8; 8] = bytes(journal)?;
            }
            END => {
                let _checksum: [u8; 8] = bytes(journal)?;
                let is_whole = bytes(journal)? == MAGIC;
                return Ok(number.filter(|_| is_whole));
            }
            _ => return Ok(None),
        }
    }
}

fn bytes<const N: usize>(journal: &mut BufReader<File>) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    journal.read_exact(&mut bytes)?;
    Ok(bytes)
}
