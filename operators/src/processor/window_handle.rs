//! A processor's handle on a window store.

use std::ops::RangeInclusive;

use oncestream_core::TimestampMs;
use oncestream_core::error::TaskError;
use oncestream_core::state::{Window, WindowKey};

use super::StoreHandle;
use crate::dsl::{Data, StoreKey};

/// A handle on a store of the kind [`Window`]: see
/// [`Materialized::of_kind`](crate::Materialized::of_kind). Writes carry the time of
/// the record, or of the punctuation, in hand; windows are found by when they begin. A window that
/// begins a retention before the latest one is gone.
impl<K: StoreKey, V: Data> StoreHandle<K, V, Window> {
    /// Sets the value of a key for the window that begins at `start`; a null deletes it. False if
    /// that window has expired, and nothing was written.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn put_at(
        &self,
        key: K,
        start: TimestampMs,
        value: impl Into<Option<V>>,
    ) -> Result<bool, TaskError> {
        self.open()?.put_at(key, start, value.into(), self.now.get())
    }

    /// The value of a key for the window that begins at `start`; the first, where duplicates are
    /// kept.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch(&self, key: &K, start: TimestampMs) -> Result<Option<V>, TaskError> {
        Ok(self.open()?.fetch(key, start)?.map(|found| found.value))
    }

    /// When the windows of a key begin and their values, of those that begin in these times, the
    /// earliest first. All of them are read into memory.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch_between(
        &self,
        key: &K,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Vec<(TimestampMs, V)>, TaskError> {
        let mut store = self.open()?;
        let found = store.fetch_between(key, times)?;
        found.map(|entry| entry.map(|(window, found)| (window.start, found.value))).collect()
    }

    /// All windows that begin in these times. All of them are read into memory.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch_all(
        &self,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Vec<(WindowKey<K>, V)>, TaskError> {
        let mut store = self.open()?;
        let found = store.fetch_all(times)?;
        found.map(|entry| entry.map(|(window, found)| (window, found.value))).collect()
    }
}
