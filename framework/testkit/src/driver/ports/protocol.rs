//! What members of a group tell each other through its coordinator: subscriptions and assignments, as
//! consumers write them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition as AssignedTopic;
use kafka_protocol::messages::{ConsumerProtocolAssignment, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable};
use oncestream_core::TopicPartition;

use super::link::text;

/// The version of these messages.
const VERSION: i16 = 1;

/// What members tell each other begins with its version.
pub(super) fn encode(message: &impl Encodable) -> Bytes {
    let mut bytes = BytesMut::from(&VERSION.to_be_bytes()[..]);
    // Nothing of these messages cannot be written.
    let _ = message.encode(&mut bytes, VERSION);
    bytes.freeze()
}

/// A message, unless it is none.
pub(super) fn decode<T: Decodable>(bytes: &mut Bytes) -> Option<T> {
    let version = bytes.get(..2)?.try_into().ok()?;
    let mut body = bytes.split_off(2);
    T::decode(&mut body, i16::from_be_bytes(version)).ok()
}

/// What the leader gives to a member.
pub(super) fn encode_assignment(partitions: &[TopicPartition]) -> Bytes {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for p in partitions {
        by_topic.entry(&p.topic).or_default().push(p.partition);
    }
    let topics = by_topic.into_iter().map(|(topic, partitions)| {
        AssignedTopic::default().with_topic(TopicName(text(topic))).with_partitions(partitions)
    });
    encode(&ConsumerProtocolAssignment::default().with_assigned_partitions(topics.collect()))
}

/// The partitions of an assignment; none where there is none.
pub(super) fn decode_assignment(mut bytes: Bytes) -> Vec<TopicPartition> {
    let assignment = decode::<ConsumerProtocolAssignment>(&mut bytes).unwrap_or_default();
    let topics = assignment.assigned_partitions.into_iter();
    topics
        .flat_map(|topic| {
            let name: Arc<str> = topic.topic.0.as_str().into();
            topic.partitions.into_iter().map(move |p| TopicPartition::new(name.clone(), p))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_survives_its_way_through_the_group() {
        let at = |topic: &str, p| TopicPartition::new(topic, p);
        let list = vec![at("a", 0), at("a", 2), at("b", 1)];
        assert_eq!(decode_assignment(encode_assignment(&list)), list);
        assert_eq!(decode_assignment(Bytes::new()), []);
    }
}
