//! What travels in the metadata of a committed offset: the partition's time, and times that nodes
//! remember.
//!
//! The format is that of Kafka Streams' `TopicPartitionMetadata`: base64 of a version byte and the time
//! in milliseconds, big-endian (version 1), with what its `ProcessorMetadata` writes behind it (version
//! 2). What Kafka Streams wrote is read, and the reverse.
//!
//! While an application is being reset, a word stands there instead, and no instance begins.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::record::TimestampMs;

const WITHOUT_TIMES: u8 = 1;
const WITH_TIMES: u8 = 2;
/// No base64, so that it is never taken for a time.
const RESETTING: &str = "oncestream-reset";

/// The metadata of one committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetMetadata {
    /// The largest time processed on the partition; -1 before the first record.
    pub partition_time: TimestampMs,
    /// What the nodes of the task remember, by name.
    pub times: BTreeMap<String, TimestampMs>,
}

impl OffsetMetadata {
    /// A time of the partition alone.
    pub fn of_time(partition_time: TimestampMs) -> Self {
        Self { partition_time, times: BTreeMap::new() }
    }

    /// Nothing is known.
    pub fn unknown() -> Self {
        Self::of_time(-1)
    }

    /// The text to commit.
    pub fn encode(&self) -> String {
        let version = if self.times.is_empty() { WITHOUT_TIMES } else { WITH_TIMES };
        let mut bytes = vec![version];
        bytes.extend_from_slice(&self.partition_time.to_be_bytes());
        if version == WITH_TIMES {
            bytes.extend_from_slice(&(self.times.len() as u32).to_be_bytes());
            for (name, time) in &self.times {
                bytes.extend_from_slice(&(name.len() as u32).to_be_bytes());
                bytes.extend_from_slice(name.as_bytes());
                bytes.extend_from_slice(&time.to_be_bytes());
            }
        }
        STANDARD.encode(bytes)
    }

    /// Reads it back; text of any other kind means "nothing is known".
    pub fn decode(text: &str) -> Self {
        read(text).unwrap_or_else(Self::unknown)
    }

    /// The text beside an offset while its application is being reset.
    pub fn resetting() -> String {
        RESETTING.to_owned()
    }

    /// Whether a reset was begun that has not set this offset yet.
    pub fn is_resetting(text: &str) -> bool {
        text == RESETTING
    }

    /// Whether an application of this library or of Kafka Streams wrote it. Other consumers, and
    /// tools that set offsets, leave it empty or write something else.
    pub fn is_own(text: &str) -> bool {
        read(text).is_some()
    }
}

fn read(text: &str) -> Option<OffsetMetadata> {
    let bytes = STANDARD.decode(text).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (time, rest) = rest.split_first_chunk()?;
    if !(WITHOUT_TIMES..=WITH_TIMES).contains(version) {
        return None;
    }
    let times = if *version == WITH_TIMES { read_times(rest) } else { None };
    Some(OffsetMetadata {
        partition_time: i64::from_be_bytes(*time),
        times: times.unwrap_or_default(),
    })
}

fn read_times(bytes: &[u8]) -> Option<BTreeMap<String, TimestampMs>> {
    let (count, mut rest) = bytes.split_first_chunk()?;
    let mut times = BTreeMap::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (len, behind) = rest.split_first_chunk()?;
        let (name, behind) = behind.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        let (time, behind) = behind.split_first_chunk()?;
        times.insert(String::from_utf8_lossy(name).into_owned(), i64::from_be_bytes(*time));
        rest = behind;
    }
    Some(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_survives_any_text() {
        for time in [-1, 0, i64::MAX] {
            let mut metadata = OffsetMetadata::of_time(time);
            assert_eq!(OffsetMetadata::decode(&metadata.encode()), metadata);
            metadata.times.extend([("é".to_owned(), 3), (String::new(), i64::MAX)]);
            assert_eq!(OffsetMetadata::decode(&metadata.encode()), metadata);
            assert!(OffsetMetadata::is_own(&metadata.encode()));
        }
        for text in ["", "x", "AQ==", "////////////", "not base64 at all"] {
            assert_eq!(OffsetMetadata::decode(text), OffsetMetadata::unknown(), "{text}");
            assert!(!OffsetMetadata::is_own(text), "{text}");
            assert!(!OffsetMetadata::is_resetting(text), "{text}");
        }
        let mark = OffsetMetadata::resetting();
        assert!(OffsetMetadata::is_resetting(&mark) && !OffsetMetadata::is_own(&mark));
    }

    /// The bytes of `TopicPartitionMetadata.encode` in Kafka Streams: a version, the time, how many
    /// names, and each with its length and its time.
    #[test]
    fn the_bytes_are_those_of_kafka_streams() {
        let mut metadata = OffsetMetadata::of_time(5);
        metadata.times.insert("s".to_owned(), 7);
        let bytes = STANDARD.decode(metadata.encode()).unwrap();
        let expected = [&[2][..], &5_i64.to_be_bytes(), &1_i32.to_be_bytes(), &1_i32.to_be_bytes()];
        assert_eq!(bytes, [&expected.concat()[..], b"s", &7_i64.to_be_bytes()].concat());
        assert_eq!(STANDARD.decode(OffsetMetadata::of_time(5).encode()).unwrap()[0], 1);
        // What is cut off keeps the partition's time.
        let cut = STANDARD.encode(&bytes[..bytes.len() - 1]);
        assert_eq!(OffsetMetadata::decode(&cut), OffsetMetadata::of_time(5));
    }
}
