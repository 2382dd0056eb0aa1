//! Reading: batches from an offset on, and offsets by timestamp.
//!
//! It does not know requests or waiting. Nothing here looks into records, but for the look-up by
//! timestamp in the one batch that has it.
//! Invariant: whole batches only, in order, up to the isolation's end.

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;

use super::ends::Ends;
use super::partition::{Batch, PartitionLog};
use super::settings::Isolation;
use super::view::with_records;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    /// Whole batches, one behind the other. The first may begin before the offset asked for.
    pub(crate) records: Bytes,
    /// Producer and first offset of the aborted transactions that a reader of committed data must
    /// leave out.
    pub(crate) aborted: Vec<(i64, i64)>,
}

impl PartitionLog {
    /// Batches from `offset` on, up to the end that the isolation sees: at most `max_bytes`, but one
    /// batch in any case if `at_least_one`. Nothing, if that end lies before `offset`.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` before the start or beyond the end of the log.
    pub(crate) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: Isolation,
        ends: Ends,
    ) -> Result<Read, ResponseError> {
        if offset < self.start_offset() || offset > self.high_watermark() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let end = ends.seen_by(isolation);
        let first = self.batch_at(offset);
        let mut last = first;
        let mut size = 0;
        for batch in self.batches.range(first..) {
            let len = batch.data.len();
            let forced = at_least_one && last == first;
            if batch.header.next_offset() > end || (size + len > max_bytes && !forced) {
                break;
            }
            size += len;
            last += 1;
        }
        let batches = self.batches.range(first..last);
        let Some(next_offset) = batches.clone().next_back().map(|b| b.header.next_offset()) else {
            return Ok(Read { records: Bytes::new(), aborted: Vec::new() });
        };
        let aborted = match isolation {
            Isolation::ReadUncommitted => Vec::new(),
            Isolation::ReadCommitted => self.aborted.overlapping(offset, next_offset),
        };
        Ok(Read { records: concatenate(batches, size), aborted })
    }

    /// How many bytes a read from `offset` could answer now. Costs two binary searches.
    pub(crate) fn available(&self, offset: i64, isolation: Isolation, ends: Ends) -> usize {
        let end = ends.seen_by(isolation);
        let first = self.batch_at(offset);
        let past = self.batches.partition_point(|batch| batch.header.next_offset() <= end);
        match (self.batches.get(first), past.checked_sub(1).and_then(|i| self.batches.get(i))) {
            (Some(first), Some(last)) => {
                last.end_position.saturating_sub(first.start_position()) as usize
            }
            _ => 0,
        }
    }

    /// The first record with this timestamp or a later one: its offset and timestamp. Markers count,
    /// as in Kafka. `None` if there is none below the isolation's end.
    pub(crate) fn offset_for_timestamp(
        &self,
        timestamp_ms: i64,
        isolation: Isolation,
    ) -> Option<(i64, i64)> {
        self.batches
            .iter()
            .filter(|batch| batch.header.max_timestamp >= timestamp_ms)
            .find_map(|batch| {
                first_record(batch, |offset, timestamp| {
                    timestamp >= timestamp_ms && offset >= self.start_offset
                })
            })
            .filter(|(offset, _)| *offset < self.ends(0).seen_by(isolation))
    }

    /// The first record with the largest timestamp: its offset and timestamp.
    pub(crate) fn max_timestamp(&self) -> Option<(i64, i64)> {
        let with_records = self.batches.iter().filter(|batch| batch.header.record_count > 0);
        // `max_by_key` would answer the last of several.
        let max = with_records.clone().map(|batch| batch.header.max_timestamp).max()?;
        with_records
            .filter(|batch| batch.header.max_timestamp == max)
            .find_map(|batch| first_record(batch, |_, timestamp| timestamp == max))
    }
}

/// The first record of the batch that fits. A batch that cannot be looked into counts as one record
/// with its largest timestamp.
fn first_record(batch: &Batch, fits: impl Fn(i64, i64) -> bool) -> Option<(i64, i64)> {
    let header = &batch.header;
    let found = with_records(batch, |_, records| {
        records
            .iter()
            .map(|record| {
                let offset = header.base_offset + i64::from(record.offset_delta);
                (offset, header.timestamp(record.timestamp_delta))
            })
            .find(|(offset, timestamp)| fits(*offset, *timestamp))
    });
    found.unwrap_or_else(|| {
        let whole = (header.base_offset, header.max_timestamp);
        fits(whole.0, whole.1).then_some(whole)
    })
}

fn concatenate<'a>(mut batches: impl Iterator<Item = &'a Batch>, size: usize) -> Bytes {
    match batches.next() {
        Some(only) if only.data.len() == size => only.data.clone(),
        Some(first) => {
            let mut records = BytesMut::with_capacity(size);
            records.extend_from_slice(&first.data);
            batches.for_each(|batch| records.extend_from_slice(&batch.data));
            records.freeze()
        }
        None => Bytes::new(),
    }
}
