//! What the runtime cannot live with. Each check is one function of plain values; `resolve.rs` calls
//! them all, and asks librdkafka about its own rules.
//!
//! Knows neither files nor clients. Invariant: a configuration that passed cannot make a commit
//! outlive its transaction, or a transaction its owner's session.

use oncestream_engine::ConfigError;

use super::keys::ONLY_CLASSIC;
use super::names::Client;
use super::secrets::shown;
use super::values::ProcessingGuarantee;

/// When a rule holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    ExactlyOnce,
}

/// A client setting that only some values may override, or none.
struct Fixed {
    clients: &'static [Client],
    setting: &'static str,
    /// The values that may be given; none means that it may not be given at all.
    allowed: &'static [&'static str],
    when: When,
    reason: &'static str,
}

const EVERY: &[Client] = &Client::ALL;
const CONSUMERS: &[Client] =
    &[Client::Consumer, Client::MainConsumer, Client::RestoreConsumer, Client::GlobalConsumer];
const MEMBER: &[Client] = &[Client::Consumer, Client::MainConsumer];
const RESTORE: &[Client] = &[Client::RestoreConsumer];
const GLOBAL: &[Client] = &[Client::GlobalConsumer];
const PRODUCERS: &[Client] = &[Client::Producer];

#[rustfmt::skip]
const FIXED: &[Fixed] = &[
    Fixed { clients: EVERY, setting: "bootstrap.servers", allowed: &[], when: When::Always,
        reason: "all clients of an application use one cluster; set `bootstrap.servers`" },
    Fixed { clients: EVERY, setting: "client.id", allowed: &[], when: When::Always,
        reason: "each client needs its own; set `client.id`, which begins all of them" },
    Fixed { clients: CONSUMERS, setting: "group.id", allowed: &[], when: When::Always,
        reason: "the group is named by `application.id`" },
    Fixed { clients: CONSUMERS, setting: "enable.auto.commit", allowed: &["false"], when: When::Always,
        reason: "the runtime commits offsets together with the results they belong to" },
    Fixed { clients: CONSUMERS, setting: "enable.auto.offset.store", allowed: &["false"], when: When::Always,
        reason: "the runtime commits offsets together with the results they belong to" },
    Fixed { clients: CONSUMERS, setting: "isolation.level", allowed: &["read_committed"], when: When::ExactlyOnce,
        reason: "exactly once must not read what an aborted transaction wrote" },
    Fixed { clients: CONSUMERS, setting: "partition.assignment.strategy", allowed: &["range"], when: When::Always,
        reason: "only `range` assigns co-partitioned topics together" },
    Fixed { clients: CONSUMERS, setting: "group.remote.assignor", allowed: &[], when: When::Always,
        reason: ONLY_CLASSIC },
    Fixed { clients: CONSUMERS, setting: "group.protocol", allowed: &["classic"], when: When::Always,
        reason: ONLY_CLASSIC },
    Fixed { clients: MEMBER, setting: "enable.partition.eof", allowed: &["true"], when: When::Always,
        reason: "a task with several inputs waits for the end of those that are empty" },
    Fixed { clients: RESTORE, setting: "enable.partition.eof", allowed: &["true"], when: When::Always,
        reason: "a restore must see the end of a partition" },
    Fixed { clients: RESTORE, setting: "auto.offset.reset", allowed: &["error"], when: When::Always,
        reason: "if a changelog has lost an offset, the store must be rebuilt, and a jump would hide that" },
    Fixed { clients: RESTORE, setting: "group.instance.id", allowed: &[], when: When::Always,
        reason: "the restore consumer is no member of the group" },
    Fixed { clients: GLOBAL, setting: "isolation.level", allowed: &["read_committed"], when: When::Always,
        reason: "a global table must not show what an aborted transaction wrote" },
    Fixed { clients: GLOBAL, setting: "enable.partition.eof", allowed: &["true"], when: When::Always,
        reason: "a global table is restored when it sees the end of each partition" },
    Fixed { clients: GLOBAL, setting: "auto.offset.reset", allowed: &["error"], when: When::Always,
        reason: "if a topic has lost an offset, its global table must be built anew, and a jump would hide that" },
    Fixed { clients: GLOBAL, setting: "group.instance.id", allowed: &[], when: When::Always,
        reason: "the consumer of global tables is no member of the group" },
    Fixed { clients: PRODUCERS, setting: "transactional.id", allowed: &[], when: When::Always,
        reason: "each worker needs its own; set `instance.id`, which is part of it" },
    Fixed { clients: PRODUCERS, setting: "enable.idempotence", allowed: &["true"], when: When::ExactlyOnce,
        reason: "exactly once needs the idempotent producer" },
    Fixed { clients: PRODUCERS, setting: "acks", allowed: &["all", "-1"], when: When::ExactlyOnce,
        reason: "exactly once needs the acknowledgement of every in-sync replica" },
    Fixed { clients: PRODUCERS, setting: "partitioner", allowed: &["murmur2", "murmur2_random"], when: When::Always,
        reason: "other partitioners break co-partitioning with Java producers and with repartition topics" },
];

/// Refuses an override of a client setting that the runtime cannot live with.
/// `given` is the name it was given under.
pub(super) fn check_override(
    client: Client,
    setting: &str,
    given: &str,
    value: &str,
    guarantee: ProcessingGuarantee,
) -> Result<(), ConfigError> {
    let broken = FIXED.iter().find(|fixed| {
        let holds = fixed.when == When::Always || guarantee.is_exactly_once();
        let concerned = fixed.clients.contains(&client) && fixed.setting == setting;
        let allowed = || fixed.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(value));
        holds && concerned && !allowed()
    });
    let Some(fixed) = broken else { return Ok(()) };
    let (key, value) = (given.to_owned(), shown(given, value));
    Err(ConfigError::Forbidden { key, value, reason: fixed.reason })
}

