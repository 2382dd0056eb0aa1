//! What the engine's workers must know of a configuration.

use oncestream_core::commit::Guarantee;
use oncestream_engine::WorkerSettings;

use super::StreamsConfig;

/// So many records are processed at most before the commit and the restore are looked at.
const RECORDS_PER_TURN: usize = 500;

impl StreamsConfig {
    /// The settings of each worker, once the instance has its id
    /// (see [`with_instance_id`](Self::with_instance_id)).
    pub(crate) fn worker_settings(&self) -> WorkerSettings {
        let cache = self.cache_max_bytes / self.num_stream_threads.max(1) as u64;
        WorkerSettings {
            application_id: self.application_id.as_str().into(),
            instance_id: self.instance_id.as_deref().unwrap_or_default().into(),
            bootstrap_servers: self.bootstrap_servers.as_str().into(),
            guarantee: match self.is_exactly_once() {
                true => Guarantee::ExactlyOnce,
                false => Guarantee::AtLeastOnce,
            },
            commit_interval: self.commit_interval,
            poll: self.poll,
            transaction_timeout: self.transaction_timeout,
            session_timeout: self.session_timeout,
            max_poll_interval: self.max_poll_interval,
            repartition_purge_interval: self.repartition_purge_interval,
            auto_offset_reset: self.auto_offset_reset,
            cache_max_bytes: usize::try_from(cache).unwrap_or(usize::MAX),
            uncommitted_max_bytes: self.uncommitted_max_bytes,
            buffered_records_per_partition: self.buffered_records_per_partition,
            records_per_turn: RECORDS_PER_TURN,
            max_task_idle_ms: self.max_task_idle_ms,
            dead_letter_topic: self.dead_letter_topic.as_deref().map(Into::into),
            handlers: self.error_handlers.clone(),
            has_own_client_ids: self.client_id.is_none(),
        }
    }
}
