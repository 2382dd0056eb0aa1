//! What a run came to: for people as Markdown, and as JSON.
//!
//! Pure, but for [`Report::write`]. Invariant: what is not clean is never told as clean; the same
//! [`Report::is_clean`] decides both pages and the exit code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::check::{Checked, Transactions};
use crate::faults::Fault;
use crate::plan::Kind;
use crate::watch::Recovery;

/// All there is to tell.
pub(crate) struct Report {
    /// The command that repeats it.
    pub(crate) command: String,
    pub(crate) seed: u64,
    pub(crate) nodes: usize,
    pub(crate) guarantee: &'static str,
    pub(crate) sabotage: Option<String>,
    /// Records fed a second.
    pub(crate) rate: usize,
    pub(crate) session_ms: u64,
    /// From the start of the instances to their end.
    pub(crate) lasted_s: u64,
    pub(crate) faults: Vec<Fault>,
    /// By application and fault.
    pub(crate) recoveries: BTreeMap<&'static str, BTreeMap<usize, Recovery>>,
    pub(crate) transactions: Transactions,
    pub(crate) applications: Vec<Checked>,
    pub(crate) problems: Vec<String>,
}

/// Of how many, the median, the 99th of a hundred, and the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    count: usize,
    p50: u64,
    p99: u64,
    max: u64,
}

impl Times {
    fn of(mut all: Vec<u64>) -> Self {
        all.sort_unstable();
        // The nearest rank.
        let rank = |percent: usize| (all.len() * percent).div_ceil(100).max(1) - 1;
        let at = |index: usize| all.get(index).copied().unwrap_or(0);
        Self { count: all.len(), p50: at(rank(50)), p99: at(rank(99)), max: at(rank(100)) }
    }

    fn json(self) -> Value {
        json!({"count": self.count, "p50": self.p50, "p99": self.p99, "max": self.max})
    }
}

impl Report {
    fn sum(&self, of: impl Fn(&Checked) -> u64) -> u64 {
        self.applications.iter().map(of).sum()
    }

