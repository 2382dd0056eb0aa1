//! `oncestream broker`: the embedded broker as a process, for any Kafka client.

use anyhow::Context;
use clap::Args;
use oncestream_broker::Broker;

use crate::print::print;

/// Runs a Kafka broker in memory, for demos and tests, until it is stopped.
///
/// Nothing is stored, nothing is replicated, and nobody is authenticated: it is not for production.
#[derive(Args)]
pub(crate) struct Flags {
    /// The port of the first node; the others have the next ones. 0 takes any that are free.
    #[arg(long, default_value_t = 9092)]
    port: u16,
    /// The host name or address to listen on, and to tell clients.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// How many nodes the cluster has.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,
    /// Create a topic, as name or name:partitions; repeat it for more.
    #[arg(long = "topic", value_name = "NAME[:PARTITIONS]")]
    topics: Vec<String>,
    /// Set a broker setting under Kafka's name; repeat it for more.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) async fn run(flags: Flags) -> anyhow::Result<()> {
    // As Kafka has it: the tools for the command line expect topics to come by themselves.
    let mut builder = Broker::builder()
        .host(flags.host)
        .port(flags.port)
        .nodes(flags.nodes)
        .setting("auto.create.topics.enable", "true")?;
    for pair in &flags.set {
        let (key, value) = pair
            .split_once('=')
            .with_context(|| format!("--set {pair}: write it as --set key=value"))?;
        builder = builder.setting(key.trim(), value.trim())?;
    }
    let broker = builder.start().await?;
    for topic in &flags.topics {
        let (name, partitions) = match topic.split_once(':') {
            None => (topic.as_str(), 1),
            Some((name, count)) => {
                let count = count.parse().ok().filter(|count| (1..=10_000).contains(count));
                let count = count.with_context(|| {
                    format!("--topic {topic}: the partitions are a number from 1 to 10000")
                })?;
                (name, count)
            }
        };
        broker.create_topic(name, partitions)?;
    }
    // Who reads the address may stop it at once.
    let stopped = stopped()?;
    // The one line on standard output, so that a script can wait for it and read the address.
    print(&format!("bootstrap.servers={}\n", broker.bootstrap_servers()))?;
    eprintln!("In memory only, for demos and tests. Ctrl-C stops.");
    stopped.await
}

/// Listens for Ctrl-C and SIGTERM from now on, and waits for one of them.
#[cfg(unix)]
pub(crate) fn stopped() -> anyhow::Result<impl Future<Output = anyhow::Result<()>>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        Ok(())
    })
}

#[cfg(not(unix))]
pub(crate) fn stopped() -> anyhow::Result<impl Future<Output = anyhow::Result<()>>> {
    Ok(async { Ok(tokio::signal::ctrl_c().await?) })
}
