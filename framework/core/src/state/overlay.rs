//! The typed write-back map of a store: what was written since the last commit, and what is
//! worth keeping of what was read.
//!
//! Writes lie in layers. The active layer takes writes; sealing it hands its keys to a commit;
//! releasing it, once that commit is known to have succeeded, makes them evictable. Several
//! layers may be sealed at once, so that one transaction can be committed while the next runs.
//!
//! Invariants:
//! - A slot in any layer is never evicted.
//! - A layer is released only after its bytes are in the backend. On an abort the whole overlay
//!   is dropped with its task; there is no partial undo.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash};
use std::rc::Rc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::cache::{CacheBudget, EntrySize};

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
}

impl<K, V> Slot<K, V> {
    /// The key, unless the slot is free.
    pub(crate) fn key(&self) -> Option<&K> {
        self.key.as_ref()
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
            sealed: VecDeque::new(),
            hand: 0,
            budget,
            size: EntrySize::default(),
            accounted: 0,
        }
    }

    pub(crate) fn find(&mut self, key: &K) -> Option<SlotId> {
        let hash = self.hasher.hash_one(key);
        let slots = &self.slots;
        let id = *self.index.find(hash, |id| slots[*id as usize].key.as_ref() == Some(key))?;
        self.slots[id as usize].referenced = true;
        Some(id)
    }

    /// Adds a key that [`Self::find`] did not find. Clean until it is marked.
    pub(crate) fn insert(
        &mut self,
        key: K,
        below: Below,
        value: Option<V>,
        timestamp: i64,
    ) -> SlotId {
        if self.budget.is_over() {
            self.evict_some();
        }
        let hash = self.hasher.hash_one(&key);
        let slot = Slot {
            key: Some(key),
            value,
            timestamp,
            below,
            layers: 0,
            in_active: false,
            referenced: false,
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

    /// Puts a slot into the active layer.
    pub(crate) fn mark_dirty(&mut self, id: SlotId) {
        let slot = &mut self.slots[id as usize];
        if !slot.in_active {
            slot.in_active = true;
            slot.layers += 1;
            self.active.push(id);
        }
    }

    /// The slots of the active layer, in the order of their first write.
    pub(crate) fn active(&self) -> &[SlotId] {
        &self.active
    }

    /// Every slot in some layer, for ranges that must see what is not in the backend yet.
    pub(crate) fn uncommitted(&self) -> impl Iterator<Item = &Slot<K, V>> {
        self.slots.iter().filter(|s| s.layers > 0)
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
