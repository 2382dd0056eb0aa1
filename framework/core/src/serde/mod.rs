//! How keys and values become bytes.
//!
//! A topic's keys and values have a Rust type each, and each type a [`Serde`]. Where none is given, it
//! is found by the type ([`HasSerde`]). The bytes of the built-in serdes are those of Kafka's own
//! serializers where Kafka has one:
//!
//! | type | bytes |
//! |---|---|
//! | `i16`, `i32`, `i64`, `f32`, `f64`, `bool` | Kafka's Short, Integer, Long, Float, Double, Boolean |
//! | `i8`, `u8`, `u16`, `u32`, `u64`, `i128`, `u128` | big-endian, of fixed size |
//! | `usize`, `isize` | those of `u64` and `i64`, on every machine |
//! | `String`, `Arc<str>`, `Box<str>` | Kafka's String: UTF-8 |
//! | `Vec<u8>`, `Arc<[u8]>`, `[u8; N]` | as they are |
//! | `Uuid` | Kafka's UUID: its text |
//! | `Arc<T>` | those of `T` |
//! | `Option<T>`, `()` | those of `T`, or a null; always a null |
//! | `(A, B)`, `(A, B, C)` | each part behind its length: a format of ours |
//!
//! # Types of your own
//!
//! A type that the crate `serde` knows travels as JSON with one more derive. A type of another crate
//! cannot have a derive, so it is wrapped in [`Json`], which has its methods.
//!
//! ```
//! # extern crate oncestream_core as oncestream;
//! use std::net::IpAddr;
//! use oncestream::serde::{HasSerde, Json, JsonSerde, Serde};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Serialize, Deserialize, JsonSerde)]
//! struct Login { user: u64, from: IpAddr }
//!
//! let login = Login { user: 7, from: "10.0.0.1".parse()? };
//! let mut out = Vec::new();
//! Login::serde().serialize(&login, &mut out)?;
//! assert_eq!(out, br#"{"user":7,"from":"10.0.0.1"}"#);
//! let address: Json<IpAddr> = <Json<IpAddr>>::serde().deserialize(br#""10.0.0.1""#)?;
//! assert!(address.is_ipv4());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A serde is also given by hand, where a topic or store is described: `Consumed::with`,
//! `Produced::with`, `Grouped::with`, `Materialized::with`. [`fn_serde`] makes one out of two closures.
//!
//! # Null
//!
//! Null is a type: only the serde of an `Option`, and that of `()`, accepts one. Every other refuses it
//! with [`SerdeError::Null`], which the deserialisation handler decides about. A null deletes: see
//! [`Serde::is_null`].
//!
//! # A format of your own
//!
//! Implement [`Serde`]: two methods, and two more if the bytes depend on where they are. Those get the
//! topic, whether it is the key or the value, and the headers ([`SerializeContext`],
//! [`DeserializeContext`]). So a schema registry is a serde, here with the bytes of Confluent's: a zero,
//! the number of the schema, the value.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use oncestream_core::serde::{
//!     DeserializeContext, I64Serde, Part, Serde, SerdeError, SerializeContext,
//! };
//!
//! /// Stands for a registry: it numbers subjects.
//! #[derive(Default)]
//! struct Registry(Mutex<Vec<String>>);
//!
//! impl Registry {
//!     /// A real one is asked once for each subject, since the worker waits for the answer.
//!     fn schema_id(&self, topic: &str, part: Part) -> u32 {
//!         let subject = format!("{topic}-{part}");
//!         let mut known = self.0.lock().unwrap();
//!         let found = known.iter().position(|name| *name == subject);
//!         found.unwrap_or_else(|| { known.push(subject); known.len() - 1 }) as u32
//!     }
//! }
//!
//! struct Amounts { registry: Arc<Registry> }
//!
//! impl Serde<i64> for Amounts {
//!     fn serialize(&self, value: &i64, out: &mut Vec<u8>) -> Result<(), SerdeError> {
//!         self.serialize_in(&mut SerializeContext::nowhere(), value, out)
//!     }
//!     fn deserialize(&self, bytes: &[u8]) -> Result<i64, SerdeError> {
//!         self.deserialize_in(&DeserializeContext::nowhere(), bytes)
//!     }
//!     fn serialize_in(
//!         &self, ctx: &mut SerializeContext<'_>, value: &i64, out: &mut Vec<u8>,
//!     ) -> Result<(), SerdeError> {
//!         out.push(0);
//!         out.extend_from_slice(&self.registry.schema_id(ctx.topic(), ctx.part()).to_be_bytes());
//!         I64Serde.serialize(value, out)
//!     }
//!     fn deserialize_in(
//!         &self, ctx: &DeserializeContext<'_>, bytes: &[u8],
//!     ) -> Result<i64, SerdeError> {
//!         let Some(([0, id @ ..], value)) = bytes.split_first_chunk::<5>() else {
//!             return Err(SerdeError::format::<i64>("no schema in front of the value"));
//!         };
//!         if u32::from_be_bytes(*id) != self.registry.schema_id(ctx.topic(), ctx.part()) {
//!             let message = format!("{} is not the schema of {}", u32::from_be_bytes(*id), ctx.topic());
//!             return Err(SerdeError::format::<i64>(message));
//!         }
//!         I64Serde.deserialize(value)
//!     }
//! }
//!
//! let amounts = Amounts { registry: Arc::default() };
//! let mut out = Vec::new();
//! amounts.serialize_in(&mut SerializeContext::new("orders", Part::Value), &7, &mut out)?;
//! amounts.serialize_in(&mut SerializeContext::new("refunds", Part::Value), &7, &mut Vec::new())?;
//! assert_eq!(out, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
//! assert_eq!(amounts.deserialize_in(&DeserializeContext::new("orders", Part::Value), &out)?, 7);
//! assert!(amounts.deserialize_in(&DeserializeContext::new("refunds", Part::Value), &out).is_err());
//! # Ok::<(), SerdeError>(())
//! ```

