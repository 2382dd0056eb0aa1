//! What a partition takes, what it refuses, and how it comes back.

use bytes::{BufMut, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::records::Compression;
use oncestream_tests::raw::{Batch, now_ms};

use crate::Target;
use crate::calls::{Client, Isolation, PRODUCE, answer, eventually, produce_request};

const HOUR_MS: i64 = 3_600_000;

pub(crate) fn records_come_back_as_sent(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "produce-as-sent");
    client.create_topic(topic, 1, &[]);
    let now = now_ms();
    let records = [(None, Some("v0")), (Some("k1"), None), (Some(""), Some("")), (None, None)];
    let batch = Batch::of(&records)
        .at(&[now, now - 5, now + 7, now])
        .header("null", None)
        .header("empty", Some(b""))
        .header("bytes", Some(&[0, 255]));
    let sent = batch.encode();
    assert_eq!(client.produce_bytes(topic, sent.clone()), Ok(0));
    assert_eq!(client.produce_bytes(topic, sent.clone()), Ok(4), "offsets go on");

    let read = client.fetch(topic, 0, Isolation::Uncommitted);
    assert_eq!((read.high_watermark, read.last_stable_offset, read.log_start_offset), (8, 8, 0));
    assert_eq!(read.batches.len(), 2);
    for (batch, base) in read.batches.iter().zip([0, 4]) {
        assert_eq!(batch.as_sent(), sent.slice(16..));
        assert_eq!((batch.base_offset(), batch.last_offset()), (base, base + 3));
        assert_eq!(batch.leader_epoch(), 0);
    }
    let times: Vec<i64> = read.batches[0].records.iter().map(|r| r.timestamp).collect();
    assert_eq!(times, [now, now - 5, now + 7, now]);
}

pub(crate) fn codecs_are_kept_as_sent(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "produce-codecs");
    client.create_topic(topic, 1, &[]);
    let value = "compress me ".repeat(50);
    let codecs = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let mut sent = Vec::new();
    for (i, codec) in (0..).zip(codecs) {
        let batch = Batch::values(&[&value, "b"]).compressed(codec).encode();
        assert_eq!(client.produce_bytes(topic, batch.clone()), Ok(2 * i), "{codec:?}");
        sent.push(batch);
    }
    let read = client.fetch(topic, 0, Isolation::Uncommitted);
    let kept: Vec<i16> = read.batches.iter().map(|b| b.attributes() & 7).collect();
    assert_eq!(kept, [1, 2, 3, 4]);
    for (batch, sent) in read.batches.iter().zip(&sent) {
        assert_eq!(batch.as_sent(), sent.slice(16..));
    }
    let offsets: Vec<i64> = read.values().iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5, 6, 7]);
}

pub(crate) fn log_append_time_is_the_brokers(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "produce-append-time");
    client.create_topic(topic, 1, &[("message.timestamp.type", "LogAppendTime")]);
    let before = now_ms();
    for codec in [Compression::None, Compression::Gzip] {
        let batch = Batch::values(&["a", "b"]).at(&[5, 9]).compressed(codec).encode();
        let response = client.produce_full(&produce_request(topic, 0, batch), PRODUCE);
        assert_eq!(response.error_code, 0);
        let appended = response.log_append_time_ms;
        assert!(appended >= before && appended <= now_ms(), "{appended}");
        let read = client.fetch(topic, response.base_offset, Isolation::Uncommitted);
        let batch = &read.batches[0];
        assert_eq!(batch.attributes() & 8, 8, "the timestamp type is in the attributes");
        assert_eq!(batch.max_timestamp_ms(), appended);
        assert_eq!(batch.records[0].timestamp, 5, "the first timestamp stays in the batch");
    }
    let (offset, time) = client.list_offset(topic, before, Isolation::Uncommitted).unwrap();
    assert_eq!(offset, 0);
    assert!(time >= before);
}

pub(crate) fn create_time_has_no_append_time(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "produce-create-time");
    client.create_topic(topic, 1, &[]);
    let request = produce_request(topic, 0, Batch::values(&["a"]).encode());
    for version in 3..=11 {
        let response = client.produce_full(&request, version);
        let expected = (0, i64::from(version) - 3, -1);
        let found = (response.error_code, response.base_offset, response.log_append_time_ms);
        assert_eq!(found, expected, "version {version}");
        assert_eq!(response.log_start_offset, if version < 5 { -1 } else { 0 });
    }
}

pub(crate) fn a_batch_above_the_maximum_is_refused(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "produce-too-large");
    let batch = Batch::values(&["0123456789"]).encode();
    client.create_topic(topic, 1, &[("max.message.bytes", &batch.len().to_string())]);
    assert_eq!(client.produce_bytes(topic, batch), Ok(0), "the maximum itself is taken");
    let larger = Batch::values(&["0123456789+"]);
    assert_eq!(client.produce(topic, &larger), Err(ResponseError::MessageTooLarge));
    let squeezed = Batch::values(&[&"x".repeat(5000)]).compressed(Compression::Gzip);
    assert_eq!(
        client.produce(topic, &squeezed).is_ok(),
        squeezed.encode().len() <= Batch::values(&["0123456789"]).encode().len(),
        "the size is that of the compressed batch"
    );
    assert_eq!(client.fetch(topic, 0, Isolation::Uncommitted).high_watermark, 1);
}

