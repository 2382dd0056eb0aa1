//! The key-value kind: one row per key, which expires if the store has a time to live.
//!
//! The row key and the changelog key are the key's bytes.

use std::borrow::Cow;
use std::hash::Hash;
use std::ops::Bound;
use std::time::Duration;

use super::Kind;
use super::time_to_live::TimeToLive;
use crate::error::TaskError;
use crate::record::TimestampMs;
use crate::serde::DynSerde;
use crate::state::order::Direction;
use crate::state::{RangeIter, Store, StoreInit};

/// The kind of [`KeyValueStore`]: how long values are shown, and what the store has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyValue {
    ttl: TimeToLive,
}

impl KeyValue {
    /// Values that are shown until they are deleted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Values that are shown until the latest time of a record that came to the store is `ttl` later than
    /// theirs; at least a millisecond.
    pub fn with_ttl(ttl: Duration) -> Self {
        Self { ttl: TimeToLive::of(ttl) }
    }
}

/// A typed key-value store of one task. Handed to nodes by the task that owns it.
pub type KeyValueStore<K, V> = Store<K, V, KeyValue>;

impl<K> Kind<K> for KeyValue {
    type Key = K;

    const FRAME: usize = 0;

    fn user_key(key: &K) -> &K {
        key
    }

    fn frame(&self, _key: &K, _bytes: &mut Vec<u8>) {}

    fn user_bytes<'a>(&self, row_key: &'a [u8]) -> Option<&'a [u8]> {
        Some(row_key)
    }

    fn key(&self, user_key: K, _row_key: &[u8]) -> Option<K> {
        Some(user_key)
    }

    fn changelog_key<'a>(&self, row_key: &'a [u8]) -> &'a [u8] {
        row_key
    }

    fn row_key<'a>(
        &self,
        changelog_key: &'a [u8],
        _timestamp: TimestampMs,
    ) -> Option<Cow<'a, [u8]>> {
        Some(Cow::Borrowed(changelog_key))
    }

    #[inline]
    fn is_value_live(&self, timestamp: TimestampMs) -> bool {
        self.ttl.is_live(timestamp)
    }

    #[inline]
    fn observe(&mut self, time: TimestampMs) {
        self.ttl.observe(time);
    }

    fn time_to_live(&self) -> Option<&TimeToLive> {
        self.ttl.is_limited().then_some(&self.ttl)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> KeyValueStore<K, V> {
    /// A store on a keyspace.
    pub fn new(init: StoreInit, key_serde: DynSerde<K>, value_serde: DynSerde<V>) -> Self {
        Self::of_kind(KeyValue::new(), init, key_serde, value_serde)
    }

    /// The bytes of a key.
    ///
    /// # Errors
    /// When the serde fails, [`TaskError::NullKey`] and [`TaskError::KeyTooLarge`].
    pub fn key_bytes(&self, key: &K) -> Result<Vec<u8>, TaskError> {
        self.row_key(key)
    }

    /// Every entry, in the order of the keys' bytes.
    ///
    /// # Errors
    /// When a key cannot be serialised. Reading errors come from the iterator.
    pub fn all(&self) -> Result<RangeIter<'_, K, V>, TaskError> {
        self.scan(vec![(Bound::Unbounded, Bound::Unbounded)], Direction::Forwards, None)
    }

    /// [`Self::all`], backwards.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub fn all_rev(&self) -> Result<RangeIter<'_, K, V>, TaskError> {
        self.scan(vec![(Bound::Unbounded, Bound::Unbounded)], Direction::Backwards, None)
    }

    /// The entries from `from` to `to`, both included, in the order of the keys' bytes. A bound that
    /// the serde calls null is open, as in Kafka Streams.
    ///
    /// # Errors
    /// When a key cannot be serialised. Reading errors come from the iterator.
    pub fn range(&self, from: &K, to: &K) -> Result<RangeIter<'_, K, V>, TaskError> {
        let bounds = (self.bound(from)?, self.bound(to)?);
        self.scan(vec![bounds], Direction::Forwards, None)
    }

    /// The entries between two bounds. With it a range is read part by part, and the store may be
    /// written in between.
    ///
    /// # Errors
    /// When a key cannot be serialised. Reading errors come from the iterator.
    pub fn range_between(
        &self,
        from: Bound<&K>,
        to: Bound<&K>,
    ) -> Result<RangeIter<'_, K, V>, TaskError> {
        let bytes = |bound: Bound<&K>| {
            Ok(match bound {
                Bound::Included(key) => self.bound(key)?,
                Bound::Excluded(key) => {
                    self.bound_bytes(key)?.map_or(Bound::Unbounded, Bound::Excluded)
                }
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        self.scan(vec![(bytes(from)?, bytes(to)?)], Direction::Forwards, None)
    }

    /// [`Self::range`], backwards.
    ///
    /// # Errors
    /// As [`Self::range`].
    pub fn range_rev(&self, from: &K, to: &K) -> Result<RangeIter<'_, K, V>, TaskError> {
        let bounds = (self.bound(from)?, self.bound(to)?);
        self.scan(vec![bounds], Direction::Backwards, None)
    }

    fn bound(&self, key: &K) -> Result<Bound<Vec<u8>>, TaskError> {
        Ok(self.bound_bytes(key)?.map_or(Bound::Unbounded, Bound::Included))
    }
}
