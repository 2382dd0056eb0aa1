//! A blocking client that speaks Kafka's protocol with nothing in between: what is asked is what
//! goes over the wire, and what comes back is compared as it came.
//!
//! Knows no topics and no brokers, only frames and record batches. Invariant: an answer is decoded
//! to its last byte, or the call panics.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use crate::kafka::LIMIT;

/// What every client here calls itself.
pub const CLIENT_ID: &str = "conformance";

/// Text as the protocol's messages want it, in any of their newtypes.
pub fn text<T: From<StrBytes>>(text: &str) -> T {
    StrBytes::from_string(text.to_owned()).into()
}

/// The wall clock, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// One connection to one broker. Dropping it closes it, whatever is under way.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    correlation_id: i32,
}

impl Connection {
    /// Connects to the first of the servers (`host:port`, with commas between).
    pub fn open(servers: &str) -> Self {
        let stream = TcpStream::connect(servers.split(',').next().unwrap()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self { stream, correlation_id: 0 }
    }

    /// Asks, and waits for the answer.
    pub fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.send(request, version);
        self.receive::<R>(version)
    }

    /// Asks, and does not wait.
    pub fn send<R: Request>(&mut self, request: &R, version: i16) {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(text(CLIENT_ID)));
        let mut frame = BytesMut::new();
        header.encode(&mut frame, R::header_version(version)).unwrap();
        request.encode(&mut frame, version).unwrap();
        self.send_frame(&frame);
    }

    /// The answer to the last thing asked.
    pub fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let mut frame = self.receive_frame().expect("the broker closed the connection");
        let header =
            ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, self.correlation_id);
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(frame.is_empty(), "{} bytes after the answer to api {}", frame.len(), R::KEY);
        response
    }

    /// Sends any bytes as one frame.
    pub fn send_frame(&mut self, frame: &[u8]) {
        self.stream.write_all(&(frame.len() as u32).to_be_bytes()).unwrap();
        self.stream.write_all(frame).unwrap();
    }

    /// Sends any bytes, without a length before them.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame, or `None` when the broker closed the connection.
    pub fn receive_frame(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        if !self.fill(&mut length) {
            return None;
        }
        let mut frame = BytesMut::zeroed(u32::from_be_bytes(length) as usize);
        self.fill(&mut frame).then(|| frame.freeze())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> bool {
        match self.stream.read_exact(buffer) {
            Ok(()) => true,
            Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                false
            }
            Err(e) => panic!("no answer: {e}"),
        }
    }
}

/// A record batch to be sent.
#[derive(Clone, Debug)]
#[must_use]
pub struct Batch {
    records: Vec<Record>,
    compression: Compression,
}

impl Batch {
    /// Records with a key and a value, all of this moment.
    pub fn of(records: &[(Option<&str>, Option<&str>)]) -> Self {
        let bytes = |text: Option<&str>| text.map(|t| Bytes::copy_from_slice(t.as_bytes()));
        let now = now_ms();
        let records = (0..).zip(records).map(|(i, (key, value))| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: TimestampType::Creation,
            offset: i,
            // The encoder wants sequences that rise with the offsets; only the first is written.
            sequence: i as i32 - 1,
            timestamp: now,
            key: bytes(*key),
            value: bytes(*value),
            headers: IndexMap::new(),
        });
        Self { records: records.collect(), compression: Compression::None }
    }

    /// Records without keys.
    pub fn values(values: &[&str]) -> Self {
        let records: Vec<_> = values.iter().map(|v| (None, Some(*v))).collect();
        Self::of(&records)
    }

    /// Of an idempotent producer, with the sequence of its first record.
    pub fn of_producer(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        for (i, record) in (0..).zip(&mut self.records) {
            record.producer_id = id;
            record.producer_epoch = epoch;
            record.sequence = sequence.wrapping_add(i);
        }
        self
    }

    /// Part of a transaction.
    pub fn transactional(self) -> Self {
        self.edit(|record| record.transactional = true)
    }

    /// A control batch, which no client may send.
    pub fn control(self) -> Self {
        self.edit(|record| record.control = true)
    }

    /// The first record gets the first time, and so on.
    pub fn at(mut self, times_ms: &[i64]) -> Self {
        for (record, time) in self.records.iter_mut().zip(times_ms) {
            record.timestamp = *time;
        }
        self
    }

    /// All records get this header.
    pub fn header(self, key: &str, value: Option<&[u8]>) -> Self {
        let value = value.map(Bytes::copy_from_slice);
        self.edit(|record| drop(record.headers.insert(text(key), value.clone())))
    }

    /// With a codec.
    pub fn compressed(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    fn edit(mut self, mut change: impl FnMut(&mut Record)) -> Self {
        self.records.iter_mut().for_each(&mut change);
        self
    }

    /// As it goes over the wire.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: self.compression };
        RecordBatchEncoder::encode(&mut bytes, &self.records, &options).unwrap();
        bytes.freeze()
    }

    /// The same with some bytes put in the place of as many others wherever those are, and the
    /// checksum of that: for what no encoder writes.
    pub fn encode_with(&self, from: &[u8], to: &[u8]) -> Bytes {
        assert_eq!(from.len(), to.len());
        let mut bytes = self.encode().to_vec();
        let places: Vec<usize> =
            (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
        assert!(!places.is_empty(), "{from:?} is not in the batch");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        let checksum = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
        bytes.into()
    }
}

