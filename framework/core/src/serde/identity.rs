//! Whether two serdes are one and the same, as far as that can be told without trying them.

use std::any::{TypeId, type_name};

/// What tells one serde from another: its type, and for a serde with fields which one it is.
///
/// Two serdes with equal identities read the same bytes alike, so one may stand for the other.
///
/// ```
/// use oncestream_core::serde::{HasSerde, OptionSerde, Serde};
/// let found = Option::<String>::serde();
/// assert_eq!(found.identity(), OptionSerde::new(String::serde()).identity());
/// assert_ne!(found.identity(), String::serde().identity());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerdeIdentity {
    type_id: TypeId,
    type_name: &'static str,
    /// Where the serde lies; 0 if its type and its parts say all.
    address: usize,
    parts: Vec<SerdeIdentity>,
}

impl SerdeIdentity {
    /// The identity of a serde: one without fields is its type, one with fields is this value.
    pub fn of<S: ?Sized + 'static>(serde: &S) -> Self {
        let has_fields = size_of_val(serde) > 0;
        Self {
            type_id: TypeId::of::<S>(),
            type_name: type_name::<S>(),
            address: if has_fields { std::ptr::from_ref(serde).addr() } else { 0 },
            parts: Vec::new(),
        }
    }

    /// The identity of a serde that is its type and the serdes in it.
    pub fn of_parts<S: ?Sized + 'static>(parts: impl Into<Vec<SerdeIdentity>>) -> Self {
        let (type_id, type_name) = (TypeId::of::<S>(), type_name::<S>());
        Self { type_id, type_name, address: 0, parts: parts.into() }
    }

    /// The Rust type of the serde.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }
}
