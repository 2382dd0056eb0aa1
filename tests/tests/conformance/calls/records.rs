//! Produce, Fetch, `ListOffsets`, `DeleteRecords`: partition 0 unless it is named.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    BrokerId, DeleteRecordsRequest, FetchRequest, ListOffsetsRequest, ProduceRequest,
    delete_records_request,
};
use oncestream_tests::raw::{Batch, Fetched, text};

use super::{Answer, Client, Producer, answer, eventually};

/// The version that most bodies produce with.
pub(crate) const PRODUCE: i16 = 9;
const FETCH: i16 = 11;
const LIST_OFFSETS: i16 = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    Uncommitted,
    Committed,
}

/// What one fetch of one partition brought.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_start_offset: i64,
    /// Producer id and first offset.
    pub(crate) aborted: Vec<(i64, i64)>,
    pub(crate) batches: Vec<Fetched>,
}

impl Read {
    pub(crate) fn of(partition: &PartitionData) -> Answer<Self> {
        let aborted = partition.aborted_transactions.iter().flatten();
        let read = Self {
            high_watermark: partition.high_watermark,
            last_stable_offset: partition.last_stable_offset,
            log_start_offset: partition.log_start_offset,
            aborted: aborted.map(|a| (a.producer_id.0, a.first_offset)).collect(),
            batches: Fetched::all(partition.records.clone().unwrap_or_default()),
        };
        answer(partition.error_code, read)
    }

    /// Offset and value of every record but markers.
    pub(crate) fn values(&self) -> Vec<(i64, String)> {
        let data = self.batches.iter().filter(|b| b.marker().is_none());
        let text = |value: &Option<Bytes>| {
            let bytes = value.clone().unwrap_or_else(|| Bytes::from_static(b"(null)"));
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        data.flat_map(|b| b.records.iter().map(|r| (r.offset, text(&r.value)))).collect()
    }

    /// Offset and kind (true: COMMIT) of every marker.
    pub(crate) fn markers(&self) -> Vec<(i64, bool)> {
        let markers = self.batches.iter().filter_map(|b| Some((b.base_offset(), b.marker()?)));
        markers.collect()
    }
}

/// A fetch of partitions of a topic, from an offset each, that does not wait.
pub(crate) fn fetch_request(
    topic: &str,
    from: &[(i32, i64)],
    isolation: Isolation,
) -> FetchRequest {
    let partition = |(partition, offset): &(i32, i64)| {
        FetchPartition::default()
            .with_partition(*partition)
            .with_fetch_offset(*offset)
            .with_current_leader_epoch(-1)
            .with_partition_max_bytes(1 << 20)
    };
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(1 << 22)
        .with_isolation_level(i8::from(isolation == Isolation::Committed))
        .with_session_epoch(-1)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(text(topic))
                .with_partitions(from.iter().map(partition).collect()),
        ])
}

/// A produce request for one partition.
pub(crate) fn produce_request(topic: &str, partition: i32, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
    ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![
        TopicProduceData::default().with_name(text(topic)).with_partition_data(vec![data]),
    ])
}

impl Client {
    pub(crate) fn produce_full(
        &mut self,
        request: &ProduceRequest,
        version: i16,
    ) -> PartitionProduceResponse {
        let response = self.call(request, version);
        response.responses[0].partition_responses[0].clone()
    }

    /// The offset of the first record.
    pub(crate) fn produce_bytes(&mut self, topic: &str, batch: Bytes) -> Answer<i64> {
        let response = self.produce_full(&produce_request(topic, 0, batch), PRODUCE);
        answer(response.error_code, response.base_offset)
    }

    pub(crate) fn produce(&mut self, topic: &str, batch: &Batch) -> Answer<i64> {
        self.produce_bytes(topic, batch.encode())
    }

    /// Values with sequence numbers; in a transaction if the producer has an id for them.
    pub(crate) fn send(
        &mut self,
        producer: &Producer,
        topic: &str,
        sequence: i32,
        values: &[&str],
    ) -> Answer<i64> {
        let batch = Batch::values(values).of_producer(producer.id, producer.epoch, sequence);
        self.send_batch(producer, topic, batch)
    }

    /// A batch of the producer's; in a transaction if the producer has an id for them.
    pub(crate) fn send_batch(
        &mut self,
        producer: &Producer,
        topic: &str,
        mut batch: Batch,
    ) -> Answer<i64> {
        if producer.transactional_id.is_some() {
            batch = batch.transactional();
        }
        let request = produce_request(topic, 0, batch.encode())
            .with_transactional_id(producer.transactional_id.as_deref().map(text));
        eventually("a partition that is ready for the transaction", || {
            let response = self.produce_full(&request, PRODUCE);
            match answer(response.error_code, response.base_offset) {
                // Kafka still checks with the coordinator, or markers are under way.
                Err(ResponseError::ConcurrentTransactions) => None,
                other => Some(other),
            }
        })
    }

    pub(crate) fn fetch_once(&mut self, request: &FetchRequest) -> Answer<Read> {
        let response = self.call(request, FETCH);
        assert_eq!(response.error_code, 0);
        Read::of(&response.responses[0].partitions[0])
    }

    pub(crate) fn try_fetch(
        &mut self,
        topic: &str,
        offset: i64,
        isolation: Isolation,
    ) -> Answer<Read> {
        self.fetch_once(&fetch_request(topic, &[(0, offset)], isolation))
    }

    pub(crate) fn fetch(&mut self, topic: &str, offset: i64, isolation: Isolation) -> Read {
        self.try_fetch(topic, offset, isolation).unwrap()
    }

    pub(crate) fn list_offset_full(
        &mut self,
        topic: &str,
        timestamp: i64,
        isolation: Isolation,
        version: i16,
    ) -> ListOffsetsPartitionResponse {
        let partition =
            ListOffsetsPartition::default().with_timestamp(timestamp).with_current_leader_epoch(-1);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(isolation == Isolation::Committed))
            .with_timeout_ms(30_000)
            .with_topics(vec![
                ListOffsetsTopic::default().with_name(text(topic)).with_partitions(vec![partition]),
            ]);
        let response = self.call(&request, version);
        response.topics[0].partitions[0].clone()
    }

    /// Offset and timestamp.
    pub(crate) fn list_offset(
        &mut self,
        topic: &str,
        timestamp: i64,
        isolation: Isolation,
    ) -> Answer<(i64, i64)> {
        let found = self.list_offset_full(topic, timestamp, isolation, LIST_OFFSETS);
        answer(found.error_code, (found.offset, found.timestamp))
    }

    /// The new first offset.
    pub(crate) fn delete_records(&mut self, topic: &str, before: i64) -> Answer<i64> {
        let partition =
            delete_records_request::DeleteRecordsPartition::default().with_offset(before);
        let request = DeleteRecordsRequest::default().with_timeout_ms(30_000).with_topics(vec![
            delete_records_request::DeleteRecordsTopic::default()
                .with_name(text(topic))
                .with_partitions(vec![partition]),
        ]);
        let response = self.call(&request, 2);
        let partition = &response.topics[0].partitions[0];
        answer(partition.error_code, partition.low_watermark)
    }
}
