//! `Uuid` as Kafka's `UUIDSerializer` writes it: its canonical text in UTF-8, 36 bytes.
//!
//! Reads that text alone, in either case of letters. Java's `UUID.fromString` also reads groups
//! with missing leading zeros (`1-1-1-1-1`), which no serializer writes; they are refused here.

use std::sync::Arc;

use ::uuid::Uuid;
use ::uuid::fmt::Hyphenated;

use super::{DynSerde, HasSerde, Serde, SerdeError};

/// `Uuid` as its canonical text, as Kafka's `UUIDSerializer` writes it.
///
/// ```
/// use oncestream_core::serde::{Serde, UuidSerde};
/// let text = b"00000000-0000-0000-0000-0000000000ff";
/// let id = UuidSerde.deserialize(text)?;
/// assert_eq!(id.as_u128(), 0xff);
/// let mut out = Vec::new();
/// UuidSerde.serialize(&id, &mut out)?;
/// assert_eq!(out, text);
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidSerde;

impl Serde<Uuid> for UuidSerde {
    fn serialize(&self, value: &Uuid, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let mut text = [0; Hyphenated::LENGTH];
        out.extend_from_slice(value.hyphenated().encode_lower(&mut text).as_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Uuid, SerdeError> {
        // The length rules out the other notations that the parser takes: simple, braced, URN.
        if bytes.len() != Hyphenated::LENGTH {
            return Err(SerdeError::Length {
                type_name: std::any::type_name::<Uuid>(),
                expected: Hyphenated::LENGTH,
                actual: bytes.len(),
            });
        }
        Uuid::try_parse_ascii(bytes).map_err(SerdeError::format::<Uuid>)
    }
}

impl HasSerde for Uuid {
    fn serde() -> DynSerde<Self> {
        Arc::new(UuidSerde)
    }
}
