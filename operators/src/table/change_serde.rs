//! A change of a table as bytes, in the repartition topics of table aggregations: the format of
//! Kafka Streams' `ChangedSerializer` since 3.5.
//!
//! The last byte tells what is before it:
//! - 0: the old value
//! - 1: the new value
//! - 2: the length of the new value (zigzag varint), the new value, the old value
//! - 3, 4, 5: the same as 0, 1, 2 with one byte more before the last, which says whether the
//!   change is the latest of its key; they are read, and never written.

use std::fmt;

use oncestream_core::serde::{DeserializeContext, DynSerde, Serde, SerdeError, SerializeContext};

use super::Change;

const OLD: u8 = 0;
const NEW: u8 = 1;
const BOTH: u8 = 2;
/// From here on, a byte for "is the latest" comes before the last.
const WITH_LATEST: u8 = 3;

/// The serde of a [`Change`], around that of its values.
///
/// ```
/// use oncestream_core::serde::{HasSerde, Serde};
/// use oncestream_operators::{Change, ChangeSerde};
/// let serde = ChangeSerde::new(String::serde());
/// let mut out = Vec::new();
/// serde.serialize(&Change::latest(Some("ab".into()), Some("c".into())), &mut out)?;
/// assert_eq!(out, [4, b'a', b'b', b'c', 2]);
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
pub struct ChangeSerde<V>(DynSerde<V>);

impl<V> ChangeSerde<V> {
    /// Values with `inner`.
    pub fn new(inner: DynSerde<V>) -> Self {
        Self(inner)
    }

    fn error(message: &str) -> SerdeError {
        SerdeError::Format {
            type_name: std::any::type_name::<Change<V>>(),
            message: message.to_owned(),
        }
    }
}

impl<V> Serde<Change<V>> for ChangeSerde<V> {
    fn serialize(&self, value: &Change<V>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.serialize_in(&mut SerializeContext::nowhere(), value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Change<V>, SerdeError> {
        self.deserialize_in(&DeserializeContext::nowhere(), bytes)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        value: &Change<V>,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        let present = |v: &Option<V>| v.as_ref().is_some_and(|v| !self.0.is_null(v));
        let (new, old) = (&value.new, &value.old);
        let flag = match (new, present(new), old, present(old)) {
            (Some(new), true, Some(old), true) => {
                let mut bytes = Vec::new();
                self.0.serialize_in(ctx, new, &mut bytes)?;
                let length = i32::try_from(bytes.len()).map_err(|_| Self::error("too long"))?;
                write_varint(length, out);
                out.extend_from_slice(&bytes);
                self.0.serialize_in(ctx, old, out)?;
                BOTH
            }
            (Some(new), true, ..) => {
                self.0.serialize_in(ctx, new, out)?;
                NEW
            }
            (_, _, Some(old), true) => {
                self.0.serialize_in(ctx, old, out)?;
                OLD
            }
            _ => return Err(Self::error("a change with neither a new nor an old value")),
        };
        out.push(flag);
        Ok(())
    }

    fn deserialize_in(
        &self,
        ctx: &DeserializeContext<'_>,
        bytes: &[u8],
    ) -> Result<Change<V>, SerdeError> {
        let Some((flag, mut rest)) = bytes.split_last() else {
            return Err(Self::error("no bytes"));
        };
        let (mut flag, mut is_latest) = (*flag, true);
        if (WITH_LATEST..=WITH_LATEST + BOTH).contains(&flag) {
            let Some((latest @ (0 | 1), before)) = rest.split_last() else {
                return Err(Self::error("neither 0 nor 1 for `is the latest`"));
            };
            (flag, rest, is_latest) = (flag - WITH_LATEST, before, *latest == 1);
        }
        match flag {
            OLD => {
                Ok(Change { new: None, old: Some(self.0.deserialize_in(ctx, rest)?), is_latest })
            }
            NEW => {
                Ok(Change { new: Some(self.0.deserialize_in(ctx, rest)?), old: None, is_latest })
            }
            BOTH => {
                let (new, old) = read_varint(rest)
                    .and_then(|(length, rest)| rest.split_at_checked(usize::try_from(length).ok()?))
                    .ok_or_else(|| Self::error("ends within the new value"))?;
                let new = Some(self.0.deserialize_in(ctx, new)?);
                Ok(Change { new, old: Some(self.0.deserialize_in(ctx, old)?), is_latest })
            }
            other => Err(Self::error(&format!("unknown last byte {other}"))),
        }
    }
}

impl<V> fmt::Debug for ChangeSerde<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeSerde").finish_non_exhaustive()
    }
}

/// Kafka's `ByteUtils.writeVarint`: zigzag, then 7 bits a byte, lowest first.
fn write_varint(value: i32, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 31)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The number, and the bytes after it.
fn read_varint(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let mut value = 0_u32;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let number = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}
