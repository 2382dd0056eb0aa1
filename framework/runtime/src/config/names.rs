//! Where a name belongs: the prefixes of the clients and of topics, the names that only some
//! clients know, aliases, and what a mistyped name was meant to be.
//!
//! Names that are in none of the tables here are librdkafka's to know (`native.rs`).
//! Invariant: one setting has one name after [`canonical`].

use oncestream_engine::ConfigError;

use super::java::{self, Answer};
use super::keys::{KEYS, Key};
use super::{native, secrets};

/// A client that settings can be passed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// Every consumer.
    Consumer,
    /// The consumer of input records.
    MainConsumer,
    /// The consumer of changelogs.
    RestoreConsumer,
    /// The consumer of the topics of global tables.
    GlobalConsumer,
    /// The producers.
    Producer,
    /// The admin client.
    Admin,
}

impl Client {
    pub(super) const ALL: [Self; 6] = [
        Self::Consumer,
        Self::MainConsumer,
        Self::RestoreConsumer,
        Self::GlobalConsumer,
        Self::Producer,
        Self::Admin,
    ];

    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Consumer => "consumer.",
            Self::MainConsumer => "main.consumer.",
            Self::RestoreConsumer => "restore.consumer.",
            Self::GlobalConsumer => "global.consumer.",
            Self::Producer => "producer.",
            Self::Admin => "admin.",
        }
    }

    /// Whether the setting is not another client's alone.
    fn takes(self, setting: &str) -> bool {
        match self {
            Self::Consumer | Self::MainConsumer | Self::RestoreConsumer | Self::GlobalConsumer => {
                !PRODUCERS.contains(&setting)
            }
            Self::Producer => !CONSUMERS.contains(&setting),
            Self::Admin => !PRODUCERS.contains(&setting) && !CONSUMERS.contains(&setting),
        }
    }
}

