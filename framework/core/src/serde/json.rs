//! JSON for every type that serde knows.
//!
//! Invariant: a Kafka null is not JSON's `null`. This serde never makes a Kafka null and refuses
//! one; wrap it in an [`OptionSerde`](super::OptionSerde) where Kafka nulls are expected.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use ::serde::Serialize;
use ::serde::de::DeserializeOwned;

use super::wrapper::wrapper;
use super::{DynSerde, Serde, SerdeError};

/// `T` as compact JSON text in UTF-8, through `serde_json`.
///
/// JSON has no NaN and no infinities: `serde_json` writes them as `null`, which is not read back
/// as a number. Maps with keys other than text or numbers are refused on writing.
///
/// ```
/// use oncestream_core::serde::{JsonSerde, Serde};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Order { id: u64 }
/// let serde = JsonSerde::<Order>::new();
/// let mut out = Vec::new();
/// serde.serialize(&Order { id: 7 }, &mut out)?;
/// assert_eq!(out, br#"{"id":7}"#);
/// assert_eq!(serde.deserialize(&out)?.id, 7);
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
pub struct JsonSerde<T> {
    // A function pointer, so that the serde is Send and Sync whatever T is.
    value: PhantomData<fn() -> T>,
}

impl<T> JsonSerde<T> {
    /// JSON for `T`.
    pub const fn new() -> Self {
        Self { value: PhantomData }
    }

    /// JSON for `T`, as the topology keeps it and as [`HasSerde`](super::HasSerde) returns it.
    ///
    /// ```
    /// use oncestream_core::serde::{DynSerde, JsonSerde};
    /// let serde: DynSerde<Vec<u32>> = JsonSerde::dynamic();
    /// assert_eq!(serde.deserialize(b"[1, 2]")?, [1, 2]);
    /// # Ok::<(), oncestream_core::serde::SerdeError>(())
    /// ```
    pub fn dynamic() -> DynSerde<T>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        Arc::new(Self::new())
    }
}

impl<T> Default for JsonSerde<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for JsonSerde<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for JsonSerde<T> {}

impl<T> fmt::Debug for JsonSerde<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonSerde")
    }
}

impl<T: Serialize + DeserializeOwned> Serde<T> for JsonSerde<T> {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        serde_json::to_writer(out, value).map_err(SerdeError::format::<T>)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        serde_json::from_slice(bytes).map_err(SerdeError::format::<T>)
    }
}

wrapper! {
    /// A value that travels as JSON, for types of other crates, which cannot derive their serde here.
    ///
    /// Its bytes are those of [`JsonSerde`](struct@JsonSerde) for `T`. Where the type is your own, derive
    /// [`JsonSerde`](derive@super::JsonSerde) instead and do without the wrapper.
    ///
    /// As a key, take it for types whose JSON is always written alike: the bytes decide the partition,
    /// and a `HashMap` is written in any order.
    ///
    /// ```
    /// use std::net::IpAddr;
    /// use oncestream_core::serde::{HasSerde, Json, Serde};
    /// let address = Json("10.0.0.1".parse::<IpAddr>()?);
    /// assert!(address.is_ipv4());
    /// let mut out = Vec::new();
    /// <Json<IpAddr>>::serde().serialize(&address, &mut out)?;
    /// assert_eq!(out, br#""10.0.0.1""#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Json, JsonSerde
}
