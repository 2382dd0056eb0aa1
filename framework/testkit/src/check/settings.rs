//! What a check goes by, and the settings of the application under it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use oncestream_core::graph::{Graph, Topology};
use oncestream_core::serde::{Part, Serde, SerializeContext, nullable};
use oncestream_runtime::StreamsConfig;

use super::held_back;
use super::outputs::Agreement;

/// The environment variable that picks cases.
pub(super) const ONLY: &str = "ONCESTREAM_CHECK_ONLY";

/// The name of the instance at whose requests faults are put, and of the one that joins it.
pub(super) const FIRST: &str = "first";
pub(super) const SECOND: &str = "second";

/// A record to be fed.
#[derive(Clone, Debug)]
pub(super) struct InputRecord {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
}

/// A check as its user described it.
#[allow(clippy::struct_excessive_bools, reason = "each stands for itself")]
pub(super) struct Setup {
    pub(super) name: String,
    pub(super) test: Option<String>,
    pub(super) topology: Box<dyn Fn() -> Topology + Send + Sync>,
    pub(super) inputs: BTreeMap<String, Vec<InputRecord>>,
    /// Topics that are written to, but by no sink that names them.
    pub(super) outputs: Vec<String>,
    pub(super) partitions: i32,
    pub(super) waves: usize,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) seed: u64,
    pub(super) limit: usize,
    pub(super) parallelism: usize,
    pub(super) deadline: Duration,
    pub(super) processes: bool,
    pub(super) rebalances: bool,
    pub(super) threads: bool,
    pub(super) ordered: bool,
    pub(super) only: Option<String>,
}

/// Short timeouts, so that a lost answer is noticed soon. A transaction cannot be shorter than a
/// second.
const SETTINGS: &[(&str, &str)] = &[
    ("processing.guarantee", "exactly_once"),
    ("commit.interval.ms", "20"),
    ("poll.ms", "10"),
    ("statestore.cache.max.bytes", "0"),
    ("repartition.purge.interval.ms", "100"),
    ("transaction.timeout.ms", "1000"),
    ("session.timeout.ms", "1500"),
    ("heartbeat.interval.ms", "200"),
    ("max.poll.interval.ms", "6000"),
    ("consumer.socket.timeout.ms", "1500"),
    ("consumer.fetch.wait.max.ms", "400"),
    ("consumer.retry.backoff.ms", "20"),
    ("consumer.retry.backoff.max.ms", "100"),
    ("consumer.reconnect.backoff.ms", "10"),
    ("consumer.reconnect.backoff.max.ms", "100"),
    ("consumer.fetch.error.backoff.ms", "20"),
    ("consumer.topic.metadata.refresh.fast.interval.ms", "20"),
    // What a leader of the group did not see of a topic it sees at the next refresh.
    ("consumer.topic.metadata.refresh.interval.ms", "3000"),
    ("consumer.api.version.request.timeout.ms", "1000"),
    ("producer.reconnect.backoff.ms", "10"),
    ("producer.reconnect.backoff.max.ms", "100"),
    ("producer.topic.metadata.refresh.fast.interval.ms", "20"),
    ("producer.api.version.request.timeout.ms", "1000"),
    ("admin.socket.timeout.ms", "1500"),
    ("admin.retry.backoff.ms", "20"),
    ("admin.retry.backoff.max.ms", "100"),
    ("admin.reconnect.backoff.ms", "10"),
    ("admin.reconnect.backoff.max.ms", "100"),
    ("admin.topic.metadata.refresh.fast.interval.ms", "20"),
    ("admin.api.version.request.timeout.ms", "1000"),
];

impl Setup {
    /// The settings of an instance that say who it is.
    pub(super) fn config(
        &self,
        servers: &str,
        state_dir: &Path,
        instance: &str,
        caching: Caching,
    ) -> Result<StreamsConfig, String> {
        let mut config = StreamsConfig::builder(&self.name, servers).state_dir(state_dir);
        let given = self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let own = [("client.id", instance), ("instance.id", instance)];
        for (key, value) in SETTINGS.iter().copied().chain(given).chain(own) {
            config = config.set(key, value).map_err(|e| e.to_string())?;
        }
        if caching == Caching::Off {
            config = config.set(CACHE, "0").map_err(|e| e.to_string())?;
        }
        config.build().map_err(|e| e.to_string())
    }

    /// Whether the application reads what comes after its start alone.
    pub(super) fn begins_at_the_end(&self) -> bool {
        self.settings.get("auto.offset.reset").is_some_and(|reset| reset == "latest")
    }

    /// How closely two runs must agree if one of them has such a cache.
    pub(super) fn agreement(&self, topology: &Topology, caching: Caching) -> Agreement {
        let held_back = match caching {
            Caching::On => held_back::outputs(Graph::of(topology), &self.outputs),
            Caching::Off => BTreeSet::new(),
        };
        Agreement { held_back, ordered: self.ordered }
    }

    /// Whether stores hold updates back until a commit.
    pub(super) fn caching(&self) -> Caching {
        match self.settings.get(CACHE).map(String::as_str) {
            None | Some("0") => Caching::Off,
            Some(_) => Caching::On,
        }
    }
}

const CACHE: &str = "statestore.cache.max.bytes";

/// Whether every update of a table reaches the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caching {
    On,
    Off,
}

/// A key or value of an input; `None` for a null. What its serde adds to headers is lost.
#[allow(clippy::panic, reason = "the inputs of a test are wrong")]
pub(super) fn bytes<T>(
    topic: &str,
    part: Part,
    serde: &dyn Serde<T>,
    value: &T,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match nullable::write(serde, &mut SerializeContext::new(topic, part), value, &mut out) {
        Ok(is_there) => is_there.then_some(out),
        Err(error) => panic!("an input of {topic} cannot be written: {error}"),
    }
}
