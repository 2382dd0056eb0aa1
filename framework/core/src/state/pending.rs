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

/// Where the change of a slot is in the list of this commit, if it has one. It lies in the slot, which
/// each update has in hand, and tells whether the list must be touched for the headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    /// Set where the last record that changed the slot had headers.
    const HEADERS: u32 = 1 << 31;

    /// The slot was not changed in this commit: the old value to tell of is not known yet.
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }

    fn at(index: usize, headers: &Headers) -> Self {
        let flag = if headers.is_empty() { 0 } else { Self::HEADERS };
        Self((index as u32 + 1) | flag)
    }

    fn index(self) -> usize {
        ((self.0 & !Self::HEADERS) as usize).saturating_sub(1)
    }

    fn has_headers(self) -> bool {
        self.0 & Self::HEADERS != 0
    }
}

/// The changes of a commit, in the order of the first of each key.
pub(super) struct PendingChanges<V>(Vec<Pending<V>>);

impl<V> PendingChanges<V> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// The slot of this place was changed again, by a record with these headers. Gives its new place.
    pub(super) fn set_headers(&mut self, place: Place, headers: Headers) -> Place {
        if headers.is_empty() && !place.has_headers() {
            return place;
        }
        let place = Place::at(place.index(), &headers);
        if let Some(known) = self.0.get_mut(place.index()) {
            known.headers = headers;
        }
        place
    }

    /// Adds the first change of a slot.
    pub(super) fn add(&mut self, first: Pending<V>) -> Place {
        let place = Place::at(self.0.len(), &first.headers);
        self.0.push(first);
        place
    }

    /// The changes since the last call. Their slots have no place from now on.
    pub(super) fn take(&mut self) -> Vec<Pending<V>> {
        std::mem::take(&mut self.0)
    }

    /// Gets the list of [`Self::take`] back, for its memory.
    pub(super) fn recycle(&mut self, mut told: Vec<Pending<V>>) {
        if self.0.is_empty() {
            told.clear();
            self.0 = told;
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

    #[test]
    fn each_slot_is_told_once_with_its_first_old_value_and_its_last_headers() {
        let mut pending = PendingChanges::new();
        let first = |slot, old: Option<i32>, headers| {
            let existed = old.is_some();
            Pending { slot, old, existed, headers }
        };
        let none = Headers::default();
        let mut five = pending.add(first(5, Some(1), none.clone()));
        let mut zero = pending.add(first(0, None, headers("first")));
        assert!(Place::default().is_none() && !five.is_none() && !zero.is_none());
        for last in [&none, &headers("one"), &headers("last")] {
            five = pending.set_headers(five, last.clone());
        }
        for last in [&headers("one"), &none] {
            zero = pending.set_headers(zero, last.clone());
        }
        assert_eq!((five.index(), zero.index()), (0, 1));
        let told = pending.take();
        let slots: Vec<_> = told.iter().map(|p| (p.slot, p.old, p.existed)).collect();
        assert_eq!(slots, [(5, Some(1), true), (0, None, false)]);
        assert_eq!([&told[0].headers, &told[1].headers], [&headers("last"), &none]);
        assert!(pending.take().is_empty());
    }
}
