//! The index of aborted transactions, for readers of committed data and for the cleaner.
//!
//! It does not know batches. Invariant: entries are in the order of their markers.

/// An aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// The offset of its marker.
    pub(crate) marker_offset: i64,
    /// The last stable offset after the marker: transactions that end later begin no earlier.
    pub(crate) last_stable_offset: i64,
}

/// All aborted transactions with records in the log.
#[derive(Debug, Default)]
pub(crate) struct AbortedIndex {
    entries: Vec<Aborted>,
}

impl AbortedIndex {
    pub(crate) fn push(&mut self, aborted: Aborted) {
        self.entries.push(aborted);
    }

    /// Producer and first offset of the transactions with records in `from..end`, maybe some more.
    pub(crate) fn overlapping(&self, from: i64, end: i64) -> Vec<(i64, i64)> {
        let first = self.entries.partition_point(|entry| entry.marker_offset < from);
        let mut found = Vec::new();
        for entry in &self.entries[first..] {
            if entry.first_offset < end {
                found.push((entry.producer_id, entry.first_offset));
            }
            if entry.last_stable_offset >= end {
                break;
            }
        }
        found
    }

    pub(crate) fn all(&self) -> &[Aborted] {
        &self.entries
    }

    /// Forgets transactions that ended before `offset`.
    pub(crate) fn forget_before(&mut self, offset: i64) {
        self.entries.retain(|entry| entry.marker_offset >= offset);
    }

    /// Puts `kept` in the place of all transactions that ended before `end`.
    pub(crate) fn replace_before(&mut self, end: i64, mut kept: Vec<Aborted>) {
        kept.extend(self.entries.iter().filter(|entry| entry.marker_offset >= end));
        kept.sort_by_key(|entry| entry.marker_offset);
        self.entries = kept;
    }
}
