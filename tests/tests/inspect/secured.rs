//! TLS, SASL and rights, on Apache Kafka with an authoriser that denies what is not granted.

use std::path::Path;

use oncestream_inspect::transactions::Search;
use oncestream_inspect::{Client, ClientConfig, InspectError, Scope, producers, transactions};
use oncestream_testkit::KafkaCluster;
use oncestream_tests::java::Java;
use oncestream_tests::kafka::LIMIT;
use rdkafka::ClientConfig as KafkaConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::Producer as _;

use crate::{HEAP_MB, send, transactional, wait};

/// Must be nowhere in what is told.
const SECRET: &str = "hunter2";
/// `reader` may do what the documentation lists; `blind` may see the topic and not read it.
const USERS: &str = "user reader hunter2
user blind hunter2
grant reader TOPIC LITERAL lines READ
grant reader TRANSACTIONAL_ID PREFIXED open DESCRIBE
grant plain TOPIC LITERAL lines READ
grant blind TOPIC LITERAL lines DESCRIBE
";

fn kafka() -> KafkaCluster {
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let kafka = KafkaCluster::builder()
        .secured()
        .heap_mb(HEAP_MB)
        .property("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512")
        .property(
            "listener.name.secure.scram-sha-256.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        )
        .property(
            "listener.name.secure.plain.sasl.jaas.config",
            format!("{module} required user_plain=\"{SECRET}\";"),
        )
        .start()
        .unwrap();
    let mut config = KafkaConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap_servers());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let topic = NewTopic::new("lines", 1, TopicReplication::Fixed(1));
    wait(admin.create_topics(&[topic], &AdminOptions::new())).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/security");
    Java::compile(&folder).run("Rights", &[kafka.bootstrap_servers()], USERS).succeeded();
    kafka
}

struct As<'a> {
    kafka: &'a KafkaCluster,
    mechanism: &'a str,
    user: &'a str,
}

impl As<'_> {
    async fn connect(&self, more: &[(&str, &str)]) -> Result<Client, InspectError> {
        let authority = self.kafka.authority().unwrap().display().to_string();
        let pairs = [
            ("bootstrap.servers", self.kafka.secure_servers().unwrap()),
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", &authority),
            ("sasl.mechanism", self.mechanism),
            ("sasl.username", self.user),
            ("sasl.password", SECRET),
        ];
        Client::connect(ClientConfig::from_properties(pairs.iter().chain(more).copied())?).await
    }
}

#[test]
#[ignore = "needs Apache Kafka from Maven"]
fn every_mechanism_logs_in_over_tls_and_the_listed_rights_suffice() {
    let kafka = kafka();
    let mut config = KafkaConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap_servers());
    let producer = transactional(config, "open-lines");
    producer.begin_transaction().unwrap();
    send(&producer, "lines", 0, 1);

    for (mechanism, user) in
        [("SCRAM-SHA-256", "reader"), ("SCRAM-SHA-512", "reader"), ("PLAIN", "plain")]
    {
        let report = wait(async {
            let mut client = As { kafka: &kafka, mechanism, user }.connect(&[]).await.unwrap();
            producers::describe(&mut client, &Scope::topic("lines")).await.unwrap()
        });
        let open = report.partitions[0].producers[0].open.as_ref().unwrap();
        // Without Describe on the transactional id it is not told whose it is.
        let owner = (user == "reader").then_some("open-lines");
        assert_eq!(open.transactional_id.as_deref(), owner, "{mechanism}");
        assert!(report.missing.is_empty(), "{mechanism}: {:?}", report.missing);
    }
    let report = wait(async {
        let reader = As { kafka: &kafka, mechanism: "SCRAM-SHA-512", user: "reader" };
        let mut client = reader.connect(&[]).await.unwrap();
        transactions::describe(&mut client, &Search::default()).await.unwrap()
    });
    assert_eq!(report.transactions[0].partitions[0].topic, "lines");

    // Who may see the topic and not read it is told which right lacks.
    let report = wait(async {
        let blind = As { kafka: &kafka, mechanism: "SCRAM-SHA-512", user: "blind" };
        let mut client = blind.connect(&[]).await.unwrap();
        producers::describe(&mut client, &Scope::topic("lines")).await.unwrap()
    });
    assert!(report.missing[0].reason.contains("right Read"), "{:?}", report.missing);
    producer.abort_transaction(LIMIT).unwrap();
    a_login_that_fails_tells_why(&kafka);
}

fn a_login_that_fails_tells_why(kafka: &KafkaCluster) {
    let reader = As { kafka, mechanism: "SCRAM-SHA-512", user: "reader" };
    let wrong = format!("{SECRET}-mistyped");
    for (key, value, tells) in [
        ("sasl.password", wrong.as_str(), "SaslAuthenticationFailed"),
        ("ssl.ca.location", "probe", "TLS"),
        ("security.protocol", "SASL_PLAINTEXT", "security.protocol"),
        ("security.protocol", "PLAINTEXT", "security.protocol"),
    ] {
        let error = wait(reader.connect(&[(key, value)])).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains(tells), "{key}={value}: {told}");
        assert!(told.contains(kafka.secure_servers().unwrap()), "{told}");
        assert!(!told.contains(SECRET), "{told}");
    }
}
