//! Batches as a client writes and reads them, for clients that share the process with the broker.
//!
//! It knows nothing of logs: a batch written here is judged by the log like any other.

use bytes::Bytes;

use super::batch::{HEADER_LEN, Header, LOG_OVERHEAD};
use super::records::{Record, put_nullable, put_varlong};
use super::view::{LogRecord, decode, with_records_of};

/// A record on its way to a broker.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    /// Its timestamp in milliseconds, or -1.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order; a name may come more than once.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// Who writes a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchProducer {
    /// The producer's id, from `InitProducerId`.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence number of the first record, counted per partition.
    pub sequence: i32,
    /// Written inside a transaction.
    pub transactional: bool,
}

/// The one batch of a produce request for a partition; empty without records.
///
/// ```
/// use oncestream_broker::{NewRecord, read_batches, write_batch};
///
/// let record = NewRecord { timestamp_ms: 7, key: None, value: Some(b"v"), headers: &[] };
/// let batches = read_batches(&write_batch(&[record], None));
/// assert_eq!(batches.records[0].value.as_deref(), Some(&b"v"[..]));
/// assert_eq!(batches.next_offset, Some(1));
/// ```
pub fn write_batch(records: &[NewRecord<'_>], producer: Option<BatchProducer>) -> Bytes {
    let Some(first) = records.first() else { return Bytes::new() };
    let mut body = Vec::new();
    let mut headers = Vec::new();
    for (index, record) in (0..).zip(records) {
        headers.clear();
        put_varlong(&mut headers, record.headers.len() as i64);
        for (name, value) in record.headers {
            put_nullable(&mut headers, Some(name.as_bytes()));
            put_nullable(&mut headers, *value);
        }
        let timestamp_delta = record.timestamp_ms.wrapping_sub(first.timestamp_ms);
        let record = Record {
            timestamp_delta,
            offset_delta: index,
            key: record.key,
            value: record.value,
            headers: &headers,
        };
        record.write(timestamp_delta, &mut body);
    }
    let producer =
        producer.unwrap_or(BatchProducer { id: -1, epoch: -1, sequence: -1, transactional: false });
    let count = records.len() as i32;
    let header = Header::of_client(
        producer,
        count,
        first.timestamp_ms,
        records.iter().map(|record| record.timestamp_ms).max().unwrap_or(-1),
    );
    header.write(&body)
}

/// What a fetch has given of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadBatches {
    /// The records in the order of their offsets, control records among them. Whether one was aborted
    /// is not known here: the fetch tells it beside its batches.
    pub records: Vec<LogRecord>,
    /// The offset after the last whole batch; none without one.
    pub next_offset: Option<i64>,
}

/// Reads the batches of a fetch. A batch that is cut off at the end is left out, and of one that this
/// build cannot look into there are no records.
pub fn read_batches(data: &Bytes) -> ReadBatches {
    let mut read = ReadBatches::default();
    let mut rest = data.clone();
    while let Some(length) = rest.get(8..LOG_OVERHEAD).and_then(|field| field.try_into().ok()) {
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let size = length.saturating_add(LOG_OVERHEAD);
        if size < HEADER_LEN || size > rest.len() {
            break;
        }
        let data = rest.split_to(size);
        let Some(header) = Header::read(&data) else { break };
        with_records_of(&header, &data, |body, records| {
            read.records.extend(records.iter().map(|record| decode(&header, body, record)));
        });
        read.next_offset = Some(header.next_offset());
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_name_keep_their_order_and_times_their_values() {
        let headers: [(&str, Option<&[u8]>); 3] =
            [("a", Some(b"1")), ("b", None), ("a", Some(b"2"))];
        let record = |timestamp_ms| NewRecord {
            timestamp_ms,
            key: Some(b"k"),
            value: None,
            headers: &headers,
        };
        let read = read_batches(&write_batch(&[record(9), record(-1), record(i64::MAX)], None));
        let times: Vec<i64> = read.records.iter().map(|r| r.timestamp_ms).collect();
        assert_eq!(times, [9, -1, i64::MAX]);
        let names: Vec<_> = read.records[1].headers.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["a", "b", "a"]);
        assert_eq!(read.records[1].headers[2].1.as_deref(), Some(&b"2"[..]));
    }

    #[test]
    fn a_batch_that_is_cut_off_is_left_for_the_next_fetch() {
        let record = NewRecord { timestamp_ms: 1, key: None, value: Some(b"v"), headers: &[] };
        let whole = write_batch(&[record], None);
        let mut both = whole.to_vec();
        both.extend_from_slice(&whole[..whole.len() - 1]);
        let read = read_batches(&both.into());
        assert_eq!((read.records.len(), read.next_offset), (1, Some(1)));
        assert_eq!(read_batches(&Bytes::new()), ReadBatches::default());
    }
}
