//! What a cache still has to emit: the changes of a commit, each key once.

use super::overlay::SlotId;
use crate::record::{Headers, TimestampMs};

/// What an update did.
#[derive(Debug)]
pub struct Update<V> {
    /// The value before; only if it was asked for.
    pub old: Option<V>,
    /// The value after.
    pub new: Option<V>,
    /// The time of the value after.
    pub timestamp: TimestampMs,
}

/// A change of this commit that was not forwarded yet. Valid until the commit is sealed: its
/// slot is dirty until then.
#[derive(Debug)]
pub struct Pending<V> {
    pub(super) slot: SlotId,
    pub(super) old: Option<V>,
    pub(super) existed: bool,
    pub(super) headers: Headers,
}

/// One key's change over a whole commit, for the node to forward.
#[derive(Debug)]
pub struct Emission<K, V> {
    /// The key.
    pub key: K,
    /// What the commit did to it.
    pub update: Update<V>,
    /// The headers of the last record that changed it.
    pub headers: Headers,
}

/// The changes of a commit, in the order of the first of each key.
pub(super) struct PendingChanges<V> {
    changes: Vec<Pending<V>>,
    /// Position in `changes` by slot, plus one; 0 for none.
    of_slot: Vec<u32>,
}

impl<V> PendingChanges<V> {
    pub(super) fn new() -> Self {
        Self { changes: Vec::new(), of_slot: Vec::new() }
    }

    /// Whether the slot was changed in this commit already: then its old value is known.
    pub(super) fn has(&self, slot: SlotId) -> bool {
        self.of_slot.get(slot as usize).is_some_and(|at| *at > 0)
    }

    /// Adds a change. Of a slot that was changed before, the first old value and the last headers
    /// are kept.
    pub(super) fn add(&mut self, slot: SlotId, old: Option<V>, existed: bool, headers: Headers) {
        let index = slot as usize;
        if self.of_slot.len() <= index {
            self.of_slot.resize(index + 1, 0);
        }
        let at = self.of_slot[index] as usize;
        if let Some(known) = at.checked_sub(1).and_then(|at| self.changes.get_mut(at)) {
            known.headers = headers;
            return;
        }
        self.changes.push(Pending { slot, old, existed, headers });
        self.of_slot[index] = self.changes.len() as u32;
    }

    /// The changes since the last call.
    pub(super) fn take(&mut self) -> Vec<Pending<V>> {
        for pending in &self.changes {
            self.of_slot[pending.slot as usize] = 0;
        }
        std::mem::take(&mut self.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_is_told_once_with_its_first_old_value_and_its_last_headers() {
        let mut headers = Headers::default();
        headers.add("last", None);
        let mut pending = PendingChanges::new();
        pending.add(5, Some(1), true, Headers::default());
        pending.add(0, None, false, Headers::default());
        assert!(pending.has(5) && !pending.has(4) && !pending.has(99));
        pending.add(5, Some(2), true, headers.clone());
        let told = pending.take();
        let slots: Vec<_> = told.iter().map(|p| (p.slot, p.old, p.existed)).collect();
        assert_eq!(slots, [(5, Some(1), true), (0, None, false)]);
        assert_eq!(told[0].headers, headers);
        assert!(!pending.has(5) && pending.take().is_empty());
    }
}
