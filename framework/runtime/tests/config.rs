//! The configuration as users meet it: every source, every refusal, and what the clients get.
//! librdkafka itself judges the clients' settings; no broker is needed for that.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use oncestream_runtime::config::{
    AutoOffsetReset, ClientSettings, ConfigError, ExceptionHandler, ProcessingGuarantee,
    StateBackendKind, StreamsConfig, StreamsConfigBuilder,
};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::BaseProducer;

fn builder() -> StreamsConfigBuilder {
    StreamsConfig::builder("word-count", "localhost:9092")
}

fn exactly_once() -> StreamsConfigBuilder {
    builder().processing_guarantee(ProcessingGuarantee::ExactlyOnce)
}

/// Sets the pairs over a valid configuration and builds it.
fn with(base: StreamsConfigBuilder, pairs: &[(&str, &str)]) -> Result<StreamsConfig, ConfigError> {
    pairs.iter().try_fold(base, |builder, (key, value)| builder.set(key, value))?.build()
}

fn refusal(base: StreamsConfigBuilder, pairs: &[(&str, &str)]) -> String {
    match with(base, pairs) {
        Ok(_) => panic!("{pairs:?} must be refused"),
        Err(error) => error.to_string(),
    }
}

fn client(settings: ClientSettings) -> ClientConfig {
    settings.into_iter().collect()
}

#[test]
fn defaults_are_those_of_kafka_streams() {
    let config = builder().build().unwrap();
    assert_eq!(config.application_id(), "word-count");
    assert_eq!(config.bootstrap_servers(), "localhost:9092");
    assert_eq!(config.processing_guarantee(), ProcessingGuarantee::AtLeastOnce);
    assert_eq!(config.num_stream_threads(), 1);
    assert_eq!(config.commit_interval(), Duration::from_secs(30));
    assert_eq!(config.poll(), Duration::from_millis(100));
    assert_eq!(config.state_dir(), std::env::temp_dir().join("oncestream"));
    assert_eq!(config.state_backend(), StateBackendKind::Fjall);
    assert_eq!(config.cache_max_bytes(), 10 * 1024 * 1024);
    assert_eq!(config.uncommitted_max_bytes(), Some(64 * 1024 * 1024));
    assert_eq!(config.replication_factor(), -1);
    assert_eq!(config.max_task_idle_ms(), 0);
    assert_eq!(config.buffered_records_per_partition(), 1000);
    assert_eq!(config.instance_id(), None);
    assert_eq!(config.auto_offset_reset(), AutoOffsetReset::Earliest);
    assert_eq!(config.max_poll_interval(), Duration::from_mins(5));
    assert_eq!(config.session_timeout(), Duration::from_secs(45));
    assert_eq!(config.heartbeat_interval(), Duration::from_secs(3));
    assert_eq!(config.transaction_timeout(), Duration::from_secs(10));
    assert_eq!(config.repartition_purge_interval(), Duration::from_secs(30));
    assert_eq!(config.shutdown_timeout(), Duration::from_secs(30));
    assert_eq!(config.deserialization_exception_handler(), ExceptionHandler::Fail);
    assert_eq!(exactly_once().build().unwrap().commit_interval(), Duration::from_millis(100));
}

#[test]
fn every_key_of_the_table_takes_its_own_default_and_is_documented() {
    for key in StreamsConfig::keys() {
        assert!(!key.doc.is_empty() && !key.allowed().is_empty(), "{}", key.name);
        if !key.default.is_empty() && !key.default.starts_with('(') {
            with(builder(), &[(key.name, key.default)]).unwrap();
        }
    }
    let mut names: Vec<_> = StreamsConfig::keys().iter().map(|key| key.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), StreamsConfig::keys().len(), "a key is in the table twice");
}

