//! What a check found, as a value and for people.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::plan::Case;

/// So many failures are told in full.
const SHOWN: usize = 8;

/// A check in which every case was exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The check.
    pub name: String,
    /// The requests of a run without faults.
    pub requests: usize,
    /// The cases that were run.
    pub cases: usize,
    /// Of these, the ones whose request did not come, though they were tried again: requests that
    /// depend on time. They were exact, but show nothing.
    pub not_reached: Vec<String>,
    /// Cases by what happened in them, those that were not reached left out.
    pub by_fault: BTreeMap<String, usize>,
    /// Cases in which the application ended with an error, as it may (a right that is missing,
    /// say), and went on when it was started again.
    pub stopped: usize,
    /// The records in the outputs of a run.
    pub outputs: usize,
    /// The seed of the order of cases.
    pub seed: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = self.cases - self.not_reached.len();
        write!(
            f,
            "{}: exact in {reached} cases of {} ({} not reached): {} requests, {} kinds of faults, \
             {} output records; {} stopped with an error and went on; {:.1} s, seed {}",
            self.name,
            self.cases,
            self.not_reached.len(),
            self.requests,
            self.by_fault.len(),
            self.outputs,
            self.stopped,
            self.elapsed.as_secs_f64(),
            self.seed
        )
    }
}

/// A case that was not exact.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaseFailure {
    /// The request and what happened at it.
    pub case: String,
    /// What was wrong afterwards.
    pub problems: Vec<String>,
    /// The requests around the fault.
    pub requests: Vec<String>,
}

impl fmt::Display for CaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "* {}", self.case)?;
        for problem in &self.problems {
            writeln!(f, "    {problem}")?;
        }
        if !self.requests.is_empty() {
            writeln!(f, "  requests around it:")?;
        }
        for request in &self.requests {
            writeln!(f, "    {request}")?;
        }
        Ok(())
    }
}

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct CheckFailure {
    /// The check.
    pub name: String,
    /// The seed of the order of cases.
    pub seed: u64,
    /// How many cases were run before it ended.
    pub cases: usize,
    /// Cases that were not exact.
    pub failures: Vec<CaseFailure>,
}

impl CheckFailure {
    /// A check that could not even begin.
    pub(super) fn early(name: &str, seed: u64, what: &str, problems: Vec<String>) -> Self {
        let failure = CaseFailure { case: what.to_owned(), problems, requests: Vec::new() };
        Self { name: name.to_owned(), seed, cases: 0, failures: vec![failure] }
    }
}

impl fmt::Display for CheckFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, count) = (&self.name, self.failures.len());
        writeln!(
            f,
            "{name}: not exactly once: {count} of {} cases, seed {}",
            self.cases, self.seed
        )?;
        for failure in self.failures.iter().take(SHOWN) {
            write!(f, "{failure}")?;
        }
        for failure in self.failures.iter().skip(SHOWN) {
            let first = failure.problems.first().map_or("", String::as_str);
            writeln!(f, "* {}: {first}", failure.case)?;
        }
        write!(f, "One case alone: ONCESTREAM_CHECK_ONLY='<text of the case>'")
    }
}

/// Counts a case that was reached.
pub(super) fn count(by_fault: &mut BTreeMap<String, usize>, case: &Case) {
    *by_fault.entry(case.what()).or_default() += 1;
}
