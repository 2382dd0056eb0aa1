//! Serdes out of two closures, for a format that deserves no type of its own.

use std::fmt;

use super::{DeserializeContext, Serde, SerdeError, SerializeContext};

/// A serde made by [`fn_serde`].
#[derive(Clone, Copy)]
pub struct FnSerde<S, D> {
    serialize: S,
    deserialize: D,
}

/// Makes a serde out of a closure that appends a value's bytes and one that reads them back.
///
/// It knows no null; wrap it in an [`OptionSerde`](super::OptionSerde) where nulls are expected.
///
/// ```
/// use std::time::Duration;
/// use oncestream_core::serde::{Serde, SerdeError, U64Serde, fn_serde};
/// let millis = fn_serde(
///     |value: &Duration, out| U64Serde.serialize(&(value.as_millis() as u64), out),
///     |bytes| U64Serde.deserialize(bytes).map(Duration::from_millis),
/// );
/// let mut out = Vec::new();
/// millis.serialize(&Duration::from_secs(1), &mut out)?;
/// assert_eq!(out, [0, 0, 0, 0, 0, 0, 3, 232]);
/// assert_eq!(millis.deserialize(&out)?, Duration::from_secs(1));
///
/// // An error of any other kind becomes a SerdeError with SerdeError::format.
/// let decimal = fn_serde(
///     |value: &u32, out| Ok(out.extend_from_slice(value.to_string().as_bytes())),
///     |bytes| {
///         let text = std::str::from_utf8(bytes).map_err(SerdeError::format::<u32>)?;
///         text.parse().map_err(SerdeError::format::<u32>)
///     },
/// );
/// assert_eq!(decimal.deserialize(b"42")?, 42);
/// assert!(decimal.deserialize(b"x").is_err());
/// # Ok::<(), SerdeError>(())
/// ```
pub fn fn_serde<T, S, D>(serialize: S, deserialize: D) -> FnSerde<S, D>
where
    S: Fn(&T, &mut Vec<u8>) -> Result<(), SerdeError> + Send + Sync,
    D: Fn(&[u8]) -> Result<T, SerdeError> + Send + Sync,
{
    FnSerde { serialize, deserialize }
}

impl<T, S, D> Serde<T> for FnSerde<S, D>
where
    S: Fn(&T, &mut Vec<u8>) -> Result<(), SerdeError> + Send + Sync,
    D: Fn(&[u8]) -> Result<T, SerdeError> + Send + Sync,
{
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        (self.serialize)(value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        (self.deserialize)(bytes)
    }
}

impl<S, D> fmt::Debug for FnSerde<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnSerde").finish_non_exhaustive()
    }
}

/// A serde made by [`fn_serde_in`].
#[derive(Clone, Copy)]
pub struct FnSerdeIn<S, D> {
    serialize: S,
    deserialize: D,
}

/// As [`fn_serde`], for closures that ask where they are: topic, part, headers.
///
/// ```
/// use oncestream_core::Headers;
/// use oncestream_core::serde::{HasSerde, Part, Serde, SerializeContext, fn_serde_in};
/// let signed = fn_serde_in(
///     |ctx, text: &String, out| {
///         if let Some(headers) = ctx.headers_mut() {
///             headers.add("length", text.len().to_string().into_bytes());
///         }
///         String::serde().serialize(text, out)
///     },
///     |_, bytes| String::serde().deserialize(bytes),
/// );
/// let (mut headers, mut out) = (Headers::new(), Vec::new());
/// let mut ctx = SerializeContext::new("out", Part::Value).with_headers(&mut headers);
/// signed.serialize_in(&mut ctx, &"four".to_owned(), &mut out)?;
/// assert_eq!(headers.last("length"), Some(&b"4"[..]));
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
pub fn fn_serde_in<T, S, D>(serialize: S, deserialize: D) -> FnSerdeIn<S, D>
where
    S: Fn(&mut SerializeContext<'_>, &T, &mut Vec<u8>) -> Result<(), SerdeError> + Send + Sync,
    D: Fn(&DeserializeContext<'_>, &[u8]) -> Result<T, SerdeError> + Send + Sync,
{
    FnSerdeIn { serialize, deserialize }
}

impl<T, S, D> Serde<T> for FnSerdeIn<S, D>
where
    S: Fn(&mut SerializeContext<'_>, &T, &mut Vec<u8>) -> Result<(), SerdeError> + Send + Sync,
    D: Fn(&DeserializeContext<'_>, &[u8]) -> Result<T, SerdeError> + Send + Sync,
{
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.serialize_in(&mut SerializeContext::nowhere(), value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        self.deserialize_in(&DeserializeContext::nowhere(), bytes)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        (self.serialize)(ctx, value, out)
    }

    fn deserialize_in(&self, ctx: &DeserializeContext<'_>, bytes: &[u8]) -> Result<T, SerdeError> {
        (self.deserialize)(ctx, bytes)
    }
}

impl<S, D> fmt::Debug for FnSerdeIn<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnSerdeIn").finish_non_exhaustive()
    }
}
