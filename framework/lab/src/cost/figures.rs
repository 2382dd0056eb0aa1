//! The figures of runs, and what several runs give together. Pure.

use serde_json::{Value, json};

use super::{Batches, Delivery, Variant};

/// The middle and the ends of what several runs gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The lowest.
    pub min: f64,
    /// The one in the middle, or halfway between the two in the middle.
    pub median: f64,
    /// The highest.
    pub max: f64,
}

impl Spread {
    /// Of some values; none of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get(values.len().checked_sub(1)? / 2)?;
        let median = f64::midpoint(lower, upper);
        Some(Self { min: *values.first()?, median, max: *values.last()? })
    }
}

/// A latency of one run, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Half of the records took no longer.
    pub p50_ms: f64,
    /// 99 of 100 records took no longer.
    pub p99_ms: f64,
}

impl Latency {
    /// Of the times of records in microseconds; none of nothing.
    pub(super) fn of(mut times_us: Vec<u64>) -> Option<Self> {
        times_us.sort_unstable();
        let last = times_us.len().checked_sub(1)?;
        let at = |percent: usize| times_us.get((last * percent).div_ceil(100));
        Some(Self { p50_ms: *at(50)? as f64 / 1e3, p99_ms: *at(99)? as f64 / 1e3 })
    }
}

/// What one run of one producer gave.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Figures {
    /// Records a second at full speed, from the first to the last acknowledgement or commit.
    pub records_per_second: f64,
    /// The same in megabytes (10^6 bytes) of values.
    pub megabytes_per_second: f64,
    /// Seconds of CPU time, of all threads of this process, for a million records at full speed.
    /// None where the system does not tell.
    pub cpu_seconds_per_million: Option<f64>,
    /// At the slower pace: from when a record is due to its acknowledgement.
    pub acknowledged: Latency,
    /// The same to the commit of its transaction, if there is one.
    pub committed: Option<Latency>,
}

impl Figures {
    /// Until a record counts for readers of committed records: its commit, or its acknowledgement
    /// without a transaction.
    pub fn counted(&self) -> Latency {
        self.committed.unwrap_or(self.acknowledged)
    }
}

/// A producer and all that was measured of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Measurement {
    /// The producer.
    pub variant: Variant,
    /// Its runs, one a round.
    pub runs: Vec<Figures>,
}

impl Measurement {
    pub(super) fn new(variant: Variant) -> Self {
        Self { variant, runs: Vec::new() }
    }

    /// The spread of one figure; none if no run has it.
    pub fn spread(&self, figure: impl Fn(&Figures) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(figure))
    }

    fn json(&self) -> Value {
        let both = [self.variant.delivery.settings(), self.variant.batches.settings()];
        let settings: serde_json::Map<String, Value> = both
            .into_iter()
            .flatten()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let commit_interval_ms = match self.variant.delivery {
            Delivery::Transactional { commit_interval } => Some(commit_interval.as_millis() as u64),
            _ => None,
        };
        let figures: serde_json::Map<String, Value> = FIGURES
            .iter()
            .map(|(name, figure)| {
                let runs: Vec<_> = self.runs.iter().map(figure).collect();
                let spread = self
                    .spread(figure)
                    .map(|s| json!({"median": s.median, "min": s.min, "max": s.max, "runs": runs}));
                ((*name).to_owned(), spread.unwrap_or(Value::Null))
            })
            .collect();
        json!({
            "producer": self.variant.delivery.to_string(),
            "batches": self.variant.batches.to_string(),
            "commit_interval_ms": commit_interval_ms,
            "settings": settings,
            "figures": figures,
        })
    }
}

/// A figure of a run, where it has one.
pub(super) type Figure = fn(&Figures) -> Option<f64>;

