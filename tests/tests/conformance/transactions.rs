//! Transactions that go as planned: what is visible when, where markers stand, what repeats.

use kafka_protocol::ResponseError;
use oncestream_tests::raw::Batch;

use crate::Target;
use crate::calls::{Client, Isolation, eventually};

const COMMITTED: Isolation = Isolation::Committed;
const UNCOMMITTED: Isolation = Isolation::Uncommitted;

fn value(offset: i64, value: &str) -> (i64, String) {
    (offset, value.to_owned())
}

pub(crate) fn a_commit_makes_all_visible_at_once(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "transaction-commit");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    client.begin(&producer, topic);
    assert_eq!(client.send(&producer, topic, 0, &["a", "b"]), Ok(0));
    assert_eq!(client.send(&producer, topic, 2, &["c"]), Ok(2));

    let open = client.fetch(topic, 0, COMMITTED);
    assert!(open.batches.is_empty());
    assert_eq!((open.last_stable_offset, open.high_watermark), (0, 3));
    assert_eq!(client.fetch(topic, 0, UNCOMMITTED).values().len(), 3);
    let past = client.try_fetch(topic, 3, COMMITTED).unwrap();
    assert!(past.batches.is_empty(), "between the last stable offset and the end is in range");

    client.end(&producer, true);
    let read = client.fetch(topic, 0, COMMITTED);
    assert_eq!(read.values(), [value(0, "a"), value(1, "b"), value(2, "c")]);
    assert_eq!(read.markers(), [(3, true)], "the marker takes an offset");
    assert_eq!(read.aborted, []);
    assert_eq!((read.last_stable_offset, read.high_watermark), (4, 4));
    let marker = read.batches.last().unwrap();
    assert_eq!(marker.producer(), (producer.id, producer.epoch, -1));
    assert_eq!(marker.attributes() & 0x30, 0x30, "control and transactional");
    let (key, value) = (&marker.records[0].key, &marker.records[0].value);
    assert_eq!(key.as_deref(), Some(&[0, 0, 0, 1][..]), "version 0, COMMIT");
    assert_eq!(value.as_ref().map(|v| v[..2].to_vec()), Some(vec![0, 0]), "version 0");
}

pub(crate) fn an_abort_is_listed_to_readers(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "transaction-abort");
    client.create_topic(topic, 1, &[]);
    client.produce(topic, &Batch::values(&["plain"])).unwrap();
    let producer = client.init(topic);
    client.begin(&producer, topic);
    client.send(&producer, topic, 0, &["a", "b"]).unwrap();
    client.end(&producer, false);
    client.begin(&producer, topic);
    assert_eq!(client.send(&producer, topic, 2, &["c"]), Ok(4), "sequences go on after an abort");
    client.end(&producer, true);

    let read = client.fetch(topic, 0, COMMITTED);
    assert_eq!(read.aborted, [(producer.id, 1)]);
    assert_eq!(read.values().len(), 4, "the reader drops the aborted ones itself");
    assert_eq!(read.markers(), [(3, false), (5, true)]);
    let key = &read.batches[2].records[0].key;
    assert_eq!(key.as_deref(), Some(&[0, 0, 0, 0][..]), "version 0, ABORT");
    assert_eq!(client.fetch(topic, 0, UNCOMMITTED).aborted, []);
    assert_eq!(client.fetch(topic, 3, COMMITTED).aborted, [(producer.id, 1)], "at its marker");
    assert_eq!(client.fetch(topic, 4, COMMITTED).aborted, [], "after its marker");
}

pub(crate) fn transactions_interleave(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "transaction-interleaved");
    client.create_topic(topic, 1, &[]);
    let first = client.init("transaction-interleaved-1");
    let second = client.init("transaction-interleaved-2");
    client.begin(&first, topic);
    client.begin(&second, topic);
    client.send(&first, topic, 0, &["1a"]).unwrap(); // 0
    client.send(&second, topic, 0, &["2a"]).unwrap(); // 1
    client.send(&first, topic, 1, &["1b"]).unwrap(); // 2
    client.end(&second, false); // 3
    let stable = client.fetch(topic, 0, COMMITTED);
    assert_eq!((stable.last_stable_offset, stable.high_watermark), (0, 4), "the first is open");
    client.send(&first, topic, 2, &["1c"]).unwrap(); // 4
    client.begin(&second, topic);
    client.send(&second, topic, 1, &["2b"]).unwrap(); // 5
    client.end(&first, false); // 6
    let stable = client.fetch(topic, 0, COMMITTED);
    assert_eq!(stable.last_stable_offset, 5, "now the second holds it");
    let mut aborted = stable.aborted.clone();
    aborted.sort_unstable();
    let mut expected = [(first.id, 0), (second.id, 1)];
    expected.sort_unstable();
    assert_eq!(aborted, expected);
    client.end(&second, true); // 7
    let read = client.fetch(topic, 0, COMMITTED);
    assert_eq!(read.markers(), [(3, false), (6, false), (7, true)]);
    assert_eq!(read.last_stable_offset, 8);
    assert_eq!(client.fetch(topic, 4, COMMITTED).aborted, [(first.id, 0)]);
}

