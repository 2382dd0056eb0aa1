//! Configuration files as people have them: each is read as a file, and gets one answer about all of
//! its keys.

use super::*;

/// What became of a file: what is ignored, or what is wrong.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Taken { ignored: Vec<String> },
    Refused(Vec<String>),
}

fn read(builder: StreamsConfigBuilder, text: &str) -> Result<StreamsConfig, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.properties");
    std::fs::write(&path, text).unwrap();
    builder.properties_file(path)?.build()
}

/// The answer to a file that begins with the two required keys.
fn answer(text: &str) -> Answer {
    let read = read(StreamsConfigBuilder::new(), &format!("{REQUIRED}{text}"));
    match read {
        Ok(config) => Answer::Taken { ignored: ignored(&config) },
        Err(error) => Answer::Refused(told(&error)),
    }
}

fn ignored(config: &StreamsConfig) -> Vec<String> {
    config.ignored_keys().map(|(key, _)| key.to_owned()).collect()
}

fn told(error: &ConfigError) -> Vec<String> {
    match error {
        ConfigError::Several(errors) => errors.iter().map(ToString::to_string).collect(),
        one => vec![one.to_string()],
    }
}

const REQUIRED: &str = "application.id=app\nbootstrap.servers=broker:9092\n";

const WITHOUT_TLS: &str = if cfg!(feature = "dynamic-linking") {
    "is not supported: librdkafka was built without it; install one that has it"
} else {
    "is not supported: librdkafka was built without it; enable the cargo feature `ssl` (`gssapi` for \
     Kerberos, `gzip` and `zstd` for these codecs)"
};

#[test]
fn apache_kafkas_own_template_is_taken() {
    let text = "\
num.stream.threads=1
num.standby.replicas=0
processing.guarantee=at_least_once
commit.interval.ms=30000
cache.max.bytes.buffering=10485761
state.dir=/var/lib/app
topology.optimization=none
replication.factor=-1
metrics.sample.window.ms=30000
metrics.num.samples=2
metrics.recording.level=INFO
default.key.serde=org.apache.kafka.common.serialization.Serdes$StringSerde
default.value.serde=org.apache.kafka.common.serialization.Serdes$StringSerde
default.timestamp.extractor=org.apache.kafka.streams.processor.FailOnInvalidTimestamp
";
    let config = read(StreamsConfigBuilder::new(), &format!("{REQUIRED}{text}")).unwrap();
    assert_eq!(config.cache_max_bytes(), 10_485_761);
    assert_eq!(config.state_dir().to_str(), Some("/var/lib/app"));
    let ignored: Vec<_> = config.ignored_keys().collect();
    let standbys = "there are no standby replicas; a task that moves restores its stores from their changelogs";
    let (metrics, serdes) = (
        "metrics go to the `metrics` facade",
        "serdes are found by type, or named where a topic is read or written",
    );
    assert_eq!(
        ignored,
        [
            ("num.standby.replicas", standbys),
            (
                "topology.optimization",
                "a topology is optimised where it is built: `StreamsBuilder::optimization`"
            ),
            ("metrics.sample.window.ms", metrics),
            ("metrics.num.samples", metrics),
            ("metrics.recording.level", metrics),
            ("default.key.serde", serdes),
            ("default.value.serde", serdes),
            ("default.timestamp.extractor", "this is what happens without it"),
        ]
    );
}

