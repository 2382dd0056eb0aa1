//! The typed write-back map of a store: what was written since the last commit, and what is
//! worth keeping of what was read.
//!
//! Writes lie in layers. The active layer takes writes; sealing it hands its keys to a commit;
//! releasing it, once that commit is applied to the backend, makes them evictable. Several layers
//! may be sealed and not yet applied.
//!
//! Invariants:
//! - A slot in any layer is never evicted.
//! - A layer is released only after its bytes are in the backend. On an abort the whole overlay
//!   is dropped with its task; there is no partial undo.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::rc::Rc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::cache::{CacheBudget, EntrySize};
use super::pending::LastChange;

/// Index of a slot.
pub(crate) type SlotId = u32;

/// At most so many slots are looked at for each insertion into a full cache.
const EVICTION_STEPS: usize = 16;

/// What is known of a key in the layers below the active one, and in the backend.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Below {
    /// There is no value.
    Absent,
    /// There may be one.
    Unknown,
}

/// The hash of a key in one overlay.
#[derive(Clone, Copy)]
pub(crate) struct KeyHash(u64);

pub(crate) struct Slot<K, V> {
    /// `None` for a free slot.
    key: Option<K>,
    /// `None` for a key known to be absent or deleted.
    pub(crate) value: Option<V>,
    pub(crate) timestamp: i64,
    below: Below,
    /// The layers this slot is in.
    layers: u8,
    in_active: bool,
    referenced: bool,
    /// That a cache has to tell of.
    pub(super) last_change: LastChange,
}

impl<K, V> Slot<K, V> {
    /// The key, unless the slot is free.
    pub(crate) fn key(&self) -> Option<&K> {
        self.key.as_ref()
    }

    /// The key, with the value and its time to change; `None` for a free slot.
    pub(crate) fn parts_mut(&mut self) -> Option<(&K, &mut Option<V>, &mut i64)> {
        Some((self.key.as_ref()?, &mut self.value, &mut self.timestamp))
    }

    /// Whether it was written since the last seal.
    pub(crate) fn is_active(&self) -> bool {
        self.in_active
    }

    /// Whether the backend may lack what it holds.
    pub(crate) fn is_uncommitted(&self) -> bool {
        self.layers > 0
    }

    /// True for the deletion of a key that never was: a commit has nothing to write for it.
    pub(crate) fn is_nothing_new(&self) -> bool {
        self.value.is_none() && self.below == Below::Absent
    }
}

pub(crate) struct Overlay<K, V> {
    index: HashTable<SlotId>,
    hasher: DefaultHashBuilder,
    slots: Vec<Slot<K, V>>,
    free: Vec<SlotId>,
    active: Vec<SlotId>,
    /// Slots of the active layer that are told of once more, behind so many others.
    again: Vec<(usize, SlotId)>,
    sealed: VecDeque<Vec<SlotId>>,
    hand: usize,
    budget: Rc<CacheBudget>,
    size: EntrySize,
    accounted: usize,
}

impl<K: Hash + Eq, V> Overlay<K, V> {
    pub(crate) fn new(budget: Rc<CacheBudget>) -> Self {
        Self {
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            slots: Vec::new(),
            free: Vec::new(),
            active: Vec::new(),
            again: Vec::new(),
            sealed: VecDeque::new(),
            hand: 0,
            budget,
            size: EntrySize::default(),
            accounted: 0,
        }
    }

    /// The hash of a key, for [`Self::find`] and [`Self::insert`].
    pub(crate) fn hash(&self, key: &K) -> KeyHash {
        KeyHash(self.hasher.hash_one(key))
    }

    /// The same of something that hashes as a key does.
    pub(crate) fn hash_as(&self, key: &impl Hash) -> KeyHash {
        KeyHash(self.hasher.hash_one(key))
    }

    pub(crate) fn find(&mut self, hash: KeyHash, key: &K) -> Option<SlotId> {
        self.find_as(hash, |known| known == key)
    }

