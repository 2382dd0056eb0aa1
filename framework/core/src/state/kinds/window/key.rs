//! The bytes of a window's row key: a segment, the user's key, the start, a sequence number.

use crate::record::TimestampMs;
use crate::state::kinds::segments::SEGMENT_LEN;

/// The start and the sequence number.
pub(super) const SUFFIX_LEN: usize = 12;

/// The user's key, the start and the sequence number of a row, as bytes.
pub(super) fn parts(row_key: &[u8]) -> Option<(&[u8], TimestampMs, u32)> {
    let (_, rest) = row_key.split_first_chunk::<SEGMENT_LEN>()?;
    let (rest, sequence) = rest.split_last_chunk()?;
    let (key, start) = rest.split_last_chunk()?;
    Some((key, i64::from_be_bytes(*start), u32::from_be_bytes(*sequence)))
}

pub(super) fn suffix(start: TimestampMs, sequence: u32) -> [u8; SUFFIX_LEN] {
    let mut suffix = [0; SUFFIX_LEN];
    suffix[..8].copy_from_slice(&start.to_be_bytes());
    suffix[8..].copy_from_slice(&sequence.to_be_bytes());
    suffix
}