/// The commit interval is the life of a transaction, so the transaction must be allowed to live
/// longer.
pub(super) fn check_commit_interval(
    guarantee: ProcessingGuarantee,
    commit_interval_ms: i64,
    transaction_timeout_ms: i64,
) -> Result<(), ConfigError> {
    if !guarantee.is_exactly_once() || transaction_timeout_ms > commit_interval_ms {
        return Ok(());
    }
    Err(ConfigError::Contradiction {
        key: "transaction.timeout.ms",
        value: transaction_timeout_ms,
        rule: "must be above",
        other: "commit.interval.ms",
        other_value: commit_interval_ms,
        reason: "the broker would abort every transaction before its commit",
    })
}

/// A crashed worker's transaction must be settled by the time its partitions move.
pub(super) fn check_transaction_timeout(
    guarantee: ProcessingGuarantee,
    transaction_timeout_ms: i64,
    session_timeout_ms: i64,
) -> Result<(), ConfigError> {
    if !guarantee.is_exactly_once() || transaction_timeout_ms < session_timeout_ms {
        return Ok(());
    }
    Err(ConfigError::Contradiction {
        key: "transaction.timeout.ms",
        value: transaction_timeout_ms,
        rule: "must be below",
        other: "session.timeout.ms",
        other_value: session_timeout_ms,
        reason: "if a worker crashed, the next owner of its partitions would wait for its transaction",
    })
}

/// A default that follows both needs room between them; a transaction lasts 1 s at least.
pub(super) fn check_room(
    guarantee: ProcessingGuarantee,
    commit_interval_ms: i64,
    transaction_timeout_ms: i64,
    session_timeout_ms: i64,
) -> Result<(), ConfigError> {
    let fits = (commit_interval_ms + 1..session_timeout_ms).contains(&transaction_timeout_ms);
    if !guarantee.is_exactly_once() || fits {
        return Ok(());
    }
    Err(ConfigError::Contradiction {
        key: "session.timeout.ms",
        value: session_timeout_ms,
        rule: "must be above 1000 and above",
        other: "commit.interval.ms",
        other_value: commit_interval_ms,
        reason: "with exactly once a transaction lasts longer than the one, and must end before the other",
    })
}

/// A session that ends before the first heartbeat is no session.
pub(super) fn check_heartbeat(
    heartbeat_interval_ms: i64,
    session_timeout_ms: i64,
) -> Result<(), ConfigError> {
    if heartbeat_interval_ms < session_timeout_ms {
        return Ok(());
    }
    Err(ConfigError::Contradiction {
        key: "heartbeat.interval.ms",
        value: heartbeat_interval_ms,
        rule: "must be below",
        other: "session.timeout.ms",
        other_value: session_timeout_ms,
        reason: "the session would end between two heartbeats",
    })
}

#[cfg(test)]
mod tests {
    use ProcessingGuarantee::{AtLeastOnce, ExactlyOnce};

    use super::*;

    #[test]
    fn a_transaction_outlives_the_commit_interval() {
        assert!(check_commit_interval(ExactlyOnce, 100, 101).is_ok());
        assert!(check_commit_interval(ExactlyOnce, 100, 100).is_err());
        assert!(check_commit_interval(AtLeastOnce, 100, 100).is_ok());
    }

    #[test]
    fn a_transaction_ends_before_the_session() {
        assert!(check_transaction_timeout(ExactlyOnce, 9_999, 10_000).is_ok());
        assert!(check_transaction_timeout(ExactlyOnce, 10_000, 10_000).is_err());
        assert!(check_transaction_timeout(AtLeastOnce, 10_000, 10_000).is_ok());
    }

    #[test]
    fn a_heartbeat_fits_in_the_session() {
        assert!(check_heartbeat(999, 1000).is_ok());
        assert!(check_heartbeat(1000, 1000).is_err());
    }

    #[test]
    fn a_transaction_that_nobody_set_has_room() {
        assert!(check_room(ExactlyOnce, 100, 1000, 1001).is_ok());
        assert!(check_room(ExactlyOnce, 100, 1000, 1000).is_err());
        assert!(check_room(ExactlyOnce, 1000, 1000, 1001).is_err());
        assert!(check_room(AtLeastOnce, 1000, 1000, 1000).is_ok());
    }

    #[test]
    fn every_fixed_setting_is_refused_in_its_scope_alone() {
        for fixed in FIXED {
            for client in Client::ALL {
                let check = |value: &str, guarantee| {
                    check_override(client, fixed.setting, "given", value, guarantee)
                };
                let wrong = |guarantee| check("wrong", guarantee);
                let concerned = fixed.clients.contains(&client);
                let is_of_it = |other: &&Fixed| {
                    other.setting == fixed.setting && other.clients.contains(&client)
                };
                let others = FIXED.iter().any(|other| is_of_it(&other));
                assert_eq!(wrong(ExactlyOnce).is_err(), others, "{}", fixed.setting);
                let always = FIXED.iter().filter(is_of_it).any(|other| other.when == When::Always);
                assert!(!concerned || wrong(AtLeastOnce).is_err() == always, "{}", fixed.setting);
                for allowed in fixed.allowed.iter().filter(|_| concerned) {
                    assert!(check(allowed, ExactlyOnce).is_ok());
                    assert!(check(&allowed.to_uppercase(), ExactlyOnce).is_ok());
                }
            }
        }
    }
}