    /// Nothing was lost, duplicated or reordered, and nothing else is wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.problems.is_empty()
            && !self.faults.is_empty()
            && self.applications.iter().all(|a| a.tally.is_clean() && a.problems.is_empty())
    }

    fn count(&self, kind: Kind) -> usize {
        self.faults.iter().filter(|f| f.kind == kind).count()
    }

    /// Recovery times of the faults of some kinds: on the first partition, and on all.
    fn times(&self, wanted: impl Fn(Kind) -> bool) -> (Times, Times) {
        let found: Vec<Recovery> = self
            .recoveries
            .values()
            .flatten()
            .filter(|(fault, _)| self.faults.get(**fault).is_some_and(|f| wanted(f.kind)))
            .map(|(_, recovery)| *recovery)
            .collect();
        let first = found.iter().map(|r| r.first_ms).collect();
        (Times::of(first), Times::of(found.iter().map(|r| r.all_ms).collect()))
    }

    fn problems(&self) -> Vec<String> {
        let own = self.applications.iter();
        let own = own.flat_map(|a| a.problems.iter().map(move |p| format!("{}: {p}", a.job)));
        self.problems.iter().cloned().chain(own).collect()
    }

    pub(crate) fn json(&self) -> Value {
        let mut kinds = serde_json::Map::new();
        let mut recovery = serde_json::Map::new();
        for kind in Kind::ALL {
            kinds.insert(kind.name().into(), self.count(kind).into());
            let (first, all) = self.times(|k| k == kind);
            let times = json!({"first_ms": first.json(), "all_ms": all.json()});
            recovery.insert(kind.name().into(), times);
        }
        let (first, all) = self.times(|_| true);
        recovery.insert("all".into(), json!({"first_ms": first.json(), "all_ms": all.json()}));
        let applications: BTreeMap<&str, Value> = self.applications.iter().map(|a| (a.job, json!({
            "records_in": a.records_in, "records_out": a.records_out, "hidden": a.hidden,
            "input_partitions": a.inputs, "stores_checked": a.stores, "output": a.tally.json(), "problems": a.problems,
        }))).collect();
        json!({
            "clean": self.is_clean(),
            "command": self.command, "seed": self.seed, "nodes": self.nodes, "kafka": "4.3.1",
            "guarantee": self.guarantee, "sabotage": self.sabotage, "rate": self.rate,
            "session_ms": self.session_ms, "lasted_s": self.lasted_s,
            "faults": {"total": self.faults.len(), "aimed": self.aimed(), "by_kind": kinds},
            "transactions": {
                "committed": self.transactions.committed, "aborted": self.transactions.aborted,
            },
            "records_in": self.sum(|a| a.records_in), "records_out": self.sum(|a| a.records_out),
            "lost": self.sum(|a| a.tally.lost), "duplicated": self.sum(|a| a.tally.duplicated),
            "reordered": self.sum(|a| a.tally.reordered), "wrong": self.sum(|a| a.tally.wrong),
            "recovery": recovery, "applications": applications, "problems": self.problems(),
            "timeline": self.timeline(),
        })
    }

    /// All faults, a line each.
    fn timeline(&self) -> Vec<String> {
        let line = |(number, f): (usize, &Fault)| {
            let (at, kind, of) = (f.at_ms as f64 / 1000.0, f.kind.name(), f.of);
            let aim = f.aim.map_or(String::new(), |step| format!(" at {step}"));
            let recovered = self.recoveries.iter().filter_map(|(job, of)| {
                of.get(&number).map(|r| format!("; {job} {}/{} ms", r.first_ms, r.all_ms))
            });
            format!("{at:.1}s {kind} {of} {}{aim}{}", f.target, recovered.collect::<String>())
        };
        self.faults.iter().enumerate().map(line).collect()
    }

    fn aimed(&self) -> usize {
        self.faults.iter().filter(|f| f.aim.is_some()).count()
    }

    pub(crate) fn markdown(&self) -> String {
        let mut page = String::new();
        let verdict = match (self.sum(|a| a.tally.lost), self.sum(|a| a.tally.duplicated)) {
            (0, 0) if self.is_clean() => "nothing lost, nothing duplicated".to_owned(),
            (0, 0) => "nothing lost, nothing duplicated, but see the findings".to_owned(),
            (lost, duplicated) => format!("{lost} LOST, {duplicated} DUPLICATED"),
        };
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "# Chaos on Apache Kafka 4.3.1: {verdict}\n\n    {}\n\n\
             {} node(s), `processing.guarantee={}`, seed {}, {} s in all, {} records/s fed, \
             sessions of {} ms.\n\n{}\
             | | |\n|---|---|\n| faults | {}, of which {} aimed at a step of a commit |\n\
             | lost | {} |\n| duplicated | {} |\n| out of order | {} |\n| wrong results | {} |\n\
             | records in | {} |\n| records out | {} |\n| transactions committed | {} |\n\
             | transactions aborted | {} |\n",
            self.command,
            self.nodes,
            self.guarantee,
            self.seed,
            self.lasted_s,
            self.rate,
            self.session_ms,
            self.remarks(),
            self.faults.len(),
            self.aimed(),
            self.sum(|a| a.tally.lost),
            self.sum(|a| a.tally.duplicated),
            self.sum(|a| a.tally.reordered),
            self.sum(|a| a.tally.wrong),
            self.sum(|a| a.records_in),
            self.sum(|a| a.records_out),
            self.transactions.committed,
            self.transactions.aborted,
        );
        self.write_faults(&mut page);
        self.write_applications(&mut page);
        page
    }

    fn remarks(&self) -> String {
        let mut remarks = String::new();
        if let Some(sabotage) = &self.sabotage {
            let _ = write!(remarks, "The runtime was told to do it wrong: `{sabotage}`.\n\n");
        }
        if self.nodes == 1 {
            remarks.push_str(
                "No broker faults: when the only broker of a cluster restarts, Apache Kafka 4.3.1 \
                 may lose the markers of an open transaction (ARCHITECTURE.md, known limits).\n\n",
            );
        }
        remarks
    }

    fn write_faults(&self, page: &mut String) {
        page.push_str(
            "\n## Faults and recovery\n\nIn milliseconds, from the fault to the next committed \
             output of input written after it: on any partition (first), and until every \
             partition had one (all). A broker's fault counts once per application.\n\n\
             | fault | what | times | first p50 | p99 | max | all p50 | p99 | max |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        let mut row = |name: &str, means: &str, count: usize, (first, all): (Times, Times)| {
            let _ = writeln!(
                page,
                "| {name} | {means} | {count} | {} | {} | {} | {} | {} | {} |",
                first.p50, first.p99, first.max, all.p50, all.p99, all.max
            );
        };
        for kind in Kind::ALL.into_iter().filter(|kind| self.count(*kind) > 0) {
            row(kind.name(), kind.means(), self.count(kind), self.times(|k| k == kind));
        }
        row("all", "", self.faults.len(), self.times(|_| true));
    }

    fn write_applications(&self, page: &mut String) {
        page.push_str(
            "\n## Applications\n\nThe pass-through must give each number of each key once and in \
             order; the word count, without a cache, each count of each word from 1 to the last; \
             the smoke test the least, the greatest and the sum of each key; the join of even with odd \
             numbers each pair of neighbours of each key once and in order; the foreign-key join in the end \
             each row with the last one that it names. Topics and partitions are \
             those of the input in the end: each application begins with one topic of four. Stores are compared \
             with their changelogs up to their checkpoints. Hidden are records of aborted \
             transactions.\n\n| application | topics | partitions | in | out | hidden | lost | duplicated | \
             out of order | wrong | keys with a loss | keys with a duplicate | stores |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for a in &self.applications {
            let t = &a.tally;
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                a.job,
                a.inputs.len(),
                a.inputs.iter().sum::<i32>(),
                a.records_in,
                a.records_out,
                a.hidden,
                t.lost,
                t.duplicated,
                t.reordered,
                t.wrong,
                t.keys_lost,
                t.keys_duplicated,
                a.stores
            );
        }
        let examples = self.applications.iter();
        let examples = examples.flat_map(|a| a.tally.examples.iter().map(move |e| (a.job, e)));
        let findings: Vec<String> = self
            .problems()
            .into_iter()
            .chain(examples.map(|(job, example)| format!("{job}: {example}")))
            .collect();
        if !findings.is_empty() {
            page.push_str("\n## Findings\n\n");
            for finding in findings {
                let _ = writeln!(page, "- {finding}");
            }
        }
    }

    /// Writes `<path>.md` and `<path>.json`.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let beside = |extension: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(extension);
            std::path::PathBuf::from(name)
        };
        std::fs::write(beside(".md"), self.markdown())?;
        let json = serde_json::to_string_pretty(&self.json())?;
        std::fs::write(beside(".json"), json + "\n")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let times = Times::of((1..=200).rev().collect());
        assert_eq!(times, Times { count: 200, p50: 100, p99: 198, max: 200 });
        assert_eq!(Times::of(vec![7]), Times { count: 1, p50: 7, p99: 7, max: 7 });
        assert_eq!(Times::of(Vec::new()).max, 0);
    }
}
