//! From samples of a run to its figures. Pure: no clock, no process, no Kafka.
//!
//! The time that counts runs from the first sample at which at least 5 % of the input is
//! committed to the first sample at which all of it is. So the start-up of a JVM, joining the
//! group and creating internal topics are left out for everyone, of the rate and of the CPU time
//! alike. Both ends fall on a commit seen at the next sample, so the error of one cancels that of
//! the other on average.

use std::time::Duration;

/// How often the parent looks. A commit comes every 100 ms; sampling more coarsely than that
/// would cost a short run several per cent.
pub(crate) const SAMPLE_INTERVAL: Duration = Duration::from_millis(50);

/// What the parent saw at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Since the child was started.
    pub(crate) at: Duration,
    /// Records of the input that the group has committed.
    pub(crate) committed: u64,
    /// User and system CPU time of the child, all its threads.
    pub(crate) cpu: Duration,
    /// The largest resident set of the child until now (`VmHWM`).
    pub(crate) peak_rss_bytes: u64,
    /// All of the input is committed, and what lies in repartition topics too.
    pub(crate) done: bool,
}

/// The figures of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    /// Input records committed per second.
    pub(crate) records_per_second: f64,
    /// Input records committed per second of CPU time of the contender's process.
    pub(crate) records_per_cpu_second: f64,
    /// The largest resident set from the process's start to the last commit.
    pub(crate) peak_rss_bytes: u64,
    /// The length of the measured time.
    pub(crate) seconds: f64,
}

/// Works out the figures; `None` when the run was too short to give any, or did not finish.
pub(crate) fn figures(samples: &[Sample], total: u64) -> Option<Figures> {
    let start = samples.iter().find(|sample| sample.committed.saturating_mul(20) >= total)?;
    let end = samples.iter().find(|sample| sample.done)?;
    let records = end.committed.checked_sub(start.committed)? as f64;
    let seconds = end.at.checked_sub(start.at)?.as_secs_f64();
    let cpu_seconds = end.cpu.checked_sub(start.cpu)?.as_secs_f64();
    // Ten samples: with fewer, where the samples fall decides the result.
    if records == 0.0 || cpu_seconds == 0.0 || seconds < 10.0 * SAMPLE_INTERVAL.as_secs_f64() {
        return None;
    }
    Some(Figures {
        records_per_second: records / seconds,
        records_per_cpu_second: records / cpu_seconds,
        peak_rss_bytes: end.peak_rss_bytes,
        seconds,
    })
}

/// The median of each figure on its own; `None` of nothing.
pub(crate) fn medians(runs: &[Figures]) -> Option<Figures> {
    let of = |get: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(get).collect();
        values.sort_by(f64::total_cmp);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len().checked_sub(1)?) / 2)?;
        Some(f64::midpoint(lower, upper))
    };
    Some(Figures {
        records_per_second: of(|run| run.records_per_second)?,
        records_per_cpu_second: of(|run| run.records_per_cpu_second)?,
        peak_rss_bytes: of(|run| run.peak_rss_bytes as f64)? as u64,
        seconds: of(|run| run.seconds)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: u64, committed: u64, cpu_ms: u64, done: bool) -> Sample {
        Sample {
            at: Duration::from_millis(at_ms),
            committed,
            cpu: Duration::from_millis(cpu_ms),
            peak_rss_bytes: at_ms,
            done,
        }
    }

    #[test]
    fn start_up_is_left_out_of_rate_and_cpu() {
        let samples = [
            sample(0, 0, 0, false),
            sample(9_000, 40, 8_000, false),
            sample(10_000, 100, 9_000, false),
            sample(12_000, 1_000, 10_000, true),
            sample(15_000, 1_000, 99_000, true),
        ];
        let figures = figures(&samples, 1_000).unwrap();
        assert!((figures.records_per_second - 450.0).abs() < 1e-9);
        assert!((figures.records_per_cpu_second - 900.0).abs() < 1e-9);
        assert_eq!(figures.peak_rss_bytes, 12_000);
    }

    #[test]
    fn too_short_or_unfinished_gives_no_figure() {
        let unfinished = [sample(0, 100, 0, false), sample(5_000, 999, 500, false)];
        assert_eq!(figures(&unfinished, 1_000), None);
        let at_once = [sample(0, 0, 0, false), sample(5_000, 1_000, 500, true)];
        assert_eq!(figures(&at_once, 1_000), None);
        let short = [sample(0, 100, 0, false), sample(400, 1_000, 500, true)];
        assert_eq!(figures(&short, 1_000), None);
    }

    #[test]
    fn medians_stand_between_the_middle_two() {
        let run = |rate| Figures {
            records_per_second: rate,
            records_per_cpu_second: rate,
            peak_rss_bytes: rate as u64,
            seconds: 1.0,
        };
        assert_eq!(medians(&[]), None);
        assert!((medians(&[run(9.0)]).unwrap().records_per_second - 9.0).abs() < 1e-9);
        let four = [run(1.0), run(8.0), run(2.0), run(4.0)];
        assert!((medians(&four).unwrap().records_per_second - 3.0).abs() < 1e-9);
    }
}
