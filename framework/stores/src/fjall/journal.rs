//! The batches in fjall's journals: all there, and in their order.
//!
//! fjall 3.1.13 has no checksum over the head of a batch, where its sequence number is, and which of
//! two values of a key is the newer hangs on it. Where a journal makes no sense it goes on with the
//! next one, so batches in the middle can go missing. Both are found here:
//!
//! - Sequence numbers are given under the lock of the journal, so they rise from batch to batch,
//!   through all journals. They rise over an opening, too, though fjall sets its counter by what its
//!   keyspaces have: each batch writes to [`SEQUENCE`](super::SEQUENCE), so that keyspace has the
//!   highest one, in a table or from the journal.
//! - The numbers in our own marks are consecutive, whatever keyspaces were dropped in between
//!   ([`marks`](super::marks)), and tell the least sequence number of their batch.
//! - A journal that another follows was finished: nothing but zeros comes after its last batch.
//!
//! Knows of the form of a journal what `journal/entry.rs` of fjall has. The end of the last journal
//! is left to fjall, which cuts it where it makes no sense: a kill leaves it so.
//!
//! Not found: that the oldest of several journals is missing as a whole, which looks as if all of it
//! was written out; and a sequence number that was raised and is still below the next, which changes
//! no order.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use oncestream_core::state::BackendError;

use super::check::{damaged, is_damage_io, refused};
use super::marks::{MARK, Mark, read_mark};

/// The tags of entries.
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// What ends the end of a batch.
const MAGIC: [u8; 4] = *b"FJL\x03";
/// Between two batches no more than so many numbers are given, to memtables and tables that are
/// written out or merged and to changes of the table of keyspaces: a few for each, and there may be
/// many thousands of keyspaces. Only a flip skips more. One that skips less changes no order.
const LARGEST_GAP: u64 = 1 << 32;

struct Batch {
    sequence_number: u64,
    /// What our own batches leave in each keyspace.
    mark: Option<Mark>,
}

/// Checks the journals of a database that is not open.
pub(super) fn in_order(dir: &Path) -> Result<(), BackendError> {
    match check(dir) {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(damaged(dir, reason)),
        // fjall tells what is wrong there.
        Err(e) if is_damage_io(&e) => Ok(()),
        Err(e) => Err(refused(dir, &e)),
    }
}

/// What is wrong with the batches.
fn check(dir: &Path) -> io::Result<Option<String>> {
    let (mut last, mut last_number, mut unfinished) = (None, None, None);
    let journals = journals(dir)?;
    for (nth, (_, file)) in journals.iter().enumerate() {
        let mut journal = BufReader::new(File::open(file)?);
        let mut is_empty = true;
        let end = loop {
            let batch = match next(&mut journal)? {
                Next::Batch(batch) => batch,
                Next::End(end) => break end,
            };
            if let Some(before) = unfinished {
                return Ok(Some(format!("{before} is cut, and batches follow it")));
            }
            is_empty = false;
            let at = batch.sequence_number;
            let mut in_order = last.is_none_or(|last| last < at && at - last <= LARGEST_GAP);
            last = Some(at);
            if let Some((number, least)) = batch.mark.map(read_mark) {
                in_order &= least <= at && last_number.is_none_or(|last| last + 1 == number);
                last_number = Some(number);
            }
            if !in_order {
                return Ok(Some(format!("{} has a batch out of its order", file.display())));
            }
        };
        // Full is what makes another one follow.
        if nth + 1 < journals.len() && (is_empty || !is_finished(&mut journal, end)?) {
            unfinished = Some(file.display());
        }
    }
    Ok(None)
}

/// The journals, the oldest first.
fn journals(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".jnl")?.parse().ok());
        found.extend(id.map(|id| (id, dir.join(name))));
    }
    found.sort_unstable();
    Ok(found)
}

/// What comes next in a journal.
enum Next {
    Batch(Batch),
    End(End),
}

/// Why no batch comes any more.
enum End {
    /// The file ends.
    File,
    /// There are zeros: fjall takes room in advance.
    Room,
    /// It is the beginning of a batch, or none at all.
    Torn,
}

fn next(journal: &mut BufReader<File>) -> io::Result<Next> {
    let ends = |e: io::Error, end| match e.kind() {
        ErrorKind::UnexpectedEof => Ok(Next::End(end)),
        _ => Err(e),
    };
    let first = match bytes::<1>(journal) {
        Ok([0]) => return Ok(Next::End(End::Room)),
        Ok([first]) => first,
        Err(e) => return ends(e, End::File),
    };
    match read_batch(journal, first) {
        Ok(batch) => Ok(batch.map_or(Next::End(End::Torn), Next::Batch)),
        Err(e) => ends(e, End::Torn),
    }
}

/// Whether a journal ends after a batch.
fn is_finished(journal: &mut BufReader<File>, end: End) -> io::Result<bool> {
    match end {
        End::File => Ok(true),
        End::Torn => Ok(false),
        End::Room => loop {
            let piece = journal.fill_buf()?;
            if piece.is_empty() || piece.iter().any(|byte| *byte != 0) {
                return Ok(piece.is_empty());
            }
            let length = piece.len();
            journal.consume(length);
        },
    }
}

