//! Bincode 2 for every type that serde knows. With the feature `bincode` only.
//!
//! The bincode crate is not maintained any more. It is here for topics that already hold it;
//! Oncestream's own formats never use it.
//!
//! Invariant: what is read allocates in proportion to the bytes it is read from. Bincode itself
//! believes a length before it looks for the bytes, and a wrong one would abort the process; so
//! each read has a limit (see `CLAIM_FACTOR`).

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use ::bincode::config::standard;
use ::bincode::serde::{decode_from_slice, encode_into_std_write};
use ::serde::Serialize;
use ::serde::de::DeserializeOwned;

use super::wrapper::wrapper;
use super::{DynSerde, Serde, SerdeError};

/// Bincode charges each value's size in memory against the limit. No value takes more memory
/// per byte read than a small `u128`: 16 bytes out of one.
const CLAIM_FACTOR: usize = 16;
const SMALL_BYTES: usize = 4 << 10;
const MEDIUM_BYTES: usize = 1 << 20;
const MAX_BYTES: usize = 64 << 20;

/// `T` in bincode 2, `config::standard()`: little-endian, numbers of variable length.
///
/// The bincode crate is not maintained any more: take another format for new topics. The bytes
/// do not describe themselves, so any change of `T` makes old bytes unreadable, or worse, readable
/// as something else. Values over 64 MiB are refused, written or read.
///
/// Not for bytes from strangers: a `T` that contains itself can be nested deeper than the stack,
/// and a sequence of zero-sized elements can claim any length.
///
/// ```
/// use oncestream_core::serde::{BincodeSerde, Serde};
/// let serde = BincodeSerde::<(u64, String)>::new();
/// let mut out = Vec::new();
/// serde.serialize(&(7, "ab".to_owned()), &mut out)?;
/// assert_eq!(out, [7, 2, b'a', b'b']);
/// assert_eq!(serde.deserialize(&out)?, (7, "ab".to_owned()));
/// # Ok::<(), oncestream_core::serde::SerdeError>(())
/// ```
pub struct BincodeSerde<T> {
    // A function pointer, so that the serde is Send and Sync whatever T is.
    value: PhantomData<fn() -> T>,
}

impl<T> BincodeSerde<T> {
    /// Bincode for `T`.
    pub const fn new() -> Self {
        Self { value: PhantomData }
    }

    /// Bincode for `T`, as the topology keeps it.
    pub fn dynamic() -> DynSerde<T>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        Arc::new(Self::new())
    }
}

impl<T> Default for BincodeSerde<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for BincodeSerde<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for BincodeSerde<T> {}

impl<T> fmt::Debug for BincodeSerde<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BincodeSerde")
    }
}

impl<T: Serialize + DeserializeOwned> Serde<T> for BincodeSerde<T> {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let written =
            encode_into_std_write(value, out, standard()).map_err(SerdeError::format::<T>)?;
        check_size::<T>(written)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        check_size::<T>(bytes.len())?;
        // The limit is part of bincode's types, so there are a few to choose from.
        if bytes.len() <= SMALL_BYTES {
            read::<T, { SMALL_BYTES * CLAIM_FACTOR }>(bytes)
        } else if bytes.len() <= MEDIUM_BYTES {
            read::<T, { MEDIUM_BYTES * CLAIM_FACTOR }>(bytes)
        } else {
            read::<T, { MAX_BYTES * CLAIM_FACTOR }>(bytes)
        }
    }
}

fn check_size<T>(bytes: usize) -> Result<(), SerdeError> {
    if bytes > MAX_BYTES {
        let message = format_args!("{bytes} bytes are more than the {MAX_BYTES} allowed");
        return Err(SerdeError::format::<T>(message));
    }
    Ok(())
}

fn read<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<T, SerdeError> {
    let config = standard().with_limit::<LIMIT>();
    let (value, used) =
        decode_from_slice::<T, _>(bytes, config).map_err(SerdeError::format::<T>)?;
    if used != bytes.len() {
        let message = format_args!("{} bytes after the value", bytes.len() - used);
        return Err(SerdeError::format::<T>(message));
    }
    Ok(value)
}

wrapper! {
    /// A value that travels in bincode, for types of other crates, which cannot derive their serde here.
    ///
    /// Its bytes are those of [`BincodeSerde`](struct@BincodeSerde) for `T`.
    ///
    /// ```
    /// use oncestream_core::serde::{Bincode, HasSerde, Serde};
    /// let mut out = Vec::new();
    /// <Bincode<Vec<u16>>>::serde().serialize(&Bincode(vec![1, 2]), &mut out)?;
    /// assert_eq!(out, [2, 1, 2]);
    /// # Ok::<(), oncestream_core::serde::SerdeError>(())
    /// ```
    Bincode, BincodeSerde
}
