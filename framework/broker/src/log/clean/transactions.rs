//! Which transactional batches the cleaner may discard while it walks through the log: Kafka's
//! `CleanedTransactionMetadata`.
//!
//! It does not change batches. Invariant: batches are shown to it in order, each once.

use std::collections::{HashMap, HashSet};

use crate::log::aborted::Aborted;
use crate::log::partition::Batch;
use crate::log::view::{ControlKind, control_kind, with_records};

/// The transactions around the batch that the cleaner is at.
pub(super) struct Transactions {
    /// Aborted transactions not yet reached, the next one last.
    ahead: Vec<Aborted>,
    /// Producers with batches of a committed transaction behind, its marker ahead.
    committed: HashSet<i64>,
    /// The same for aborted ones, and whether any batch was seen.
    aborted: HashMap<i64, (Aborted, bool)>,
    /// Aborted transactions that still have batches.
    retained: Vec<Aborted>,
}

impl Transactions {
    /// For a walk up to `end`.
    pub(super) fn new(aborted: &[Aborted], end: i64) -> Self {
        let mut ahead: Vec<_> =
            aborted.iter().copied().filter(|aborted| aborted.first_offset < end).collect();
        ahead.sort_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
        Self { ahead, committed: HashSet::new(), aborted: HashMap::new(), retained: Vec::new() }
    }

    /// True if the batch is of an aborted transaction, or a marker that no batch needs any more.
    pub(super) fn discardable(&mut self, batch: &Batch) -> bool {
        let header = &batch.header;
        self.reach(header.last_offset());
        if header.control() {
            return self.marker_discardable(batch);
        }
        if !header.transactional() {
            return false;
        }
        if let Some((_, seen)) = self.aborted.get_mut(&header.producer_id) {
            *seen = true;
            return true;
        }
        self.committed.insert(header.producer_id);
        false
    }

    fn marker_discardable(&mut self, batch: &Batch) -> bool {
        let producer = batch.header.producer_id;
        if batch.header.record_count == 0 {
            return true;
        }
        let kind = with_records(batch, |_, records| {
            records.first().and_then(|record| control_kind(record.key))
        });
        match kind.flatten() {
            Some(ControlKind::Commit) => !self.committed.remove(&producer),
            Some(ControlKind::Abort) => match self.aborted.remove(&producer) {
                Some((aborted, true)) => {
                    self.retained.push(aborted);
                    false
                }
                _ => true,
            },
            None => false,
        }
    }

    fn reach(&mut self, offset: i64) {
        while let Some(next) = self.ahead.pop_if(|next| next.first_offset <= offset) {
            self.aborted.entry(next.producer_id).or_insert((next, false));
        }
    }

    /// The aborted transactions that ended on the walk and still have batches.
    pub(super) fn into_retained(self) -> Vec<Aborted> {
        self.retained
    }
}
