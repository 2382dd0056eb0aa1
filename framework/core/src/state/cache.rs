//! How much memory the typed entries of one worker may take.

use std::cell::Cell;
use std::mem::size_of;

/// The bound of `statestore.cache.max.bytes`, shared by the stores of one worker.
///
/// Sizes are estimates: the entry's own size plus the mean of what its kind serialises to.
/// Entries that are not committed cannot be evicted and may pass the bound; they are bounded by
/// `statestore.uncommitted.max.bytes`.
#[derive(Debug)]
pub struct CacheBudget {
    max_bytes: usize,
    used: Cell<usize>,
}

impl CacheBudget {
    /// A budget of so many bytes. 0 turns caching off.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, used: Cell::new(0) }
    }

    /// False when the bound is 0: every update is then forwarded at once.
    pub fn caching_enabled(&self) -> bool {
        self.max_bytes > 0
    }

    pub(crate) fn is_over(&self) -> bool {
        self.used.get() > self.max_bytes
    }

    pub(crate) fn replace(&self, before: usize, after: usize) {
        self.used.set((self.used.get() + after).saturating_sub(before));
    }
}

/// The mean size of a store's entries, learnt from what it reads and writes.
#[derive(Debug, Default)]
pub(crate) struct EntrySize {
    bytes: u64,
    count: u64,
}

impl EntrySize {
    pub(crate) fn learn(&mut self, serialised: usize) {
        self.bytes += serialised as u64;
        self.count += 1;
    }

    /// Slot, index cell and the mean of the serialised bytes.
    pub(crate) fn estimate<S>(&self) -> usize {
        let mean = self.bytes.checked_div(self.count).unwrap_or(0);
        size_of::<S>() + size_of::<u64>() + mean as usize
    }
}