#[test]
fn every_key_of_the_table_reaches_the_configuration() {
    let other_than_default = [
        ("application.id", "other-app"),
        ("bootstrap.servers", "a:1, b:2"),
        ("processing.guarantee", "exactly_once_v2"),
        ("num.stream.threads", "3"),
        ("commit.interval.ms", "77"),
        ("poll.ms", "78"),
        ("state.dir", "some/where"),
        ("state.backend", "memory"),
        ("statestore.cache.max.bytes", "79"),
        ("statestore.uncommitted.max.bytes", "-1"),
        ("replication.factor", "3"),
        ("max.task.idle.ms", "-1"),
        ("buffered.records.per.partition", "80"),
        ("instance.id", "i-1"),
        ("group.instance.id", "g-1"),
        ("auto.offset.reset", "none"),
        ("max.poll.interval.ms", "81000"),
        ("session.timeout.ms", "46000"),
        ("heartbeat.interval.ms", "82"),
        ("transaction.timeout.ms", "9000"),
        ("repartition.purge.interval.ms", "83"),
        ("client.id", "c-1"),
        ("shutdown.timeout.ms", "84"),
        ("deserialization.exception.handler", "continue"),
        ("processing.exception.handler", "continue"),
        ("production.exception.handler", "continue"),
        ("errors.dead.letter.queue.topic.name", "dead"),
    ];
    // `Debug` shows every typed field, and after them what was given: only the former count.
    let typed = |config: StreamsConfig| {
        let shown = format!("{config:?}");
        shown.split(", raw: ").next().map(str::to_owned)
    };
    let before = typed(builder().build().unwrap());
    // A key with one value alone has nothing to change.
    for key in StreamsConfig::keys().iter().filter(|key| key.name != "group.protocol") {
        let (_, value) = other_than_default.iter().find(|(name, _)| *name == key.name).unwrap();
        let config = with(builder(), &[(key.name, value)]).unwrap();
        assert_ne!(typed(config), before, "{} has no effect", key.name);
    }
}

#[test]
fn properties_are_read_as_java_reads_them() {
    let text = concat!(
        "# a comment\n",
        "   ! another, which no backslash continues \\\n",
        "\n",
        "application.id=caf\\u0065\r\n",
        "bootstrap.servers : one:9092,\\\n",
        "      two:9092\n",
        "num.stream.threads   2\n",
        "client.id = a\\\n",
        "# no comment, since the line above goes on\n",
    );
    let error = StreamsConfig::from_properties(text).unwrap_err().to_string();
    assert!(error.contains("`a# no comment, since the line above goes on`"), "{error}");

    let text = text.replace("# no comment, since the line above goes on", "b\r");
    let config = StreamsConfig::from_properties(&text).unwrap();
    assert_eq!(config.application_id(), "cafe");
    assert_eq!(config.bootstrap_servers(), "one:9092,two:9092");
    assert_eq!(config.num_stream_threads(), 2);
    assert_eq!(config.client_id_prefix(), "ab");
}

