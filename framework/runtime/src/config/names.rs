//! Which names there are: the prefixes of the clients and of topics, the security settings that go to all of
//! them, aliases, names of the Java world with another form here, and what is a secret.
//!
//! It knows names, never values. Invariant: one setting has one name after [`canonical`].

use super::error::ConfigError;
use super::keys::{KEYS, Key};
use super::suggest::nearest;

/// A client that settings can be passed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// Every consumer.
    Consumer,
    /// The consumer of input records.
    MainConsumer,
    /// The consumer of changelogs.
    RestoreConsumer,
    /// The producers.
    Producer,
    /// The admin client.
    Admin,
}

impl Client {
    pub(super) const ALL: [Self; 5] =
        [Self::Consumer, Self::MainConsumer, Self::RestoreConsumer, Self::Producer, Self::Admin];

    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Consumer => "consumer.",
            Self::MainConsumer => "main.consumer.",
            Self::RestoreConsumer => "restore.consumer.",
            Self::Producer => "producer.",
            Self::Admin => "admin.",
        }
    }
}

/// Where a given key belongs.
pub(super) enum Place<'a> {
    /// In the table.
    Own(&'static Key),
    /// With every client: a security setting.
    Shared(&'a str),
    /// With one kind of client.
    Client(Client, &'a str),
    /// With new internal topics.
    Topic,
}

/// What settings of new internal topics begin with, as in Kafka Streams.
pub(super) const TOPIC_PREFIX: &str = "topic.";

/// Security settings of librdkafka; they pass to every client.
const SHARED_PREFIXES: &[&str] = &["ssl.", "sasl.", "https.ca."];
const SHARED: &[&str] = &[
    "security.protocol",
    "enable.ssl.certificate.verification",
    "enable.sasl.oauthbearer.unsecure.jwt",
];

/// Client settings people set most: known for suggestions only, all others pass as well.
const OFTEN_SET: &[&str] = &[
    "consumer.client.rack",
    "consumer.fetch.max.bytes",
    "consumer.fetch.message.max.bytes",
    "consumer.fetch.min.bytes",
    "consumer.fetch.wait.max.ms",
    "consumer.isolation.level",
    "consumer.partition.assignment.strategy",
    "consumer.queued.max.messages.kbytes",
    "consumer.queued.min.messages",
    "consumer.receive.message.max.bytes",
    "producer.acks",
    "producer.batch.size",
    "producer.compression.type",
    "producer.delivery.timeout.ms",
    "producer.enable.idempotence",
    "producer.linger.ms",
    "producer.message.max.bytes",
    "producer.message.timeout.ms",
    "producer.partitioner",
    "producer.queue.buffering.max.kbytes",
    "producer.queue.buffering.max.messages",
    "producer.retries",
    "producer.retry.backoff.ms",
    "admin.socket.timeout.ms",
];

/// Keys of the Java clients and of Kafka Streams with another form here, after any prefix.
const REPLACED: &[(&str, &str)] = &[
    ("sasl.jaas.config", "set `sasl.username` and `sasl.password`"),
    ("ssl.truststore.location", "set `ssl.ca.location` to a PEM file"),
    ("ssl.truststore.password", "PEM files in `ssl.ca.location` need none"),
    ("ssl.truststore.type", "set `ssl.ca.location` to a PEM file"),
    ("ssl.truststore.certificates", "set `ssl.ca.pem`"),
    ("ssl.keystore.type", "`ssl.keystore.location` takes PKCS#12"),
    ("ssl.keystore.key", "set `ssl.key.pem`"),
    ("ssl.keystore.certificate.chain", "set `ssl.certificate.pem`"),
    ("default.key.serde", "serdes are found by type, or named where a topic is read or written"),
    ("default.value.serde", "serdes are found by type, or named where a topic is read or written"),
    ("default.deserialization.exception.handler", "set `deserialization.exception.handler`"),
    ("default.production.exception.handler", "set `production.exception.handler`"),
    ("cache.max.bytes.buffering", "set `statestore.cache.max.bytes`"),
    ("default.dsl.store", "set `state.backend`"),
    ("partitioner.class", "set `producer.partitioner`"),
];

/// Names of one setting: left, as it may be given; right, as it is kept. One name for one
/// setting makes "the later wins" true, whichever name was used.
const ALIASES: &[(&str, &str)] = &[
    ("auto.commit.enable", "enable.auto.commit"),
    ("compression.codec", "compression.type"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
    ("max.in.flight.requests.per.connection", "max.in.flight"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("message.send.max.retries", "retries"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("request.required.acks", "acks"),
    ("sasl.mechanism", "sasl.mechanisms"),
];

/// Parts of the names of secret settings, in librdkafka and in the Java clients. Rather one
/// too many: a hidden public certificate costs nothing.
const SECRET_PARTS: &[&str] = &[
    "password",
    "passphrase",
    "secret",
    "jaas",
    "token",
    "credential",
    "private",
    "ssl_key",
    "ssl.keystore.key",
    "oauthbearer.config",
    "oauthbearer.extensions",
    ".pem",
];

/// What words of a mistyped name may have been meant to be.
const SECRET_WORDS: &[&str] = &["password", "passphrase", "secret", "credential"];

/// Settings below `ssl.` and `sasl.` that may be shown. All others are hidden, known or mistyped.
const PUBLIC: &[&str] = &[
    "sasl.kerberos.keytab",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.keystore.location",
];

/// Whether the value of `key` must not be shown.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let client = Client::ALL.into_iter().find_map(|client| key.strip_prefix(client.prefix()));
    let bare = client.unwrap_or(&key);
    let is_security = bare.starts_with("ssl.") || bare.starts_with("sasl.");
    is_security && !PUBLIC.contains(&bare)
        || SECRET_PARTS.iter().any(|part| key.contains(part))
        || key
            .split(['.', '_', '-'])
            .any(|word| nearest(word, SECRET_WORDS.iter().copied(), 2).is_some())
}

/// A name as an error may show it: what cannot be one may be a line of a key that lost its first.
fn shown_name(name: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let length = name.chars().count();
    if length <= LONGEST_NAME && name.chars().all(is_name) && !name.starts_with("--") {
        return name.to_owned();
    }
    format!("[hidden: {length} characters that are no name]")
}

/// More than the longest name there is, less than a line of a PEM file.
const LONGEST_NAME: usize = 60;

/// The one name of a client setting.
pub(super) fn canonical(setting: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == setting).map_or(setting, |(_, name)| name)
}

/// The key of this name in the table.
pub(super) fn own(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key of the table that a setting of a client stands for, if any: `session.timeout.ms`
/// for `consumer.session.timeout.ms`.
pub(super) fn folded(client: Client, setting: &str) -> Option<&'static Key> {
    let owner = if client == Client::Consumer { Client::MainConsumer } else { client };
    own(setting).filter(|key| key.client == Some(owner))
}

/// Says where `name` belongs.
///
/// # Errors
/// An unknown key, with the nearest known one; a key with another form here.
pub(super) fn place(name: &str) -> Result<Place<'_>, ConfigError> {
    let client = Client::ALL
        .into_iter()
        .find_map(|client| name.strip_prefix(client.prefix()).map(|rest| (client, rest)));
    let bare = client.map_or(name, |(_, rest)| rest);
    if let Some((_, instead)) = REPLACED.iter().find(|(replaced, _)| *replaced == bare) {
        return Err(ConfigError::Unsupported { key: name.to_owned(), instead });
    }
    match client {
        Some((client, rest)) if !rest.is_empty() => return Ok(Place::Client(client, rest)),
        _ => {}
    }
    if name.strip_prefix(TOPIC_PREFIX).is_some_and(|setting| !setting.is_empty()) {
        return Ok(Place::Topic);
    }
    if let Some(key) = own(name) {
        return Ok(Place::Own(key));
    }
    let prefixed = SHARED_PREFIXES
        .iter()
        .any(|prefix| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()));
    if prefixed || SHARED.contains(&name) {
        return Ok(Place::Shared(name));
    }
    Err(unknown(name))
}

fn unknown(name: &str) -> ConfigError {
    let unprefixed = OFTEN_SET
        .iter()
        .find(|known| known.split_once('.').is_some_and(|(_, setting)| setting == name));
    let limit = (name.chars().count() / 4).max(2);
    let nearest = unprefixed.copied().or_else(|| nearest(name, known_names(), limit));
    ConfigError::UnknownKey { key: shown_name(name), nearest: nearest.map(str::to_owned) }
}

fn known_names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name).chain(SHARED.iter().copied()).chain(OFTEN_SET.iter().copied())
}
