//! The configuration: Kafka's own dotted keys from a builder, a properties or TOML text, or the
//! environment, checked as a whole before anything starts.
//!
//! - `keys.rs` is the table of keys; `names.rs` says where any name belongs, or what was meant;
//!   `java.rs` and `jaas.rs` know what is another thing in the Java world.
//! - `parse.rs` reads the texts; `builder.rs` merges them, the later wins, into `given.rs`.
//! - `resolve.rs` fills in defaults and types; `checks.rs` refuses contradictions; `native.rs` asks
//!   librdkafka about its own settings. All that is wrong is in one error.
//! - `secrets.rs` says what is never shown.
//! - `handlers.rs` makes the exception handlers.
//! - `connection.rs` reads a file for a tool with a client of its own.
//! - `clients.rs` tells each Kafka client's settings; `scale.rs` those that follow the number of
//!   partitions; `worker.rs` tells the engine's.
//!
//! It connects to nothing. Invariants: a [`StreamsConfig`] has passed all checks, librdkafka's too;
//! neither its `Debug` nor any error shows a secret.

mod accessors;
mod builder;
mod checks;
mod clients;
mod connection;
mod given;
mod handlers;
mod jaas;
mod java;
mod keys;
mod names;
mod native;
mod parse;
mod resolve;
mod scale;
mod secrets;
mod values;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::handlers::ErrorHandlers;

pub use builder::StreamsConfigBuilder;
pub use clients::ClientSettings;
pub use connection::connection_properties;
pub use keys::Key;
pub use oncestream_engine::{AutoOffsetReset, ConfigError};
pub(crate) use scale::Scale;
pub(crate) use secrets::is_secret;
pub use values::{ExceptionHandler, ProcessingGuarantee, StateBackendKind};

/// The checked configuration of an application.
///
/// ```
/// use std::time::Duration;
///
/// use oncestream_runtime::config::{ProcessingGuarantee, StreamsConfig};
///
/// let config = StreamsConfig::builder("word-count", "localhost:9092")
///     .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
///     .num_stream_threads(2)
///     .set("consumer.fetch.max.bytes", "1000000")?
///     .build()?;
/// assert_eq!(config.commit_interval(), Duration::from_millis(100));
/// # Ok::<(), oncestream_runtime::config::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamsConfig {
    application_id: String,
    bootstrap_servers: String,
    guarantee: ProcessingGuarantee,
    num_stream_threads: usize,
    commit_interval: Duration,
    poll: Duration,
    state_dir: PathBuf,
    state_backend: StateBackendKind,
    cache_max_bytes: u64,
    uncommitted_max_bytes: Option<u64>,
    write_interval: Duration,
    replication_factor: i32,
    windowstore_changelog_additional_retention: Duration,
    max_task_idle_ms: i64,
    global_restore_timeout: Duration,
    buffered_records_per_partition: usize,
    instance_id: Option<String>,
    group_instance_id: Option<String>,
    auto_offset_reset: AutoOffsetReset,
    max_poll_interval: Duration,
    session_timeout: Duration,
    heartbeat_interval: Duration,
    transaction_timeout: Duration,
    repartition_purge_interval: Duration,
    client_id: Option<String>,
    shutdown_timeout: Duration,
    deserialization_exception_handler: ExceptionHandler,
    processing_exception_handler: ExceptionHandler,
    production_exception_handler: ExceptionHandler,
    dead_letter_topic: Option<String>,
    dropped_records_have_dead_letters: bool,
    error_handlers: Arc<ErrorHandlers>,
    /// What was seen of the cluster at the start; by default of one that is small.
    scale: Scale,
    /// What was given, for the settings that pass to clients.
    raw: given::Raw,
    own: given::OwnKeys,
    ignored: Vec<given::Ignored>,
}

impl StreamsConfig {
    /// A builder with the two required keys, `application.id` and `bootstrap.servers`.
    pub fn builder(
        application_id: impl Into<String>,
        bootstrap_servers: impl Into<String>,
    ) -> StreamsConfigBuilder {
        StreamsConfigBuilder::with_required(application_id.into(), bootstrap_servers.into())
    }

    /// From a text in Java `.properties` syntax.
    ///
    /// ```
    /// use oncestream_runtime::config::StreamsConfig;
    ///
    /// let config = StreamsConfig::from_properties(
    ///     "application.id = word-count\nbootstrap.servers: localhost:9092",
    /// )?;
    /// assert_eq!(config.application_id(), "word-count");
    /// # Ok::<(), oncestream_runtime::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// As [`StreamsConfigBuilder::properties`] and [`StreamsConfigBuilder::build`].
    pub fn from_properties(text: &str) -> Result<Self, ConfigError> {
        StreamsConfigBuilder::new().properties(text)?.build()
    }

    /// From a `.properties` file. Keys of your own in it need
    /// [`own_keys`](StreamsConfigBuilder::own_keys).
    ///
    /// # Errors
    /// As [`StreamsConfigBuilder::properties_file`] and [`StreamsConfigBuilder::build`].
    pub fn from_properties_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        StreamsConfigBuilder::new().properties_file(path)?.build()
    }

    /// From a TOML text.
    ///
    /// # Errors
    /// As [`StreamsConfigBuilder::toml`] and [`StreamsConfigBuilder::build`].
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        StreamsConfigBuilder::new().toml(text)?.build()
    }

    /// From the environment: `ONCESTREAM_APPLICATION_ID` and so on.
    ///
    /// # Errors
    /// As [`StreamsConfigBuilder::env`] and [`StreamsConfigBuilder::build`].
    pub fn from_env() -> Result<Self, ConfigError> {
        StreamsConfigBuilder::new().env()?.build()
    }

    /// All keys, with defaults and what they do, in the order of the documentation.
    pub fn keys() -> &'static [Key] {
        keys::KEYS
    }

    /// The same with `instance.id` set to one found in the state directory, unless one was
    /// configured.
    #[doc(hidden)]
    pub fn with_instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance_id.get_or_insert(id.into());
        self
    }

    /// The same for a cluster of this scale.
    pub(crate) fn with_scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }
}
