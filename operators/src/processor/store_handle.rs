//! A processor's handle on a store.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use oncestream_core::TimestampMs;
use oncestream_core::error::TaskError;
use oncestream_core::state::{Entry, KeyValue, Kind, Store, ValueAndTimestamp};

use crate::dsl::{Data, StoreKey};

/// A store that a processor is connected to. Cloning gives another handle on the same store.
///
/// Writes are seen by all handles at once, and outside when the transaction commits. A write
/// carries the time of the record, or of the punctuation, in hand.
///
/// A value that is null to the store's serde
/// ([`Serde::is_null`](oncestream_core::serde::Serde::is_null)), as `None` is, is no value:
/// to put it deletes the key. A null key is refused with [`TaskError::NullKey`], and one of more than
/// [`MAX_KEY_BYTES`](oncestream_core::state::MAX_KEY_BYTES) with [`TaskError::KeyTooLarge`]; if the
/// processor fails with either, `processing.exception.handler` is asked.
pub struct StoreHandle<K, V, Kd: Kind<K> = KeyValue> {
    pub(super) store: Rc<RefCell<Store<K, V, Kd>>>,
    pub(super) now: Rc<Cell<TimestampMs>>,
}

impl<K, V, Kd: Kind<K>> Clone for StoreHandle<K, V, Kd> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), now: self.now.clone() }
    }
}

impl<K: StoreKey, V: Data> StoreHandle<K, V> {
    /// The value of a key.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn get(&self, key: &K) -> Result<Option<V>, TaskError> {
        Ok(self.get_with_timestamp(key)?.map(|v| v.value))
    }

    /// The value of a key, and the time of the record that set it.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn get_with_timestamp(&self, key: &K) -> Result<Option<ValueAndTimestamp<V>>, TaskError> {
        self.store.borrow_mut().get(key)
    }

    /// Sets a key, with the time of the record in hand; a null deletes it.
    ///
    /// # Errors
    /// When the key's serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn put(&self, key: K, value: V) -> Result<(), TaskError> {
        self.put_with_timestamp(key, value, self.now.get())
    }

    /// Sets a key, with a time of its own in milliseconds; a null deletes it.
    ///
    /// # Errors
    /// When the key's serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn put_with_timestamp(
        &self,
        key: K,
        value: V,
        timestamp: TimestampMs,
    ) -> Result<(), TaskError> {
        self.store.borrow_mut().put(key, Some(value), timestamp).map(drop)
    }

    /// Sets a key unless it has a value; what it had.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn put_if_absent(&self, key: K, value: V) -> Result<Option<V>, TaskError> {
        let old = self.get(&key)?;
        if old.is_none() {
            self.put(key, value)?;
        }
        Ok(old)
    }

    /// Removes a key; what it had.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn delete(&self, key: &K) -> Result<Option<V>, TaskError> {
        let old = self.get(key)?;
        self.store.borrow_mut().put(key.clone(), None, self.now.get())?;
        Ok(old)
    }

    /// The entries from `from` to `to`, both included, in the order of the keys' bytes; a bound
    /// that is null is open. All of them are read into memory, so that the store may be changed
    /// while they are looked at.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn range(&self, from: &K, to: &K) -> Result<Vec<(K, V)>, TaskError> {
        collect(self.store.borrow().range(from, to)?)
    }

    /// All entries, in the order of the keys' bytes. All of them are read into memory.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn all(&self) -> Result<Vec<(K, V)>, TaskError> {
        collect(self.store.borrow().all()?)
    }
}

fn collect<K, V>(
    entries: impl Iterator<Item = Result<Entry<K, V>, TaskError>>,
) -> Result<Vec<(K, V)>, TaskError> {
    entries.map(|entry| entry.map(|(key, v)| (key, v.value))).collect()
}
