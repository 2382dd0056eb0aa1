//! A processor's handle on a store.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::TimestampMs;
use oncestream_core::error::TaskError;
use oncestream_core::state::{KeyValue, Kind, Store, ValueAndTimestamp};

use super::Entries;
use super::stores::Now;
use crate::dsl::{Data, StoreKey};

/// A store that a processor is connected to. Cloning gives another handle on the same store.
///
/// ```
/// use oncestream_core::error::TaskError;
/// use oncestream_operators::processor::StoreHandle;
/// /// Moves what one key has to another.
/// fn rename(users: &StoreHandle<String, i64>, from: &String, to: String) -> Result<(), TaskError> {
///     if let Some(user) = users.delete(from)? {
///         users.put(to, user)?;
///     }
///     Ok(())
/// }
/// ```
///
/// Writes are seen by all handles at once, and outside when the transaction commits. A write
/// carries the time of the record, or of the punctuation, in hand.
///
/// A value that is null to the store's serde
/// ([`Serde::is_null`](oncestream_core::serde::Serde::is_null)), as `None` is, is no value:
/// to put it deletes the key. A null key is refused with [`TaskError::NullKey`], and one of more than
/// [`MAX_KEY_BYTES`](oncestream_core::state::MAX_KEY_BYTES) with [`TaskError::KeyTooLarge`]; if the
/// processor fails with either, `processing.exception.handler` is asked. A call within the function of
/// an [`update`](Self::update) of the same store is refused with [`TaskError::StoreInUse`].
pub struct StoreHandle<K, V, Kd: Kind<K> = KeyValue> {
    name: Arc<str>,
    store: Rc<RefCell<Store<K, V, Kd>>>,
    pub(super) now: Now,
}

impl<K, V, Kd: Kind<K>> Clone for StoreHandle<K, V, Kd> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), store: self.store.clone(), now: self.now.clone() }
    }
}

impl<K, V, Kd: Kind<K>> fmt::Debug for StoreHandle<K, V, Kd> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreHandle").field("store", &self.name).finish_non_exhaustive()
    }
}

impl<K, V, Kd: Kind<K>> StoreHandle<K, V, Kd> {
    pub(super) fn new(name: Arc<str>, store: Rc<RefCell<Store<K, V, Kd>>>, now: Now) -> Self {
        Self { name, store, now }
    }

    /// The store, unless a call of this or another handle on it is under way.
    pub(super) fn open(&self) -> Result<RefMut<'_, Store<K, V, Kd>>, TaskError> {
        self.store.try_borrow_mut().map_err(|_| in_use(&self.name))
    }
}

#[cold]
pub(super) fn in_use(name: &str) -> TaskError {
    TaskError::StoreInUse { store: name.to_owned() }
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
        self.open()?.get(key)
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
        self.open()?.put(key, Some(value), timestamp).map(drop)
    }

    /// Sets a key unless it has a value; what it had.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn put_if_absent(&self, key: K, value: V) -> Result<Option<V>, TaskError> {
        let old = self.get(&key)?;
        if old.is_none() {
            self.put(key, value)?;
        }
        Ok(old)
    }

    /// Sets a key to what `f` makes of its value, with one look-up; `None`, or a null, deletes it.
    /// What the key has then. `f` gets `None` for a key without a value.
    ///
    /// It says the same as [`get`](Self::get) and [`put`](Self::put) in a row, at half the cost:
    ///
    /// ```
    /// # use oncestream_core::error::TaskError;
    /// # use oncestream_operators::processor::StoreHandle;
    /// fn count(counts: &StoreHandle<String, i64>, word: &String) -> Result<(), TaskError> {
    ///     counts.update(word, |count| count.unwrap_or(0) + 1)?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`]; and
    /// [`TaskError::StoreInUse`] for a call of a handle on this store within `f`.
    pub fn update<R: Into<Option<V>>>(
        &self,
        key: &K,
        f: impl FnOnce(Option<V>) -> R,
    ) -> Result<Option<V>, TaskError> {
        let now = self.now.get();
        let updated =
            self.open()?.update(key, false, |old| (f(old.map(|v| v.value)).into(), now))?;
        Ok(updated.new)
    }

    /// Removes a key; what it had.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn delete(&self, key: &K) -> Result<Option<V>, TaskError> {
        let now = self.now.get();
        Ok(self.open()?.update(key, true, |_| (None, now))?.old)
    }

    /// The entries from `from` to `to`, both included, in the order of the keys' bytes; a bound
    /// that is null is open. They are read a few at a time, and the store may be changed meanwhile:
    /// see [`Entries`].
    pub fn range(&self, from: &K, to: &K) -> Entries<K, V> {
        self.entries(Bound::Included(from.clone()), Bound::Included(to.clone()))
    }

    /// All entries, in the order of the keys' bytes. They are read a few at a time, and the store may
    /// be changed meanwhile: see [`Entries`].
    pub fn all(&self) -> Entries<K, V> {
        self.entries(Bound::Unbounded, Bound::Unbounded)
    }

    fn entries(&self, from: Bound<K>, to: Bound<K>) -> Entries<K, V> {
        Entries::new(self.name.clone(), self.store.clone(), from, to)
    }
}
