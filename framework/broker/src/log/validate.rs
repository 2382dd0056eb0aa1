//! Which batches of clients are taken: the checks of Kafka's `LogValidator` and of the envelope.
//!
//! It does not know the log or its producers. It changes nothing.
//!
//! What it costs: records that are not compressed are always walked over, as in Kafka; that is some
//! tens of nanoseconds a record. Compressed ones are decompressed only where a header cannot answer:
//! on a compacted topic (every record needs a key), with a limit on old timestamps, or to name the
//! records whose timestamps lie in the future.

use kafka_protocol::error::ResponseError;

use super::batch::{BatchInfo, HEADER_LEN, Header, LOG_OVERHEAD, MAGIC_AT, checksum};
use super::compression::Codec;
use super::partition::PartitionLog;
use super::records::{Malformed, Records};
use super::settings::LogSettings;

/// The smallest length a batch of any format can state.
const SMALLEST_LENGTH: usize = 14;

/// A batch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {message}")]
pub(crate) struct AppendError {
    /// The error to answer with.
    pub(crate) error: ResponseError,
    /// The reason, for people.
    pub(crate) message: String,
    /// The records to blame, by their index in the batch.
    pub(crate) record_errors: Vec<(i32, String)>,
}

impl AppendError {
    pub(crate) fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self { error, message: message.into(), record_errors: Vec::new() }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(ResponseError::InvalidRecord, message)
    }

    fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ResponseError::CorruptMessage, message)
    }
}

impl From<Malformed> for AppendError {
    fn from(malformed: Malformed) -> Self {
        Self::invalid(malformed.reason)
    }
}

impl PartitionLog {
    /// Looks into the one batch that a produce request carries for a partition, without applying
    /// it. Only the header is read; the checksum is left to the append.
    ///
    /// # Errors
    /// `INVALID_RECORD` unless there is exactly one batch and it is of format 2; `CORRUPT_MESSAGE`
    /// if its length or format cannot be.
    pub(crate) fn inspect(records: &[u8]) -> Result<BatchInfo, AppendError> {
        envelope(records).map(|(header, _)| header.info())
    }
}

/// The one batch in the records of a produce request. A cut-off rest behind it is left out.
pub(super) fn envelope(records: &[u8]) -> Result<(Header, &[u8]), AppendError> {
    let Some(size) = batch_size(records)? else {
        return Err(AppendError::invalid(
            "Produce requests must have at least one record batch per partition",
        ));
    };
    if records[MAGIC_AT] != 2 {
        return Err(AppendError::invalid(
            "Produce requests are only allowed to contain record batches with magic version 2",
        ));
    }
    let (batch, rest) = records.split_at(size);
    if batch_size(rest)?.is_some() {
        return Err(AppendError::invalid(
            "Produce requests are only allowed to contain exactly one record batch per partition",
        ));
    }
    let header = Header::read(batch).ok_or_else(|| {
        AppendError::corrupt(format!("Record batch is corrupt (its size {size} is too small)"))
    })?;
    Ok((header, batch))
}

/// The size of the next batch; `None` if it is not there, or not all of it.
fn batch_size(data: &[u8]) -> Result<Option<usize>, AppendError> {
    let Some(length) = data.get(8..LOG_OVERHEAD).and_then(|field| field.try_into().ok()) else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(length);
    let size = usize::try_from(length).ok().filter(|size| *size >= SMALLEST_LENGTH);
    let Some(size) = size else {
        return Err(AppendError::corrupt(format!("Record size {length} is too small")));
    };
    let Some(magic) = data.get(MAGIC_AT) else {
        return Ok(None);
    };
    if *magic > 2 {
        return Err(AppendError::corrupt(format!("Invalid magic found in record: {magic}")));
    }
    let size = size + LOG_OVERHEAD;
    Ok((data.len() >= size).then_some(size))
}

