//! Asks librdkafka about settings: whether it knows a name, takes a value, and takes all of a
//! client's settings together. Connects to nothing.
//!
//! Invariant: what it answers about a secret setting has no part of the value.

use oncestream_engine::ConfigError;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;
use rdkafka::types::RDKafkaConfRes;

use super::clients::ClientSettings;
use super::secrets::{HIDDEN, is_secret};

/// What begins the settings of a connection. They are left out where a client is made for a check:
/// it must not connect, and need not find certificates.
const CONNECTION: &[&str] = &[
    "bootstrap.servers",
    "enable.sasl.",
    "enable.ssl.",
    "https.",
    "sasl.",
    "security.",
    "ssl",
    // A consumer with a group would leave it, which takes a while.
    "group.id",
];

/// What to do about a librdkafka that lacks something.
const WITHOUT_IT: &str = if cfg!(feature = "dynamic-linking") {
    "librdkafka was built without it; install one that has it"
} else {
    "librdkafka was built without it; enable the cargo feature `ssl` (`gssapi` for Kerberos, `gzip` \
     and `zstd` for these codecs)"
};

/// Whether there is a setting of this name, for any client.
pub(super) fn knows(setting: &str) -> bool {
    match set(setting, "") {
        Ok(()) => true,
        Err(KafkaError::ClientConfig(result, ..)) => {
            result != RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN
        }
        // No text that C could read.
        Err(_) => false,
    }
}

/// Whether the setting is one of TLS, and there is no TLS. Then it has no effect: `security.protocol`
/// is what asks for TLS, and is refused.
pub(super) fn lacks_tls_for(setting: &str) -> bool {
    let is_of_tls = setting.starts_with("ssl") || setting.starts_with("enable.ssl.");
    is_of_tls && set("ssl.endpoint.identification.algorithm", "none").is_err()
}

/// Checks one value of a known setting; `given` is the name it was given under.
pub(super) fn check(given: &str, setting: &str, value: &str) -> Result<(), ConfigError> {
    let Err(KafkaError::ClientConfig(_, text, ..)) = set(setting, value) else { return Ok(()) };
    let key = given.to_owned();
    if text.contains("not supported in this build") || text.starts_with("Unsupported value") {
        return Err(ConfigError::Unsupported { key, instead: WITHOUT_IT });
    }
    // The text may have the value, or a part of it: only what it says after that is told.
    let allowed = match text.rsplit_once("allowed range ") {
        Some((_, range)) => format!("a number from {}", range.trim().replace("..", " to ")),
        None if text.ends_with("true or false") => "true or false".to_owned(),
        None => "what librdkafka's CONFIGURATION.md says of it".to_owned(),
    };
    let hidden = is_secret(given) || is_secret(setting);
    let value = if hidden { HIDDEN.to_owned() } else { value.to_owned() };
    Err(ConfigError::Invalid { key, value, allowed })
}

fn set(setting: &str, value: &str) -> Result<(), KafkaError> {
    ClientConfig::new().set(setting, value).create_native_config().map(drop)
}

/// Which client a set of settings is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Consumer,
    /// The admin client is one too.
    Producer,
}

/// Makes a client with these settings and drops it, because librdkafka checks its rules between settings
/// only then. It reports the first rule that is broken.
pub(super) fn together(role: Role, settings: &ClientSettings) -> Result<(), String> {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Emerg);
    for (setting, value) in settings.iter() {
        if !CONNECTION.iter().any(|prefix| setting.starts_with(prefix)) {
            config.set(setting, value);
        }
    }
    let made = match role {
        Role::Consumer => config.create::<BaseConsumer>().map(drop),
        Role::Producer => config.create::<BaseProducer>().map(drop),
    };
    made.map_err(|error| match error {
        KafkaError::ClientCreation(text) => text,
        // A setting by itself, which `check` has told.
        _ => "one of them is not taken".to_owned(),
    })
}
