//! Collects keys and values from all sources, in order: the later wins.
//!
//! A name is checked when it arrives, and so is a value on its own; how values agree is checked
//! by `build`. Invariant: the map holds canonical names only, so one setting is one entry.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::error::{ConfigError, shown};
use super::handlers::CustomHandlers;
use super::names::{self, Place};
use super::values::{ProcessingGuarantee, StateBackendKind};
use super::{StreamsConfig, parse, resolve};

/// Builds a [`StreamsConfig`]. Sources may be mixed; of two values for a key the later wins.
/// `consumer.session.timeout.ms` wins over `session.timeout.ms`, and `main.consumer.` over
/// `consumer.`, whichever comes later, as in Kafka Streams.
///
/// ```
/// use oncestream_runtime::config::{ProcessingGuarantee, StreamsConfig};
///
/// let config = StreamsConfig::builder("word-count", "localhost:9092")
///     .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
///     .properties("num.stream.threads = 2\nconsumer.fetch.max.bytes = 1000000")?
///     .set("num.stream.threads", "4")?
///     .build()?;
/// assert_eq!(config.num_stream_threads(), 4);
/// # Ok::<(), oncestream_runtime::config::ConfigError>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct StreamsConfigBuilder {
    raw: Raw,
    pub(super) custom: CustomHandlers,
}

/// Canonical keys and their values, as given.
#[derive(Clone, Default)]
pub(super) struct Raw(pub(super) BTreeMap<String, String>);

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(key, value)| (key, shown(key, value)))).finish()
    }
}

impl fmt::Debug for StreamsConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamsConfigBuilder").field(&self.raw).field(&self.custom).finish()
    }
}

