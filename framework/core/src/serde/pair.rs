//! A pair as one key or value. The format is our own: Kafka has none.
//!
//! Each part is its length (`i32`, big-endian, -1 for a null) and then its bytes; nothing
//! follows the second part. Two pairs are equal when and only when their bytes are, if that
//! holds for the parts. The bytes do not sort as the pairs do.

use std::sync::Arc;

use super::{DynSerde, HasSerde, Serde, SerdeError, SerdeIdentity, deserialize_nullable};

const LENGTH_BYTES: usize = 4;
const NULL_LENGTH: i32 = -1;

/// `(A, B)` as two parts with their lengths before them. Parts may be null.
///
/// ```
/// use oncestream_core::serde::{HasSerde, PairSerde, Serde};
/// let serde = PairSerde::new(String::serde(), Option::<i32>::serde());
/// let mut out = Vec::new();
/// serde.serialize(&("ab".to_owned(), None), &mut out)?;
/// assert_eq!(out, [0, 0, 0, 2, b'a', b'b', 0xff, 0xff, 0xff, 0xff]);
/// assert_eq!(serde.deserialize(&out)?, ("ab".to_owned(), None));
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
pub struct PairSerde<A, B>(DynSerde<A>, DynSerde<B>);

impl<A, B> PairSerde<A, B> {
    /// The first part with `first`, the second with `second`.
    pub fn new(first: DynSerde<A>, second: DynSerde<B>) -> Self {
        Self(first, second)
    }
}

impl<A, B> Serde<(A, B)> for PairSerde<A, B> {
    fn serialize(&self, value: &(A, B), out: &mut Vec<u8>) -> Result<(), SerdeError> {
        write_part(&*self.0, &value.0, out)?;
        write_part(&*self.1, &value.1, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<(A, B), SerdeError> {
        let (first, rest) = split_part::<(A, B)>(bytes)?;
        let (second, rest) = split_part::<(A, B)>(rest)?;
        if !rest.is_empty() {
            let message = format_args!("{} bytes after the second part", rest.len());
            return Err(SerdeError::format::<(A, B)>(message));
        }
        Ok((deserialize_nullable(&*self.0, first)?, deserialize_nullable(&*self.1, second)?))
    }

    fn identity(&self) -> SerdeIdentity
    where
        Self: 'static,
    {
        SerdeIdentity::of_parts::<Self>([self.0.identity(), self.1.identity()])
    }
}

impl<A: HasSerde + 'static, B: HasSerde + 'static> HasSerde for (A, B) {
    fn serde() -> DynSerde<Self> {
        Arc::new(PairSerde::new(A::serde(), B::serde()))
    }
}

fn write_part<T>(serde: &dyn Serde<T>, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    if serde.is_null(value) {
        out.extend_from_slice(&NULL_LENGTH.to_be_bytes());
        return Ok(());
    }
    // The length is known only after the part is written, so its place is kept and filled in.
    let length_at = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    let part_at = out.len();
    serde.serialize(value, out)?;
    let length = i32::try_from(out.len() - part_at).map_err(SerdeError::format::<T>)?;
    out[length_at..part_at].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The first part of `bytes` (`None` for a null), and what follows it. `P` is the pair's type.
fn split_part<P>(bytes: &[u8]) -> Result<(Option<&[u8]>, &[u8]), SerdeError> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(SerdeError::format::<P>("ends within the length of a part"));
    };
    let length = i32::from_be_bytes(*length);
    if length == NULL_LENGTH {
        return Ok((None, rest));
    }
    let part = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let Some((part, rest)) = part else {
        let message = format_args!("a part of {length} bytes, with {} left", rest.len());
        return Err(SerdeError::format::<P>(message));
    };
    Ok((Some(part), rest))
}
