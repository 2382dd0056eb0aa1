//! The results as a table for people and as JSON for programs.
//!
//! Knows figures and outcomes, not how they came about. Invariant: a cell with one failed run
//! shows the failure and no figure, however well its other runs did.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::job::{COMMIT_INTERVAL_MS, Contender, Guarantee, Job, Named, PARTITIONS};
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

/// All runs of one (job, guarantee, contender).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// The job.
    pub(crate) job: Job,
    /// The guarantee.
    pub(crate) guarantee: Guarantee,
    /// The contender.
    pub(crate) contender: Contender,
    /// In the order in which they ran.
    pub(crate) runs: Vec<Outcome>,
}

/// What a cell comes to.
enum Verdict<'a> {
    Median(Figures),
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
        medians(&figures).map_or(Verdict::NotRun, Verdict::Median)
    }

    /// Whether any run of the cell failed.
    pub(crate) fn failed(&self) -> bool {
        matches!(self.verdict(), Verdict::Failed(_))
    }
}

/// The table. Failures are cut short here; the JSON has them whole.
pub(crate) fn text(options: &Options, cells: &[Cell]) -> String {
    let mut table = format!(
        "{} records, {} lines, {} run(s) each, {} cores; medians\n\n\
         {:<10} {:<14} {:<14} {:>12} {:>16} {:>10}\n",
        options.records,
        options.lines,
        options.repeat,
        cores(),
        "job",
        "guarantee",
        "contender",
        "records/s",
        "records/CPU-s",
        "peak MiB",
    );
    for cell in cells {
        let head = format!(
            "{:<10} {:<14} {:<14}",
            cell.job.name(),
            cell.guarantee.name(),
            cell.contender.name()
        );
        // Writing to a String cannot fail.
        let _ = match cell.verdict() {
            Verdict::Median(figures) => writeln!(
                table,
                "{head} {:>12.0} {:>16.0} {:>10}",
                figures.records_per_second,
                figures.records_per_cpu_second,
                figures.peak_rss_bytes >> 20
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
                Verdict::Median(median) => figures_json(&median),
                Verdict::Failed(_) | Verdict::NotRun => Value::Null,
            };
            json!({
                "job": cell.job.name(),
                "guarantee": cell.guarantee.name(),
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
            "partitions": PARTITIONS,
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
        Cell { job: Job::Count, guarantee: Guarantee::ExactlyOnce, contender: Contender::Raw, runs }
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
        assert!(table.contains("2000             4000          3"), "{table}");
        assert!(!good.failed());

        let bad = cell(vec![measured(1_234.0), Outcome::Failed("wrong\ndetails".into())]);
        let table = text(&options, std::slice::from_ref(&bad));
        assert!(table.contains("FAILED: wrong\n") && !table.contains("1234"), "{table}");
        assert!(bad.failed());
        assert!(json(&options, &[bad])["results"][0]["median"].is_null());
    }
}
