//! Keys and values of Kafka Streams and the Java clients that have another form here, or none.
//!
//! A key is ignored if the results are the same without it. It is refused if the results, or something that
//! a user relies on, would differ. `docs/configuration.md` says the same to users (tested).

use std::borrow::Cow;

/// What becomes of a key of the Java world.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// It is the same as this one.
    Same(&'static str),
    /// A user's name and password are in it (see `jaas.rs`).
    Login,
    /// It has no effect here, and why.
    Ignored(&'static str),
    /// It cannot be taken; what to do instead.
    Refused(&'static str),
}

/// An answer to a name, or to all names that begin with it if it ends in a dot.
type Entry = (&'static str, Answer);

use Answer::{Ignored, Login, Refused, Same};

const AUTO_COMMIT: Answer = Ignored(
    "the runtime commits offsets together with the results they belong to, every \
     `commit.interval.ms`; no client commits them by itself",
);
const CLASSES: Answer =
    Refused("no Java classes are loaded; leave it out, or do it in the topology");
const METRICS: Answer = Ignored("metrics go to the `metrics` facade");
const REGISTRY: Answer =
    Ignored("there is no schema registry client; a serde that needs one is told when it is made");
const SERDES: Answer =
    Ignored("serdes are found by type, or named where a topic is read or written");
const STANDBYS: Answer = Ignored(
    "there are no standby replicas; a task that moves restores its stores from their changelogs",
);
const TLS: Answer = Ignored("OpenSSL decides");
const TRUSTSTORE: Answer = Refused("set `ssl.ca.location` to a PEM file, which needs no password");
const MECHANISMS: Answer = Refused(
    "no Java classes are loaded; there are GSSAPI, PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER",
);

#[rustfmt::skip]
const ANSWERS: &[Entry] = &[
    ("acceptable.recovery.lag", STANDBYS),
    ("allow.os.group.write.access", Ignored("files in `state.dir` have the rights that the umask leaves")),
    ("application.server", Ignored("stores of other instances cannot be queried")),
    ("auto.commit.interval.ms", AUTO_COMMIT),
    ("auto.include.jmx.reporter", METRICS),
    ("auto.register.schemas", REGISTRY),
    ("basic.auth.", REGISTRY),
    ("buffer.memory", Refused("set `producer.queue.buffering.max.kbytes`")),
    ("built.in.metrics.version", METRICS),
    ("cache.max.bytes.buffering", Same("statestore.cache.max.bytes")),
    ("client.tag.", STANDBYS),
    ("compression.gzip.level", Refused("set `producer.compression.level`")),
    ("compression.lz4.level", Refused("set `producer.compression.level`")),
    ("compression.zstd.level", Refused("set `producer.compression.level`")),
    ("config.providers", CLASSES),
    ("default.api.timeout.ms", Ignored("the runtime's calls have timeouts of their own")),
    ("default.client.supplier", CLASSES),
    ("default.deserialization.exception.handler", Same("deserialization.exception.handler")),
    ("default.dsl.store", Same("state.backend")),
    ("default.key.serde", SERDES),
    ("default.list.", SERDES),
    ("default.production.exception.handler", Same("production.exception.handler")),
    ("default.timestamp.extractor", Refused("give it where a topic is read: `Consumed::timestamp_extractor`")),
    ("default.value.serde", SERDES),
    ("default.windowed.", SERDES),
    ("dsl.store.format", Refused("stores have one format, without the headers of records")),
    ("dsl.store.suppliers.class", Same("state.backend")),
    ("enable.auto.commit", AUTO_COMMIT),
    ("ensure.explicit.internal.resource.naming", Refused("call `StreamsBuilder::explicit_names` where the topology is built")),
    ("group.id", Ignored("the group is named by `application.id`")),
    ("interceptor.classes", CLASSES),
    ("key.deserializer", SERDES),
    ("key.serializer", SERDES),
    ("key.subject.name.strategy", REGISTRY),
    ("log.summary.interval.ms", Ignored("no summary is logged")),
    ("max.block.ms", Ignored("a worker waits for room in the producer's queue")),
    ("max.poll.records", Refused("set `buffered.records.per.partition` for less memory, `commit.interval.ms` for smaller transactions, or `max.poll.interval.ms` for slow records")),
    ("max.request.size", Refused("set `producer.message.max.bytes`")),
    ("max.warmup.replicas", STANDBYS),
    ("metadata.max.idle.ms", Ignored("librdkafka forgets topics by `metadata.max.age.ms`")),
    ("metric.reporters", METRICS),
    ("metrics.", METRICS),
    ("num.standby.replicas", STANDBYS),
    ("partition.grouper", Refused("a task always reads the partitions of one number from all topics of its sub-topology; leave it out")),
    ("partitioner.class", Refused("set `producer.partitioner`; `murmur2_random`, as Java's, is the default")),
    ("probing.rebalance.interval.ms", STANDBYS),
    ("processor.wrapper.class", CLASSES),
    ("rack.aware.assignment.", STANDBYS),
    ("request.timeout.ms", Same("socket.timeout.ms")),
    ("retries", Ignored("clients try again until their timeouts; `producer.retries` is the producers' own")),
    ("rocksdb.config.setter", Ignored("there is no RocksDB; `state.backend` says what keeps the stores")),
    ("sasl.client.callback.handler.class", MECHANISMS),
    ("sasl.jaas.config", Login),
    ("sasl.kerberos.ticket.renew.", Ignored("librdkafka renews by `sasl.kerberos.min.time.before.relogin`")),
    ("sasl.login.callback.handler.class", MECHANISMS),
    ("sasl.login.class", MECHANISMS),
    ("sasl.login.", Ignored("librdkafka renews logins by itself")),
    ("schema.registry.", REGISTRY),
    ("security.providers", CLASSES),
    ("socket.connection.setup.timeout.max.ms", Ignored("each attempt lasts `socket.connection.setup.timeout.ms`")),
    ("specific.avro.reader", REGISTRY),
    ("ssl.enabled.protocols", Refused("OpenSSL takes TLS 1.2 and later; its own configuration file (`MinProtocol`) narrows that")),
    ("ssl.engine.factory.class", CLASSES),
    ("ssl.keymanager.algorithm", TLS),
    ("ssl.keystore.certificate.chain", Same("ssl.certificate.pem")),
    ("ssl.keystore.key", Same("ssl.key.pem")),
    ("ssl.keystore.type", Refused("`ssl.keystore.location` takes PKCS#12; PEM goes to `ssl.key.location` and `ssl.certificate.location`")),
    ("ssl.protocol", TLS),
    ("ssl.provider", TLS),
    ("ssl.secure.random.implementation", TLS),
    ("ssl.trustmanager.algorithm", TLS),
    ("ssl.truststore.certificates", Same("ssl.ca.pem")),
    ("ssl.truststore.location", TRUSTSTORE),
    ("ssl.truststore.password", TRUSTSTORE),
    ("ssl.truststore.type", TRUSTSTORE),
    ("state.cleanup.delay.ms", Ignored("the state of a task that moved away stays, in case it returns")),
    ("task.assignor.class", Ignored("the range assignor spreads the partitions")),
    ("task.timeout.ms", Ignored("what fails in the same way again and again ends in an error")),
    ("topology.optimization", Ignored("a topology is optimised where it is built: `StreamsBuilder::optimization`")),
    ("upgrade.from", Ignored("there is no older version to be compatible with")),
    ("use.latest.version", REGISTRY),
    ("value.deserializer", SERDES),
    ("value.serializer", SERDES),
    ("value.subject.name.strategy", REGISTRY),
    ("window.size.ms", SERDES),
    ("windowed.inner.class.serde", SERDES),
];

/// Values with which a key that is refused says what is so anyway. One of several is enough.
const SO_ANYWAY: &[(&str, &[&str])] = &[
    ("default.timestamp.extractor", &["FailOnInvalidTimestamp"]),
    ("dsl.store.format", &["DEFAULT", "default"]),
    ("ensure.explicit.internal.resource.naming", &["false"]),
    ("partition.grouper", &["DefaultPartitionGrouper"]),
    ("partitioner.class", &["DefaultPartitioner"]),
    ("ssl.enabled.protocols", &["TLSv1.2"]),
    ("ssl.keystore.type", &["PKCS12"]),
    ("ssl.truststore.type", &["PEM"]),
];

/// Values as Java has them, and as they are here. Of a class, the last part of its name.
const VALUES: &[(&str, &str, &str)] = &[
    ("client.dns.lookup", "default", "use_all_dns_ips"),
    ("connections.max.idle.ms", "-1", "0"),
    ("deserialization.exception.handler", "LogAndContinueExceptionHandler", "continue"),
    ("deserialization.exception.handler", "LogAndFailExceptionHandler", "fail"),
    ("partition.assignment.strategy", "RangeAssignor", "range"),
    ("processing.exception.handler", "LogAndContinueProcessingExceptionHandler", "continue"),
    ("processing.exception.handler", "LogAndFailProcessingExceptionHandler", "fail"),
    ("processing.guarantee", "exactly_once_beta", "exactly_once"),
    ("production.exception.handler", "DefaultProductionExceptionHandler", "fail"),
    ("socket.receive.buffer.bytes", "-1", "0"),
    ("socket.send.buffer.bytes", "-1", "0"),
    ("ssl.endpoint.identification.algorithm", "", "none"),
    ("state.backend", "BuiltInDslStoreSuppliers$InMemoryDslStoreSuppliers", "memory"),
    ("state.backend", "BuiltInDslStoreSuppliers$RocksDBDslStoreSuppliers", "fjall"),
    ("state.backend", "in_memory", "memory"),
    ("state.backend", "rocksDB", "fjall"),
];

/// All names that are answered here.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ANSWERS.iter().map(|(name, _)| *name)
}

/// What becomes of a key, if it is one of the Java world.
pub(super) fn answer(name: &str, value: &str) -> Option<Answer> {
    let is_it = |known: &str| known == name || known.ends_with('.') && name.starts_with(known);
    let (known, answer) = ANSWERS.iter().find(|(known, _)| is_it(known))?;
    let mut given = value.split(',').map(last_part);
    let so_anyway = SO_ANYWAY.iter().find(|(key, _)| key == known);
    if so_anyway.is_some_and(|(_, values)| given.any(|value| values.contains(&value))) {
        return Some(Ignored("this is what happens without it"));
    }
    Some(*answer)
}

/// A value as it is here.
pub(super) fn value_of<'a>(setting: &str, value: &'a str) -> Cow<'a, str> {
    let given = last_part(value);
    let found =
        VALUES.iter().find(|(key, java, _)| *key == setting && given.eq_ignore_ascii_case(java));
    found.map_or(Cow::Borrowed(value), |(_, _, ours)| Cow::Borrowed(*ours))
}

/// The class of `class org.apache.kafka.TheClass`; other values as they are.
fn last_part(value: &str) -> &str {
    let value = value.trim();
    match value.rsplit_once('.') {
        Some((package, class)) if package.contains('.') => class,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::names;

    #[test]
    fn every_answer_is_documented_and_leads_somewhere() {
        let page = include_str!("../../../../docs/configuration.md");
        for (name, answer) in ANSWERS {
            assert!(page.contains(&format!("`{name}")), "docs/configuration.md lacks {name}");
            if let Same(other) = answer {
                assert!(
                    names::own(other).is_some() || crate::config::native::knows(other),
                    "{other}"
                );
                assert!(ANSWERS.iter().all(|(name, _)| name != other), "{other} leads elsewhere");
            }
        }
    }
}
