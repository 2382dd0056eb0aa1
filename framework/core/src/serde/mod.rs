//! How keys and values become bytes: the [`Serde`] trait, and [`HasSerde`] to find one by type.
//!
//! The bytes of the built-in serdes are those of Kafka's own serializers. Null is a type: only
//! the serde of an `Option` accepts a null; every other refuses it with [`SerdeError::Null`].

#[cfg(feature = "bincode")]
mod bincode;
mod bytes;
mod error;
mod function;
mod identity;
mod json;
mod numbers;
mod option;
mod pair;
mod text;
mod uuid;

#[cfg(feature = "bincode")]
pub use bincode::BincodeSerde;
pub use bytes::{BytesSerde, UnitSerde};
pub use function::{FnSerde, fn_serde};
pub use identity::SerdeIdentity;
pub use json::JsonSerde;
pub use numbers::{
    BoolSerde, F32Serde, F64Serde, I8Serde, I16Serde, I32Serde, I64Serde, U8Serde, U16Serde,
    U32Serde, U64Serde,
};
pub use option::OptionSerde;
pub use pair::PairSerde;
pub use text::{ArcStrSerde, StringSerde};
pub use uuid::UuidSerde;

use std::sync::Arc;

/// Why bytes could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SerdeError {
    /// A null where the type has none. Use an `Option` if nulls are expected.
    #[error(
        "null where {type_name} has none; read it as Option<{type_name}> if nulls are expected"
    )]
    Null {
        /// The Rust type that was asked for.
        type_name: &'static str,
    },
    /// A fixed-size value of another size.
    #[error("{type_name} takes {expected} bytes, not {actual}")]
    Length {
        /// The Rust type that was asked for.
        type_name: &'static str,
        /// The size it has.
        expected: usize,
        /// The size that was found.
        actual: usize,
    },
    /// A header whose name is no text. Its value is kept, under a name that can be read.
    #[error("the header name `{name}` {fault}")]
    HeaderName {
        /// The name, with escapes for what is no text.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Anything else, in the words of the format.
    #[error("{type_name}: {message}")]
    Format {
        /// The Rust type that was asked for.
        type_name: &'static str,
        /// What the format said.
        message: String,
    },
}

/// Writes and reads values of one type. Implement this for a format of your own.
///
/// ```
/// use oncestream_core::serde::{Serde, SerdeError};
/// struct Hex;
/// impl Serde<u32> for Hex {
///     fn serialize(&self, value: &u32, out: &mut Vec<u8>) -> Result<(), SerdeError> {
///         out.extend_from_slice(format!("{value:x}").as_bytes());
///         Ok(())
///     }
///     fn deserialize(&self, bytes: &[u8]) -> Result<u32, SerdeError> {
///         std::str::from_utf8(bytes)
///             .ok()
///             .and_then(|s| u32::from_str_radix(s, 16).ok())
///             .ok_or_else(|| SerdeError::Format { type_name: "u32", message: "not hex".into() })
///     }
/// }
/// assert_eq!(Hex.deserialize(b"ff").unwrap(), 255);
/// ```
pub trait Serde<T>: Send + Sync {
    /// Appends the bytes of `value` to `out`. Must not touch what is already in `out`.
    ///
    /// # Errors
    /// When the format cannot express the value. What was appended is then discarded.
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError>;

    /// Reads a value back.
    ///
    /// # Errors
    /// When the bytes are not a value of this format.
    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError>;

    /// True for a value that Kafka carries as null: `None`, and `()`.
    ///
    /// **A null deletes.** In a topic it is a tombstone. In a store or a table it removes the
    /// key, whoever gives it: an aggregator, a reducer, a mapper, a topic, a processor's `put`.
    /// The key is then as if it had never been: `get` finds nothing, `all` and `range` do not
    /// list it, an aggregation asks its initialiser again, and operators downstream see a
    /// deletion. So it is with and without caching, and after a crash or a restore.
    ///
    /// A key that is null is dropped by tables and aggregations, and refused by a store
    /// ([`TaskError::NullKey`](crate::error::TaskError::NullKey)).
    ///
    /// Stores ask at each write, so the answer should be cheap.
    fn is_null(&self, _value: &T) -> bool {
        false
    }

    /// The value that a null stands for.
    ///
    /// # Errors
    /// [`SerdeError::Null`] unless the type is an `Option`.
    #[allow(clippy::wrong_self_convention)] // Reads as what it does, beside `is_null`.
    fn from_null(&self) -> Result<T, SerdeError> {
        Err(SerdeError::Null { type_name: std::any::type_name::<T>() })
    }

    /// What tells this serde from another, asked when a topic is read twice. A serde that is made
    /// of others says so with [`SerdeIdentity::of_parts`].
    fn identity(&self) -> SerdeIdentity
    where
        Self: 'static,
    {
        SerdeIdentity::of(self)
    }
}

/// A serde behind a pointer, as the topology keeps it.
pub type DynSerde<T> = Arc<dyn Serde<T>>;

/// A type whose serde is known without being named.
///
/// ```
/// use oncestream_core::serde::{DynSerde, HasSerde, JsonSerde};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Order { id: u64 }
/// impl HasSerde for Order {
///     fn serde() -> DynSerde<Self> { JsonSerde::dynamic() }
/// }
/// ```
pub trait HasSerde: Sized {
    /// The serde for this type.
    fn serde() -> DynSerde<Self>;
}

/// Reads a value that may be null.
pub(crate) fn deserialize_nullable<T>(
    serde: &dyn Serde<T>,
    bytes: Option<&[u8]>,
) -> Result<T, SerdeError> {
    match bytes {
        Some(bytes) => serde.deserialize(bytes),
        None => serde.from_null(),
    }
}

/// Clears `out` and writes a value that may be null into it; false for a null.
pub(crate) fn serialize_nullable<T>(
    serde: &dyn Serde<T>,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<bool, SerdeError> {
    out.clear();
    if serde.is_null(value) {
        return Ok(false);
    }
    serde.serialize(value, out)?;
    Ok(true)
}
