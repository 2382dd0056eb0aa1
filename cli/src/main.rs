//! The `oncestream` command. Each subcommand has a file of its own.

mod broker;
mod inspect;
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
    Reset(reset::Flags),
    Snapshot(snapshot::Flags),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    // What the client says while it tries is in the error, if it comes to one.
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "warn,librdkafka=error".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let outcome = match flags.command {
        Command::Broker(flags) => broker::run(flags).await,
        Command::Inspect(flags) => inspect::run(flags).await,
        Command::Reset(flags) => reset::run(flags).await,
        Command::Snapshot(flags) => snapshot::run(&flags),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
