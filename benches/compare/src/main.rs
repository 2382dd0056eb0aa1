//! One command that runs the same jobs on Kafka Streams, a raw rdkafka loop and Oncestream.
//!
//! Without a subcommand this is the parent, which measures ([`compare`]). As `contender NAME` it
//! is a child, which works until SIGTERM. As `cost` it measures what guarantees of delivery cost
//! ([`cost`]). The README says how to run it and how to read it.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod check;
mod child;
mod compare;
mod cost;
mod job;
mod jobs;
mod kafka;
mod kafka_streams;
mod measure;
mod options;
mod raw;
mod report;
mod workload;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use oncestream_testkit::KafkaCluster;

use job::{Contender, Named, RunSpec};
use options::{Options, USAGE};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.split_first() {
        Some((first, rest)) if first == "contender" => contend(rest),
        Some((first, rest)) if first == "cost" => cost::cost(rest).map(|()| ExitCode::SUCCESS),
        _ => parent(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn contend(args: &[String]) -> Result<ExitCode> {
    let (name, args) = args.split_first().context("contender wants a name")?;
    let spec = RunSpec::from_args(args)?;
    child::end_with_parent();
    match Contender::parse(name)? {
        Contender::Raw => raw::raw(&spec)?,
        Contender::Oncestream => jobs::oncestream(&spec)?,
        Contender::KafkaStreams => bail!("Kafka Streams runs in a JVM, not here"),
        Contender::Baseline => bail!("the baseline is another program, not this one"),
    }
    Ok(ExitCode::SUCCESS)
}

fn parent(args: &[String]) -> Result<ExitCode> {
    let Some(options) = Options::parse(args)? else {
        print!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let cells = if let Some(servers) = &options.bootstrap_servers {
        compare::compare(&options, servers)?
    } else {
        let kafka = KafkaCluster::builder()
            .fast_start(false)
            // A deleted topic leaves the disk now and not a minute later, in the next run.
            .property("log.segment.delete.delay.ms", "1000")
            .start()?;
        compare::compare(&options, kafka.bootstrap_servers())?
    };
    print!("{}", report::text(&options, &cells));
    if let Some(path) = &options.json {
        let json = format!("{:#}\n", report::json(&options, &cells));
        std::fs::write(path, json).with_context(|| format!("write {}", path.display()))?;
    }
    let failed = cells.iter().any(report::Cell::failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
