//! The header of a batch (format 2): reading it, writing it, and the few fields a broker may patch.
//!
//! It does not know what is right or wrong in a header, nor the records behind it.
//! Invariant: base offset and leader epoch lie outside the checksum; whoever changes anything else
//! here also renews the checksum.

use bytes::Bytes;

use super::compression::Codec;
use super::exchange::BatchProducer;

/// The length of a batch's header in bytes.
pub(crate) const HEADER_LEN: usize = 61;
/// The offset and length fields, which the length field does not count.
pub(crate) const LOG_OVERHEAD: usize = 12;
/// Where the format version is.
pub(crate) const MAGIC_AT: usize = 16;
const LEADER_EPOCH_AT: usize = 12;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// What the one batch of a produce request says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchInfo {
    /// The producer, or -1.
    pub(crate) producer_id: i64,
    /// Its epoch, or -1.
    pub(crate) producer_epoch: i16,
    /// The sequence number of the first record, or -1.
    pub(crate) base_sequence: i32,
    /// Written inside a transaction.
    pub(crate) transactional: bool,
    /// Claims to be a transaction marker, which no client may write.
    pub(crate) control: bool,
    /// How many records it has.
    pub(crate) record_count: i32,
    /// How they are compressed; `None` if the codec is unknown.
    pub(crate) codec: Option<Codec>,
}

/// A batch's header, field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base_offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) record_count: i32,
}

fn field<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..at + N)?.try_into().ok()
}

