//! Reads the topics out of a consumer's subscription.
//!
//! Owns the one place where a member's metadata is not opaque: Kafka refuses to delete offsets of
//! a topic that is being read. All versions of the format begin as version 0 does: a version, then
//! an array of topic names.

use bytes::{Buf, Bytes};

/// The topics of a subscription, or `None` if it cannot be read.
pub(super) fn subscribed_topics(mut metadata: Bytes) -> Option<Vec<String>> {
    metadata.try_get_i16().ok()?;
    let count = metadata.try_get_i32().ok()?;
    let mut topics = Vec::new();
    for _ in 0..count {
        let length = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
        if metadata.remaining() < length {
            return None;
        }
        topics.push(String::from_utf8(metadata.split_to(length).to_vec()).ok()?);
    }
    Some(topics)
}