/// All figures under the names that programs read.
pub(super) const FIGURES: [(&str, Figure); 7] = [
    ("records_per_second", |f| Some(f.records_per_second)),
    ("megabytes_per_second", |f| Some(f.megabytes_per_second)),
    ("cpu_seconds_per_million", |f| f.cpu_seconds_per_million),
    ("acknowledged_p50_ms", |f| Some(f.acknowledged.p50_ms)),
    ("acknowledged_p99_ms", |f| Some(f.acknowledged.p99_ms)),
    ("committed_p50_ms", |f| f.committed.map(|c| c.p50_ms)),
    ("committed_p99_ms", |f| f.committed.map(|c| c.p99_ms)),
];

/// Under what the figures were measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conditions {
    /// Brokers of the cluster.
    pub brokers: usize,
    /// Partitions of each topic.
    pub partitions: usize,
    /// Replicas of each partition.
    pub replicas: usize,
    /// `min.insync.replicas` of the topics, if the brokers tell.
    pub min_insync_replicas: Option<String>,
    /// Records of a run at full speed.
    pub records: u64,
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// Records a second for the latency.
    pub rate: u32,
    /// For so long, in milliseconds.
    pub paced_ms: u64,
    /// Rounds.
    pub rounds: usize,
    /// The client library's version.
    pub librdkafka: String,
}

impl std::fmt::Display for Conditions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} broker(s), {} partitions, {} replica(s), min.insync.replicas={}, {} records of {} \
             bytes at full speed, {} records/s for {} ms, {} round(s), librdkafka {}",
            self.brokers,
            self.partitions,
            self.replicas,
            self.min_insync_replicas.as_deref().unwrap_or("unknown"),
            self.records,
            self.record_bytes,
            self.rate,
            self.paced_ms,
            self.rounds,
            self.librdkafka,
        )
    }
}

/// What guarantees cost: the result of a [`Plan`](super::Plan).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Costs {
    /// Under what it was measured.
    pub conditions: Conditions,
    /// The producers, in the order of the plan.
    pub measurements: Vec<Measurement>,
}

impl Costs {
    /// A table for people, in Markdown: medians, with the lowest and the highest.
    pub fn table(&self) -> String {
        super::table::table(self)
    }

    /// A plot: bars for the medians, lines from the lowest to the highest.
    pub fn svg(&self) -> String {
        super::plot::svg(self)
    }

    /// All figures of all runs, for programs.
    pub fn json(&self) -> Value {
        let c = &self.conditions;
        json!({
            "conditions": {
                "brokers": c.brokers,
                "partitions": c.partitions,
                "replicas": c.replicas,
                "min_insync_replicas": c.min_insync_replicas,
                "records": c.records,
                "record_bytes": c.record_bytes,
                "paced_records_per_second": c.rate,
                "paced_ms": c.paced_ms,
                "rounds": c.rounds,
                "librdkafka": c.librdkafka,
            },
            "measurements": self.measurements.iter().map(Measurement::json).collect::<Vec<_>>(),
        })
    }

    /// The measurements with such batches.
    pub(super) fn with(&self, batches: Batches) -> impl Iterator<Item = &Measurement> {
        self.measurements.iter().filter(move |m| m.variant.batches == batches)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests")]

    use super::*;

    #[test]
    fn a_median_stands_between_the_two_in_the_middle() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([9.0]), Some(Spread { min: 9.0, median: 9.0, max: 9.0 }));
        let four = Spread::of([1.0, 8.0, 2.0, 4.0]).unwrap();
        assert_eq!(four, Spread { min: 1.0, median: 3.0, max: 8.0 });
    }

    #[test]
    fn a_percentile_is_a_time_that_a_record_took() {
        assert_eq!(Latency::of(vec![]), None);
        let one = Latency::of(vec![2_000]).unwrap();
        assert_eq!((one.p50_ms, one.p99_ms), (2.0, 2.0));
        let all = Latency::of((1..=1_001).rev().map(|ms| ms * 1_000).collect()).unwrap();
        assert_eq!((all.p50_ms, all.p99_ms), (501.0, 991.0));
    }
}