pub(crate) fn one_transaction_spans_partitions(kafka: &Target) {
    let mut client = Client::new(kafka);
    let topics = ["transaction-span-1", "transaction-span-2", "transaction-span-unused"];
    for topic in topics {
        client.create_topic(topic, 1, &[]);
    }
    let producer = client.init("transaction-span");
    assert_eq!(client.add_partitions(&producer, &topics, 3), [Ok(()), Ok(()), Ok(())]);
    client.send(&producer, topics[0], 0, &["a"]).unwrap();
    client.send(&producer, topics[1], 0, &["b"]).unwrap();
    client.end(&producer, true);
    for (topic, marker) in topics.into_iter().zip([1, 1, 0]) {
        let read = client.fetch(topic, 0, COMMITTED);
        assert_eq!(read.markers(), [(marker, true)], "{topic}: also where nothing was sent");
    }
}

pub(crate) fn unknown_partitions_spoil_the_request(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "transaction-unknown");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    for version in 0..=3 {
        let found = client.add_partitions(&producer, &[topic, "transaction-nowhere"], version);
        let expected = [
            Err(ResponseError::OperationNotAttempted),
            Err(ResponseError::UnknownTopicOrPartition),
        ];
        assert_eq!(found, expected, "version {version}");
    }
    assert_eq!(client.describe_transaction(topic).transaction_state.as_str(), "Empty");
}

pub(crate) fn records_without_a_transaction_are_refused(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "transaction-not-added");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    for version in 3..=11 {
        let batch = Batch::values(&["a"]).of_producer(producer.id, 0, 0).transactional();
        let request = crate::calls::produce_request(topic, 0, batch.encode())
            .with_transactional_id(Some(oncestream_tests::raw::text(topic)));
        let mut refused = || {
            let response = client.produce_full(&request, version);
            crate::calls::answer(response.error_code, ())
        };
        let expected = match version {
            ..=10 => ResponseError::InvalidTxnState,
            _ => ResponseError::TransactionAbortable,
        };
        // Kafka asks its coordinator about several producers at once, and answers all of them as the
        // request of the first understands it (`AddPartitionsToTxnManager`): that may be an older one of
        // another test, so it is asked again.
        let answers: Vec<_> = (0..10).map(|_| refused()).collect();
        assert!(answers.contains(&Err(expected)), "version {version}: {answers:?}");
        let either = [ResponseError::InvalidTxnState, ResponseError::TransactionAbortable].map(Err);
        let are_refused = answers.iter().all(|answer| either.contains(answer));
        assert!(are_refused, "version {version}: {answers:?}");
    }
    assert_eq!(client.fetch(topic, 0, UNCOMMITTED).high_watermark, 0);
    client.begin(&producer, topic);
    assert_eq!(client.send(&producer, topic, 0, &["a"]), Ok(0));
    client.end(&producer, true);
    let after = client.send(&producer, topic, 1, &["b"]);
    assert_eq!(after, Err(ResponseError::InvalidTxnState), "nor after its end");
}

pub(crate) fn a_transactional_batch_needs_its_id(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "transaction-no-id");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    client.begin(&producer, topic);
    let batch = Batch::values(&["a"]).of_producer(producer.id, 0, 0).transactional();
    let refused = client.produce(topic, &batch);
    assert_eq!(refused, Err(ResponseError::TransactionalIdAuthorizationFailed));
}

pub(crate) fn records_outside_an_open_transaction_are_refused(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "transaction-mixed");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    client.begin(&producer, topic);
    client.send(&producer, topic, 0, &["a"]).unwrap();
    let plain = Batch::values(&["b"]).of_producer(producer.id, producer.epoch, 1);
    assert_eq!(client.produce(topic, &plain), Err(ResponseError::InvalidTxnState));
    let repeated = client.send(&producer, topic, 0, &["a"]);
    assert_eq!(repeated, Ok(0), "a repeated batch of the transaction is not");
    client.end(&producer, true);
}

pub(crate) fn an_end_repeats_and_never_turns(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "transaction-end");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    for commit in [true, false] {
        let found = client.try_end(&producer, commit, 3);
        assert_eq!(found, Err(ResponseError::InvalidTxnState), "nothing was begun");
    }
    for (round, commit) in [true, false].into_iter().enumerate() {
        client.begin(&producer, topic);
        client.send(&producer, topic, round as i32, &["a"]).unwrap();
        client.end(&producer, commit);
        for version in 0..=4 {
            assert_eq!(client.try_end(&producer, commit, version), Ok(()), "the same again");
            let other = client.try_end(&producer, !commit, version);
            assert_eq!(other, Err(ResponseError::InvalidTxnState), "the other way");
        }
    }
    assert_eq!(client.fetch(topic, 0, COMMITTED).markers(), [(1, true), (3, false)]);
}

