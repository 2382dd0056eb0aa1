//! What Kafka's coordinator answers, state by state.

use super::*;

const TIMEOUT: Duration = Duration::from_secs(10);

fn new() -> (Transactions, Instant) {
    (Transactions::new(Duration::from_secs(60), Duration::ZERO), Instant::now())
}

fn init(t: &mut Transactions, now: Instant) -> Result<Producer, ResponseError> {
    t.init_producer_id(Some("id"), TIMEOUT, None, now)
}

fn add(t: &mut Transactions, producer: Producer, now: Instant) -> Result<(), ResponseError> {
    t.add_partitions("id", producer, [("topic".to_owned(), 0)], (now, 0))
}

fn write_markers(t: &mut Transactions, now: Instant) -> usize {
    let due = t.take_due(now);
    for ending in &due {
        t.complete(&ending.transactional_id);
    }
    due.len()
}

#[test]
fn a_second_producer_aborts_and_fences_the_first() {
    let (mut t, now) = new();
    let first = init(&mut t, now).unwrap();
    add(&mut t, first, now).unwrap();
    assert_eq!(init(&mut t, now), Err(ResponseError::ConcurrentTransactions));
    assert_eq!(init(&mut t, now), Err(ResponseError::ConcurrentTransactions), "markers pend");
    let ending = t.take_due(now).remove(0);
    assert!(!ending.commit);
    assert_eq!(ending.producer.epoch, first.epoch + 1);
    t.complete("id");
    let second = init(&mut t, now).unwrap();
    assert_eq!((second.id, second.epoch), (first.id, first.epoch + 2));
    assert_eq!(add(&mut t, first, now), Err(ResponseError::ProducerFenced));
    assert_eq!(t.end("id", first, true, now), Err(ResponseError::ProducerFenced));
}

#[test]
fn the_same_end_may_be_repeated_and_the_opposite_may_not() {
    for commit in [true, false] {
        let (mut t, now) = new();
        let producer = init(&mut t, now).unwrap();
        assert_eq!(t.end("id", producer, commit, now), Err(ResponseError::InvalidTxnState));
        add(&mut t, producer, now).unwrap();
        t.end("id", producer, commit, now).unwrap();
        let pending = t.end("id", producer, commit, now);
        assert_eq!(pending, Err(ResponseError::ConcurrentTransactions));
        assert_eq!(t.end("id", producer, !commit, now), Err(ResponseError::InvalidTxnState));
        assert_eq!(add(&mut t, producer, now), Err(ResponseError::ConcurrentTransactions));
        assert_eq!(write_markers(&mut t, now), 1);
        assert_eq!(t.end("id", producer, commit, now), Ok(()));
        assert_eq!(t.end("id", producer, !commit, now), Err(ResponseError::InvalidTxnState));
        assert_eq!(write_markers(&mut t, now), 0, "the repetition writes nothing");
    }
}

#[test]
fn a_timeout_aborts_and_fences() {
    let (mut t, now) = new();
    let producer = init(&mut t, now).unwrap();
    add(&mut t, producer, now).unwrap();
    t.expire(now + TIMEOUT);
    assert!(t.take_due(now + TIMEOUT).is_empty());
    t.expire(now + TIMEOUT + Duration::from_millis(1));
    assert_eq!(write_markers(&mut t, now + TIMEOUT * 2), 1);
    assert_eq!(t.end("id", producer, true, now), Err(ResponseError::ProducerFenced));
    assert_eq!(t.views()[0].state, TransactionState::CompleteAbort);
}

#[test]
fn a_producer_goes_on_after_an_error_with_the_epoch_it_has() {
    let (mut t, now) = new();
    let first = init(&mut t, now).unwrap();
    let bump = |t: &mut Transactions, p| t.init_producer_id(Some("id"), TIMEOUT, Some(p), now);
    let second = bump(&mut t, first).unwrap();
    assert_eq!(second.epoch, first.epoch + 1);
    assert_eq!(bump(&mut t, first), Ok(second), "its answer was lost");
    let other = init(&mut t, now).unwrap();
    assert_eq!(other.epoch, second.epoch + 1);
    assert_eq!(bump(&mut t, second), Err(ResponseError::ProducerFenced));
    let stranger = Producer { id: first.id + 100, epoch: 0 };
    assert_eq!(bump(&mut t, stranger), Err(ResponseError::ProducerFenced));
}

#[test]
fn a_fenced_producer_that_shows_its_epoch_may_go_on_if_nobody_else_came() {
    let (mut t, now) = new();
    let first = init(&mut t, now).unwrap();
    let bump = |t: &mut Transactions, p| t.init_producer_id(Some("id"), TIMEOUT, Some(p), now);
    add(&mut t, first, now).unwrap();
    assert_eq!(bump(&mut t, first), Err(ResponseError::ConcurrentTransactions));
    assert_eq!(write_markers(&mut t, now), 1);
    assert_eq!(bump(&mut t, first).unwrap().epoch, first.epoch + 1);
    let second = init(&mut t, now).unwrap();
    assert_eq!(second.epoch, first.epoch + 2);
    assert_eq!(bump(&mut t, first), Err(ResponseError::ProducerFenced));
}

#[test]
fn when_epochs_run_out_a_new_producer_id_is_taken() {
    let (mut t, now) = new();
    let first = init(&mut t, now).unwrap();
    let mut last = first;
    while last.id == first.id {
        last = init(&mut t, now).unwrap();
    }
    assert_eq!(last.epoch, 0);
}

#[test]
fn only_what_was_added_may_be_written() {
    let (mut t, now) = new();
    let producer = init(&mut t, now).unwrap();
    let verify = |t: &Transactions, p, partition| t.verify("id", p, "topic", partition);
    assert_eq!(verify(&t, producer, 0), Err(ResponseError::TransactionAbortable));
    add(&mut t, producer, now).unwrap();
    assert_eq!(verify(&t, producer, 0), Ok(()));
    assert_eq!(verify(&t, producer, 1), Err(ResponseError::TransactionAbortable));
    let zombie = Producer { epoch: producer.epoch - 1, ..producer };
    assert_eq!(verify(&t, zombie, 0), Err(ResponseError::ProducerFenced));
    t.end("id", producer, true, now).unwrap();
    assert_eq!(verify(&t, producer, 0), Err(ResponseError::ConcurrentTransactions));
}

#[test]
fn limits_are_checked() {
    let (mut t, now) = new();
    let mut with = |id, timeout| t.init_producer_id(id, timeout, None, now).map(|_| ());
    assert_eq!(with(Some(""), TIMEOUT), Err(ResponseError::InvalidRequest));
    let invalid = Err(ResponseError::InvalidTransactionTimeout);
    assert_eq!(with(Some("id"), Duration::from_secs(61)), invalid);
    assert_eq!(with(Some("id"), Duration::ZERO), invalid);
    assert_eq!(with(None, Duration::ZERO), Ok(()), "an idempotent producer has no timeout");
    let unknown = Producer { id: 1, epoch: 0 };
    let answer = t.end("none", unknown, true, now);
    assert_eq!(answer, Err(ResponseError::InvalidProducerIdMapping));
}
