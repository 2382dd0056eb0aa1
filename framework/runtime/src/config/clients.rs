//! The settings each Kafka client is made with, as librdkafka names them. Pure: no client is made
//! here and no client library is named.
//!
//! Order of precedence: what the runtime depends on, what the user passed with a prefix (a
//! `main.consumer.` key before a `consumer.` one), what was passed without, our defaults,
//! librdkafka's. The first cannot clash with the others, since `checks.rs` refused that. Defaults that
//! depend on the number of partitions are in `scale.rs`.

use std::collections::{BTreeMap, btree_map};
use std::fmt;

use super::StreamsConfig;
use super::names::Client;
use super::secrets::shown;

/// librdkafka caps `socket.timeout.ms` here.
const MAX_SOCKET_TIMEOUT_MS: u128 = 300_000;

/// Settings of one client, ordered by name. `Debug` hides secrets; iterating does not.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientSettings(BTreeMap<String, String>);

impl ClientSettings {
    /// The value of a setting.
    pub fn get(&self, setting: &str) -> Option<&str> {
        self.0.get(setting).map(String::as_str)
    }

    /// All settings and their values, secrets included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(setting, value)| (setting.as_str(), value.as_str()))
    }

    /// The same with one more setting.
    pub(crate) fn with(mut self, setting: &str, value: &str) -> Self {
        self.put(setting, value);
        self
    }

    fn number(&self, setting: &str) -> Option<u128> {
        self.get(setting)?.parse().ok()
    }

    pub(super) fn put(&mut self, setting: &str, value: impl ToString) {
        self.0.insert(setting.to_owned(), value.to_string());
    }

    /// Puts a setting that is there under none of its names, of which the first is used.
    pub(super) fn put_absent(&mut self, names: &[&str], value: impl ToString) {
        if let [name, ..] = names
            && names.iter().all(|name| self.get(name).is_none())
        {
            self.put(name, value);
        }
    }

    pub(super) fn put_all(&mut self, settings: &[(&str, &str)]) {
        for (setting, value) in settings {
            self.put(setting, value);
        }
    }
}

impl IntoIterator for ClientSettings {
    type Item = (String, String);
    type IntoIter = btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(key, value)| (key, shown(key, value)))).finish()
    }
}

impl StreamsConfig {
    /// The consumer of input records of a worker, a member of the group.
    #[doc(hidden)]
    pub fn consumer_settings(&self, worker: usize) -> ClientSettings {
        let mut settings = self.common(&format!("-worker-{worker}-consumer"));
        settings.put_all(CONSUMER);
        // For the lag metric.
        settings.put("statistics.interval.ms", 10_000);
        settings.put("group.id", &self.application_id);
        settings.put("max.poll.interval.ms", self.max_poll_interval.as_millis());
        // The worker decides where to begin; the client would jump without a word.
        settings.put("auto.offset.reset", "error");
        if let Some(id) = &self.group_instance_id {
            // Each worker is a member of its own.
            settings.put("group.instance.id", format!("{id}-{worker}"));
        }
        self.overlay(&mut settings, &[Client::Consumer, Client::MainConsumer]);
        self.scale.size_consumer(&mut settings);
        self.membership(&mut settings);
        settings
    }

    /// The consumer of changelogs of a worker. It is assigned partitions by hand and never joins
    /// the group; librdkafka wants a group id all the same.
    #[doc(hidden)]
    pub fn restore_consumer_settings(&self, worker: usize) -> ClientSettings {
        let mut settings = self.common(&format!("-worker-{worker}-restore-consumer"));
        settings.put_all(CONSUMER);
        settings.put_all(RESTORE_CONSUMER);
        settings.put("group.id", &self.application_id);
        self.overlay(&mut settings, &[Client::Consumer, Client::RestoreConsumer]);
        self.scale.size_restore_consumer(&mut settings);
        // The end of a partition is how a restore ends, whatever `consumer.` says.
        settings.put("enable.partition.eof", true);
        settings
    }

