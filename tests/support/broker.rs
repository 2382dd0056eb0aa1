//! The two brokers that the engine's tests run on, and which of them a process uses.
//!
//! Knows nothing of topics or clients. Invariants: a process uses one kind of broker, chosen once
//! by `ONCESTREAM_TEST_BROKER`; both kinds have the same settings, wherever both have them.

use std::env;
use std::sync::LazyLock;

use oncestream_broker::Broker;
use oncestream_testkit::KafkaCluster;

/// The environment variable that chooses: `embedded` (as if unset) or `apache`.
pub const CHOICE: &str = "ONCESTREAM_TEST_BROKER";

/// Of what `KafkaCluster` sets, what the embedded broker has too. What it lacks is how Apache Kafka
/// keeps its own topics and replicas, and how late it looks for transactions past their timeout.
const SETTINGS: [(&str, &str); 3] = [
    ("auto.create.topics.enable", "false"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
];

/// The only node of a broker that a test starts.
const NODE: i32 = 1;

/// A kind of broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `oncestream_broker`, inside this process.
    Embedded,
    /// Apache Kafka, on Java.
    Apache,
}

impl Kind {
    /// What a value of [`CHOICE`] chooses; `None` stands for an unset one.
    ///
    /// # Errors
    /// A sentence for the user, if it chooses neither.
    pub fn choose(value: Option<&str>) -> Result<Self, String> {
        match value {
            None | Some("embedded") => Ok(Self::Embedded),
            Some("apache") => Ok(Self::Apache),
            Some(other) => {
                Err(format!("{CHOICE} is `{other}`; it may be `embedded`, `apache` or unset"))
            }
        }
    }

    /// What this process uses.
    ///
    /// # Panics
    /// If [`CHOICE`] chooses neither.
    pub fn of_this_process() -> Self {
        static KIND: LazyLock<Result<Kind, String>> = LazyLock::new(|| {
            let value = env::var_os(CHOICE);
            Kind::choose(value.map(|v| v.to_string_lossy().into_owned()).as_deref())
        });
        KIND.clone().unwrap_or_else(|e| panic!("{e}"))
    }
}

/// A running broker of one node, which ends with its value, or with the process.
#[derive(Debug)]
pub enum TestBroker {
    /// Inside this process.
    Embedded(Broker),
    /// On Java.
    Apache(KafkaCluster),
}

impl TestBroker {
    /// Starts one of the kind that this process uses.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Self {
        match Kind::of_this_process() {
            Kind::Embedded => {
                let mut builder = Broker::builder();
                for (name, value) in SETTINGS {
                    builder = builder.setting(name, value).expect("the embedded broker has it");
                }
                Self::Embedded(builder.start_blocking().expect("the embedded broker starts"))
            }
            Kind::Apache => Self::Apache(KafkaCluster::start().expect("Apache Kafka starts")),
        }
    }

    /// A client's `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> &str {
        match self {
            Self::Embedded(broker) => broker.bootstrap_servers(),
            Self::Apache(cluster) => cluster.bootstrap_servers(),
        }
    }

    /// Takes its only node away at once, as a crash would. What it has stored stays.
    pub fn take_away(&self) {
        match self {
            Self::Embedded(broker) => broker.stop_node(NODE).unwrap(),
            Self::Apache(cluster) => cluster.kill_node(NODE).unwrap(),
        }
    }

    /// Brings its only node back, at the same address.
    pub fn bring_back(&self) {
        match self {
            Self::Embedded(broker) => broker.start_node(NODE).unwrap(),
            Self::Apache(cluster) => cluster.start_node(NODE).unwrap(),
        }
    }
}
