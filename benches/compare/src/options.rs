//! The command line of the comparison.
//!
//! Knows what can be asked for, not how it is done.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::job::{Contender, Guarantee, Job, Named};

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
oncestream-compare: the same jobs on Kafka Streams, a raw rdkafka loop and Oncestream

  --records N             records of the input of map and count   (default 5000000)
  --lines N               lines of the input of wordcount         (default: records / 5)
  --quick                 the same as --records 500000
  --repeat R              runs of each cell; medians are printed  (default 1)
  --jobs A,B              of map, count, wordcount, windowcount, streamjoin,
                          tablejoin                       (default: all)
  --guarantees A,B        of exactly_once, at_least_once          (default: both)
  --contenders A,B        of kafka-streams, raw-rdkafka, oncestream (default: all)
  --partitions A,B        partitions of every topic of a run      (default 4)
  --baseline PROGRAM      another build of this program: its Oncestream is one more contender
  --json FILE             also write the results as JSON
  --bootstrap-servers S   use this Kafka instead of starting one
  --jars DIR              Kafka Streams' jars (default: the test kit's)
  --java-options OPTS     options of the contender's JVM          (default: -Xmx1g)
  --timeout-seconds S     a run that takes longer has failed      (default 900)

oncestream-compare cost: what guarantees of delivery cost; cost --help tells its options
";

/// The parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Records of the input of `map` and `count`.
    pub(crate) records: u64,
    /// Lines of the input of `wordcount`.
    pub(crate) lines: u64,
    /// Runs of each (job, guarantee, contender).
    pub(crate) repeat: usize,
    /// Jobs to run, in this order.
    pub(crate) jobs: Vec<Job>,
    /// Guarantees to run, in this order.
    pub(crate) guarantees: Vec<Guarantee>,
    /// Contenders to run, in this order.
    pub(crate) contenders: Vec<Contender>,
    /// Numbers of partitions to run with, in this order.
    pub(crate) partitions: Vec<i32>,
    /// Another build of this program.
    pub(crate) baseline: Option<PathBuf>,
    /// Where to write the JSON report.
    pub(crate) json: Option<PathBuf>,
    /// A Kafka that runs already.
    pub(crate) bootstrap_servers: Option<String>,
    /// A folder with Kafka Streams' jars.
    pub(crate) jars: Option<PathBuf>,
    /// Options of the JVM of Kafka Streams, split at white space.
    pub(crate) jvm_flags: String,
    /// The longest a single run may take.
    pub(crate) timeout: Duration,
}

impl Options {
    /// Parses the arguments, the program's name left out. `None` means: print the usage.
    ///
    /// # Errors
    /// When an argument is unknown, lacks its value or has one that makes no sense.
    pub(crate) fn parse(args: &[String]) -> Result<Option<Self>> {
        let mut options = Self {
            records: 5_000_000,
            lines: 0,
            repeat: 1,
            jobs: Job::ALL.to_vec(),
            guarantees: Guarantee::ALL.to_vec(),
            contenders: vec![Contender::KafkaStreams, Contender::Raw, Contender::Oncestream],
            partitions: vec![4],
            baseline: None,
            json: None,
            bootstrap_servers: None,
            jars: None,
            jvm_flags: "-Xmx1g".into(),
            timeout: Duration::from_mins(15),
        };
        let mut lines = None;
        let mut rest = args.iter();
        while let Some(name) = rest.next() {
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quick" => {
                    options.records = 500_000;
                    continue;
                }
                _ => {}
            }
            let value = rest.next().with_context(|| format!("{name} wants a value"))?;
            match name.as_str() {
                "--records" => options.records = positive(name, value)?,
                "--lines" => lines = Some(positive(name, value)?),
                "--repeat" => options.repeat = positive(name, value)? as usize,
                "--jobs" => options.jobs = list(value)?,
                "--guarantees" => options.guarantees = list(value)?,
                "--contenders" => options.contenders = list(value)?,
                "--partitions" => options.partitions = counts(name, value)?,
                "--baseline" => options.baseline = Some(value.into()),
                "--json" => options.json = Some(value.into()),
                "--bootstrap-servers" => options.bootstrap_servers = Some(value.clone()),
                "--jars" => options.jars = Some(value.into()),
                "--java-options" => options.jvm_flags.clone_from(value),
                "--timeout-seconds" => {
                    options.timeout = Duration::from_secs(positive(name, value)?);
                }
                _ => bail!("unknown argument {name}; --help lists them"),
            }
        }
        let is_named = options.contenders.contains(&Contender::Baseline);
        match (&options.baseline, is_named) {
            (None, true) => bail!("the contender baseline wants --baseline"),
            (Some(_), false) => options.contenders.push(Contender::Baseline),
            _ => {}
        }
        options.lines = lines.unwrap_or((options.records / 5).max(1));
        Ok(Some(options))
    }
}

fn positive(name: &str, value: &str) -> Result<u64> {
    let number = value.replace('_', "").parse().with_context(|| format!("{name} {value}"))?;
    if number == 0 {
        bail!("{name} must be above zero");
    }
    Ok(number)
}

fn counts(name: &str, value: &str) -> Result<Vec<i32>> {
    let count = |n: &str| Ok(i32::try_from(positive(name, n.trim())?)?);
    value.split(',').map(count).collect()
}

fn list<T: Named>(value: &str) -> Result<Vec<T>> {
    value.split(',').map(|name| T::parse(name.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn lines_follow_records_unless_given() {
        assert_eq!(parse("--quick").unwrap().unwrap().lines, 100_000);
        assert_eq!(parse("--lines 7 --records 5_000").unwrap().unwrap().lines, 7);
    }

    #[test]
    fn a_baseline_is_one_more_contender() {
        let options = parse("--contenders oncestream --baseline old --partitions 4,64").unwrap();
        let options = options.unwrap();
        assert_eq!(options.contenders, [Contender::Oncestream, Contender::Baseline]);
        assert_eq!(options.partitions, [4, 64]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(parse("--repeat 0").is_err());
        assert!(parse("--jobs").is_err());
        assert!(parse("--partitions 4,0").is_err());
        assert!(parse("--contenders baseline").is_err());
        assert!(parse("--jobs map,join").is_err());
        assert!(parse("--fast yes").is_err());
        assert!(parse("--help").unwrap().is_none());
    }
}