    /// The slot of the key with this hash that is the right one.
    pub(crate) fn find_as(
        &mut self,
        KeyHash(hash): KeyHash,
        is_it: impl Fn(&K) -> bool,
    ) -> Option<SlotId> {
        let slots = &self.slots;
        let id =
            *self.index.find(hash, |id| slots[*id as usize].key.as_ref().is_some_and(&is_it))?;
        self.slots[id as usize].referenced = true;
        Some(id)
    }

    /// Adds a key that [`Self::find`] did not find. Clean until it is marked.
    pub(crate) fn insert(
        &mut self,
        KeyHash(hash): KeyHash,
        key: K,
        below: Below,
        value: Option<V>,
        timestamp: i64,
    ) -> SlotId {
        if self.budget.is_over() {
            self.evict_some();
        }
        let slot = Slot {
            key: Some(key),
            value,
            timestamp,
            below,
            layers: 0,
            in_active: false,
            referenced: false,
            last_change: LastChange::default(),
        };
        let id = if let Some(id) = self.free.pop() {
            self.slots[id as usize] = slot;
            id
        } else {
            self.slots.push(slot);
            (self.slots.len() - 1) as SlotId
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, id, |id| hash_of(hasher, slots, *id));
        self.account();
        id
    }

    pub(crate) fn slot(&self, id: SlotId) -> &Slot<K, V> {
        &self.slots[id as usize]
    }

    pub(crate) fn slot_mut(&mut self, id: SlotId) -> &mut Slot<K, V> {
        &mut self.slots[id as usize]
    }

    /// Puts a slot into the active layer; true if it was in no layer before.
    pub(crate) fn mark_dirty(&mut self, id: SlotId) -> bool {
        let slot = &mut self.slots[id as usize];
        if slot.in_active {
            return false;
        }
        slot.in_active = true;
        slot.layers += 1;
        self.active.push(id);
        slot.layers == 1
    }

    /// Tells of a slot of the active layer once more behind those that are there.
    pub(crate) fn tell_again(&mut self, id: SlotId) {
        self.again.push((self.active.len(), id));
    }

    /// The slots that are told of again, each once, and behind how many others.
    pub(crate) fn take_again(&mut self) -> Vec<(usize, SlotId)> {
        let mut again = std::mem::take(&mut self.again);
        let mut seen = HashSet::new();
        again.reverse();
        again.retain(|(_, id)| seen.insert(*id));
        again.reverse();
        again
    }

    /// The slots of the active layer, in the order of their first write.
    pub(crate) fn active(&self) -> &[SlotId] {
        &self.active
    }

    /// Every slot in some layer, one in several layers as often.
    pub(crate) fn uncommitted(&self) -> impl Iterator<Item = SlotId> {
        self.sealed.iter().flatten().chain(&self.active).copied()
    }

    /// Closes the active layer: what is written from now on belongs to the next commit.
    pub(crate) fn seal(&mut self) {
        for id in &self.active {
            let slot = &mut self.slots[*id as usize];
            slot.in_active = false;
            slot.below = if slot.value.is_none() { Below::Absent } else { Below::Unknown };
        }
        self.sealed.push_back(std::mem::take(&mut self.active));
    }

    /// The oldest sealed layer is in the backend.
    pub(crate) fn release(&mut self) {
        let Some(mut layer) = self.sealed.pop_front() else { return };
        for id in layer.drain(..) {
            self.slots[id as usize].layers -= 1;
        }
        if self.active.capacity() == 0 {
            self.active = layer;
        }
        self.account();
    }

    pub(crate) fn learn_size(&mut self, serialised: usize) {
        self.size.learn(serialised);
    }

    /// An estimate of the bytes in the active layer.
    pub(crate) fn active_bytes(&self) -> usize {
        self.active.len() * self.size.estimate::<Slot<K, V>>()
    }