    /// The consumer of the topics of global tables, one for the instance. It is assigned partitions by hand, as
    /// that of changelogs is.
    #[doc(hidden)]
    pub fn global_consumer_settings(&self) -> ClientSettings {
        let mut settings = self.common("-global-consumer");
        settings.put_all(CONSUMER);
        settings.put_all(RESTORE_CONSUMER);
        // Unlike a restore it waits for records for as long as the instance runs.
        settings.put("fetch.wait.max.ms", 500);
        settings.put("group.id", &self.application_id);
        self.overlay(&mut settings, &[Client::Consumer, Client::GlobalConsumer]);
        self.scale.size_global_consumer(&mut settings);
        settings.put_all(GLOBAL_CONSUMER);
        settings
    }

    /// A producer of a worker; with a transactional id it is the one that commits.
    ///
    /// A worker that keeps two of them, to overlap commits, passes two ids.
    #[doc(hidden)]
    pub fn producer_settings(
        &self,
        transactional_id: Option<&str>,
        worker: usize,
    ) -> ClientSettings {
        let mut settings = self.common(&format!("-worker-{worker}-producer"));
        settings.put_all(PRODUCER);
        if let Some(id) = transactional_id {
            let timeout_ms = self.transaction_timeout.as_millis();
            settings.put_all(TRANSACTIONAL);
            settings.put("transactional.id", id);
            settings.put("transaction.timeout.ms", timeout_ms);
            settings.put("message.timeout.ms", timeout_ms);
            // A topic that does not exist is told as such before its record times out, which
            // would be tried again for ever.
            settings.put("topic.metadata.propagation.max.ms", timeout_ms / 2);
            // Room for one more request before the transaction times out.
            settings.put("socket.timeout.ms", (timeout_ms - 100).clamp(900, MAX_SOCKET_TIMEOUT_MS));
        }
        self.overlay(&mut settings, &[Client::Producer]);
        if transactional_id.is_some() {
            self.fit_transaction(&mut settings);
        } else if weakens_idempotence(&settings) && !self.is_given("enable.idempotence") {
            settings.put("enable.idempotence", false);
        }
        self.scale.size_producer(transactional_id.is_some(), &mut settings);
        settings
    }

    /// What was said to all clients, such as Java's `request.timeout.ms`, is cut down to what fits
    /// into a transaction, and so is 0, which is for ever. Another value that was said to the
    /// producer is refused instead: librdkafka takes none that is too long.
    fn fit_transaction(&self, settings: &mut ClientSettings) {
        let timeout_ms = self.transaction_timeout.as_millis();
        for setting in ["message.timeout.ms", "socket.timeout.ms"] {
            let given_ms = settings.number(setting).unwrap_or(0);
            let for_all = !self.raw.0.contains_key(&format!("producer.{setting}"));
            if given_ms == 0 || given_ms > timeout_ms && for_all {
                settings.put(setting, timeout_ms);
            }
        }
        // Our own limit would cut down a longer one that was asked for.
        let backoff_ms = settings.number("retry.backoff.ms");
        if backoff_ms > settings.number("retry.backoff.max.ms") {
            settings.put("retry.backoff.max.ms", backoff_ms.unwrap_or_default());
        }
    }

    /// Whether the user set this setting of the producers.
    fn is_given(&self, setting: &str) -> bool {
        let client = Client::Producer;
        self.raw.shared(client).chain(self.raw.passed(client)).any(|(given, _)| given == setting)
    }

    /// The client that creates, describes and purges topics.
    #[doc(hidden)]
    pub fn admin_settings(&self) -> ClientSettings {
        let mut settings = self.common("-admin");
        self.overlay(&mut settings, &[Client::Admin]);
        settings
    }

    /// What begins all client ids: `client.id`, or the application and instance ids.
    #[doc(hidden)]
    pub fn client_id_prefix(&self) -> String {
        match (&self.client_id, &self.instance_id) {
            (Some(id), _) => id.clone(),
            (None, Some(instance)) => format!("{}-{instance}", self.application_id),
            (None, None) => self.application_id.clone(),
        }
    }

    /// Brokers and client id: what all clients have.
    fn common(&self, client_id_suffix: &str) -> ClientSettings {
        let mut settings = ClientSettings::default();
        settings.put("bootstrap.servers", &self.bootstrap_servers);
        settings.put("client.id", format!("{}{client_id_suffix}", self.client_id_prefix()));
        settings
    }

