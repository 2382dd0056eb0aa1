//! Short ways to make a [`SerdeError`]. Owns no variant of its own.

use std::any::type_name;
use std::fmt::Display;

use super::SerdeError;

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