    fn account(&mut self) {
        let now = self.index.len() * self.size.estimate::<Slot<K, V>>();
        self.budget.replace(self.accounted, now);
        self.accounted = now;
    }

    /// The clock algorithm, a few steps at a time: a referenced slot gets a second chance.
    fn evict_some(&mut self) {
        let mut evicted = 0;
        for _ in 0..EVICTION_STEPS.min(self.slots.len()) {
            self.hand = (self.hand + 1) % self.slots.len();
            let slot = &mut self.slots[self.hand];
            if slot.key.is_none() || slot.layers > 0 {
                continue;
            }
            if std::mem::take(&mut slot.referenced) {
                continue;
            }
            self.evict(self.hand);
            evicted += 1;
            if evicted == 2 {
                break;
            }
        }
    }

    fn evict(&mut self, at: usize) {
        let id = at as SlotId;
        let hash = hash_of(&self.hasher, &self.slots, id);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        let slot = &mut self.slots[at];
        slot.key = None;
        slot.value = None;
        self.free.push(id);
        self.account();
    }
}

/// The hash of an occupied slot's key. Free slots are never in the index.
fn hash_of<K: Hash, V>(hasher: &DefaultHashBuilder, slots: &[Slot<K, V>], id: SlotId) -> u64 {
    slots[id as usize].key.as_ref().map_or(0, |key| hasher.hash_one(key))
}

impl<K, V> Drop for Overlay<K, V> {
    fn drop(&mut self) {
        self.budget.replace(self.accounted, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(max_bytes: usize) -> Overlay<u32, u32> {
        Overlay::new(Rc::new(CacheBudget::new(max_bytes)))
    }

    fn add(overlay: &mut Overlay<u32, u32>, key: u32) -> SlotId {
        let hash = overlay.hash(&key);
        overlay.insert(hash, key, Below::Unknown, Some(key), 0)
    }

    #[test]
    fn a_slot_is_new_to_the_layers_once_until_all_are_released() {
        let mut overlay = overlay(1 << 20);
        let id = add(&mut overlay, 1);
        assert!(overlay.mark_dirty(id) && !overlay.mark_dirty(id));
        overlay.seal();
        assert!(!overlay.mark_dirty(id), "it is in the sealed layer");
        assert_eq!(overlay.uncommitted().collect::<Vec<_>>(), [id, id]);
        overlay.release();
        assert!(overlay.slot(id).is_uncommitted());
        overlay.seal();
        overlay.release();
        assert!(!overlay.slot(id).is_uncommitted());
        assert!(overlay.mark_dirty(id));
    }

    #[test]
    fn a_slot_in_a_layer_outlives_any_eviction_and_a_clean_one_does_not() {
        let mut overlay = overlay(0);
        let dirty = add(&mut overlay, 0);
        overlay.mark_dirty(dirty);
        for key in 1..200 {
            add(&mut overlay, key);
        }
        assert_eq!(overlay.find(overlay.hash(&0), &0), Some(dirty));
        assert_eq!(overlay.find(overlay.hash(&1), &1), None);
        assert!(overlay.index.len() < 20, "{}", overlay.index.len());
    }

    #[test]
    fn a_deletion_is_nothing_new_where_nothing_is_below() {
        let mut overlay = overlay(1 << 20);
        let absent = overlay.insert(overlay.hash(&1), 1, Below::Absent, None, 0);
        let unknown = overlay.insert(overlay.hash(&2), 2, Below::Unknown, None, 0);
        assert!(overlay.slot(absent).is_nothing_new() && !overlay.slot(unknown).is_nothing_new());
        overlay.slot_mut(absent).value = Some(1);
        overlay.mark_dirty(absent);
        overlay.seal();
        overlay.slot_mut(absent).value = None;
        assert!(!overlay.slot(absent).is_nothing_new(), "the layer below has it");
    }
}
