//! A processor's handle on a versioned store.

use std::ops::RangeInclusive;

use oncestream_core::TimestampMs;
use oncestream_core::error::TaskError;
use oncestream_core::state::{Version, VersionPut, Versioned};

use super::StoreHandle;
use crate::dsl::{Data, StoreKey};

/// A handle on a store of the kind [`Versioned`]: see
/// [`Materialized::of_kind`](crate::Materialized::of_kind) and
/// [`KTable::versioned_store`](crate::KTable::versioned_store). A version has a time of its own; that of the
/// record in hand does not matter.
impl<K: StoreKey, V: Data> StoreHandle<K, V, Versioned> {
    /// Sets the value of a key from this time on, until its next version; a null deletes it. The answer says
    /// whether the version is the newest, came out of order, or is older than the history and was not put. To
    /// count such a record as dropped, as Kafka Streams does, call
    /// [`drop_record`](super::ProcessingContext::drop_record).
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn put(
        &self,
        key: K,
        value: impl Into<Option<V>>,
        timestamp: TimestampMs,
    ) -> Result<VersionPut, TaskError> {
        self.open()?.put_version(key, value.into(), timestamp)
    }

    /// Deletes the value of a key from this time on, and gives the version that was valid at this time.
    ///
    /// # Errors
    /// When the backend or a serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn delete(&self, key: K, timestamp: TimestampMs) -> Result<Option<Version<V>>, TaskError> {
        self.open()?.delete_version(key, timestamp)
    }

    /// The newest value of a key, and since when it is valid.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn get(&self, key: &K) -> Result<Option<Version<V>>, TaskError> {
        let newest = self.open()?.newest(key)?;
        Ok(newest.map(|found| Version {
            value: found.value,
            valid_from: found.timestamp,
            valid_to: None,
        }))
    }

    /// The version of a key that was valid at a time. Of a time that the history does not reach, it is the
    /// newest version or none.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn get_as_of(
        &self,
        key: &K,
        timestamp: TimestampMs,
    ) -> Result<Option<Version<V>>, TaskError> {
        self.open()?.version_as_of(key, timestamp)
    }

    /// The versions of a key that were valid at one of these times or more, the earliest first; they are read
    /// into memory. Versions that the history does not reach are not among them, except for the newest.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn versions(
        &self,
        key: &K,
        times: RangeInclusive<TimestampMs>,
    ) -> Result<Vec<Version<V>>, TaskError> {
        self.open()?.versions(key, times)
    }
}
