//! Collects keys and values from all sources, in order: the later wins.
//!
//! Each name is looked up when it is given, and the value of a key of ours is checked by itself. `build`
//! returns all that was wrong. Invariant: what is kept has canonical names only, so one setting is one
//! entry.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use oncestream_engine::ConfigError;

use super::given::{Ignored, OwnKeys, Raw};
use super::handlers::CustomHandlers;
use super::names::{self, Client, Place};
use super::secrets::{is_name, is_secret, shown};
use super::values::{ProcessingGuarantee, StateBackendKind};
use super::{StreamsConfig, jaas, java, parse, resolve};

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
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct StreamsConfigBuilder {
    pub(super) raw: Raw,
    pub(super) custom: CustomHandlers,
    pub(super) own: OwnKeys,
    pub(super) ignored: Vec<Ignored>,
    pub(super) faults: Vec<ConfigError>,
}

impl StreamsConfigBuilder {
    /// A builder with nothing set; the two required keys may come from any source.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn with_required(application_id: String, bootstrap_servers: String) -> Self {
        Self::new()
            .put("application.id", application_id)
            .put("bootstrap.servers", bootstrap_servers)
    }

    /// Sets any key by its dotted name. Settings of one client begin with `consumer.`,
    /// `main.consumer.`, `restore.consumer.`, `producer.` or `admin.` and go on with
    /// librdkafka's name; without a prefix they go to every client that has them.
    /// `topic.` and Kafka's name of a topic setting say what new internal topics get; what a store
    /// says of its own changelog wins. Keys of Kafka Streams and of the Java clients that are others
    /// here are mapped, ignored with a warning, or refused with what to do instead.
    ///
    /// # Errors
    /// An unknown key, with the nearest known one; a value that a key of ours does not take.
    /// [`build`](Self::build) returns what is wrong with the setting of a client.
    pub fn set(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        let key = key.trim();
        match self.insert(key, value) {
            Err(error @ (ConfigError::UnknownKey { .. } | ConfigError::Unsupported { .. }))
                if names::split(key).0.is_some() =>
            {
                self.faults.push(error);
            }
            other => other?,
        }
        Ok(self)
    }

    /// Lets keys of your own through, which begin with `prefix` and mean nothing here: say so
    /// before the text that has them is read. [`StreamsConfig::own_value`] gives their values, which
    /// no error and no `Debug` shows. An empty prefix lets every unknown key through, mistyped ones
    /// too.
    ///
    /// ```
    /// use oncestream_runtime::config::{StreamsConfig, StreamsConfigBuilder};
    ///
    /// let config = StreamsConfigBuilder::new()
    ///     .own_keys("input.")
    ///     .properties("application.id=a\nbootstrap.servers=b:1\ninput.topic.name=sales")?
    ///     .build()?;
    /// assert_eq!(config.own_value("input.topic.name"), Some("sales"));
    /// # Ok::<(), oncestream_runtime::config::ConfigError>(())
    /// ```
    pub fn own_keys(mut self, prefix: impl Into<String>) -> Self {
        self.own.prefixes.push(prefix.into());
        self
    }

    /// Sets the keys of a text in Java `.properties` syntax. [`build`](Self::build) returns all that
    /// is wrong with keys and values.
    ///
    /// # Errors
    /// A malformed `\uXXXX`.
    pub fn properties(self, text: &str) -> Result<Self, ConfigError> {
        Ok(self.pairs(parse::properties(text)?))
    }

    /// Sets the keys of a `.properties` file, in UTF-8 or else ISO 8859-1, with or without a byte
    /// order mark.
    ///
    /// # Errors
    /// As [`properties`](Self::properties), and a file that cannot be read.
    pub fn properties_file(self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        self.properties(&text_of(path.as_ref())?)
    }

    /// Sets the keys of a TOML text: `"commit.interval.ms" = 100`, or nested tables.
    /// [`build`](Self::build) returns all that is wrong with keys and values.
    ///
    /// # Errors
    /// Text that is not TOML or gives a key twice.
    pub fn toml(self, text: &str) -> Result<Self, ConfigError> {
        Ok(self.pairs(parse::toml(text)?))
    }

    /// Sets the keys found in the environment: `ONCESTREAM_APPLICATION_ID` for
    /// `application.id`, upper case and with underscores for dots.
    ///
    /// A variable that stands for no key is left alone with a warning, since others may use the
    /// prefix; so is one by which an orchestrator tells where a service is
    /// (`ONCESTREAM_CONSUMER_PORT=tcp://10.0.0.5:8080`). One that looks like a mistyped key is
    /// refused, by [`build`](Self::build).
    ///
    /// # Errors
    /// None of its own; [`build`](Self::build) returns what is wrong.
    pub fn env(self) -> Result<Self, ConfigError> {
        self.variables(std::env::vars_os())
    }

    /// As [`env`](Self::env), with the variables given.
    ///
    /// # Errors
    /// None of its own; [`build`](Self::build) returns what is wrong.
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
            if parse::is_of_a_service(&key) {
                self.ignored.push((name, "an orchestrator sets it to the address of a service"));
                continue;
            }
            let text = value.into().into_string();
            let inserted = self.insert(&key, text.as_deref().unwrap_or_default());
            match inserted {
                Err(ConfigError::UnknownKey { nearest: None, .. }) => {
                    self.ignored.push((name, "there is no configuration key of this name"));
                }
                Err(ConfigError::UnknownKey { nearest, .. }) => {
                    self.faults.push(ConfigError::UnknownKey { key: name, nearest });
                }
                _ if text.is_err() => self.faults.push(ConfigError::EnvironmentNotUtf8 { name }),
                other => self.faults.extend(other.err()),
            }
        }
        Ok(self)
    }

    /// Sets `processing.guarantee`.
    pub fn processing_guarantee(self, guarantee: ProcessingGuarantee) -> Self {
        self.put("processing.guarantee", guarantee.as_str())
    }

    /// Sets `num.stream.threads`.
    pub fn num_stream_threads(self, threads: usize) -> Self {
        self.put("num.stream.threads", threads.to_string())
    }

    /// Sets `commit.interval.ms`; parts of a millisecond are dropped.
    pub fn commit_interval(self, interval: Duration) -> Self {
        self.put("commit.interval.ms", interval.as_millis().to_string())
    }

    /// Sets `transaction.timeout.ms`; parts of a millisecond are dropped.
    pub fn transaction_timeout(self, timeout: Duration) -> Self {
        self.put("transaction.timeout.ms", timeout.as_millis().to_string())
    }

    /// Sets `session.timeout.ms`; parts of a millisecond are dropped.
    pub fn session_timeout(self, timeout: Duration) -> Self {
        self.put("session.timeout.ms", timeout.as_millis().to_string())
    }

    /// Sets `shutdown.timeout.ms`; parts of a millisecond are dropped.
    pub fn shutdown_timeout(self, timeout: Duration) -> Self {
        self.put("shutdown.timeout.ms", timeout.as_millis().to_string())
    }

    /// Sets `state.dir`. A path that is not UTF-8 is refused by [`build`](Self::build).
    pub fn state_dir(self, directory: impl AsRef<Path>) -> Self {
        self.put("state.dir", directory.as_ref().to_string_lossy())
    }

    /// Sets `state.backend`.
    pub fn state_backend(self, backend: StateBackendKind) -> Self {
        self.put("state.backend", backend.as_str())
    }

    /// Sets `statestore.cache.max.bytes`; 0 sends every update downstream.
    pub fn cache_max_bytes(self, bytes: u64) -> Self {
        self.put("statestore.cache.max.bytes", bytes.to_string())
    }

    /// Sets `replication.factor` of internal topics; -1 takes the broker's default.
    pub fn replication_factor(self, replicas: i32) -> Self {
        self.put("replication.factor", replicas.to_string())
    }

    /// Sets `instance.id`.
    pub fn instance_id(self, id: impl Into<String>) -> Self {
        self.put("instance.id", id)
    }

    /// Sets `group.instance.id`.
    pub fn group_instance_id(self, id: impl Into<String>) -> Self {
        self.put("group.instance.id", id)
    }

    /// Sets `client.id`.
    pub fn client_id(self, id: impl Into<String>) -> Self {
        self.put("client.id", id)
    }

    /// Checks everything, and asks librdkafka about its own settings. Logs a warning for each key
    /// that is ignored.
    ///
    /// # Errors
    /// All that is wrong, in one answer: a required key that is missing, an unknown key, a value its
    /// key does not take, a client setting that the runtime cannot live with or that librdkafka
    /// refuses, values that contradict each other.
    pub fn build(self) -> Result<StreamsConfig, ConfigError> {
        resolve::resolve(self)
    }

    /// A key of the table; its value is checked by `build`.
    fn put(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.raw.put(key, key, value.into());
        self
    }

    fn pairs(mut self, pairs: parse::Pairs) -> Self {
        let mut strays = Strays::default();
        for parse::Pair { line, key, value } in pairs {
            let key = key.trim();
            let fault = self.insert(key, &value).err();
            let unknown = matches!(fault, Some(ConfigError::UnknownKey { nearest: None, .. }));
            let stray = line.filter(|_| strays.has(key, &value, unknown));
            self.faults.extend(stray.map(|line| ConfigError::StrayLine { line }).or(fault));
        }
        self
    }

    fn insert(&mut self, given: &str, value: &str) -> Result<(), ConfigError> {
        // Blanks around a value are noise, as for Kafka; within a secret they may be meant.
        let value = if is_secret(given) { value } else { value.trim() };
        if value.contains('\0') {
            return Err(ConfigError::Invalid {
                key: given.to_owned(),
                value: shown(given, &value.replace('\0', "\\0")),
                allowed: "text without the character of code 0".to_owned(),
            });
        }
        let place = match names::place(given, value) {
            Err(ConfigError::UnknownKey { .. }) if self.own.takes(given) => {
                self.own.put(given, value);
                return Ok(());
            }
            other => other?,
        };
        match place {
            Place::Own(key) => {
                let value = key.kept(&java::value_of(key.name, value));
                key.check(given, &value)?;
                self.raw.put(key.name, given, value);
            }
            Place::Setting(client, setting) => {
                let mut value = java::value_of(&setting, value).into_owned();
                if let Some(key) = client.and_then(|client| names::folded(client, &setting)) {
                    value = key.kept(&value);
                    key.check(given, &value)?;
                }
                let prefix = client.map_or("", Client::prefix);
                self.raw.put(&format!("{prefix}{setting}"), given, value);
            }
            Place::Topic => self.raw.put(given, given, value.to_owned()),
            Place::Login(client) => {
                let (username, password) = login(given, value)?;
                let prefix = client.map_or("", Client::prefix);
                self.raw.put(&format!("{prefix}sasl.username"), given, username);
                self.raw.put(&format!("{prefix}sasl.password"), given, password);
            }
            Place::Ignored(reason) => self.ignored.push((given.to_owned(), reason)),
        }
        Ok(())
    }
}

