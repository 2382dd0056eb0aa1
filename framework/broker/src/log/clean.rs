//! Taking records out again: retention by time and size, and compaction as Kafka's `Cleaner` does it.
//!
//! It does not know when to clean; it is called.
//! Invariants: only whole batches below the last stable offset are touched; the newest committed
//! value of a key stays; a batch keeps its offset range and its sequence numbers; the batch that ends
//! where the cleaning ends stays, if need be without records.

mod transactions;

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use self::transactions::Transactions;
use super::batch::Header;
use super::partition::{Batch, PartitionLog};
use super::records::Record;
use super::settings::LogSettings;
use super::view::with_records;

/// What a cleaning took out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cleaned {
    /// Records, markers included.
    pub(crate) records_removed: u64,
    /// Bytes of batches. Cleaning may also add a few, when a batch gets its delete horizon.
    pub(crate) bytes_removed: u64,
}

/// What one compaction goes by.
struct Compaction<'a> {
    settings: &'a LogSettings,
    now_ms: i64,
    /// The first offset not to clean.
    end: i64,
    /// The last offset of each key.
    latest: HashMap<Bytes, i64>,
}

impl PartitionLog {
    /// Applies retention (`delete`) and compaction (`compact`), as far as the settings ask for them,
    /// up to the last stable offset, whether it is due or not.
    pub(crate) fn clean(&mut self, settings: &LogSettings, now_ms: i64) -> Cleaned {
        let before = (self.record_count(), self.size_bytes());
        if settings.delete {
            self.apply_retention(settings, now_ms);
        }
        if settings.compact {
            self.compact(settings, now_ms, self.last_stable_offset());
        }
        Cleaned {
            records_removed: before.0.saturating_sub(self.record_count()),
            bytes_removed: before.1.saturating_sub(self.size_bytes()),
        }
    }

    fn record_count(&self) -> u64 {
        self.batches.iter().map(|batch| u64::try_from(batch.header.record_count).unwrap_or(0)).sum()
    }

    /// Drops what is older or more than the settings allow.
    pub(crate) fn apply_retention(&mut self, settings: &LogSettings, now_ms: i64) {
        let stable = self.last_stable_offset();
        let mut excess = i128::from(self.size_bytes()) - i128::from(settings.retention_bytes);
        let kept = self.batches.iter().find(|batch| {
            let written = if batch.header.max_timestamp < 0 {
                batch.appended_ms
            } else {
                batch.header.max_timestamp
            };
            let old = settings.retention_ms >= 0
                && now_ms.saturating_sub(written) > settings.retention_ms;
            excess -= batch.data.len() as i128;
            let too_much = settings.retention_bytes >= 0 && excess >= 0;
            batch.header.next_offset() > stable || !(old || too_much)
        });
        let start = kept.map_or(self.end_offset, |batch| batch.header.base_offset);
        self.advance_start(start);
    }

    /// Compacts what lies below `end`, which is at most the last stable offset.
    pub(super) fn compact(&mut self, settings: &LogSettings, now_ms: i64, mut end: i64) {
        if settings.min_compaction_lag_ms > 0 {
            let young = now_ms.saturating_sub(settings.min_compaction_lag_ms);
            let first = self.batches.iter().find(|batch| batch.header.max_timestamp > young);
            end = first.map_or(end, |batch| batch.header.base_offset.min(end));
        }
        let latest = self.latest_offsets(end);
        let compaction = Compaction { settings, now_ms, end, latest };
        let mut transactions = Transactions::new(self.aborted.all(), end);
        let mut kept = VecDeque::with_capacity(self.batches.len());
        let mut position = self.batches.front().map_or(0, Batch::start_position);
        for batch in std::mem::take(&mut self.batches) {
            let batch = if batch.header.next_offset() <= end {
                self.compact_batch(batch, &compaction, &mut transactions)
            } else {
                Some(batch)
            };
            if let Some(mut batch) = batch {
                position += batch.data.len() as u64;
                batch.end_position = position;
                kept.push_back(batch);
            }
        }
        self.batches = kept;
        self.aborted.replace_before(end, transactions.into_retained());
    }

