//! A store as its task handles it: sealed, committed, restored and compared, as bytes.

use std::hash::Hash;
use std::ops::Bound;
use std::sync::Arc;

use super::{Store, encode, with_note};
use crate::error::{Part, TaskError};
use crate::record::TimestampMs;
use crate::serde::SerdeError;
use crate::state::kinds::Kind;
use crate::state::kinds::time_to_live::TimeToLive;
use crate::state::overlay::SlotId;
use crate::state::rows::Rows;
use crate::state::{Backend, ChangelogTarget, Keyspace, Pair, SealedLayer, StateStore, WriteBatch};
use crate::task::Collector;

impl<K, V: Clone, Kd: Kind<K>> Store<K, V, Kd>
where
    Kd::Key: Hash + Eq + Clone,
{
    /// Sends one slot to the changelog and adds its row, if there are rows to add it to.
    fn seal_slot(
        &mut self,
        id: SlotId,
        collector: &mut dyn Collector,
        rows: Option<&mut Rows>,
    ) -> Result<(), TaskError> {
        let Self { kind, codec, overlay, changelog, key_bytes, value_bytes, .. } = self;
        let slot = overlay.slot(id);
        let Some(key) = slot.key() else { return Ok(()) };
        // A deletion of nothing may be what has moved time: then the changelog must tell of it.
        if (Kd::NOTE.is_none() && slot.is_nothing_new()) || !kind.is_live(key) {
            return Ok(());
        }
        encode(kind, codec, Some(key), key_bytes)?;
        let timestamp = slot.timestamp;
        let live = slot.value.as_ref().filter(|_| kind.is_value_live(slot.timestamp));
        let value = match live {
            Some(value) => {
                codec.write_value(value, value_bytes)?;
                Some(&value_bytes[..])
            }
            None => None,
        };
        changelog.write(collector, kind.changelog_key(key_bytes), value, timestamp)?;
        let Some(rows) = rows else { return Ok(()) };
        match value {
            Some(value) => rows.put(key_bytes, &[&timestamp.to_be_bytes(), value]),
            None if Kd::KEEPS_DELETIONS => rows.put(key_bytes, &[]),
            None => rows.delete(key_bytes),
        }
        overlay.learn_size(key_bytes.len() + value.map_or(0, <[u8]>::len));
        Ok(())
    }
}

impl<K, V: Clone, Kd: Kind<K>> StateStore for Store<K, V, Kd>
where
    Kd::Key: Hash + Eq + Clone,
{
    fn name(&self) -> &Arc<str> {
        self.codec.store()
    }

    fn keyspace_name(&self) -> &Arc<str> {
        &self.keyspace_name
    }

    fn changelog(&self) -> Option<&ChangelogTarget> {
        self.changelog.target()
    }

    fn seal(
        &mut self,
        collector: &mut dyn Collector,
        batch: &mut WriteBatch,
    ) -> Result<(), TaskError> {
        let mut rows = std::mem::take(&mut self.spare);
        if !self.overlay.active().is_empty() {
            if let Some((from, to)) = self.kind.take_expired() {
                rows.delete_range(&from, &to);
            }
            if let Some(key) = Kd::NOTE {
                rows.put(key, &[&self.kind.note()]);
            }
        }
        if self.index.is_some() {
            self.expire(collector, &mut rows, batch)?;
        }
        let mut again = self.overlay.take_again().into_iter().peekable();
        for at in 0..self.overlay.active().len() {
            let id = self.overlay.active()[at];
            self.seal_slot(id, collector, Some(&mut rows))?;
            while let Some((_, id)) = again.next_if(|(behind, _)| *behind == at + 1) {
                self.seal_slot(id, collector, None)?;
            }
        }
        if let (Some(index), Some(expiry)) = (&mut self.index, self.kind.expiry()) {
            index.seal(&rows, expiry, |key, row| self.kind.row_time(key, row), batch);
        }
        self.overlay.seal();
        let layer = if rows.is_empty() {
            self.spare = rows;
            None
        } else {
            let layer = Arc::new(SealedLayer::new(rows));
            batch.add_layer(&self.keyspace_name, &layer);
            Some(layer)
        };
        self.layers.push_back(layer);
        Ok(())
    }

    fn committed(&mut self) {
        self.overlay.release();
        if let Some(index) = &mut self.index {
            index.applied();
        }
        if let Some(order) = self.order.get_mut() {
            let overlay = &self.overlay;
            order.retain(|_, id| overlay.slot(*id).is_uncommitted());
        }
        let layer = self.layers.pop_front().flatten();
        if let Some(layer) = layer.and_then(|layer| Arc::try_unwrap(layer).ok()) {
            self.spare = layer.into_rows();
            self.spare.clear();
        }
    }

    fn sealed(&self) -> Vec<Arc<SealedLayer>> {
        self.layers.iter().flatten().cloned().collect()
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: TimestampMs,
        batch: &mut WriteBatch,
    ) -> Result<(), TaskError> {
        self.recall()?;
        self.recent = None;
        let row_key = self.kind.row_key(key, timestamp).ok_or_else(|| {
            let message = format!("a changelog key of {} bytes is not one of this kind", key.len());
            self.codec.error(Part::Key, SerdeError::Format { type_name: "a row key", message })
        })?;
        self.codec.check_length(row_key.len(), Kd::FRAME)?;
        let admitted = self.kind.admit_row(&row_key);
        if let Some(note) = Kd::NOTE {
            batch.put_first(&self.keyspace_name, note, &self.kind.note());
            if let Some((from, to)) = self.kind.take_expired() {
                batch.delete_range(&self.keyspace_name, &from, &to);
            }
        }
        match value {
            _ if !admitted => return Ok(()),
            Some(value) => {
                let parts = [&timestamp.to_be_bytes()[..], value];
                batch.put_parts(&self.keyspace_name, &row_key, &parts);
            }
            None if Kd::KEEPS_DELETIONS => batch.put(&self.keyspace_name, &row_key, &[]),
            None => {
                batch.delete(&self.keyspace_name, &row_key);
                return Ok(());
            }
        }
        if let (Some(index), Some(expiry)) = (&mut self.index, self.kind.expiry()) {
            index.add(&row_key, timestamp, expiry, batch);
        }
        Ok(())
    }

    fn shown(&self, keyspace: &dyn Keyspace) -> Result<Vec<Pair>, TaskError> {
        let kind = with_note(&self.kind, keyspace, &self.codec)?;
        let end = Kd::NOTE.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut shown, mut last) = (Vec::new(), None::<Pair>);
        for pair in keyspace.range(Bound::Unbounded, end) {
            let pair = pair.map_err(|e| self.codec.backend_error(e))?;
            let before = last.replace(pair);
            let next = last.as_ref().map(|(key, _)| &key[..]);
            shown.extend(before.filter(|before| kind.shows(before, next)));
        }
        shown.extend(last.filter(|last| kind.shows(last, None)));
        Ok(shown)
    }

    fn open_index(&mut self, backend: &dyn Backend) -> Result<(), TaskError> {
        self.open_expiry_index(backend).map_err(|e| self.codec.backend_error(e))
    }

    fn observe(&mut self, time: TimestampMs) {
        self.kind.observe(time);
    }

    fn time(&self) -> Option<TimestampMs> {
        self.kind.time_to_live().map(TimeToLive::time)
    }

    fn uncommitted_bytes(&self) -> usize {
        self.overlay.active_bytes()
    }
}
