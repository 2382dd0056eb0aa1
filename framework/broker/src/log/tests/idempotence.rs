//! Idempotent producers: duplicates, gaps, epochs, and the end of the sequence numbers.

use super::*;

fn one(epoch: i16, sequence: i32) -> Send {
    send([("k", "v")]).by(1, epoch, sequence)
}

#[test]
fn the_last_five_batches_are_recognised_as_duplicates() {
    let mut log = PartitionLog::new();
    for sequence in 0..7 {
        append(&mut log, one(0, sequence)).unwrap();
    }
    for sequence in 2..7 {
        let again = append(&mut log, one(0, sequence)).unwrap();
        assert!(again.duplicate);
        assert_eq!(again.base_offset, i64::from(sequence));
    }
    assert_eq!(error_of(append(&mut log, one(0, 1))), ResponseError::OutOfOrderSequenceNumber);
    assert_eq!(log.high_watermark(), 7, "nothing was written twice");
}

#[test]
fn a_batch_with_another_range_is_no_duplicate() {
    let mut log = PartitionLog::new();
    append(&mut log, send([("a", "1"), ("b", "2")]).by(1, 0, 0)).unwrap();
    assert_eq!(error_of(append(&mut log, one(0, 0))), ResponseError::OutOfOrderSequenceNumber);
    assert_eq!(error_of(append(&mut log, one(0, 1))), ResponseError::OutOfOrderSequenceNumber);
}

#[test]
fn a_gap_is_out_of_order() {
    let mut log = PartitionLog::new();
    append(&mut log, one(0, 0)).unwrap();
    assert_eq!(error_of(append(&mut log, one(0, 2))), ResponseError::OutOfOrderSequenceNumber);
    append(&mut log, one(0, 1)).unwrap();
    assert_eq!(log.producers()[0].last_sequence, 1);
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    let mut log = PartitionLog::new();
    append(&mut log, one(3, 40)).unwrap();
    append(&mut log, one(3, 41)).unwrap();
}

#[test]
fn a_new_epoch_begins_at_sequence_0_and_fences_the_old_one() {
    let mut log = PartitionLog::new();
    append(&mut log, one(0, 0)).unwrap();
    assert_eq!(error_of(append(&mut log, one(1, 1))), ResponseError::OutOfOrderSequenceNumber);
    append(&mut log, one(1, 0)).unwrap();
    assert_eq!(error_of(append(&mut log, one(0, 1))), ResponseError::InvalidProducerEpoch);
    assert_eq!(error_of(append(&mut log, one(0, 0))), ResponseError::InvalidProducerEpoch);
    assert!(append(&mut log, one(1, 0)).unwrap().duplicate, "known in the new epoch only");
}

#[test]
fn sequences_wrap_around_to_0() {
    let mut log = PartitionLog::new();
    append(&mut log, one(0, i32::MAX - 1)).unwrap();
    let across = send([("a", "1"), ("b", "2"), ("c", "3")]).by(1, 0, i32::MAX);
    append(&mut log, across.clone()).unwrap();
    assert!(append(&mut log, across).unwrap().duplicate);
    assert_eq!(log.producers()[0].last_sequence, 1);
    append(&mut log, one(0, 2)).unwrap();
    let sequences: Vec<_> = log.records().iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [i32::MAX - 1, i32::MAX, 0, 1, 2]);

    let mut log = PartitionLog::new();
    append(&mut log, one(0, i32::MAX)).unwrap();
    append(&mut log, one(0, 0)).unwrap();
}

#[test]
fn producers_without_an_id_repeat_at_will() {
    let mut log = PartitionLog::new();
    for offset in 0..3 {
        let appended = append(&mut log, send([("k", "v")])).unwrap();
        assert_eq!((appended.base_offset, appended.duplicate), (offset, false));
    }
    assert!(log.producers().is_empty());
}

#[test]
fn deleting_records_keeps_the_sequence() {
    let mut log = PartitionLog::new();
    append(&mut log, one(0, 0)).unwrap();
    log.delete_before(-1).unwrap();
    assert_eq!(error_of(append(&mut log, one(0, 5))), ResponseError::OutOfOrderSequenceNumber);
    assert!(append(&mut log, one(0, 0)).unwrap().duplicate);
    append(&mut log, one(0, 1)).unwrap();
}

#[test]
fn after_a_snapshot_the_last_batch_alone_is_recognised() {
    let mut log = PartitionLog::new();
    for sequence in 0..3 {
        append(&mut log, one(0, sequence)).unwrap();
    }
    append(&mut log, send([("a", "1"), ("b", "2")]).by(1, 0, 3)).unwrap();
    let known = log.producers();
    log.restore_producers(&known);
    assert_eq!(log.producers(), known);
    let again = append(&mut log, send([("a", "1"), ("b", "2")]).by(1, 0, 3)).unwrap();
    assert_eq!((again.duplicate, again.base_offset), (true, 3));
    assert_eq!(error_of(append(&mut log, one(0, 2))), ResponseError::OutOfOrderSequenceNumber);
    append(&mut log, one(0, 5)).unwrap();
}

#[test]
fn a_restored_batch_may_begin_before_the_sequences_wrap_around() {
    let mut log = PartitionLog::new();
    let across = send([("a", "1"), ("b", "2"), ("c", "3")]).by(1, 0, i32::MAX);
    append(&mut log, across.clone()).unwrap();
    log.restore_producers(&log.producers());
    assert!(append(&mut log, across).unwrap().duplicate);
}
