//! `oncestream lab cost`: flags for `oncestream_lab::cost`, which measures.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use oncestream_lab::cost::{Batches, Plan};
use oncestream_runtime::config::StreamsConfigBuilder;

use crate::broker::stopped;

/// Measures what guarantees of delivery cost, on any Kafka
///
/// Sends the same records with acks=1, with acks=all, idempotently and in transactions, with small
/// and with large batches, in turn, and shows the medians: records a second and CPU time at full
/// speed; and at a slower pace, the time to the acknowledgement and to the commit.
///
/// Each producer writes to a topic of its own, which is read, checked and deleted, also on Ctrl-C.
/// The names begin with oncestream-cost-. Small batches are linger.ms=0 and batch.size=16384, large
/// ones linger.ms=10 and batch.size=1000000.
///
/// Rights: Create, Delete, Describe, Write and Read on topics, Write and Describe on transactional
/// ids, Read on groups and `IdempotentWrite` on the cluster, for names with that prefix.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  \
        oncestream lab cost --bootstrap-servers kafka:9092 --svg cost.svg --json cost.json\n  \
        oncestream lab cost --records 2000000 --record-bytes 1000 --rounds 9\n  \
        oncestream lab cost --command-config client.properties --replication-factor 3 \\\n      \
        --topic-config min.insync.replicas=2 --set compression.type=lz4"
)]
pub(crate) struct Flags {
    /// The brokers, separated by commas [default: those of the configuration file, or
    /// localhost:9092].
    #[arg(long, value_name = "HOST:PORT", alias = "bootstrap-server")]
    bootstrap_servers: Option<String>,
    /// A properties file that says how to reach the brokers.
    #[arg(long, value_name = "FILE")]
    command_config: Option<PathBuf>,
    /// A setting of all clients, under librdkafka's name; repeat it for more.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Records that each producer sends at full speed.
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// The size of a record, in bytes.
    #[arg(long, default_value_t = 100)]
    record_bytes: usize,
    /// Records a second while the latency is measured.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// How long the latency is measured, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often each producer is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// The times between two commits of transactional producers, in milliseconds, separated by commas.
    #[arg(long, value_name = "MS", value_delimiter = ',', default_value = "10,100,1000")]
    commit_ms: Vec<u64>,
    /// The sizes of batches to measure.
    #[arg(long, value_delimiter = ',', default_value = "small,large")]
    batches: Vec<BatchesFlag>,
    /// Partitions of each topic.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    partitions: i32,
    /// Replicas of each partition [default: the brokers' default].
    #[arg(long, value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A setting of the topics; repeat it for more.
    #[arg(long = "topic-config", value_name = "KEY=VALUE", value_parser = pair)]
    topic_config: Vec<(String, String)>,
    /// Write all figures of all runs to a file, for programs.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a plot to a file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum BatchesFlag {
    Small,
    Large,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as key=value")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// Measures, and prints the table; Ctrl-C or SIGTERM ends it, and leaves no topic.
pub(crate) async fn run(flags: Flags) -> anyhow::Result<()> {
    let plan = plan(&flags)?;
    // A file that cannot be written is told now, not after the minutes of a measurement.
    let json = flags.json.as_deref().map(Output::open).transpose()?;
    let svg = flags.svg.as_deref().map(Output::open).transpose()?;
    let stopped = stopped()?;
    let measured = plan.clone();
    let mut work =
        tokio::task::spawn_blocking(move || measured.run(&mut |progress| eprintln!("{progress}")));
    let outcome = tokio::select! {
        outcome = &mut work => outcome,
        signal = stopped => {
            plan.stop();
            signal?;
            work.await
        }
    };
    let costs = outcome??;
    print!("{}", costs.table());
    if let Some(file) = json {
        file.write(&format!("{:#}\n", costs.json()))?;
    }
    if let Some(file) = svg {
        file.write(&costs.svg())?;
    }
    Ok(())
}

fn plan(flags: &Flags) -> anyhow::Result<Plan> {
    let (servers, settings) = connection(flags)?;
    let mut plan = Plan::new(servers)
        .records(flags.records)
        .record_bytes(flags.record_bytes)
        .paced(flags.rate, Duration::from_secs(flags.seconds))
        .rounds(flags.rounds as usize)
        .commit_intervals(flags.commit_ms.iter().copied().map(Duration::from_millis))
        .batches(flags.batches.iter().map(|batches| match batches {
            BatchesFlag::Small => Batches::Small,
            BatchesFlag::Large => Batches::Large,
        }))
        .partitions(flags.partitions);
    if let Some(replicas) = flags.replication_factor {
        plan = plan.replication_factor(i32::from(replicas));
    }
    for (key, value) in &flags.topic_config {
        plan = plan.topic_setting(key, value);
    }
    for (key, value) in settings.iter().chain(&flags.set) {
        plan = plan.client_setting(key, value)?;
    }
    Ok(plan)
}

/// The brokers and how to reach them. The file is read as that of an application, so Java's names
/// and secrets of security are taken too.
fn connection(flags: &Flags) -> anyhow::Result<(String, Vec<(String, String)>)> {
    let mut config = StreamsConfigBuilder::new()
        .set("application.id", "oncestream-cost")?
        .set("bootstrap.servers", "localhost:9092")?;
    if let Some(file) = &flags.command_config {
        config = config.properties_file(file)?;
    }
    if let Some(servers) = &flags.bootstrap_servers {
        config = config.set("bootstrap.servers", servers)?;
    }
    let config = config.build()?;
    let settings = config.admin_settings();
    let own = |key: &str| matches!(key, "bootstrap.servers" | "client.id");
    let others = settings.into_iter().filter(|(key, _)| !own(key)).collect();
    Ok((config.bootstrap_servers().to_owned(), others))
}

/// A file that can be written. If nothing is written in the end, it is as it was.
struct Output {
    path: PathBuf,
    file: File,
    is_new: bool,
    written: bool,
}

impl Output {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let is_new = !path.exists();
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file, is_new, written: false })
    }

    fn write(mut self, text: &str) -> anyhow::Result<()> {
        self.written = true;
        self.file
            .set_len(0)
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .with_context(|| format!("writing {}", self.path.display()))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.is_new && !self.written {
            // It is empty and ours; if it is gone already, so much the better.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
