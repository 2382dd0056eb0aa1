//! Reading: where a fetch ends, how long it waits, how much it brings; offsets by time.

use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use oncestream_tests::raw::{Batch, now_ms};

use crate::Target;
use crate::calls::{Client, Isolation, Read, answer, fetch_request};

const LONG_MS: i32 = 30_000;
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;
const MAX_TIMESTAMP: i64 = -3;

pub(crate) fn offsets_out_of_range_are_refused(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "fetch-range");
    client.create_topic(topic, 1, &[]);
    client.produce(topic, &Batch::values(&["a", "b", "c"])).unwrap();
    for offset in [4, -1, i64::MAX] {
        let request = fetch_request(topic, &[(0, offset)], Isolation::Uncommitted);
        let response = client.call(&request, 11);
        let partition = &response.responses[0].partitions[0];
        let code = answer(partition.error_code, ());
        assert_eq!(code, Err(ResponseError::OffsetOutOfRange), "{offset}");
        let ends =
            (partition.high_watermark, partition.last_stable_offset, partition.log_start_offset);
        assert_eq!(ends, (-1, -1, -1));
    }
    let at_end = client.fetch(topic, 3, Isolation::Uncommitted);
    assert!(at_end.batches.is_empty(), "the end itself is in range");
    let inside = client.fetch(topic, 1, Isolation::Uncommitted);
    assert_eq!(inside.batches[0].base_offset(), 0, "whole batches, from before the offset");
}

pub(crate) fn unknown_partitions_and_epochs_are_refused(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "fetch-unknown");
    client.create_topic(topic, 1, &[]);
    for (name, partition) in [("fetch-nowhere", 0), (topic, 1)] {
        let request = fetch_request(name, &[(partition, 0)], Isolation::Uncommitted);
        let error = client.fetch_once(&request).unwrap_err();
        assert_eq!(error, ResponseError::UnknownTopicOrPartition, "{name} {partition}");
    }
    for (epoch, expected) in [(0, None), (-1, None), (1, Some(ResponseError::UnknownLeaderEpoch))] {
        let mut request = fetch_request(topic, &[(0, 0)], Isolation::Uncommitted);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        assert_eq!(client.fetch_once(&request).err(), expected, "epoch {epoch}");
    }
}

pub(crate) fn a_fetch_waits_for_the_bytes_it_wants(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "fetch-waits");
    client.create_topic(topic, 1, &[]);
    let mut other = Client::new(kafka);
    let (small, large) = (Batch::values(&["small"]), Batch::values(&[&"large".repeat(200)]));
    let request = fetch_request(topic, &[(0, 0)], Isolation::Uncommitted)
        .with_max_wait_ms(LONG_MS)
        .with_min_bytes(800);
    let begin = Instant::now();
    client.connection.send(&request, 11);
    other.produce(topic, &small).unwrap();
    other.produce(topic, &large).unwrap();
    let response = client.connection.receive::<FetchRequest>(11);
    let read = Read::of(&response.responses[0].partitions[0]).unwrap();
    assert_eq!(read.batches.len(), 2, "the first alone is too little");
    assert!(begin.elapsed() < Duration::from_secs(20), "it was woken, not timed out");
}

pub(crate) fn a_fetch_gives_up_waiting(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "fetch-gives-up");
    client.create_topic(topic, 1, &[]);
    client.produce(topic, &Batch::values(&["little"])).unwrap();
    let wait = Duration::from_millis(300);
    let request = |from| {
        let request = fetch_request(topic, &[(0, from)], Isolation::Uncommitted);
        request.with_max_wait_ms(wait.as_millis() as i32).with_min_bytes(1000)
    };
    for (from, found) in [(0, 1), (1, 0)] {
        let begin = Instant::now();
        let read = client.fetch_once(&request(from)).unwrap();
        assert!(begin.elapsed() >= wait, "{:?}", begin.elapsed());
        assert_eq!(read.batches.len(), found, "what there is comes even so");
    }
    let begin = Instant::now();
    let late = client.fetch_once(&request(9).with_max_wait_ms(LONG_MS)).unwrap_err();
    assert_eq!(late, ResponseError::OffsetOutOfRange);
    assert!(begin.elapsed() < Duration::from_secs(20), "an error is answered at once");
}

pub(crate) fn a_waiting_fetch_sees_a_commit(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "fetch-sees-commit");
    client.create_topic(topic, 1, &[]);
    let mut other = Client::new(kafka);
    let producer = other.init("fetch-sees-commit");
    other.begin(&producer, topic);
    other.send(&producer, topic, 0, &["a"]).unwrap();
    let request = fetch_request(topic, &[(0, 0)], Isolation::Committed).with_max_wait_ms(LONG_MS);
    let begin = Instant::now();
    client.connection.send(&request, 11);
    other.end(&producer, true);
    let response = client.connection.receive::<FetchRequest>(11);
    let read = Read::of(&response.responses[0].partitions[0]).unwrap();
    assert_eq!(read.values(), [(0, "a".to_owned())]);
    assert!(begin.elapsed() < Duration::from_secs(20), "it was woken, not timed out");
}

