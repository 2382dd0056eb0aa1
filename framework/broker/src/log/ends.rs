//! Where a log ends for its readers, now or as of some records ago.
//!
//! It does not know who reads. Invariants: an end lies between two batches, because a replica has
//! whole batches; start <= last stable offset <= high watermark, as of any moment.

use std::collections::BTreeMap;

use super::partition::PartitionLog;
use super::settings::Isolation;

/// The ends of a log as one replica knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
}

impl Ends {
    /// How far a reader sees.
    pub(crate) fn seen_by(self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable_offset,
        }
    }
}

impl PartitionLog {
    /// The ends at this moment, if `records_ago` is 0, or as a replica knows them that lags by so
    /// many offsets. The offsets of markers count, and a batch lacks as a whole.
    pub(crate) fn ends(&self, records_ago: u64) -> Ends {
        let now = Ends {
            high_watermark: self.high_watermark(),
            last_stable_offset: self.last_stable_offset(),
        };
        if records_ago == 0 {
            return now;
        }
        let ago = i64::try_from(records_ago).unwrap_or(i64::MAX);
        let wanted = now.high_watermark.saturating_sub(ago);
        let cut = self.batches.get(self.batch_at(wanted)).map(|batch| batch.header.base_offset);
        let high_watermark = cut.map_or(wanted, |cut| cut.min(wanted)).max(self.start_offset());
        let first_open = self.first_open_as_of(high_watermark);
        let stable = first_open.map_or(high_watermark, |first| first.min(high_watermark));
        let stable = stable.min(now.last_stable_offset).max(self.start_offset());
        Ends { high_watermark, last_stable_offset: stable }
    }

    /// Where the oldest transaction began whose marker is not before `end`.
    fn first_open_as_of(&self, end: i64) -> Option<i64> {
        let mut open = BTreeMap::new();
        for header in self.batches.iter().map(|batch| &batch.header) {
            if header.base_offset >= end {
                break;
            }
            if header.control() {
                open.remove(&header.producer_id);
            } else if header.transactional() {
                open.entry(header.producer_id).or_insert(header.base_offset);
            }
        }
        open.into_values().min()
    }
}
