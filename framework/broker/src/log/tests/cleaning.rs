//! Retention and compaction.

use super::*;

fn live(log: &PartitionLog) -> Vec<(i64, String)> {
    let text = |record: &LogRecord| {
        let side = |bytes: &Option<Bytes>| {
            String::from_utf8_lossy(bytes.as_deref().unwrap_or(b"-")).into_owned()
        };
        (record.offset, side(&record.key) + &side(&record.value))
    };
    log.records().iter().filter(|record| record.control.is_none()).map(text).collect()
}

fn pairs(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(offset, text)| (*offset, (*text).to_owned())).collect()
}

fn spans(log: &PartitionLog) -> Vec<(i64, i64, i32)> {
    let read = log
        .read(log.start_offset(), usize::MAX, true, Isolation::ReadUncommitted, log.ends(0))
        .unwrap();
    let span = |h: &Header| (h.base_offset, h.last_offset(), h.record_count);
    batches(&read.records).iter().map(|(header, _)| span(header)).collect()
}

#[test]
fn compaction_keeps_the_last_record_of_each_key_at_its_offset() {
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut log = PartitionLog::new();
        append(&mut log, send([("a", "1"), ("b", "1"), ("c", "1")]).codec(codec)).unwrap();
        append(&mut log, send([("a", "2"), ("a", "3")]).codec(codec)).unwrap();
        append(&mut log, send([("b", "2")]).codec(codec)).unwrap();
        let before = log.size_bytes();
        let cleaned = log.clean(&compacting(), NOW);
        assert_eq!(cleaned.records_removed, 3);
        assert_eq!(cleaned.bytes_removed, before - log.size_bytes());
        assert_eq!(live(&log), pairs(&[(2, "c1"), (4, "a3"), (5, "b2")]));
        assert_eq!(spans(&log), [(0, 2, 1), (3, 4, 1), (5, 5, 1)], "batches keep their range");
        assert_eq!(log.high_watermark(), 6);
        let read = log.read(0, usize::MAX, true, Isolation::ReadUncommitted, log.ends(0)).unwrap();
        assert!(batches(&read.records).iter().all(|(h, _)| h.codec() == Some(codec)));
        assert_eq!(log.records()[0].headers, [("h".to_owned(), Some(Bytes::from("x")))]);
        assert_eq!(log.clean(&compacting(), NOW), Cleaned::default(), "nothing more to do");
    }
}

#[test]
fn a_batch_without_records_goes_unless_it_ends_the_log() {
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1")])).unwrap();
    append(&mut log, send([("a", "2")])).unwrap();
    append(&mut log, send([("b", "1")]).by(5, 0, 0).transactional()).unwrap();
    log.append_marker(5, 0, 0, false, NOW).unwrap();
    append(&mut log, send([("c", "1")]).by(6, 0, 0).transactional()).unwrap();
    log.clean(&compacting(), NOW);
    let spans = spans(&log);
    assert_eq!(spans, [(1, 1, 1), (2, 2, 0), (3, 3, 1), (4, 4, 1)], "2 has 5's sequence");
    assert!(append(&mut log, send([("b", "1")]).by(5, 0, 0)).unwrap().duplicate);
}

#[test]
fn the_last_batch_of_a_producer_is_kept_empty() {
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1")]).by(1, 0, 0)).unwrap();
    append(&mut log, send([("a", "2")]).by(1, 0, 1)).unwrap();
    append(&mut log, send([("a", "3")])).unwrap();
    log.clean(&compacting(), NOW);
    assert_eq!(spans(&log), [(1, 1, 0), (2, 2, 1)]);
    let read = log.read(0, usize::MAX, true, Isolation::ReadUncommitted, log.ends(0)).unwrap();
    let (empty, bytes) = batches(&read.records)[0];
    assert_eq!((empty.producer_id, empty.base_sequence, bytes.len()), (1, 1, 61));
    assert_eq!((empty.base_timestamp, empty.max_timestamp), (-1, NOW));
    append(&mut log, send([("b", "1")]).by(1, 0, 2)).unwrap();
    append(&mut log, send([("c", "1")])).unwrap();
    log.clean(&compacting(), NOW);
    assert_eq!(spans(&log), [(2, 2, 1), (3, 3, 1), (4, 4, 1)]);
}

