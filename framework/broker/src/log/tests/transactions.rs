//! Transactions: stable offsets, aborted data, markers and their epochs.

use super::*;

fn write(log: &mut PartitionLog, producer: i64, sequence: i32, value: &str) {
    append(log, send([("k", value)]).by(producer, 0, sequence).transactional()).unwrap();
}

#[test]
fn the_last_stable_offset_is_that_of_the_oldest_open_transaction() {
    let mut log = PartitionLog::new();
    append(&mut log, send([("k", "plain")])).unwrap();
    write(&mut log, 1, 0, "one");
    write(&mut log, 2, 0, "two");
    assert_eq!((log.last_stable_offset(), log.high_watermark()), (1, 3));
    assert_eq!(committed_values(&log), ["plain"]);
    assert!(log.has_open_transaction(1) && !log.has_open_transaction(3));
    log.append_marker(2, 0, 0, true, NOW).unwrap();
    assert_eq!(log.last_stable_offset(), 1, "producer 1 is still open");
    log.append_marker(1, 0, 0, true, NOW).unwrap();
    assert_eq!((log.last_stable_offset(), log.high_watermark()), (5, 5));
    assert_eq!(committed_values(&log), ["plain", "one", "two"]);
    assert!(!log.has_open_transaction(1));
}

#[test]
fn aborted_data_is_hidden_from_committed_readers_alone() {
    let mut log = PartitionLog::new();
    write(&mut log, 1, 0, "aborted");
    write(&mut log, 2, 0, "kept");
    log.append_marker(1, 0, 0, false, NOW).unwrap();
    log.append_marker(2, 0, 0, true, NOW).unwrap();
    write(&mut log, 1, 1, "later");
    log.append_marker(1, 0, 0, true, NOW).unwrap();
    assert_eq!(committed_values(&log), ["kept", "later"]);
    let all = log.read(0, usize::MAX, true, Isolation::ReadUncommitted, log.ends(0)).unwrap();
    assert!(all.aborted.is_empty());
    assert_eq!(batches(&all.records).len(), 6);
    let aborted: Vec<_> = log.records().iter().map(|record| record.aborted).collect();
    assert_eq!(aborted, [true, false, false, false, false, false]);
    let control: Vec<_> = log.records().iter().filter_map(|record| record.control).collect();
    assert_eq!(control, [ControlKind::Abort, ControlKind::Commit, ControlKind::Commit]);
}

#[test]
fn a_read_lists_the_aborted_transactions_that_overlap_it() {
    let mut log = PartitionLog::new();
    write(&mut log, 1, 0, "x"); // 0
    log.append_marker(1, 0, 0, false, NOW).unwrap(); // 1
    write(&mut log, 2, 0, "y"); // 2
    write(&mut log, 3, 0, "z"); // 3
    log.append_marker(3, 0, 0, false, NOW).unwrap(); // 4
    log.append_marker(2, 0, 0, false, NOW).unwrap(); // 5
    append(&mut log, send([("k", "v")])).unwrap(); // 6
    let aborted = |offset, max_bytes| {
        log.read(offset, max_bytes, true, Isolation::ReadCommitted, log.ends(0)).unwrap().aborted
    };
    assert_eq!(aborted(0, 1), [(1, 0)]);
    assert_eq!(aborted(1, 1), [(1, 0)], "its marker");
    assert_eq!(aborted(2, 1), [(2, 2)]);
    assert_eq!(aborted(3, 1), [(3, 3), (2, 2)]);
    assert_eq!(aborted(5, 1), [(2, 2)], "began before the read, ended in it");
    assert_eq!(aborted(6, 1), []);
    assert_eq!(aborted(0, usize::MAX), [(1, 0), (3, 3), (2, 2)]);
}

#[test]
fn a_plain_write_inside_a_transaction_is_refused() {
    let mut log = PartitionLog::new();
    write(&mut log, 1, 0, "x");
    let plain = append(&mut log, send([("k", "v")]).by(1, 0, 1));
    assert_eq!(error_of(plain), ResponseError::InvalidTxnState);
    log.append_marker(1, 0, 0, true, NOW).unwrap();
    append(&mut log, send([("k", "v")]).by(1, 0, 1)).unwrap();
}

#[test]
fn a_marker_of_an_older_epoch_or_coordinator_is_refused() {
    let mut log = PartitionLog::new();
    append(&mut log, send([("k", "v")]).by(1, 5, 0).transactional()).unwrap();
    assert_eq!(log.append_marker(1, 4, 0, true, NOW), Err(ResponseError::InvalidProducerEpoch));
    assert!(log.has_open_transaction(1));
    log.append_marker(1, 5, 3, true, NOW).unwrap();
    assert_eq!(
        log.append_marker(1, 5, 2, true, NOW),
        Err(ResponseError::TransactionCoordinatorFenced)
    );
    assert_eq!(log.high_watermark(), 2);
}

#[test]
fn a_marker_of_a_newer_epoch_fences_and_starts_sequences_anew() {
    let mut log = PartitionLog::new();
    write(&mut log, 1, 0, "x");
    log.append_marker(1, 1, 0, false, NOW).unwrap();
    let zombie = send([("k", "v")]).by(1, 0, 1).transactional();
    assert_eq!(error_of(append(&mut log, zombie)), ResponseError::InvalidProducerEpoch);
    let view = &log.producers()[0];
    assert_eq!((view.epoch, view.last_sequence, view.last_offset), (1, -1, -1));
    assert_eq!(view.open_transaction_start, None);
    let gap = send([("k", "v")]).by(1, 1, 1).transactional();
    assert_eq!(error_of(append(&mut log, gap)), ResponseError::OutOfOrderSequenceNumber);
    append(&mut log, send([("k", "v")]).by(1, 1, 0).transactional()).unwrap();
}

#[test]
fn a_marker_for_an_unknown_producer_is_written_and_remembered() {
    let mut log = PartitionLog::new();
    assert_eq!(log.append_marker(4, 2, 0, false, NOW), Ok(0));
    assert_eq!(log.last_stable_offset(), 1);
    assert_eq!(log.producers()[0].epoch, 2);
    let read = log.read(0, usize::MAX, true, Isolation::ReadCommitted, log.ends(0)).unwrap();
    assert_eq!(read.aborted, [], "no data, nothing to hide");
    let old = append(&mut log, send([("k", "v")]).by(4, 1, 0).transactional());
    assert_eq!(error_of(old), ResponseError::InvalidProducerEpoch);
}

#[test]
fn deleting_into_an_open_transaction_moves_the_stable_offset_to_the_start() {
    let mut log = PartitionLog::new();
    write(&mut log, 1, 0, "x");
    write(&mut log, 1, 1, "y");
    assert_eq!(log.delete_before(1), Ok(1));
    assert_eq!((log.start_offset(), log.last_stable_offset()), (1, 1));
    log.append_marker(1, 0, 0, false, NOW).unwrap();
    assert_eq!(committed_values(&log), [""; 0]);
    assert_eq!(log.last_stable_offset(), 3);
}