pub(crate) fn an_empty_transaction_of_offsets_alone_ends(kafka: &Target) {
    let mut client = Client::new(kafka);
    let producer = client.init("transaction-offsets-alone");
    assert_eq!(client.add_offsets(&producer, "transaction-offsets-alone"), Ok(()));
    client.end(&producer, true);
}

pub(crate) fn the_next_transaction_waits_for_the_markers(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "transaction-next");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    for round in 0..20 {
        client.begin(&producer, topic);
        client.send(&producer, topic, round, &["a"]).unwrap();
        client.try_end(&producer, true, 3).unwrap();
        match client.try_begin(&producer, topic) {
            Ok(()) | Err(ResponseError::ConcurrentTransactions) => {}
            Err(other) => panic!("{other}"),
        }
    }
    client.begin(&producer, topic);
    client.end(&producer, false);
    let read = client.fetch(topic, 0, COMMITTED);
    assert_eq!(read.markers().len(), 21);
    assert_eq!(read.values().len(), 20);
    assert_eq!(read.aborted, [], "an abort that touched no record hides none");
}

pub(crate) fn the_coordinator_tells_of_its_transactions(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "transaction-told");
    client.create_topic(topic, 1, &[]);
    let unknown = client.describe_transaction("transaction-told-nowhere");
    let code = crate::calls::answer(unknown.error_code, ());
    assert_eq!(code, Err(ResponseError::TransactionalIdNotFound));
    let producer = client.init(topic);
    let fresh = client.describe_transaction(topic);
    assert_eq!(fresh.transaction_state.as_str(), "Empty");
    assert_eq!((fresh.producer_id.0, fresh.producer_epoch), (producer.id, 0));
    assert_eq!(fresh.transaction_timeout_ms, 60_000);
    assert_eq!((fresh.transaction_start_time_ms, fresh.topics.len()), (-1, 0));
    client.begin(&producer, topic);
    let open = client.describe_transaction(topic);
    assert_eq!(open.transaction_state.as_str(), "Ongoing");
    assert_eq!(open.topics[0].partitions, [0]);
    assert!(open.transaction_start_time_ms > 0);
    client.send(&producer, topic, 0, &["a", "b"]).unwrap();
    let state = client.producers(topic).remove(0);
    assert_eq!((state.producer_id.0, state.producer_epoch), (producer.id, 0));
    assert_eq!((state.last_sequence, state.current_txn_start_offset), (1, 0));
    client.end(&producer, true);
    let state = eventually("the marker", || client.producers(topic).into_iter().next());
    assert_eq!(state.current_txn_start_offset, -1);
    assert!(state.coordinator_epoch >= 0, "a marker has told it");
    let done = client.describe_transaction(topic);
    assert_eq!(done.transaction_state.as_str(), "CompleteCommit");
    assert_eq!(done.topics.len(), 0);
}

pub(crate) fn transactions_are_listed_by_state_and_producer(kafka: &Target) {
    use kafka_protocol::messages::{ListTransactionsRequest, ProducerId};
    use oncestream_tests::raw::text;
    let (mut client, topic) = (Client::new(kafka), "transaction-listed");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    client.begin(&producer, topic);
    let mut list = |states: &[&str], producers: &[i64], version| {
        let request = ListTransactionsRequest::default()
            .with_state_filters(states.iter().map(|s| text(s)).collect())
            .with_producer_id_filters(producers.iter().map(|p| ProducerId(*p)).collect())
            .with_duration_filter(-1);
        let response = client.call(&request, version);
        assert_eq!(response.error_code, 0);
        let found = response.transaction_states.iter();
        let state = found.filter(|t| t.transactional_id.as_str() == topic);
        let states: Vec<_> = state.map(|t| t.transaction_state.to_string()).collect();
        (states, response.unknown_state_filters.len())
    };
    let ongoing = (vec!["Ongoing".to_owned()], 0);
    for version in 0..=1 {
        assert_eq!(list(&[], &[], version), ongoing);
    }
    assert_eq!(list(&["Ongoing", "Empty"], &[], 1), ongoing);
    assert_eq!(list(&["Empty"], &[], 1), (vec![], 0));
    assert_eq!(list(&[], &[producer.id], 1), ongoing);
    assert_eq!(list(&[], &[producer.id + 1_000_000], 1), (vec![], 0));
    assert_eq!(list(&["Odd"], &[], 1), (vec![], 1));
}