pub(crate) fn damaged_batches_are_refused(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "produce-damaged");
    client.create_topic(topic, 1, &[]);
    let good = Batch::values(&["a", "b"]).encode();

    let mut flipped = BytesMut::from(&good[..]);
    *flipped.last_mut().unwrap() ^= 1;
    let corrupt = client.produce_bytes(topic, flipped.freeze());
    assert_eq!(corrupt, Err(ResponseError::CorruptMessage));

    let mut old = BytesMut::from(&good[..]);
    old[16] = 1;
    let old = client.produce_bytes(topic, old.freeze());
    assert_eq!(old, Err(ResponseError::InvalidRecord), "the old format");

    let mut two = BytesMut::from(&good[..]);
    two.put_slice(&good);
    let two = client.produce_bytes(topic, two.freeze());
    assert_eq!(two, Err(ResponseError::InvalidRecord), "two batches");

    let none = client.produce_bytes(topic, bytes::Bytes::new());
    assert_eq!(none, Err(ResponseError::InvalidRecord), "no batch");

    let control = client.produce(topic, &Batch::values(&["a"]).control());
    assert_eq!(control, Err(ResponseError::InvalidRecord), "a control batch of a client");

    let cut = client.produce_bytes(topic, good.slice(..good.len() - 3));
    assert_eq!(cut, Err(ResponseError::InvalidRecord), "a batch that is cut off is none");
    assert_eq!(client.fetch(topic, 0, Isolation::Uncommitted).high_watermark, 0);
}

pub(crate) fn a_compacted_topic_wants_keys(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "produce-keys");
    client.create_topic(topic, 1, &[("cleanup.policy", "compact")]);
    let batch = Batch::of(&[(Some("k"), None), (None, Some("v")), (None, Some("w"))]).encode();
    let response = client.produce_full(&produce_request(topic, 0, batch), PRODUCE);
    let refused = answer(response.error_code, ());
    assert_eq!(refused, Err(ResponseError::InvalidRecord));
    assert_eq!(response.base_offset, -1);
    let wrong: Vec<i32> = response.record_errors.iter().map(|r| r.batch_index).collect();
    assert_eq!(wrong, [1, 2], "each record without a key is named");
    assert!(response.error_message.is_some());
    assert_eq!(client.produce(topic, &Batch::of(&[(Some("k"), None)])), Ok(0));
}

pub(crate) fn timestamps_far_off_are_refused(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "produce-far-off");
    let limits = [
        ("message.timestamp.before.max.ms", "7200000"),
        ("message.timestamp.after.max.ms", "7200000"),
    ];
    client.create_topic(topic, 1, &limits);
    let now = now_ms();
    for (shift, expected) in [
        (0, Ok(0)),
        (-HOUR_MS, Ok(1)),
        (HOUR_MS, Ok(2)),
        (-3 * HOUR_MS, Err(ResponseError::InvalidTimestamp)),
        (3 * HOUR_MS, Err(ResponseError::InvalidTimestamp)),
    ] {
        let found = client.produce(topic, &Batch::values(&["a"]).at(&[now + shift]));
        assert_eq!(found, expected, "{shift}");
    }
    let plain = "produce-far-off-default";
    client.create_topic(plain, 1, &[]);
    let old = client.produce(plain, &Batch::values(&["a"]).at(&[0]));
    assert_eq!(old, Ok(0), "any past is taken by default");
    let later = client.produce(plain, &Batch::values(&["a"]).at(&[now + 2 * HOUR_MS]));
    assert_eq!(later, Err(ResponseError::InvalidTimestamp), "but one hour of future");
}

pub(crate) fn unknown_partitions_are_named_one_by_one(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "produce-known");
    client.create_topic(topic, 1, &[]);
    let batch = || Batch::values(&["a"]).encode();
    for (name, partition) in [("produce-nowhere", 0), (topic, 1), (topic, -1)] {
        let response = client.produce_full(&produce_request(name, partition, batch()), PRODUCE);
        let refused = answer(response.error_code, ());
        assert_eq!(refused, Err(ResponseError::UnknownTopicOrPartition), "{name} {partition}");
        assert_eq!(response.base_offset, -1);
    }
    let mut request = produce_request(topic, 7, batch());
    let mut both = produce_request(topic, 0, batch()).topic_data.remove(0);
    request.topic_data[0].partition_data.append(&mut both.partition_data);
    let response = client.call(&request, PRODUCE);
    let mut codes: Vec<(i32, i16)> =
        response.responses[0].partition_responses.iter().map(|p| (p.index, p.error_code)).collect();
    codes.sort_unstable();
    assert_eq!(codes, [(0, 0), (7, 3)], "the known one is written");
}

pub(crate) fn acks_say_when_to_answer(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "produce-acks");
    client.create_topic(topic, 1, &[]);
    let batch = || Batch::values(&["a"]).encode();
    let wrong = produce_request(topic, 0, batch()).with_acks(2);
    let response = client.produce_full(&wrong, PRODUCE);
    let refused = answer(response.error_code, ());
    assert_eq!(refused, Err(ResponseError::InvalidRequiredAcks));
    let leader = produce_request(topic, 0, batch()).with_acks(1);
    assert_eq!(client.produce_full(&leader, PRODUCE).base_offset, 0);
    // No answer: the next one on this connection is that of the fetch.
    client.connection.send(&produce_request(topic, 0, batch()).with_acks(0), PRODUCE);
    eventually("the record nobody acknowledges", || {
        (client.fetch(topic, 0, Isolation::Uncommitted).high_watermark == 2).then_some(())
    });
    let nowhere = produce_request("produce-nowhere", 0, batch()).with_acks(0);
    client.connection.send(&nowhere, PRODUCE);
    assert!(client.connection.receive_frame().is_none(), "an error closes the connection");
}