#[test]
fn tombstones_stay_until_their_horizon() {
    let settings = LogSettings { delete_retention_ms: 100, ..compacting() };
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1"), ("b", "1")])).unwrap();
    append(&mut log, send([("a", ""), ("c", "1")]).at(NOW - 7)).unwrap();
    append(&mut log, send([("d", "1")])).unwrap();
    log.clean(&settings, NOW);
    assert_eq!(live(&log), pairs(&[(1, "b1"), (2, "a-"), (3, "c1"), (4, "d1")]));
    let read = log.read(2, 1, true, Isolation::ReadUncommitted, log.ends(0)).unwrap();
    assert_eq!(batches(&read.records)[0].0.delete_horizon_ms(), Some(NOW + 100));
    assert_eq!(log.records()[1].timestamp_ms, NOW - 7, "timestamps survive the horizon");
    log.clean(&settings, NOW + 99);
    assert_eq!(live(&log).len(), 4, "the horizon is set once");
    log.clean(&settings, NOW + 100);
    assert_eq!(live(&log), pairs(&[(1, "b1"), (3, "c1"), (4, "d1")]));
    assert_eq!(log.records()[1].timestamp_ms, NOW - 7);
}

#[test]
fn aborted_records_go_first_and_their_marker_after_its_horizon() {
    let settings = LogSettings { delete_retention_ms: 100, ..compacting() };
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1")])).unwrap();
    append(&mut log, send([("a", "2")]).by(1, 0, 0).transactional()).unwrap();
    log.append_marker(1, 0, 0, false, NOW).unwrap();
    append(&mut log, send([("z", "1")]).by(1, 0, 1)).unwrap();
    log.clean(&settings, NOW);
    assert_eq!(live(&log), pairs(&[(0, "a1"), (3, "z1")]), "an aborted write hides nothing");
    assert_eq!(spans(&log), [(0, 0, 1), (2, 2, 1), (3, 3, 1)]);
    log.clean(&settings, NOW + 1000);
    assert_eq!(spans(&log).len(), 3, "the marker's horizon was set only now");
    log.clean(&settings, NOW + 1099);
    assert_eq!(spans(&log).len(), 3);
    log.clean(&settings, NOW + 1100);
    assert_eq!(spans(&log), [(0, 0, 1), (3, 3, 1)]);
    assert_eq!(committed_values(&log), ["1", "1"]);
}

#[test]
fn a_commit_marker_stays_while_its_records_do() {
    let settings = LogSettings { delete_retention_ms: 0, ..compacting() };
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1")]).by(1, 0, 0).transactional()).unwrap();
    log.append_marker(1, 0, 0, true, NOW).unwrap();
    append(&mut log, send([("b", "1")]).by(1, 0, 1)).unwrap();
    for later in 0..4 {
        log.clean(&settings, NOW + later);
    }
    assert_eq!(spans(&log), [(0, 0, 1), (1, 1, 1), (2, 2, 1)]);
    append(&mut log, send([("a", "2")])).unwrap();
    for later in 4..8 {
        log.clean(&settings, NOW + later);
    }
    assert_eq!(spans(&log), [(2, 2, 1), (3, 3, 1)]);
}

#[test]
fn the_marker_that_has_a_producers_epoch_stays() {
    let settings = LogSettings { delete_retention_ms: 0, ..compacting() };
    let mut log = PartitionLog::new();
    log.append_marker(1, 3, 0, false, NOW).unwrap();
    append(&mut log, send([("a", "1")])).unwrap();
    for later in 0..4 {
        log.clean(&settings, NOW + later);
    }
    assert_eq!(spans(&log), [(0, 0, 0), (1, 1, 1)], "emptied, but there");
}

#[test]
fn the_batch_that_ends_the_log_is_kept_empty() {
    let settings = LogSettings { delete_retention_ms: 0, ..compacting() };
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1")])).unwrap();
    append(&mut log, send([("b", "")])).unwrap();
    for later in 0..3 {
        log.clean(&settings, NOW + later);
    }
    assert_eq!(spans(&log), [(0, 0, 1), (1, 1, 0)]);
    append(&mut log, send([("c", "1")])).unwrap();
    log.clean(&settings, NOW + 3);
    assert_eq!(spans(&log), [(0, 0, 1), (2, 2, 1)]);
}

#[test]
fn an_abort_marker_stays_while_an_emptied_batch_of_its_transaction_does() {
    let settings = LogSettings { delete_retention_ms: 0, ..compacting() };
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1")]).by(1, 0, 0).transactional()).unwrap();
    log.append_marker(1, 0, 0, false, NOW).unwrap();
    append(&mut log, send([("b", "1")])).unwrap();
    for later in 0..4 {
        log.clean(&settings, NOW + later);
    }
    assert_eq!(spans(&log), [(0, 0, 0), (1, 1, 1), (2, 2, 1)]);
}

#[test]
fn an_aborted_transaction_that_is_cleaned_in_part_stays_hidden() {
    let settings = LogSettings { min_compaction_lag_ms: 1000, ..compacting() };
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1")]).at(NOW - 2000).by(1, 0, 0).transactional()).unwrap();
    append(&mut log, send([("a", "2")]).by(1, 0, 1).transactional()).unwrap();
    log.append_marker(1, 0, 0, false, NOW).unwrap();
    log.clean(&settings, NOW);
    assert_eq!(live(&log), pairs(&[(1, "a2")]));
    assert_eq!(committed_values(&log), [""; 0]);
}

