//! What waits in a left or outer join, and its bytes, which are those of Kafka Streams.
//!
//! ```text
//! key    time 8 | side 1: 1 for the left one | key
//! value  1 | count 4 | each: length 4, side 1, value
//! ```
//!
//! The first byte of a value is that of Kafka's `ListSerde` for entries of different lengths. Records of one
//! key, time and side are one row, in the order in which they came.

use oncestream_core::TimestampMs;
use oncestream_core::serde::{DeserializeContext, DynSerde, Serde, SerdeError, SerializeContext};

const OF_DIFFERENT_LENGTHS: u8 = 1;

/// What records that wait are found by. The order of its bytes is the order of telling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct WaitingKey<K> {
    pub(super) timestamp: TimestampMs,
    pub(super) is_left: bool,
    pub(super) key: K,
}

/// The value of a record of either stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LeftOrRight<L, R> {
    Left(L),
    Right(R),
}

/// The values of the records of one key, time and side; there is one as a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting<L, R> {
    pub(super) first: LeftOrRight<L, R>,
    pub(super) more: Vec<LeftOrRight<L, R>>,
}

impl<L, R> LeftOrRight<L, R> {
    /// The left value and the right one, of which one is there.
    pub(super) fn both(&self) -> (Option<&L>, Option<&R>) {
        match self {
            Self::Left(left) => (Some(left), None),
            Self::Right(right) => (None, Some(right)),
        }
    }
}

