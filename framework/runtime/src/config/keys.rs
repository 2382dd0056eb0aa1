//! The known keys: name, default, what it takes, what it does. The one table that parsing,
//! checking and the documentation read.
//!
//! It knows a key and its value alone; how two keys agree is `checks.rs`.
//! Invariant: every default in the table is a value its own key takes (tested), except those
//! that depend on another key; these say so in words and are computed in `resolve.rs`.

use oncestream_engine::ConfigError;

use super::names::Client;
use super::secrets::shown;
use super::values::{BACKENDS, GUARANTEES, HANDLERS, OFFSET_RESETS};

/// A key of the configuration, as the documentation shows it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The dotted name.
    pub name: &'static str,
    /// The default; words in parentheses where it depends on other keys; empty for none.
    pub default: &'static str,
    /// What it does. Times are in milliseconds where the name ends in `.ms`.
    pub doc: &'static str,
    pub(super) kind: Kind,
    /// The client it configures: it may be given with that client's prefix too.
    pub(super) client: Option<Client>,
}

/// What values a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Part of topic, group and file names.
    Name,
    /// A list of brokers.
    Servers,
    /// A path.
    Path,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One value alone, and why no other: a key that Kafka users know and may have set.
    Only(&'static str, &'static str),
    /// A whole number within bounds, both included.
    Whole(i64, i64),
}

const MAX_MS: i64 = i32::MAX as i64;
const MAX_BYTES: i64 = i64::MAX;
/// Why the `consumer` group protocol is refused, wherever it is asked for.
pub(super) const ONLY_CLASSIC: &str =
    "only the `classic` group protocol with range assignment is supported";

const fn key(name: &'static str, default: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, default, doc, kind, client: None }
}

const fn of(client: Client, key: Key) -> Key {
    Key { client: Some(client), ..key }
}

#[rustfmt::skip]
pub(super) static KEYS: &[Key] = &[
    key("application.id", "", Kind::Name, "Required. Names the application: its consumer group, and the prefix of its internal topics, transactional ids and state directory."),
    key("bootstrap.servers", "", Kind::Servers, "Required. Brokers to begin with, as `host:port`, separated by commas."),
    key("processing.guarantee", "at_least_once", Kind::OneOf(GUARANTEES), "Whether a record's effects may happen twice after a failure. `exactly_once_v2` means the same as `exactly_once`."),
    key("num.stream.threads", "1", Kind::Whole(1, 1024), "Worker threads of this instance."),
    key("commit.interval.ms", "(30000 with at_least_once, 100 with exactly_once)", Kind::Whole(0, MAX_MS), "How often to commit; with exactly_once also the life of a transaction, so the least latency a reader of committed records sees."),
    key("poll.ms", "100", Kind::Whole(0, MAX_MS), "How long a worker waits for records before it looks after its other duties."),
    key("state.dir", "(`oncestream` below the system's temporary directory)", Kind::Path, "Where stores and the instance id are kept. Set it in production: temporary directories get cleaned."),
    key("state.backend", "fjall", Kind::OneOf(BACKENDS), "What keeps the stores' data."),
    key("statestore.cache.max.bytes", "10485760", Kind::Whole(0, MAX_BYTES), "Memory for the record caches of all stores of this instance; 0 sends every update downstream."),
    key("statestore.uncommitted.max.bytes", "67108864", Kind::Whole(-1, MAX_BYTES), "Uncommitted state of all stores that forces an early commit; -1 for no bound."),
    key("replication.factor", "-1", Kind::Whole(-1, i16::MAX as i64), "Replicas of internal topics; -1 takes the broker's default."),
    key("max.task.idle.ms", "0", Kind::Whole(-1, MAX_MS), "How long a task with several inputs waits for a partition without records; 0 waits only for what the broker already has, -1 never waits."),
    key("buffered.records.per.partition", "1000", Kind::Whole(1, MAX_MS), "Records queued per partition before its fetching pauses."),
    key("instance.id", "(made once, kept in `state.dir`)", Kind::Name, "Names this instance in transactional ids. Two running instances never share one."),
    of(Client::MainConsumer, key("group.instance.id", "", Kind::Name, "Static membership: a restart within the session timeout keeps its partitions. Each worker adds its index.")),
    of(Client::MainConsumer, key("group.protocol", "classic", Kind::Only("classic", ONLY_CLASSIC), "The group protocol: `classic` with range assignment. The broker's own assignment (`consumer`, KIP-848) is refused.")),
    of(Client::MainConsumer, key("auto.offset.reset", "earliest", Kind::OneOf(OFFSET_RESETS), "Where to begin on a partition without a committed offset.")),
    of(Client::MainConsumer, key("max.poll.interval.ms", "(300000, or session.timeout.ms if that is more)", Kind::Whole(1, 86_400_000), "A worker that does not poll for this long loses its partitions.")),
    of(Client::MainConsumer, key("session.timeout.ms", "45000", Kind::Whole(1, 3_600_000), "A worker whose heartbeats fail to arrive for this long loses its partitions.")),
    of(Client::MainConsumer, key("heartbeat.interval.ms", "(3000, or a third of session.timeout.ms if that is less)", Kind::Whole(1, 3_600_000), "How often a worker says that it is alive.")),
    of(Client::Producer, key("transaction.timeout.ms", "(10000, or what fits between commit.interval.ms and session.timeout.ms)", Kind::Whole(1000, 900_000), "With exactly_once: the broker aborts a transaction older than this. Between commit.interval.ms and session.timeout.ms.")),
    key("repartition.purge.interval.ms", "30000", Kind::Whole(0, MAX_MS), "How often consumed records are deleted from repartition topics."),
    key("client.id", "(application.id and instance.id)", Kind::Name, "Begins the client ids of all clients."),
    key("shutdown.timeout.ms", "30000", Kind::Whole(0, MAX_MS), "How long a shutdown waits for the workers' last commit."),
    key("deserialization.exception.handler", "fail", Kind::OneOf(HANDLERS), "What to do with a record that cannot be deserialised: stop, or drop it and go on."),
    key("processing.exception.handler", "fail", Kind::OneOf(HANDLERS), "What to do when a processor or a `try_` operator fails on a record: stop, or drop it and go on."),
    key("production.exception.handler", "fail", Kind::OneOf(HANDLERS), "What to do with a record that a sink cannot write (too large, an unknown topic, not serialisable): stop, or drop it and go on."),
    key("errors.dead.letter.queue.topic.name", "", Kind::Name, "Where the handlers above write the source record of what they stop at or drop, in the same transaction. Handlers given as code choose for themselves. The topic must exist."),
];

