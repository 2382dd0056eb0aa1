//! The errors of a configuration.
//!
//! Invariant: no message and no `Debug` here shows a secret. A value is kept only where the key
//! is not a secret one (`secrets.rs`), and what is wrong with a text names the line, never its text.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a configuration was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Several of the below, all that was found.
    #[error("{} things are wrong with the configuration:{}", .0.len(), listed(.0))]
    Several(Vec<ConfigError>),
    /// A key without a default was not given.
    #[error("`{key}` is required, because it has no default; set it")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// No such key.
    #[error("unknown key `{key}`{}", suggestion(nearest.as_deref()))]
    UnknownKey {
        /// The key as given.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A key of the Java clients or of Kafka Streams which has another form here.
    #[error("`{key}` is not supported: {instead}")]
    Unsupported {
        /// The key as given.
        key: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// A value its key does not take.
    #[error("`{key}` cannot be `{value}`: it takes {allowed}")]
    Invalid {
        /// The key.
        key: String,
        /// The value, redacted for a secret key.
        value: String,
        /// What the key takes.
        allowed: String,
    },
    /// A setting that the runtime depends on cannot be overridden like this.
    #[error("`{key}` cannot be `{value}`: {reason}")]
    Forbidden {
        /// The key, with its prefix if it has one.
        key: String,
        /// The value, redacted for a secret key.
        value: String,
        /// Why the runtime needs it otherwise.
        reason: &'static str,
    },
    /// Two values that do not go together.
    #[error("`{key}` ({value}) {rule} `{other}` ({other_value}): {reason}")]
    Contradiction {
        /// The key whose value is out of line.
        key: &'static str,
        /// Its value, in milliseconds.
        value: i64,
        /// How it has to relate to the other, such as "must be below".
        rule: &'static str,
        /// The key it is compared with.
        other: &'static str,
        /// The value of that one, in milliseconds.
        other_value: i64,
        /// Why.
        reason: &'static str,
    },
    /// Settings of one client that do not go together, in librdkafka's words.
    #[error("the settings of the {client} do not go together: {reason}")]
    Client {
        /// Which client.
        client: &'static str,
        /// The first rule that is broken.
        reason: String,
    },
    /// A line of a text with an unknown key that may be a part of the value above it.
    #[error(
        "line {line} of the properties text has no known key, and is not shown, because it may \
         belong to a secret above it; end each line of a value but its last with a backslash"
    )]
    StrayLine {
        /// The line, counted from 1.
        line: usize,
    },
    /// A text that is not in its format.
    #[error("line {line} of the {format} text: {reason}")]
    Syntax {
        /// `properties` or `TOML`.
        format: &'static str,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there, without the line's text.
        reason: String,
    },
    /// One text gives a key twice, once quoted and once as nested tables.
    #[error("`{key}` is given twice, once quoted and once as nested tables; keep one")]
    Duplicate {
        /// The key.
        key: String,
    },
    /// A file that could not be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// An environment variable whose value is not UTF-8.
    #[error("the value of the environment variable `{name}` is not UTF-8; correct it")]
    EnvironmentNotUtf8 {
        /// The variable.
        name: String,
    },
}

impl ConfigError {
    /// One of them as it is, more as [`Several`](Self::Several).
    #[doc(hidden)]
    pub fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 | 1 => errors.pop().map_or(Ok(()), Err),
            _ => Err(Self::Several(errors)),
        }
    }
}

fn listed(errors: &[ConfigError]) -> String {
    errors.iter().fold(String::new(), |mut text, error| {
        let _ = write!(text, "\n- {error}");
        text
    })
}

fn suggestion(nearest: Option<&str>) -> String {
    match nearest {
        Some(key) => format!("; did you mean `{key}`?"),
        None => "; if it is your own, `StreamsConfigBuilder::own_keys` lets it through".to_owned(),
    }
}
