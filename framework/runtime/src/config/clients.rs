//! The settings each Kafka client is made with, as librdkafka names them. Pure: no client is made
//! here and no client library is named.
//!
//! Order of precedence: what the runtime depends on, what the user passed with a prefix (a
//! `main.consumer.` key before a `consumer.` one), our defaults, librdkafka's. The first cannot
//! clash with the second, since `checks.rs` refused that. Defaults that depend on the number of
//! partitions are in `scale.rs`.

use std::collections::{BTreeMap, btree_map};
use std::fmt;

use super::StreamsConfig;
use super::error::shown;
use super::names::{self, Client, Place};

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

    /// A producer of a worker; with a transactional id it is the one that commits.
    ///
    /// A worker that keeps two of them, to overlap commits, passes two ids.
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
        self.scale.size_producer(transactional_id.is_some(), &mut settings);
        settings
    }

    /// The client that creates, describes and purges topics.
    pub fn admin_settings(&self) -> ClientSettings {
        let mut settings = self.common("-admin");
        self.overlay(&mut settings, &[Client::Admin]);
        settings
    }

    /// What begins all client ids: `client.id`, or the application and instance ids.
    pub fn client_id_prefix(&self) -> String {
        match (&self.client_id, &self.instance_id) {
            (Some(id), _) => id.clone(),
            (None, Some(instance)) => format!("{}-{instance}", self.application_id),
            (None, None) => self.application_id.clone(),
        }
    }

    /// Brokers, client id and security: what all clients have.
    fn common(&self, client_id_suffix: &str) -> ClientSettings {
        let mut settings = ClientSettings::default();
        settings.put("bootstrap.servers", &self.bootstrap_servers);
        settings.put("client.id", format!("{}{client_id_suffix}", self.client_id_prefix()));
        for (key, value) in &self.raw.0 {
            if let Ok(Place::Shared(setting)) = names::place(key) {
                settings.put(setting, value);
            }
        }
        settings
    }

    /// Puts the user's settings for these clients over ours, the later client's last. Those
    /// the table knows are left out: they were resolved, and are in the typed fields.
    fn overlay(&self, settings: &mut ClientSettings, clients: &[Client]) {
        for client in clients {
            for (key, value) in &self.raw.0 {
                match key.strip_prefix(client.prefix()) {
                    Some(setting) if names::folded(*client, setting).is_none() => {
                        settings.put(setting, value);
                    }
                    _ => {}
                }
            }
        }
    }

    /// How partitions are assigned, and when a member counts as dead.
    fn membership(&self, settings: &mut ClientSettings) {
        settings.put_all(MEMBER);
        settings.put("session.timeout.ms", self.session_timeout.as_millis());
        settings.put("heartbeat.interval.ms", self.heartbeat_interval.as_millis());
    }
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
    // The worker would take the end of a partition for an error.
    ("enable.partition.eof", "false"),
];

const RESTORE_CONSUMER: &[(&str, &str)] = &[
    // The end of a short changelog is told at once, not after half a second.
    ("fetch.wait.max.ms", "10"),
    // A lost offset means a changelog that was cut: rebuild the store, do not jump.
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
                ("enable.partition.eof", "true"),
                ("group.protocol", "consumer"),
                ("partition.assignment.strategy", "cooperative-sticky"),
            ] {
                config.raw.0.insert(format!("{prefix}{setting}"), value.to_owned());
            }
        }
        let settings = config.consumer_settings(0);
        for (setting, value) in MEMBER {
            assert_eq!(settings.get(setting), Some(*value), "{setting}");
        }
    }
}
