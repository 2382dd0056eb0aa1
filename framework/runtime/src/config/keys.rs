//! The known keys: name, default, what it takes, what it does. The one table that parsing,
//! checking and the documentation read.
//!
//! It knows a key and its value alone; how two keys agree is `checks.rs`.
//! Invariant: every default in the table is a value its own key takes (tested), except those
//! that depend on another key; these say so in words and are computed in `resolve.rs`.

use oncestream_engine::ConfigError;

use super::names::Client;
use super::secrets::shown;
use super::values::{BACKENDS, GUARANTEES, HANDLERS, OFFSET_RESETS, SWITCH};

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
    key("bootstrap.servers", "", Kind::Servers, "Required. Brokers to connect to first, as `host:port`, separated by commas; they name the others."),
    key("processing.guarantee", "at_least_once", Kind::OneOf(GUARANTEES), "What happens to records in work when something fails: with `at_least_once` their outputs and counts may happen twice, with `exactly_once` never. `exactly_once_v2` means the same as `exactly_once`."),
    key("num.stream.threads", "1", Kind::Whole(1, 1024), "Worker threads of this instance. More threads use more cores, up to the number of tasks."),
    key("commit.interval.ms", "(30000 with at_least_once, 100 with exactly_once)", Kind::Whole(0, MAX_MS), "Time between two commits. With exactly_once a transaction lasts that long, and readers of committed records wait for its end: lower it for less latency, raise it for more throughput."),
    key("poll.ms", "100", Kind::Whole(0, MAX_MS), "How long a worker waits for records, if there are none, before it looks for commits, schedules and rebalances. There is seldom a reason to change it."),
    key("state.dir", "(`oncestream` below the system's temporary directory)", Kind::Path, "The directory of the stores and of the instance id. Set it in production, because the system cleans temporary directories. Each instance needs its own."),
    key("state.backend", "fjall", Kind::OneOf(BACKENDS), "What keeps the data of stores: `fjall` or `sled` on disk, or `memory`, with which each start restores all stores from their changelogs."),
    key("statestore.cache.max.bytes", "10485760", Kind::Whole(0, MAX_BYTES), "Memory for the caches of all stores of this instance. A cached table sends one update for each key and commit downstream; with 0 it sends every update."),
    key("statestore.uncommitted.max.bytes", "67108864", Kind::Whole(-1, MAX_BYTES), "Memory for uncommitted changes of all stores of this instance. A worker commits early when they take more; -1 for no limit."),
    key("statestore.write.interval.ms", "1000", Kind::Whole(0, MAX_MS), "How long committed rows may wait in memory until they go to the state backend, a row that has changed again and again once. A crash reads them back from the changelogs. 0 writes with each commit."),
    key("replication.factor", "-1", Kind::Whole(-1, i16::MAX as i64), "Replicas of new internal topics; -1 takes the brokers' default. Topics that exist are not changed."),
    key("windowstore.changelog.additional.retention.ms", "86400000", Kind::Whole(0, i64::MAX), "How much longer than its store a new changelog of windows or sessions keeps them. Brokers delete by their own clock: raise it if records may be older than that. Topics that exist are not changed."),
    key("max.task.idle.ms", "0", Kind::Whole(-1, MAX_MS), "How long a task with several inputs waits for records of an empty input, so that it can process records in the order of their timestamps. 0 waits only for records that the broker has already; -1 never waits. Raise it if an input is written late."),
    key("buffered.records.per.partition", "1000", Kind::Whole(1, MAX_MS), "Records that a task with several inputs keeps in memory for each partition. Lower it for less memory."),
    key("global.restore.timeout.ms", "300000", Kind::Whole(1, MAX_MS), "How long a start waits until global tables have all that was committed in their topics when it began. Then it fails; the next start goes on from where it was. Raise it for large tables."),
    key("instance.id", "(made once, kept in `state.dir`)", Kind::Name, "Names this instance, as a part of transactional ids. Two running instances must not have the same."),
    of(Client::MainConsumer, key("group.instance.id", "", Kind::Name, "Makes each worker a static member of the group, under this name and the worker's index: after a restart within session.timeout.ms it has its partitions again without a rebalance.")),
    of(Client::MainConsumer, key("group.protocol", "classic", Kind::Only("classic", ONLY_CLASSIC), "The group protocol: `classic` with range assignment. The broker's own assignment (`consumer`, KIP-848) is refused.")),
    of(Client::MainConsumer, key("auto.offset.reset", "earliest", Kind::OneOf(OFFSET_RESETS), "Where to begin in a partition that has no committed offset: at its first record, at its end, or nowhere, with an error.")),
    of(Client::MainConsumer, key("max.poll.interval.ms", "(300000, or session.timeout.ms if that is more)", Kind::Whole(1, 86_400_000), "A worker that does not poll for this long loses its partitions to another one. Raise it if processing one record takes long.")),
    of(Client::MainConsumer, key("session.timeout.ms", "45000", Kind::Whole(1, 3_600_000), "A worker without a heartbeat for this long loses its partitions to another one. Lower it to recover sooner from a crash; raise it if brokers or the network pause for long.")),
    of(Client::MainConsumer, key("heartbeat.interval.ms", "(3000, or a third of session.timeout.ms if that is less)", Kind::Whole(1, 3_600_000), "Time between two heartbeats. It must be below session.timeout.ms.")),
    of(Client::Producer, key("transaction.timeout.ms", "(10000, or what fits between commit.interval.ms and session.timeout.ms)", Kind::Whole(1000, 900_000), "With exactly_once: the broker aborts a transaction that is older. It must lie between commit.interval.ms and session.timeout.ms. Raise it if processing one record takes long.")),
    key("repartition.purge.interval.ms", "30000", Kind::Whole(0, MAX_MS), "Time between two deletions of consumed records from repartition topics. Lower it if these topics take too much disk on the brokers."),
    key("client.id", "(application.id and instance.id)", Kind::Name, "The beginning of the client ids of all clients. Brokers show them, and quotas may be set on them."),
    key("shutdown.timeout.ms", "30000", Kind::Whole(0, MAX_MS), "How long a shutdown waits for the workers' last commit before it ends with an error."),
    key("deserialization.exception.handler", "fail", Kind::OneOf(HANDLERS), "What to do with a record that cannot be deserialised: `fail` stops the worker, `continue` drops the record and goes on."),
    key("processing.exception.handler", "fail", Kind::OneOf(HANDLERS), "What to do with a record on which a processor or a `try_` operator fails: `fail` stops the worker, `continue` drops the record and goes on."),
    key("production.exception.handler", "fail", Kind::OneOf(HANDLERS), "What to do with a record that a sink cannot write (too large, an unknown topic, not serialisable): `fail` stops the worker, `continue` drops the record and goes on."),
    key("errors.dead.letter.queue.topic.name", "", Kind::Name, "The topic that the handlers above write a source record to when it, or what came of it, fails. With exactly_once it is in the same transaction as the record's offset. Handlers given as code choose for themselves. The topic must exist."),
    key("errors.dead.letter.queue.dropped.records.enable", "false", Kind::OneOf(SWITCH), "Whether records that operators drop although nothing failed (null keys, late records) are written to errors.dead.letter.queue.topic.name as well, as they were read. Otherwise they are only counted."),
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
