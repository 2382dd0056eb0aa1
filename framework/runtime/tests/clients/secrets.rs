//! Secrets of a configuration, whichever way they came in, are in no error, no `Debug` and no log.
//!
//! Each test has a control: the same way, a value that is no secret is seen.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use oncestream_operators::StreamsBuilder;
use oncestream_runtime::Streams;
use oncestream_runtime::config::{ConfigError, StreamsConfig, StreamsConfigBuilder};

const SECRET: &str = "hunter2marker";
const PUBLIC: &str = "public2marker";

/// Keys whose values are secrets: librdkafka's, the Java clients', and mistyped ones.
const SECRET_KEYS: &[&str] = &[
    "sasl.password",
    "sasl.username",
    "sasl.pasword",
    "sasl.pwd",
    "sasl.jaas.config",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "ssl.keystore.key",
    "ssl.truststore.password",
    "ssl.kestore.pasword",
    "consumer.sasl.password",
    "restore.consumer.ssl.key.password",
    "producer.sasl.pasword",
    "admin.SASL.PASSWORD",
    "producer.pasword",
    "saasl.pasword",
];

fn builder() -> StreamsConfigBuilder {
    StreamsConfig::builder("secrets", "127.0.0.1:1")
}

/// The same key and value, given in every way there is.
fn ways(key: &str, value: &str) -> Vec<Result<StreamsConfigBuilder, ConfigError>> {
    let variable = format!("ONCESTREAM_{}", key.to_uppercase().replace('.', "_"));
    vec![
        builder().set(key, value),
        builder().properties(&format!("{key} = {value}")),
        builder().toml(&format!("\"{key}\" = \"{value}\"")),
        builder().toml(&format!("{key} = '{value}'")),
        builder().variables([(variable, value)]),
    ]
}

/// All that can be seen of what became of it.
fn shown(made: Result<StreamsConfigBuilder, ConfigError>) -> String {
    let builder = match made {
        Ok(builder) => builder,
        Err(error) => return format!("{error} {error:?} {error:#?}"),
    };
    let text = format!("{builder:?} {builder:#?}");
    match builder.build() {
        Ok(config) => format!(
            "{text} {config:?} {config:#?} {:?} {:?} {:?} {:?}",
            config.consumer_settings(0),
            config.restore_consumer_settings(0),
            config.producer_settings(Some("t"), 0),
            config.admin_settings(),
        ),
        Err(error) => format!("{text} {error} {error:?}"),
    }
}

#[test]
fn a_secret_is_hidden_whichever_way_it_came() {
    for key in SECRET_KEYS {
        for made in ways(key, SECRET) {
            let text = shown(made);
            assert!(!text.contains(SECRET), "{key}: {text}");
        }
    }
    for key in ["sasl.kerberos.principal", "consumer.client.rack", "instance.id"] {
        for made in ways(key, PUBLIC) {
            let text = shown(made);
            assert!(text.contains(PUBLIC), "{key}: {text}");
        }
    }
}

#[test]
fn a_text_that_is_not_in_its_format_is_not_repeated() {
    let pem = format!("{SECRET}MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us");
    for text in [
        format!("sasl.password = {SECRET}"),
        format!("sasl.password = \"{SECRET}"),
        format!("sasl.password = \"{SECRET}\" {SECRET}"),
        format!("sasl.password = '{SECRET}'\nsasl.password = '{SECRET}'"),
        format!("[sasl\npassword = \"{SECRET}\""),
        format!("sasl.password = \"\\u{SECRET}\""),
        format!("sasl.password = [\"{SECRET}\", 1979-05-27]"),
        format!("sasl = \"{SECRET}\"\nsasl.password = \"{SECRET}\""),
    ] {
        let error = builder().toml(&text).and_then(StreamsConfigBuilder::build).map(drop);
        let told = format!(
            "{error:?} {}",
            error.as_ref().err().map(ToString::to_string).unwrap_or_default()
        );
        assert!(!told.contains(SECRET), "{text}: {told}");
    }
    for text in [
        format!("sasl.password = \\u{SECRET}"),
        format!("ssl.key.pem = -----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----"),
        format!("sasl.password = \\u0000{SECRET}"),
    ] {
        let told = shown(builder().properties(&text));
        assert!(!told.contains(SECRET) && !told.contains("StreamsConfig {"), "{text}: {told}");
    }
    let told = shown(builder().properties(&format!("{PUBLIC} = 1")));
    assert!(told.contains(PUBLIC), "{told}");
}

