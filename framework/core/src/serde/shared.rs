//! `Arc<T>` with the bytes of `T`: a large value that is cheap to clone at a fan-out.

use std::fmt;
use std::sync::Arc;

use super::{
    DeserializeContext, DynSerde, HasSerde, Serde, SerdeError, SerdeIdentity, SerializeContext,
};

/// `Arc<T>` as the inner serde writes `T`, null where that is null.
///
/// ```
/// use std::sync::Arc;
/// use oncestream_core::serde::{HasSerde, Serde};
/// let shared = <Arc<(String, i64)>>::serde();
/// let mut out = Vec::new();
/// shared.serialize(&Arc::new(("a".to_owned(), 1)), &mut out)?;
/// assert_eq!(*shared.deserialize(&out)?, ("a".to_owned(), 1));
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
pub struct ArcSerde<T>(DynSerde<T>);

impl<T> ArcSerde<T> {
    /// What is shared with `inner`.
    pub fn new(inner: DynSerde<T>) -> Self {
        Self(inner)
    }
}

impl<T> Serde<Arc<T>> for ArcSerde<T> {
    fn serialize(&self, value: &Arc<T>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.0.serialize(value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Arc<T>, SerdeError> {
        self.0.deserialize(bytes).map(Arc::new)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        value: &Arc<T>,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        self.0.serialize_in(ctx, value, out)
    }

    fn deserialize_in(
        &self,
        ctx: &DeserializeContext<'_>,
        bytes: &[u8],
    ) -> Result<Arc<T>, SerdeError> {
        self.0.deserialize_in(ctx, bytes).map(Arc::new)
    }

    fn is_null(&self, value: &Arc<T>) -> bool {
        self.0.is_null(value)
    }

    fn from_null(&self) -> Result<Arc<T>, SerdeError> {
        self.0.from_null().map(Arc::new)
    }

    fn identity(&self) -> SerdeIdentity
    where
        Self: 'static,
    {
        SerdeIdentity::of_parts::<Self>([self.0.identity()])
    }
}

impl<T> fmt::Debug for ArcSerde<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcSerde").finish_non_exhaustive()
    }
}

impl<T: HasSerde + 'static> HasSerde for Arc<T> {
    fn serde() -> DynSerde<Self> {
        Arc::new(ArcSerde::new(T::serde()))
    }
}