/// Where a given key belongs.
pub(super) enum Place {
    /// In the table.
    Own(&'static Key),
    /// With this client, or with all that take the setting.
    Setting(Option<Client>, String),
    /// With new internal topics.
    Topic,
    /// With this client, or with all: a user's name and password, as Java writes them.
    Login(Option<Client>),
    /// Nowhere, and why.
    Ignored(&'static str),
}

/// What settings of new internal topics begin with, as in Kafka Streams.
const TOPIC_PREFIX: &str = "topic.";

/// librdkafka's settings of consumers.
#[rustfmt::skip]
const CONSUMERS: &[&str] = &[
    "auto.commit.interval.ms", "auto.offset.reset", "check.crcs", "consume.callback.max.messages",
    "coordinator.query.interval.ms", "enable.auto.commit", "enable.auto.offset.store",
    "enable.partition.eof", "fetch.error.backoff.ms", "fetch.max.bytes", "fetch.message.max.bytes",
    "fetch.min.bytes", "fetch.queue.backoff.ms", "fetch.wait.max.ms", "group.id",
    "group.instance.id", "group.protocol", "group.protocol.type", "group.remote.assignor",
    "heartbeat.interval.ms", "isolation.level", "max.poll.interval.ms", "offset.store.method",
    "offset.store.path", "offset.store.sync.interval.ms", "partition.assignment.strategy",
    "queued.max.messages.kbytes", "queued.min.messages", "session.timeout.ms",
];

/// librdkafka's settings of producers.
#[rustfmt::skip]
const PRODUCERS: &[&str] = &[
    "acks", "batch.num.messages", "batch.size", "compression.level", "compression.type",
    "delivery.report.only.error", "enable.gapless.guarantee", "enable.idempotence", "linger.ms",
    "message.timeout.ms", "partitioner", "produce.offset.report",
    "queue.buffering.backpressure.threshold", "queue.buffering.max.kbytes",
    "queue.buffering.max.messages", "queuing.strategy", "request.timeout.ms", "retries",
    "sticky.partitioning.linger.ms", "transaction.timeout.ms", "transactional.id",
];

/// Settings of every client that people set most: for suggestions only.
#[rustfmt::skip]
const OFTEN_SET: &[&str] = &[
    "allow.auto.create.topics", "broker.address.family", "client.dns.lookup", "client.rack",
    "connections.max.idle.ms", "debug", "enable.sasl.oauthbearer.unsecure.jwt",
    "enable.ssl.certificate.verification", "message.max.bytes", "metadata.max.age.ms",
    "receive.message.max.bytes", "reconnect.backoff.max.ms", "reconnect.backoff.ms",
    "retry.backoff.max.ms", "retry.backoff.ms", "sasl.kerberos.keytab", "sasl.kerberos.principal",
    "sasl.mechanism", "sasl.password", "sasl.username", "security.protocol",
    "socket.keepalive.enable", "socket.timeout.ms", "ssl.ca.location", "ssl.ca.pem",
    "ssl.certificate.location", "ssl.certificate.pem", "ssl.endpoint.identification.algorithm",
    "ssl.key.location", "ssl.key.password", "ssl.key.pem", "ssl.keystore.location",
    "ssl.keystore.password", "statistics.interval.ms",
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
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("request.required.acks", "acks"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
];

/// So many edits away, a name may be what was meant. One more, and `application.port` is
/// taken for another key.
const NEAR: usize = 2;

/// The one name of a client setting.
pub(super) fn canonical(setting: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == setting).map_or(setting, |(_, name)| name)
}

/// The client that a name's prefix stands for, and the rest.
pub(super) fn split(name: &str) -> (Option<Client>, &str) {
    let given = |client: Client| Some((Some(client), name.strip_prefix(client.prefix())?));
    Client::ALL.into_iter().find_map(given).unwrap_or((None, name))
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

/// The setting of new internal topics that a key is for; some names of librdkafka begin like one.
pub(super) fn topic_setting(key: &str) -> Option<&str> {
    let setting = key.strip_prefix(TOPIC_PREFIX)?;
    (!setting.is_empty() && !native::knows(key)).then_some(setting)
}

/// Whether a kept key has no prefix and is a setting of this client.
pub(super) fn is_shared(key: &str, client: Client) -> bool {
    let is_setting = own(key).is_none() && topic_setting(key).is_none();
    is_setting && split(key).0.is_none() && client.takes(key)
}

/// Says where `name` belongs; `value` decides where a Java client's key has a counterpart for some
/// values alone.
///
/// # Errors
/// An unknown key, with the nearest known one; a key with another form here.
pub(super) fn place(name: &str, value: &str) -> Result<Place, ConfigError> {
    let (client, bare) = split(name);
    let bare = canonical(bare);
    let setting = || Place::Setting(client, bare.to_owned());
    match client {
        None => {
            if let Some(key) = own(bare) {
                return Ok(Place::Own(key));
            }
            if topic_setting(name).is_some() {
                return Ok(Place::Topic);
            }
        }
        Some(client) => {
            // Before Java's names: librdkafka's producers have `retries` and `request.timeout.ms`.
            if [CONSUMERS, PRODUCERS].iter().any(|list| list.contains(&bare)) && client.takes(bare)
            {
                return Ok(setting());
            }
        }
    }
    match java::answer(bare, value) {
        Some(Answer::Same(name)) => {
            let prefix = client.map_or("", Client::prefix);
            return place(&format!("{prefix}{name}"), value);
        }
        Some(Answer::Login) => return Ok(Place::Login(client)),
        Some(Answer::Ignored(reason)) => return Ok(Place::Ignored(reason)),
        Some(Answer::Refused(instead)) => {
            return Err(ConfigError::Unsupported { key: name.to_owned(), instead });
        }
        None => {}
    }
    match client {
        _ if !native::knows(bare) => {
            let (key, nearest) = (secrets::shown_name(name), nearest(name));
            Err(ConfigError::UnknownKey { key, nearest })
        }
        Some(client) if !client.takes(bare) => {
            Ok(Place::Ignored("this client has no such setting"))
        }
        _ if native::lacks_tls_for(bare) => Ok(Place::Ignored(
            "this build of librdkafka has no TLS; the cargo feature `ssl` adds it",
        )),
        _ => Ok(setting()),
    }
}

/// The known name that was probably meant.
fn nearest(name: &str) -> Option<String> {
    let (client, bare) = split(name);
    if client.is_some() && own(bare).is_some() {
        return Some(bare.to_owned());
    }
    let settings = || [CONSUMERS, PRODUCERS, OFTEN_SET].into_iter().flatten().copied();
    let prefixed = Client::ALL.into_iter().flat_map(|client| {
        let taken = settings().filter(move |setting| client.takes(setting));
        taken.map(move |setting| format!("{}{setting}", client.prefix()))
    });
    let own = KEYS.iter().map(|key| key.name).chain(java::names()).chain(settings());
    own.map(str::to_owned)
        .chain(prefixed)
        .map(|known| (strsim::osa_distance(name, &known), known))
        .filter(|(edits, _)| *edits <= NEAR)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_tables_is_librdkafkas() {
        for name in [CONSUMERS, PRODUCERS, OFTEN_SET].into_iter().flatten() {
            assert!(native::knows(name), "{name}");
            assert!(ALIASES.iter().all(|(alias, _)| alias != name) || OFTEN_SET.contains(name));
        }
        for (_, name) in ALIASES {
            assert!(native::knows(name), "{name}");
        }
        for name in ["fetch.max.bites", "", "a\0b", "max.poll.records", "SASL.PASSWORD"] {
            assert!(!native::knows(name), "{name}");
        }
    }
}