/// The text of a file.
pub(super) fn text_of(path: &Path) -> Result<String, ConfigError> {
    let bytes = std::fs::read(path)
        .map_err(|source| ConfigError::File { path: path.to_owned(), source: source.into() })?;
    Ok(parse::text(bytes))
}

/// The user's name and password in a `sasl.jaas.config`, given under this name.
pub(super) fn login(given: &str, value: &str) -> Result<(String, String), ConfigError> {
    let instead = "set `sasl.mechanism`, and for PLAIN and SCRAM `sasl.username` and \
                   `sasl.password`, for GSSAPI `sasl.kerberos.*`, for OAUTHBEARER \
                   `sasl.oauthbearer.*`";
    let unsupported = ConfigError::Unsupported { key: given.to_owned(), instead };
    jaas::login(value).ok_or(unsupported)
}

/// Finds the lines that belong to the value before them: one that lost its backslash, or one of a PEM
/// file.
#[derive(Default)]
pub(super) struct Strays {
    after_secret: bool,
}

impl Strays {
    /// Whether the next line is one; `unknown` if no key has a name like it.
    pub(super) fn has(&mut self, key: &str, value: &str, unknown: bool) -> bool {
        let part = self.after_secret || value.trim_matches('=').is_empty() || !is_name(key);
        self.after_secret = is_secret(key) || unknown && part;
        unknown && part
    }
}
