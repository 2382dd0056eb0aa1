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

/// The greatest that any beginning of `key` is, with `suffix` behind it: no key up to `key` lies
/// behind that, also not one of its beginnings, whose suffix may be greater than what `key` goes on
/// with.
pub(super) fn greatest(key: &[u8], suffix: &[u8; SUFFIX_LEN]) -> Vec<u8> {
    let mut len = key.len();
    for at in (0..key.len()).rev() {
        if key[at..len].iter().chain(suffix).lt(suffix.iter()) {
            len = at;
        }
    }
    [&key[..len], suffix].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_beginning_of_a_key_lies_behind_its_bound() {
        let bytes = [0, 1, 0x18, 0x7f, 0xff];
        let suffixes = [suffix(0, 0), suffix(0x18_0101_0000, 7), suffix(i64::MAX, u32::MAX)];
        for code in 0..625_usize {
            let key: Vec<u8> = (0..4).map(|at| bytes[code / 5_usize.pow(at) % 5]).collect();
            for suffix in &suffixes {
                let all = (0..=key.len()).map(|len| [&key[..len], suffix].concat());
                assert_eq!(greatest(&key, suffix), all.max().unwrap(), "{key:?}");
            }
        }
    }
}