#[test]
fn all_defaults_of_kafka_streams_2_written_out_are_taken() {
    let text = "\
retries=0
retry.backoff.ms=100
partition.grouper=org.apache.kafka.streams.processor.DefaultPartitionGrouper
built.in.metrics.version=latest
connections.max.idle.ms=540000
metadata.max.age.ms=300000
receive.buffer.bytes=32768
send.buffer.bytes=131072
reconnect.backoff.ms=50
reconnect.backoff.max.ms=1000
request.timeout.ms=40000
state.cleanup.delay.ms=600000
windowstore.changelog.additional.retention.ms=86400000
default.deserialization.exception.handler=class org.apache.kafka.streams.errors.LogAndFailExceptionHandler
";
    for guarantee in ["at_least_once", "exactly_once"] {
        let text = format!("{REQUIRED}processing.guarantee={guarantee}\n{text}");
        let config = read(StreamsConfigBuilder::new(), &text).unwrap();
        assert_eq!(config.deserialization_exception_handler(), ExceptionHandler::Fail);
        assert_eq!(
            ignored(&config),
            ["retries", "partition.grouper", "built.in.metrics.version", "state.cleanup.delay.ms",]
        );
        for settings in [
            config.consumer_settings(0),
            config.restore_consumer_settings(0),
            config.producer_settings(None, 0),
            config.producer_settings(Some("t"), 0),
            config.admin_settings(),
        ] {
            for (setting, value) in [
                ("retry.backoff.ms", "100"),
                ("connections.max.idle.ms", "540000"),
                ("metadata.max.age.ms", "300000"),
                ("socket.receive.buffer.bytes", "32768"),
                ("socket.send.buffer.bytes", "131072"),
                ("reconnect.backoff.ms", "50"),
                ("reconnect.backoff.max.ms", "1000"),
            ] {
                assert_eq!(settings.get(setting), Some(value), "{setting}");
            }
        }
        assert_eq!(config.consumer_settings(0).get("socket.timeout.ms"), Some("40000"));
        // No request outlives its transaction, and a backoff is as long as it was asked for.
        let producer = config.producer_settings(Some("t"), 0);
        assert_eq!(producer.get("socket.timeout.ms"), Some("10000"));
        assert_eq!(producer.get("retry.backoff.max.ms"), Some("100"));
    }
}

#[test]
fn a_services_file_is_taken() {
    let text = "\
processing.guarantee=exactly_once
commit.interval.ms=20
num.stream.threads=10
auto.offset.reset=earliest
application.server=localhost:8093
schema.registry.url=http://registry:8081
group.id=group-1
";
    let ignored = ["application.server", "schema.registry.url", "group.id"];
    assert_eq!(answer(text), Answer::Taken { ignored: ignored.map(str::to_owned).into() });
}

#[test]
fn a_converters_file_is_taken() {
    let text = "\
num.standby.replicas=1
probing.rebalance.interval.ms=120000
key.serializer=org.apache.kafka.common.serialization.ByteArraySerializer
value.serializer=org.apache.kafka.common.serialization.ByteArraySerializer
metrics.recording.level=DEBUG
";
    let ignored = [
        "num.standby.replicas",
        "probing.rebalance.interval.ms",
        "key.serializer",
        "value.serializer",
        "metrics.recording.level",
    ];
    assert_eq!(answer(text), Answer::Taken { ignored: ignored.map(str::to_owned).into() });
}

#[test]
fn the_file_of_a_client_of_a_secured_cluster_is_taken_with_tls() {
    let text = "\
security.protocol=SASL_SSL
ssl.protocol=TLSv1.2
ssl.enabled.protocols=TLSv1.2
ssl.endpoint.identification.algorithm=HTTPS
auto.commit.interval.ms=1000
enable.auto.commit=true
key.deserializer=org.apache.kafka.common.serialization.StringDeserializer
";
    let ignored = [
        "ssl.protocol",
        "ssl.enabled.protocols",
        "auto.commit.interval.ms",
        "enable.auto.commit",
        "key.deserializer",
    ];
    let expected = if cfg!(feature = "ssl") {
        Answer::Taken { ignored: ignored.map(str::to_owned).into() }
    } else {
        Answer::Refused(vec![format!("`security.protocol` {WITHOUT_TLS}")])
    };
    assert_eq!(answer(text), expected);
    // Only what is older than OpenSSL's TLS 1.2 is another wish.
    let narrowed = text.replace("ssl.enabled.protocols=TLSv1.2", "ssl.enabled.protocols=TLSv1.3");
    let Answer::Refused(told) = answer(&narrowed) else { panic!("TLS 1.2 would be taken") };
    assert!(told[0].starts_with("`ssl.enabled.protocols` is not supported: OpenSSL"), "{told:?}");
}