impl Key {
    /// What the key takes, in words.
    pub fn allowed(&self) -> String {
        match self.kind {
            Kind::Name => "letters, digits, `.`, `_` and `-`".to_owned(),
            Kind::Servers => "`host:port`, several separated by commas".to_owned(),
            Kind::Path => "a path, in UTF-8".to_owned(),
            Kind::OneOf(words) => words.join(" | "),
            Kind::Only(word, _) => word.to_owned(),
            Kind::Whole(min, i64::MAX) => format!("a whole number from {min}"),
            Kind::Whole(min, max) => format!("a whole number from {min} to {max}"),
        }
    }

    /// The value as it is kept: words in their own case, servers without blanks and without the empty
    /// entries that Java skips.
    pub(super) fn kept(&self, value: &str) -> String {
        let word = |words: &[&str]| {
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(value));
            word.map_or(value, |word| word).to_owned()
        };
        match self.kind {
            Kind::OneOf(words) => word(words),
            Kind::Only(only, _) => word(&[only]),
            Kind::Servers => {
                let servers = value.split(',').map(str::trim).filter(|server| !server.is_empty());
                servers.collect::<Vec<_>>().join(",")
            }
            _ => value.to_owned(),
        }
    }

    /// Checks one value; `given` is the name it was given under, for the error.
    pub(super) fn check(&self, given: &str, value: &str) -> Result<(), ConfigError> {
        let taken = match self.kind {
            Kind::Name => is_name(value),
            Kind::Servers => is_servers(value),
            // The replacement character is what a path that is not UTF-8 was turned into.
            Kind::Path => !value.is_empty() && !value.contains('\u{FFFD}'),
            Kind::OneOf(words) => words.contains(&value),
            Kind::Only(word, reason) if value != word => {
                let (key, value) = (given.to_owned(), shown(given, value));
                return Err(ConfigError::Forbidden { key, value, reason });
            }
            Kind::Only(..) => true,
            Kind::Whole(min, max) => {
                value.parse::<i64>().is_ok_and(|number| (min..=max).contains(&number))
            }
        };
        if taken { Ok(()) } else { Err(self.invalid(given, value)) }
    }

    pub(super) fn invalid(&self, given: &str, value: &str) -> ConfigError {
        ConfigError::Invalid {
            key: given.to_owned(),
            value: shown(given, value),
            allowed: self.allowed(),
        }
    }
}

/// A name that is safe in topics and in paths: `.` and `..` are directories, not names.
fn is_name(value: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !value.is_empty() && value != "." && value != ".." && value.chars().all(legal)
}

fn is_servers(value: &str) -> bool {
    value.split(',').map(str::trim).all(|server| match server.rsplit_once(':') {
        // An IPv6 address in brackets, without a port.
        Some(_) if server.ends_with(']') => true,
        Some((host, port)) => !host.is_empty() && port.parse::<u16>().is_ok(),
        None => !server.is_empty(),
    })
}
