//! Which open transactions hang: decided as Apache Kafka's `kafka-transactions.sh find-hanging` does.
//! Pure.
//!
//! A transaction hangs if it is open in a partition and no coordinator will end it. Readers of committed
//! records then wait before it for ever. Its age comes first, because between two questions a
//! transaction may begin or end: one that is younger than any timeout is not judged.

use serde::Serialize;

/// What a partition says of an open transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    /// The timestamp of its last batch.
    pub(super) last_timestamp_ms: Option<i64>,
}

/// What a coordinator says of the producer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    /// The partitions that have yet to get a marker, of an open transaction or one that ends.
    pub(super) partitions: &'a [super::TopicPartition],
}

/// Why a transaction hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// No coordinator has a transactional id with this producer id.
    UnknownProducer,
    /// The coordinator knows the producer, and will write no marker to this partition.
    NotInTransaction,
}

impl Why {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::UnknownProducer => "no coordinator knows the producer",
            Self::NotInTransaction => "the coordinator has the partition in no transaction",
        }
    }
}

/// Whether and why it hangs.
pub(super) fn judge(
    open: Open<'_>,
    owner: Option<Owner<'_>>,
    now_ms: i64,
    max_timeout_ms: i64,
) -> Option<Why> {
    let age_ms = now_ms.saturating_sub(open.last_timestamp_ms.unwrap_or(-1));
    if age_ms <= max_timeout_ms {
        return None;
    }
    let Some(owner) = owner else { return Some(Why::UnknownProducer) };
    let expected =
        owner.partitions.iter().any(|p| p.partition == open.partition && p.topic == open.topic);
    (!expected).then_some(Why::NotInTransaction)
}

#[cfg(test)]
mod tests {
    use super::super::TopicPartition;
    use super::*;

    const NOW: i64 = 10_000_000;
    const MAX: i64 = 900_000;

    fn verdict(age_ms: i64, partitions: Option<&[TopicPartition]>) -> Option<Why> {
        let last_timestamp_ms = Some(NOW - age_ms);
        let open = Open { topic: "lines", partition: 1, last_timestamp_ms };
        judge(open, partitions.map(|partitions| Owner { partitions }), NOW, MAX)
    }

    fn at(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.to_owned(), partition }
    }

    #[test]
    fn one_that_is_younger_than_any_timeout_is_not_judged() {
        for age_ms in [-5, 0, MAX] {
            assert_eq!(verdict(age_ms, None), None);
            assert_eq!(verdict(age_ms, Some(&[])), None);
        }
    }

    #[test]
    fn one_whose_coordinator_will_end_it_does_not_hang_however_old_it_is() {
        assert_eq!(verdict(100 * MAX, Some(&[at("words", 1), at("lines", 1)])), None);
    }

    #[test]
    fn one_that_no_coordinator_will_end_hangs() {
        assert_eq!(verdict(MAX + 1, None), Some(Why::UnknownProducer));
        for others in [&[][..], &[at("lines", 0)], &[at("words", 1)]] {
            assert_eq!(verdict(MAX + 1, Some(others)), Some(Why::NotInTransaction));
        }
    }

    #[test]
    fn one_without_a_time_is_old() {
        let open = Open { topic: "lines", partition: 0, last_timestamp_ms: None };
        assert_eq!(judge(open, None, NOW, MAX), Some(Why::UnknownProducer));
    }
}
