//! The bytes of foreign-key joins against those that Kafka Streams' own classes have written
//! (`operators/tests/data/ForeignKeyFormats.java`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::ops::Bound;
use std::sync::Arc;

use oncestream_core::serde::{HasSerde, Serde};
use proptest::prelude::*;

use super::codec::Codec;
use super::combined_key::{beginning_with, prefix, primary_key};
use super::murmur3::{Hash, hash128};
use super::response::{Response, ResponseSerde};
use super::subscription::{Instruction, Subscription, SubscriptionSerde};

const KAFKA_STREAMS: &str = include_str!("../../../tests/data/foreign_key_formats.tsv");

/// The fields of all lines of a kind.
fn lines(kind: &str) -> Vec<Vec<&'static str>> {
    let all = KAFKA_STREAMS.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let found: Vec<_> = all.filter(|fields| fields[0] == kind).collect();
    assert!(found.len() > 2, "the program has printed lines `{kind}`");
    found
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn hash(hex: &str) -> Option<Hash> {
    let half = |part: &str| u64::from_str_radix(part, 16).unwrap();
    (hex != "-").then(|| [half(&hex[..16]), half(&hex[16..])])
}

fn written<T>(serde: &dyn Serde<T>, value: &T) -> Vec<u8> {
    let mut out = b"before".to_vec();
    serde.serialize(value, &mut out).unwrap();
    out.split_off("before".len())
}

#[test]
fn hashes_are_those_of_kafka_streams() {
    for line in lines("hash") {
        assert_eq!(Some(hash128(&bytes(line[1]))), hash(line[2]), "{line:?}");
    }
}

#[test]
fn combined_keys_are_those_of_kafka_streams() {
    for line in lines("combined") {
        let key: String = line[1].to_owned();
        let begin = prefix(&Codec::of_tests(String::serde()), &key).unwrap();
        assert_eq!(begin, bytes(line[3]), "{line:?}");
        let whole = bytes(line[4]);
        let left: i64 = line[2].parse().unwrap();
        assert_eq!([begin, left.to_be_bytes().to_vec()].concat(), whole);
        assert_eq!(primary_key(&whole), Some(&left.to_be_bytes()[..]));
    }
    for short in [&[][..], &[0, 0, 1], &[0, 0, 0, 2, 7], &[0x80, 0, 0, 0]] {
        assert_eq!(primary_key(short), None);
    }
}

#[test]
fn subscriptions_are_those_of_kafka_streams() {
    use Instruction::{Answer, AnswerIfFound, Unsubscribe, UnsubscribeAndAnswer};
    for line in lines("subscription") {
        let at: usize = line[2].parse().unwrap();
        let subscription = Subscription {
            hash: hash(line[1]),
            instruction: [Unsubscribe, UnsubscribeAndAnswer, Answer, AnswerIfFound][at],
            primary_key: line[3].as_bytes().to_vec(),
            primary_partition: line[4].parse().ok(),
        };
        let expected = bytes(line[5]);
        assert_eq!(written(&SubscriptionSerde, &subscription), expected, "{line:?}");
        assert_eq!(SubscriptionSerde.deserialize(&expected).unwrap(), subscription);
    }
}

#[test]
fn responses_are_those_of_kafka_streams() {
    let serde = ResponseSerde(String::serde());
    for line in lines("response") {
        let value = (line[2] != "-").then(|| line[2].to_owned());
        let response = Response { hash: hash(line[1]), value, primary_partition: None };
        let expected = bytes(line[3]);
        assert_eq!(written(&serde, &response), expected, "{line:?}");
        assert_eq!(serde.deserialize(&expected).unwrap(), response);
    }
}

#[test]
fn a_newer_version_is_refused() {
    let newer = SubscriptionSerde.deserialize(&[2, 0]).unwrap_err().to_string();
    assert!(newer.contains("version 2"), "{newer}");
    let newer = ResponseSerde(String::serde()).deserialize(&[0x81]).unwrap_err().to_string();
    assert!(newer.contains("version 1"), "{newer}");
}

proptest! {
    /// What is read is what was written, and no bytes make a serde panic.
    #[test]
    fn any_bytes_are_refused_or_exact(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(subscription) = SubscriptionSerde.deserialize(&bytes) {
            prop_assert_eq!(written(&SubscriptionSerde, &subscription), bytes.clone());
        }
        let serde = ResponseSerde(Vec::<u8>::serde());
        if let Ok(response) = serde.deserialize(&bytes) {
            prop_assert_eq!(written(&serde, &response), bytes);
        }
    }

    /// A range has the keys with its prefix, and no other.
    #[test]
    fn a_range_has_the_keys_that_begin_so(
        foreign in prop::collection::vec(prop::sample::select(vec![0, 1, 0x7f, 0xfe, 0xff]), 0..4),
        other in prop::collection::vec(prop::sample::select(vec![0, 1, 0x7f, 0xfe, 0xff]), 0..9),
    ) {
        let codec = Codec::of_tests(Vec::<u8>::serde());
        let prefix = prefix(&codec, &foreign).unwrap();
        let (from, to) = beginning_with(prefix.clone());
        let is_in = |key: &Vec<u8>| {
            let above = matches!(&from, Bound::Included(from) if key >= from);
            above && matches!(&to, Bound::Excluded(to) if key < to)
        };
        let same = [&prefix[..], &other].concat();
        prop_assert!(is_in(&same));
        let length = u32::try_from(other.len()).unwrap().to_be_bytes();
        for key in [other.clone(), [&length[..], &other].concat(), [&length[..], &other, &[0]].concat()] {
            prop_assert_eq!(is_in(&key), key.starts_with(&prefix), "{:?}", key);
        }
    }
}

impl<T> Codec<T> {
    /// A codec of no task.
    fn of_tests(serde: oncestream_core::serde::DynSerde<T>) -> Self {
        Self::at(serde, Arc::from("app-topic-fk"), oncestream_core::error::Part::Key)
    }
}
