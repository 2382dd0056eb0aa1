//! The jobs on Oncestream, one worker thread, otherwise with its defaults.
//!
//! Runs in a child process of its own, like the other contenders, until SIGTERM.

use std::time::Duration;

use oncestream::prelude::*;

use crate::job::{COMMIT_INTERVAL_MS, Guarantee, Job, LEFT, Named as _, RIGHT, RunSpec};

fn topology(spec: &RunSpec) -> anyhow::Result<Topology> {
    let builder = StreamsBuilder::new();
    let (input, output) = (&spec.input, &spec.output);
    match spec.job {
        Job::Map => builder
            .stream::<Vec<u8>, Vec<u8>>(input)
            .map_values(|mut value| {
                value.make_ascii_uppercase();
                value
            })
            .to(output),
        Job::Count => builder
            .stream::<String, Vec<u8>>(input)
            .group_by_key()
            .count("counts")
            .to_stream()
            .to(output),
        Job::WordCount => builder
            .stream::<Option<Vec<u8>>, String>(input)
            .flat_map_values(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .group_by(|_, word| word.clone())
            .count("counts")
            .to_stream()
            .to(output),
        Job::WindowCount => {
            let minute = Duration::from_mins(1);
            let windowed = Windowed::time_serde(String::serde(), minute);
            builder
                .stream::<String, Vec<u8>>(input)
                .group_by_key()
                .windowed_by(TimeWindows::of_size_with_no_grace(minute))
                .count("counts")
                .to_stream()
                .to(Produced::with(output, windowed, Option::<i64>::serde()));
        }
        Job::StreamJoin => {
            let [left, right] = both(&builder, input);
            let minute = JoinWindows::of_time_difference_with_no_grace(Duration::from_mins(1));
            left.join(&right, minute, |left, right| halves(left, right)).to(output);
        }
        Job::TableJoin => {
            let [left, right] = both(&builder, input);
            let table = right.to_table().materialized("table");
            left.join_table(&table, |left, right| halves(left, right)).to(output);
        }
    }
    Ok(builder.build()?)
}

/// The records of each mark.
fn both(builder: &StreamsBuilder, input: &str) -> [KStream<String, Vec<u8>>; 2] {
    let all = builder.stream::<String, Vec<u8>>(input);
    [LEFT, RIGHT].map(|mark| all.filter(move |_, value| value.first() == Some(&mark)))
}

/// The first halves of two values.
fn halves(left: &[u8], right: &[u8]) -> Vec<u8> {
    [&left[..left.len() / 2], &right[..right.len() / 2]].concat()
}

/// Runs `spec.job` under `spec.guarantee` until the process is told to stop.
///
/// # Errors
/// Any error fails the run.
pub(crate) fn oncestream(spec: &RunSpec) -> anyhow::Result<()> {
    let guarantee = match spec.guarantee {
        Guarantee::ExactlyOnce => ProcessingGuarantee::ExactlyOnce,
        Guarantee::AtLeastOnce => ProcessingGuarantee::AtLeastOnce,
    };
    let config = StreamsConfig::builder(&spec.application_id, &spec.bootstrap_servers)
        .processing_guarantee(guarantee)
        .commit_interval(Duration::from_millis(COMMIT_INTERVAL_MS))
        .state_dir(&spec.state_dir)
        .build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let streams = Streams::builder(topology(spec)?, config);
    runtime.block_on(streams.run_until(shutdown_signal()))?;
    eprintln!("{} ended", spec.job.name());
    Ok(())
}
