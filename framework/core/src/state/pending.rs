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

    /// The place of a slot's change, if it was changed in this commit already: then the old value to
    /// tell of is known.
    pub(super) fn find(&self, slot: SlotId) -> Option<usize> {
        self.of_slot.get(slot as usize).and_then(|at| (*at as usize).checked_sub(1))
    }

    /// A slot that has a place was changed again, by a record with these headers.
    pub(super) fn set_headers(&mut self, at: usize, headers: Headers) {
        if let Some(known) = self.changes.get_mut(at) {
            known.headers = headers;
        }
    }

    /// Adds the first change of a slot.
    pub(super) fn add(&mut self, first: Pending<V>) {
        let index = first.slot as usize;
        self.changes.push(first);
        if self.of_slot.len() <= index {
            self.of_slot.resize(index + 1, 0);
        }
        self.of_slot[index] = self.changes.len() as u32;
    }

    /// The changes since the last call.
    pub(super) fn take(&mut self) -> Vec<Pending<V>> {
        for pending in &self.changes {
            self.of_slot[pending.slot as usize] = 0;
        }
        std::mem::take(&mut self.changes)
    }

    /// Gets the list of [`Self::take`] back, for its memory.
    pub(super) fn recycle(&mut self, mut told: Vec<Pending<V>>) {
        if self.changes.is_empty() {
            told.clear();
            self.changes = told;
        }
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
        let first = |slot, old: Option<i32>| {
            let existed = old.is_some();
            Pending { slot, old, existed, headers: Headers::default() }
        };
        pending.add(first(5, Some(1)));
        pending.add(first(0, None));
        assert_eq!([5, 0, 4, 99].map(|slot| pending.find(slot)), [Some(0), Some(1), None, None]);
        pending.set_headers(0, headers.clone());
        let told = pending.take();
        let slots: Vec<_> = told.iter().map(|p| (p.slot, p.old, p.existed)).collect();
        assert_eq!(slots, [(5, Some(1), true), (0, None, false)]);
        assert_eq!(told[0].headers, headers);
        assert!(pending.find(5).is_none() && pending.take().is_empty());
    }
}
