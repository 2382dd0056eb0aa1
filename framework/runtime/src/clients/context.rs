//! What librdkafka says beside its answers: log lines, and errors of connections. All of it goes to
//! `tracing`, with the target `librdkafka`.
//!
//! Invariant: no value of a secret setting passes here. librdkafka redacts them in its own lines,
//! and an error about a setting loses the value (see [`without_secret`]).

use std::sync::{Mutex, PoisonError};

use oncestream_engine::ConnectionFault;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel as Level};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::types::RDKafkaConfRes;

use crate::config::{ClientSettings, is_secret};

/// A log line of the client. What is an error, the runtime decides.
pub(super) fn log(level: Level, facility: &str, line: &str) {
    match level {
        Level::Emerg | Level::Alert | Level::Critical | Level::Error | Level::Warning => {
            tracing::warn!(target: "librdkafka", facility, "{line}");
        }
        Level::Notice | Level::Info => tracing::info!(target: "librdkafka", facility, "{line}"),
        Level::Debug => tracing::debug!(target: "librdkafka", facility, "{line}"),
    }
}

/// An error of a connection or of the client as a whole, which goes on trying. The client reports "all
/// brokers are down" for each request that waits, so that is logged with less weight.
pub(super) fn error(error: &KafkaError, reason: &str) {
    if error.rdkafka_error_code() == Some(Code::AllBrokersDown) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        return;
    }
    tracing::warn!(target: "librdkafka", %error, "{reason}");
}

/// Makes a client. Its own filter of log lines is open: `tracing` has one.
pub(super) fn create<T, C>(settings: &ClientSettings, context: C) -> Result<T, KafkaError>
where
    C: ClientContext,
    T: FromClientConfigAndContext<C>,
{
    let mut config = super::client_config(settings);
    config.set_log_level(Level::Debug);
    config.create_with_context(context).map_err(without_secret)
}

/// An error about a setting repeats its value: a secret one, or one that may be a secret with a
/// mistyped name, is left out.
fn without_secret(error: KafkaError) -> KafkaError {
    match error {
        KafkaError::ClientConfig(result, text, key, _)
            if result == RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN || is_secret(&key) =>
        {
            // Of a value that is not taken, the text may have a part.
            let text = match result {
                RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN => text,
                _ => "the value is not taken".to_owned(),
            };
            KafkaError::ClientConfig(result, text, key, "[hidden]".to_owned())
        }
        other => other,
    }
}

/// The context of clients whose log lines and errors go to `tracing`, and nowhere else.
pub(crate) struct LogContext;

impl ClientContext for LogContext {
    fn log(&self, level: Level, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self::error(&error, reason);
    }
}

impl ConsumerContext for LogContext {}

/// The context of the client that makes the first contact: it remembers why there is none.
#[derive(Default)]
pub(super) struct LookupContext {
    heard: Mutex<Heard>,
}

/// Why there is no connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// The last reason that says whose fault it is.
    pub(super) fault: Option<(ConnectionFault, String)>,
    /// The last reason of any kind.
    pub(super) reason: Option<String>,
}

impl LookupContext {
    fn hear(&self, fault: Option<ConnectionFault>, reason: &str) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.reason = Some(reason.to_owned());
        if let Some(fault) = fault {
            heard.fault = Some((fault, reason.to_owned()));
        }
    }

    pub(super) fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for LookupContext {
    fn log(&self, level: Level, facility: &str, line: &str) {
        log(level, facility, line);
        // A connection that the broker cuts is no error to the client, only a line.
        if facility == "FAIL" && !matches!(level, Level::Debug) {
            self.hear(guess(line), line);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self::error(&error, reason);
        match error.rdkafka_error_code() {
            Some(Code::Authentication) => self.hear(Some(ConnectionFault::Authentication), reason),
            Some(Code::SSL) => self.hear(Some(ConnectionFault::Tls), reason),
            // Says less than what was said of one of them.
            Some(Code::AllBrokersDown) => {}
            _ => self.hear(None, reason),
        }
    }
}

impl ConsumerContext for LookupContext {}

/// Guesses from a line why a connection was cut. If it was cut at the first request, before any answer,
/// most likely the broker could not read the request.
fn guess(line: &str) -> Option<ConnectionFault> {
    let at_once = line.contains("Disconnected") && line.contains("in state APIVERSION_QUERY");
    (at_once || line.contains("security.protocol")).then_some(ConnectionFault::Protocol)
}

/// The topic that a log line names as one this client may not write to in a transaction. The
/// client throws the records of such a transaction away without a reason, and no call returns the
/// topic.
pub(super) fn denied_in_transaction<'a>(facility: &str, line: &'a str) -> Option<&'a str> {
    if facility != "ADDPARTS" || !line.ends_with("Topic authorization failed") {
        return None;
    }
    line.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use rdkafka::consumer::BaseConsumer;

    fn refusal(key: &str, value: &str) -> String {
        // The configuration refuses these; here they have slipped past it.
        let settings = ClientSettings::default().with(key, value);
        let made: Result<BaseConsumer<LogContext>, _> = create(&settings, LogContext);
        let Err(error) = made else { panic!("{key} was taken") };
        format!("{error} {error:?}")
    }

    #[test]
    fn an_error_about_a_setting_shows_its_value_unless_it_may_be_a_secret() {
        for key in ["sasl.pasword", "pin", "sasl.pwd", "ssl.key.pwd"] {
            let shown = refusal(key, "hunter2");
            assert!(shown.contains("[hidden]") && !shown.contains("hunter2"), "{shown}");
        }
        let shown = refusal("fetch.max.bytes", "hunter2");
        assert!(shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_topic_a_transaction_may_not_write_to_is_read_from_its_line() {
        let line = "sasl_ssl://b:1/1: Failed to add partition \"out\" [0] to transaction: \
                    Broker: Topic authorization failed";
        assert_eq!(denied_in_transaction("ADDPARTS", line), Some("out"));
        assert_eq!(denied_in_transaction("FAIL", line), None);
        assert_eq!(denied_in_transaction("ADDPARTS", "Broker: Unknown topic \"out\""), None);
    }

    #[test]
    fn what_is_said_of_one_broker_outlives_that_all_are_down() {
        let context = LookupContext::default();
        context.log(Level::Info, "FAIL", "b:1: Connection refused");
        context.error(KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(context.heard().reason.as_deref(), Some("b:1: Connection refused"));
        assert_eq!(context.heard().fault, None);
        let line = "b:1: Disconnected: closed by peer (after 2ms in state APIVERSION_QUERY)";
        context.log(Level::Info, "FAIL", line);
        context.log(Level::Info, "FAIL", "b:1: Connection refused");
        assert_eq!(context.heard().fault, Some((ConnectionFault::Protocol, line.to_owned())));
    }
}