pub(crate) fn limits_still_bring_one_batch(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "fetch-limits");
    client.create_topic(topic, 2, &[]);
    let batch = Batch::values(&[&"x".repeat(100)]).encode();
    for partition in [0, 0, 0, 1] {
        let request = crate::calls::produce_request(topic, partition, batch.clone());
        assert_eq!(client.produce_full(&request, 9).error_code, 0);
    }
    let all = fetch_request(topic, &[(0, 0)], Isolation::Uncommitted);
    assert_eq!(client.fetch_once(&all.clone().with_max_bytes(1)).unwrap().batches.len(), 1);
    let size = batch.len() as i32;
    for (limit, expected) in [(1, 1), (2 * size, 2), (2 * size + 1, 2), (9 * size, 3)] {
        let mut request = all.clone();
        request.topics[0].partitions[0].partition_max_bytes = limit;
        let read = client.fetch_once(&request).unwrap();
        assert_eq!(read.batches.len(), expected, "{limit} of {size}");
    }
    let both = fetch_request(topic, &[(0, 0), (1, 0)], Isolation::Uncommitted);
    let response = client.call(&both.with_max_bytes(1), 11);
    let counts: Vec<usize> = response.responses[0]
        .partitions
        .iter()
        .map(|p| Read::of(p).unwrap().batches.len())
        .collect();
    assert_eq!(counts, [1, 0], "one batch for the whole answer, of the first that has any");
}

pub(crate) fn every_version_reads_the_same(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "fetch-versions");
    client.create_topic(topic, 1, &[]);
    client.produce(topic, &Batch::values(&["a", "b"])).unwrap();
    let request = fetch_request(topic, &[(0, 1)], Isolation::Committed);
    for version in 4..=12 {
        let response = client.call(&request, version);
        let topic = &response.responses[0];
        assert_eq!(topic.topic.as_str(), "fetch-versions", "version {version}");
        let read = Read::of(&topic.partitions[0]).unwrap();
        assert_eq!(read.values(), [(0, "a".to_owned()), (1, "b".to_owned())]);
        assert_eq!((read.high_watermark, read.last_stable_offset), (2, 2));
    }
}

pub(crate) fn offsets_are_found_by_time(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "fetch-by-time");
    client.create_topic(topic, 1, &[]);
    let uncommitted = Isolation::Uncommitted;
    for (time, expected) in
        [(EARLIEST, (0, -1)), (LATEST, (0, -1)), (MAX_TIMESTAMP, (-1, -1)), (0, (-1, -1))]
    {
        assert_eq!(client.list_offset(topic, time, uncommitted), Ok(expected), "empty, {time}");
    }
    let now = now_ms() - 1000;
    client.produce(topic, &Batch::values(&["a", "b", "c"]).at(&[now, now + 20, now + 10])).unwrap();
    client.produce(topic, &Batch::values(&["d", "e"]).at(&[now + 5, now + 20])).unwrap();
    for (time, expected) in [
        (EARLIEST, (0, -1)),
        (LATEST, (5, -1)),
        (MAX_TIMESTAMP, (1, now + 20)),
        (0, (0, now)),
        (now, (0, now)),
        (now + 1, (1, now + 20)),
        (now + 20, (1, now + 20)),
        (now + 21, (-1, -1)),
    ] {
        assert_eq!(client.list_offset(topic, time, uncommitted), Ok(expected), "{time} - {now}");
    }
    let nowhere = client.list_offset("fetch-nowhere", LATEST, uncommitted);
    assert_eq!(nowhere, Err(ResponseError::UnknownTopicOrPartition));
    for version in 1..=10 {
        let found = client.list_offset_full(topic, LATEST, uncommitted, version);
        assert_eq!((found.error_code, found.offset), (0, 5), "version {version}");
        assert_eq!(found.leader_epoch, if version < 4 { -1 } else { 0 });
    }
}

pub(crate) fn an_open_transaction_bounds_committed_offsets(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "fetch-bound");
    client.create_topic(topic, 1, &[]);
    let now = now_ms() - 1000;
    client.produce(topic, &Batch::values(&["a"]).at(&[now])).unwrap();
    let producer = client.init("fetch-bound");
    client.begin(&producer, topic);
    client.send(&producer, topic, 0, &["b"]).unwrap();
    client.produce(topic, &Batch::values(&["c"]).at(&[now + 7])).unwrap();
    for (isolation, end) in [(Isolation::Uncommitted, 3), (Isolation::Committed, 1)] {
        assert_eq!(client.list_offset(topic, LATEST, isolation), Ok((end, -1)));
        assert_eq!(client.list_offset(topic, EARLIEST, isolation), Ok((0, -1)));
    }
    let found = client.list_offset(topic, now + 1, Isolation::Uncommitted).unwrap();
    assert_eq!(found.0, 1, "the first that is late enough");
    let hidden = client.list_offset(topic, now + 1, Isolation::Committed);
    assert_eq!(hidden, Ok((-1, -1)), "what lies past the last stable offset is not found");
    client.end(&producer, true);
    assert_eq!(client.list_offset(topic, LATEST, Isolation::Committed), Ok((4, -1)));
}

pub(crate) fn deleted_records_are_out_of_range(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "fetch-deleted");
    client.create_topic(topic, 1, &[]);
    client.produce(topic, &Batch::values(&["a", "b", "c"])).unwrap();
    client.produce(topic, &Batch::values(&["d"])).unwrap();
    assert_eq!(client.delete_records(topic, 5), Err(ResponseError::OffsetOutOfRange));
    assert_eq!(client.delete_records(topic, 2), Ok(2));
    assert_eq!(client.list_offset(topic, EARLIEST, Isolation::Uncommitted), Ok((2, -1)));
    let early = client.try_fetch(topic, 1, Isolation::Uncommitted).unwrap_err();
    assert_eq!(early, ResponseError::OffsetOutOfRange);
    let read = client.fetch(topic, 2, Isolation::Uncommitted);
    assert_eq!((read.log_start_offset, read.high_watermark), (2, 4));
    assert_eq!(read.values()[2], (2, "c".to_owned()), "the offset may lie inside a batch");
    assert_eq!(client.delete_records(topic, 1), Ok(2), "what is gone stays gone");
    assert_eq!(client.delete_records(topic, -1), Ok(4), "all of it");
    assert_eq!(client.produce(topic, &Batch::values(&["e"])), Ok(4));
}
