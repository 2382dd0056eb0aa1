//! Producers with sequence numbers: what is taken once, what is refused, and how epochs begin.

use kafka_protocol::ResponseError;
use oncestream_tests::raw::Batch;

use crate::Target;
use crate::calls::{Client, Isolation, PRODUCE, init_request, produce_request};

const OUT_OF_ORDER: ResponseError = ResponseError::OutOfOrderSequenceNumber;

pub(crate) fn a_repeated_batch_gets_its_first_offsets(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "idempotent-repeat");
    client.create_topic(topic, 1, &[]);
    let producer = client.idempotent();
    assert_eq!((producer.epoch, producer.id >= 0), (0, true));
    // The acknowledgement is lost with the connection; the record is not.
    let batch = Batch::values(&["a", "b"]).of_producer(producer.id, 0, 0).encode();
    let mut lost = Client::new(kafka);
    lost.connection.send(&produce_request(topic, 0, batch.clone()), PRODUCE);
    drop(lost);
    assert_eq!(client.produce_bytes(topic, batch.clone()), Ok(0));
    assert_eq!(client.send(&producer, topic, 2, &["c"]), Ok(2));
    let response = client.produce_full(&produce_request(topic, 0, batch), PRODUCE);
    assert_eq!((response.error_code, response.base_offset), (0, 0));
    assert_eq!(client.fetch(topic, 0, Isolation::Uncommitted).high_watermark, 3);
}

pub(crate) fn the_last_five_batches_are_remembered(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "idempotent-five");
    client.create_topic(topic, 1, &[]);
    let producer = client.idempotent();
    for sequence in 0..6 {
        assert_eq!(client.send(&producer, topic, sequence, &["x"]), Ok(i64::from(sequence)));
    }
    for sequence in 1..6 {
        assert_eq!(client.send(&producer, topic, sequence, &["x"]), Ok(i64::from(sequence)));
    }
    assert_eq!(client.send(&producer, topic, 0, &["x"]), Err(OUT_OF_ORDER), "too long ago");
    let overlap = client.send(&producer, topic, 4, &["x", "y"]);
    assert_eq!(overlap, Err(OUT_OF_ORDER), "two of the batches at once");
    assert_eq!(client.send(&producer, topic, 6, &["x"]), Ok(6));
    assert_eq!(client.fetch(topic, 0, Isolation::Uncommitted).high_watermark, 7);
}

pub(crate) fn gaps_are_refused(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "idempotent-gaps");
    client.create_topic(topic, 1, &[]);
    let producer = client.idempotent();
    assert_eq!(client.send(&producer, topic, 0, &["a", "b"]), Ok(0));
    for sequence in [3, 1, 100] {
        assert_eq!(client.send(&producer, topic, sequence, &["c"]), Err(OUT_OF_ORDER));
    }
    assert_eq!(client.send(&producer, topic, 2, &["c"]), Ok(2), "a refusal changes nothing");
}

pub(crate) fn an_unknown_producer_may_begin_anywhere(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "idempotent-anywhere");
    client.create_topic(topic, 1, &[]);
    let producer = client.idempotent();
    assert_eq!(client.send(&producer, topic, 17, &["a"]), Ok(0));
    assert_eq!(client.send(&producer, topic, 18, &["b"]), Ok(1));
}

pub(crate) fn sequences_wrap_to_zero(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "idempotent-wrap");
    client.create_topic(topic, 1, &[]);
    let producer = client.idempotent();
    assert_eq!(client.send(&producer, topic, i32::MAX - 1, &["a", "b"]), Ok(0));
    assert_eq!(client.send(&producer, topic, 1, &["d"]), Err(OUT_OF_ORDER));
    assert_eq!(client.send(&producer, topic, 0, &["c"]), Ok(2));
}

