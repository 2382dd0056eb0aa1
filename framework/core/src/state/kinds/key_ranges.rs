//! The ends of ranges of keys, where rows have times behind the user's key.

/// The greatest that any beginning of `key` is, with `suffix` behind it: no key up to `key` lies
/// behind that, also not one of its beginnings, whose suffix may be greater than what `key` goes on
/// with.
pub(super) fn greatest(key: &[u8], suffix: &[u8]) -> Vec<u8> {
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
        // Of a window: start and sequence number. Of a session: end and start.
        let window = |start: i64, sequence: u32| {
            [&start.to_be_bytes()[..], &sequence.to_be_bytes()].concat()
        };
        let session = |end: i64| [end.to_be_bytes(), i64::MAX.to_be_bytes()].concat();
        let suffixes = [
            window(0, 0),
            window(0x18_0101_0000, 7),
            window(i64::MAX, u32::MAX),
            session(0),
            session(0x18_0101_0000),
            session(i64::MAX),
        ];
        for code in 0..625_usize {
            let key: Vec<u8> = (0..4).map(|at| bytes[code / 5_usize.pow(at) % 5]).collect();
            for suffix in &suffixes {
                let all = (0..=key.len()).map(|len| [&key[..len], suffix].concat());
                assert_eq!(greatest(&key, suffix), all.max().unwrap(), "{key:?}");
            }
        }
    }
}