/// Everything the header and the checksum tell.
pub(super) fn check_header(
    header: &Header,
    batch: &[u8],
    settings: &LogSettings,
) -> Result<(), AppendError> {
    if header.base_offset != 0 {
        let base = header.base_offset;
        return Err(AppendError::invalid(format!("The baseOffset should be 0, but it is {base}")));
    }
    if batch.len() > settings.max_message_bytes {
        let message = format!(
            "The record batch size is {} bytes which exceeds the maximum configured value of {}",
            batch.len(),
            settings.max_message_bytes
        );
        return Err(AppendError::new(ResponseError::MessageTooLarge, message));
    }
    if header.crc != checksum(batch) {
        let message = format!("Record is corrupt (stored crc = {})", header.crc);
        return Err(AppendError::corrupt(message));
    }
    if header.last_offset_delta < 0 {
        return Err(AppendError::invalid("Batch has an invalid offset range"));
    }
    if header.record_count <= 0 {
        return Err(AppendError::invalid("Invalid reported count for record batch"));
    }
    if header.last_offset_delta != header.record_count - 1 {
        return Err(AppendError::invalid("Inconsistent batch offset range and count of records"));
    }
    if header.control() {
        return Err(AppendError::invalid("Clients are not allowed to write control records"));
    }
    if header.producer_id >= 0 && header.base_sequence < 0 {
        return Err(AppendError::invalid("Invalid sequence number in record batch"));
    }
    if header.codec().is_none() {
        let message = "The compression type of the batch is unknown";
        return Err(AppendError::new(ResponseError::UnsupportedCompressionType, message));
    }
    Ok(())
}

/// The records of the batch, as far as they must be looked at. Answers the largest timestamp.
pub(super) fn check_records(
    header: &Header,
    batch: &[u8],
    settings: &LogSettings,
    now_ms: i64,
) -> Result<i64, AppendError> {
    let codec = header.codec().unwrap_or(Codec::None);
    let body = &batch[HEADER_LEN..];
    if codec == Codec::None {
        return check_body(header, body, settings, now_ms);
    }
    let limits = Limits { settings, now_ms };
    let needs_records = settings.compact
        || settings.timestamp_before_max_ms != i64::MAX
        || (header.log_append_time() && settings.log_append_time)
        || limits.timestamp_error(header, header.max_timestamp).is_some();
    if !needs_records {
        return Ok(header.max_timestamp);
    }
    if !codec.supported() {
        let message = format!("{codec:?} batches cannot be looked into by this build");
        return Err(AppendError::new(ResponseError::UnsupportedCompressionType, message));
    }
    let body = codec.decompress(body).map_err(|error| {
        AppendError::corrupt(format!("Failed to decompress record stream: {error}"))
    })?;
    check_body(header, &body, settings, now_ms)
}

fn check_body(
    header: &Header,
    body: &[u8],
    settings: &LogSettings,
    now_ms: i64,
) -> Result<i64, AppendError> {
    let limits = Limits { settings, now_ms };
    let mut max_timestamp = -1;
    let mut errors = Vec::new();
    let mut wrong_timestamp = false;
    for (index, record) in (0_i32..).zip(Records::new(body, header.record_count)) {
        let record = record?;
        if record.offset_delta != index {
            return Err(AppendError::invalid("The records' offsets do not count up from zero"));
        }
        let timestamp = header.timestamp(record.timestamp_delta);
        max_timestamp = max_timestamp.max(timestamp);
        if settings.compact && record.key.is_none() {
            let message = "Compacted topic cannot accept message without key".to_owned();
            errors.push((index, message));
        } else if let Some(message) = limits.timestamp_error(header, timestamp) {
            wrong_timestamp = true;
            errors.push((index, message));
        }
    }
    if errors.is_empty() {
        return Ok(max_timestamp);
    }
    let (error, message) = if wrong_timestamp {
        let message = "One or more records have been rejected due to invalid timestamp";
        (ResponseError::InvalidTimestamp, message.to_owned())
    } else {
        let message = "One or more records have been rejected due to record errors";
        (ResponseError::InvalidRecord, format!("{message}: {} in total", errors.len()))
    };
    Err(AppendError { error, message, record_errors: errors })
}

struct Limits<'a> {
    settings: &'a LogSettings,
    now_ms: i64,
}

impl Limits<'_> {
    fn timestamp_error(&self, header: &Header, timestamp: i64) -> Option<String> {
        if !self.settings.log_append_time && timestamp != -1 {
            let age = i128::from(self.now_ms) - i128::from(timestamp);
            let before = i128::from(self.settings.timestamp_before_max_ms);
            let after = i128::from(self.settings.timestamp_after_max_ms);
            let wrong = age > before || -age > after;
            return wrong.then(|| format!("Timestamp {timestamp} of message is out of range"));
        }
        let message = "Producer should not set timestamp type to LogAppendTime";
        header.log_append_time().then(|| message.to_owned())
    }
}
