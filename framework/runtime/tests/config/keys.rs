//! The keys: which there are, what they take, how they follow each other, what is refused.

use super::*;

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
    assert_eq!(config.write_interval(), Duration::from_secs(1));
    assert_eq!(config.replication_factor(), -1);
    let additional = config.windowstore_changelog_additional_retention();
    assert_eq!(additional, Duration::from_hours(24));
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
        ("statestore.write.interval.ms", "81"),
        ("replication.factor", "3"),
        ("windowstore.changelog.additional.retention.ms", "85"),
        ("global.restore.timeout.ms", "86"),
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
        ("errors.dead.letter.queue.dropped.records.enable", "true"),
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
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    for (given, meant) in [
        ("proccessing.guarantee", "processing.guarantee"),
        ("comit.interval.ms", "commit.interval.ms"),
        ("application.di", "application.id"),
        ("security.protcol", "security.protocol"),
        ("consummer.fetch.max.bytes", "consumer.fetch.max.bytes"),
        ("num.standby.replica", "num.standby.replicas"),
        ("linger.mss", "linger.ms"),
        ("producer.poll.ms", "poll.ms"),
    ] {
        let error = with(builder(), &[(given, "1")]).unwrap_err().to_string();
        assert_eq!(error, format!("unknown key `{given}`; did you mean `{meant}`?"));
    }
    for given in ["frobnicate", "", "consumer.", "ssl."] {
        let error = with(builder(), &[(given, "1")]).unwrap_err();
        assert!(matches!(error, ConfigError::UnknownKey { .. }), "{given}: {error}");
    }
    // Near in letters, and another thing.
    for given in ["frobnicate", "application.port", "poll.interval"] {
        let far = builder().set(given, "1").unwrap_err().to_string();
        assert!(far.contains("if it is your own") && !far.contains("did you mean"), "{far}");
    }
}

