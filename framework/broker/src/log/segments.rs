//! Where Kafka would have closed a segment: only what lies before is compacted by itself.
//!
//! There are no files here, so a segment is no more than an offset. Invariant: the active segment
//! begins at or before the end of the log.

use super::partition::PartitionLog;
use super::settings::LogSettings;

/// The active segment, and how far compaction has come.
#[derive(Debug, Default)]
pub(super) struct Segments {
    /// The first offset of the active segment.
    active_start: i64,
    active_bytes: u64,
    /// When its first batch was written.
    active_since_ms: Option<i64>,
    /// Everything below was compacted.
    cleaned_to: i64,
}

impl Segments {
    /// A batch is about to be written at `offset`. Closes the segment if it is full or old.
    pub(super) fn wrote(&mut self, offset: i64, bytes: u64, settings: &LogSettings, now_ms: i64) {
        let old = self
            .active_since_ms
            .is_some_and(|since| now_ms.saturating_sub(since) > settings.segment_ms);
        let full = self.active_bytes > 0 && self.active_bytes + bytes > settings.segment_bytes;
        if old || full {
            *self = Self { active_start: offset, cleaned_to: self.cleaned_to, ..Self::default() };
        }
        self.active_bytes += bytes;
        self.active_since_ms.get_or_insert(now_ms);
    }
}

impl PartitionLog {
    /// Compacts the closed segments, if enough in them is new.
    pub(crate) fn compact_if_due(&mut self, settings: &LogSettings, now_ms: i64) {
        let end = self.segments.active_start.min(self.last_stable_offset());
        let start = self.batches.front().map_or(0, super::partition::Batch::start_position);
        let position = |offset: i64| {
            let before = self.batch_at(offset).checked_sub(1);
            before.and_then(|index| self.batches.get(index)).map_or(start, |b| b.end_position)
        };
        let (cleaned, closed) = (position(self.segments.cleaned_to), position(end));
        let dirty = closed.saturating_sub(cleaned);
        let all = closed.saturating_sub(start);
        if dirty == 0 || (dirty as f64) < settings.min_cleanable_dirty_ratio * all as f64 {
            return;
        }
        self.compact(settings, now_ms, end);
        self.segments.cleaned_to = end;
    }
}
