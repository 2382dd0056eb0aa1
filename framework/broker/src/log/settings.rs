//! What a topic's configuration means to its logs, and how far a reader may see.
//!
//! It does not know the names of topic settings; whoever parses those fills this in.

/// The settings of a topic that its logs need. The default is Kafka's default.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogSettings {
    /// `max.message.bytes`: the largest batch taken, header included.
    pub(crate) max_message_bytes: usize,
    /// `message.timestamp.type=LogAppendTime`.
    pub(crate) log_append_time: bool,
    /// `cleanup.policy` contains `compact`.
    pub(crate) compact: bool,
    /// `cleanup.policy` contains `delete`.
    pub(crate) delete: bool,
    /// `retention.ms`; negative: no limit.
    pub(crate) retention_ms: i64,
    /// `retention.bytes`; negative: no limit.
    pub(crate) retention_bytes: i64,
    /// `delete.retention.ms`: how long tombstones and markers stay after they were first cleaned.
    pub(crate) delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: younger records are not compacted.
    pub(crate) min_compaction_lag_ms: i64,
    /// `segment.bytes`: the end of the log that is younger than this is not compacted.
    pub(crate) segment_bytes: u64,
    /// `segment.ms`: so long is the end of the log not compacted.
    pub(crate) segment_ms: i64,
    /// `min.cleanable.dirty.ratio`: compaction waits until so much of the log is new.
    pub(crate) min_cleanable_dirty_ratio: f64,
    /// `message.timestamp.before.max.ms`: how far a timestamp may lie in the past.
    pub(crate) timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far a timestamp may lie in the future.
    pub(crate) timestamp_after_max_ms: i64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            max_message_bytes: 1_048_588,
            log_append_time: false,
            compact: false,
            delete: true,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            delete_retention_ms: 24 * 3_600_000,
            min_compaction_lag_ms: 0,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            min_cleanable_dirty_ratio: 0.5,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
        }
    }
}

/// How far a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Up to the high watermark, open and aborted transactions included.
    ReadUncommitted,
    /// Up to the last stable offset; aborted transactions are listed for the reader to leave out.
    ReadCommitted,
}