#[test]
fn properties_escapes_are_resolved() {
    let text = concat!(
        "consumer.client.rack = \\u00e9\\ud83d\\ude00\\tx\\:\\=\\\\\n",
        "consumer.odd\\ key\\=here : v=w:x\n",
        "sasl.password =  two trailing blanks  \n",
        "consumer.empty\n",
        "consumer.fetch.max.bytes = 7  \n",
    );
    let settings = builder().properties(text).unwrap().build().unwrap().consumer_settings(0);
    assert_eq!(settings.get("client.rack"), Some("\u{e9}\u{1F600}\tx:=\\"));
    assert_eq!(settings.get("odd key=here"), Some("v=w:x"));
    assert_eq!(settings.get("sasl.password"), Some("two trailing blanks  "));
    assert_eq!(settings.get("empty"), Some(""));
    assert_eq!(settings.get("fetch.max.bytes"), Some("7"));

    for broken in ["\\u12", "\\u12g4", "\\ud83d", "\\ud83dx"] {
        let text = format!("# first\nsasl.password = hunter2{broken}");
        let error = builder().properties(&text).unwrap_err();
        assert!(matches!(error, ConfigError::Syntax { line: 2, .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[test]
fn a_properties_file_is_read_and_a_missing_one_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.properties");
    let missing = StreamsConfig::from_properties_file(&path).unwrap_err();
    assert!(missing.to_string().contains("app.properties"), "{missing}");
    std::fs::write(&path, "application.id=a\nbootstrap.servers=b:1\n").unwrap();
    assert_eq!(StreamsConfig::from_properties_file(&path).unwrap().application_id(), "a");
}

#[test]
fn toml_is_the_same_quoted_dotted_or_nested() {
    let quoted = "\"application.id\" = \"a\"\n\"bootstrap.servers\" = [\"b:1\", \"c:2\"]\n\
                  \"num.stream.threads\" = 2\n\"consumer.check.crcs\" = true\n";
    let dotted = "application.id = \"a\"\nbootstrap.servers = \"b:1,c:2\"\n\
                  num.stream.threads = 2\nconsumer.check.crcs = true\n";
    let nested = "[application]\nid = \"a\"\n[bootstrap]\nservers = [\"b:1\", \"c:2\"]\n\
                  [num.stream]\nthreads = 2\n[consumer]\n\"check.crcs\" = true\n";
    for text in [quoted, dotted, nested] {
        let config = StreamsConfig::from_toml(text).unwrap();
        assert_eq!(config.application_id(), "a");
        assert_eq!(config.bootstrap_servers(), "b:1,c:2");
        assert_eq!(config.num_stream_threads(), 2);
        assert_eq!(config.consumer_settings(0).get("check.crcs"), Some("true"));
    }
    let twice = StreamsConfig::from_toml("\"poll.ms\" = 1\n[poll]\nms = 2").unwrap_err();
    assert!(matches!(twice, ConfigError::Duplicate { .. }), "{twice}");
    let date = StreamsConfig::from_toml("poll.ms = 1979-05-27").unwrap_err();
    assert!(matches!(date, ConfigError::Invalid { .. }), "{date}");
}

#[test]
fn a_toml_syntax_error_names_the_line_and_not_its_text() {
    for broken in ["\"hunter2", "hunter2\"", "hunter2", "\"hunter2\" hunter2", "'hunter2"] {
        let text = format!("poll.ms = 5\nsasl.password = {broken}\nnum = 1\n");
        let error = StreamsConfig::from_toml(&text).unwrap_err();
        assert!(matches!(error, ConfigError::Syntax { line: 2, .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn the_environment_sets_known_keys_and_client_settings_alone() {
    let config = StreamsConfigBuilder::new()
        .variables([
            ("ONCESTREAM_APPLICATION_ID", "from-env"),
            ("ONCESTREAM_BOOTSTRAP_SERVERS", "b:1"),
            ("ONCESTREAM_CONSUMER_FETCH_MAX_BYTES", "7"),
            ("ONCESTREAM_PRODUCER_LINGER_MS", "8"),
            ("ONCESTREAM_ADMIN_SOCKET_TIMEOUT_MS", "9"),
            ("ONCESTREAM_SASL_PASSWORD", "secret"),
            ("ONCESTREAM_SOMEONE_ELSES", "x"),
            ("APPLICATION_ID", "not ours"),
        ])
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(config.application_id(), "from-env");
    assert_eq!(config.consumer_settings(0).get("fetch.max.bytes"), Some("7"));
    assert_eq!(config.producer_settings(None, 0).get("linger.ms"), Some("8"));
    assert_eq!(config.admin_settings().get("socket.timeout.ms"), Some("9"));
    assert_eq!(config.admin_settings().get("sasl.password"), Some("secret"));

    let typo = builder().variables([("ONCESTREAM_COMIT_INTERVAL_MS", "1")]).unwrap_err();
    assert!(typo.to_string().contains("did you mean `commit.interval.ms`?"), "{typo}");
}

#[cfg(unix)]
#[test]
fn an_environment_value_that_is_not_utf8_is_refused() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(vec![0xff]);
    let error = builder().variables([(OsString::from("ONCESTREAM_CLIENT_ID"), value)]);
    assert!(matches!(error, Err(ConfigError::EnvironmentNotUtf8 { .. })));
}

#[test]
fn the_later_source_wins_under_any_alias() {
    let config = builder()
        .num_stream_threads(2)
        .properties("num.stream.threads=3\nproducer.queue.buffering.max.ms=1\npoll.ms=1")
        .unwrap()
        .toml("num.stream.threads = 4")
        .unwrap()
        .set("producer.linger.ms", "2")
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(config.num_stream_threads(), 4);
    assert_eq!(config.poll(), Duration::from_millis(1));
    let producer = config.producer_settings(None, 0);
    assert_eq!(producer.get("linger.ms"), Some("2"));
    assert_eq!(producer.get("queue.buffering.max.ms"), None);
}

#[test]
fn the_more_special_prefix_wins_in_any_order() {
    let pairs = [
        ("main.consumer.session.timeout.ms", "30000"),
        ("consumer.session.timeout.ms", "20000"),
        ("session.timeout.ms", "40000"),
        ("main.consumer.fetch.min.bytes", "3"),
        ("restore.consumer.fetch.min.bytes", "2"),
        ("consumer.fetch.min.bytes", "1"),
    ];
    let config = with(builder(), &pairs).unwrap();
    assert_eq!(config.session_timeout(), Duration::from_secs(30));
    assert_eq!(config.consumer_settings(0).get("session.timeout.ms"), Some("30000"));
    assert_eq!(config.consumer_settings(0).get("fetch.min.bytes"), Some("3"));
    assert_eq!(config.restore_consumer_settings(0).get("fetch.min.bytes"), Some("2"));
    // What is checked is what the client gets: the producer's own timeout counts.
    let error = refusal(exactly_once(), &[("producer.transaction.timeout.ms", "45000")]);
    assert!(error.contains("`transaction.timeout.ms` (45000) must be below"), "{error}");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    for (given, meant) in [
        ("proccessing.guarantee", "processing.guarantee"),
        ("comit.interval.ms", "commit.interval.ms"),
        ("application.di", "application.id"),
        ("security.protcol", "security.protocol"),
        ("consummer.fetch.max.bytes", "consumer.fetch.max.bytes"),
        ("linger.ms", "producer.linger.ms"),
        ("fetch.max.bytes", "consumer.fetch.max.bytes"),
    ] {
        let error = builder().set(given, "1").unwrap_err().to_string();
        assert_eq!(error, format!("unknown key `{given}`; did you mean `{meant}`?"));
    }
    for given in ["frobnicate", "", "consumer.", "ssl."] {
        let error = builder().set(given, "1").unwrap_err();
        assert!(matches!(error, ConfigError::UnknownKey { .. }), "{given}: {error}");
    }
    let far = builder().set("frobnicate", "1").unwrap_err().to_string();
    assert!(far.contains("need a prefix"), "{far}");
}

#[test]
fn keys_of_the_java_world_are_refused_with_what_to_do() {
    for key in ["sasl.jaas.config", "ssl.truststore.location", "consumer.sasl.jaas.config"] {
        let error = builder().set(key, "hunter2").unwrap_err();
        assert!(matches!(error, ConfigError::Unsupported { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let error = builder().set("cache.max.bytes.buffering", "0").unwrap_err().to_string();
    assert!(error.contains("`statestore.cache.max.bytes`"), "{error}");
}

#[test]
fn a_wrong_value_names_key_value_and_what_is_allowed() {
    for (key, value, allowed) in [
        ("application.id", "a b", "letters"),
        ("application.id", "..", "letters"),
        ("application.id", "", "letters"),
        ("bootstrap.servers", "a:1,,b:2", "host:port"),
        ("bootstrap.servers", "a:port", "host:port"),
        ("bootstrap.servers", ":9092", "host:port"),
        ("processing.guarantee", "exactly_twice", "at_least_once | exactly_once"),
        ("num.stream.threads", "0", "from 1 to"),
        ("num.stream.threads", "two", "from 1 to"),
        ("commit.interval.ms", "-1", "from 0 to"),
        ("commit.interval.ms", "99999999999999999999", "from 0 to"),
        ("state.dir", "", "a path"),
        ("state.backend", "rocksdb", "fjall | sled | memory"),
        ("statestore.cache.max.bytes", "-1", "from 0"),
        ("statestore.uncommitted.max.bytes", "-2", "from -1"),
        ("max.task.idle.ms", "-2", "from -1 to"),
        ("buffered.records.per.partition", "0", "from 1 to"),
        ("instance.id", "a/b", "letters"),
        ("auto.offset.reset", "newest", "earliest | latest | none"),
        ("main.consumer.auto.offset.reset", "newest", "earliest | latest | none"),
        ("consumer.session.timeout.ms", "0", "from 1 to"),
        ("transaction.timeout.ms", "999", "from 1000 to"),
        ("deserialization.exception.handler", "ignore", "fail | continue"),
    ] {
        let error = builder().set(key, value).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{key}` cannot be `{value}`")), "{error}");
        assert!(error.contains(allowed), "{error}");
    }
    for built in [
        builder().num_stream_threads(0).build(),
        builder().commit_interval(Duration::MAX).build(),
        builder().replication_factor(0).build(),
        builder().state_dir("").build(),
        StreamsConfig::builder("a b", "b:1").build(),
    ] {
        assert!(matches!(built, Err(ConfigError::Invalid { .. })), "{built:?}");
    }
    for servers in ["host", "a:1,b:2", "[::1]:9092", "[::1]", "SSL://host:9093"] {
        StreamsConfig::builder("a", servers).build().unwrap();
    }
}

#[test]
fn the_required_keys_are_required() {
    let error = StreamsConfigBuilder::new().build().unwrap_err();
    assert!(matches!(error, ConfigError::Missing { key: "application.id" }), "{error}");
    let error = StreamsConfig::from_properties("application.id=a").unwrap_err();
    assert!(matches!(error, ConfigError::Missing { key: "bootstrap.servers" }), "{error}");
}

#[test]
fn contradicting_times_are_refused() {
    for (pair, said) in [
        (("commit.interval.ms", "10000"), "must be above `commit.interval.ms`"),
        (("transaction.timeout.ms", "45000"), "must be below `session.timeout.ms`"),
        (("session.timeout.ms", "10000"), "must be below `session.timeout.ms`"),
        (("heartbeat.interval.ms", "45000"), "must be below `session.timeout.ms`"),
        (("max.poll.interval.ms", "44999"), "must not be below `session.timeout.ms`"),
        (("producer.delivery.timeout.ms", "10001"), "not above `transaction.timeout.ms`"),
        (("producer.message.timeout.ms", "0"), "must be above 0"),
        (("producer.socket.timeout.ms", "10101"), "above `transaction.timeout.ms`"),
    ] {
        let error = refusal(exactly_once(), &[pair]);
        assert!(error.contains(said), "{pair:?}: {error}");
    }
    // At least once has no transactions to keep in step.
    for pair in [("commit.interval.ms", "10000"), ("transaction.timeout.ms", "45000")] {
        with(builder(), &[pair]).unwrap();
    }
    // The default heartbeat follows a short session.
    let config = with(builder(), &[("session.timeout.ms", "1500")]).unwrap();
    assert_eq!(config.heartbeat_interval(), Duration::from_millis(500));
}

#[test]
fn overrides_that_break_the_runtime_are_refused() {
    for (key, value) in [
        ("consumer.group.id", "mine"),
        ("consumer.enable.auto.commit", "true"),
        ("main.consumer.auto.commit.enable", "true"),
        ("consumer.enable.auto.offset.store", "true"),
        ("consumer.partition.assignment.strategy", "cooperative-sticky"),
        ("consumer.group.remote.assignor", "uniform"),
        ("consumer.group.remote.assignor", "range"),
        ("consumer.enable.partition.eof", "true"),
        ("main.consumer.enable.partition.eof", "true"),
        ("restore.consumer.enable.partition.eof", "false"),
        ("restore.consumer.auto.offset.reset", "earliest"),
        ("producer.transactional.id", "mine"),
        ("producer.partitioner", "consistent_random"),
        ("producer.bootstrap.servers", "elsewhere:9092"),
        ("consumer.client.id", "same-for-all"),
    ] {
        for base in [builder(), exactly_once()] {
            let error = with(base, &[(key, value)]).unwrap_err();
            assert!(matches!(error, ConfigError::Forbidden { .. }), "{key}: {error}");
        }
    }
    for (key, value) in [
        ("consumer.isolation.level", "read_uncommitted"),
        ("producer.enable.idempotence", "false"),
        ("producer.acks", "1"),
        ("producer.request.required.acks", "0"),
    ] {
        let error = with(exactly_once(), &[(key, value)]).unwrap_err();
        assert!(matches!(error, ConfigError::Forbidden { .. }), "{key}: {error}");
        with(builder(), &[(key, value)]).unwrap();
    }
    for (key, value) in [
        ("consumer.enable.auto.commit", "false"),
        ("consumer.partition.assignment.strategy", "range"),
        ("main.consumer.enable.partition.eof", "false"),
        ("restore.consumer.enable.partition.eof", "true"),
        ("producer.partitioner", "murmur2"),
        ("producer.acks", "all"),
    ] {
        with(exactly_once(), &[(key, value)]).unwrap();
    }
}

#[test]
fn only_the_classic_group_protocol_is_taken() {
    let keys = ["", "consumer.", "main.consumer.", "restore.consumer."]
        .map(|prefix| format!("{prefix}group.protocol"));
    for key in &keys {
        for value in ["consumer", "Consumer", "classic,consumer", ""] {
            let error = with(builder(), &[(key, value)]).unwrap_err();
            assert!(matches!(error, ConfigError::Forbidden { .. }), "{key}: {error}");
            let said = format!(
                "`{key}` cannot be `{value}`: only the `classic` group protocol with range \
                 assignment is supported"
            );
            assert_eq!(error.to_string(), said);
        }
        let config = with(builder(), &[(key, "classic")]).unwrap();
        assert_eq!(config.consumer_settings(0).get("group.protocol"), Some("classic"));
    }
    let from_file = StreamsConfig::from_toml("group.protocol = \"consumer\"").unwrap_err();
    assert!(matches!(from_file, ConfigError::Forbidden { .. }), "{from_file}");
    let from_env = builder().variables([("ONCESTREAM_GROUP_PROTOCOL", "consumer")]).unwrap_err();
    assert!(matches!(from_env, ConfigError::Forbidden { .. }), "{from_env}");
}

#[test]
fn no_secret_is_ever_shown() {
    let secrets = [
        ("sasl.password", "hunter-1"),
        ("ssl.key.password", "hunter-2"),
        ("ssl.key.pem", "hunter-3"),
        ("ssl.keystore.password", "hunter-4"),
        ("sasl.oauthbearer.client.secret", "hunter-5"),
        ("sasl.oauthbearer.config", "hunter-6"),
        ("consumer.sasl.password", "hunter-7"),
        ("producer.ssl_key", "hunter-8"),
        ("sasl.oauthbearer.assertion.private.key.passphrase", "hunter-9"),
        ("admin.SASL.PASSWORD", "hunter-0"),
    ];
    let builder = secrets.iter().fold(builder(), |b, (key, value)| b.set(key, value).unwrap());
    let mut shown = vec![format!("{builder:?}")];
    let config = builder.build().unwrap();
    shown.push(format!("{config:?} {config:#?} {:?}", config.consumer_settings(0)));
    shown.push(format!("{:?}", config.producer_settings(Some("t"), 0)));
    shown.push(format!("{:?}", config.admin_settings()));
    for text in &shown {
        assert!(text.contains("sasl.password") && text.contains("[hidden]"), "{text}");
        assert!(!text.contains("hunter"), "{text}");
    }
    // The clients do get them.
    assert_eq!(config.admin_settings().get("sasl.password"), Some("hunter-1"));
    assert_eq!(config.consumer_settings(0).get("sasl.password"), Some("hunter-7"));

    let typo = StreamsConfig::from_properties("saasl.pasword=hunter2").unwrap_err();
    assert!(!format!("{typo} {typo:?}").contains("hunter2"));
}

#[test]
fn security_settings_reach_every_client() {
    let pairs = [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-256"),
        ("ssl.ca.location", "ca.pem"),
        ("enable.ssl.certificate.verification", "false"),
    ];
    let config = with(builder(), &pairs).unwrap();
    for settings in [
        config.consumer_settings(0),
        config.restore_consumer_settings(0),
        config.producer_settings(None, 0),
        config.producer_settings(Some("t"), 0),
        config.admin_settings(),
    ] {
        assert_eq!(settings.get("security.protocol"), Some("SASL_SSL"));
        assert_eq!(settings.get("sasl.mechanisms"), Some("SCRAM-SHA-256"));
        assert_eq!(settings.get("ssl.ca.location"), Some("ca.pem"));
        assert_eq!(settings.get("enable.ssl.certificate.verification"), Some("false"));
        assert_eq!(settings.get("bootstrap.servers"), Some("localhost:9092"));
    }
}

#[test]
fn a_prefix_reaches_its_clients_alone() {
    let marks = ["consumer.c", "main.consumer.m", "restore.consumer.r", "producer.p", "admin.a"];
    let config = with(builder(), &marks.map(|key| (key, "x"))).unwrap();
    let marked = |settings: ClientSettings| -> String {
        ["c", "m", "r", "p", "a"].into_iter().filter(|m| settings.get(m).is_some()).collect()
    };
    assert_eq!(marked(config.consumer_settings(0)), "cm");
    assert_eq!(marked(config.restore_consumer_settings(0)), "cr");
    assert_eq!(marked(config.producer_settings(None, 0)), "p");
    assert_eq!(marked(config.admin_settings()), "a");
}

#[test]
fn the_clients_get_what_exactly_once_needs() {
    let config = exactly_once().instance_id("i1").group_instance_id("g").build().unwrap();
    let expect = |settings: &ClientSettings, pairs: &[(&str, &str)]| {
        for (key, value) in pairs {
            assert_eq!(settings.get(key), Some(*value), "{key}");
        }
    };
    expect(
        &config.consumer_settings(1),
        &[
            ("group.id", "word-count"),
            ("client.id", "word-count-i1-worker-1-consumer"),
            ("group.instance.id", "g-1"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("isolation.level", "read_committed"),
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "range"),
            ("enable.partition.eof", "false"),
            ("session.timeout.ms", "45000"),
            ("heartbeat.interval.ms", "3000"),
            ("auto.offset.reset", "error"),
            ("fetch.queue.backoff.ms", "5"),
        ],
    );
    let restore = config.restore_consumer_settings(1);
    assert_eq!(restore.get("group.instance.id"), None);
    expect(
        &restore,
        &[
            ("client.id", "word-count-i1-worker-1-restore-consumer"),
            ("isolation.level", "read_committed"),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "error"),
            ("fetch.wait.max.ms", "10"),
        ],
    );
    expect(
        &config.producer_settings(Some("tx"), 1),
        &[
            ("client.id", "word-count-i1-worker-1-producer"),
            ("transactional.id", "tx"),
            ("transaction.timeout.ms", "10000"),
            ("message.timeout.ms", "10000"),
            ("socket.timeout.ms", "9900"),
            ("retry.backoff.ms", "2"),
            ("retry.backoff.max.ms", "10"),
            ("partitioner", "murmur2_random"),
        ],
    );
    let plain = config.producer_settings(None, 1);
    assert_eq!(plain.get("transactional.id"), None);
    assert_eq!(plain.get("retry.backoff.ms"), None);
    expect(&plain, &[("partitioner", "murmur2_random"), ("enable.idempotence", "true")]);
    expect(&config.admin_settings(), &[("client.id", "word-count-i1-admin")]);
}

#[test]
fn an_instance_id_found_later_gives_way_to_a_configured_one() {
    let found = builder().build().unwrap().with_instance_id("found");
    assert_eq!(found.instance_id(), Some("found"));
    assert_eq!(found.admin_settings().get("client.id"), Some("word-count-found-admin"));
    let given = builder().instance_id("given").build().unwrap().with_instance_id("found");
    assert_eq!(given.instance_id(), Some("given"));
}

#[test]
fn a_restore_keeps_its_ways_whatever_the_consumers_are_told() {
    let pairs = [
        ("consumer.auto.offset.reset", "latest"),
        ("consumer.enable.partition.eof", "false"),
        ("consumer.group.instance.id", "g"),
        ("consumer.group.protocol", "classic"),
    ];
    let config = with(builder(), &pairs).unwrap();
    let restore = config.restore_consumer_settings(0);
    assert_eq!(restore.get("auto.offset.reset"), Some("error"));
    assert_eq!(restore.get("enable.partition.eof"), Some("true"));
    assert_eq!(restore.get("group.instance.id"), None);
    assert_eq!(restore.get("group.protocol"), None);
    // The worker decides, and not the client.
    assert_eq!(config.auto_offset_reset(), AutoOffsetReset::Latest);
    assert_eq!(config.consumer_settings(0).get("auto.offset.reset"), Some("error"));
}

/// librdkafka checks names, limits and combinations when a client is made.
#[test]
fn librdkafka_takes_the_settings_of_every_client() {
    let bases: [&[(&str, &str)]; 7] = [
        &[],
        &[("processing.guarantee", "exactly_once")],
        &[("processing.guarantee", "exactly_once"), ("transaction.timeout.ms", "1000")],
        &[("transaction.timeout.ms", "900000")],
        &[("session.timeout.ms", "1000"), ("max.poll.interval.ms", "1000")],
        &[("auto.offset.reset", "none"), ("group.instance.id", "g")],
        &[("group.protocol", "classic"), ("consumer.partition.assignment.strategy", "range")],
    ];
    for pairs in bases {
        let config = with(builder(), pairs).unwrap();
        let made = |result: Result<(), rdkafka::error::KafkaError>| {
            assert!(result.is_ok(), "{pairs:?}: {result:?}");
        };
        made(client(config.consumer_settings(0)).create::<BaseConsumer>().map(drop));
        made(client(config.restore_consumer_settings(0)).create::<BaseConsumer>().map(drop));
        made(client(config.producer_settings(None, 0)).create::<BaseProducer>().map(drop));
        made(client(config.producer_settings(Some("t"), 0)).create::<BaseProducer>().map(drop));
        let admin = client(config.admin_settings());
        made(admin.create::<AdminClient<DefaultClientContext>>().map(drop));
    }
    // The judge does refuse: a name it does not know.
    let config = with(builder(), &[("consumer.fetch.max.bites", "1")]).unwrap();
    assert!(client(config.consumer_settings(0)).create::<BaseConsumer>().is_err());
}

#[test]
fn topic_keys_come_from_every_source_and_go_to_no_client() {
    let config = StreamsConfig::builder("a", "b:1")
        .properties("topic.segment.ms = 1\ntopic.retention.ms = 2")
        .unwrap()
        .variables([("ONCESTREAM_TOPIC_SEGMENT_MS", "3")])
        .unwrap()
        .build()
        .unwrap();
    let settings = config.topic_settings();
    let settings: Vec<_> = settings.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(settings, [("retention.ms", "2"), ("segment.ms", "3")]);
    for client in [config.consumer_settings(0), config.producer_settings(None, 0)] {
        assert_eq!(client.get("segment.ms"), None);
        assert_eq!(client.get("topic.segment.ms"), None);
    }
    assert!(StreamsConfig::builder("a", "b:1").set("topic.", "1").is_err(), "it names no setting");
}
