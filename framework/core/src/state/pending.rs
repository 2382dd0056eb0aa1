//! What a cache still has to emit: the changes of a commit, each key once.

use std::collections::HashMap;

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
    /// Which change of this commit the last one of the slot was, once it is told.
    pub(super) last: u32,
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

/// Which change of this commit the last one of a slot was, if it was changed. It lies in the slot, which
/// each update has in hand: so to change a slot again costs no other memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LastChange(u32);

impl LastChange {
    /// Set where the last record that changed the slot had headers.
    const HEADERS: u32 = 1 << 31;

    /// The slot was not changed in this commit: the old value to tell of is not known yet.
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }

    fn number(self) -> u32 {
        self.0 & !Self::HEADERS
    }

    fn has_headers(self) -> bool {
        self.0 & Self::HEADERS != 0
    }
}

/// The changes of a commit. They are told in the order of the last one of each key, as the caches of Kafka
/// Streams flush, and kept in that of the first one.
pub(super) struct PendingChanges<V> {
    changes: Vec<Pending<V>>,
    /// How many changes there were. Those beyond what a number has room for count as one.
    count: u32,
    /// The two orders differ.
    is_out_of_order: bool,
    /// Of records that changed a slot again, where these or those before had some.
    headers: HashMap<SlotId, Headers>,
}

impl<V> PendingChanges<V> {
    pub(super) fn new() -> Self {
        Self { changes: Vec::new(), count: 0, is_out_of_order: false, headers: HashMap::new() }
    }

    /// Adds the first change of a slot.
    pub(super) fn add(&mut self, first: Pending<V>) -> LastChange {
        let last = self.next(&first.headers);
        self.changes.push(first);
        last
    }

    /// A slot was changed again, by a record with these headers.
    pub(super) fn change_again(
        &mut self,
        slot: SlotId,
        before: LastChange,
        headers: Headers,
    ) -> LastChange {
        self.is_out_of_order |= before.number() != self.count;
        let last = self.next(&headers);
        if before.has_headers() || last.has_headers() {
            self.headers.insert(slot, headers);
        }
        last
    }

    fn next(&mut self, headers: &Headers) -> LastChange {
        self.count = (self.count + 1).min(LastChange::HEADERS - 1);
        let flag = if headers.is_empty() { 0 } else { LastChange::HEADERS };
        LastChange(self.count | flag)
    }

    /// The changes since the last call. `forget` gives the last change of a slot and takes it out of it.
    pub(super) fn take(&mut self, mut forget: impl FnMut(SlotId) -> LastChange) -> Vec<Pending<V>> {
        let mut changes = std::mem::take(&mut self.changes);
        self.count = 0;
        for change in &mut changes {
            change.last = forget(change.slot).number();
            if !self.headers.is_empty()
                && let Some(headers) = self.headers.remove(&change.slot)
            {
                change.headers = headers;
            }
        }
        if std::mem::take(&mut self.is_out_of_order) {
            changes.sort_by_cached_key(|change| change.last);
        }
        changes
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

    fn headers(name: &str) -> Headers {
        let mut headers = Headers::default();
        headers.add(name, None);
        headers
    }

    /// Changes as a store makes them.
    struct Changes {
        pending: PendingChanges<i32>,
        slots: HashMap<SlotId, LastChange>,
    }

    impl Changes {
        fn new() -> Self {
            Self { pending: PendingChanges::new(), slots: HashMap::new() }
        }

        fn change(&mut self, slot: SlotId, old: Option<i32>, headers: Headers) {
            let last = self.slots.entry(slot).or_default();
            *last = if last.is_none() {
                self.pending.add(Pending { slot, old, existed: old.is_some(), headers, last: 0 })
            } else {
                self.pending.change_again(slot, *last, headers)
            };
        }

        fn take(&mut self) -> Vec<Pending<i32>> {
            let slots = &mut self.slots;
            self.pending.take(|slot| slots.remove(&slot).unwrap())
        }
    }

    #[test]
    fn each_slot_is_told_once_with_its_first_old_value_and_its_last_headers() {
        let none = Headers::default();
        let mut changes = Changes::new();
        changes.change(5, Some(1), none.clone());
        changes.change(0, None, headers("first"));
        changes.change(7, Some(3), headers("only"));
        for last in [&none, &headers("one"), &headers("last")] {
            changes.change(5, Some(2), last.clone());
        }
        for last in [&headers("one"), &none] {
            changes.change(0, Some(2), last.clone());
        }
        let told = changes.take();
        let slots: Vec<_> = told.iter().map(|p| (p.slot, p.old, p.existed)).collect();
        assert_eq!(slots, [(7, Some(3), true), (5, Some(1), true), (0, None, false)]);
        let last: Vec<_> = told.iter().map(|p| p.headers.clone()).collect();
        assert_eq!(last, [headers("only"), headers("last"), none]);
        assert!(changes.slots.is_empty() && changes.take().is_empty());
    }

    #[test]
    fn slots_are_told_in_the_order_of_their_last_changes() {
        let told_after = |slots: &[SlotId]| {
            let mut changes = Changes::new();
            // The second time with the memory of the first.
            let told = [(); 2].map(|()| {
                for slot in slots {
                    changes.change(*slot, None, Headers::default());
                }
                let told = changes.take();
                let slots: Vec<_> = told.iter().map(|pending| pending.slot).collect();
                changes.pending.recycle(told);
                slots
            });
            assert_eq!(told[0], told[1]);
            told[0].clone()
        };
        assert_eq!(told_after(&[3, 1, 2]), [3, 1, 2]);
        assert_eq!(told_after(&[3, 1, 1, 2, 2]), [3, 1, 2], "none has come before another");
        assert_eq!(told_after(&[3, 1, 2, 3, 1, 3]), [2, 1, 3]);
    }

    #[test]
    fn more_changes_than_can_be_numbered_are_told_once_each() {
        let mut changes = Changes::new();
        changes.pending.count = LastChange::HEADERS - 3;
        for slot in [1, 2, 1, 3, 2] {
            changes.change(slot, None, headers("h"));
        }
        let mut slots: Vec<_> = changes.take().iter().map(|pending| pending.slot).collect();
        slots.sort_unstable();
        assert_eq!(slots, [1, 2, 3]);
    }
}
