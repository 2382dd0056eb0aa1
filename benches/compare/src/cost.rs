//! `cost`: what guarantees of delivery cost, on a Kafka of one node and on one of three.
//!
//! The measurement is `oncestream_lab::cost`, the same as that of `oncestream lab cost`; this knows
//! the clusters and where the results go.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use oncestream_lab::cost::Plan;
use oncestream_testkit::KafkaCluster;

/// What `cost --help` prints.
const USAGE: &str = "\
oncestream-compare cost: what guarantees of delivery cost, on Apache Kafka

  --nodes 1,3             the clusters, one after the other; with three nodes, three replicas
                          of which two must be in sync            (default 1,3)
  --records N             records of a producer at full speed     (default 2000000)
  --record-bytes N        bytes of a record                       (default 100)
  --rounds N              runs of each producer                   (default 5)
  --folder DIR            writes cost-N.md, cost-N.json and cost-N.svg for N nodes
";

/// The parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Options {
    nodes: Vec<usize>,
    records: u64,
    record_bytes: usize,
    rounds: usize,
    folder: Option<PathBuf>,
}

impl Options {
    /// `None` means: print the usage.
    fn parse(args: &[String]) -> Result<Option<Self>> {
        let mut options = Self {
            nodes: vec![1, 3],
            records: 2_000_000,
            record_bytes: 100,
            rounds: 5,
            folder: None,
        };
        let mut rest = args.iter();
        while let Some(name) = rest.next() {
            if matches!(name.as_str(), "--help" | "-h") {
                return Ok(None);
            }
            let value = rest.next().with_context(|| format!("{name} wants a value"))?;
            let number = || -> Result<u64> {
                value.replace('_', "").parse().with_context(|| format!("{name} {value}"))
            };
            match name.as_str() {
                "--nodes" => options.nodes = nodes(value)?,
                "--records" => options.records = number()?,
                "--record-bytes" => options.record_bytes = number()? as usize,
                "--rounds" => options.rounds = number()? as usize,
                "--folder" => options.folder = Some(value.into()),
                _ => bail!("unknown argument {name}; cost --help lists them"),
            }
        }
        Ok(Some(options))
    }
}

fn nodes(value: &str) -> Result<Vec<usize>> {
    let count = |text: &str| match text.trim() {
        "1" => Ok(1),
        "3" => Ok(3),
        other => bail!("--nodes {other}: a cluster has 1 or 3"),
    };
    value.split(',').map(count).collect()
}

/// Measures on each cluster, prints the tables and writes the files.
pub(crate) fn cost(args: &[String]) -> Result<()> {
    let Some(options) = Options::parse(args)? else {
        print!("{USAGE}");
        return Ok(());
    };
    if let Some(folder) = &options.folder {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    for nodes in &options.nodes {
        let kafka = KafkaCluster::builder()
            .nodes(*nodes)
            .fast_start(false)
            // A deleted topic leaves the disk now and not a minute later, in the next run.
            .property("log.segment.delete.delay.ms", "1000")
            .start()?;
        let plan = Plan::new(kafka.bootstrap_servers())
            .records(options.records)
            .record_bytes(options.record_bytes)
            .rounds(options.rounds);
        let costs = plan.run(&mut |progress| eprintln!("{nodes} node(s): {progress}"))?;
        let table = costs.table();
        println!("{table}");
        let Some(folder) = &options.folder else { continue };
        let json = format!("{:#}\n", costs.json());
        for (ending, text) in [("md", table), ("json", json), ("svg", costs.svg())] {
            let path = folder.join(format!("cost-{nodes}.{ending}"));
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn both_clusters_are_measured_unless_told_otherwise() {
        assert_eq!(parse("").unwrap().unwrap().nodes, [1, 3]);
        let options = parse("--nodes 3 --records 5_000 --folder out").unwrap().unwrap();
        assert_eq!((options.nodes, options.records), (vec![3], 5_000));
        assert_eq!(parse("--help").unwrap(), None);
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (line, named) in [
            ("--nodes 2", "1 or 3"),
            ("--records many", "--records many"),
            ("--rounds", "--rounds wants"),
            ("--node 3", "--node"),
        ] {
            let error = format!("{:#}", parse(line).unwrap_err());
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
