//! How to reach the brokers, from Kafka's own keys. Pure: files are read elsewhere.
//!
//! Every key below `security.`, `sasl.` and `ssl.` is understood or refused by its name: a client that
//! passed over one would connect in another way than it was told to. Other keys are told apart as
//! ignored, because the file may be an application's own.
//!
//! Invariant: no value of a key that may be a secret is in an error or a `Debug`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::security::{Authorities, Login, Mechanism, Security};

/// What a cluster is asked through.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    pub(crate) servers: Vec<Server>,
    pub(crate) security: Security,
    pub(crate) client_id: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    /// As an argument of Kafka's own tools, where one is printed.
    pub(crate) command_config: Option<String>,
    ignored: Vec<String>,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A key that is needed is not there.
    #[error("`{key}` is required{because}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What asks for it.
        because: &'static str,
    },
    /// An address without a port, or with one that cannot be.
    #[error("`bootstrap.servers` has `{server}`, which is no address; write it as host:port")]
    Address {
        /// As it was given.
        server: String,
    },
    /// A value that the key does not take.
    #[error("`{key}` is `{value}`; it may be {allowed}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// Something that this client does not do.
    #[error("`{key}` is not supported here: {instead}")]
    Unsupported {
        /// The key.
        key: String,
        /// What is.
        instead: &'static str,
    },
    /// A feature of this crate that the build lacks.
    #[error("this build has no {what}; build it with the cargo feature `tls`")]
    Feature {
        /// What asks for it.
        what: &'static str,
    },
    /// The certificates cannot be had.
    #[error("cannot use {file} of `ssl.ca.location`: {reason}")]
    Certificates {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What `security.protocol` may be.
const PROTOCOLS: &str = "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL";
/// librdkafka's word for the authorities of the system.
const SYSTEM: &str = "probe";
const CLIENT_ID: &str = "oncestream-inspect";
/// Kafka's own default.
const CONNECT_TIMEOUT_MS: u64 = 10_000;
/// Kafka's own default.
const REQUEST_TIMEOUT_MS: u64 = 30_000;

impl ClientConfig {
    /// Brokers (`host:port`, with commas between) that ask for no security.
    ///
    /// # Errors
    /// No address, or one that is none.
    pub fn new(servers: &str) -> Result<Self, ConfigError> {
        Self::from_properties([("bootstrap.servers", servers)])
    }

    /// From keys of Kafka clients: `bootstrap.servers`, `security.protocol`, `sasl.mechanism` (PLAIN,
    /// SCRAM-SHA-256, SCRAM-SHA-512), `sasl.username`, `sasl.password`, `ssl.ca.location`, `client.id`,
    /// `request.timeout.ms` and `socket.connection.setup.timeout.ms`. Of two values the later wins.
    ///
    /// # Errors
    /// A key of security that is not one of these, or a value that its key does not take.
    pub fn from_properties<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError> {
        let mut given = Given::default();
        for (key, value) in pairs {
            given.put(key.as_ref().trim(), value.as_ref())?;
        }
        let servers = given.text("bootstrap.servers").unwrap_or_default();
        Ok(Self {
            servers: addresses(&servers)?,
            security: given.security()?,
            client_id: given.text("client.id").unwrap_or_else(|| CLIENT_ID.to_owned()),
            connect_timeout: given
                .millis("socket.connection.setup.timeout.ms", CONNECT_TIMEOUT_MS)?,
            request_timeout: given.millis("request.timeout.ms", REQUEST_TIMEOUT_MS)?,
            command_config: None,
            ignored: given.ignored,
        })
    }

    /// The file that the keys came from, to be named in a command of Kafka's that is printed.
    pub fn command_config(mut self, file: impl Into<String>) -> Self {
        self.command_config = Some(file.into());
        self
    }

    /// The names of keys that have no effect here.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// As `bootstrap.servers`.
    pub(crate) fn bootstrap_servers(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        servers.join(",")
    }
}

/// `host:port`, where an address of IPv6 is in brackets.
fn addresses(text: &str) -> Result<Vec<Server>, ConfigError> {
    let given = text.split(',').map(str::trim).filter(|server| !server.is_empty());
    let servers: Result<Vec<Server>, ConfigError> = given.map(address).collect();
    match servers?.as_slice() {
        [] => Err(ConfigError::Missing { key: "bootstrap.servers", because: "" }),
        servers => Ok(servers.to_vec()),
    }
}

fn address(text: &str) -> Result<Server, ConfigError> {
    let parse = || {
        let (host, port) = text.rsplit_once(':')?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_plain = !host.is_empty() && !host.contains([':', '/', '[', ']', ' ']);
        let host = bracketed.or(is_plain.then_some(host))?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        Some(Server { host: host.to_owned(), port })
    };
    parse().ok_or_else(|| ConfigError::Address { server: text.to_owned() })
}

/// Keys and values as they were given, under one name each.
#[derive(Default)]
struct Given {
    values: BTreeMap<&'static str, String>,
    ignored: Vec<String>,
}

/// The keys that have an effect, and librdkafka's other name of one.
const KEYS: [(&str, &str); 11] = [
    ("bootstrap.servers", "bootstrap.servers"),
    ("client.id", "client.id"),
    ("request.timeout.ms", "request.timeout.ms"),
    ("socket.timeout.ms", "request.timeout.ms"),
    ("socket.connection.setup.timeout.ms", "socket.connection.setup.timeout.ms"),
    ("security.protocol", "security.protocol"),
    ("sasl.mechanism", "sasl.mechanism"),
    ("sasl.mechanisms", "sasl.mechanism"),
    ("sasl.username", "sasl.username"),
    ("sasl.password", "sasl.password"),
    ("ssl.ca.location", "ssl.ca.location"),
];

impl Given {
    fn put(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        if let Some((_, name)) = KEYS.iter().find(|(given, _)| *given == key) {
            self.values.insert(name, value.to_owned());
            return Ok(());
        }
        let is_security = ["security.", "sasl.", "ssl.", "enable.ssl.", "enable.sasl."]
            .iter()
            .any(|p| key.starts_with(p));
        match (key, value.trim()) {
            // Names of hosts are always verified.
            ("ssl.endpoint.identification.algorithm", "https") => Ok(()),
            ("ssl.endpoint.identification.algorithm", _) => {
                Err(unsupported(key, "the host is always compared with its certificate (`https`)"))
            }
            _ if key.starts_with("ssl.truststore") => {
                Err(unsupported(key, "set `ssl.ca.location` to a PEM file"))
            }
            _ if key.starts_with("ssl.") => Err(unsupported(
                key,
                "of TLS there is `ssl.ca.location`, and no client certificates",
            )),
            _ if is_security => Err(unsupported(
                key,
                "there are `security.protocol`, `sasl.mechanism` (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512), \
                 `sasl.username` and `sasl.password`, or both in `sasl.jaas.config`, and `ssl.ca.location`",
            )),
            _ => {
                self.ignored.push(key.to_owned());
                Ok(())
            }
        }
    }

    /// A value without the blanks around it, which are noise as for Kafka; none if it is empty.
    fn text(&self, key: &str) -> Option<String> {
        self.values.get(key).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn millis(&self, key: &'static str, default_ms: u64) -> Result<Duration, ConfigError> {
        let Some(value) = self.text(key) else { return Ok(Duration::from_millis(default_ms)) };
        // An hour is more than anyone waits.
        let number = value.parse().ok().filter(|ms| (1..=3_600_000).contains(ms));
        let allowed = "a number of milliseconds from 1 to 3600000";
        let number = number.ok_or(ConfigError::Invalid { key, value, allowed })?;
        Ok(Duration::from_millis(number))
    }

    fn security(&self) -> Result<Security, ConfigError> {
        let key = "security.protocol";
        let protocol = self.text(key).unwrap_or_else(|| "PLAINTEXT".to_owned());
        let (tls, sasl) = match protocol.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            _ => return Err(ConfigError::Invalid { key, value: protocol, allowed: PROTOCOLS }),
        };
        Security::new(
            tls.then(|| self.authorities()),
            if sasl { Some(self.login()?) } else { None },
        )
    }

    fn authorities(&self) -> Authorities {
        match self.text("ssl.ca.location") {
            Some(file) if file != SYSTEM => Authorities::File(file),
            _ => Authorities::System,
        }
    }

    fn login(&self) -> Result<Login, ConfigError> {
        let missing = |key| ConfigError::Missing { key, because: " by `security.protocol`" };
        let mechanism = self.text("sasl.mechanism").ok_or(missing("sasl.mechanism"))?;
        let mechanism = Mechanism::from_name(&mechanism).ok_or(ConfigError::Invalid {
            key: "sasl.mechanism",
            value: mechanism,
            allowed: "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512: GSSAPI, OAUTHBEARER and others are not supported here",
        })?;
        let value = |key| self.values.get(key).cloned().ok_or(missing(key));
        Login::new(mechanism, value("sasl.username")?, value("sasl.password")?)
    }
}

fn unsupported(key: &str, instead: &'static str) -> ConfigError {
    ConfigError::Unsupported { key: key.to_owned(), instead }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const SASL: [(&str, &str); 4] = [
        ("bootstrap.servers", "a:1"),
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.username", "alice"),
        ("sasl.password", "hunter2"),
    ];

    fn with(more: &[(&str, &str)]) -> Result<ClientConfig, ConfigError> {
        ClientConfig::from_properties(SASL.into_iter().chain(more.iter().copied()))
    }

    #[test]
    fn addresses_are_hosts_and_ports() {
        let text = "a:1, [::1]:2 ,10.0.0.1:9092,";
        let told: Vec<String> = addresses(text).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["a:1", "[::1]:2", "10.0.0.1:9092"]);
        for wrong in ["", " , "] {
            assert!(matches!(addresses(wrong), Err(ConfigError::Missing { .. })), "{wrong}");
        }
        for wrong in ["a", "a:", ":1", "a:0", "a:65536", "SSL://a:1", "::1:9092", "a b:1"] {
            assert!(matches!(addresses(wrong), Err(ConfigError::Address { .. })), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_by_its_name() {
        for mechanism in ["GSSAPI", "OAUTHBEARER", "AWS_MSK_IAM"] {
            let error = with(&[("sasl.mechanism", mechanism)]).unwrap_err().to_string();
            assert!(error.contains(mechanism) && error.contains("SCRAM-SHA-512"), "{error}");
        }
        for key in [
            "ssl.keystore.location",
            "ssl.truststore.location",
            "ssl.endpoint.identification.algorithm",
            "sasl.kerberos.service.name",
            "sasl.client.callback.handler.class",
            "security.providers",
        ] {
            let pairs = [("bootstrap.servers", "a:1"), (key, "")];
            let error = ClientConfig::from_properties(pairs).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
        let error = with(&[("security.protocol", "SASL")]).unwrap_err().to_string();
        assert!(error.contains("`SASL`") && error.contains("SASL_SSL"), "{error}");
    }

    #[test]
    fn what_an_application_has_beside_it_is_ignored_by_its_name() {
        let config = with(&[
            ("sasl.mechanism", "PLAIN"),
            ("commit.interval.ms", "100"),
            ("ssl.endpoint.identification.algorithm", "https"),
        ]);
        assert_eq!(config.unwrap().ignored(), ["commit.interval.ms"]);
    }

    #[test]
    fn no_password_is_shown() {
        let config = with(&[("sasl.mechanisms", "PLAIN")]).unwrap();
        let debug = format!("{config:?}");
        assert!(debug.contains("alice") && !debug.contains("hunter2"), "{debug}");
        let error = with(&[("sasl.mechanism", "none"), ("sasl.password", "hunter2\0")]);
        let error = format!("{:?}", error.unwrap_err());
        assert!(!error.contains("hunter2"), "{error}");
        let error = with(&[("sasl.mechanism", "PLAIN"), ("sasl.password", "hunter2\0")]);
        let error = format!("{:?}", error.unwrap_err());
        assert!(error.contains("sasl.password") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_login_needs_its_parts() {
        let error = with(&[]).unwrap_err().to_string();
        assert!(error.contains("`sasl.mechanism` is required"), "{error}");
        let pairs = [SASL[0], SASL[1], SASL[2], ("sasl.mechanism", "PLAIN")];
        let error = ClientConfig::from_properties(pairs).unwrap_err().to_string();
        assert!(error.contains("`sasl.password` is required"), "{error}");
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn what_the_build_lacks_is_refused_with_the_feature() {
        let tls = ClientConfig::from_properties([SASL[0], ("security.protocol", "SSL")]);
        for refused in [tls, with(&[("sasl.mechanism", "SCRAM-SHA-256")])] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("feature `tls`"), "{error}");
        }
        with(&[("sasl.mechanism", "PLAIN")]).unwrap();
    }
}
