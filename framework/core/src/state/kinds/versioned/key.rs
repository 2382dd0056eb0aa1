//! The keys of the rows of versions: the length of the user's key, the key, and when the version begins.
//!
//! The length stands first, so that no other key lies between the versions of one: the first row before a
//! time is the version as of that time, or there is none.

use std::ops::Bound;

use crate::record::TimestampMs;
use crate::state::order::Bounds;

/// The length of the user's key in a row key.
const LENGTH_LEN: usize = 2;
/// The time in a row key.
const TIME_LEN: usize = 8;
/// What a row key has beside the user's key.
pub(super) const FRAME_LEN: usize = LENGTH_LEN + TIME_LEN;

/// Puts the frame around the bytes of the user's key.
pub(super) fn frame(bytes: &mut Vec<u8>, from: TimestampMs) {
    // Longer keys are refused before: see `MAX_KEY_BYTES`.
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    bytes.splice(0..0, length.to_be_bytes());
    bytes.extend_from_slice(&from.to_be_bytes());
}

/// The bytes of the user's key, and when the version begins; `None` for a row key of another form.
pub(super) fn parts(row_key: &[u8]) -> Option<(&[u8], TimestampMs)> {
    let (length, rest) = row_key.split_first_chunk()?;
    let (key, time) = rest.split_last_chunk()?;
    (key.len() == usize::from(u16::from_be_bytes(*length)))
        .then(|| (key, i64::from_be_bytes(*time)))
}

/// The versions of a user's key, by its bytes, that begin in these times.
pub(in crate::state) fn between(
    key: &[u8],
    from: Bound<TimestampMs>,
    to: Bound<TimestampMs>,
) -> Bounds {
    let row_key = |time: TimestampMs| {
        let mut bytes = key.to_vec();
        frame(&mut bytes, time);
        bytes
    };
    let or = |bound: Bound<TimestampMs>, open: TimestampMs| match bound {
        Bound::Included(time) => Bound::Included(row_key(time)),
        Bound::Excluded(time) => Bound::Excluded(row_key(time)),
        Bound::Unbounded => Bound::Included(row_key(open)),
    };
    (or(from, 0), or(to, TimestampMs::MAX))
}

/// The key of the first row that a version of the same user's key can have.
pub(super) fn first_of(row_key: &[u8]) -> Option<Vec<u8>> {
    let (before_time, _) = row_key.split_last_chunk::<TIME_LEN>()?;
    parts(row_key).map(|_| [before_time, &[0; TIME_LEN]].concat())
}

/// Whether two rows are versions of one key.
pub(super) fn is_of_one_key(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (a.split_last_chunk::<TIME_LEN>(), b.split_last_chunk::<TIME_LEN>());
    matches!((a, b), (Some((a, _)), Some((b, _))) if a == b)
}

/// When the version of a row begins; -1 for a row key of another form.
pub(in crate::state) fn version_time(row_key: &[u8]) -> TimestampMs {
    parts(row_key).map_or(-1, |(_, from)| from)
}
