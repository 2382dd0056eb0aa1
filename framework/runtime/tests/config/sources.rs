//! Where keys come from: properties, TOML, the environment; which of two values wins.

use super::*;

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
        "input.odd\\ key\\=here : v=w:x\n",
        "sasl.password =  two trailing blanks  \n",
        "input.empty\n",
        "consumer.fetch.min.bytes = 7  \n",
    );
    let config = builder().own_keys("input.").properties(text).unwrap().build().unwrap();
    let settings = config.consumer_settings(0);
    assert_eq!(settings.get("client.rack"), Some("\u{e9}\u{1F600}\tx:=\\"));
    assert_eq!(config.own_value("input.odd key=here"), Some("v=w:x"));
    assert_eq!(settings.get("sasl.password"), Some("two trailing blanks  "));
    assert_eq!(config.own_value("input.empty"), Some(""));
    assert_eq!(settings.get("fetch.min.bytes"), Some("7"));

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
            ("ONCESTREAM_CONSUMER_FETCH_MIN_BYTES", "7"),
            ("ONCESTREAM_PRODUCER_LINGER_MS", "8"),
            ("ONCESTREAM_ADMIN_SOCKET_TIMEOUT_MS", "90"),
            ("ONCESTREAM_SASL_PASSWORD", "secret"),
            ("ONCESTREAM_SOMEONE_ELSES", "x"),
            ("APPLICATION_ID", "not ours"),
        ])
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(config.application_id(), "from-env");
    assert_eq!(config.consumer_settings(0).get("fetch.min.bytes"), Some("7"));
    assert_eq!(config.producer_settings(None, 0).get("linger.ms"), Some("8"));
    assert_eq!(config.admin_settings().get("socket.timeout.ms"), Some("90"));
    assert_eq!(config.admin_settings().get("sasl.password"), Some("secret"));

    let stray: Vec<_> = config.ignored_keys().map(|(name, _)| name).collect();
    assert_eq!(stray, ["ONCESTREAM_SOMEONE_ELSES"]);

    let typo = from_variables(&[("ONCESTREAM_COMIT_INTERVAL_MS", "1")]).unwrap_err();
    assert!(typo.to_string().contains("did you mean `commit.interval.ms`?"), "{typo}");
}

#[cfg(unix)]
#[test]
fn an_environment_value_that_is_not_utf8_is_refused() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(vec![0xff]);
    let variables = builder().variables([(OsString::from("ONCESTREAM_CLIENT_ID"), value)]);
    let error = variables.and_then(StreamsConfigBuilder::build);
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
    // librdkafka has names that begin like them.
    let config = with(builder(), &[("topic.metadata.refresh.interval.ms", "7")]).unwrap();
    assert!(config.topic_settings().is_empty());
    let consumer = config.consumer_settings(0);
    assert_eq!(consumer.get("topic.metadata.refresh.interval.ms"), Some("7"));
}

fn from_variables(variables: &[(&str, &str)]) -> Result<StreamsConfig, ConfigError> {
    builder().variables(variables.iter().copied())?.build()
}

#[test]
fn an_orchestrators_variables_for_services_are_ignored_and_mistyped_keys_are_not() {
    let services =
        ["", "_CONSUMER", "_APPLICATION", "_TOPIC", "_PRODUCER", "_SASL", "_MAIN_CONSUMER"];
    let forms = [
        ("_SERVICE_HOST", "10.0.0.5"),
        ("_SERVICE_PORT", "8080"),
        ("_SERVICE_PORT_HTTP", "8080"),
        ("_PORT", "tcp://10.0.0.5:8080"),
        ("_PORT_8080_TCP", "tcp://10.0.0.5:8080"),
        ("_PORT_8080_TCP_ADDR", "10.0.0.5"),
        ("_PORT_8080_TCP_PORT", "8080"),
        ("_PORT_8080_TCP_PROTO", "tcp"),
        ("_PORT_9090_UDP_ADDR", "10.0.0.5"),
    ];
    for service in services {
        let variables = forms.map(|(form, value)| (format!("ONCESTREAM{service}{form}"), value));
        let config = builder().variables(variables.clone()).unwrap().build().unwrap();
        let ignored: Vec<_> = config.ignored_keys().collect();
        let why = "an orchestrator sets it to the address of a service";
        assert_eq!(ignored, variables.each_ref().map(|(name, _)| (name.as_str(), why)));
        assert!(config.topic_settings().is_empty());
    }
    // The negative control: a setting beside them is taken, and a wrong one is told, by its name.
    let pairs =
        [("ONCESTREAM_CONSUMER_PORT", "tcp://b:1"), ("ONCESTREAM_CONSUMER_FETCH_MIN_BYTES", "7")];
    let config = from_variables(&pairs).unwrap();
    assert_eq!(config.consumer_settings(0).get("fetch.min.bytes"), Some("7"));
    let error =
        from_variables(&[("ONCESTREAM_CONSUMER_FETCH_MAX_BITES", "7")]).unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown key `ONCESTREAM_CONSUMER_FETCH_MAX_BITES`; did you mean `consumer.fetch.max.bytes`?"
    );
}
