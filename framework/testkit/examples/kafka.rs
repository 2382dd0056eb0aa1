//! A Kafka to try things on: starts a cluster, prints its `bootstrap.servers` as the one line of
//! standard output, and runs until standard input closes or Ctrl-C.
//!
//! ```text
//! cargo run -p oncestream-testkit --example kafka -- [--nodes 3] [--heap-mb 1024] \
//!     [--fast-start] [key=value ...]
//! ```
//!
//! Java's full compiler is on, unless `--fast-start` is given, so that it can also be measured.

use std::io::{self, Read, Write};

use anyhow::Context;
use oncestream_testkit::KafkaCluster;
use oncestream_testkit::kafka::KafkaClusterBuilder;

fn main() -> anyhow::Result<()> {
    let kafka = options(std::env::args().skip(1))?.start()?;
    eprintln!("Apache Kafka runs; its logs are in {}", kafka.log_dir().display());
    println!("{}", kafka.bootstrap_servers());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn options(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<KafkaClusterBuilder> {
    let mut builder = KafkaCluster::builder().fast_start(false);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().with_context(|| format!("{argument} needs a number"));
        builder = match argument.as_str() {
            "--nodes" => builder.nodes(number()?.parse()?),
            "--heap-mb" => builder.heap_mb(number()?.parse()?),
            "--fast-start" => builder.fast_start(true),
            property => {
                let (key, value) = property
                    .split_once('=')
                    .with_context(|| format!("unknown argument {property}"))?;
                builder.property(key, value)
            }
        };
    }
    Ok(builder)
}
