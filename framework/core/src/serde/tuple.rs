//! Two or three parts as one key or value. The format is our own: Kafka has none.
//!
//! Each part is its length (`i32`, big-endian, -1 for a null) and then its bytes; nothing
//! follows the last part. Two tuples are equal when and only when their bytes are, if that
//! holds for the parts. The bytes do not sort as the tuples do.

use std::fmt;
use std::sync::Arc;

use super::{
    DeserializeContext, DynSerde, HasSerde, Serde, SerdeError, SerdeIdentity, SerializeContext,
    nullable,
};

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

/// `(A, B, C)` as three parts with their lengths before them, as [`PairSerde`].
///
/// ```
/// use oncestream_core::serde::{HasSerde, Serde};
/// let mut out = Vec::new();
/// <(u8, u8, u8)>::serde().serialize(&(1, 2, 3), &mut out)?;
/// assert_eq!(out, [0, 0, 0, 1, 1, 0, 0, 0, 1, 2, 0, 0, 0, 1, 3]);
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
pub struct TripleSerde<A, B, C>(DynSerde<A>, DynSerde<B>, DynSerde<C>);

impl<A, B, C> TripleSerde<A, B, C> {
    /// The first part with `first`, the second with `second`, the third with `third`.
    pub fn new(first: DynSerde<A>, second: DynSerde<B>, third: DynSerde<C>) -> Self {
        Self(first, second, third)
    }
}

macro_rules! tuple_serde {
    ($serde:ident, $count:literal, $($part:ident $bytes:ident $at:tt),+) => {
        impl<$($part),+> Serde<($($part,)+)> for $serde<$($part),+> {
            fn serialize(
                &self,
                value: &($($part,)+),
                out: &mut Vec<u8>,
            ) -> Result<(), SerdeError> {
                self.serialize_in(&mut SerializeContext::nowhere(), value, out)
            }

            fn deserialize(&self, bytes: &[u8]) -> Result<($($part,)+), SerdeError> {
                self.deserialize_in(&DeserializeContext::nowhere(), bytes)
            }

            fn serialize_in(
                &self,
                ctx: &mut SerializeContext<'_>,
                value: &($($part,)+),
                out: &mut Vec<u8>,
            ) -> Result<(), SerdeError> {
                $(write_part(&*self.$at, ctx, &value.$at, out)?;)+
                Ok(())
            }

            fn deserialize_in(
                &self,
                ctx: &DeserializeContext<'_>,
                bytes: &[u8],
            ) -> Result<($($part,)+), SerdeError> {
                let [$($bytes),+] = split::<($($part,)+), $count>(bytes)?;
                Ok(($(nullable::read(&*self.$at, ctx, $bytes)?,)+))
            }

            fn identity(&self) -> SerdeIdentity
            where
                Self: 'static,
            {
                SerdeIdentity::of_parts::<Self>([$(self.$at.identity()),+])
            }
        }

        impl<$($part),+> fmt::Debug for $serde<$($part),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($serde)).finish_non_exhaustive()
            }
        }

        impl<$($part: HasSerde + 'static),+> HasSerde for ($($part,)+) {
            fn serde() -> DynSerde<Self> {
                Arc::new($serde::new($($part::serde()),+))
            }
        }
    };
}

tuple_serde!(PairSerde, 2, A first 0, B second 1);
tuple_serde!(TripleSerde, 3, A first 0, B second 1, C third 2);

fn write_part<T>(
    serde: &dyn Serde<T>,
    ctx: &mut SerializeContext<'_>,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), SerdeError> {
    if serde.is_null(value) {
        out.extend_from_slice(&NULL_LENGTH.to_be_bytes());
        return Ok(());
    }
    // The length is known only after the part is written, so its place is kept and filled in.
    let length_at = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    let part_at = out.len();
    serde.serialize_in(ctx, value, out)?;
    let length = i32::try_from(out.len() - part_at).map_err(SerdeError::format::<T>)?;
    out[length_at..part_at].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The bytes of each part; `None` for a null. `P` is the type of the tuple, for errors.
fn split<P, const N: usize>(bytes: &[u8]) -> Result<[Option<&[u8]>; N], SerdeError> {
    let mut parts = [None; N];
    let mut rest = bytes;
    for part in &mut parts {
        (*part, rest) = split_part::<P>(rest)?;
    }
    if rest.is_empty() {
        return Ok(parts);
    }
    Err(SerdeError::format::<P>(format_args!("{} bytes after the last part", rest.len())))
}

/// The first part of `bytes`, and what follows it.
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
