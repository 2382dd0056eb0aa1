//! Typed ranges over a store: uncommitted slots merged with the backend's rows.

use std::hash::Hash;
use std::vec;

use super::codec::RowCodec;
use super::kinds::Kind;
use super::order::{Bounds, Direction, Merge, MergedRow, Order};
use super::overlay::Overlay;
use super::{KeyValue, Keyspace, ValueAndTimestamp};
use crate::error::{Part, TaskError};
use crate::record::TimestampMs;
use crate::serde::SerdeError;

/// A key and its value with its time.
pub type Entry<K, V> = (K, ValueAndTimestamp<V>);

/// Which rows of a range are given, by their keys.
pub(super) type RowFilter<'a> = Box<dyn Fn(&[u8]) -> bool + 'a>;

/// The parts of a store that a range reads.
pub(super) struct Parts<'a, K, V, Kd: Kind<K>> {
    pub(super) kind: &'a Kd,
    pub(super) codec: &'a RowCodec<K, V>,
    pub(super) overlay: &'a Overlay<Kd::Key, V>,
    pub(super) order: &'a Order,
    pub(super) keyspace: &'a dyn Keyspace,
}

/// Entries in the order of their rows' keys.
pub struct RangeIter<'a, K, V, Kd: Kind<K> = KeyValue> {
    parts: Parts<'a, K, V, Kd>,
    direction: Direction,
    filter: Option<RowFilter<'a>>,
    merge: Option<Merge<'a>>,
    /// The ranges behind the one that is open.
    rest: vec::IntoIter<Bounds>,
}

impl<'a, K, V, Kd: Kind<K>> RangeIter<'a, K, V, Kd> {
    pub(super) fn new(
        parts: Parts<'a, K, V, Kd>,
        ranges: Vec<Bounds>,
        direction: Direction,
        filter: Option<RowFilter<'a>>,
    ) -> Self {
        Self { parts, direction, filter, merge: None, rest: ranges.into_iter() }
    }

    fn next_row(&mut self) -> Option<Result<MergedRow<'a>, TaskError>> {
        loop {
            if let Some(row) = self.merge.as_mut().and_then(Merge::next) {
                return Some(row.map_err(|e| self.parts.codec.backend_error(e)));
            }
            let bounds = self.rest.next()?;
            let Parts { order, keyspace, .. } = self.parts;
            self.merge = Merge::new(order, keyspace, &bounds, self.direction);
        }
    }

    fn is_given(&self, row_key: &[u8]) -> bool {
        self.parts.kind.is_row_live(row_key) && self.filter.as_ref().is_none_or(|f| f(row_key))
    }
}

impl<K, V: Clone, Kd: Kind<K>> RangeIter<'_, K, V, Kd>
where
    Kd::Key: Hash + Eq + Clone,
{
    /// Lends each row's key, value and time. Nothing is cloned, and keys are not read.
    pub(super) fn lend(
        mut self,
        mut f: impl FnMut(&[u8], &V, TimestampMs) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        while let Some(row) = self.next_row() {
            let Parts { kind, codec, overlay, .. } = &self.parts;
            match row? {
                MergedRow::Uncommitted(row_key, id) => {
                    let slot = overlay.slot(id);
                    let value = slot.value.as_ref().filter(|_| kind.is_value_live(slot.timestamp));
                    if let Some(value) = value
                        && self.is_given(row_key)
                    {
                        f(row_key, value, slot.timestamp)?;
                    }
                }
                MergedRow::Stored((row_key, row)) => {
                    if self.is_given(&row_key)
                        && let Some(found) = codec.read_row(&row)?
                        && kind.is_value_live(found.timestamp)
                    {
                        f(&row_key, &found.value, found.timestamp)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// `None` for a row that is not given, or that the serde reads as a null.
    fn entry(&self, row: MergedRow<'_>) -> Result<Option<Entry<Kd::Key, V>>, TaskError> {
        let Parts { kind, codec, overlay, .. } = &self.parts;
        match row {
            MergedRow::Uncommitted(row_key, id) => {
                let slot = overlay.slot(id);
                let (Some(key), Some(value)) = (slot.key(), &slot.value) else { return Ok(None) };
                let is_given = kind.is_value_live(slot.timestamp) && self.is_given(row_key);
                let found =
                    || ValueAndTimestamp { value: value.clone(), timestamp: slot.timestamp };
                Ok(is_given.then(|| (key.clone(), found())))
            }
            MergedRow::Stored((row_key, row)) => {
                let is_deletion = Kd::KEEPS_DELETIONS && row.is_empty();
                if is_deletion || !self.is_given(&row_key) {
                    return Ok(None);
                }
                let Some(found) = codec.read_row(&row)? else { return Ok(None) };
                if !kind.is_value_live(found.timestamp) {
                    return Ok(None);
                }
                let user_bytes = kind.user_bytes(&row_key);
                let user_key = user_bytes.map(|bytes| codec.read_key(bytes)).transpose()?;
                let key = user_key.and_then(|user_key| kind.key(user_key, &row_key));
                let key = key.ok_or_else(|| {
                    let message = "the row has not the form of this kind of store".to_owned();
                    codec.error(Part::Key, SerdeError::Format { type_name: "a row key", message })
                })?;
                Ok(Some((key, found)))
            }
        }
    }
}

impl<K, V: Clone, Kd: Kind<K>> Iterator for RangeIter<'_, K, V, Kd>
where
    Kd::Key: Hash + Eq + Clone,
{
    type Item = Result<Entry<Kd::Key, V>, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let row = match self.next_row()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            if let Some(entry) = self.entry(row).transpose() {
                return Some(entry);
            }
        }
    }
}
