//! A producer snapshot of Apache Kafka: read as it was written, and refused if a bit of it is another.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use oncestream_inspect::snapshot::{ProducerSnapshot, SnapshotError, SnapshotProducer};
use proptest::prelude::*;

/// Written by Apache Kafka 4.3.1 when it stopped, in the test
/// `a_snapshot_of_apache_kafka_has_what_its_broker_knew` with `ONCESTREAM_KEEP_SNAPSHOT` set to this
/// folder: three records of an idempotent producer, a committed transaction of two records, an open one
/// of one record.
fn of_apache_kafka() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/00000000000000000007.snapshot")
}

#[test]
fn a_file_of_apache_kafka_is_read_field_by_field() {
    let file = of_apache_kafka();
    let mut snapshot = ProducerSnapshot::read(&file).unwrap();
    assert_eq!(snapshot.to_bytes(), fs::read(&file).unwrap());
    assert_eq!(ProducerSnapshot::offset_in_name(&file), Some(7));
    snapshot.producers.sort_by_key(|producer| producer.last_offset);
    let facts = snapshot.producers.iter().map(|p| {
        let has_marker = p.coordinator_epoch >= 0;
        (p.last_sequence, p.last_offset, p.offset_delta, has_marker, p.open_since_offset)
    });
    assert_eq!(
        facts.collect::<Vec<_>>(),
        [(2, 2, 2, false, None), (1, 4, 1, true, None), (0, 6, 0, false, Some(6))]
    );
    let text = snapshot.to_string();
    for part in ["version 1", "stored and computed", "3 producers", "OPEN SINCE OFFSET"] {
        assert!(text.contains(part), "{text}");
    }
    let json = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["crc"], snapshot.crc());
    assert_eq!(json["producers"][2]["open_since_offset"], 6);
}

#[test]
fn a_file_that_was_cut_or_changed_anywhere_is_refused() {
    let bytes = fs::read(of_apache_kafka()).unwrap();
    for length in 0..bytes.len() {
        let error = ProducerSnapshot::parse(&bytes[..length]).unwrap_err();
        assert!(matches!(error, SnapshotError::Truncated { .. }), "{length}: {error}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            ProducerSnapshot::parse(&changed).unwrap_err();
        }
    }
    let error = ProducerSnapshot::parse(&[&bytes[..], b"x"].concat()).unwrap_err();
    assert!(matches!(error, SnapshotError::TooLong { producers: 3, .. }), "{error}");
    let mut changed = bytes;
    changed[20] ^= 1;
    let error = ProducerSnapshot::parse(&changed).unwrap_err();
    assert!(matches!(error, SnapshotError::Checksum { .. }), "{error}");
}

#[test]
fn what_is_no_snapshot_is_told_as_such() {
    let error = ProducerSnapshot::parse(b"a text of some length").unwrap_err();
    assert!(matches!(error, SnapshotError::Version { version: 0x6120 }), "{error}");
    // Claims two thousand million producers in ten bytes.
    let claims = [0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
    let error = ProducerSnapshot::parse(&claims).unwrap_err();
    assert!(matches!(error, SnapshotError::Truncated { .. }), "{error}");
    let error = ProducerSnapshot::parse(&[0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
    assert!(matches!(error, SnapshotError::Count { count: -1 }), "{error}");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let error = ProducerSnapshot::read(here).unwrap_err();
    assert!(matches!(error, SnapshotError::NotOne { .. }), "{error}");
    let error = ProducerSnapshot::read(here.join("not there")).unwrap_err();
    assert!(error.to_string().contains("not there"), "{error}");
}

#[test]
fn the_offset_is_that_of_a_name_of_apache_kafka_alone() {
    for (name, offset) in [
        ("lines-0/00000000000000000042.snapshot", Some(42)),
        ("00000000000000000000.snapshot", Some(0)),
        ("42.snapshot", None),
        ("99999999999999999999.snapshot", None),
        ("00000000000000000042.log", None),
        ("", None),
    ] {
        assert_eq!(ProducerSnapshot::offset_in_name(name), offset, "{name}");
    }
}

fn producer() -> impl Strategy<Value = SnapshotProducer> {
    let numbers = (any::<i64>(), any::<i16>(), any::<i32>(), any::<i64>(), any::<i32>());
    (numbers, any::<i64>(), any::<i32>(), proptest::option::of(0..i64::MAX)).prop_map(
        |(numbers, timestamp_ms, coordinator_epoch, open_since_offset)| SnapshotProducer {
            producer_id: numbers.0,
            epoch: numbers.1,
            last_sequence: numbers.2,
            last_offset: numbers.3,
            offset_delta: numbers.4,
            timestamp_ms,
            coordinator_epoch,
            open_since_offset,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(producers in proptest::collection::vec(producer(), 0..20)) {
        let snapshot = ProducerSnapshot::new(producers);
        prop_assert_eq!(ProducerSnapshot::parse(&snapshot.to_bytes()).unwrap(), snapshot.clone());
        prop_assert!(snapshot.to_string().lines().count() > snapshot.producers.len());
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ProducerSnapshot::parse(&bytes);
    }
}
