//! The kinds of stores: what a kind says, and one file for each; `segments` and `key_ranges` are what
//! kinds that expire by time have in common.
//!
//! A kind turns the user's key into that of a row and that of a changelog record, and back, and says
//! which rows have expired. It knows neither serdes nor slots nor backends: a [`Store`](super::Store)
//! has those, and asks.

mod key_ranges;
pub(super) mod key_value;
mod segments;
pub(super) mod session;
pub(super) mod time_to_live;
pub(super) mod versioned;
pub(super) mod window;

use std::borrow::Cow;
use std::fmt::Debug;

use self::time_to_live::TimeToLive;
use crate::record::TimestampMs;
use crate::serde::SerdeError;
use crate::state::Pair;
use crate::state::expiry::time_of;

/// What makes a kind of store, over the user's key `K`.
///
/// A row key is the user's key with a frame around it. Rows are ordered as their keys' bytes, and
/// those that expire together lie together.
///
/// Some kinds remember more than their rows, such as how far time has come: the note. It is a row of
/// its own, goes down with the rows it speaks of, and is never in a changelog, of whose records it
/// must be a function; so a restore makes it again.
pub trait Kind<K>: Clone + Debug + Send + Sync + 'static {
    /// What a row is found by: the user's key, and what the kind adds.
    type Key;

    /// How many bytes the frame has.
    const FRAME: usize;

    /// Whether a deletion is a row, of no bytes, and not the end of one.
    const KEEPS_DELETIONS: bool = false;

    /// The row key of the note, behind all others; `None` for a kind without one.
    const NOTE: Option<&'static [u8]> = None;

    /// Whether it is read by ranges as a rule. Other kinds order what is uncommitted only from their
    /// first range on.
    fn scans(&self) -> bool {
        false
    }

    /// The user's key.
    fn user_key(key: &Self::Key) -> &K;

    /// Puts the frame around the bytes of the user's key.
    fn frame(&self, key: &Self::Key, bytes: &mut Vec<u8>);

    /// The bytes of the user's key; `None` if there is no such frame.
    fn user_bytes<'a>(&self, row_key: &'a [u8]) -> Option<&'a [u8]>;

    /// The user's key with what the frame says; `None` if there is no such frame.
    fn key(&self, user_key: K, row_key: &[u8]) -> Option<Self::Key>;

    /// The key of the changelog record of a row, as Kafka Streams has it.
    fn changelog_key<'a>(&self, row_key: &'a [u8]) -> &'a [u8];

    /// The key of the row that a changelog record of this time is about; `None` for a key that no store
    /// of this kind has written.
    fn row_key<'a>(&self, changelog_key: &'a [u8], timestamp: TimestampMs)
    -> Option<Cow<'a, [u8]>>;

    /// Takes notice of a write; false if its row has expired already, and is not to be written.
    fn admit(&mut self, _key: &Self::Key) -> bool {
        true
    }

    /// The same for a row of the changelog.
    fn admit_row(&mut self, _row_key: &[u8]) -> bool {
        true
    }

    /// Whether a row is shown: it is not after it has expired.
    fn is_live(&self, _key: &Self::Key) -> bool {
        true
    }

    /// The same by the row's bytes.
    fn is_row_live(&self, _row_key: &[u8]) -> bool {
        true
    }

    /// Whether a value that was set at this time is shown. One that is not counts as none, and its row
    /// goes with one of the next commits.
    #[inline]
    fn is_value_live(&self, _timestamp: TimestampMs) -> bool {
        true
    }

    /// Takes notice of the time of a record that has come to the store.
    #[inline]
    fn observe(&mut self, _time: TimestampMs) {}

    /// How long values are shown; `None` for ever.
    fn time_to_live(&self) -> Option<&TimeToLive> {
        None
    }

    /// For how long, in milliseconds, the changelog must keep all records and not the last of each key
    /// alone; `None` where the last one is enough.
    fn history_ms(&self) -> Option<i64> {
        None
    }

    /// By what the rows expire that an index finds.
    fn expiry(&self) -> Option<&TimeToLive> {
        self.time_to_live()
    }

    /// The time of a row in that index; `None` if it has no place there.
    fn row_time(&self, _row_key: &[u8], row: &[u8]) -> Option<TimestampMs> {
        Some(time_of(row).unwrap_or(0))
    }

    /// Where the row does not expire, but those that it replaces: the first key that one of them can have.
    fn first_replaced(&self, _row_key: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// Whether a row of a keyspace is shown, by the key of the row behind it too.
    fn shows(&self, (row_key, row): &Pair, _next: Option<&[u8]>) -> bool {
        self.is_row_live(row_key) && time_of(row).is_none_or(|time| self.is_value_live(time))
    }

    /// The rows that have expired since the last call, from the first to before the second row key.
    fn take_expired(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        None
    }

    /// The note, always of one length.
    fn note(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes over the note of a keyspace; `None` where nothing was written yet.
    ///
    /// # Errors
    /// When it is not one of this kind.
    fn read_note(&mut self, _note: Option<&[u8]>) -> Result<(), SerdeError> {
        Ok(())
    }
}
