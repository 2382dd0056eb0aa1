//! Bounds of ranges over byte keys: to own them, to shorten them, and to see that nothing lies
//! between them.
//!
//! Backends ask first, because their libraries panic or disagree on crossed bounds.

#[cfg(feature = "fjall")]
use oncestream_core::state::MAX_KEY_BYTES;
use std::ops::Bound;

/// Bounds that outlive their borrow.
pub(crate) type OwnedBounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Copies a pair of bounds.
pub(crate) fn owned(from: Bound<&[u8]>, to: Bound<&[u8]>) -> OwnedBounds {
    (from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec))
}

/// True when the bounds meet or cross, so that no key can lie between them.
pub(crate) fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
    }
}

/// The same lower bound in no more bytes than a key has: what is longer lies behind all keys that it
/// begins with.
#[cfg(feature = "fjall")]
pub(crate) fn short_from(from: Bound<&[u8]>) -> Bound<&[u8]> {
    match from {
        Bound::Included(key) | Bound::Excluded(key) if key.len() > MAX_KEY_BYTES => {
            Bound::Excluded(&key[..MAX_KEY_BYTES])
        }
        short => short,
    }
}

/// The same upper bound in no more bytes than a key has.
#[cfg(feature = "fjall")]
pub(crate) fn short_to(to: Bound<&[u8]>) -> Bound<&[u8]> {
    match to {
        Bound::Included(key) | Bound::Excluded(key) if key.len() > MAX_KEY_BYTES => {
            Bound::Included(&key[..MAX_KEY_BYTES])
        }
        short => short,
    }
}
