//! Numbers and `bool`, with the bytes of Kafka's own serializers: fixed size, big-endian.
//!
//! `i16`, `i32`, `i64`, `f32`, `f64` and `bool` are Kafka's Short, Integer, Long, Float, Double
//! and Boolean. Kafka has no serializer for the others; they follow the same rule.
//!
//! Invariant: a number's bytes have exactly its size; any other length is refused.
//! Unsigned numbers sort as their bytes do; negative numbers and floats do not.

use std::any::type_name;
use std::sync::Arc;

use super::{DynSerde, HasSerde, Serde, SerdeError};

/// The bytes of a number of type `T`, which has `N` of them.
pub(super) fn fixed<T, const N: usize>(bytes: &[u8]) -> Result<[u8; N], SerdeError> {
    bytes.try_into().map_err(|_| SerdeError::Length {
        type_name: type_name::<T>(),
        expected: N,
        actual: bytes.len(),
    })
}

/// One serde for one number type; `$bytes` says how a value becomes bytes.
macro_rules! number_serde {
    ($serde:ident, $number:ident, $example:literal => $hex:literal, $about:literal, $bytes:expr) => {
        #[doc = concat!("`", stringify!($number), "`, big-endian. ", $about)]
        ///
        /// ```
        #[doc = concat!("use oncestream_core::serde::{Serde, ", stringify!($serde), "};")]
        /// let mut out = Vec::new();
        #[doc = concat!(stringify!($serde), ".serialize(&", $example, ", &mut out)?;")]
        #[doc = concat!("assert_eq!(out, ", $hex, ");")]
        #[doc = concat!("assert_eq!(", stringify!($serde), ".deserialize(&out)?, ", $example, ");")]
        #[doc = concat!("assert!(", stringify!($serde), ".deserialize(&[0; 9]).is_err());")]
        /// # Ok::<(), oncestream_core::serde::SerdeError>(())
        /// ```
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $serde;

        impl Serde<$number> for $serde {
            fn serialize(&self, value: &$number, out: &mut Vec<u8>) -> Result<(), SerdeError> {
                let to_bytes: fn($number) -> [u8; size_of::<$number>()] = $bytes;
                out.extend_from_slice(&to_bytes(*value));
                Ok(())
            }

            fn deserialize(&self, bytes: &[u8]) -> Result<$number, SerdeError> {
                Ok($number::from_be_bytes(fixed::<$number, { size_of::<$number>() }>(bytes)?))
            }
        }

        impl HasSerde for $number {
            fn serde() -> DynSerde<Self> {
                Arc::new($serde)
            }
        }
    };
}

number_serde!(I8Serde, i8, "-2" => "[0xfe]", "Kafka has none.", i8::to_be_bytes);
number_serde!(I16Serde, i16, "-2" => "[0xff, 0xfe]", "Kafka's `ShortSerializer`.", i16::to_be_bytes);
number_serde!(
    I32Serde, i32, "258" => "[0, 0, 1, 2]", "Kafka's `IntegerSerializer`.", i32::to_be_bytes
);
number_serde!(
    I64Serde, i64, "258" => "[0, 0, 0, 0, 0, 0, 1, 2]", "Kafka's `LongSerializer`.", i64::to_be_bytes
);
number_serde!(
    I128Serde, i128, "258" => "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]", "Kafka has none.",
    i128::to_be_bytes
);
number_serde!(U8Serde, u8, "254" => "[0xfe]", "Kafka has none.", u8::to_be_bytes);
number_serde!(U16Serde, u16, "258" => "[1, 2]", "The bits of Kafka's Short.", u16::to_be_bytes);
number_serde!(
    U32Serde, u32, "258" => "[0, 0, 1, 2]", "The bits of Kafka's Integer.", u32::to_be_bytes
);
number_serde!(
    U64Serde, u64, "258" => "[0, 0, 0, 0, 0, 0, 1, 2]", "The bits of Kafka's Long.", u64::to_be_bytes
);
number_serde!(
    U128Serde, u128, "258" => "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]", "Kafka has none.",
    u128::to_be_bytes
);
number_serde!(
    F32Serde, f32, "1.0" => "[0x3f, 0x80, 0, 0]",
    "Kafka's `FloatSerializer`: the bits as they are, a NaN's too. As keys, 0.0 and -0.0 differ.",
    f32::to_be_bytes
);
number_serde!(
    F64Serde, f64, "1.0" => "[0x3f, 0xf0, 0, 0, 0, 0, 0, 0]",
    "Kafka's `DoubleSerializer`: it writes every NaN as `7ff8000000000000`, so that all NaNs are \
     one key. As keys, 0.0 and -0.0 differ.",
    canonical_f64
);

/// Java's `doubleToLongBits`: one NaN, whatever its sign and payload were.
fn canonical_f64(value: f64) -> [u8; 8] {
    const JAVA_NAN: u64 = 0x7ff8_0000_0000_0000;
    if value.is_nan() { JAVA_NAN.to_be_bytes() } else { value.to_be_bytes() }
}

/// `bool` as Kafka's `BooleanSerializer`: one byte, 1 or 0; any other is refused.
///
/// ```
/// use oncestream_core::serde::{BoolSerde, Serde};
/// let mut out = Vec::new();
/// BoolSerde.serialize(&true, &mut out)?;
/// assert_eq!(out, [1]);
/// assert_eq!(BoolSerde.deserialize(&[0])?, false);
/// assert!(BoolSerde.deserialize(&[2]).is_err());
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct BoolSerde;

impl Serde<bool> for BoolSerde {
    fn serialize(&self, value: &bool, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.push(u8::from(*value));
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<bool, SerdeError> {
        match fixed::<bool, 1>(bytes)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(SerdeError::format::<bool>(format_args!("{other} is neither 0 nor 1"))),
        }
    }
}

impl HasSerde for bool {
    fn serde() -> DynSerde<Self> {
        Arc::new(BoolSerde)
    }
}
