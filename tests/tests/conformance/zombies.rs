//! Producers that were replaced, or took too long: they are fenced wherever they still try.

use kafka_protocol::ResponseError;

use crate::Target;
use crate::calls::{Client, Isolation, Member, init_request};

pub(crate) fn a_second_producer_ends_the_firsts_transaction(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "zombie-replaced");
    client.create_topic(topic, 1, &[]);
    let first = client.init(topic);
    client.begin(&first, topic);
    client.send(&first, topic, 0, &["a"]).unwrap();
    let request = init_request(Some(topic), -1, -1);
    let pending = client.try_init(&request, 4);
    assert_eq!(pending, Err(ResponseError::ConcurrentTransactions), "the abort comes first");
    let second = client.init_with(&request);
    assert_eq!((second.id, second.epoch), (first.id, 2), "one epoch fences, the next is given");
    let read = client.fetch(topic, 0, Isolation::Committed);
    assert_eq!(read.markers(), [(1, false)]);
    assert_eq!(read.aborted, [(first.id, 0)]);
    assert_eq!(read.batches[1].producer().1, 1, "the marker has the epoch that fences");
    client.begin(&second, topic);
    assert_eq!(client.send(&second, topic, 0, &["b"]), Ok(2), "its sequences begin at zero");
    client.end(&second, true);
}

pub(crate) fn the_replaced_producer_is_refused_everywhere(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "zombie-refused");
    client.create_topic(topic, 1, &[]);
    let old = client.init(topic);
    client.begin(&old, topic);
    client.send(&old, topic, 0, &["a"]).unwrap();
    client.add_offsets(&old, topic).unwrap();
    client.init(topic);
    check_refusals(&mut client, &old, topic);
    let init = client.try_init(&init_request(Some(topic), old.id, old.epoch), 4);
    assert_eq!(init, Err(ResponseError::ProducerFenced));
}

fn check_refusals(client: &mut Client, old: &crate::calls::Producer, topic: &str) {
    let fenced = Err(ResponseError::ProducerFenced);
    let epoch = Err(ResponseError::InvalidProducerEpoch);
    for version in 0..=3 {
        let expected = if version < 2 { epoch } else { fenced };
        assert_eq!(client.add_partitions(old, &[topic], version), [expected], "v{version}");
    }
    for version in 0..=4 {
        let expected = if version < 2 { epoch } else { fenced };
        assert_eq!(client.try_end(old, true, version), expected, "EndTxn v{version}");
    }
    assert_eq!(client.add_offsets(old, topic), fenced);
    let produced = client.send(old, topic, 1, &["b"]);
    assert_eq!(produced, Err(ResponseError::InvalidProducerEpoch));
    let member = Member::simple(topic);
    let offsets = client.commit_in_transaction(old, &member, topic, 1);
    assert_eq!(offsets, Err(ResponseError::InvalidProducerEpoch));
}

pub(crate) fn a_transaction_that_takes_too_long_is_aborted(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "zombie-timeout");
    client.create_topic(topic, 1, &[]);
    let producer = client.init_timeout(topic, 5000);
    client.begin(&producer, topic);
    client.send(&producer, topic, 0, &["a"]).unwrap();
    client.add_offsets(&producer, topic).unwrap();
    client.await_state(topic, "CompleteAbort");
    let read = client.fetch(topic, 0, Isolation::Committed);
    assert_eq!((read.markers(), read.aborted.len()), (vec![(1, false)], 1));
    let told = client.describe_transaction(topic);
    assert_eq!(told.producer_epoch, producer.epoch + 1, "the coordinator took an epoch");
    check_refusals(&mut client, &producer, topic);
    let next = client.init(topic);
    assert_eq!((next.id, next.epoch), (producer.id, 2));
}

pub(crate) fn a_producer_that_timed_out_may_ask_for_the_next_epoch(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "zombie-recovers");
    client.create_topic(topic, 1, &[]);
    let producer = client.init_timeout(topic, 5000);
    client.begin(&producer, topic);
    client.send(&producer, topic, 0, &["a"]).unwrap();
    client.await_state(topic, "CompleteAbort");
    // Nobody else took the id, so its last owner may go on.
    let request = init_request(Some(topic), producer.id, producer.epoch);
    assert_eq!(client.try_init(&request, 4), Ok((producer.id, 1)));
}

pub(crate) fn an_open_transaction_is_aborted_for_the_next_epoch(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "zombie-own-abort");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    client.begin(&producer, topic);
    client.send(&producer, topic, 0, &["a"]).unwrap();
    let next = client.init_with(&init_request(Some(topic), producer.id, producer.epoch));
    assert_eq!(next.id, producer.id);
    assert_eq!(next.epoch, producer.epoch + 1, "the epoch of the abort is the owner's");
    let read = client.fetch(topic, 0, Isolation::Committed);
    assert_eq!(read.markers(), [(1, false)]);
}

pub(crate) fn strangers_to_the_id_are_told_so(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "zombie-stranger");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    let stranger = crate::calls::Producer { id: producer.id + 1_000_000, ..producer.clone() };
    let mapping = Err(ResponseError::InvalidProducerIdMapping);
    assert_eq!(client.try_begin(&stranger, topic), mapping);
    assert_eq!(client.try_end(&stranger, true, 3), mapping);
    assert_eq!(client.add_offsets(&stranger, topic), mapping);
    let unknown = crate::calls::Producer {
        transactional_id: Some("zombie-unknown".to_owned()),
        ..producer.clone()
    };
    assert_eq!(client.try_begin(&unknown, topic), mapping);
    assert_eq!(client.try_end(&unknown, true, 3), mapping);
    let ahead = producer.at_epoch(7);
    assert_eq!(client.try_begin(&ahead, topic), Err(ResponseError::ProducerFenced));
    assert_eq!(client.try_end(&ahead, true, 3), Err(ResponseError::ProducerFenced));
}

pub(crate) fn sequences_go_on_over_the_end_of_a_transaction(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "zombie-sequences");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    client.begin(&producer, topic);
    client.send(&producer, topic, 0, &["a"]).unwrap();
    client.end(&producer, true);
    client.begin(&producer, topic);
    let gap = client.send(&producer, topic, 5, &["b"]);
    assert_eq!(gap, Err(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(client.send(&producer, topic, 1, &["b"]), Ok(2));
    let repeated = client.send(&producer, topic, 0, &["a"]);
    assert_eq!(repeated, Ok(0), "a batch of the transaction before is remembered");
    client.end(&producer, true);
}