/// A whole batch that begins with this byte.
fn read_batch(journal: &mut BufReader<File>, first: u8) -> io::Result<Option<Batch>> {
    let mut batch = None;
    let mut tag = first;
    loop {
        match tag {
            START => {
                let _count: [u8; 4] = bytes(journal)?;
                let sequence_number = u64::from_le_bytes(bytes(journal)?);
                batch = Some(Batch { sequence_number, mark: None });
            }
            ITEM => {
                let mark = read_item(journal)?;
                if let Some(batch) = &mut batch {
                    batch.mark = mark.or(batch.mark);
                }
            }
            CLEAR => {
                let _keyspace: [u8; 8] = bytes(journal)?;
            }
            END => {
                let _checksum: [u8; 8] = bytes(journal)?;
                let is_whole = bytes(journal)? == MAGIC;
                return Ok(batch.filter(|_| is_whole));
            }
            _ => return Ok(None),
        }
        [tag] = bytes(journal)?;
    }
}

/// The mark that an item has, if it has one.
fn read_item(journal: &mut BufReader<File>) -> io::Result<Option<Mark>> {
    let _type_compression_and_keyspace: [u8; 10] = bytes(journal)?;
    let key = u16::from_le_bytes(bytes(journal)?);
    let _uncompressed: [u8; 4] = bytes(journal)?;
    let value = u32::from_le_bytes(bytes(journal)?);
    if usize::from(key) == MARK.len() && value as usize == size_of::<Mark>() {
        let (key, value): ([u8; MARK.len()], Mark) = (bytes(journal)?, bytes(journal)?);
        return Ok((key == MARK).then_some(value));
    }
    journal.seek_relative(i64::from(key) + i64::from(value))?;
    Ok(None)
}

fn bytes<const N: usize>(journal: &mut BufReader<File>) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    journal.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::super::marks::mark;
    use super::*;

    /// A batch of fjall's, with a mark.
    fn batch(sequence_number: u64, mark: Mark) -> Vec<u8> {
        let mut bytes = vec![START, 1, 0, 0, 0];
        bytes.extend(sequence_number.to_le_bytes());
        bytes.extend([ITEM, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        bytes.extend([16, 0, 0, 0, 16, 0, 0, 0]);
        bytes.extend(MARK);
        bytes.extend(mark);
        bytes.push(END);
        bytes.extend([0; 8]);
        bytes.extend(MAGIC);
        bytes
    }

    /// Whether journals are in order that have these bytes.
    fn is_in_order(journals: &[Vec<u8>]) -> bool {
        let dir = tempfile::tempdir().unwrap();
        for (id, bytes) in journals.iter().enumerate() {
            fs::write(dir.path().join(format!("{}.jnl", id + 9)), bytes).unwrap();
        }
        match in_order(dir.path()) {
            Ok(()) => true,
            Err(e) if e.damaged => false,
            Err(e) => panic!("{e}"),
        }
    }

    fn is_one_in_order(batches: &[(u64, Mark)]) -> bool {
        is_in_order(&[batches.iter().flat_map(|(at, mark)| batch(*at, *mark)).collect()])
    }

    #[test]
    fn numbers_rise_and_the_first_has_its_bound() {
        assert!(is_one_in_order(&[(70, mark(7, 70)), (72, mark(8, 71)), (73, mark(9, 73))]));
        assert!(!is_one_in_order(&[(70, mark(7, 70)), (70, mark(8, 70))]), "not higher");
        assert!(!is_one_in_order(&[(75, mark(7, 70)), (71, mark(8, 71))]), "the first raised");
        assert!(!is_one_in_order(&[(69, mark(7, 70)), (71, mark(8, 71))]), "the first lowered");
        assert!(!is_one_in_order(&[(70, mark(7, 70)), (1 << 40, mark(8, 71))]), "far too high");
        let after_rotations = (1 << 20, mark(8, 71));
        assert!(is_one_in_order(&[(70, mark(7, 70)), after_rotations]), "of many keyspaces");
    }

    #[test]
    fn batches_are_consecutive_through_all_journals() {
        let of = |number: u64| batch(number, mark(number, number));
        assert!(is_in_order(&[[of(1), of(2)].concat(), of(3)]));
        assert!(!is_in_order(&[Vec::new(), of(3)]), "emptied");
        assert!(!is_in_order(&[of(1), of(3)]), "one is missing");
        let cut = |to: usize| [of(1), of(2)[..to].to_vec()].concat();
        for to in 0..of(2).len() {
            assert!(is_in_order(&[cut(to)]), "a torn end is what a kill leaves: {to}");
            assert!(!is_in_order(&[cut(to), of(3)]), "torn, and it goes on: {to}");
        }
        assert!(is_in_order(&[[of(1), vec![0; 5000]].concat(), of(2)]), "room taken in advance");
    }

    #[test]
    fn a_journal_that_another_follows_ends_after_a_batch() {
        let of = |number: u64| batch(number, mark(number, number));
        for tag in [0, 7] {
            let mut odd = of(1);
            odd[0] = tag;
            assert!(is_in_order(&[odd.clone()]), "the end of the last one is fjall's");
            assert!(is_in_order(&[odd.clone(), Vec::new()]), "nothing follows");
            assert!(!is_in_order(&[odd, of(2)]), "its only batch is lost");
        }
    }
}