impl StreamsConfigBuilder {
    /// A builder with nothing set; the two required keys may come from any source.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn with_required(application_id: String, bootstrap_servers: String) -> Self {
        Self::new()
            .own("application.id", application_id)
            .own("bootstrap.servers", bootstrap_servers)
    }

    /// Sets any key by its dotted name. Settings of one client begin with `consumer.`,
    /// `main.consumer.`, `restore.consumer.`, `producer.` or `admin.` and go on with
    /// librdkafka's name; security settings (`security.protocol`, `ssl.*`, `sasl.*`) go to all.
    /// `topic.` and Kafka's name of a topic setting say what new internal topics get; what a store
    /// says of its own changelog wins.
    ///
    /// # Errors
    /// An unknown key, with the nearest known one; a value the key does not take.
    pub fn set(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        self.insert(key.trim(), value)?;
        Ok(self)
    }

    /// Sets the keys of a text in Java `.properties` syntax.
    ///
    /// # Errors
    /// As [`set`](Self::set), and a malformed `\uXXXX`.
    pub fn properties(self, text: &str) -> Result<Self, ConfigError> {
        self.pairs(parse::properties(text)?)
    }

    /// Sets the keys of a `.properties` file, in UTF-8.
    ///
    /// # Errors
    /// As [`properties`](Self::properties), and a file that cannot be read.
    pub fn properties_file(self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
        self.properties(&text)
    }

    /// Sets the keys of a TOML text: `"commit.interval.ms" = 100`, or nested tables.
    ///
    /// # Errors
    /// As [`set`](Self::set), and text that is not TOML or gives a key twice.
    pub fn toml(self, text: &str) -> Result<Self, ConfigError> {
        self.pairs(parse::toml(text)?)
    }

    /// Sets the keys found in the environment: `ONCESTREAM_APPLICATION_ID` for
    /// `application.id`, upper case and with underscores for dots.
    ///
    /// A variable that stands for no key is left alone, since others may use the prefix; one
    /// that looks like a mistyped key is refused.
    ///
    /// # Errors
    /// A mistyped name, a value its key does not take, a value that is not UTF-8.
    pub fn env(self) -> Result<Self, ConfigError> {
        self.variables(std::env::vars_os())
    }

    /// As [`env`](Self::env), with the variables given.
    ///
    /// # Errors
    /// As [`env`](Self::env).
    pub fn variables<N, V>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, ConfigError>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        for (name, value) in variables {
            let name = name.into().to_string_lossy().into_owned();
            let Some(key) = parse::variable(&name) else { continue };
            if let Err(ConfigError::UnknownKey { nearest, .. }) = names::place(&key) {
                if nearest.is_some() {
                    return Err(ConfigError::UnknownKey { key: name, nearest });
                }
                tracing::warn!(variable = %name, "stands for no configuration key: ignored");
                continue;
            }
            let Ok(value) = value.into().into_string() else {
                return Err(ConfigError::EnvironmentNotUtf8 { name });
            };
            self.insert(&key, &value)?;
        }
        Ok(self)
    }

    /// Sets `processing.guarantee`.
    pub fn processing_guarantee(self, guarantee: ProcessingGuarantee) -> Self {
        self.own("processing.guarantee", guarantee.as_str())
    }

    /// Sets `num.stream.threads`.
    pub fn num_stream_threads(self, threads: usize) -> Self {
        self.own("num.stream.threads", threads.to_string())
    }

    /// Sets `commit.interval.ms`; parts of a millisecond are dropped.
    pub fn commit_interval(self, interval: Duration) -> Self {
        self.own("commit.interval.ms", interval.as_millis().to_string())
    }

    /// Sets `transaction.timeout.ms`; parts of a millisecond are dropped.
    pub fn transaction_timeout(self, timeout: Duration) -> Self {
        self.own("transaction.timeout.ms", timeout.as_millis().to_string())
    }

    /// Sets `session.timeout.ms`; parts of a millisecond are dropped.
    pub fn session_timeout(self, timeout: Duration) -> Self {
        self.own("session.timeout.ms", timeout.as_millis().to_string())
    }

    /// Sets `shutdown.timeout.ms`; parts of a millisecond are dropped.
    pub fn shutdown_timeout(self, timeout: Duration) -> Self {
        self.own("shutdown.timeout.ms", timeout.as_millis().to_string())
    }

    /// Sets `state.dir`. A path that is not UTF-8 is refused by [`build`](Self::build).
    pub fn state_dir(self, directory: impl AsRef<Path>) -> Self {
        self.own("state.dir", directory.as_ref().to_string_lossy())
    }

    /// Sets `state.backend`.
    pub fn state_backend(self, backend: StateBackendKind) -> Self {
        self.own("state.backend", backend.as_str())
    }

    /// Sets `statestore.cache.max.bytes`; 0 sends every update downstream.
    pub fn cache_max_bytes(self, bytes: u64) -> Self {
        self.own("statestore.cache.max.bytes", bytes.to_string())
    }

    /// Sets `replication.factor` of internal topics; -1 takes the broker's default.
    pub fn replication_factor(self, replicas: i32) -> Self {
        self.own("replication.factor", replicas.to_string())
    }

    /// Sets `instance.id`.
    pub fn instance_id(self, id: impl Into<String>) -> Self {
        self.own("instance.id", id)
    }

    /// Sets `group.instance.id`.
    pub fn group_instance_id(self, id: impl Into<String>) -> Self {
        self.own("group.instance.id", id)
    }

    /// Sets `client.id`.
    pub fn client_id(self, id: impl Into<String>) -> Self {
        self.own("client.id", id)
    }

    /// Checks everything.
    ///
    /// # Errors
    /// A required key that is missing, a value its key does not take, a client setting that
    /// the runtime cannot live with, values that contradict each other.
    pub fn build(self) -> Result<StreamsConfig, ConfigError> {
        resolve::resolve(self.raw, self.custom)
    }

    /// A key of the table; its value is checked by `build`.
    fn own(mut self, key: &str, value: impl Into<String>) -> Self {
        self.raw.0.insert(key.to_owned(), value.into());
        self
    }

    fn pairs(mut self, pairs: parse::Pairs) -> Result<Self, ConfigError> {
        for (key, value) in pairs {
            self.insert(key.trim(), &value)?;
        }
        Ok(self)
    }

    fn insert(&mut self, given: &str, value: &str) -> Result<(), ConfigError> {
        // Blanks around a value are noise, as for Kafka; within a secret they may be meant.
        let value = if names::is_secret(given) { value } else { value.trim() };
        if value.contains('\0') {
            return Err(ConfigError::Invalid {
                key: given.to_owned(),
                value: shown(given, &value.replace('\0', "\\0")),
                allowed: "text without the character of code 0".to_owned(),
            });
        }
        let key = match names::place(given)? {
            Place::Own(key) => {
                key.check(given, value)?;
                key.name.to_owned()
            }
            Place::Shared(setting) => names::canonical(setting).to_owned(),
            Place::Client(client, setting) => {
                let setting = names::canonical(setting);
                if let Some(key) = names::folded(client, setting) {
                    key.check(given, value)?;
                }
                format!("{}{setting}", client.prefix())
            }
            Place::Topic => given.to_owned(),
        };
        self.raw.0.insert(key, value.to_owned());
        Ok(())
    }
}