/// Values that go on in the next line, well written or not.
#[test]
fn a_secret_that_is_broken_over_lines_is_hidden() {
    let jaas =
        "sasl.jaas.config = org.apache.kafka.common.security.plain.PlainLoginModule required";
    for text in [
        // A line that goes on, and one that only seems to: a blank follows the backslash.
        format!("sasl.password = first\\\n  {SECRET}"),
        format!("sasl.password = first\\ \n  {SECRET}"),
        format!("sasl.password = first\n{SECRET}\n{SECRET}"),
        format!("sasl.password =\n{SECRET}"),
        format!("sasl.password =\n  {SECRET} = x"),
        format!("sasl.password = first\n{SECRET}: second\n{SECRET}third = x"),
        format!("{jaas} \\\n  username=\"u\" \\\n  password=\"{SECRET}\";"),
        format!("{jaas} \\\n  username=\"u\" \\\n  password=\"{SECRET}\""),
        format!("{jaas} username=\"{SECRET}\"\n password=\"{SECRET}\";"),
        format!("{jaas} username=\"u\" password=\n  \"{SECRET}\";"),
        format!("{jaas} username=\"u\" password=\n  {SECRET};"),
        format!("{jaas} username=\"u\" password=\"first\n{SECRET}\";"),
        // The last line of a PEM file is short, and has its filling after a separator.
        format!("ssl.key.pem = -----BEGIN\n{SECRET}==\n-----END"),
        format!("ssl.key.pem = -----BEGIN\n{SECRET}=\n{SECRET}\n"),
        format!("poll.ms = 1\n{SECRET}==\n"),
        format!("saasl.pasword = first\n{SECRET}"),
        format!("producer.sasl.pasword = first\\\n{SECRET}"),
        format!("basic.auth.user.info = user:\n{SECRET}"),
        format!("\u{feff}sasl.password = first\n{SECRET}"),
    ] {
        let told = shown(builder().properties(&text));
        assert!(!told.contains(SECRET), "{text}: {told}");
    }
    for variable in ["SASL_JAAS_CONFIG", "SASL_PASSWORD", "CONSUMER_SASL_PASWORD"] {
        let value = format!("first\n{SECRET};");
        let told = shown(builder().variables([(format!("ONCESTREAM_{variable}"), value)]));
        assert!(!told.contains(SECRET), "{variable}: {told}");
    }
    let told = shown(builder().own_keys("").properties(&format!("sasl.password = a\n{SECRET}")));
    assert!(!told.contains(SECRET), "{told}");
    // The line is told, and a key after it that is meant has its name.
    let text = format!("sasl.password = first\n{SECRET}\npoll.ms = 1\n{PUBLIC} = 1");
    let told = shown(builder().properties(&text));
    assert!(told.contains("line 2 of the properties text") && told.contains(PUBLIC), "{told}");
    let told = shown(builder().properties("sasl.password = first\ncomit.interval.ms = 1"));
    assert!(told.contains("did you mean `commit.interval.ms`"), "{told}");
}

#[test]
fn values_of_ones_own_keys_and_of_ignored_ones_are_not_shown() {
    let text =
        format!("mine.url = db://user:{SECRET}@host\nschema.registry.url = http://{SECRET}@r");
    let made = builder().own_keys("mine.").properties(&text);
    assert_eq!(
        made.clone().unwrap().build().unwrap().own_value("mine.url").map(str::len),
        Some(28)
    );
    let told = shown(made);
    assert!(!told.contains(SECRET) && told.contains("mine."), "{told}");
    assert!(told.contains("schema.registry.url"), "{told}");
}

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_shows_no_secret_in_its_error_or_in_the_log() {
    let logged = Logged::default();
    let writer = logged.clone();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("trace"))
        .with_writer(move || writer.clone())
        .init();
    let mut told = String::new();
    for (key, value) in [
        // Refused by librdkafka when the configuration is built, by name or by value.
        ("admin.sasl.pasword", SECRET),
        ("admin.pin", SECRET),
        ("client.dns.lookup", PUBLIC),
        // Taken; then nobody is there.
        ("sasl.password", SECRET),
    ] {
        let state = tempfile::tempdir().unwrap();
        let built = builder()
            .set("admin.debug", "all")
            // Ignored, which is logged.
            .and_then(|b| b.set("schema.registry.basic.auth.user.info", SECRET))
            .and_then(|b| b.set(key, value))
            .and_then(|b| b.set("client.id", "seen-in-the-log"))
            .unwrap()
            .state_dir(state.path())
            .build();
        let config = match built {
            Ok(config) => config,
            Err(error) => {
                let _ = writeln!(told, "{error} {error:?}");
                continue;
            }
        };
        let topology = StreamsBuilder::new();
        topology.stream::<Option<String>, String>("in").to("out");
        let streams = Streams::builder(topology.build().unwrap(), config);
        let error = streams.start().await.unwrap_err();
        let _ = writeln!(told, "{error} {error:?}");
    }
    let log = String::from_utf8_lossy(&logged.0.lock().unwrap()).into_owned();
    assert!(!told.contains(SECRET), "{told}");
    assert!(!log.contains(SECRET), "{log}");
    assert!(told.contains(PUBLIC), "{told}");
    assert!(log.contains("seen-in-the-log") && log.contains("librdkafka"), "{log}");
    assert!(log.contains("schema.registry.basic.auth.user.info"), "{log}");
}