pub(crate) fn a_new_epoch_begins_at_zero_and_ends_the_old(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "idempotent-epochs");
    client.create_topic(topic, 1, &[]);
    let producer = client.idempotent();
    client.send(&producer, topic, 0, &["a"]).unwrap();
    let next = producer.at_epoch(3);
    assert_eq!(client.send(&next, topic, 1, &["b"]), Err(OUT_OF_ORDER));
    assert_eq!(client.send(&next, topic, 0, &["b"]), Ok(1));
    let old = client.send(&producer, topic, 1, &["c"]);
    assert_eq!(old, Err(ResponseError::InvalidProducerEpoch));
    let repeated = client.send(&producer, topic, 0, &["a"]);
    assert_eq!(repeated, Err(ResponseError::InvalidProducerEpoch), "its duplicates are forgotten");
}

pub(crate) fn acknowledgements_do_not_matter_to_sequences(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "idempotent-acks");
    client.create_topic(topic, 1, &[]);
    let producer = client.idempotent();
    let request = |sequence| {
        let batch = Batch::values(&["x"]).of_producer(producer.id, 0, sequence).encode();
        produce_request(topic, 0, batch)
    };
    client.connection.send(&request(0).with_acks(0), PRODUCE);
    let second = client.produce_full(&request(1).with_acks(1), PRODUCE);
    assert_eq!((second.error_code, second.base_offset), (0, 1));
    let again = client.produce_full(&request(0).with_acks(1), PRODUCE);
    assert_eq!((again.error_code, again.base_offset), (0, 0));
}

pub(crate) fn without_a_transactional_id_every_producer_is_new(kafka: &Target) {
    let mut client = Client::new(kafka);
    let first = client.idempotent();
    let request = init_request(None, first.id, first.epoch);
    let second = client.init_with(&request);
    assert_ne!(first.id, second.id, "the id and epoch of before are not looked at");
    assert_eq!(second.epoch, 0);
    let odd = client.try_init(&init_request(None, first.id, -1), 4);
    assert_eq!(odd, Err(ResponseError::InvalidRequest), "an id without an epoch");
}

pub(crate) fn a_producer_asks_for_its_next_epoch(kafka: &Target) {
    let (mut client, id) = (Client::new(kafka), "idempotent-bump");
    let first = client.init(id);
    assert_eq!(first.epoch, 0);
    let bump = init_request(Some(id), first.id, 0);
    let next = client.init_with(&bump);
    assert_eq!((next.id, next.epoch), (first.id, 1));
    let again = client.init_with(&bump);
    assert_eq!((again.id, again.epoch), (first.id, 1), "a repeated request changes nothing");
    let third = client.init_with(&init_request(Some(id), first.id, 1));
    assert_eq!(third.epoch, 2);
    let late = client.try_init(&bump, 4);
    assert_eq!(late, Err(ResponseError::ProducerFenced), "two epochs ago");
    let late = client.try_init(&bump, 3);
    assert_eq!(late, Err(ResponseError::InvalidProducerEpoch), "its name before version 4");
    let stranger = client.try_init(&init_request(Some(id), first.id + 100_000, 2), 4);
    assert_eq!(stranger, Err(ResponseError::ProducerFenced), "another id");
    let ahead = client.try_init(&init_request(Some(id), first.id, 9), 4);
    assert_eq!(ahead, Err(ResponseError::ProducerFenced), "an epoch that is not there yet");
    let anew = client.init(id);
    assert_eq!((anew.id, anew.epoch), (first.id, 3), "who names no epoch gets the next");
}

pub(crate) fn wrong_requests_for_an_id_are_refused(kafka: &Target) {
    let mut client = Client::new(kafka);
    let base = || init_request(Some("idempotent-wrong"), -1, -1);
    for timeout_ms in [0, -1, 900_001] {
        let found = client.try_init(&base().with_transaction_timeout_ms(timeout_ms), 4);
        assert_eq!(found, Err(ResponseError::InvalidTransactionTimeout), "{timeout_ms}");
    }
    let empty = client.try_init(&init_request(Some(""), -1, -1), 4);
    assert_eq!(empty, Err(ResponseError::InvalidRequest), "an empty id");
    for version in 0..=5 {
        let found = client.try_init(&base(), version).unwrap();
        assert_eq!(found.1, version, "each version asks for the next epoch");
    }
}
