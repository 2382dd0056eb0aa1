//! What the Kafka clients get, and what they must not.

use super::*;

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
        ("consumer.enable.partition.eof", "false"),
        ("main.consumer.enable.partition.eof", "false"),
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
        let config = with(builder(), &[(key, value)]).unwrap();
        // librdkafka makes no idempotent producer with fewer acknowledgements.
        let made = client(config.producer_settings(None, 0)).create::<BaseProducer>();
        assert!(made.is_ok(), "{key}={value}: {:?}", made.err());
    }
    for (key, value) in [("acks", "0"), ("producer.retries", "0"), ("max.in.flight", "9")] {
        let config = with(builder(), &[(key, value)]).unwrap();
        let producer = config.producer_settings(None, 0);
        assert_eq!(producer.get("enable.idempotence"), Some("false"), "{key}");
        let both = [(key, value), ("producer.enable.idempotence", "true")];
        assert!(refusal(builder(), &both).contains("`enable.idempotence` is true"), "{key}");
    }
    for (key, value) in [
        ("consumer.enable.auto.commit", "false"),
        ("consumer.partition.assignment.strategy", "range"),
        ("main.consumer.enable.partition.eof", "true"),
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
    let from_file = builder().toml("group.protocol = \"consumer\"");
    let from_file = from_file.and_then(StreamsConfigBuilder::build).unwrap_err();
    assert!(matches!(from_file, ConfigError::Forbidden { .. }), "{from_file}");
    let from_env = builder().variables([("ONCESTREAM_GROUP_PROTOCOL", "consumer")]);
    let from_env = from_env.and_then(StreamsConfigBuilder::build).unwrap_err();
    assert!(matches!(from_env, ConfigError::Forbidden { .. }), "{from_env}");
}

#[test]
fn no_secret_is_ever_shown() {
    let secrets = [
        ("sasl.password", "hunter-1"),
        ("consumer.sasl.password", "hunter-2"),
        // These have an effect in a build with TLS alone.
        ("ssl.key.password", "hunter-3"),
        ("ssl.key.pem", "hunter-4"),
        ("ssl.keystore.password", "hunter-5"),
        ("producer.ssl.key.password", "hunter-6"),
        ("sasl.oauthbearer.config", "hunter-7"),
    ];
    let secrets = if cfg!(feature = "ssl") { &secrets[..] } else { &secrets[..2] };
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
    assert_eq!(config.consumer_settings(0).get("sasl.password"), Some("hunter-2"));

    let typo = StreamsConfig::from_properties("saasl.pasword=hunter2").unwrap_err();
    assert!(!format!("{typo} {typo:?}").contains("hunter2"));
}

#[test]
fn security_settings_reach_every_client() {
    let tls = [("ssl.ca.location", "ca.pem"), ("enable.ssl.certificate.verification", "false")];
    let tls = if cfg!(feature = "ssl") { &tls[..] } else { &[] };
    let protocol = if cfg!(feature = "ssl") { "SASL_SSL" } else { "SASL_PLAINTEXT" };
    let mut pairs = vec![("security.protocol", protocol), ("sasl.mechanism", "SCRAM-SHA-256")];
    pairs.extend(tls);
    let config = with(builder(), &pairs).unwrap();
    for settings in [
        config.consumer_settings(0),
        config.restore_consumer_settings(0),
        config.producer_settings(None, 0),
        config.producer_settings(Some("t"), 0),
        config.admin_settings(),
    ] {
        assert_eq!(settings.get("security.protocol"), Some(protocol));
        assert_eq!(settings.get("sasl.mechanisms"), Some("SCRAM-SHA-256"));
        for (setting, value) in tls {
            assert_eq!(settings.get(setting), Some(*value));
        }
        assert_eq!(settings.get("bootstrap.servers"), Some("localhost:9092"));
    }
}

#[test]
fn a_prefix_reaches_its_clients_alone() {
    let marks = [
        ("c", "consumer.", "statistics.interval.ms"),
        ("m", "main.consumer.", "socket.nagle.disable"),
        ("r", "restore.consumer.", "socket.max.fails"),
        ("p", "producer.", "broker.address.ttl"),
        ("a", "admin.", "log.connection.close"),
    ];
    let pairs = marks.map(|(_, prefix, setting)| (format!("{prefix}{setting}"), "1"));
    let pairs = pairs.each_ref().map(|(key, value)| (key.as_str(), *value));
    let config = with(builder(), &pairs).unwrap();
    let marked = |settings: ClientSettings| -> String {
        let marked = marks.into_iter().filter(|(.., setting)| settings.get(setting) == Some("1"));
        marked.map(|(mark, ..)| mark).collect()
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
            ("enable.partition.eof", "true"),
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
        ("consumer.enable.partition.eof", "true"),
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
}
