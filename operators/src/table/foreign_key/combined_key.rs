//! The key of a row of the subscription store, as Kafka Streams' `CombinedKeySchema` has it: the length of
//! the foreign key (4 bytes, big-endian), the foreign key, the primary key. So all that subscribe to one
//! foreign key lie together.

use std::ops::Bound;

use oncestream_core::serde::SerdeError;

use super::codec::Codec;

/// A key of the subscription store, or its beginning.
pub(super) type CombinedKey = Vec<u8>;

const LENGTH: usize = 4;

/// The beginning of the keys of all that subscribe to a foreign key.
pub(super) fn prefix<T>(codec: &Codec<T>, foreign_key: &T) -> Result<CombinedKey, SerdeError> {
    let mut key = vec![0; LENGTH];
    codec.append(foreign_key, &mut key)?;
    let too_long = |_| SerdeError::format::<T>("a foreign key of more than 2 GiB");
    let length = i32::try_from(key.len() - LENGTH).map_err(too_long)?;
    key[..LENGTH].copy_from_slice(&length.to_be_bytes());
    Ok(key)
}

/// The keys that begin so: from the first bound to the second.
pub(super) fn beginning_with(prefix: CombinedKey) -> (Bound<CombinedKey>, Bound<CombinedKey>) {
    let mut end = prefix.clone();
    // The first byte belongs to a length that fits into an i32, so one is below 255.
    while end.last() == Some(&u8::MAX) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (Bound::Included(prefix), Bound::Excluded(end))
}

/// The bytes of the primary key in a combined key.
pub(super) fn primary_key(key: &[u8]) -> Option<&[u8]> {
    let (length, rest) = key.split_first_chunk::<LENGTH>()?;
    rest.get(usize::try_from(i32::from_be_bytes(*length)).ok()?..)
}