#[test]
fn the_file_of_a_hosted_cluster_is_taken_with_tls() {
    let text = "\
sasl.mechanism=PLAIN
security.protocol=SASL_SSL
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
    username=\"KEY\" \\
    password=\"hunter2\";
client.dns.lookup=use_all_dns_ips
session.timeout.ms=45000
acks=all
request.timeout.ms=30000
basic.auth.credentials.source=USER_INFO
";
    let expected = if cfg!(feature = "ssl") {
        Answer::Taken { ignored: vec!["basic.auth.credentials.source".to_owned()] }
    } else {
        Answer::Refused(vec![format!("`security.protocol` {WITHOUT_TLS}")])
    };
    assert_eq!(answer(text), expected);

    // The same without TLS shows where it goes.
    let text = text.replace("security.protocol=SASL_SSL", "security.protocol=sasl_plaintext");
    let config = read(StreamsConfigBuilder::new(), &format!("{REQUIRED}{text}")).unwrap();
    for settings in [config.consumer_settings(0), config.producer_settings(None, 0)] {
        assert_eq!(settings.get("sasl.username"), Some("KEY"));
        assert_eq!(settings.get("sasl.password"), Some("hunter2"));
        assert_eq!(settings.get("sasl.mechanisms"), Some("PLAIN"));
        assert_eq!(settings.get("client.dns.lookup"), Some("use_all_dns_ips"));
        assert_eq!(settings.get("socket.timeout.ms"), Some("30000"));
    }
    assert_eq!(config.producer_settings(None, 0).get("acks"), Some("all"));
    assert_eq!(config.consumer_settings(0).get("acks"), None);

    // A login that is elided, or another module's.
    let elided = answer("sasl.jaas.config=...");
    let said = "`sasl.jaas.config` is not supported: set `sasl.mechanism`, and for PLAIN and SCRAM \
                `sasl.username` and `sasl.password`, for GSSAPI `sasl.kerberos.*`, for OAUTHBEARER \
                `sasl.oauthbearer.*`";
    assert_eq!(elided, Answer::Refused(vec![said.to_owned()]));
}

#[test]
fn a_tutorials_file_is_taken_when_its_own_keys_are_named() {
    let text = "\
application.id=app
bootstrap.servers=broker:9092
input.topic.name=sales
input.topic.partitions=1
output.topic.name=totals
output.topic.partitions=1
";
    let error = read(StreamsConfigBuilder::new(), text).unwrap_err();
    let own = "if it is your own, `StreamsConfigBuilder::own_keys` lets it through";
    let expected = [
        "input.topic.name",
        "input.topic.partitions",
        "output.topic.name",
        "output.topic.partitions",
    ]
    .map(|key| format!("unknown key `{key}`; {own}"));
    assert_eq!(told(&error), expected);

    let builder = StreamsConfigBuilder::new().own_keys("input.").own_keys("output.");
    let config = read(builder, text).unwrap();
    assert_eq!(config.own_value("input.topic.name"), Some("sales"));
    assert_eq!(config.own_value("output.topic.partitions"), Some("1"));
    assert_eq!(config.own_value("application.id"), None);
    assert_eq!(ignored(&config), [""; 0]);
    // A known key stays what it is, and a mistyped setting of a client stays wrong.
    let text = format!("{REQUIRED}consumer.fetch.max.bites=1\npoll.ms=7\nmine=1");
    let error = read(StreamsConfigBuilder::new().own_keys(""), &text).unwrap_err().to_string();
    assert!(error.contains("did you mean `consumer.fetch.max.bytes`"), "{error}");
    let text = text.replace("consumer.fetch.max.bites=1\n", "");
    let config = read(StreamsConfigBuilder::new().own_keys(""), &text).unwrap();
    assert_eq!((config.poll().as_millis(), config.own_value("mine")), (7, Some("1")));
}

#[test]
fn all_that_is_wrong_with_a_file_is_one_answer() {
    let text = "\
aplication.id=app
num.stream.threads=two
application.port=8080
session.timeout.ms=10000
heartbeat.interval.ms=10000
interceptor.classes=com.example.Interceptor
consumer.max.poll.records=1
producer.linger.ms=soon
producer.transactional.id=mine
num.standby.replicas=1
";
    let error = read(StreamsConfigBuilder::new(), text).unwrap_err();
    let expected = [
        "unknown key `aplication.id`; did you mean `application.id`?",
        "`num.stream.threads` cannot be `two`: it takes a whole number from 1 to 1024",
        "unknown key `application.port`; if it is your own, `StreamsConfigBuilder::own_keys` lets it \
         through",
        "`interceptor.classes` is not supported: no Java classes are loaded; leave it out, or do it \
         in the topology",
        "`consumer.max.poll.records` is not supported: set `buffered.records.per.partition` for less \
         memory, `commit.interval.ms` for smaller transactions, or `max.poll.interval.ms` for slow \
         records",
        "`application.id` is required, because it has no default; set it",
        "`bootstrap.servers` is required, because it has no default; set it",
        "`producer.linger.ms` cannot be `soon`: it takes what librdkafka's \
         CONFIGURATION.md says of it",
        "`producer.transactional.id` cannot be `mine`: each worker needs its own; set `instance.id`, \
         which is part of it",
        "`heartbeat.interval.ms` (10000) must be below `session.timeout.ms` (10000): the session would \
         end between two heartbeats",
    ];
    assert_eq!(told(&error), expected);
    let text = error.to_string();
    assert!(
        text.starts_with("10 things are wrong with the configuration:\n- unknown key"),
        "{text}"
    );
}

