//! `Option` as the type of what may be null: `None` is Kafka's null, `Some` has the bytes of
//! the inner serde.
//!
//! Invariant: a `Some` never becomes a null. `Some(())` and `Some(None)` have no bytes and could
//! not be told from `None` when read back, so the inner serde refuses to write them.

use std::sync::Arc;

use super::{DynSerde, HasSerde, Serde, SerdeError, SerdeIdentity};

/// `Option<T>`: `None` is null; `Some` has the bytes of the inner serde.
///
/// ```
/// use oncestream_core::serde::{HasSerde, OptionSerde, Serde};
/// let serde = OptionSerde::new(String::serde());
/// assert!(serde.is_null(&None));
/// assert_eq!(serde.from_null()?, None);
/// assert_eq!(serde.deserialize(b"")?, Some(String::new())); // empty is not null
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
pub struct OptionSerde<T>(DynSerde<T>);

impl<T> OptionSerde<T> {
    /// Nulls as `None`, all else with `inner`.
    pub fn new(inner: DynSerde<T>) -> Self {
        Self(inner)
    }
}

impl<T> Serde<Option<T>> for OptionSerde<T> {
    fn serialize(&self, value: &Option<T>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        match value {
            Some(value) => self.0.serialize(value, out),
            None => Err(SerdeError::null_has_no_bytes::<Option<T>>()),
        }
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Option<T>, SerdeError> {
        self.0.deserialize(bytes).map(Some)
    }

    fn is_null(&self, value: &Option<T>) -> bool {
        value.is_none()
    }

    fn from_null(&self) -> Result<Option<T>, SerdeError> {
        Ok(None)
    }

    fn identity(&self) -> SerdeIdentity
    where
        Self: 'static,
    {
        SerdeIdentity::of_parts::<Self>([self.0.identity()])
    }
}

impl<T: HasSerde + 'static> HasSerde for Option<T> {
    fn serde() -> DynSerde<Self> {
        Arc::new(OptionSerde::new(T::serde()))
    }
}