/// Writes a batch to partition 0 of a topic, as it is.
pub fn produce_bytes(servers: &str, topic: &str, batch: Bytes) {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch));
    let request =
        ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![
            TopicProduceData::default().with_name(text(topic)).with_partition_data(vec![data]),
        ]);
    let response = Connection::open(servers).call(&request, 9);
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(code, 0, "the batch was refused");
}

/// A record batch as it was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// All of it.
    pub bytes: Bytes,
    /// Its records, with their offsets.
    pub records: Vec<Record>,
}

impl Fetched {
    /// The whole batches in the answer to a fetch; Kafka may cut the last one off.
    pub fn all(mut bytes: Bytes) -> Vec<Self> {
        let mut batches = Vec::new();
        while bytes.len() >= 12 {
            let length = 12 + (&bytes[8..12]).get_i32() as usize;
            if length > bytes.len() {
                break;
            }
            let batch = bytes.split_to(length);
            let records = RecordBatchDecoder::decode(&mut batch.clone()).unwrap().records;
            batches.push(Self { bytes: batch, records });
        }
        batches
    }

    /// Everything a broker does not rewrite: without the base offset and the leader epoch.
    pub fn as_sent(&self) -> Bytes {
        self.bytes.slice(16..)
    }

    /// The offset of the first record it had when it was written.
    pub fn base_offset(&self) -> i64 {
        (&self.bytes[0..8]).get_i64()
    }

    /// The epoch of the leader that wrote it.
    pub fn leader_epoch(&self) -> i32 {
        (&self.bytes[12..16]).get_i32()
    }

    /// The bits for codec (0-2), timestamp type (3), transactional (4), control (5), horizon (6).
    pub fn attributes(&self) -> i16 {
        (&self.bytes[21..23]).get_i16()
    }

    /// The offset of the last record it had when it was written.
    pub fn last_offset(&self) -> i64 {
        self.base_offset() + i64::from((&self.bytes[23..27]).get_i32())
    }

    /// The highest timestamp, or the time of the append.
    pub fn max_timestamp_ms(&self) -> i64 {
        (&self.bytes[35..43]).get_i64()
    }

    /// Id, epoch and first sequence of the producer.
    pub fn producer(&self) -> (i64, i16, i32) {
        let mut bytes = &self.bytes[43..57];
        (bytes.get_i64(), bytes.get_i16(), bytes.get_i32())
    }

    /// Of a control batch: true for COMMIT, false for ABORT.
    pub fn marker(&self) -> Option<bool> {
        if self.attributes() & 0x20 == 0 {
            return None;
        }
        let key = self.records.first()?.key.as_ref()?;
        Some((&key[2..4]).get_i16() == 1)
    }
}
