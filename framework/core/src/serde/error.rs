//! [`SerdeError`]: why bytes could not be written or read.

use std::any::type_name;
use std::fmt::Display;

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
    /// A number that the type cannot hold on this machine, as a `usize` of 32 bits.
    #[error("{value} does not fit into a {type_name} on this machine; read it as a u64 or an i64")]
    Range {
        /// The Rust type that was asked for.
        type_name: &'static str,
        /// The number, in decimal.
        value: String,
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

impl SerdeError {
    /// An error about a value of type `T`, in the words of its format.
    ///
    /// ```
    /// use oncestream_core::serde::SerdeError;
    /// assert_eq!(SerdeError::format::<u8>("not hex").to_string(), "u8: not hex");
    /// ```
    pub fn format<T: ?Sized>(message: impl Display) -> Self {
        Self::Format { type_name: type_name::<T>(), message: message.to_string() }
    }

    /// A null value was asked for its bytes, and has none.
    pub(super) fn null_has_no_bytes<T: ?Sized>() -> Self {
        Self::format::<T>("a null has no bytes; ask is_null first")
    }
}
