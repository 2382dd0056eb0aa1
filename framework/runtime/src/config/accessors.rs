//! Reading a [`StreamsConfig`], one method a key. Nothing is computed here.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::handlers::ErrorHandlers;
use oncestream_engine::AutoOffsetReset;

use super::StreamsConfig;
use super::names;
use super::values::{ExceptionHandler, ProcessingGuarantee, StateBackendKind};

impl StreamsConfig {
    /// `application.id`: also the consumer group.
    pub fn application_id(&self) -> &str {
        &self.application_id
    }

    /// `bootstrap.servers`, separated by commas.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// `processing.guarantee`.
    pub fn processing_guarantee(&self) -> ProcessingGuarantee {
        self.guarantee
    }

    /// Whether the guarantee is exactly once.
    pub fn is_exactly_once(&self) -> bool {
        self.guarantee.is_exactly_once()
    }

    /// `num.stream.threads`, at least 1.
    pub fn num_stream_threads(&self) -> usize {
        self.num_stream_threads
    }

    /// `commit.interval.ms`; its default depends on the guarantee.
    pub fn commit_interval(&self) -> Duration {
        self.commit_interval
    }

    /// `poll.ms`: how long a worker waits for records at most.
    pub fn poll(&self) -> Duration {
        self.poll
    }

    /// `state.dir`, which all applications may share.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Whether `state.dir` was left to its default, which lies in the temporary directory.
    pub fn is_state_dir_default(&self) -> bool {
        !self.raw.0.contains_key("state.dir")
    }

    /// `state.backend`.
    pub fn state_backend(&self) -> StateBackendKind {
        self.state_backend
    }

    /// `statestore.cache.max.bytes`, for the whole instance; 0 is no caching.
    pub fn cache_max_bytes(&self) -> u64 {
        self.cache_max_bytes
    }

    /// `statestore.uncommitted.max.bytes`, for the whole instance; `None` is no bound.
    pub fn uncommitted_max_bytes(&self) -> Option<u64> {
        self.uncommitted_max_bytes
    }

    /// `statestore.write.interval.ms`; zero writes with each commit.
    pub fn write_interval(&self) -> Duration {
        self.write_interval
    }

    /// `replication.factor`; -1 is the broker's default.
    pub fn replication_factor(&self) -> i32 {
        self.replication_factor
    }

    /// `windowstore.changelog.additional.retention.ms`: how much longer than its store a new changelog of
    /// windows or sessions keeps them.
    pub fn windowstore_changelog_additional_retention(&self) -> Duration {
        self.windowstore_changelog_additional_retention
    }

    /// The `topic.*` keys: settings of new internal topics, by Kafka's names.
    pub fn topic_settings(&self) -> BTreeMap<String, String> {
        let given = self.raw.0.iter();
        given
            .filter_map(|(key, given)| {
                let setting = names::topic_setting(key)?;
                Some((setting.to_owned(), given.value.clone()))
            })
            .collect()
    }

    /// `max.task.idle.ms`: -1 never waits, 0 waits for what the broker has, else milliseconds.
    pub fn max_task_idle_ms(&self) -> i64 {
        self.max_task_idle_ms
    }

    /// `global.restore.timeout.ms`: how long a start waits for global tables.
    pub fn global_restore_timeout(&self) -> Duration {
        self.global_restore_timeout
    }

    /// `buffered.records.per.partition`, at least 1.
    pub fn buffered_records_per_partition(&self) -> usize {
        self.buffered_records_per_partition
    }

    /// `instance.id`, if it was given. An application finds its own in the state directory otherwise.
    pub fn instance_id(&self) -> Option<&str> {
        self.instance_id.as_deref()
    }

    /// `group.instance.id`, without the worker's index.
    pub fn group_instance_id(&self) -> Option<&str> {
        self.group_instance_id.as_deref()
    }

    /// `client.id`, if it was given.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// `auto.offset.reset`.
    pub fn auto_offset_reset(&self) -> AutoOffsetReset {
        self.auto_offset_reset
    }

    /// `max.poll.interval.ms`.
    pub fn max_poll_interval(&self) -> Duration {
        self.max_poll_interval
    }

    /// `session.timeout.ms`.
    pub fn session_timeout(&self) -> Duration {
        self.session_timeout
    }

    /// `heartbeat.interval.ms`.
    pub fn heartbeat_interval(&self) -> Duration {
        self.heartbeat_interval
    }

    /// `transaction.timeout.ms`; with exactly once, between the commit interval and the session
    /// timeout.
    pub fn transaction_timeout(&self) -> Duration {
        self.transaction_timeout
    }

    /// `repartition.purge.interval.ms`.
    pub fn repartition_purge_interval(&self) -> Duration {
        self.repartition_purge_interval
    }

    /// `shutdown.timeout.ms`.
    pub fn shutdown_timeout(&self) -> Duration {
        self.shutdown_timeout
    }

    /// `deserialization.exception.handler`.
    pub fn deserialization_exception_handler(&self) -> ExceptionHandler {
        self.deserialization_exception_handler
    }

    /// `processing.exception.handler`.
    pub fn processing_exception_handler(&self) -> ExceptionHandler {
        self.processing_exception_handler
    }

    /// `production.exception.handler`.
    pub fn production_exception_handler(&self) -> ExceptionHandler {
        self.production_exception_handler
    }

    /// `errors.dead.letter.queue.topic.name`.
    pub fn dead_letter_topic(&self) -> Option<&str> {
        self.dead_letter_topic.as_deref()
    }

    /// `errors.dead.letter.queue.dropped.records.enable`.
    pub fn dropped_records_have_dead_letters(&self) -> bool {
        self.dropped_records_have_dead_letters
    }

    /// The value of a key of your own, which
    /// [`own_keys`](super::StreamsConfigBuilder::own_keys) let through.
    pub fn own_value(&self, key: &str) -> Option<&str> {
        self.own.get(key)
    }

    /// The keys that were given and have no effect, each with the reason; the log has them too.
    pub fn ignored_keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ignored.iter().map(|(key, reason)| (key.as_str(), *reason))
    }

    /// The handlers to ask: those of the keys above, or given as code in their place.
    #[doc(hidden)]
    pub fn error_handlers(&self) -> &Arc<ErrorHandlers> {
        &self.error_handlers
    }
}
