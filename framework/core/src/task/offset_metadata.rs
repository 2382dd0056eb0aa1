//! What travels in the metadata of a committed offset: the partition's time.
//!
//! The format is version 1 of Kafka Streams' `TopicPartitionMetadata`: base64 of a version byte
//! and the time in milliseconds, big-endian. What Kafka Streams wrote is read, and the reverse.
//!
//! While an application is being reset, a word stands there instead, and no instance begins.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::record::TimestampMs;

const VERSION: u8 = 1;
/// No base64, so that it is never taken for a time.
const RESETTING: &str = "oncestream-reset";

/// The metadata of one committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetMetadata {
    /// The largest time processed on the partition; -1 before the first record.
    pub partition_time: TimestampMs,
}

impl OffsetMetadata {
    /// The text to commit.
    pub fn encode(self) -> String {
        let mut bytes = [VERSION; 9];
        bytes[1..].copy_from_slice(&self.partition_time.to_be_bytes());
        STANDARD.encode(bytes)
    }

    /// Reads it back; text of any other kind means "time not known".
    pub fn decode(text: &str) -> Self {
        Self { partition_time: time_in(text).unwrap_or(-1) }
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
        time_in(text).is_some()
    }
}

fn time_in(text: &str) -> Option<TimestampMs> {
    let bytes = STANDARD.decode(text).ok()?;
    // Version 2 of Kafka Streams has more behind the same beginning.
    let (version, rest) = bytes.split_first()?;
    let time = rest.first_chunk::<8>()?;
    (1..=2).contains(version).then(|| i64::from_be_bytes(*time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_survives_any_text() {
        for time in [-1, 0, i64::MAX] {
            let metadata = OffsetMetadata { partition_time: time };
            assert_eq!(OffsetMetadata::decode(&metadata.encode()), metadata);
            assert!(OffsetMetadata::is_own(&metadata.encode()));
        }
        for text in ["", "x", "AQ==", "////////////", "not base64 at all"] {
            assert_eq!(OffsetMetadata::decode(text).partition_time, -1, "{text}");
            assert!(!OffsetMetadata::is_own(text), "{text}");
            assert!(!OffsetMetadata::is_resetting(text), "{text}");
        }
        let mark = OffsetMetadata::resetting();
        assert!(OffsetMetadata::is_resetting(&mark) && !OffsetMetadata::is_own(&mark));
    }
}
