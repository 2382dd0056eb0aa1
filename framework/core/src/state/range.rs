//! Ranges over a key-value store: the uncommitted overlay merged with the backend.
//!
//! Order is that of the serialised keys, as in Kafka Streams. Ranges are the slow path: the
//! overlay's keys are serialised and sorted for each of them.

use std::cmp::Ordering;
use std::hash::Hash;
use std::iter::Peekable;
use std::ops::Bound;

use super::key_value::{KeyValueStore, ValueAndTimestamp};
use super::{Pair, PairIter};
use crate::error::{Part, TaskError};
use crate::serde::serialize_nullable;

/// A key and its value with its time.
pub type Entry<K, V> = (K, ValueAndTimestamp<V>);

type Uncommitted<'a, V> = (Vec<u8>, Option<(&'a V, i64)>);

impl<K: Hash + Eq + Clone, V: Clone> KeyValueStore<K, V> {
    /// Every entry.
    ///
    /// # Errors
    /// When a key cannot be serialised. Reading errors come from the iterator.
    pub fn all(&self) -> Result<RangeIter<'_, K, V>, TaskError> {
        self.range_bytes(Bound::Unbounded, Bound::Unbounded)
    }

    /// The entries from `from` to `to`, both included. A bound that the serde calls null is
    /// open, as in Kafka Streams.
    ///
    /// # Errors
    /// When a key cannot be serialised. Reading errors come from the iterator.
    pub fn range(&self, from: &K, to: &K) -> Result<RangeIter<'_, K, V>, TaskError> {
        let (from, to) = (self.key_bytes_of(from)?, self.key_bytes_of(to)?);
        self.range_bytes(bound(from.as_deref()), bound(to.as_deref()))
    }

    /// `None` for a null.
    fn key_bytes_of(&self, key: &K) -> Result<Option<Vec<u8>>, TaskError> {
        let mut bytes = Vec::new();
        let present = serialize_nullable(&*self.key_serde, key, &mut bytes)
            .map_err(|e| self.serde_error(Part::Key, e))?;
        Ok(present.then_some(bytes))
    }

    fn range_bytes(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<RangeIter<'_, K, V>, TaskError> {
        let mut overlay: Vec<Uncommitted<'_, V>> = Vec::new();
        for slot in self.overlay.uncommitted() {
            let Some(key) = slot.key() else { continue };
            let Some(bytes) = self.key_bytes_of(key)? else { continue };
            if within(&bytes, from, to) {
                overlay.push((bytes, slot.value.as_ref().map(|v| (v, slot.timestamp))));
            }
        }
        overlay.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(RangeIter {
            store: self,
            overlay: overlay.into_iter().peekable(),
            backend: if is_empty(from, to) {
                (Box::new(std::iter::empty()) as PairIter<'_>).peekable()
            } else {
                self.keyspace().range(from, to).peekable()
            },
        })
    }
}

fn bound(key: Option<&[u8]>) -> Bound<&[u8]> {
    key.map_or(Bound::Unbounded, Bound::Included)
}

fn within(key: &[u8], from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    std::ops::RangeBounds::contains(&(from, to), key)
}

/// A range whose start lies past its end; backends may refuse such bounds.
fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    matches!((from, to), (Bound::Included(a), Bound::Included(b)) if a > b)
}

/// Entries in the order of their keys' bytes.
pub struct RangeIter<'a, K, V> {
    store: &'a KeyValueStore<K, V>,
    overlay: Peekable<std::vec::IntoIter<Uncommitted<'a, V>>>,
    backend: Peekable<PairIter<'a>>,
}

impl<K: Hash + Eq + Clone, V: Clone> RangeIter<'_, K, V> {
    fn decode(&self, key: &[u8], value: ValueAndTimestamp<V>) -> Result<Entry<K, V>, TaskError> {
        let key = self
            .store
            .key_serde
            .deserialize(key)
            .map_err(|e| self.store.serde_error(Part::Key, e))?;
        Ok((key, value))
    }

    /// `None` for a value that the serde reads as a null.
    fn decode_pair(&self, (key, value): &Pair) -> Result<Option<Entry<K, V>>, TaskError> {
        let value = self.store.decode_value(value)?;
        value.map(|value| self.decode(key, value)).transpose()
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Iterator for RangeIter<'_, K, V> {
    type Item = Result<Entry<K, V>, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.overlay.peek(), self.backend.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) | (_, Some(Err(_))) => Ordering::Greater,
                (Some((ours, _)), Some(Ok((theirs, _)))) => ours.cmp(theirs),
            };
            if order == Ordering::Greater {
                let entry = match self.backend.next()? {
                    Ok(pair) => self.decode_pair(&pair),
                    Err(source) => {
                        let store = self.store.init.name.to_string();
                        Err(TaskError::Backend { store, source })
                    }
                };
                if let Some(entry) = entry.transpose() {
                    return Some(entry);
                }
                continue;
            }
            if order == Ordering::Equal {
                // The overlay is newer than the backend.
                self.backend.next();
            }
            if let Some((key, Some((value, timestamp)))) = self.overlay.next() {
                return Some(
                    self.decode(&key, ValueAndTimestamp { value: value.clone(), timestamp }),
                );
            }
        }
    }
}
