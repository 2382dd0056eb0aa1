//! Tests of the log as a whole, and what they share: making batches, and reading as a consumer does.

mod appending;
mod bench;
mod cleaning;
mod codecs;
mod idempotence;
mod lagging;
mod model;
mod reading;
mod transactions;

use std::collections::HashSet;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::batch::{HEADER_LEN, Header};
use super::clean::Cleaned;
use super::compression::Codec;
use super::ends::Ends;
use super::read::Read;
use super::records::{Record, Records};
use super::view::{ControlKind, control_kind};
use super::*;

/// A wall clock for tests, in milliseconds.
const NOW: i64 = 1_700_000_000_000;

/// A batch to be sent.
#[derive(Clone)]
struct Send {
    header: Header,
    codec: Codec,
    records: Vec<(Option<String>, Option<String>, i64)>,
}

/// A plain batch of records with these keys and values; an empty value is a tombstone.
fn send<const N: usize>(records: [(&str, &str); N]) -> Send {
    let mut header = Header::of_marker(0, -1, NOW);
    header.attributes = 0;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let records = records.map(|(key, value)| (text(key), text(value), NOW)).to_vec();
    Send { header, codec: Codec::None, records }
}

impl Send {
    fn by(mut self, producer_id: i64, epoch: i16, sequence: i32) -> Self {
        self.header.producer_id = producer_id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = sequence;
        self
    }

    fn transactional(mut self) -> Self {
        self.header.attributes |= 0x10;
        self
    }

    fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self.header.attributes |= codec as i16;
        self
    }

    fn at(mut self, timestamp_ms: i64) -> Self {
        self.records.iter_mut().for_each(|record| record.2 = timestamp_ms);
        self
    }

    /// The batch's bytes; `change` may spoil the header before the checksum is made.
    fn bytes_with(mut self, change: impl FnOnce(&mut Header)) -> Vec<u8> {
        let mut body = Vec::new();
        self.header.base_timestamp = self.records.first().map_or(-1, |record| record.2);
        self.header.max_timestamp = self.records.iter().map(|r| r.2).max().unwrap_or(-1);
        self.header.record_count = self.records.len() as i32;
        self.header.last_offset_delta = self.records.len() as i32 - 1;
        for (offset_delta, (key, value, timestamp)) in (0..).zip(&self.records) {
            let record = Record {
                timestamp_delta: 0,
                offset_delta,
                key: key.as_deref().map(str::as_bytes),
                value: value.as_deref().map(str::as_bytes),
                headers: &[2, 2, b'h', 2, b'x'],
            };
            record.write(timestamp - self.header.base_timestamp, &mut body);
        }
        change(&mut self.header);
        self.header.write(&self.codec.compress(&body).unwrap()).to_vec()
    }

    fn bytes(self) -> Vec<u8> {
        self.bytes_with(|_| ())
    }
}

fn append(log: &mut PartitionLog, batch: Send) -> Result<Appended, AppendError> {
    log.append(&batch.bytes(), &LogSettings::default(), NOW)
}

fn error_of(result: Result<Appended, AppendError>) -> ResponseError {
    result.unwrap_err().error
}

fn compacting() -> LogSettings {
    LogSettings { compact: true, delete: false, ..LogSettings::default() }
}

/// All batches in what was read.
fn batches(mut records: &[u8]) -> Vec<(Header, &[u8])> {
    let mut all = Vec::new();
    while !records.is_empty() {
        let size = 12 + i32::from_be_bytes(records[8..12].try_into().unwrap()) as usize;
        let (batch, rest) = records.split_at(size);
        let header = Header::read(batch).unwrap();
        assert_eq!(header.crc, crc32c::crc32c(&batch[21..]), "the checksum is right");
        all.push((header, batch));
        records = rest;
    }
    all
}

type Seen = (i64, Option<Bytes>, Option<Bytes>);

/// Reads the log from its start as a consumer of committed data does, with fetches of this size.
fn read_committed(log: &PartitionLog, max_bytes: usize) -> Vec<Seen> {
    let mut position = log.start_offset();
    let mut seen = Vec::new();
    loop {
        let available = log.available(position, Isolation::ReadCommitted, log.ends(0));
        let read =
            log.read(position, max_bytes, true, Isolation::ReadCommitted, log.ends(0)).unwrap();
        assert_eq!(available == 0, read.records.is_empty(), "available agrees with read");
        if read.records.is_empty() {
            return seen;
        }
        let mut ahead = read.aborted;
        ahead.sort_by_key(|(_, first_offset)| *first_offset);
        let mut aborted = HashSet::new();
        for (header, batch) in batches(&read.records) {
            let reached = ahead.partition_point(|(_, first)| *first <= header.last_offset());
            aborted.extend(ahead.drain(..reached).map(|(producer, _)| producer));
            let body = header.codec().unwrap().decompress(&batch[HEADER_LEN..]).unwrap();
            let records: Vec<_> =
                Records::new(&body, header.record_count).map(Result::unwrap).collect();
            if header.control() {
                let key = records.first().and_then(|record| record.key);
                if control_kind(key) == Some(ControlKind::Abort) {
                    aborted.remove(&header.producer_id);
                }
            } else if !(header.transactional() && aborted.contains(&header.producer_id)) {
                for record in records {
                    let offset = header.base_offset + i64::from(record.offset_delta);
                    if offset >= position {
                        let owned = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
                        seen.push((offset, owned(record.key), owned(record.value)));
                    }
                }
            }
            position = header.next_offset();
        }
    }
}

/// The values a consumer of committed data sees.
fn committed_values(log: &PartitionLog) -> Vec<String> {
    let value = |seen: Seen| String::from_utf8(seen.2.unwrap_or_default().to_vec()).unwrap();
    read_committed(log, 1).into_iter().map(value).collect()
}
