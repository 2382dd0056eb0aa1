//! The configuration as users meet it: every source, every refusal, and what the clients get.
//! librdkafka itself judges the clients' settings; no broker is needed for that.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;
mod connection;
mod files;
mod keys;
mod native;
mod sources;

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
