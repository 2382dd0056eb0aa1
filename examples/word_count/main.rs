//! Word count, exactly once: the topology, the flags, and what is shown while it runs.
//!
//!     cargo run --release --example word_count
//!     cargo run --release --example word_count -- --bootstrap-servers localhost:9092
//!     cargo run --release --example word_count -- --bootstrap-servers localhost:9092 --input lines
//!
//! Without `--input` it feeds Newton's Opticks (1730, in the public domain), counts its words,
//! prints the most frequent ones and exits. With `--input` it reads that topic until stopped.

mod demo;
#[path = "../support/kafka.rs"]
mod kafka;

use std::process::ExitCode;

use clap::Parser;
use oncestream::prelude::*;

use kafka::{KafkaFlags, create_topics};

/// Counts words on Kafka, exactly once.
#[derive(Parser)]
#[command(name = "word_count")]
struct Flags {
    #[command(flatten)]
    kafka: KafkaFlags,
    /// Read this topic until stopped, and feed nothing.
    #[arg(long, value_name = "TOPIC")]
    input: Option<String>,
    /// Write the counts here. Created if it is missing.
    #[arg(long, value_name = "TOPIC", default_value = "word-counts")]
    output: String,
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
    kafka::exit_code(run(flags)).await
}

async fn run(flags: Flags) -> anyhow::Result<()> {
    let settings = [("processing.guarantee", "exactly_once")];
    let joined = flags.kafka.join("word-count", &settings).await?;
    let servers = &joined.servers;

    match &flags.input {
        Some(input) => {
            create_topics(servers, &[(&flags.output, 4)]).await?;
            println!("Counting the words of {input} into {}. Ctrl-C stops.", flags.output);
            let streams = Streams::builder(word_count(input, &flags.output)?, joined.config);
            streams.run_until(shutdown_signal()).await?;
        }
        None => {
            let input = format!("{}-lines", flags.output);
            create_topics(servers, &[(&input, 4), (&flags.output, 4)]).await?;
            let streams = Streams::builder(word_count(&input, &flags.output)?, joined.config);
            demo::run(servers, streams, &input, &flags.output).await?;
        }
    }
    println!("Stopped; everything counted is committed.");
    Ok(())
}
