//! What a worker must know of an application's configuration, with the names of its keys.

use std::sync::Arc;
use std::time::Duration;

use oncestream_core::commit::Guarantee;
use oncestream_core::handlers::ErrorHandlers;

/// Where to begin on a partition without a committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AutoOffsetReset {
    /// At the oldest record.
    Earliest,
    /// After the newest record.
    Latest,
    /// Nowhere: it is an error.
    None,
}

impl AutoOffsetReset {
    /// The word for it in a configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Earliest => "earliest",
            Self::Latest => "latest",
            Self::None => "none",
        }
    }
}

/// The settings of the workers of an instance.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// `application.id`: also the group.
    pub application_id: Arc<str>,
    /// `instance.id`, configured or found.
    pub instance_id: Arc<str>,
    /// `bootstrap.servers`, to name the cluster in errors.
    pub bootstrap_servers: Arc<str>,
    /// `processing.guarantee`.
    pub guarantee: Guarantee,
    /// `commit.interval.ms`.
    pub commit_interval: Duration,
    /// `poll.ms`: how long a worker waits for records at most.
    pub poll: Duration,
    /// `transaction.timeout.ms`.
    pub transaction_timeout: Duration,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `max.poll.interval.ms`.
    pub max_poll_interval: Duration,
    /// `repartition.purge.interval.ms`.
    pub repartition_purge_interval: Duration,
    /// `auto.offset.reset`.
    pub auto_offset_reset: AutoOffsetReset,
    /// What one worker has of `statestore.cache.max.bytes`.
    pub cache_max_bytes: usize,
    /// `statestore.uncommitted.max.bytes`; `None` is no bound.
    pub uncommitted_max_bytes: Option<u64>,
    /// `buffered.records.per.partition`, at least 1.
    pub buffered_records_per_partition: usize,
    /// So many records are processed at most before the commit and the restore are looked at.
    pub records_per_turn: usize,
    /// `max.task.idle.ms`.
    pub max_task_idle_ms: i64,
    /// `global.restore.timeout.ms`: how long global tables may take to be restored at the start.
    pub global_restore_timeout: Duration,
    /// `errors.dead.letter.queue.topic.name`.
    pub dead_letter_topic: Option<Arc<str>>,
    /// Whom to ask about records that fail.
    pub handlers: Arc<ErrorHandlers>,
    /// Each worker's `client.id` is its own, because the user gave none to all of them.
    pub has_own_client_ids: bool,
}

impl WorkerSettings {
    /// Whether the guarantee is exactly once.
    pub fn is_exactly_once(&self) -> bool {
        self.guarantee == Guarantee::ExactlyOnce
    }
}
