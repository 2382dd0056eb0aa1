//! A processor's handle on a session store.

use oncestream_core::TimestampMs;
use oncestream_core::error::TaskError;
use oncestream_core::state::{RangeIter, Session, SessionKey};

use super::StoreHandle;
use crate::dsl::{Data, StoreKey};

/// A handle on a store of the kind [`Session`]: see
/// [`Materialized::of_kind`](crate::Materialized::of_kind). Writes carry the time of the record, or of
/// the punctuation, in hand; sessions are found by when they begin and end. A session that ends a
/// retention before the latest end is gone.
///
/// What gives several sessions reads all of them into memory.
impl<K: StoreKey, V: Data> StoreHandle<K, V, Session> {
    /// Sets the value of a session; a null removes it. False if nothing was written, because the
    /// session has expired, begins before 1970, or ends before it begins: to count such a record, as
    /// Kafka Streams does, see [`drop_record`](super::ProcessingContext::drop_record).
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn put(&self, key: SessionKey<K>, value: impl Into<Option<V>>) -> Result<bool, TaskError> {
        self.open()?.put_session(key, value.into(), self.now.get())
    }

    /// Removes a session. False as for [`put`](Self::put).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn remove(&self, key: SessionKey<K>) -> Result<bool, TaskError> {
        self.put(key, None)
    }

    /// The value of the session of a key that begins at `start` and ends at `end`.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn fetch_session(
        &self,
        key: &K,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<Option<V>, TaskError> {
        Ok(self.open()?.fetch_session(key, start, end)?.map(|found| found.value))
    }

    /// The sessions of a key that end at `earliest_end` or later and begin at `latest_start` or
    /// earlier, by their end and then their start.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn find_sessions(
        &self,
        key: &K,
        earliest_end: TimestampMs,
        latest_start: TimestampMs,
    ) -> Result<Vec<(SessionKey<K>, V)>, TaskError> {
        collected(self.open()?.find_sessions(key, earliest_end, latest_start)?)
    }

    /// [`find_sessions`](Self::find_sessions), backwards.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn find_sessions_rev(
        &self,
        key: &K,
        earliest_end: TimestampMs,
        latest_start: TimestampMs,
    ) -> Result<Vec<(SessionKey<K>, V)>, TaskError> {
        collected(self.open()?.find_sessions_rev(key, earliest_end, latest_start)?)
    }

    /// Those of [`fetch_range`](Self::fetch_range) that end at `earliest_end` or later and begin at
    /// `latest_start` or earlier.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn find_sessions_range(
        &self,
        from: &K,
        to: &K,
        earliest_end: TimestampMs,
        latest_start: TimestampMs,
    ) -> Result<Vec<(SessionKey<K>, V)>, TaskError> {
        collected(self.open()?.find_sessions_range(from, to, earliest_end, latest_start)?)
    }

    /// [`find_sessions_range`](Self::find_sessions_range), backwards.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn find_sessions_range_rev(
        &self,
        from: &K,
        to: &K,
        earliest_end: TimestampMs,
        latest_start: TimestampMs,
    ) -> Result<Vec<(SessionKey<K>, V)>, TaskError> {
        collected(self.open()?.find_sessions_range_rev(from, to, earliest_end, latest_start)?)
    }

    /// The sessions of a key, by their end and then their start.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch(&self, key: &K) -> Result<Vec<(SessionKey<K>, V)>, TaskError> {
        collected(self.open()?.fetch(key)?)
    }

    /// [`fetch`](Self::fetch), backwards.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch_rev(&self, key: &K) -> Result<Vec<(SessionKey<K>, V)>, TaskError> {
        collected(self.open()?.fetch_rev(key)?)
    }

    /// The sessions of the keys from `from` to `to`, by their bytes and both included; a bound that is
    /// null is open. They come in parts of half a retention of ends, in each by key, end and start.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch_range(&self, from: &K, to: &K) -> Result<Vec<(SessionKey<K>, V)>, TaskError> {
        collected(self.open()?.fetch_range(from, to)?)
    }

    /// [`fetch_range`](Self::fetch_range), backwards.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch_range_rev(&self, from: &K, to: &K) -> Result<Vec<(SessionKey<K>, V)>, TaskError> {
        collected(self.open()?.fetch_range_rev(from, to)?)
    }

    /// All sessions, in the order of [`fetch_range`](Self::fetch_range).
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn all(&self) -> Result<Vec<(SessionKey<K>, V)>, TaskError> {
        collected(self.open()?.all()?)
    }

    /// [`all`](Self::all), backwards.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn all_rev(&self) -> Result<Vec<(SessionKey<K>, V)>, TaskError> {
        collected(self.open()?.all_rev()?)
    }
}

fn collected<K: StoreKey, V: Data>(
    found: RangeIter<'_, K, V, Session>,
) -> Result<Vec<(SessionKey<K>, V)>, TaskError> {
    found.map(|entry| entry.map(|(session, found)| (session, found.value))).collect()
}
