//! How the keys and values of a store become bytes, and which of them have no place in it.
//!
//! A row is the time of a value (8 bytes, big-endian) and its bytes; a changelog has the bytes
//! alone, and the record's time, as Kafka Streams. It knows nothing of what a kind adds to a key.

use std::sync::Arc;

use super::backend::BackendError;
use super::{MAX_KEY_BYTES, ValueAndTimestamp};
use crate::error::{Part, TaskError};
use crate::serde::{DeserializeContext, DynSerde, SerdeError, SerializeContext, nullable};

/// The bytes of the time before each value.
const TIMESTAMP_LEN: usize = 8;

/// The serdes of a store, what they are told of where they are, and its name for errors.
pub(crate) struct RowCodec<K, V> {
    store: Arc<str>,
    /// The name of its changelog.
    topic: Arc<str>,
    keys: DynSerde<K>,
    values: DynSerde<V>,
}

impl<K, V> RowCodec<K, V> {
    pub(crate) fn new(
        store: Arc<str>,
        topic: Arc<str>,
        keys: DynSerde<K>,
        values: DynSerde<V>,
    ) -> Self {
        Self { store, topic, keys, values }
    }

    pub(crate) fn store(&self) -> &Arc<str> {
        &self.store
    }

    /// Writes the bytes of a key; false for a null, which is a bound that is open.
    pub(crate) fn write_bound(&self, key: &K, out: &mut Vec<u8>) -> Result<bool, TaskError> {
        let mut place = SerializeContext::new(&self.topic, Part::Key);
        let written = nullable::write(&*self.keys, &mut place, key, out);
        written.map_err(|e| self.error(Part::Key, e))
    }

    /// Writes the bytes of a key that is to be in the store. `frame` is how many bytes the kind of
    /// the store adds to it.
    pub(crate) fn write_key(
        &self,
        key: &K,
        frame: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), TaskError> {
        if !self.write_bound(key, out)? {
            return Err(TaskError::NullKey { store: self.store.to_string(), at: None });
        }
        self.check_length(out.len() + frame, frame)
    }

    /// Checks the length of a row's key, `frame` bytes of which are not the user's.
    pub(crate) fn check_length(&self, length: usize, frame: usize) -> Result<(), TaskError> {
        if length <= MAX_KEY_BYTES {
            return Ok(());
        }
        let (length, limit) = (length - frame, MAX_KEY_BYTES - frame);
        Err(TaskError::KeyTooLarge { store: self.store.to_string(), length, limit, at: None })
    }

    pub(crate) fn read_key(&self, bytes: &[u8]) -> Result<K, TaskError> {
        let place = DeserializeContext::new(&self.topic, Part::Key);
        self.keys.deserialize_in(&place, bytes).map_err(|e| self.error(Part::Key, e))
    }

    /// Writes the bytes of a value that is no null.
    pub(crate) fn write_value(&self, value: &V, out: &mut Vec<u8>) -> Result<(), TaskError> {
        out.clear();
        let mut place = SerializeContext::new(&self.topic, Part::Value);
        let written = self.values.serialize_in(&mut place, value, out);
        written.map_err(|e| self.error(Part::Value, e))
    }

    pub(crate) fn is_null(&self, value: &V) -> bool {
        self.values.is_null(value)
    }

    /// The value of a row; `None` for bytes that the serde reads as a null.
    pub(crate) fn read_row(&self, row: &[u8]) -> Result<Option<ValueAndTimestamp<V>>, TaskError> {
        let Some((timestamp, bytes)) = row.split_first_chunk::<TIMESTAMP_LEN>() else {
            let (expected, actual) = (TIMESTAMP_LEN, row.len());
            let e = SerdeError::Length { type_name: "a stored value", expected, actual };
            return Err(self.error(Part::Value, e));
        };
        let place = DeserializeContext::new(&self.topic, Part::Value);
        let read = self.values.deserialize_in(&place, bytes);
        let value = read.map_err(|e| self.error(Part::Value, e))?;
        let timestamp = i64::from_be_bytes(*timestamp);
        Ok((!self.values.is_null(&value)).then_some(ValueAndTimestamp { value, timestamp }))
    }

    #[cold]
    pub(crate) fn error(&self, part: Part, source: SerdeError) -> TaskError {
        TaskError::StoreSerde { store: self.store.to_string(), part, at: None, source }
    }

    #[cold]
    pub(crate) fn backend_error(&self, source: BackendError) -> TaskError {
        TaskError::Backend { store: self.store.to_string(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serde::HasSerde;

    fn codec() -> RowCodec<Option<String>, Option<i64>> {
        let topic = "app-counts-changelog".into();
        RowCodec::new("counts".into(), topic, HasSerde::serde(), HasSerde::serde())
    }

    #[test]
    fn a_row_is_its_time_and_its_value() {
        let row = [&7_i64.to_be_bytes()[..], &42_i64.to_be_bytes()].concat();
        let read = codec().read_row(&row).unwrap();
        assert_eq!(read, Some(ValueAndTimestamp { value: Some(42), timestamp: 7 }));
        let short = codec().read_row(&row[..7]).unwrap_err().to_string();
        assert!(short.contains("counts") && short.contains("a stored value"), "{short}");
    }

    #[test]
    fn a_null_key_is_refused_and_is_an_open_bound() {
        let mut out = b"left over".to_vec();
        let refused = codec().write_key(&None, 0, &mut out);
        assert!(matches!(refused, Err(TaskError::NullKey { .. })), "{refused:?}");
        assert!(!codec().write_bound(&None, &mut out).unwrap());
        assert!(codec().write_bound(&Some(String::new()), &mut out).unwrap() && out.is_empty());
    }

    #[test]
    fn a_key_is_measured_with_what_its_kind_adds_and_told_without() {
        let mut out = Vec::new();
        let of = |len: usize| Some("k".repeat(len));
        assert!(codec().write_key(&of(MAX_KEY_BYTES), 0, &mut out).is_ok());
        assert!(codec().write_key(&of(MAX_KEY_BYTES - 20), 20, &mut out).is_ok());
        let refused = codec().write_key(&of(MAX_KEY_BYTES), 20, &mut out);
        let Err(TaskError::KeyTooLarge { length, limit, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((length, limit), (MAX_KEY_BYTES, MAX_KEY_BYTES - 20));
    }
}