impl Header {
    /// Reads the header; `None` if there are fewer than [`HEADER_LEN`] bytes.
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        Some(Self {
            base_offset: i64::from_be_bytes(field(data, 0)?),
            leader_epoch: i32::from_be_bytes(field(data, LEADER_EPOCH_AT)?),
            crc: u32::from_be_bytes(field(data, CRC_AT)?),
            attributes: i16::from_be_bytes(field(data, ATTRIBUTES_AT)?),
            last_offset_delta: i32::from_be_bytes(field(data, 23)?),
            base_timestamp: i64::from_be_bytes(field(data, 27)?),
            max_timestamp: i64::from_be_bytes(field(data, MAX_TIMESTAMP_AT)?),
            producer_id: i64::from_be_bytes(field(data, 43)?),
            producer_epoch: i16::from_be_bytes(field(data, 51)?),
            base_sequence: i32::from_be_bytes(field(data, 53)?),
            record_count: i32::from_be_bytes(field(data, 57)?),
        })
    }

    /// The whole batch: this header, with length and checksum computed, and the body behind it.
    pub(crate) fn write(&self, body: &[u8]) -> Bytes {
        let mut data = Vec::with_capacity(HEADER_LEN + body.len());
        data.extend_from_slice(&self.base_offset.to_be_bytes());
        data.extend_from_slice(&((HEADER_LEN - LOG_OVERHEAD + body.len()) as i32).to_be_bytes());
        data.extend_from_slice(&self.leader_epoch.to_be_bytes());
        data.extend_from_slice(&[2, 0, 0, 0, 0]);
        data.extend_from_slice(&self.attributes.to_be_bytes());
        data.extend_from_slice(&self.last_offset_delta.to_be_bytes());
        data.extend_from_slice(&self.base_timestamp.to_be_bytes());
        data.extend_from_slice(&self.max_timestamp.to_be_bytes());
        data.extend_from_slice(&self.producer_id.to_be_bytes());
        data.extend_from_slice(&self.producer_epoch.to_be_bytes());
        data.extend_from_slice(&self.base_sequence.to_be_bytes());
        data.extend_from_slice(&self.record_count.to_be_bytes());
        data.extend_from_slice(body);
        renew_crc(&mut data);
        data.into()
    }

    /// The header of a transaction marker.
    pub(crate) fn of_marker(base_offset: i64, leader_epoch: i32, now_ms: i64) -> Self {
        Self {
            base_offset,
            leader_epoch,
            crc: 0,
            attributes: TRANSACTIONAL | CONTROL,
            last_offset_delta: 0,
            base_timestamp: now_ms,
            max_timestamp: now_ms,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 1,
        }
    }

    /// The header of a batch that a client writes.
    pub(crate) fn of_client(
        producer: BatchProducer,
        record_count: i32,
        base_timestamp: i64,
        max_timestamp: i64,
    ) -> Self {
        Self {
            base_offset: 0,
            leader_epoch: -1,
            crc: 0,
            attributes: if producer.transactional { TRANSACTIONAL } else { 0 },
            last_offset_delta: record_count - 1,
            base_timestamp,
            max_timestamp,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence: producer.sequence,
            record_count,
        }
    }

    /// This header for a batch that has lost its records: only what its offsets, its producer and
    /// its transaction need stays.
    pub(crate) fn emptied(mut self) -> Self {
        self.attributes &= LOG_APPEND_TIME | TRANSACTIONAL | CONTROL;
        self.base_timestamp = -1;
        self.record_count = 0;
        self
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The offset after the batch.
    pub(crate) fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// The sequence number of the last record; -1 without sequence numbers.
    pub(crate) fn last_sequence(&self) -> i32 {
        sequence_after(self.base_sequence, self.last_offset_delta)
    }

    pub(crate) fn codec(&self) -> Option<Codec> {
        Codec::of_id(self.attributes & CODEC_MASK)
    }

    pub(crate) fn log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    pub(crate) fn transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(crate) fn control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// When tombstones and markers in the batch may go, once a cleaning has decided it.
    pub(crate) fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// Sets the delete horizon; the base timestamp carries it.
    pub(crate) fn set_delete_horizon_ms(&mut self, horizon_ms: i64) {
        self.attributes |= DELETE_HORIZON;
        self.base_timestamp = horizon_ms;
    }

    /// The timestamp of a record with this delta.
    pub(crate) fn timestamp(&self, delta: i64) -> i64 {
        if self.log_append_time() {
            self.max_timestamp
        } else {
            self.base_timestamp.wrapping_add(delta)
        }
    }

    /// The header's public face.
    pub(crate) fn info(&self) -> BatchInfo {
        BatchInfo {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            transactional: self.transactional(),
            control: self.control(),
            record_count: self.record_count,
            codec: self.codec(),
        }
    }

    /// Gives the batch its place in the log, here and in its bytes.
    pub(crate) fn place(&mut self, data: &mut [u8], base_offset: i64, leader_epoch: i32) {
        self.base_offset = base_offset;
        self.leader_epoch = leader_epoch;
        data[..8].copy_from_slice(&base_offset.to_be_bytes());
        data[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&leader_epoch.to_be_bytes());
    }

    /// Sets timestamp type and largest timestamp, here and in the bytes. Costs a checksum if either
    /// changes.
    pub(crate) fn set_max_timestamp(&mut self, data: &mut [u8], log_append: bool, max_ms: i64) {
        if self.log_append_time() == log_append && self.max_timestamp == max_ms {
            return;
        }
        self.attributes = if log_append {
            self.attributes | LOG_APPEND_TIME
        } else {
            self.attributes & !LOG_APPEND_TIME
        };
        self.max_timestamp = max_ms;
        data[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&self.attributes.to_be_bytes());
        data[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&max_ms.to_be_bytes());
        self.crc = renew_crc(data);
    }
}

/// The CRC32C over everything behind the checksum.
pub(crate) fn checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data.get(ATTRIBUTES_AT..).unwrap_or_default())
}

fn renew_crc(data: &mut [u8]) -> u32 {
    let crc = checksum(data);
    data[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    crc
}

/// The sequence number `delta` after `sequence`: after `i32::MAX` comes 0. -1 stays -1.
pub(crate) fn sequence_after(sequence: i32, delta: i32) -> i32 {
    if sequence < 0 {
        return -1;
    }
    let wrapped = (i64::from(sequence) + i64::from(delta)) % (i64::from(i32::MAX) + 1);
    wrapped as i32
}