#[test]
fn keys_of_the_java_world_are_refused_with_what_to_do() {
    for key in ["sasl.jaas.config", "ssl.truststore.location", "consumer.sasl.jaas.config"] {
        let error = with(builder(), &[(key, "hunter2")]).unwrap_err();
        assert!(matches!(error, ConfigError::Unsupported { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let config = with(builder(), &[("cache.max.bytes.buffering", "0")]).unwrap();
    assert_eq!(config.cache_max_bytes(), 0);
    let error = builder().set("cache.max.bytes.buffering", "-1").unwrap_err().to_string();
    assert!(error.starts_with("`cache.max.bytes.buffering` cannot be `-1`"), "{error}");
}

#[test]
fn a_wrong_value_names_key_value_and_what_is_allowed() {
    for (key, value, allowed) in [
        ("application.id", "a b", "letters"),
        ("application.id", "..", "letters"),
        ("application.id", "", "letters"),
        ("bootstrap.servers", "a:port", "host:port"),
        ("bootstrap.servers", ":9092", "host:port"),
        ("processing.guarantee", "exactly_twice", "at_least_once | exactly_once"),
        ("num.stream.threads", "0", "from 1 to"),
        ("num.stream.threads", "two", "from 1 to"),
        ("commit.interval.ms", "-1", "from 0 to"),
        ("commit.interval.ms", "99999999999999999999", "from 0 to"),
        ("state.dir", "", "a path"),
        ("state.backend", "leveldb", "fjall | sled | memory"),
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
    let error = StreamsConfigBuilder::new().build().unwrap_err().to_string();
    for key in ["application.id", "bootstrap.servers"] {
        assert!(error.contains(&format!("`{key}` is required")), "{error}");
    }
    let error = StreamsConfig::from_properties("application.id=a").unwrap_err();
    assert!(matches!(error, ConfigError::Missing { key: "bootstrap.servers" }), "{error}");
}

#[test]
fn contradicting_times_are_refused() {
    for (pair, said) in [
        (("transaction.timeout.ms", "45000"), "must be below `session.timeout.ms`"),
        (("heartbeat.interval.ms", "45000"), "must be below `session.timeout.ms`"),
        (("max.poll.interval.ms", "44999"), "must be >= `session.timeout.ms`"),
        (("producer.delivery.timeout.ms", "10001"), "must be set <= `transaction.timeout.ms`"),
        (("producer.socket.timeout.ms", "10101"), "must be set <= `transaction.timeout.ms` + 100"),
    ] {
        let error = refusal(exactly_once(), &[pair]);
        assert!(error.contains(said), "{pair:?}: {error}");
    }
    let pairs = [("commit.interval.ms", "10000"), ("transaction.timeout.ms", "10000")];
    let error = refusal(exactly_once(), &pairs);
    assert!(error.contains("must be above `commit.interval.ms`"), "{error}");
    // At least once has no transactions to keep in step.
    with(builder(), &pairs).unwrap();
    with(builder(), &[("transaction.timeout.ms", "45000")]).unwrap();
}

#[test]
fn defaults_follow_what_was_set() {
    for (session_ms, commit_ms, heartbeat_ms, transaction_ms, poll_interval_ms) in [
        ("45000", "100", 3000, 10_000, 300_000),
        ("10000", "100", 3000, 6666, 300_000),
        ("6000", "100", 2000, 4000, 300_000),
        ("6000", "5000", 2000, 5500, 300_000),
        ("45000", "30000", 3000, 37_500, 300_000),
        ("1500", "100", 500, 1000, 300_000),
        ("1001", "100", 333, 1000, 300_000),
        ("600000", "100", 3000, 10_000, 600_000),
    ] {
        let pairs = [("session.timeout.ms", session_ms), ("commit.interval.ms", commit_ms)];
        let config = with(exactly_once(), &pairs).unwrap();
        let shown =
            [config.heartbeat_interval(), config.transaction_timeout(), config.max_poll_interval()];
        let expected = [heartbeat_ms, transaction_ms, poll_interval_ms].map(Duration::from_millis);
        assert_eq!(shown, expected, "{pairs:?}");
    }
    // Where nothing fits, what was set is to blame.
    for (session_ms, commit_ms) in [("1000", "100"), ("6000", "6000"), ("6000", "5999")] {
        let pairs = [("session.timeout.ms", session_ms), ("commit.interval.ms", commit_ms)];
        let error = refusal(exactly_once(), &pairs);
        let said = format!(
            "`session.timeout.ms` ({session_ms}) must be above 1000 and above `commit.interval.ms` \
             ({commit_ms})"
        );
        assert!(error.starts_with(&said) && !error.contains("transaction.timeout"), "{error}");
        with(builder(), &pairs).unwrap();
    }
    // For ever is until the end of the transaction.
    let pairs = [("producer.message.timeout.ms", "0"), ("session.timeout.ms", "6000")];
    let config = with(exactly_once(), &pairs).unwrap();
    assert_eq!(config.producer_settings(Some("t"), 0).get("message.timeout.ms"), Some("4000"));
    assert_eq!(config.producer_settings(None, 0).get("message.timeout.ms"), Some("0"));
}

#[test]
fn dropped_records_have_dead_letters_where_the_key_is_on_and_a_topic_is_there() {
    let topic = ("errors.dead.letter.queue.topic.name", "dead");
    let on = ("errors.dead.letter.queue.dropped.records.enable", "true");
    let letters = |given: &[(&str, &str)]| {
        let config = with(builder(), given).unwrap();
        let ignored: Vec<String> = config.ignored_keys().map(|(key, _)| key.to_owned()).collect();
        (config.error_handlers().dropped_records_topic.clone(), ignored)
    };
    assert_eq!(letters(&[]), (None, vec![]));
    assert_eq!(letters(&[topic]), (None, vec![]), "off by default");
    assert_eq!(letters(&[topic, on]), (Some("dead".into()), vec![]));
    assert_eq!(letters(&[on]), (None, vec![on.0.to_owned()]), "told of as without effect");
    assert!(with(builder(), &[(on.0, "yes")]).is_err());
}
