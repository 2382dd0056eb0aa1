//! From collected texts to a checked configuration: defaults, types, all checks.
//!
//! Invariants: a [`StreamsConfig`] is made here alone, so each one has passed every check. All that
//! is wrong is told at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oncestream_engine::ConfigError;

use super::given::{Ignored, Raw};
use super::handlers::HandlerWords;
use super::keys::Key;
use super::names::{self, Client};
use super::native::{self, Role};
use super::scale::Scale;
use super::values::{
    ExceptionHandler, ProcessingGuarantee, StateBackendKind, offset_reset, switch,
};
use super::{StreamsConfig, StreamsConfigBuilder, checks};

/// A transaction timeout that nobody set; Kafka's default for Kafka Streams.
const TRANSACTION_TIMEOUT_MS: i64 = 10_000;
const DROPPED_RECORDS: &str = "errors.dead.letter.queue.dropped.records.enable";

pub(super) fn resolve(mut builder: StreamsConfigBuilder) -> Result<StreamsConfig, ConfigError> {
    builder.ignored.extend(without_topic(&builder.raw));
    for (key, reason) in &builder.ignored {
        tracing::warn!(key, reason, "a configuration key is ignored");
    }
    let mut faults = std::mem::take(&mut builder.faults);
    faults.extend(own_faults(&builder.raw));
    let of_settings = setting_faults(&builder.raw);
    let settings_are_good = of_settings.is_empty();
    faults.extend(of_settings);
    match typed(builder) {
        Ok(config) => {
            faults.extend(contradictions(&config));
            // A client with a bad setting cannot be made, and tells nothing about the others.
            if settings_are_good {
                faults.extend(clashes(&config));
            }
            ConfigError::all(faults).map(|()| config)
        }
        // What is wrong with a key of ours is among the faults.
        Err(error) if faults.is_empty() => Err(error),
        Err(error) => Err(ConfigError::all(faults).err().unwrap_or(error)),
    }
}

/// The key for dead letters of dropped records, where there is no topic for them.
fn without_topic(raw: &Raw) -> Option<Ignored> {
    let has_topic = matches!(raw.text("errors.dead.letter.queue.topic.name"), Ok(Some(_)));
    let is_on = matches!(raw.word(DROPPED_RECORDS, switch), Ok(true));
    let reason = "there is no topic to write to; set `errors.dead.letter.queue.topic.name` too";
    (is_on && !has_topic).then(|| (DROPPED_RECORDS.to_owned(), reason))
}

/// What is wrong with the keys of the table, one by one.
fn own_faults(raw: &Raw) -> Vec<ConfigError> {
    let required = ["application.id", "bootstrap.servers"].into_iter();
    let missing = required.filter(|key| !raw.0.contains_key(*key));
    let given = raw
        .0
        .iter()
        .filter_map(|(key, given)| names::own(key)?.check(&given.name, &given.value).err());
    missing.map(|key| ConfigError::Missing { key }).chain(given).collect()
}

/// What is wrong with the settings of clients, one by one: first what the runtime cannot live with,
/// then what librdkafka does not take.
fn setting_faults(raw: &Raw) -> Vec<ConfigError> {
    let guarantee = raw
        .word("processing.guarantee", ProcessingGuarantee::from_word)
        .unwrap_or(ProcessingGuarantee::AtLeastOnce);
    let faults = raw.0.iter().filter_map(|(key, given)| {
        let (client, setting) = names::split(key);
        let shared_by = || Client::ALL.into_iter().find(|client| names::is_shared(key, *client));
        let client = client.or_else(shared_by)?;
        let (name, value) = (&given.name, &given.value);
        let of_native = || match names::folded(client, setting) {
            Some(_) => Ok(()),
            None => native::check(name, setting, value),
        };
        checks::check_override(client, setting, name, value, guarantee)
            .and_then(|()| of_native())
            .err()
    });
    faults.collect()
}

/// librdkafka's rules between the settings of one client.
fn clashes(config: &StreamsConfig) -> Vec<ConfigError> {
    let transactional_id = config.is_exactly_once().then_some("id");
    let clients = [
        ("consumer", Role::Consumer, config.consumer_settings(0)),
        ("restore consumer", Role::Consumer, config.restore_consumer_settings(0)),
        ("consumer of global tables", Role::Consumer, config.global_consumer_settings()),
        ("producer", Role::Producer, config.producer_settings(transactional_id, 0)),
        ("admin client", Role::Producer, config.admin_settings()),
    ];
    let broken = clients.into_iter().filter_map(|(client, role, settings)| {
        Some((client, native::together(role, &settings).err()?))
    });
    let mut broken: Vec<_> = broken.collect();
    // `consumer.` breaks both consumers in the same way.
    broken.dedup_by(|(_, later), (_, earlier)| later == earlier);
    broken.into_iter().map(|(client, reason)| ConfigError::Client { client, reason }).collect()
}

/// The usual timeout, if it lies between the commit interval and the end of the session; else one
/// that does, if there is any.
fn transaction_timeout_ms(commit_ms: i64, session_ms: i64) -> i64 {
    let usual = TRANSACTION_TIMEOUT_MS.min(session_ms / 3 * 2);
    let between = if usual > commit_ms { usual } else { i64::midpoint(commit_ms, session_ms) };
    between.max(1000)
}

