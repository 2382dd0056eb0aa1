//! Which batches are taken, which are refused and how, and what is stored of them.

use super::*;

fn refused(bytes: &[u8], settings: &LogSettings) -> AppendError {
    let mut log = PartitionLog::new();
    let error = log.append(bytes, settings, NOW).unwrap_err();
    assert_eq!((log.high_watermark(), log.size_bytes()), (0, 0), "nothing was written");
    assert!(log.producers().is_empty(), "no producer was noted");
    error
}

fn refused_with(change: impl FnOnce(&mut Header)) -> ResponseError {
    refused(&send([("a", "1"), ("b", "2")]).bytes_with(change), &LogSettings::default()).error
}

#[test]
fn a_batch_is_kept_as_sent_at_the_next_offsets() {
    let mut log = PartitionLog::new();
    let first = append(&mut log, send([("a", "1"), ("b", "2")])).unwrap();
    log.bump_leader_epoch();
    let sent = send([("c", "3")]).bytes();
    let second = log.append(&sent, &LogSettings::default(), NOW + 5).unwrap();
    assert_eq!((first.base_offset, second.base_offset, log.high_watermark()), (0, 2, 3));
    assert_eq!((first.log_append_time_ms, first.duplicate), (-1, false));
    let read =
        log.read(2, usize::MAX, true, Isolation::ReadUncommitted, log.ends(0)).unwrap().records;
    assert_eq!(read[16..], sent[16..], "all but offset, length and leader epoch is as sent");
    assert_eq!(read[..8], 2_i64.to_be_bytes());
    assert_eq!(read[12..16], 1_i32.to_be_bytes());
}

#[test]
fn another_decoder_reads_what_was_appended() {
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1"), ("b", "")]).by(7, 1, 0).transactional()).unwrap();
    log.append_marker(7, 1, 3, false, NOW).unwrap();
    let mut read =
        log.read(0, usize::MAX, true, Isolation::ReadUncommitted, log.ends(0)).unwrap().records;
    let sets = kafka_protocol::records::RecordBatchDecoder::decode_all(&mut read).unwrap();
    let records: Vec<_> = sets.into_iter().flat_map(|set| set.records).collect();
    let offsets: Vec<_> = records.iter().map(|r| (r.offset, r.control, r.transactional)).collect();
    assert_eq!(offsets, [(0, false, true), (1, false, true), (2, true, true)]);
    assert_eq!(records[1].value, None);
    assert_eq!(records[1].key.as_deref(), Some(&b"b"[..]));
    assert_eq!(records[1].sequence, 1);
    assert_eq!(records[2].key.as_deref(), Some(&[0, 0, 0, 0][..]), "version 0, abort");
    assert_eq!(records[2].value.as_deref(), Some(&[0, 0, 0, 0, 0, 3][..]), "version 0, epoch 3");
    assert_eq!((records[2].producer_id, records[2].producer_epoch), (7, 1));
}

#[test]
fn log_append_time_replaces_timestamps_and_renews_the_checksum() {
    let settings = LogSettings { log_append_time: true, ..LogSettings::default() };
    let mut log = PartitionLog::new();
    let old = send([("a", "1")]).at(5).bytes();
    let appended = log.append(&old, &settings, NOW).unwrap();
    assert_eq!(appended.log_append_time_ms, NOW);
    let read =
        log.read(0, usize::MAX, true, Isolation::ReadUncommitted, log.ends(0)).unwrap().records;
    let (header, _) = batches(&read)[0];
    assert!(header.log_append_time());
    assert_eq!(header.max_timestamp, NOW);
    assert_eq!(log.records()[0].timestamp_ms, NOW);
    let claims = send([("a", "1")]).bytes_with(|header| header.attributes |= 0x08);
    assert_eq!(refused(&claims, &settings).error, ResponseError::InvalidTimestamp);
}

#[test]
fn a_wrong_max_timestamp_is_put_right() {
    let mut log = PartitionLog::new();
    let bytes = send([("a", "1")]).bytes_with(|header| header.max_timestamp = 3);
    log.append(&bytes, &LogSettings::default(), NOW).unwrap();
    let read =
        log.read(0, usize::MAX, true, Isolation::ReadUncommitted, log.ends(0)).unwrap().records;
    assert_eq!(batches(&read)[0].0.max_timestamp, NOW);
}

#[test]
fn a_spoilt_byte_is_a_corrupt_message() {
    let mut bytes = send([("a", "1")]).bytes();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&bytes, &LogSettings::default()).error, ResponseError::CorruptMessage);
}

#[test]
fn offsets_and_counts_must_agree() {
    assert_eq!(refused_with(|h| h.record_count = 1), ResponseError::InvalidRecord);
    assert_eq!(refused_with(|h| h.last_offset_delta = 2), ResponseError::InvalidRecord);
    assert_eq!(refused_with(|h| h.last_offset_delta = -1), ResponseError::InvalidRecord);
    assert_eq!(refused_with(|h| h.base_offset = 1), ResponseError::InvalidRecord);
    let beyond = |h: &mut Header| {
        h.record_count = i32::MAX;
        h.last_offset_delta = i32::MAX - 1;
    };
    assert_eq!(refused_with(beyond), ResponseError::InvalidRecord);
    let none = |h: &mut Header| {
        h.record_count = 0;
        h.last_offset_delta = -1;
    };
    assert_eq!(refused_with(none), ResponseError::InvalidRecord);
}

