//! The brokers that the conformance suite runs on, and where they may differ.
//!
//! Each is started once per process, with settings that let tests see soon what takes long in
//! production. Invariant: a test body finds out about differences here and nowhere else.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{FindCoordinatorRequest, HeartbeatRequest, InitProducerIdRequest};
use oncestream_broker::Broker;
use oncestream_testkit::KafkaCluster;

use crate::kafka::LIMIT;
use crate::raw::{Connection, text};

/// What Apache Kafka is started with, beside the test kit's own settings.
const PROPERTIES: &[(&str, &str)] = &[
    // One coordinator of each kind: warm once, warm for all.
    ("offsets.topic.num.partitions", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "100"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "200"),
    ("log.cleaner.backoff.ms", "100"),
    ("log.retention.check.interval.ms", "500"),
    ("log.segment.delete.delay.ms", "100"),
    // A slow machine must not fence the only node: leader epochs would rise.
    ("broker.session.timeout.ms", "60000"),
];

/// Key, lowest and highest version of what every broker here must offer; Apache Kafka offers more.
pub const VERSIONS: &[(i16, i16, i16)] = &[
    (0, 3, 11), // Produce
    (1, 4, 12), // Fetch, up to the last version with topic names
    (2, 1, 10), // ListOffsets
    (3, 0, 13), // Metadata
    (8, 2, 9),  // OffsetCommit
    (9, 1, 9),  // OffsetFetch
    (10, 0, 5), // FindCoordinator
    (11, 0, 9), // JoinGroup
    (12, 0, 4), // Heartbeat
    (13, 0, 5), // LeaveGroup
    (14, 0, 5), // SyncGroup
    (15, 0, 6), // DescribeGroups
    (16, 0, 5), // ListGroups
    (18, 0, 4), // ApiVersions
    (19, 2, 7), // CreateTopics
    (20, 1, 6), // DeleteTopics
    (21, 0, 2), // DeleteRecords
    (22, 0, 5), // InitProducerId
    (23, 2, 4), // OffsetForLeaderEpoch
    (24, 0, 3), // AddPartitionsToTxn
    (25, 0, 4), // AddOffsetsToTxn
    (26, 0, 4), // EndTxn
    (28, 0, 4), // TxnOffsetCommit
    (32, 1, 4), // DescribeConfigs
    (33, 0, 2), // AlterConfigs
    (37, 0, 3), // CreatePartitions
    (42, 0, 2), // DeleteGroups
    (44, 0, 1), // IncrementalAlterConfigs
    (47, 0, 0), // OffsetDelete
    (60, 0, 2), // DescribeCluster
    (61, 0, 0), // DescribeProducers
    (65, 0, 0), // DescribeTransactions
    (66, 0, 1), // ListTransactions
];

/// The same for the embedded broker, where its own defaults do not say so already.
const SETTINGS: &[(&str, &str)] = &[
    ("group.min.session.timeout.ms", "100"),
    ("log.cleaner.backoff.ms", "100"),
    ("log.retention.check.interval.ms", "500"),
];

/// How long after the answer to a commit its markers follow.
const MARKER_DELAY: Duration = Duration::from_millis(100);

/// A broker under test.
#[derive(Debug)]
pub struct Target {
    servers: String,
    /// Kept for its life: the broker ends with it.
    _broker: Kind,
}

#[derive(Debug)]
enum Kind {
    Apache { _cluster: KafkaCluster },
    Embedded { _broker: Broker },
}

impl Target {
    /// Apache Kafka, started at the first call.
    pub fn apache() -> &'static Self {
        static APACHE: OnceLock<Target> = OnceLock::new();
        APACHE.get_or_init(|| {
            let mut builder = KafkaCluster::builder();
            for (key, value) in PROPERTIES {
                builder = builder.property(*key, *value);
            }
            let cluster = builder.start().expect("Apache Kafka starts");
            let servers = cluster.bootstrap_servers().to_owned();
            let target = Self { servers, _broker: Kind::Apache { _cluster: cluster } };
            target.await_coordinators();
            target
        })
    }

    /// The embedded broker, started at the first call.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: OnceLock<Target> = OnceLock::new();
        EMBEDDED.get_or_init(|| {
            // A check that does not wait for the markers fails each time.
            let mut builder = Broker::builder().marker_delay(MARKER_DELAY);
            for (key, value) in SETTINGS {
                builder = builder.setting(key, value).expect("a setting of the broker");
            }
            let broker = builder.start_blocking().expect("the embedded broker starts");
            let servers = broker.bootstrap_servers().to_owned();
            Self { servers, _broker: Kind::Embedded { _broker: broker } }
        })
    }

    /// A client's `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.servers
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        Connection::open(&self.servers)
    }

    /// The topics of the coordinators come with the first look for one; loading takes a moment.
    fn await_coordinators(&self) {
        let mut connection = self.connect();
        let deadline = Instant::now() + LIMIT;
        let mut ready = false;
        while !ready {
            assert!(Instant::now() < deadline, "no coordinators within {LIMIT:?}");
            let found = [0, 1].map(|kind| {
                let request =
                    FindCoordinatorRequest::default().with_key(text("warm-up")).with_key_type(kind);
                connection.call(&request, 1).error_code
            });
            let heartbeat = HeartbeatRequest::default()
                .with_group_id(text("warm-up"))
                .with_member_id(text("nobody"));
            let group = connection.call(&heartbeat, 0).error_code;
            let init = InitProducerIdRequest::default()
                .with_transactional_id(Some(text("warm-up")))
                .with_transaction_timeout_ms(1000);
            let transaction = connection.call(&init, 1).error_code;
            // 25 is UNKNOWN_MEMBER_ID: the coordinator of groups has looked.
            ready = found == [0, 0] && group == 25 && transaction == 0;
            if !ready {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}
