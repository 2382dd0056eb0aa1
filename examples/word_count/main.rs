//! Word count, exactly once: the topology, the flags, and what is shown while it runs.
//!
//!     cargo run --release --example word_count
//!     cargo run --release --example word_count -- --bootstrap-servers localhost:9092
//!     cargo run --release --example word_count -- --bootstrap-servers localhost:9092 --input lines
//!
//! Without `--input` it feeds Newton's Opticks (1730, in the public domain), counts its words,
//! prints the most frequent ones and exits. With `--input` it reads that topic until stopped.

mod demo;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use oncestream::prelude::*;
use oncestream_broker::Broker;

/// Counts words on Kafka, exactly once.
#[derive(Parser)]
#[command(name = "word_count")]
struct Flags {
    /// Brokers to join, as host:port,... Without this an embedded broker is started for the run.
    #[arg(long, value_name = "SERVERS")]
    bootstrap_servers: Option<String>,
    /// Read this topic until stopped, and feed nothing.
    #[arg(long, value_name = "TOPIC")]
    input: Option<String>,
    /// Write the counts here. Created if it is missing.
    #[arg(long, value_name = "TOPIC", default_value = "word-counts")]
    output: String,
    /// Set any configuration key; repeat it for more.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// The topology: the ten lines this is all about.
fn word_count(input: &str, output: &str) -> anyhow::Result<Topology> {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<Vec<u8>>, String>(input)
        .flat_map_values(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("counts")
        .to_stream()
        .to(output);
    Ok(builder.build()?)
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(flags).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> anyhow::Result<()> {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    // Both live as long as the run, and are removed after it.
    let mut _broker = None;
    let mut _state_dir = None;
    let mut settings = vec![("processing.guarantee".to_owned(), "exactly_once".to_owned())];
    let servers = match &flags.bootstrap_servers {
        Some(servers) => servers.clone(),
        None => {
            println!("Starting an embedded broker for this run.");
            let broker = Broker::builder().start().await?;
            let servers = broker.bootstrap_servers().to_owned();
            let state_dir = tempfile::tempdir()?;
            settings.push(("state.dir".to_owned(), state_dir.path().display().to_string()));
            (_broker, _state_dir) = (Some(broker), Some(state_dir));
            servers
        }
    };
    for pair in &flags.set {
        let (key, value) = pair
            .split_once('=')
            .with_context(|| format!("--set {pair}: write it as --set key=value"))?;
        settings.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    let mut config = StreamsConfig::builder("word-count", &servers);
    for (key, value) in &settings {
        config = config.set(key, value)?;
    }
    let config = config.build()?;

    match &flags.input {
        Some(input) => {
            demo::create_topics(&servers, &[(&flags.output, 4)]).await?;
            println!("Counting the words of {input} into {}. Ctrl-C stops.", flags.output);
            let streams = Streams::builder(word_count(input, &flags.output)?, config);
            streams.run_until(shutdown_signal()).await?;
        }
        None => {
            let input = format!("{}-lines", flags.output);
            demo::create_topics(&servers, &[(&input, 4), (&flags.output, 4)]).await?;
            let streams = Streams::builder(word_count(&input, &flags.output)?, config);
            demo::run(&servers, streams, &input, &flags.output).await?;
        }
    }
    println!("Stopped; everything counted is committed.");
    Ok(())
}
