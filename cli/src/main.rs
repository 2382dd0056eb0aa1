//! The `oncestream` command. Each subcommand has a file of its own.

mod broker;
mod cost;
mod inspect;
mod lab;
mod print;
mod reset;
mod snapshot;
mod time;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Stream processing on Kafka, exactly once.
#[derive(Parser)]
#[command(name = "oncestream", version)]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Broker(broker::Flags),
    Inspect(inspect::Flags),
    Lab(lab::Flags),
    Reset(reset::Flags),
    Snapshot(snapshot::Flags),
}

fn main() -> ExitCode {
    // The processes that the lab's chapters kill are this program too.
    oncestream_lab::run_if_worker();
    run()
}

#[tokio::main(flavor = "current_thread")]
async fn run() -> ExitCode {
    let flags = Flags::parse();
    // If the command fails, its error has what librdkafka said. The lab breaks things on purpose, and shows
    // the result itself.
    let unasked = match flags.command {
        Command::Lab(_) => "off",
        _ => "warn,librdkafka=error",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| unasked.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let outcome = match flags.command {
        Command::Broker(flags) => done(broker::run(flags).await),
        Command::Inspect(flags) => done(inspect::run(flags).await),
        Command::Lab(flags) => lab::run(flags).await,
        Command::Reset(flags) => done(reset::run(flags).await),
        Command::Snapshot(flags) => done(snapshot::run(&flags)),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("Error: {}", print::in_words(&error));
        ExitCode::FAILURE
    })
}

fn done(outcome: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    outcome.map(|()| ExitCode::SUCCESS)
}