#[cfg(feature = "bincode")]
mod bincode;
mod bytes;
mod context;
mod error;
mod function;
mod identity;
mod json;
pub mod nullable;
mod numbers;
mod option;
mod shared;
mod sizes;
mod text;
mod tuple;
mod uuid;
mod wrapper;

#[cfg(feature = "bincode")]
pub use bincode::{Bincode, BincodeSerde};
pub use bytes::{ArcBytesSerde, ByteArraySerde, BytesSerde, UnitSerde};
pub use context::{DeserializeContext, SerializeContext};
pub use error::SerdeError;
pub use function::{FnSerde, FnSerdeIn, fn_serde, fn_serde_in};
pub use identity::SerdeIdentity;
pub use json::{Json, JsonSerde};
pub use numbers::{
    BoolSerde, F32Serde, F64Serde, I8Serde, I16Serde, I32Serde, I64Serde, I128Serde, U8Serde,
    U16Serde, U32Serde, U64Serde, U128Serde,
};
pub use option::OptionSerde;
pub use shared::ArcSerde;
pub use sizes::{IsizeSerde, UsizeSerde};
pub use text::{ArcStrSerde, BoxStrSerde, StringSerde};
pub use tuple::{PairSerde, TripleSerde};
pub use uuid::UuidSerde;

/// Implements [`HasSerde`] by [`JsonSerde`](struct@JsonSerde), for a type that derives `Serialize` and
/// `Deserialize` of the crate `serde`.
///
/// It is for structs, enums and generic types that own their data. In a crate that depends on
/// `oncestream-core` alone, or on `oncestream` under another name, `extern crate oncestream_core as
/// oncestream;` at its root says where the serdes are.
///
/// ```
/// # extern crate oncestream_core as oncestream;
/// use oncestream::serde::{HasSerde, JsonSerde, Serde};
/// #[derive(serde::Serialize, serde::Deserialize, JsonSerde)]
/// struct Page<T> { items: Vec<T>, next: Option<u64> }
///
/// let page = <Page<String>>::serde().deserialize(br#"{"items":["a"],"next":null}"#)?;
/// assert_eq!(page.items, ["a"]);
/// # Ok::<(), oncestream::serde::SerdeError>(())
/// ```
///
/// Without `serde`'s own derives it does not compile:
///
/// ```compile_fail,E0277
/// # extern crate oncestream_core as oncestream;
/// # use oncestream::serde::JsonSerde;
/// #[derive(JsonSerde)]
/// struct Order { id: u64 }
/// ```
pub use oncestream_derive::JsonSerde;