#[test]
fn open_transactions_and_what_follows_them_are_not_cleaned() {
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1")])).unwrap();
    append(&mut log, send([("a", "2")]).by(1, 0, 0).transactional()).unwrap();
    append(&mut log, send([("a", "3")])).unwrap();
    append(&mut log, send([("a", "4")])).unwrap();
    log.clean(&compacting(), NOW);
    assert_eq!(live(&log).len(), 4);
    log.append_marker(1, 0, 0, true, NOW).unwrap();
    log.clean(&compacting(), NOW);
    assert_eq!(live(&log), pairs(&[(3, "a4")]));
}

#[test]
fn young_records_are_not_compacted() {
    let settings = LogSettings { min_compaction_lag_ms: 1000, ..compacting() };
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1")]).at(NOW - 2000)).unwrap();
    append(&mut log, send([("a", "2")]).at(NOW - 1500)).unwrap();
    append(&mut log, send([("a", "3")]).at(NOW)).unwrap();
    log.clean(&settings, NOW);
    assert_eq!(live(&log), pairs(&[(1, "a2"), (2, "a3")]));
}

#[test]
fn retention_by_time_drops_old_batches_from_the_start_only() {
    let settings = LogSettings { retention_ms: 1000, ..LogSettings::default() };
    let mut log = PartitionLog::new();
    for age in [5000, 1001, 1000, 9000] {
        append(&mut log, send([("a", "1")]).at(NOW - age)).unwrap();
    }
    assert_eq!(log.clean(&settings, NOW).records_removed, 2);
    assert_eq!((log.start_offset(), log.high_watermark()), (2, 4));
    log.clean(&settings, NOW + 1000);
    assert_eq!((log.start_offset(), log.high_watermark(), log.size_bytes()), (4, 4, 0));
    let mut forever = PartitionLog::new();
    append(&mut forever, send([("a", "1")]).at(0)).unwrap();
    forever.clean(&LogSettings { retention_ms: -1, ..settings }, NOW);
    assert_eq!(forever.start_offset(), 0);
}

#[test]
fn retention_by_size_keeps_at_least_that_much() {
    let mut log = PartitionLog::new();
    for _ in 0..5 {
        append(&mut log, send([("a", "1")])).unwrap();
    }
    let size = log.size_bytes() as i64 / 5;
    let settings = |bytes| LogSettings { retention_bytes: bytes, ..LogSettings::default() };
    log.clean(&settings(3 * size - 1), NOW);
    assert_eq!(log.start_offset(), 2, "never below the limit");
    log.clean(&settings(2 * size), NOW);
    assert_eq!(log.start_offset(), 3);
}

#[test]
fn retention_spares_open_transactions() {
    let settings = LogSettings { retention_ms: 1, ..LogSettings::default() };
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1")]).at(0)).unwrap();
    append(&mut log, send([("a", "2")]).at(0).by(1, 0, 0).transactional()).unwrap();
    append(&mut log, send([("a", "3")]).at(0)).unwrap();
    log.clean(&settings, NOW);
    assert_eq!(log.start_offset(), 1);
}

#[test]
fn compaction_by_itself_spares_the_active_segment_and_waits_until_enough_is_new() {
    let settings = LogSettings { segment_ms: 1000, ..compacting() };
    let mut log = PartitionLog::new();
    let write = |log: &mut PartitionLog, value, now_ms| {
        let bytes = send([("key", value)]).bytes();
        log.append(&bytes, &settings, now_ms).unwrap();
    };
    write(&mut log, "1", NOW);
    write(&mut log, "2", NOW + 10);
    log.compact_if_due(&settings, NOW + 5000);
    assert_eq!(log.records().len(), 2, "the active segment is not compacted");
    write(&mut log, "3", NOW + 5000);
    log.compact_if_due(&settings, NOW + 5000);
    assert_eq!(live(&log), pairs(&[(1, "key2"), (2, "key3")]), "2 is the last that is closed");
    for n in 0..3 {
        write(&mut log, "4", NOW + 10_000 + n);
    }
    write(&mut log, "5", NOW + 20_000);
    let lazy = LogSettings { min_cleanable_dirty_ratio: 0.9, ..settings.clone() };
    log.compact_if_due(&lazy, NOW + 20_000);
    assert_eq!(log.records().len(), 6, "too little is new");
    log.compact_if_due(&settings, NOW + 20_000);
    assert_eq!(log.records().len(), 2);
    log.clean(&settings, NOW + 20_000);
    assert_eq!(log.records().len(), 1, "when told to, all is compacted");
}
