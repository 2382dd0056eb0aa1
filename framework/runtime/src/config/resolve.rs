//! From collected texts to a checked configuration: defaults, types, all checks.
//!
//! Invariant: a [`StreamsConfig`] is made here alone, so each one has passed every check.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::StreamsConfig;
use super::builder::Raw;
use super::checks;
use super::error::ConfigError;
use super::handlers::{CustomHandlers, HandlerWords};
use super::keys::Key;
use super::names::{self, Client, Place};
use super::scale::Scale;
use super::values::{AutoOffsetReset, ExceptionHandler, ProcessingGuarantee, StateBackendKind};

pub(super) fn resolve(raw: Raw, custom: CustomHandlers) -> Result<StreamsConfig, ConfigError> {
    let guarantee = raw.word("processing.guarantee", ProcessingGuarantee::from_word)?;
    let default_commit_ms = if guarantee.is_exactly_once() { 100 } else { 30_000 };
    let session_ms = raw.whole("session.timeout.ms")?;
    let default_heartbeat_ms = (session_ms / 3).clamp(1, 3000);
    let default_state_dir = std::env::temp_dir().join("oncestream");

    let words = HandlerWords {
        deserialization: raw
            .word("deserialization.exception.handler", ExceptionHandler::from_word)?,
        processing: raw.word("processing.exception.handler", ExceptionHandler::from_word)?,
        production: raw.word("production.exception.handler", ExceptionHandler::from_word)?,
    };
    let dead_letter_topic = raw.text("errors.dead.letter.queue.topic.name")?;
    let error_handlers = custom.resolve(&words, dead_letter_topic.as_deref());

    let config = StreamsConfig {
        application_id: raw.required("application.id")?,
        bootstrap_servers: raw.required("bootstrap.servers")?,
        guarantee,
        num_stream_threads: raw.unsigned("num.stream.threads")?,
        commit_interval: millis(raw.whole_or("commit.interval.ms", default_commit_ms)?),
        poll: millis(raw.whole("poll.ms")?),
        state_dir: raw.text("state.dir")?.map_or(default_state_dir, PathBuf::from),
        state_backend: raw.word("state.backend", StateBackendKind::from_word)?,
        cache_max_bytes: raw.unsigned("statestore.cache.max.bytes")?,
        uncommitted_max_bytes: u64::try_from(raw.whole("statestore.uncommitted.max.bytes")?).ok(),
        replication_factor: replicas(&raw)?,
        max_task_idle_ms: raw.whole("max.task.idle.ms")?,
        buffered_records_per_partition: raw.unsigned("buffered.records.per.partition")?,
        instance_id: raw.text("instance.id")?,
        group_instance_id: raw.text("group.instance.id")?,
        auto_offset_reset: raw.word("auto.offset.reset", AutoOffsetReset::from_word)?,
        max_poll_interval: millis(raw.whole("max.poll.interval.ms")?),
        session_timeout: millis(session_ms),
        heartbeat_interval: millis(raw.whole_or("heartbeat.interval.ms", default_heartbeat_ms)?),
        transaction_timeout: millis(raw.whole("transaction.timeout.ms")?),
        repartition_purge_interval: millis(raw.whole("repartition.purge.interval.ms")?),
        client_id: raw.text("client.id")?,
        shutdown_timeout: millis(raw.whole("shutdown.timeout.ms")?),
        deserialization_exception_handler: words.deserialization,
        processing_exception_handler: words.processing,
        production_exception_handler: words.production,
        dead_letter_topic,
        error_handlers: Arc::new(error_handlers),
        scale: Scale::default(),
        raw,
    };
    check(&config)?;
    Ok(config)
}

