//! What librdkafka says of its settings is said when the configuration is built.

use super::*;

fn faults(error: ConfigError) -> Vec<ConfigError> {
    match error {
        ConfigError::Several(errors) => errors,
        one => vec![one],
    }
}

#[test]
fn java_only_keys_under_a_prefix_are_refused_in_one_answer_with_what_to_set() {
    let pairs = [
        ("consumer.max.poll.records", "buffered.records.per.partition"),
        ("producer.max.request.size", "producer.message.max.bytes"),
        ("producer.buffer.memory", "producer.queue.buffering.max.kbytes"),
        ("restore.consumer.interceptor.classes", "no Java classes"),
        ("admin.security.providers", "no Java classes"),
    ];
    let error = with(builder(), &pairs.map(|(key, _)| (key, "hunter2"))).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    for (error, (key, instead)) in faults(error).iter().zip(pairs) {
        assert!(matches!(error, ConfigError::Unsupported { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("`{key}`")) && text.contains(instead), "{text}");
    }
    // Their counterparts are taken.
    let counterparts = [
        ("buffered.records.per.partition", "500"),
        ("producer.message.max.bytes", "1000000"),
        ("producer.queue.buffering.max.kbytes", "32768"),
        ("restore.consumer.fetch.max.bytes", "2000000"),
    ];
    with(builder(), &counterparts).unwrap();
}

#[test]
fn every_wrong_name_and_value_of_a_client_is_in_one_answer() {
    let pairs = [
        ("consumer.fetch.max.bites", "1", "did you mean `consumer.fetch.max.bytes`?"),
        ("consumer.fetch.min.bytes", "many", "cannot be `many`"),
        ("restore.consumer.check.crcs", "perhaps", "cannot be `perhaps`: it takes true or false"),
        ("producer.compression.type", "zip", "cannot be `zip`"),
        ("producer.linger.ms", "900001", "it takes a number from 0 to 900000"),
        ("admin.error_cb", "x", "librdkafka's CONFIGURATION.md"),
        ("main.consumer.num.stream.threads", "1", "did you mean `num.stream.threads`?"),
        ("client.dns.lookup", "sometimes", "cannot be `sometimes`"),
        ("request.timeout.ms", "300001", "`request.timeout.ms` cannot be `300001`"),
        ("producer.frobnicate", "1", "unknown key `producer.frobnicate`"),
    ];
    let error = with(builder(), &pairs.map(|(key, value, _)| (key, value))).unwrap_err();
    let text = error.to_string();
    for (key, _, said) in pairs {
        assert!(text.contains(key) && text.contains(said), "{key}: {said}: {text}");
    }
    assert_eq!(faults(error).len(), pairs.len());
}

#[test]
fn a_wrong_value_of_a_secret_key_is_not_in_the_answer() {
    for (key, value) in [
        ("consumer.sasl.oauthbearer.assertion.claim.exp.seconds", "hunter2"),
        ("sasl.oauthbearer.grant.type", "hunter2"),
        ("producer.sasl.pasword", "hunter2"),
        ("admin.ssl.keypassword", "hunter2"),
    ] {
        let error = with(builder(), &[(key, value)]).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2") && text.contains(key), "{text}");
    }
    let error = refusal(builder(), &[("consumer.fetch.max.bytes", "public2")]);
    assert!(error.contains("public2"), "{error}");
}

#[test]
fn settings_of_a_client_that_do_not_go_together_are_refused_when_it_is_built() {
    for (pairs, said) in [
        (
            &[("producer.linger.ms", "5000"), ("producer.delivery.timeout.ms", "5000")][..],
            "the settings of the producer do not go together: `message.timeout.ms` must be greater \
             than `linger.ms`",
        ),
        (
            &[("producer.retries", "0")],
            "the settings of the producer do not go together: `retries` must be set >= 1",
        ),
        (
            &[("consumer.fetch.max.bytes", "1000"), ("consumer.message.max.bytes", "2000")],
            "the settings of the consumer do not go together: `fetch.max.bytes` must be >= \
             `message.max.bytes`",
        ),
        (
            &[("reconnect.backoff.ms", "2000"), ("reconnect.backoff.max.ms", "1000")],
            "the settings of the consumer do not go together: `reconnect.backoff.max.ms`",
        ),
    ] {
        let error = refusal(exactly_once(), pairs);
        assert!(error.contains(said), "{error}");
    }
    with(exactly_once(), &[("producer.linger.ms", "50"), ("producer.delivery.timeout.ms", "5000")])
        .unwrap();
}

#[test]
fn a_check_of_settings_needs_neither_brokers_nor_certificates() {
    let pairs = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "GSSAPI"),
        ("sasl.kerberos.keytab", "not/there"),
    ];
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        with(exactly_once(), &pairs).unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_key_without_a_prefix_goes_to_every_client_that_has_it() {
    let pairs = [
        ("retry.backoff.max.ms", "3000"),
        ("fetch.min.bytes", "3"),
        ("consumer.fetch.min.bytes", "4"),
        ("restore.consumer.fetch.min.bytes", "5"),
        ("linger.ms", "6"),
        ("client.rack", "r"),
        ("producer.client.rack", "p"),
        ("fetch.queue.backoff.ms", "7"),
    ];
    let config = with(builder(), &pairs).unwrap();
    let (consumer, restore) = (config.consumer_settings(0), config.restore_consumer_settings(0));
    let (producer, admin) = (config.producer_settings(Some("t"), 0), config.admin_settings());
    for settings in [&consumer, &restore, &producer, &admin] {
        assert_eq!(settings.get("retry.backoff.max.ms"), Some("3000"));
        assert!(settings.get("client.rack").is_some());
    }
    assert_eq!(consumer.get("fetch.min.bytes"), Some("4"));
    assert_eq!(restore.get("fetch.min.bytes"), Some("5"));
    // It wins over our default, too.
    assert_eq!(consumer.get("fetch.queue.backoff.ms"), Some("7"));
    assert_eq!(producer.get("linger.ms"), Some("6"));
    assert_eq!(producer.get("client.rack"), Some("p"));
    for (settings, setting) in
        [(&producer, "fetch.min.bytes"), (&consumer, "linger.ms"), (&admin, "linger.ms")]
    {
        assert_eq!(settings.get(setting), None, "{setting}");
    }
    // What the runtime depends on is refused without a prefix as well.
    for (key, value) in
        [("acks", "1"), ("isolation.level", "read_uncommitted"), ("transactional.id", "t")]
    {
        let error = with(exactly_once(), &[(key, value)]).unwrap_err();
        assert!(matches!(error, ConfigError::Forbidden { .. }), "{key}: {error}");
    }
    // Another client's setting has no effect, and that is said.
    let config =
        with(builder(), &[("consumer.linger.ms", "1"), ("admin.fetch.min.bytes", "1")]).unwrap();
    let ignored: Vec<_> = config.ignored_keys().map(|(key, _)| key).collect();
    assert_eq!(ignored, ["consumer.linger.ms", "admin.fetch.min.bytes"]);
    assert_eq!(config.consumer_settings(0).get("linger.ms"), None);
}