impl<L, R> Waiting<L, R> {
    pub(super) fn one(value: LeftOrRight<L, R>) -> Self {
        Self { first: value, more: Vec::new() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &LeftOrRight<L, R>> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

/// The serde of a key that waits, around that of keys.
pub(super) struct WaitingKeySerde<K>(pub(super) DynSerde<K>);

impl<K> Serde<WaitingKey<K>> for WaitingKeySerde<K> {
    fn serialize(&self, key: &WaitingKey<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.serialize_in(&mut SerializeContext::nowhere(), key, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<WaitingKey<K>, SerdeError> {
        self.deserialize_in(&DeserializeContext::nowhere(), bytes)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        key: &WaitingKey<K>,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        out.extend_from_slice(&key.timestamp.to_be_bytes());
        out.push(u8::from(key.is_left));
        self.0.serialize_in(ctx, &key.key, out)
    }

    fn deserialize_in(
        &self,
        ctx: &DeserializeContext<'_>,
        bytes: &[u8],
    ) -> Result<WaitingKey<K>, SerdeError> {
        let Some((time, [side, key @ ..])) = bytes.split_first_chunk() else {
            return Err(SerdeError::format::<WaitingKey<K>>("a key that waits is cut off"));
        };
        Ok(WaitingKey {
            timestamp: i64::from_be_bytes(*time),
            is_left: *side == 1,
            key: self.0.deserialize_in(ctx, key)?,
        })
    }
}

/// The serde of what waits, around those of the values.
pub(super) struct WaitingSerde<L, R> {
    pub(super) left: DynSerde<L>,
    pub(super) right: DynSerde<R>,
}

impl<L, R> WaitingSerde<L, R> {
    fn write(
        &self,
        ctx: &mut SerializeContext<'_>,
        value: &LeftOrRight<L, R>,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        let start = out.len();
        out.extend_from_slice(&[0; size_of::<i32>()]);
        let at = out.len();
        match value {
            LeftOrRight::Left(left) => {
                out.push(1);
                self.left.serialize_in(ctx, left, out)?;
            }
            LeftOrRight::Right(right) => {
                out.push(0);
                self.right.serialize_in(ctx, right, out)?;
            }
        }
        let length = length_of::<L, R>(out.len() - at)?;
        out[start..at].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn read(
        &self,
        ctx: &DeserializeContext<'_>,
        bytes: &mut &[u8],
    ) -> Result<LeftOrRight<L, R>, SerdeError> {
        let length = usize::try_from(take_int::<L, R>(bytes)?).map_err(|_| cut_off::<L, R>())?;
        let (value, rest) = bytes.split_at_checked(length).ok_or_else(cut_off::<L, R>)?;
        *bytes = rest;
        match value.split_first().ok_or_else(cut_off::<L, R>)? {
            (1, left) => self.left.deserialize_in(ctx, left).map(LeftOrRight::Left),
            (_, right) => self.right.deserialize_in(ctx, right).map(LeftOrRight::Right),
        }
    }
}

fn cut_off<L, R>() -> SerdeError {
    SerdeError::format::<Waiting<L, R>>("what waits for a key is cut off")
}

fn length_of<L, R>(length: usize) -> Result<i32, SerdeError> {
    i32::try_from(length).map_err(|_| SerdeError::format::<Waiting<L, R>>("too long"))
}

fn take_int<L, R>(bytes: &mut &[u8]) -> Result<i32, SerdeError> {
    let (int, rest) = bytes.split_first_chunk().ok_or_else(cut_off::<L, R>)?;
    *bytes = rest;
    Ok(i32::from_be_bytes(*int))
}

impl<L, R> Serde<Waiting<L, R>> for WaitingSerde<L, R> {
    fn serialize(&self, waiting: &Waiting<L, R>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.serialize_in(&mut SerializeContext::nowhere(), waiting, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Waiting<L, R>, SerdeError> {
        self.deserialize_in(&DeserializeContext::nowhere(), bytes)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        waiting: &Waiting<L, R>,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        out.push(OF_DIFFERENT_LENGTHS);
        out.extend_from_slice(&length_of::<L, R>(1 + waiting.more.len())?.to_be_bytes());
        waiting.iter().try_for_each(|value| self.write(ctx, value, out))
    }

    fn deserialize_in(
        &self,
        ctx: &DeserializeContext<'_>,
        bytes: &[u8],
    ) -> Result<Waiting<L, R>, SerdeError> {
        let Some((&OF_DIFFERENT_LENGTHS, mut rest)) = bytes.split_first() else {
            return Err(SerdeError::format::<Waiting<L, R>>("not a list of entries with lengths"));
        };
        let count = take_int::<L, R>(&mut rest)?;
        let mut waiting = Waiting::one(self.read(ctx, &mut rest)?);
        for _ in 1..count {
            waiting.more.push(self.read(ctx, &mut rest)?);
        }
        Ok(waiting)
    }
}

#[cfg(test)]
mod tests {
    use oncestream_core::serde::HasSerde;

    use super::*;

    #[test]
    fn the_bytes_of_a_key_are_a_time_a_side_and_the_key() {
        let serde = WaitingKeySerde(String::serde());
        let bytes = |is_left| {
            let key = WaitingKey { timestamp: 7, is_left, key: "ab".to_owned() };
            let mut out = Vec::new();
            serde.serialize(&key, &mut out).unwrap();
            assert_eq!(serde.deserialize(&out).unwrap(), key);
            out
        };
        assert_eq!(bytes(true), [&7_i64.to_be_bytes()[..], &[1], b"ab"].concat());
        assert_eq!(bytes(false), [&7_i64.to_be_bytes()[..], &[0], b"ab"].concat());
        assert!(serde.deserialize(&[0; 8]).is_err());
    }

    #[test]
    fn what_waits_is_a_list_and_what_is_cut_off_is_refused() {
        let serde = WaitingSerde::<String, i64> { left: String::serde(), right: i64::serde() };
        let mut waiting = Waiting::one(LeftOrRight::Left("a".to_owned()));
        waiting.more.push(LeftOrRight::Left("bc".to_owned()));
        let mut out = Vec::new();
        serde.serialize(&waiting, &mut out).unwrap();
        assert_eq!(out, *b"\x01\0\0\0\x02\0\0\0\x02\x01a\0\0\0\x03\x01bc");
        assert_eq!(serde.deserialize(&out).unwrap(), waiting);
        for end in 0..out.len() {
            assert!(serde.deserialize(&out[..end]).is_err(), "{end} of {}", out.len());
        }

        let right = Waiting::<String, _>::one(LeftOrRight::Right(3));
        out.clear();
        serde.serialize(&right, &mut out).unwrap();
        assert_eq!(out, *b"\x01\0\0\0\x01\0\0\0\x09\0\0\0\0\0\0\0\0\x03");
        assert_eq!(serde.deserialize(&out).unwrap(), right);
    }
}