    /// The last committed offset of each key below `end`.
    fn latest_offsets(&self, end: i64) -> HashMap<Bytes, i64> {
        let mut latest = HashMap::new();
        let mut transactions = Transactions::new(self.aborted.all(), end);
        for batch in self.batches.iter().take_while(|batch| batch.header.next_offset() <= end) {
            if transactions.discardable(batch) || batch.header.control() {
                continue;
            }
            with_records(batch, |body, records| {
                for record in records {
                    if let Some(key) = record.key {
                        let offset = batch.header.base_offset + i64::from(record.offset_delta);
                        latest.insert(body.slice_ref(key), offset);
                    }
                }
            });
        }
        latest
    }

    /// What is left of a batch.
    fn compact_batch(
        &self,
        batch: Batch,
        compaction: &Compaction<'_>,
        transactions: &mut Transactions,
    ) -> Option<Batch> {
        let header = &batch.header;
        let discardable = transactions.discardable(&batch);
        let horizon_passed =
            header.delete_horizon_ms().is_some_and(|horizon| horizon <= compaction.now_ms);
        let discard = discardable && (!header.control() || horizon_passed);
        let keep_empty = (header.producer_id >= 0 && self.producers.is_last_of_producer(header))
            || header.next_offset() == compaction.end;
        if discard && !keep_empty {
            return None;
        }
        let filtered = if discard {
            Some(Filtered::Empty)
        } else {
            let marker_of_nothing = discardable && header.control();
            with_records(&batch, |_, records| compaction.filter(header, records, marker_of_nothing))
        };
        match filtered {
            // A batch that cannot be looked into stays as it is.
            None | Some(Filtered::Unchanged) => Some(batch),
            Some(Filtered::Empty) => keep_empty.then(|| {
                let header = header.emptied();
                Batch { header, data: header.write(&[]), ..batch }
            }),
            Some(Filtered::Rewritten(header, body)) => {
                let compressed =
                    header.codec()?.compress(&body).ok().map(|body| header.write(&body));
                Some(match compressed {
                    Some(data) => Batch { header, data, ..batch },
                    None => batch,
                })
            }
        }
    }
}

/// What the filter makes of a batch.
enum Filtered {
    Unchanged,
    Empty,
    Rewritten(Header, Vec<u8>),
}

impl Compaction<'_> {
    fn retains(&self, header: &Header, record: &Record<'_>) -> bool {
        if header.control() {
            return true;
        }
        let offset = header.base_offset + i64::from(record.offset_delta);
        let Some(latest) = record.key.map(|key| self.latest.get(key)) else {
            return false;
        };
        let in_time = header.delete_horizon_ms().is_none_or(|horizon| self.now_ms < horizon);
        latest.is_none_or(|latest| offset >= *latest) && (record.value.is_some() || in_time)
    }

    fn filter(&self, header: &Header, records: &[Record<'_>], marker_of_nothing: bool) -> Filtered {
        let retained: Vec<_> = records.iter().filter(|r| self.retains(header, r)).collect();
        let Some(first) = retained.first() else {
            return Filtered::Empty;
        };
        let tombstones = retained.iter().any(|record| record.value.is_none());
        let set_horizon = (tombstones || marker_of_nothing) && header.delete_horizon_ms().is_none();
        if retained.len() == records.len() && !set_horizon {
            return Filtered::Unchanged;
        }
        let timestamp = |record: &Record<'_>| header.timestamp(record.timestamp_delta);
        let mut rewritten = *header;
        rewritten.record_count = retained.len() as i32;
        if set_horizon {
            let horizon = self.now_ms.saturating_add(self.settings.delete_retention_ms);
            rewritten.set_delete_horizon_ms(horizon);
        } else if header.delete_horizon_ms().is_none() {
            rewritten.base_timestamp = timestamp(first);
        }
        if !header.log_append_time() {
            let newest = retained.iter().map(|record| timestamp(record)).max();
            rewritten.max_timestamp = newest.unwrap_or(-1);
        }
        let mut body = Vec::new();
        for record in retained {
            let delta = timestamp(record).wrapping_sub(rewritten.base_timestamp);
            record.write(delta, &mut body);
        }
        Filtered::Rewritten(rewritten, body)
    }
}
