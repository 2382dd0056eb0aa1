//! `Option` as the type of what may be null: `None` is Kafka's null, `Some` has the bytes of
//! the inner serde.
//!
//! Nulls do not nest, because Kafka has one null: `Some` of what the inner serde calls null, as
//! `Some(None)` and `Some(())` are, is null too, and is read back as `None`.

use std::fmt;
use std::sync::Arc;

use super::{
    DeserializeContext, DynSerde, HasSerde, Serde, SerdeError, SerdeIdentity, SerializeContext,
};

/// `Option<T>`: `None` is null, and so is `Some` of a null of the inner serde; any other `Some`
/// has the bytes of the inner serde.
///
/// ```
/// use oncestream_core::serde::{HasSerde, OptionSerde, Serde};
/// let serde = OptionSerde::new(String::serde());
/// assert!(serde.is_null(&None));
/// assert!(OptionSerde::new(Option::<String>::serde()).is_null(&Some(None)));
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
        self.serialize_in(&mut SerializeContext::nowhere(), value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Option<T>, SerdeError> {
        self.deserialize_in(&DeserializeContext::nowhere(), bytes)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        value: &Option<T>,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        match value {
            Some(value) => self.0.serialize_in(ctx, value, out),
            None => Err(SerdeError::null_has_no_bytes::<Option<T>>()),
        }
    }

    fn deserialize_in(
        &self,
        ctx: &DeserializeContext<'_>,
        bytes: &[u8],
    ) -> Result<Option<T>, SerdeError> {
        self.0.deserialize_in(ctx, bytes).map(Some)
    }

    fn is_null(&self, value: &Option<T>) -> bool {
        value.as_ref().is_none_or(|value| self.0.is_null(value))
    }

    fn from_null(&self) -> Result<Option<T>, SerdeError> {
        Ok(None)
    }

    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.0.partition_bytes(bytes)
    }

    fn identity(&self) -> SerdeIdentity
    where
        Self: 'static,
    {
        SerdeIdentity::of_parts::<Self>([self.0.identity()])
    }
}

impl<T> fmt::Debug for OptionSerde<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OptionSerde").finish_non_exhaustive()
    }
}

impl<T: HasSerde + 'static> HasSerde for Option<T> {
    fn serde() -> DynSerde<Self> {
        Arc::new(OptionSerde::new(T::serde()))
    }
}