    /// Puts the user's settings for these clients over ours: those without a prefix first, the
    /// later client's last.
    fn overlay(&self, settings: &mut ClientSettings, clients: &[Client]) {
        let shared = clients.iter().take(1).flat_map(|client| self.raw.shared(*client));
        let passed = clients.iter().flat_map(|client| self.raw.passed(*client));
        for (setting, value) in shared.chain(passed) {
            settings.put(setting, value);
        }
    }

    /// How partitions are assigned, and when a member counts as dead.
    fn membership(&self, settings: &mut ClientSettings) {
        settings.put_all(MEMBER);
        settings.put("session.timeout.ms", self.session_timeout.as_millis());
        settings.put("heartbeat.interval.ms", self.heartbeat_interval.as_millis());
    }
}

/// Whether the idempotent producer, our default, cannot be had with these: Java's producer then does
/// without it, too.
fn weakens_idempotence(settings: &ClientSettings) -> bool {
    let all = |acks: &str| acks.eq_ignore_ascii_case("all") || acks == "-1";
    settings.get("acks").is_some_and(|acks| !all(acks))
        || settings.get("retries") == Some("0")
        || settings.number("max.in.flight").is_some_and(|requests| requests > 5)
}

const CONSUMER: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // Harmless on topics without transactions, so one value serves both guarantees.
    ("isolation.level", "read_committed"),
    // librdkafka waits 1000 ms by default once its queue was full: a quarter of the throughput.
    ("fetch.queue.backoff.ms", "5"),
];

/// What a member of the group has whatever was passed.
const MEMBER: &[(&str, &str)] = &[
    // The worker's rebalance is eager: all partitions are given up before any are assigned.
    ("group.protocol", "classic"),
    ("partition.assignment.strategy", "range"),
    // A task with several inputs waits for the end of those that are empty.
    ("enable.partition.eof", "true"),
];

const RESTORE_CONSUMER: &[(&str, &str)] = &[
    // The end of a short changelog is told at once, not after half a second.
    ("fetch.wait.max.ms", "10"),
    // A lost offset means a changelog that was cut: rebuild the store, do not jump.
    ("auto.offset.reset", "error"),
];

/// What the consumer of global tables has whatever was passed.
const GLOBAL_CONSUMER: &[(&str, &str)] = &[
    // Also at least once: what was aborted never was in the table.
    ("isolation.level", "read_committed"),
    // The end of a partition is how a restore ends.
    ("enable.partition.eof", "true"),
    // Records that are gone mean a table that is to be built anew.
    ("auto.offset.reset", "error"),
];

const PRODUCER: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    // An internal topic that was deleted while the application runs would come back with the
    // broker's defaults: a changelog that forgets by age.
    ("allow.auto.create.topics", "false"),
    // What Java producers use; librdkafka's CRC32 breaks co-partitioning with them.
    ("partitioner", "murmur2_random"),
    // The default of 100,000 messages blocks a fast worker; bound the bytes instead.
    ("queue.buffering.max.messages", "1000000"),
    ("queue.buffering.max.kbytes", "262144"),
    // What brokers take by default; librdkafka's own limit of 1,000,000 would refuse records that
    // Kafka's Java clients have written. Batches of many records stay below `batch.size`.
    ("message.max.bytes", "1048588"),
];

const TRANSACTIONAL: &[(&str, &str)] = &[
    // The first record after a commit meets CONCURRENT_TRANSACTIONS while the broker writes
    // markers; the default backoff grows to a second.
    ("retry.backoff.ms", "2"),
    ("retry.backoff.max.ms", "10"),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// `checks.rs` refuses these; here they have slipped past it.
    #[test]
    fn what_a_member_depends_on_wins_over_what_was_passed() {
        let mut config = StreamsConfig::builder("a", "b:1").build().unwrap();
        for prefix in ["consumer.", "main.consumer."] {
            for (setting, value) in [
                ("enable.partition.eof", "false"),
                ("group.protocol", "consumer"),
                ("partition.assignment.strategy", "cooperative-sticky"),
            ] {
                let key = format!("{prefix}{setting}");
                config.raw.put(&key, &key, value.to_owned());
            }
        }
        let settings = config.consumer_settings(0);
        for (setting, value) in MEMBER {
            assert_eq!(settings.get(setting), Some(*value), "{setting}");
        }
    }
}
