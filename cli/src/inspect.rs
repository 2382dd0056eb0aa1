//! `oncestream inspect`: flags for `oncestream_inspect`, which does the work.

use std::fmt::Display;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use oncestream_inspect::producers::Missing;
use oncestream_inspect::transactions::Search;
use oncestream_inspect::{Client, ClientConfig, Scope, producers, transactions};
use oncestream_runtime::config::connection_properties;
use serde::Serialize;

use crate::broker::stopped;
use crate::print::{print, print_json};

/// So many of the things that could not be looked at are named.
const MISSING_NAMED: usize = 10;

/// Looks at producers and transactions of any Kafka, and changes nothing
#[derive(Args)]
pub(crate) struct Flags {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Producers(Producers),
    Transactions(Transactions),
}

/// Shows who writes to partitions: producer ids, sequence numbers, open transactions
///
/// A producer is listed if it is idempotent or transactional; others have no id. OPEN SINCE OFFSET is
/// where its open transaction began: readers of committed records wait there. Brokers forget a producer
/// that has not written for a day (producer.id.expiration.ms).
///
/// Rights: Read on the topics. To see whose an open transaction is, Describe on the transactional ids.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  \
        oncestream inspect producers --topic lines\n  \
        oncestream inspect producers --topic lines --partition 0 --json"
)]
struct Producers {
    #[command(flatten)]
    cluster: Cluster,
    /// This topic alone [default: all that the user may see].
    #[arg(long)]
    topic: Option<String>,
    /// This partition of the topic alone.
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..), requires = "topic")]
    partition: Option<i32>,
}

/// Shows the transactional ids that coordinators know, and transactions that hang
///
/// A transaction hangs if it is open in a partition and no coordinator will end it. Readers of committed
/// records then wait before it for ever. The rule is that of Apache Kafka's kafka-transactions.sh
/// find-hanging. The output has the command of Apache Kafka that ends the transaction; it is not run.
///
/// Rights: Describe on the transactional ids, Read on the topics that are searched. A coordinator tells
/// only of ids that the user may see: without the right, a transaction that is old and well looks like
/// one that hangs.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  \
        oncestream inspect transactions\n  \
        oncestream inspect transactions --transactional-id word-count-0 --json"
)]
struct Transactions {
    #[command(flatten)]
    cluster: Cluster,
    /// This transactional id alone; repeat it for more.
    #[arg(long = "transactional-id", value_name = "ID")]
    transactional_ids: Vec<String>,
    /// Search this topic alone for transactions that hang [default: all that the user may see].
    #[arg(long)]
    topic: Option<String>,
    /// Search this partition of the topic alone.
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..), requires = "topic")]
    partition: Option<i32>,
    /// A transaction is judged only if its last record is older than this. Give the brokers'
    /// transaction.max.timeout.ms, so that no live transaction is taken for one that hangs.
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    max_transaction_timeout: u32,
}

/// How to reach the brokers, and how to print.
#[derive(Args)]
struct Cluster {
    /// The brokers, separated by commas [default: those of the configuration file, or
    /// localhost:9092].
    #[arg(long, value_name = "HOST:PORT", alias = "bootstrap-servers")]
    bootstrap_server: Option<String>,
    /// A properties file that says how to reach the brokers. It may be an application's own.
    ///
    /// It may ask for TLS, SASL PLAIN and SASL SCRAM: security.protocol, sasl.mechanism, sasl.username and
    /// sasl.password or sasl.jaas.config, ssl.ca.location (PEM), and request.timeout.ms.
    #[arg(long, value_name = "FILE")]
    command_config: Option<PathBuf>,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Asks and prints, until Ctrl-C or SIGTERM.
pub(crate) async fn run(flags: Flags) -> anyhow::Result<()> {
    let stopped = stopped()?;
    tokio::select! {
        done = ask(flags) => done,
        _ = stopped => bail!("stopped before all brokers had answered"),
    }
}

async fn ask(flags: Flags) -> anyhow::Result<()> {
    match flags.what {
        What::Producers(flags) => {
            let mut client = flags.cluster.connect().await?;
            let scope = Scope { topic: flags.topic, partition: flags.partition };
            let report = producers::describe(&mut client, &scope).await?;
            flags.cluster.show(&report, &report.missing)
        }
        What::Transactions(flags) => {
            let mut client = flags.cluster.connect().await?;
            let search = Search {
                transactional_ids: flags.transactional_ids,
                scope: Scope { topic: flags.topic, partition: flags.partition },
                max_timeout_ms: i64::from(flags.max_transaction_timeout) * 60_000,
            };
            let report = transactions::describe(&mut client, &search).await?;
            flags.cluster.show(&report, &report.missing)
        }
    }
}

impl Cluster {
    async fn connect(&self) -> anyhow::Result<Client> {
        // The file's values win over this one, the flag's over both.
        let mut pairs = vec![("bootstrap.servers".to_owned(), "localhost:9092".to_owned())];
        if let Some(file) = &self.command_config {
            pairs.extend(connection_properties(file)?);
        }
        if let Some(servers) = &self.bootstrap_server {
            pairs.push(("bootstrap.servers".to_owned(), servers.clone()));
        }
        let mut config = ClientConfig::from_properties(pairs)?;
        if let Some(file) = &self.command_config {
            let file = file.to_string_lossy().into_owned();
            if !config.ignored().is_empty() {
                eprintln!(
                    "These keys of {file} have no effect here: {}",
                    config.ignored().join(", ")
                );
            }
            config = config.command_config(file);
        }
        Client::connect(config).await.context("cannot ask the cluster")
    }

    fn show(&self, report: &(impl Display + Serialize), missing: &[Missing]) -> anyhow::Result<()> {
        if self.json {
            print_json(report)?;
        } else {
            print(&report.to_string())?;
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut lines: Vec<String> =
            missing.iter().take(MISSING_NAMED).map(|missing| format!("\n  {missing}")).collect();
        if missing.len() > MISSING_NAMED {
            lines.push(format!("\n  and {} more", missing.len() - MISSING_NAMED));
        }
        bail!("the output is incomplete, because these could not be looked at:{}", lines.concat())
    }
}
