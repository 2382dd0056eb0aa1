//! The bytes of a session's row key: a segment, the user's key, the end, the start.

use crate::record::TimestampMs;
use crate::state::kinds::segments::SEGMENT_LEN;

/// The end and the start.
pub(super) const SUFFIX_LEN: usize = 16;

/// When a session begins and when it ends, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: TimestampMs,
    pub(super) end: TimestampMs,
}

impl Span {
    /// Kafka Streams has no session that begins before 1970 or behind its end.
    pub(super) fn is_possible(self) -> bool {
        0 <= self.start && self.start <= self.end
    }

    pub(super) fn suffix(self) -> [u8; SUFFIX_LEN] {
        let mut suffix = [0; SUFFIX_LEN];
        suffix[..8].copy_from_slice(&self.end.to_be_bytes());
        suffix[8..].copy_from_slice(&self.start.to_be_bytes());
        suffix
    }
}

/// The user's key as bytes, and the times of a row.
pub(super) fn parts(row_key: &[u8]) -> Option<(&[u8], Span)> {
    parts_behind_segment(row_key.get(SEGMENT_LEN..)?)
}

/// The same of a changelog key, which has no segment in front.
pub(super) fn parts_behind_segment(changelog_key: &[u8]) -> Option<(&[u8], Span)> {
    let (rest, start) = changelog_key.split_last_chunk()?;
    let (key, end) = rest.split_last_chunk()?;
    let (start, end) = (i64::from_be_bytes(*start), i64::from_be_bytes(*end));
    Some((key, Span { start, end }))
}
