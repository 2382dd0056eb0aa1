//! A client that is no library: it sends one request, as it was written by hand, and waits for its
//! answer.
//!
//! It retries nothing and remembers nothing. Chapters use it where the question is what a broker
//! answers, and a library would never ask.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    InitProducerIdRequest, ProduceRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};

use crate::LabError;
use crate::stage::LIMIT;

/// Of `Produce`: the last version that names topics and needs no feature of later brokers.
const PRODUCE: i16 = 9;
/// Of `InitProducerId`.
const INIT_PRODUCER_ID: i16 = 4;
/// More than any answer here has.
const LONGEST: usize = 1 << 20;

/// Id and epoch of an idempotent producer.
pub(crate) type Producer = (i64, i16);

/// A batch of records that an idempotent producer sends.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    producer: Producer,
    /// Of its first record.
    sequence: i32,
    values: Vec<String>,
}

impl Batch {
    pub(crate) fn new(producer: Producer, sequence: i32, values: &[String]) -> Self {
        Self { producer, sequence, values: values.to_vec() }
    }

    fn encode(&self) -> Result<Bytes, LabError> {
        let records = (0..).zip(&self.values).map(|(index, value)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(index),
            sequence: self.sequence.wrapping_add(index),
            // Any time will do: the same batch has the same bytes each time.
            timestamp: 1_700_000_000_000,
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: IndexMap::new(),
        });
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, &records.collect::<Vec<_>>(), &options)
            .map_err(failed)?;
        Ok(bytes.freeze())
    }
}

/// A connection to a broker.
#[derive(Debug)]
pub(crate) struct Raw {
    stream: TcpStream,
    client_id: &'static str,
    correlation_id: i32,
}

impl Raw {
    /// Connects to the first of the servers.
    pub(crate) fn open(servers: &str, client_id: &'static str) -> Result<Self, LabError> {
        let first = servers.split(',').next().unwrap_or(servers);
        let stream = TcpStream::connect(first).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(LIMIT)).map_err(failed)?;
        Ok(Self { stream, client_id, correlation_id: 0 })
    }

    /// Asks for a producer id.
    pub(crate) fn producer(&mut self) -> Result<Producer, LabError> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(i32::MAX)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let answer = self.call(&request, INIT_PRODUCER_ID)?;
        Ok((answer.producer_id.0, answer.producer_epoch))
    }

    /// Sends a batch to a partition: the offset that the broker answers with, or its error.
    pub(crate) fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: &Batch,
    ) -> Result<Result<i64, ResponseError>, LabError> {
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(batch.encode()?));
        let topic = TopicProduceData::default()
            .with_name(StrBytes::from_string(topic.to_owned()).into())
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(LIMIT.as_millis() as i32)
            .with_topic_data(vec![topic]);
        let answer = self.call(&request, PRODUCE)?;
        let told = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let told = told.ok_or_else(|| failed("the answer to Produce has no partition"))?;
        Ok(match ResponseError::try_from_code(told.error_code) {
            None => Ok(told.base_offset),
            Some(error) => Err(error),
        })
    }

    fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, LabError> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str(self.client_id)));
        let mut frame = BytesMut::new();
        header.encode(&mut frame, R::header_version(version)).map_err(failed)?;
        request.encode(&mut frame, version).map_err(failed)?;
        self.stream.write_all(&(frame.len() as u32).to_be_bytes()).map_err(failed)?;
        self.stream.write_all(&frame).map_err(failed)?;

        let mut length = [0; 4];
        self.stream.read_exact(&mut length).map_err(failed)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > LONGEST {
            return Err(failed(format!("an answer of {length} bytes")));
        }
        let mut answer = BytesMut::zeroed(length);
        self.stream.read_exact(&mut answer).map_err(failed)?;
        let mut answer = answer.freeze();
        ResponseHeader::decode(&mut answer, R::Response::header_version(version))
            .map_err(failed)?;
        R::Response::decode(&mut answer, version).map_err(failed)
    }
}

fn failed(error: impl Display) -> LabError {
    LabError::Raw(error.to_string())
}
