//! The results as a table for people and as JSON for programs.
//!
//! Knows figures and outcomes, not how they came about. Invariant: a cell with one failed run
//! shows the failure and no figure, however well its other runs did.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::job::{COMMIT_INTERVAL_MS, Contender, Guarantee, Job, Named};
use crate::measure::{Figures, SAMPLE_INTERVAL, medians};
use crate::options::Options;
use crate::workload::{KEYS, VALUE_BYTES, VOCABULARY, WORDS_PER_LINE};

/// How one run ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// The output was right.
    Measured(Figures),
    /// The output was wrong, or the contender failed or was too slow; in words.
    Failed(String),
}

/// All runs of one (job, guarantee, number of partitions, contender).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// The job.
    pub(crate) job: Job,
    /// The guarantee.
    pub(crate) guarantee: Guarantee,
    /// Partitions of every topic.
    pub(crate) partitions: i32,
    /// The contender.
    pub(crate) contender: Contender,
    /// In the order in which they ran.
    pub(crate) runs: Vec<Outcome>,
}

/// What a cell comes to.
enum Verdict<'a> {
    Measured(Vec<Figures>, Figures),
    Failed(&'a str),
    NotRun,
}

impl Cell {
    fn verdict(&self) -> Verdict<'_> {
        let mut figures = Vec::new();
        for run in &self.runs {
            match run {
                Outcome::Measured(run) => figures.push(*run),
                Outcome::Failed(why) => return Verdict::Failed(why),
            }
        }
        match medians(&figures) {
            Some(medians) => Verdict::Measured(figures, medians),
            None => Verdict::NotRun,
        }
    }

    /// Whether any run of the cell failed.
    pub(crate) fn failed(&self) -> bool {
        matches!(self.verdict(), Verdict::Failed(_))
    }
}

/// The table. Failures are cut short here; the JSON has them whole.
pub(crate) fn text(options: &Options, cells: &[Cell]) -> String {
    let mut table = format!(
        "{} records, {} lines, {} run(s) each, {} cores; medians (lowest-highest)\n\n\
         {:<10} {:<14} {:>10} {:<14} {:>12} {:>24} {:>18}\n",
        options.records,
        options.lines,
        options.repeat,
        cores(),
        "job",
        "guarantee",
        "partitions",
        "contender",
        "records/s",
        "records/CPU-s",
        "peak MiB",
    );
    for cell in cells {
        let head = format!(
            "{:<10} {:<14} {:>10} {:<14}",
            cell.job.name(),
            cell.guarantee.name(),
            cell.partitions,
            cell.contender.name()
        );
        // Writing to a String cannot fail.
        let _ = match cell.verdict() {
            Verdict::Measured(runs, medians) => writeln!(
                table,
                "{head} {:>12.0} {:>24} {:>18}",
                medians.records_per_second,
                spread(&runs, &medians, |run| run.records_per_cpu_second),
                spread(&runs, &medians, |run| (run.peak_rss_bytes >> 20) as f64),
            ),
            Verdict::Failed(why) => writeln!(table, "{head} FAILED: {}", brief(why)),
            Verdict::NotRun => writeln!(table, "{head} not run"),
        };
    }
    table
}

/// The same with every single run and the settings.
pub(crate) fn json(options: &Options, cells: &[Cell]) -> Value {
    let results: Vec<Value> = cells
        .iter()
        .map(|cell| {
            let median = match cell.verdict() {
                Verdict::Measured(_, median) => figures_json(&median),
                Verdict::Failed(_) | Verdict::NotRun => Value::Null,
            };
            json!({
                "job": cell.job.name(),
                "guarantee": cell.guarantee.name(),
                "partitions": cell.partitions,
                "contender": cell.contender.name(),
                "median": median,
                "runs": cell.runs.iter().map(outcome_json).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "settings": {
            "records": options.records,
            "lines": options.lines,
            "repeat": options.repeat,
            "cores": cores(),
            "commit_interval_ms": COMMIT_INTERVAL_MS,
            "sample_interval_ms": SAMPLE_INTERVAL.as_millis() as u64,
            "keys": KEYS,
            "value_bytes": VALUE_BYTES,
            "vocabulary": VOCABULARY,
            "words_per_line": WORDS_PER_LINE,
            "java_options": options.jvm_flags,
        },
        "results": results,
    })
}

fn outcome_json(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Measured(figures) => figures_json(figures),
        Outcome::Failed(why) => json!({ "failed": why }),
    }
}

fn figures_json(figures: &Figures) -> Value {
    json!({
        "records_per_second": figures.records_per_second,
        "records_per_cpu_second": figures.records_per_cpu_second,
        "peak_rss_bytes": figures.peak_rss_bytes,
        "seconds": figures.seconds,
    })
}

/// The median of a figure with its lowest and highest value.
fn spread(runs: &[Figures], medians: &Figures, get: fn(&Figures) -> f64) -> String {
    let lowest = runs.iter().map(get).fold(f64::INFINITY, f64::min);
    let highest = runs.iter().map(get).fold(0.0, f64::max);
    format!("{:.0} ({lowest:.0}-{highest:.0})", get(medians))
}

fn brief(text: &str) -> &str {
    const LONGEST: usize = 100;
    let line = text.lines().next().unwrap_or_default();
    line.char_indices().nth(LONGEST).map_or(line, |(end, _)| &line[..end])
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(runs: Vec<Outcome>) -> Cell {
        let (job, guarantee) = (Job::Count, Guarantee::ExactlyOnce);
        Cell { job, guarantee, partitions: 4, contender: Contender::Raw, runs }
    }

    fn measured(rate: f64) -> Outcome {
        Outcome::Measured(Figures {
            records_per_second: rate,
            records_per_cpu_second: 2.0 * rate,
            peak_rss_bytes: 3 << 20,
            seconds: 1.0,
        })
    }

    #[test]
    fn one_failed_run_hides_the_figures_of_the_cell() {
        let options = Options::parse(&[]).unwrap().unwrap();
        let good = cell(vec![measured(1_000.0), measured(3_000.0)]);
        let table = text(&options, std::slice::from_ref(&good));
        assert!(table.contains("2000         4000 (2000-6000)            3 (3-3)"), "{table}");
        assert!(!good.failed());

        let bad = cell(vec![measured(1_234.0), Outcome::Failed("wrong\ndetails".into())]);
        let table = text(&options, std::slice::from_ref(&bad));
        assert!(table.contains("FAILED: wrong\n") && !table.contains("1234"), "{table}");
        assert!(bad.failed());
        assert!(json(&options, &[bad])["results"][0]["median"].is_null());
    }
}
