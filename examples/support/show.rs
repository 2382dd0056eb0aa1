//! A demo: feeds records to an application, and shows what it gives for them.

use std::time::{Duration, Instant};

use anyhow::Context;
use oncestream::prelude::*;
use rdkafka::Message;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use super::kafka::{Kafka, client, create_topics, read_committed};
use super::original::Fed;

/// How long nothing may come before the demo takes it that all has come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The topics of an example, and what it prints.
pub(crate) struct Demo<'a> {
    pub(crate) input: &'a str,
    pub(crate) output: &'a str,
    /// What is fed, with how many results come for it; nothing if the input is the user's.
    pub(crate) fed: Option<(Vec<Fed>, usize)>,
    /// The text of a result.
    pub(crate) text: fn(&[u8], &[u8]) -> anyhow::Result<String>,
}

impl Demo<'_> {
    /// Runs a topology until all results have come, or, on the user's input, until it is stopped.
    pub(crate) async fn run(self, kafka: Kafka, topology: Topology) -> anyhow::Result<()> {
        let Self { input, output, fed, text } = self;
        let servers = &kafka.servers;
        let mut topics = vec![(output, 1)];
        topics.extend(fed.is_some().then_some((input, 1)));
        create_topics(servers, &topics).await?;
        println!("From {input} to {output}. Ctrl-C stops.");
        let consumer = read_committed(servers, output, false)?;
        if let Some((fed, _)) = &fed {
            feed(servers, input, fed)?;
        }
        let results = fed.map(|(_, results)| results);
        let streams = Streams::builder(topology, kafka.config.clone()).start().await?;
        let watched = streams.clone();
        let print = move || print_results(&consumer, results, text, &watched);
        tokio::select! {
            printed = tokio::task::spawn_blocking(print) => printed??,
            () = shutdown_signal() => {}
        }
        streams.shutdown().await?;
        println!("Stopped; all that was shown is committed.");
        Ok(())
    }
}

/// Prints what comes, up to so many results, or without an end.
fn print_results(
    consumer: &BaseConsumer,
    results: Option<usize>,
    text: fn(&[u8], &[u8]) -> anyhow::Result<String>,
    streams: &Streams,
) -> anyhow::Result<()> {
    let (mut printed, mut last) = (0, Instant::now());
    while results.is_none_or(|results| printed < results && last.elapsed() < PATIENCE) {
        let state = streams.state();
        // Also after Ctrl-C.
        if state == ClientState::PendingError || state.is_final() {
            break;
        }
        let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
        let message = message?;
        let (key, value) = (message.key().unwrap_or_default(), message.payload());
        println!("{}", text(key, value.unwrap_or_default())?);
        (printed, last) = (printed + 1, Instant::now());
    }
    Ok(())
}

fn feed(servers: &str, topic: &str, fed: &[Fed]) -> anyhow::Result<()> {
    let producer: ThreadedProducer<_> =
        client(servers).set("enable.idempotence", "true").create()?;
    for Fed { key, value, time } in fed {
        let mut record: BaseRecord<'_, str, str> =
            BaseRecord::to(topic).payload(value.as_str()).timestamp(*time);
        record.key = key.as_deref();
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(PATIENCE).context("feeding the input")
}