#[test]
fn values_as_java_takes_them_are_translated() {
    let text = "\
bootstrap.servers = a:1 , b:2,, c:3,
processing.guarantee = EXACTLY_ONCE_V2
auto.offset.reset = LATEST
default.dsl.store = in_memory
group.protocol = CLASSIC
producer.acks = ALL
consumer.isolation.level = READ_COMMITTED
consumer.enable.auto.commit = FALSE
consumer.partition.assignment.strategy = org.apache.kafka.clients.consumer.RangeAssignor
client.dns.lookup = default
connections.max.idle.ms = -1
receive.buffer.bytes = -1
default.production.exception.handler = org.apache.kafka.streams.errors.DefaultProductionExceptionHandler
deserialization.exception.handler = org.apache.kafka.streams.errors.LogAndContinueExceptionHandler
processing.exception.handler = org.apache.kafka.streams.errors.LogAndContinueProcessingExceptionHandler
";
    let text = format!("application.id = app\n{text}");
    let config = read(StreamsConfigBuilder::new(), &text).unwrap();
    assert_eq!(config.bootstrap_servers(), "a:1,b:2,c:3");
    assert!(config.is_exactly_once());
    assert_eq!(config.auto_offset_reset(), AutoOffsetReset::Latest);
    assert_eq!(config.state_backend(), StateBackendKind::Memory);
    assert_eq!(config.production_exception_handler(), ExceptionHandler::Fail);
    assert_eq!(config.deserialization_exception_handler(), ExceptionHandler::Continue);
    assert_eq!(config.processing_exception_handler(), ExceptionHandler::Continue);
    let consumer = config.consumer_settings(0);
    assert_eq!(consumer.get("client.dns.lookup"), Some("use_all_dns_ips"));
    assert_eq!(consumer.get("connections.max.idle.ms"), Some("0"));
    assert_eq!(consumer.get("socket.receive.buffer.bytes"), Some("0"));
    for empty in ["", ",", " , "] {
        let text = format!("application.id=a\nbootstrap.servers={empty}\n");
        let error = read(StreamsConfigBuilder::new(), &text).unwrap_err().to_string();
        assert!(error.contains("host:port"), "{error}");
    }
    // Without TLS there is nothing to turn off.
    let (algorithm, tls) = ("ssl.endpoint.identification.algorithm", cfg!(feature = "ssl"));
    for (value, ours) in [("", "none"), ("HTTPS", "HTTPS"), ("none", "none")] {
        let text = format!("{REQUIRED}{algorithm}={value}\n");
        let config = read(StreamsConfigBuilder::new(), &text).unwrap();
        assert_eq!(config.admin_settings().get(algorithm), tls.then_some(ours));
        assert_eq!(config.ignored_keys().count(), usize::from(!tls));
    }
}

#[test]
fn the_bytes_of_a_file_are_read_as_java_or_an_editor_wrote_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.properties");
    let utf8 = "\u{feff}application.id=app\nbootstrap.servers=b:1\nclient.rack=caf\u{e9}\n";
    let latin1 = b"# caf\xe9\napplication.id=app\nbootstrap.servers=b:1\nclient.rack=caf\xe9\n";
    for bytes in [utf8.as_bytes(), latin1] {
        std::fs::write(&path, bytes).unwrap();
        let config = StreamsConfig::from_properties_file(&path).unwrap();
        assert_eq!(config.application_id(), "app");
        assert_eq!(config.consumer_settings(0).get("client.rack"), Some("caf\u{e9}"));
    }
    let toml = "\u{feff}application.id = \"app\"\nbootstrap.servers = \"b:1\"";
    assert_eq!(StreamsConfig::from_toml(toml).unwrap().application_id(), "app");
}