/// Implements [`HasSerde`] by [`BincodeSerde`](struct@BincodeSerde), as
/// [`JsonSerde`](derive@JsonSerde) does by JSON.
///
/// ```
/// # extern crate oncestream_core as oncestream;
/// use oncestream::serde::{BincodeSerde, HasSerde, Serde};
/// #[derive(serde::Serialize, serde::Deserialize, BincodeSerde)]
/// struct Order { id: u64 }
/// assert_eq!(Order::serde().deserialize(&[7])?.id, 7);
/// # Ok::<(), oncestream::serde::SerdeError>(())
/// ```
#[cfg(feature = "bincode")]
pub use oncestream_derive::BincodeSerde;

pub use crate::error::Part;

use std::sync::Arc;

/// Writes and reads values of one type. Implement this for a format of your own.
///
/// Two methods are enough. A format that depends on the topic or on headers, as with a schema registry,
/// also implements [`serialize_in`](Self::serialize_in) and [`deserialize_in`](Self::deserialize_in),
/// which is what sources, sinks and stores call; the [module](self) shows one. Then `serialize` is
/// `serialize_in` with [`SerializeContext::nowhere`], and likewise for `deserialize`. So does a serde
/// that is made of others: it passes the context on to them.
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
///         let text = std::str::from_utf8(bytes).map_err(SerdeError::format::<u32>)?;
///         u32::from_str_radix(text, 16).map_err(SerdeError::format::<u32>)
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

    /// [`serialize`](Self::serialize) for a topic or store: what the runtime calls.
    ///
    /// # Errors
    /// Those of `serialize`. The production handler is asked about a sink's record.
    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        let _ = ctx;
        self.serialize(value, out)
    }

    /// [`deserialize`](Self::deserialize) from a topic or store: what the runtime calls.
    ///
    /// # Errors
    /// Those of `deserialize`. The deserialisation handler is asked about a source's record.
    fn deserialize_in(&self, ctx: &DeserializeContext<'_>, bytes: &[u8]) -> Result<T, SerdeError> {
        let _ = ctx;
        self.deserialize(bytes)
    }

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

    /// The bytes of a key that choose its partition: all of them. A key in a window gives those of the
    /// key alone, so that the windows of a key lie in one partition.
    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
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
/// Most types of your own derive it ([`JsonSerde`](derive@JsonSerde)). For another format:
///
/// ```
/// use std::sync::Arc;
/// use oncestream_core::serde::{DynSerde, HasSerde, StringSerde, fn_serde, Serde};
/// struct Name(String);
/// impl HasSerde for Name {
///     fn serde() -> DynSerde<Self> {
///         Arc::new(fn_serde(
///             |name: &Name, out| StringSerde.serialize(&name.0, out),
///             |bytes| StringSerde.deserialize(bytes).map(Name),
///         ))
///     }
/// }
/// assert_eq!(Name::serde().deserialize(b"Ada")?.0, "Ada");
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "no serde is known for `{Self}`",
    label = "cannot be written to or read from a topic or store without a serde",
    note = "for a type of your own derive `JsonSerde`, or implement `HasSerde`",
    note = "for a type of another crate use `Json<{Self}>`, or give a serde where the topic or store is described"
)]
pub trait HasSerde: Sized {
    /// The serde for this type.
    fn serde() -> DynSerde<Self>;
}
