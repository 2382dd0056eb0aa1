//! Values that may be null, between serdes and records: the one place that asks a serde for null.

use super::{DeserializeContext, Serde, SerdeError, SerializeContext};

/// Clears `out` and writes a value into it; false for a null, which has no bytes.
///
/// # Errors
/// Those of [`Serde::serialize_in`].
pub fn write<T>(
    serde: &dyn Serde<T>,
    ctx: &mut SerializeContext<'_>,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<bool, SerdeError> {
    out.clear();
    if serde.is_null(value) {
        return Ok(false);
    }
    serde.serialize_in(ctx, value, out)?;
    Ok(true)
}

/// Reads a value; `None` is a null.
///
/// # Errors
/// Those of [`Serde::deserialize_in`] and [`Serde::from_null`].
pub fn read<T>(
    serde: &dyn Serde<T>,
    ctx: &DeserializeContext<'_>,
    bytes: Option<&[u8]>,
) -> Result<T, SerdeError> {
    match bytes {
        Some(bytes) => serde.deserialize_in(ctx, bytes),
        None => serde.from_null(),
    }
}