fn check(config: &StreamsConfig) -> Result<(), ConfigError> {
    let guarantee = config.guarantee;
    for (key, value) in &config.raw.0 {
        if let Place::Client(client, setting) = names::place(key)? {
            checks::check_override(client, setting, value, guarantee)?;
        }
    }
    let session_ms = whole_ms(config.session_timeout);
    let transaction_ms = whole_ms(config.transaction_timeout);
    checks::check_commit_interval(guarantee, whole_ms(config.commit_interval), transaction_ms)?;
    checks::check_transaction_timeout(guarantee, transaction_ms, session_ms)?;
    checks::check_heartbeat(whole_ms(config.heartbeat_interval), session_ms)?;
    checks::check_poll_interval(whole_ms(config.max_poll_interval), session_ms)?;
    if let Some(ms) = config.raw.passed_ms("producer.message.timeout.ms")? {
        checks::check_message_timeout(guarantee, ms, transaction_ms)?;
    }
    if let Some(ms) = config.raw.passed_ms("producer.socket.timeout.ms")? {
        checks::check_socket_timeout(guarantee, ms, transaction_ms)?;
    }
    Ok(())
}

fn millis(ms: i64) -> Duration {
    // The table bounds every time from below, at 0 or above.
    Duration::from_millis(ms.unsigned_abs())
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// No topic has 0 replicas, and bounds alone cannot say so.
fn replicas(raw: &Raw) -> Result<i32, ConfigError> {
    match raw.whole("replication.factor")? {
        0 => Err(ConfigError::Invalid {
            key: "replication.factor".to_owned(),
            value: "0".to_owned(),
            allowed: "-1 for the broker's default, or a whole number from 1".to_owned(),
        }),
        number => Ok(number as i32),
    }
}

impl Raw {
    /// The value given for a key, under the most special of its names, and that name.
    fn given(&self, key: &Key) -> Option<(String, &str)> {
        let prefixes: &[Client] = match key.client {
            Some(Client::MainConsumer) => &[Client::MainConsumer, Client::Consumer],
            Some(Client::Producer) => &[Client::Producer],
            _ => &[],
        };
        let names = prefixes.iter().map(|client| format!("{}{}", client.prefix(), key.name));
        names
            .chain([key.name.to_owned()])
            .find_map(|name| self.0.get(&name).map(|value| (name, value.as_str())))
    }

    /// The value given for a key, checked; `None` if none was.
    fn text(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let key = known(name)?;
        let Some((given, value)) = self.given(key) else { return Ok(None) };
        key.check(&given, value)?;
        Ok(Some(value.to_owned()))
    }

    fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        self.text(name)?.ok_or(ConfigError::Missing { key: name })
    }

    /// The value given, or the table's default.
    fn text_or_default(&self, name: &'static str) -> Result<String, ConfigError> {
        Ok(self.text(name)?.unwrap_or(known(name)?.default.to_owned()))
    }

    fn word<T>(
        &self,
        name: &'static str,
        from_word: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let word = self.text_or_default(name)?;
        from_word(&word).ok_or(known(name)?.invalid(name, &word))
    }

    fn whole(&self, name: &'static str) -> Result<i64, ConfigError> {
        let value = self.text_or_default(name)?;
        value
            .parse()
            .map_err(|_| known(name).map_or_else(|error| error, |key| key.invalid(name, &value)))
    }

    fn whole_or(&self, name: &'static str, default: i64) -> Result<i64, ConfigError> {
        if self.text(name)?.is_some() { self.whole(name) } else { Ok(default) }
    }

    fn unsigned<T: TryFrom<i64>>(&self, name: &'static str) -> Result<T, ConfigError> {
        let number = self.whole(name)?;
        T::try_from(number).or(Err(known(name)?.invalid(name, &number.to_string())))
    }

    /// A time passed to a client, which the table does not know.
    fn passed_ms(&self, name: &str) -> Result<Option<i64>, ConfigError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| ConfigError::Invalid {
            key: name.to_owned(),
            value: value.clone(),
            allowed: "a whole number".to_owned(),
        })
    }
}

fn known(name: &'static str) -> Result<&'static Key, ConfigError> {
    // Names come from `resolve` alone; a test resolves every key of the table.
    names::own(name).ok_or(ConfigError::UnknownKey { key: name.to_owned(), nearest: None })
}