#[test]
fn clients_write_no_markers_and_no_unknown_codecs() {
    assert_eq!(refused_with(|h| h.attributes |= 0x30), ResponseError::InvalidRecord);
    assert_eq!(refused_with(|h| h.attributes |= 7), ResponseError::UnsupportedCompressionType);
    assert_eq!(refused_with(|h| h.producer_id = 4), ResponseError::InvalidRecord, "no sequence");
}

#[test]
fn exactly_one_batch_of_format_2_is_taken() {
    let default = LogSettings::default();
    let one = send([("a", "1")]).bytes();
    assert_eq!(refused(&[], &default).error, ResponseError::InvalidRecord);
    assert_eq!(refused(&one.repeat(2), &default).error, ResponseError::InvalidRecord);
    assert_eq!(refused(&one[..one.len() - 1], &default).error, ResponseError::InvalidRecord);
    for (magic, error) in [
        (0, ResponseError::InvalidRecord),
        (1, ResponseError::InvalidRecord),
        (3, ResponseError::CorruptMessage),
    ] {
        let mut old = one.clone();
        old[16] = magic;
        assert_eq!(refused(&old, &default).error, error);
    }
    let mut short = [0; 20];
    short[11] = 13;
    assert_eq!(refused(&short, &default).error, ResponseError::CorruptMessage, "no batch fits");
    let mut tail = one.clone();
    tail.extend_from_slice(&one[..20]);
    assert!(PartitionLog::new().append(&tail, &default, NOW).is_ok(), "a cut-off rest is dropped");
}

#[test]
fn a_batch_over_the_limit_is_too_large() {
    let bytes = send([("a", "1")]).bytes();
    let settings = |max| LogSettings { max_message_bytes: max, ..LogSettings::default() };
    assert_eq!(refused(&bytes, &settings(bytes.len() - 1)).error, ResponseError::MessageTooLarge);
    assert!(PartitionLog::new().append(&bytes, &settings(bytes.len()), NOW).is_ok());
}

#[test]
fn timestamps_out_of_bounds_are_refused_with_their_records() {
    let settings = LogSettings {
        timestamp_before_max_ms: 1000,
        timestamp_after_max_ms: 2000,
        ..LogSettings::default()
    };
    for codec in [Codec::None, Codec::Lz4] {
        for (timestamp, taken) in [
            (NOW - 1000, true),
            (NOW - 1001, false),
            (NOW + 2000, true),
            (NOW + 2001, false),
            (-1, true),
        ] {
            let bytes = send([("a", "1")]).at(timestamp).codec(codec).bytes();
            assert_eq!(PartitionLog::new().append(&bytes, &settings, NOW).is_ok(), taken);
        }
        let mut mixed = send([("a", "1"), ("b", "2"), ("c", "3")]).codec(codec);
        mixed.records[1].2 = NOW + 9_000_000;
        let error = refused(&mixed.bytes(), &LogSettings::default());
        assert_eq!(error.error, ResponseError::InvalidTimestamp);
        let indexes: Vec<_> = error.record_errors.iter().map(|(index, _)| *index).collect();
        assert_eq!(indexes, [1]);
    }
}

#[test]
fn a_compacted_topic_takes_no_record_without_a_key() {
    for codec in [Codec::None, Codec::Gzip] {
        let bytes = send([("a", "1"), ("", "2")]).codec(codec).bytes();
        let error = refused(&bytes, &compacting());
        assert_eq!(error.error, ResponseError::InvalidRecord);
        assert_eq!(error.record_errors[0].0, 1);
        assert!(PartitionLog::new().append(&bytes, &LogSettings::default(), NOW).is_ok());
    }
}

#[test]
fn inspect_tells_what_the_header_says_and_changes_nothing() {
    let bytes = send([("a", "1"), ("b", "2")]).by(9, 4, 17).transactional().bytes();
    let info = PartitionLog::inspect(&bytes).unwrap();
    assert_eq!((info.producer_id, info.producer_epoch, info.base_sequence), (9, 4, 17));
    assert!(info.transactional && !info.control);
    assert_eq!((info.record_count, info.codec), (2, Some(Codec::None)));
    assert!(PartitionLog::inspect(&bytes[..9]).is_err());
}

/// Every byte changed, every length cut: with the checksum made right again, so that the checks
/// behind it are reached.
#[test]
fn malformed_bytes_are_an_error_and_never_a_panic() {
    let mut taken = 0;
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let good = send([("key", "value"), ("other", "")]).by(1, 0, 0).codec(codec).bytes();
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, good[at] ^ 0x10] {
                let mut bytes = good.clone();
                bytes[at] = value;
                if !(17..21).contains(&at) {
                    let crc = crc32c::crc32c(&bytes[21..]);
                    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
                }
                let mut log = PartitionLog::new();
                taken += u32::from(log.append(&bytes, &compacting(), NOW).is_ok());
                log.records();
                log.offset_for_timestamp(0, Isolation::ReadCommitted);
                log.clean(&compacting(), NOW);
            }
            let _ = PartitionLog::new().append(&good[..at], &compacting(), NOW);
        }
    }
    assert!(taken > 0, "some changes are harmless");
}
