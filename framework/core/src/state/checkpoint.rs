//! How far a store's local data follows its changelog. Written in the same batch as the data.
//!
//! The format is our own and fixed. Version 2: a version byte; the offset and the wall-clock time
//! of the commit in milliseconds, both big-endian; the id of the changelog topic, 16 bytes; the id
//! of the cluster as UTF-8, to the end. What is not known is zero, or empty. Version 1 ends behind
//! the time, and is read as if nothing more were known. Invariant: the offset never passes what is
//! committed in the changelog.

use std::sync::Arc;

use super::WriteBatch;

/// The keyspace that holds the checkpoints of all stores of an instance.
pub const CHECKPOINTS: &str = "oncestream-checkpoints";

const VERSION: u8 = 2;
const VERSION_WITHOUT_SOURCE: u8 = 1;
const LEN_WITHOUT_SOURCE: usize = 17;
const LEN_WITHOUT_CLUSTER: usize = 33;

/// Which topic of which cluster offsets speak of. A topic that is deleted and made again has
/// another id, and offsets of the one say nothing of the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incarnation {
    /// The id of the cluster; empty where brokers do not tell it.
    pub cluster: Arc<str>,
    /// The id of the topic; zero where brokers do not tell it (before Kafka 2.8).
    pub topic: u128,
}

impl Incarnation {
    /// What is known of either, of this one first.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            cluster: if self.cluster.is_empty() { other.cluster } else { self.cluster },
            topic: if self.topic == 0 { other.topic } else { self.topic },
        }
    }

    /// Whether the two are known to be different clusters.
    pub fn is_other_cluster(&self, other: &Self) -> bool {
        !self.cluster.is_empty() && !other.cluster.is_empty() && self.cluster != other.cluster
    }

    /// Whether the two are known to be different topics.
    pub fn is_other_topic(&self, other: &Self) -> bool {
        self.topic != 0 && other.topic != 0 && self.topic != other.topic
    }
}

/// How far one store has followed its changelog partition, or that of its table's topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The next offset to read.
    pub offset: i64,
    /// When it was written, in milliseconds of wall clock; tells a store that missed tombstones.
    pub written_at_ms: i64,
    /// The topic that the offset is of, as far as it is known.
    pub source: Incarnation,
}

impl Checkpoint {
    /// Adds this checkpoint to the batch that holds the data it speaks of.
    pub fn write(&self, keyspace: &str, batch: &mut WriteBatch) {
        let mut bytes = Vec::with_capacity(LEN_WITHOUT_CLUSTER + self.source.cluster.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.offset.to_be_bytes());
        bytes.extend_from_slice(&self.written_at_ms.to_be_bytes());
        bytes.extend_from_slice(&self.source.topic.to_be_bytes());
        bytes.extend_from_slice(self.source.cluster.as_bytes());
        batch.put(CHECKPOINTS, keyspace.as_bytes(), &bytes);
    }

    /// Reads one back; `None` for bytes that are not a checkpoint of a known version.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (time, rest) = rest.split_first_chunk()?;
        let source = match *version {
            VERSION_WITHOUT_SOURCE if bytes.len() == LEN_WITHOUT_SOURCE => Incarnation::default(),
            VERSION => {
                let (topic, cluster) = rest.split_first_chunk()?;
                let cluster = std::str::from_utf8(cluster).ok()?.into();
                Incarnation { cluster, topic: u128::from_be_bytes(*topic) }
            }
            _ => return None,
        };
        let (offset, written_at_ms) = (i64::from_be_bytes(*offset), i64::from_be_bytes(*time));
        Some(Self { offset, written_at_ms, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::BatchOp;

    fn written(checkpoint: &Checkpoint) -> Vec<u8> {
        let mut batch = WriteBatch::default();
        checkpoint.write("counts-0", &mut batch);
        let (_, mut ops) = batch.sections().next().expect("one section");
        let BatchOp::Put { value: bytes, .. } = ops.next().expect("one op") else {
            panic!("a put")
        };
        bytes.to_vec()
    }

    #[test]
    fn a_checkpoint_reads_back_and_anything_else_does_not() {
        let source = Incarnation { cluster: "MkU3OEVBNTcwNTJENDM2Qk".into(), topic: u128::MAX - 7 };
        for source in [source, Incarnation::default()] {
            let checkpoint = Checkpoint { offset: 1 << 40, written_at_ms: -1, source };
            let bytes = written(&checkpoint);
            assert_eq!(Checkpoint::read(&bytes), Some(checkpoint));
            assert_eq!(Checkpoint::read(&bytes[..LEN_WITHOUT_CLUSTER - 1]), None);
            let mut other = bytes.clone();
            other[0] = 9;
            assert_eq!(Checkpoint::read(&other), None);
        }
        assert_eq!(Checkpoint::read(b""), None);
    }

    #[test]
    fn a_checkpoint_of_version_0_1_reads_as_one_of_an_unknown_topic() {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&42_i64.to_be_bytes());
        bytes.extend_from_slice(&7_i64.to_be_bytes());
        let source = Incarnation::default();
        let expected = Checkpoint { offset: 42, written_at_ms: 7, source };
        assert_eq!(Checkpoint::read(&bytes), Some(expected));
        bytes.push(0);
        assert_eq!(Checkpoint::read(&bytes), None);
    }

    #[test]
    fn only_what_is_known_of_both_can_differ() {
        let of = |cluster: &str, topic| Incarnation { cluster: cluster.into(), topic };
        let (known, unknown) = (of("a", 1), Incarnation::default());
        assert!(!known.is_other_cluster(&unknown) && !unknown.is_other_topic(&known));
        assert!(known.is_other_cluster(&of("b", 1)) && !known.is_other_topic(&of("b", 1)));
        assert!(known.is_other_topic(&of("a", 2)) && !known.is_other_cluster(&of("a", 2)));
        assert_eq!(of("a", 0).or(of("b", 2)), of("a", 2));
        assert_eq!(unknown.or(known.clone()), known);
    }
}
