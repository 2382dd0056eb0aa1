//! Text as Kafka's `StringSerializer` writes it: UTF-8, no length, no terminator.
//!
//! One difference from Kafka: bytes that are not UTF-8 are refused here, whereas Java's
//! `StringDeserializer` quietly puts U+FFFD in their place. What is read is what was written.

use std::str::from_utf8;
use std::sync::Arc;

use super::{DynSerde, HasSerde, Serde, SerdeError};

/// `String` as UTF-8, as Kafka's `StringSerializer` writes it.
///
/// ```
/// use oncestream_core::serde::{Serde, StringSerde};
/// let mut out = Vec::new();
/// StringSerde.serialize(&"né".to_owned(), &mut out)?;
/// assert_eq!(out, [b'n', 0xc3, 0xa9]);
/// assert_eq!(StringSerde.deserialize(&out)?, "né");
/// assert!(StringSerde.deserialize(&[0xff]).is_err()); // Java would read U+FFFD
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct StringSerde;

impl Serde<String> for StringSerde {
    fn serialize(&self, value: &String, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<String, SerdeError> {
        from_utf8(bytes).map(str::to_owned).map_err(SerdeError::format::<String>)
    }
}

impl HasSerde for String {
    fn serde() -> DynSerde<Self> {
        Arc::new(StringSerde)
    }
}

/// `Arc<str>` with the bytes of [`StringSerde`]: text that is cheap to clone.
///
/// ```
/// use std::sync::Arc;
/// use oncestream_core::serde::{ArcStrSerde, Serde};
/// let word: Arc<str> = ArcStrSerde.deserialize(b"word")?;
/// assert_eq!(&*word, "word");
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ArcStrSerde;

impl Serde<Arc<str>> for ArcStrSerde {
    fn serialize(&self, value: &Arc<str>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Arc<str>, SerdeError> {
        from_utf8(bytes).map(Arc::from).map_err(SerdeError::format::<Arc<str>>)
    }
}

impl HasSerde for Arc<str> {
    fn serde() -> DynSerde<Self> {
        Arc::new(ArcStrSerde)
    }
}

/// `Box<str>` with the bytes of [`StringSerde`]: text without room to grow.
///
/// ```
/// use oncestream_core::serde::{BoxStrSerde, Serde};
/// let word: Box<str> = BoxStrSerde.deserialize(b"word")?;
/// assert_eq!(&*word, "word");
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct BoxStrSerde;

impl Serde<Box<str>> for BoxStrSerde {
    fn serialize(&self, value: &Box<str>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Box<str>, SerdeError> {
        from_utf8(bytes).map(Box::from).map_err(SerdeError::format::<Box<str>>)
    }
}

impl HasSerde for Box<str> {
    fn serde() -> DynSerde<Self> {
        Arc::new(BoxStrSerde)
    }
}
