//! What is compared: jobs, guarantees, contenders, and the order one run gets.
//!
//! Knows no Kafka client and no clock. A [`RunSpec`] is all that a contender is told; it goes to
//! every child, the Java one too, as the same `--name value` arguments, so that no contender can
//! be given easier work than another.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};

/// Every contender commits this often, in milliseconds.
pub(crate) const COMMIT_INTERVAL_MS: u64 = 100;

/// One of the jobs. Its definition is the same for all contenders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Job {
    /// Every value in ASCII upper case, the key kept.
    Map,
    /// `group_by_key().count()` into the store `counts`, updates to the output as `Long`.
    Count,
    /// Lines split at white space, grouped by word over a repartition topic, counted like `Count`.
    WordCount,
    /// `Count` in windows of a minute without grace, under the keys of Kafka Streams' time windows.
    WindowCount,
    /// The records of each key that are marked [`LEFT`] joined with those marked [`RIGHT`], within a
    /// minute without grace: the first halves of both values.
    StreamJoin,
    /// Each record marked [`LEFT`] joined with the table of those marked [`RIGHT`], in the store `table`:
    /// the first halves of both values.
    TableJoin,
}

/// What the first byte of a value says in the jobs that join: a record of the left stream.
pub(crate) const LEFT: u8 = b'L';
/// The same: one of the right stream, or an update of the table.
pub(crate) const RIGHT: u8 = b'R';

/// The processing guarantee a contender runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Guarantee {
    /// One transaction per commit.
    ExactlyOnce,
    /// Offsets are committed after the deliveries; the producer is idempotent.
    AtLeastOnce,
}

/// Who runs a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Contender {
    /// Kafka Streams, one stream thread, in a JVM.
    KafkaStreams,
    /// The hand-written rdkafka loop of this package.
    Raw,
    /// Oncestream.
    Oncestream,
    /// Oncestream as another build of this program has it.
    Baseline,
}

/// A value with a name on the command line and in the report.
pub(crate) trait Named: Copy + Sized + 'static {
    /// All values, in the order in which they run.
    const ALL: &'static [Self];

    /// The name, as it is written and read.
    fn name(self) -> &'static str;

    /// Finds the value of a name.
    ///
    /// # Errors
    /// When no value has this name; the message lists those that exist.
    fn parse(name: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|value| value.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|value| value.name()).collect();
            anyhow!("{name:?} is not one of {}", names.join(", "))
        })
    }
}

impl Named for Job {
    const ALL: &'static [Self] = &[
        Self::Map,
        Self::Count,
        Self::WordCount,
        Self::WindowCount,
        Self::StreamJoin,
        Self::TableJoin,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Count => "count",
            Self::WordCount => "wordcount",
            Self::WindowCount => "windowcount",
            Self::StreamJoin => "streamjoin",
            Self::TableJoin => "tablejoin",
        }
    }
}

impl Job {
    /// Whether the loop written by hand does it.
    pub(crate) fn is_by_hand(self) -> bool {
        matches!(self, Self::Map | Self::Count | Self::WordCount)
    }
}

impl Named for Guarantee {
    const ALL: &'static [Self] = &[Self::ExactlyOnce, Self::AtLeastOnce];

    fn name(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly_once",
            Self::AtLeastOnce => "at_least_once",
        }
    }
}

impl Named for Contender {
    const ALL: &'static [Self] = &[Self::KafkaStreams, Self::Raw, Self::Oncestream, Self::Baseline];

    fn name(self) -> &'static str {
        match self {
            Self::KafkaStreams => "kafka-streams",
            Self::Raw => "raw-rdkafka",
            Self::Oncestream => "oncestream",
            Self::Baseline => "baseline",
        }
    }
}

/// All that one contender is told about one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunSpec {
    /// The job.
    pub(crate) job: Job,
    /// The guarantee.
    pub(crate) guarantee: Guarantee,
    /// Kafka's bootstrap servers.
    pub(crate) bootstrap_servers: String,
    /// The application id, which is also the consumer group. No two runs share one.
    pub(crate) application_id: String,
    /// The input topic; it is never written to while a contender runs.
    pub(crate) input: String,
    /// The output topic, empty at the start of the run.
    pub(crate) output: String,
    /// Partitions of every topic of the run.
    pub(crate) partitions: i32,
    /// A directory for local state, empty at the start of the run.
    pub(crate) state_dir: PathBuf,
}

impl RunSpec {
    /// The arguments for the child process.
    pub(crate) fn to_args(&self) -> Vec<String> {
        [
            ("--job", self.job.name()),
            ("--guarantee", self.guarantee.name()),
            ("--bootstrap-servers", self.bootstrap_servers.as_str()),
            ("--application-id", self.application_id.as_str()),
            ("--input", self.input.as_str()),
            ("--output", self.output.as_str()),
            ("--partitions", &self.partitions.to_string()),
            ("--state-dir", &self.state_dir.to_string_lossy()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value.to_owned()])
        .collect()
    }

    /// Reads back what [`RunSpec::to_args`] wrote.
    ///
    /// # Errors
    /// When an argument is missing or has no meaning.
    pub(crate) fn from_args(args: &[String]) -> Result<Self> {
        if !args.len().is_multiple_of(2) {
            bail!("an argument without a value");
        }
        let values: HashMap<&str, &str> =
            args.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
        let get = |name: &str| values.get(name).copied().with_context(|| format!("no {name}"));
        Ok(Self {
            job: Job::parse(get("--job")?)?,
            guarantee: Guarantee::parse(get("--guarantee")?)?,
            bootstrap_servers: get("--bootstrap-servers")?.to_owned(),
            application_id: get("--application-id")?.to_owned(),
            input: get("--input")?.to_owned(),
            output: get("--output")?.to_owned(),
            partitions: get("--partitions")?.parse().context("--partitions")?,
            state_dir: PathBuf::from(get("--state-dir")?),
        })
    }

    /// The changelog of the store `counts`, by Kafka Streams' naming rule.
    pub(crate) fn changelog(&self) -> String {
        format!("{}-counts-changelog", self.application_id)
    }

    /// The repartition topic between the words and their count, by Kafka Streams' naming rule.
    pub(crate) fn repartition(&self) -> String {
        format!("{}-counts-repartition", self.application_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_survives_the_command_line() {
        let spec = RunSpec {
            job: Job::WordCount,
            guarantee: Guarantee::AtLeastOnce,
            bootstrap_servers: "127.0.0.1:9092".into(),
            application_id: "app".into(),
            input: "in".into(),
            output: "out".into(),
            partitions: 7,
            state_dir: PathBuf::from("state dir"),
        };
        assert_eq!(RunSpec::from_args(&spec.to_args()).unwrap(), spec);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = Job::parse("join").unwrap_err().to_string();
        assert!(
            error.contains("map, count, wordcount, windowcount, streamjoin, tablejoin"),
            "{error}"
        );
    }
}
