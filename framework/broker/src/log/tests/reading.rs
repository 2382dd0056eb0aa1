//! Reading by offset and by timestamp, deleting records, leader epochs.

use super::*;

fn log_of(batches: usize) -> PartitionLog {
    let mut log = PartitionLog::new();
    for _ in 0..batches {
        append(&mut log, send([("a", "1"), ("b", "2")])).unwrap();
    }
    log
}

fn spans(read: &Read) -> Vec<(i64, i64)> {
    batches(&read.records).iter().map(|(h, _)| (h.base_offset, h.last_offset())).collect()
}

#[test]
fn a_read_answers_whole_batches_up_to_its_size() {
    let log = log_of(4);
    let size = log.size_bytes() as usize / 4;
    let read = |offset, max, one| {
        log.read(offset, max, one, Isolation::ReadUncommitted, log.ends(0)).unwrap()
    };
    assert_eq!(spans(&read(3, 2 * size, false)), [(2, 3), (4, 5)]);
    assert_eq!(spans(&read(3, 2 * size - 1, false)), [(2, 3)]);
    assert_eq!(spans(&read(3, size - 1, false)), []);
    assert_eq!(spans(&read(3, 0, true)), [(2, 3)]);
    assert_eq!(spans(&read(0, usize::MAX, true)), [(0, 1), (2, 3), (4, 5), (6, 7)]);
    assert_eq!(spans(&read(8, usize::MAX, true)), []);
}

#[test]
fn offsets_outside_the_log_are_out_of_range() {
    let mut log = log_of(2);
    log.delete_before(1).unwrap();
    for offset in [-1, 0, 5] {
        let read = log.read(offset, 100, true, Isolation::ReadUncommitted, log.ends(0));
        assert_eq!(read.unwrap_err(), ResponseError::OffsetOutOfRange);
    }
    assert!(
        log.read(4, 100, true, Isolation::ReadUncommitted, log.ends(0)).unwrap().records.is_empty()
    );
}

#[test]
fn available_counts_what_a_read_would_answer() {
    let mut log = log_of(2);
    append(&mut log, send([("a", "1")]).by(1, 0, 0).transactional()).unwrap();
    for offset in 0..=5 {
        for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
            let read = log.read(offset, usize::MAX, true, isolation, log.ends(0)).unwrap();
            assert_eq!(log.available(offset, isolation, log.ends(0)), read.records.len());
        }
    }
}

#[test]
fn offsets_are_found_by_timestamp() {
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1")]).at(NOW)).unwrap();
    let mut mixed = send([("a", "1"), ("b", "2"), ("c", "3")]);
    mixed.records[1].2 = NOW + 20;
    append(&mut log, mixed.codec(Codec::Lz4)).unwrap();
    append(&mut log, send([("a", "1")]).at(NOW + 20).by(1, 0, 0).transactional()).unwrap();
    append(&mut log, send([("a", "1")]).at(NOW + 30)).unwrap();
    let find = |log: &PartitionLog, timestamp| {
        log.offset_for_timestamp(timestamp, Isolation::ReadUncommitted)
    };
    assert_eq!(find(&log, 0), Some((0, NOW)));
    assert_eq!(find(&log, NOW + 1), Some((2, NOW + 20)));
    assert_eq!(find(&log, NOW + 30), Some((5, NOW + 30)));
    assert_eq!(find(&log, NOW + 31), None);
    assert_eq!(log.offset_for_timestamp(NOW + 30, Isolation::ReadCommitted), None);
    assert_eq!(log.max_timestamp(), Some((5, NOW + 30)));
    log.delete_before(3).unwrap();
    assert_eq!(find(&log, NOW), Some((3, NOW)), "not before the start");
    assert_eq!(PartitionLog::new().max_timestamp(), None);
}

#[test]
fn deleting_moves_the_start_and_drops_whole_batches() {
    let mut log = log_of(3);
    let size = log.size_bytes();
    assert_eq!(log.delete_before(3), Ok(3));
    assert_eq!(log.size_bytes(), size / 3 * 2, "the batch with offset 3 stays");
    assert_eq!(log.records().first().unwrap().offset, 3);
    assert_eq!(log.delete_before(2), Ok(3), "never back");
    assert_eq!(log.delete_before(7), Err(ResponseError::OffsetOutOfRange));
    assert_eq!(log.delete_before(-2), Err(ResponseError::OffsetOutOfRange));
    assert_eq!(log.delete_before(-1), Ok(6));
    assert_eq!((log.size_bytes(), log.high_watermark()), (0, 6));
    assert_eq!(append(&mut log, send([("a", "1")])).unwrap().base_offset, 6);
}

#[test]
fn leader_epochs_say_where_they_ended() {
    let mut log = log_of(2);
    assert_eq!((log.leader_epoch(), log.bump_leader_epoch()), (0, 1));
    append(&mut log, send([("a", "1")])).unwrap();
    assert_eq!(log.end_offset_for_epoch(0), (0, 4));
    assert_eq!(log.end_offset_for_epoch(1), (1, 5));
    assert_eq!(log.end_offset_for_epoch(2), (-1, -1));
    let read = log.read(0, usize::MAX, true, Isolation::ReadUncommitted, log.ends(0)).unwrap();
    let epochs: Vec<_> = batches(&read.records).iter().map(|(h, _)| h.leader_epoch).collect();
    assert_eq!(epochs, [0, 0, 1]);
}
