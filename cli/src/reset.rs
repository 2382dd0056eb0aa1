//! `oncestream reset`: flags for `oncestream_runtime::reset`, which does the work.

use std::path::PathBuf;

use clap::Args;
use oncestream_runtime::config::StreamsConfigBuilder;
use oncestream_runtime::reset::{ApplicationReset, To};

use crate::print::print;
use crate::time;

/// Lets an application begin again: shows what that means, and does it with --yes
///
/// Sets the committed offsets of its input topics, deletes its internal topics (those whose names begin
/// with the application's id and end in -changelog or -repartition, and those of foreign-key joins) and,
/// with --state-dir, the state on this host. Output topics are not touched.
///
/// Stop all instances first; while one runs, the command changes nothing. State on other hosts may stay:
/// instances recognise it by the ids of the deleted topics, and rebuild it. Only stores without a
/// changelog need --state-dir on every host.
///
/// If a reset ends midway, run it again with the same flags. Until it is complete, instances refuse to
/// start.
///
/// The user needs the right Read on the group and the input topics, Delete on the internal topics, and
/// Describe on other groups whose ids begin with the application's.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  \
        oncestream reset --application-id word-count --input-topics lines\n      \
        shows what it would do\n  \
        oncestream reset --application-id word-count --input-topics lines --yes\n      \
        reads `lines` from the beginning\n  \
        oncestream reset --application-id word-count --input-topics lines \\\n      \
        --to-datetime 2026-01-31T13:00:00 --state-dir /var/lib/oncestream --yes"
)]
pub(crate) struct Flags {
    /// The application's id, if it is not in the configuration file.
    #[arg(long, value_name = "ID")]
    application_id: Option<String>,
    /// The brokers, separated by commas [default: those of the configuration file, or
    /// localhost:9092].
    #[arg(long, value_name = "HOST:PORT", alias = "bootstrap-servers")]
    bootstrap_server: Option<String>,
    /// A properties file that says how to reach the brokers. It may be the application's own.
    #[arg(long, value_name = "FILE")]
    command_config: Option<PathBuf>,
    /// The input topics to set, separated by commas. Other inputs go on at their committed offsets.
    #[arg(long, value_name = "TOPICS", value_delimiter = ',')]
    input_topics: Vec<String>,
    #[command(flatten)]
    target: Target,
    /// The internal topics to delete, and no others, separated by commas. Needed if a name does not show
    /// which application a topic belongs to: `a-b-c-changelog` may be of application `a` or `a-b`.
    #[arg(long, value_name = "TOPICS", value_delimiter = ',')]
    internal_topics: Vec<String>,
    /// The application's `state.dir`: delete the application's directory in it.
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
    /// Do it. Without this flag the command only shows what it would do.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Only show what would be done; the default.
    #[arg(long)]
    dry_run: bool,
}

/// Where the input topics begin.
#[derive(Args)]
#[group(multiple = false)]
struct Target {
    /// Their first records; the default.
    #[arg(long, requires = "input_topics")]
    to_earliest: bool,
    /// Their ends.
    #[arg(long, requires = "input_topics")]
    to_latest: bool,
    /// The first records of this time or later: 2026-01-31T13:00:00.000, in UTC, or with an offset
    /// such as +01:00.
    #[arg(long, value_name = "TIME", value_parser = time::datetime, requires = "input_topics")]
    to_datetime: Option<i64>,
    /// The first records of this long ago or later: P1D is a day, PT2H30M two hours and a half.
    #[arg(long, value_name = "DURATION", value_parser = time::ago, requires = "input_topics")]
    by_duration: Option<i64>,
    /// This offset in each partition.
    #[arg(
        long,
        value_name = "OFFSET",
        value_parser = clap::value_parser!(i64).range(0..),
        requires = "input_topics"
    )]
    to_offset: Option<i64>,
    /// This many records after the committed offset, or before it if negative.
    #[arg(long, value_name = "N", allow_negative_numbers = true, requires = "input_topics")]
    shift_by: Option<i64>,
}

impl Target {
    fn to(&self) -> To {
        let time = self.to_datetime.or(self.by_duration);
        match (self.to_latest, time, self.to_offset, self.shift_by) {
            (true, ..) => To::Latest,
            (_, Some(time_ms), ..) => To::Time(time_ms),
            (_, _, Some(offset), _) => To::Offset(offset),
            (.., Some(by)) => To::ShiftBy(by),
            _ => To::Earliest,
        }
    }
}

/// Shows the plan, and executes it if told to.
pub(crate) async fn run(flags: Flags) -> anyhow::Result<()> {
    let to = flags.target.to();
    let mut reset = ApplicationReset::new(config(&flags)?);
    for topic in &flags.input_topics {
        reset = reset.input_topic(topic.trim(), to);
    }
    for topic in &flags.internal_topics {
        reset = reset.internal_topic(topic.trim());
    }
    if flags.state_dir.is_some() {
        reset = reset.local_state();
    }
    let plan = reset.plan().await?;
    print(&plan.to_string())?;
    if !flags.yes {
        return print("\nNothing was changed. Run it again with --yes to do this.\n");
    }
    plan.execute().await?;
    print("\nDone.\n")
}

fn config(flags: &Flags) -> anyhow::Result<oncestream_runtime::StreamsConfig> {
    // The file's values win over this one, the flags' over both.
    let mut config = StreamsConfigBuilder::new().set("bootstrap.servers", "localhost:9092")?;
    if let Some(file) = &flags.command_config {
        config = config.properties_file(file)?;
    }
    for (key, value) in
        [("application.id", &flags.application_id), ("bootstrap.servers", &flags.bootstrap_server)]
    {
        if let Some(value) = value {
            config = config.set(key, value)?;
        }
    }
    if let Some(directory) = &flags.state_dir {
        config = config.state_dir(directory);
    }
    Ok(config.build()?)
}
