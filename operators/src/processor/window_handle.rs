//! A processor's handle on a window store.

use std::ops::RangeInclusive;

use oncestream_core::TimestampMs;
use oncestream_core::error::TaskError;
use oncestream_core::state::{RangeIter, Window, WindowKey};

use super::StoreHandle;
use crate::dsl::{Data, StoreKey};

/// A handle on a store of the kind [`Window`]: see
/// [`Materialized::of_kind`](crate::Materialized::of_kind). Writes carry the time of
/// the record, or of the punctuation, in hand; windows are found by when they begin. A window that
/// begins a retention before the latest one is gone.
///
/// What gives several windows reads all of them into memory.
impl<K: StoreKey, V: Data> StoreHandle<K, V, Window> {
    /// Sets the value of a key for the window that begins at `start`; a null deletes it. False if
    /// nothing was written, because the window has expired, or because duplicates are kept and it is a
    /// null: to count a record that comes too late, as Kafka Streams does, see
    /// [`drop_record`](super::ProcessingContext::drop_record).
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
    /// earliest first.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch_between(
        &self,
        key: &K,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Vec<(TimestampMs, V)>, TaskError> {
        starts(self.open()?.fetch_between(key, times)?)
    }

    /// [`fetch_between`](Self::fetch_between), backwards.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch_between_rev(
        &self,
        key: &K,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Vec<(TimestampMs, V)>, TaskError> {
        starts(self.open()?.fetch_between_rev(key, times)?)
    }

    /// The windows of the keys from `from` to `to`, by their bytes and both included, that begin in
    /// these times; a bound that is null is open. They come in parts of half a retention of starts, in
    /// each by key and start.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch_range(
        &self,
        from: &K,
        to: &K,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Vec<(WindowKey<K>, V)>, TaskError> {
        collected(self.open()?.fetch_range(from, to, times)?)
    }

    /// [`fetch_range`](Self::fetch_range), backwards.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch_range_rev(
        &self,
        from: &K,
        to: &K,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Vec<(WindowKey<K>, V)>, TaskError> {
        collected(self.open()?.fetch_range_rev(from, to, times)?)
    }

    /// All windows that begin in these times, in the order of [`fetch_range`](Self::fetch_range).
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch_all(
        &self,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Vec<(WindowKey<K>, V)>, TaskError> {
        collected(self.open()?.fetch_all(times)?)
    }

    /// [`fetch_all`](Self::fetch_all), backwards.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch_all_rev(
        &self,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Vec<(WindowKey<K>, V)>, TaskError> {
        collected(self.open()?.fetch_all_rev(times)?)
    }

    /// All windows, in the order of [`fetch_range`](Self::fetch_range).
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn all(&self) -> Result<Vec<(WindowKey<K>, V)>, TaskError> {
        collected(self.open()?.all()?)
    }

    /// [`all`](Self::all), backwards.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn all_rev(&self) -> Result<Vec<(WindowKey<K>, V)>, TaskError> {
        collected(self.open()?.all_rev()?)
    }
}

fn starts<K: StoreKey, V: Data>(
    found: RangeIter<'_, K, V, Window>,
) -> Result<Vec<(TimestampMs, V)>, TaskError> {
    found.map(|entry| entry.map(|(window, found)| (window.start, found.value))).collect()
}

fn collected<K: StoreKey, V: Data>(
    found: RangeIter<'_, K, V, Window>,
) -> Result<Vec<(WindowKey<K>, V)>, TaskError> {
    found.map(|entry| entry.map(|(window, found)| (window, found.value))).collect()
}
