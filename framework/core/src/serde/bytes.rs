//! Bytes as they are, and `()` for a key or value that is always null.

use std::sync::Arc;

use super::numbers::fixed;
use super::{DynSerde, HasSerde, Serde, SerdeError};

/// `Vec<u8>` as it is, as Kafka's `ByteArraySerializer`. Empty bytes are not a null.
///
/// ```
/// use oncestream_core::serde::{BytesSerde, Serde};
/// assert_eq!(BytesSerde.deserialize(&[1, 2])?, vec![1, 2]);
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct BytesSerde;

impl Serde<Vec<u8>> for BytesSerde {
    fn serialize(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Vec<u8>, SerdeError> {
        Ok(bytes.to_vec())
    }
}

impl HasSerde for Vec<u8> {
    fn serde() -> DynSerde<Self> {
        Arc::new(BytesSerde)
    }
}

/// `Arc<[u8]>` with the bytes of [`BytesSerde`]: bytes that are cheap to clone.
///
/// ```
/// use oncestream_core::serde::{ArcBytesSerde, Serde};
/// assert_eq!(*ArcBytesSerde.deserialize(&[1, 2])?, [1, 2]);
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ArcBytesSerde;

impl Serde<Arc<[u8]>> for ArcBytesSerde {
    fn serialize(&self, value: &Arc<[u8]>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Arc<[u8]>, SerdeError> {
        Ok(bytes.into())
    }
}

impl HasSerde for Arc<[u8]> {
    fn serde() -> DynSerde<Self> {
        Arc::new(ArcBytesSerde)
    }
}

/// `[u8; N]` as it is: a hash or an id. Any other number of bytes is refused.
///
/// ```
/// use oncestream_core::serde::{ByteArraySerde, Serde};
/// assert_eq!(ByteArraySerde::<2>.deserialize(&[1, 2])?, [1, 2]);
/// assert!(ByteArraySerde::<2>.deserialize(&[1]).is_err());
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ByteArraySerde<const N: usize>;

impl<const N: usize> Serde<[u8; N]> for ByteArraySerde<N> {
    fn serialize(&self, value: &[u8; N], out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<[u8; N], SerdeError> {
        fixed::<[u8; N], N>(bytes)
    }
}

impl<const N: usize> HasSerde for [u8; N] {
    fn serde() -> DynSerde<Self> {
        Arc::new(ByteArraySerde)
    }
}

/// `()` as Kafka's `VoidSerializer`: always null. Any bytes, even none, are refused.
///
/// As a table's value it is a deletion, because it is a null.
///
/// ```
/// use oncestream_core::serde::{Serde, UnitSerde};
/// assert!(UnitSerde.is_null(&()));
/// assert!(UnitSerde.from_null().is_ok());
/// assert!(UnitSerde.deserialize(&[]).is_err());
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct UnitSerde;

impl Serde<()> for UnitSerde {
    fn serialize(&self, (): &(), _out: &mut Vec<u8>) -> Result<(), SerdeError> {
        Err(SerdeError::null_has_no_bytes::<()>())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<(), SerdeError> {
        Err(SerdeError::format::<()>(format_args!(
            "always null, but here are {} bytes",
            bytes.len()
        )))
    }

    fn is_null(&self, (): &()) -> bool {
        true
    }

    fn from_null(&self) -> Result<(), SerdeError> {
        Ok(())
    }
}

impl HasSerde for () {
    fn serde() -> DynSerde<Self> {
        Arc::new(UnitSerde)
    }
}
