//! The log as tests see it: every record decoded, and what is known of producers.
//!
//! It does not change anything. A batch that this build cannot look into shows no records.

use bytes::Bytes;

use super::batch::{HEADER_LEN, Header, sequence_after};
use super::partition::{Batch, PartitionLog};
use super::records::{Record, Records};

/// The two kinds of control records: how a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlKind {
    /// The transaction was committed.
    Commit,
    /// The transaction was aborted.
    Abort,
}

/// One record of a partition, as it lies in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds, or -1.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Id and epoch of an idempotent or transactional producer.
    pub producer: Option<(i64, i16)>,
    /// The producer's sequence number, or -1.
    pub sequence: i32,
    /// Written inside a transaction.
    pub transactional: bool,
    /// Set for transaction markers, which consumers never see.
    pub control: Option<ControlKind>,
    /// Its transaction was aborted. Markers are never aborted.
    pub aborted: bool,
}

/// What a partition knows of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerView {
    /// The producer's id.
    pub producer_id: i64,
    /// The newest epoch it was seen with.
    pub epoch: i16,
    /// The sequence number of its last record in this epoch, or -1.
    pub last_sequence: i32,
    /// The offset of its last record in this epoch, or -1.
    pub last_offset: i64,
    /// How many records its last batch had before that one.
    pub last_offset_delta: i32,
    /// The epoch of the coordinator that wrote its last marker, or -1.
    pub coordinator_epoch: i32,
    /// The timestamp of its last batch or marker, in milliseconds.
    pub last_timestamp_ms: i64,
    /// Where its open transaction began in this partition.
    pub open_transaction_start: Option<i64>,
}

impl ProducerView {
    /// A producer of which nothing but its id is known.
    pub fn new(producer_id: i64) -> Self {
        Self {
            producer_id,
            epoch: -1,
            last_sequence: -1,
            last_offset: -1,
            last_offset_delta: 0,
            coordinator_epoch: -1,
            last_timestamp_ms: -1,
            open_transaction_start: None,
        }
    }
}

/// Hands the batch's uncompressed body and its records to `f`; `None` if it cannot be looked into.
pub(super) fn with_records<T>(
    batch: &Batch,
    f: impl FnOnce(&Bytes, &[Record<'_>]) -> T,
) -> Option<T> {
    with_records_of(&batch.header, &batch.data, f)
}

/// The same for a header and the batch it is of.
pub(super) fn with_records_of<T>(
    header: &Header,
    data: &Bytes,
    f: impl FnOnce(&Bytes, &[Record<'_>]) -> T,
) -> Option<T> {
    let body = header.codec()?.decompress_shared(&data.slice(HEADER_LEN..)).ok()?;
    let records: Result<Vec<_>, _> = Records::new(&body, header.record_count).collect();
    records.ok().map(|records| f(&body, &records))
}

/// The kind of a control record, told from its key.
pub(super) fn control_kind(key: Option<&[u8]>) -> Option<ControlKind> {
    match key?.get(2..4)? {
        [0, 0] => Some(ControlKind::Abort),
        [0, 1] => Some(ControlKind::Commit),
        _ => None,
    }
}

impl PartitionLog {
    /// Every record in the order of offsets, markers included.
    pub(crate) fn records(&self) -> Vec<LogRecord> {
        let mut all = Vec::new();
        for batch in &self.batches {
            with_records(batch, |body, records| {
                all.extend(records.iter().map(|record| self.record(batch, body, record)));
            });
        }
        all.retain(|record| record.offset >= self.start_offset);
        all
    }

    fn record(&self, batch: &Batch, body: &Bytes, record: &Record<'_>) -> LogRecord {
        let record = decode(&batch.header, body, record);
        let aborted = self.aborted.all().iter().any(|aborted| {
            aborted.producer_id == batch.header.producer_id
                && (aborted.first_offset..aborted.marker_offset).contains(&record.offset)
        });
        LogRecord { aborted: record.transactional && aborted, ..record }
    }
}

/// A record of a batch. Whether it was aborted, the batch does not tell.
pub(super) fn decode(header: &Header, body: &Bytes, record: &Record<'_>) -> LogRecord {
    let owned = |bytes: Option<&[u8]>| bytes.map(|bytes| body.slice_ref(bytes));
    let headers = record.headers().unwrap_or_default();
    LogRecord {
        offset: header.base_offset + i64::from(record.offset_delta),
        timestamp_ms: header.timestamp(record.timestamp_delta),
        key: owned(record.key),
        value: owned(record.value),
        headers: headers
            .into_iter()
            .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), owned(value)))
            .collect(),
        producer: (header.producer_id >= 0).then_some((header.producer_id, header.producer_epoch)),
        sequence: sequence_after(header.base_sequence, record.offset_delta),
        transactional: header.transactional(),
        control: if header.control() { control_kind(record.key) } else { None },
        aborted: false,
    }
}
