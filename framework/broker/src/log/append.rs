//! Writing: the batches of produce requests, and transaction markers.
//!
//! It does not know who may write, nor which partitions a transaction has; the coordinator does.
//! Invariant: nothing in the log changes if an append fails.

use bytes::BytesMut;
use kafka_protocol::error::ResponseError;

use super::aborted::Aborted;
use super::batch::Header;
use super::partition::PartitionLog;
use super::records::Record;
use super::settings::LogSettings;
use super::validate::{AppendError, check_header, check_records, envelope};

/// A batch is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The offset of its first record.
    pub(crate) base_offset: i64,
    /// What to answer as log append time: -1 unless the topic uses it. A duplicate is answered with
    /// the largest timestamp of the batch it repeats, as Kafka does on every topic.
    pub(crate) log_append_time_ms: i64,
    /// It had been there before, and was not written again.
    pub(crate) duplicate: bool,
}

impl PartitionLog {
    /// Appends the batch of a produce request. The bytes are copied. A batch that is one of the
    /// last five of its producer is not written again; it is answered as it was the first time.
    ///
    /// # Errors
    /// As Kafka's, among them `CORRUPT_MESSAGE`, `INVALID_RECORD`, `MESSAGE_TOO_LARGE`,
    /// `INVALID_TIMESTAMP`, `INVALID_PRODUCER_EPOCH`, `OUT_OF_ORDER_SEQUENCE_NUMBER`,
    /// `INVALID_TXN_STATE`.
    pub(crate) fn append(
        &mut self,
        records: &[u8],
        settings: &LogSettings,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let (mut header, batch) = envelope(records)?;
        check_header(&header, batch, settings)?;
        let max_timestamp = check_records(&header, batch, settings, now_ms)?;
        if let Some(sent) = self.producers.duplicate(&header) {
            return Ok(Appended {
                base_offset: sent.base_offset,
                log_append_time_ms: sent.max_timestamp,
                duplicate: true,
            });
        }
        self.producers.check(&header)?;

        let mut data = BytesMut::from(batch);
        let max_timestamp = if settings.log_append_time { now_ms } else { max_timestamp };
        header.set_max_timestamp(&mut data, settings.log_append_time, max_timestamp);
        header.place(&mut data, self.end_offset, self.leader_epoch());
        self.producers.appended(&header);
        self.segments.wrote(self.end_offset, data.len() as u64, settings, now_ms);
        self.push(header, data.freeze(), now_ms);
        Ok(Appended {
            base_offset: header.base_offset,
            log_append_time_ms: if settings.log_append_time { now_ms } else { -1 },
            duplicate: false,
        })
    }

    /// Ends a transaction with a COMMIT or ABORT marker, and answers the marker's offset. The marker
    /// is written whether or not the producer had written here.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` if the producer was seen with a newer epoch,
    /// `TRANSACTION_COORDINATOR_FENCED` if its coordinator was.
    pub(crate) fn append_marker(
        &mut self,
        producer_id: i64,
        producer_epoch: i16,
        coordinator_epoch: i32,
        commit: bool,
        now_ms: i64,
    ) -> Result<i64, ResponseError> {
        self.producers.check_marker(producer_id, producer_epoch, coordinator_epoch)?;
        let marker_offset = self.end_offset;
        let mut header = Header::of_marker(marker_offset, self.leader_epoch(), now_ms);
        header.producer_id = producer_id;
        header.producer_epoch = producer_epoch;
        // Both begin with a version, 0; the type is 1 for COMMIT and 0 for ABORT.
        let key = [0, 0, 0, u8::from(commit)];
        let mut value = [0; 6];
        value[2..].copy_from_slice(&coordinator_epoch.to_be_bytes());
        let mut body = Vec::new();
        let record = Record {
            timestamp_delta: 0,
            offset_delta: 0,
            key: Some(&key),
            value: Some(&value),
            headers: &[0],
        };
        record.write(0, &mut body);
        self.push(header, header.write(&body), now_ms);

        let started = self.producers.ended(producer_id, producer_epoch, coordinator_epoch, now_ms);
        if let Some(first_offset) = started.filter(|_| !commit) {
            let first_unstable = self.producers.first_unstable_offset();
            self.aborted.push(Aborted {
                producer_id,
                first_offset,
                marker_offset,
                last_stable_offset: first_unstable.unwrap_or(self.end_offset),
            });
        }
        Ok(marker_offset)
    }
}
