//! The log itself: its batches in order, its offsets, and what is deleted from its start.
//!
//! It does not know how batches are checked, read or compacted; the sibling modules add that.
//! Invariants: see the module above; and `end_position` of a batch is the size of all batches up to
//! and with it, counted from any fixed point.

use std::collections::VecDeque;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::aborted::AbortedIndex;
use super::batch::Header;
use super::epochs::Epochs;
use super::producers::Producers;
use super::segments::Segments;
use super::view::ProducerView;

/// A stored batch.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) header: Header,
    /// The whole batch, header included.
    pub(super) data: Bytes,
    /// When it was written, for the retention of batches without timestamps.
    pub(super) appended_ms: i64,
    /// Where it ends, in bytes.
    pub(super) end_position: u64,
}

impl Batch {
    pub(super) fn start_position(&self) -> u64 {
        self.end_position - self.data.len() as u64
    }
}

/// The log of one partition, in memory.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    pub(super) batches: VecDeque<Batch>,
    pub(super) start_offset: i64,
    pub(super) end_offset: i64,
    pub(super) producers: Producers,
    pub(super) aborted: AbortedIndex,
    pub(super) segments: Segments,
    epochs: Epochs,
}

impl PartitionLog {
    /// An empty log in leader epoch 0.
    pub(crate) fn new() -> Self {
        Self {
            batches: VecDeque::new(),
            start_offset: 0,
            end_offset: 0,
            producers: Producers::default(),
            aborted: AbortedIndex::default(),
            segments: Segments::default(),
            epochs: Epochs::new(),
        }
    }

    /// The first offset that can be read.
    pub(crate) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The offset that the next record gets.
    pub(crate) fn high_watermark(&self) -> i64 {
        self.end_offset
    }

    /// Where the oldest open transaction began, or else the high watermark.
    pub(crate) fn last_stable_offset(&self) -> i64 {
        let first_unstable = self.producers.first_unstable_offset();
        first_unstable.map_or(self.end_offset, |first| first.max(self.start_offset))
    }

    /// True if this producer has a transaction open here.
    pub(crate) fn has_open_transaction(&self, producer_id: i64) -> bool {
        self.producers.has_open_transaction(producer_id)
    }

    /// The producers this log remembers, by id.
    pub(crate) fn producers(&self) -> Vec<ProducerView> {
        self.producers.view()
    }

    /// Forgets what producers wrote: their epochs and sequences. Open transactions are kept.
    pub(crate) fn forget_producers(&mut self) {
        self.producers.forget();
    }

    /// Knows these producers and no others, each by its last batch alone.
    pub(crate) fn restore_producers(&mut self, producers: &[ProducerView]) {
        self.producers.restore(producers);
    }

    /// The size of all batches.
    pub(crate) fn size_bytes(&self) -> u64 {
        match (self.batches.front(), self.batches.back()) {
            (Some(first), Some(last)) => last.end_position - first.start_position(),
            _ => 0,
        }
    }

    /// The epoch that new batches carry.
    pub(crate) fn leader_epoch(&self) -> i32 {
        self.epochs.latest()
    }

    /// A new leader takes over. Answers its epoch.
    pub(crate) fn bump_leader_epoch(&mut self) -> i32 {
        self.epochs.bump(self.end_offset)
    }

    /// The last epoch up to `epoch` and where it ended; (-1, -1) if that is not known.
    pub(crate) fn end_offset_for_epoch(&self, epoch: i32) -> (i32, i64) {
        self.epochs.end_offset_for(epoch, self.end_offset)
    }

    /// Deletes what lies before `offset`; -1 means the high watermark. Answers the new start. A
    /// batch goes when all of it lies before the start.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` beyond the high watermark, or for another negative offset.
    pub(crate) fn delete_before(&mut self, offset: i64) -> Result<i64, ResponseError> {
        let offset = if offset == -1 { self.end_offset } else { offset };
        if offset < 0 || offset > self.end_offset {
            return Err(ResponseError::OffsetOutOfRange);
        }
        self.advance_start(offset);
        Ok(self.start_offset)
    }

    pub(super) fn advance_start(&mut self, offset: i64) {
        if offset <= self.start_offset {
            return;
        }
        self.start_offset = offset;
        while self.batches.front().is_some_and(|batch| batch.header.last_offset() < offset) {
            self.batches.pop_front();
        }
        self.aborted.forget_before(offset);
        self.epochs.forget_before(offset);
    }

    /// Adds a batch that begins at the end of the log.
    pub(super) fn push(&mut self, header: Header, data: Bytes, now_ms: i64) {
        let position = self.batches.back().map_or(0, |batch| batch.end_position);
        let end_position = position + data.len() as u64;
        self.end_offset = header.next_offset();
        self.batches.push_back(Batch { header, data, appended_ms: now_ms, end_position });
    }

    /// The index of the first batch that ends at or after `offset`.
    pub(super) fn batch_at(&self, offset: i64) -> usize {
        self.batches.partition_point(|batch| batch.header.last_offset() < offset)
    }
}
