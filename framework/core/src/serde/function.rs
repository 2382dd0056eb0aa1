//! A serde out of two closures, for a format that deserves no type of its own.

use super::{Serde, SerdeError};

/// A serde made by [`fn_serde`].
#[derive(Debug, Clone, Copy)]
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