fn typed(builder: StreamsConfigBuilder) -> Result<StreamsConfig, ConfigError> {
    let StreamsConfigBuilder { raw, custom, own, ignored, .. } = builder;
    let guarantee = raw.word("processing.guarantee", ProcessingGuarantee::from_word)?;
    let default_commit_ms = if guarantee.is_exactly_once() { 100 } else { 30_000 };
    let commit_ms = raw.whole_or("commit.interval.ms", default_commit_ms)?;
    let session_ms = raw.whole("session.timeout.ms")?;
    let default_heartbeat_ms = (session_ms / 3).clamp(1, 3000);
    let default_poll_interval_ms = session_ms.max(300_000);
    let default_transaction_ms = if guarantee.is_exactly_once() {
        transaction_timeout_ms(commit_ms, session_ms)
    } else {
        TRANSACTION_TIMEOUT_MS
    };
    let default_state_dir = std::env::temp_dir().join("oncestream");

    let words = HandlerWords {
        deserialization: raw
            .word("deserialization.exception.handler", ExceptionHandler::from_word)?,
        processing: raw.word("processing.exception.handler", ExceptionHandler::from_word)?,
        production: raw.word("production.exception.handler", ExceptionHandler::from_word)?,
        tell_of_drops: raw.word(DROPPED_RECORDS, switch)?,
    };
    let dead_letter_topic = raw.text("errors.dead.letter.queue.topic.name")?;
    let error_handlers = custom.resolve(&words, dead_letter_topic.as_deref());

    Ok(StreamsConfig {
        application_id: raw.text("application.id")?.unwrap_or_default(),
        bootstrap_servers: raw.text("bootstrap.servers")?.unwrap_or_default(),
        guarantee,
        num_stream_threads: raw.unsigned("num.stream.threads")?,
        commit_interval: millis(commit_ms),
        poll: millis(raw.whole("poll.ms")?),
        state_dir: raw.text("state.dir")?.map_or(default_state_dir, PathBuf::from),
        state_backend: raw.word("state.backend", StateBackendKind::from_word)?,
        cache_max_bytes: raw.unsigned("statestore.cache.max.bytes")?,
        uncommitted_max_bytes: u64::try_from(raw.whole("statestore.uncommitted.max.bytes")?).ok(),
        write_interval: millis(raw.whole("statestore.write.interval.ms")?),
        replication_factor: replicas(&raw)?,
        windowstore_changelog_additional_retention: millis(
            raw.whole("windowstore.changelog.additional.retention.ms")?,
        ),
        max_task_idle_ms: raw.whole("max.task.idle.ms")?,
        global_restore_timeout: millis(raw.whole("global.restore.timeout.ms")?),
        buffered_records_per_partition: raw.unsigned("buffered.records.per.partition")?,
        instance_id: raw.text("instance.id")?,
        group_instance_id: raw.text("group.instance.id")?,
        auto_offset_reset: raw.word("auto.offset.reset", offset_reset)?,
        max_poll_interval: millis(raw.whole_or("max.poll.interval.ms", default_poll_interval_ms)?),
        session_timeout: millis(session_ms),
        heartbeat_interval: millis(raw.whole_or("heartbeat.interval.ms", default_heartbeat_ms)?),
        transaction_timeout: millis(
            raw.whole_or("transaction.timeout.ms", default_transaction_ms)?,
        ),
        repartition_purge_interval: millis(raw.whole("repartition.purge.interval.ms")?),
        client_id: raw.text("client.id")?,
        shutdown_timeout: millis(raw.whole("shutdown.timeout.ms")?),
        deserialization_exception_handler: words.deserialization,
        processing_exception_handler: words.processing,
        production_exception_handler: words.production,
        dropped_records_have_dead_letters: words.tell_of_drops,
        dead_letter_topic,
        error_handlers: Arc::new(error_handlers),
        scale: Scale::default(),
        raw,
        own,
        ignored,
    })
}

/// What is wrong with values of ours together.
fn contradictions(config: &StreamsConfig) -> Vec<ConfigError> {
    let guarantee = config.guarantee;
    let commit_ms = whole_ms(config.commit_interval);
    let session_ms = whole_ms(config.session_timeout);
    let transaction_ms = whole_ms(config.transaction_timeout);
    let mut checked =
        vec![checks::check_heartbeat(whole_ms(config.heartbeat_interval), session_ms)];
    if matches!(config.raw.text("transaction.timeout.ms"), Ok(Some(_))) {
        checked.push(checks::check_commit_interval(guarantee, commit_ms, transaction_ms));
        checked.push(checks::check_transaction_timeout(guarantee, transaction_ms, session_ms));
    } else {
        checked.push(checks::check_room(guarantee, commit_ms, transaction_ms, session_ms));
    }
    checked.into_iter().filter_map(Result::err).collect()
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
            .find_map(|name| self.0.get(&name).map(|given| (name, given.value.as_str())))
    }

    /// The value given for a key, checked; `None` if none was.
    fn text(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let key = known(name)?;
        let Some((given, value)) = self.given(key) else { return Ok(None) };
        key.check(&given, value)?;
        Ok(Some(value.to_owned()))
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
}

fn known(name: &'static str) -> Result<&'static Key, ConfigError> {
    // Names come from `resolve` alone; a test resolves every key of the table.
    names::own(name).ok_or(ConfigError::UnknownKey { key: name.to_owned(), nearest: None })
}
