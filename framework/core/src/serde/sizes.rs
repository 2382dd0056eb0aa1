//! `usize` and `isize`: 64 bits, whatever the machine has, so that bytes do not depend on it.

use std::any::type_name;
use std::fmt::Display;
use std::sync::Arc;

use super::numbers::fixed;
use super::{DynSerde, HasSerde, Serde, SerdeError};

macro_rules! size_serde {
    ($serde:ident, $size:ident, $wide:ident) => {
        #[doc = concat!("`", stringify!($size), "` with the bytes of `", stringify!($wide), "`.")]
        /// On a machine of 32 bits a larger number is refused with [`SerdeError::Range`].
        ///
        /// ```
        #[doc = concat!("use oncestream_core::serde::{Serde, ", stringify!($serde), "};")]
        /// let mut out = Vec::new();
        #[doc = concat!(stringify!($serde), ".serialize(&258, &mut out)?;")]
        /// assert_eq!(out, [0, 0, 0, 0, 0, 0, 1, 2]);
        #[doc = concat!("assert_eq!(", stringify!($serde), ".deserialize(&out)?, 258);")]
        /// # Ok::<(), oncestream_core::serde::SerdeError>(())
        /// ```
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $serde;

        impl Serde<$size> for $serde {
            fn serialize(&self, value: &$size, out: &mut Vec<u8>) -> Result<(), SerdeError> {
                out.extend_from_slice(&(*value as $wide).to_be_bytes());
                Ok(())
            }

            fn deserialize(&self, bytes: &[u8]) -> Result<$size, SerdeError> {
                let wide = fixed::<$size, { size_of::<$wide>() }>(bytes)?;
                narrowed($wide::from_be_bytes(wide))
            }
        }

        impl HasSerde for $size {
            fn serde() -> DynSerde<Self> {
                Arc::new($serde)
            }
        }
    };
}

size_serde!(UsizeSerde, usize, u64);
size_serde!(IsizeSerde, isize, i64);

/// A number in a type that may be too small for it.
fn narrowed<W: Copy + Display, N: TryFrom<W>>(wide: W) -> Result<N, SerdeError> {
    N::try_from(wide)
        .map_err(|_| SerdeError::Range { type_name: type_name::<N>(), value: wide.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_does_not_fit_is_refused_by_its_value() {
        // As on a machine of 32 bits.
        assert_eq!(narrowed::<u64, u32>(u64::from(u32::MAX)).unwrap(), u32::MAX);
        let refused = narrowed::<u64, u32>(1 << 32);
        assert!(
            matches!(&refused, Err(SerdeError::Range { type_name: "u32", value }) if value == "4294967296"),
            "{refused:?}"
        );
        assert!(narrowed::<i64, i32>(i64::MIN).is_err());
    }
}
