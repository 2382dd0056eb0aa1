//! A replica that lags: it answers as the whole log did when it was so short.

use super::*;

/// One step of a log's life.
type Step = fn(&mut PartitionLog);

fn write(log: &mut PartitionLog, producer: i64, sequence: i32, value: &str) {
    append(log, send([("key", value)]).by(producer, 0, sequence).transactional()).unwrap();
}

/// Plain records, transactions that commit, abort, overlap and stay open.
const STEPS: &[Step] = &[
    |log| _ = append(log, send([("a", "1"), ("b", "2")])).unwrap(),
    |log| write(log, 1, 0, "one"),
    |log| write(log, 2, 0, "two"),
    |log| write(log, 1, 1, "one again"),
    |log| _ = log.append_marker(1, 0, 0, true, NOW).unwrap(),
    |log| _ = log.append_marker(2, 0, 0, false, NOW).unwrap(),
    |log| write(log, 1, 2, "three"),
    |log| _ = append(log, send([("c", "3")])).unwrap(),
    |log| _ = log.append_marker(1, 0, 0, false, NOW).unwrap(),
    |log| write(log, 3, 0, "open"),
    |log| _ = append(log, send([("d", "4")])).unwrap(),
];

fn log_after(steps: usize) -> PartitionLog {
    let mut log = PartitionLog::new();
    STEPS.iter().take(steps).for_each(|step| step(&mut log));
    log
}

#[test]
fn a_log_as_of_some_records_ago_reads_as_it_did_then() {
    let whole = log_after(STEPS.len());
    for steps in 0..=STEPS.len() {
        let then = log_after(steps);
        let ago = (whole.high_watermark() - then.high_watermark()) as u64;
        assert_eq!(whole.ends(ago), then.ends(0), "after {steps} steps");
        for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
            for offset in 0..=then.high_watermark() {
                let read = |log: &PartitionLog, ends| {
                    let read = log.read(offset, usize::MAX, true, isolation, ends).unwrap();
                    assert_eq!(log.available(offset, isolation, ends), read.records.len());
                    read
                };
                let (found, expected) = (read(&whole, whole.ends(ago)), read(&then, then.ends(0)));
                assert_eq!(found.records, expected.records, "after {steps} steps, at {offset}");
                let began = |read: &Read| read.aborted.iter().copied().collect::<HashSet<_>>();
                assert_eq!(began(&found), began(&expected), "after {steps} steps, at {offset}");
            }
        }
    }
}

#[test]
fn one_record_ago_the_last_transaction_was_open() {
    let mut log = log_after(1);
    write(&mut log, 1, 0, "one");
    write(&mut log, 1, 1, "two");
    log.append_marker(1, 0, 0, true, NOW).unwrap();
    let ends = log.ends(1);
    assert_eq!((ends.high_watermark, ends.last_stable_offset), (4, 2));
    assert_eq!(log.ends(0), Ends { high_watermark: 5, last_stable_offset: 5 });
}

#[test]
fn a_replica_has_whole_batches_and_nothing_before_the_start() {
    let mut log = PartitionLog::new();
    for _ in 0..3 {
        append(&mut log, send([("a", "1"), ("b", "2")])).unwrap();
    }
    let end = |log: &PartitionLog, ago| {
        let ends = log.ends(ago);
        assert_eq!(ends.last_stable_offset, ends.high_watermark);
        ends.high_watermark
    };
    assert_eq!([0, 1, 2, 3, 6, 7].map(|ago| end(&log, ago)), [6, 4, 4, 2, 0, 0]);
    assert_eq!(end(&log, u64::MAX), 0);
    log.delete_before(3).unwrap();
    assert_eq!([2, 3, u64::MAX].map(|ago| end(&log, ago)), [4, 3, 3]);
    let read =
        |offset| log.read(offset, usize::MAX, true, Isolation::ReadUncommitted, log.ends(u64::MAX));
    assert!(read(3).unwrap().records.is_empty(), "the batch with the start in it ends later");
    assert!(read(5).unwrap().records.is_empty(), "further than the replica is not out of range");
    assert_eq!(read(7).unwrap_err(), ResponseError::OffsetOutOfRange);
    assert_eq!(PartitionLog::new().ends(1), PartitionLog::new().ends(0));
}

/// The batch at the start holds records of a transaction that is open.
#[test]
fn an_open_transaction_stays_hidden_when_the_start_moves_into_it() {
    let mut log = PartitionLog::new();
    let open = send([("a", "1"), ("b", "2")]).by(1, 0, 0).transactional();
    append(&mut log, open).unwrap();
    log.delete_before(1).unwrap();
    assert_eq!(log.last_stable_offset(), 1);
    let read = log.read(1, usize::MAX, true, Isolation::ReadCommitted, log.ends(0)).unwrap();
    assert!(read.records.is_empty());
    assert_eq!(log.available(1, Isolation::ReadCommitted, log.ends(0)), 0);
}
