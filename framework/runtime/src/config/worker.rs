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
            guarantee: if self.is_exactly_once() {
                Guarantee::ExactlyOnce
            } else {
                Guarantee::AtLeastOnce
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
            global_restore_timeout: self.global_restore_timeout,
            dead_letter_topic: self.dead_letter_topic.as_deref().map(Into::into),
            handlers: self.error_handlers.clone(),
            has_own_client_ids: self.client_id.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn workers_share_the_cache_and_have_all_else_alike() {
        let config = StreamsConfig::builder("app", "b:1")
            .num_stream_threads(4)
            .set("statestore.cache.max.bytes", "1000")
            .unwrap()
            .build()
            .unwrap();
        let settings = config.clone().with_instance_id("one").worker_settings();
        assert_eq!(settings.cache_max_bytes, 250);
        assert_eq!((&*settings.application_id, &*settings.instance_id), ("app", "one"));
        assert_eq!(settings.commit_interval, config.commit_interval());
        assert!(!settings.is_exactly_once() && settings.has_own_client_ids);
    }
}
