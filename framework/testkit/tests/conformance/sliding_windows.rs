//! The topologies of `ConformanceSlidingWindows.java`: sliding windows that emit on update.
//!
//! Knows topologies; not how a case is played. What a case says of its windows is in its options.

use oncestream_operators::{SlidingWindows, StreamsBuilder};

use crate::format::{Case, Windows};
use crate::functions::{join, join_or_reset, show};
use crate::play::Setup;
use crate::windowed::{grouped, joined, write};

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &Case) -> Option<Setup> {
    let b = StreamsBuilder::new();
    let stores: Stores = match &*case.name {
        "sliding_count" => count(&b, case),
        "sliding_reduce"
        | "sliding_reduce_no_grace"
        | "sliding_reduce_difference_of_one"
        | "sliding_reduce_early"
        | "sliding_reduce_many_keys"
        | "sliding_minutes" => reduce(&b, case),
        "sliding_aggregate" | "sliding_aggregate_in_memory" => aggregate(&b, case),
        "sliding_null_results" => nulls(&b, case),
        _ => return None,
    };
    Some(Setup::new(b.build().unwrap(), stores).with_windows(stores[0], keys(case)))
}

type Stores = &'static [&'static str];

/// The windows that a case says.
pub(crate) fn windows(case: &Case) -> SlidingWindows {
    let of = |option: &str| case.duration(option).unwrap();
    SlidingWindows::of_time_difference_and_grace(of("difference"), of("grace"))
}

/// How their keys are printed: with the time difference for a size.
pub(crate) fn keys(case: &Case) -> Windows {
    Windows::Time(windows(case).time_difference_ms())
}

fn count(b: &StreamsBuilder, case: &Case) -> Stores {
    let counts = grouped(b).windowed_by(windows(case)).count("counts");
    write(&counts.to_stream().map_values(show), "out", keys(case));
    &["counts"]
}

fn reduce(b: &StreamsBuilder, case: &Case) -> Stores {
    let reduced = grouped(b).windowed_by(windows(case)).reduce(joined, "reduced");
    write(&reduced.to_stream(), "out", keys(case));
    &["reduced"]
}

fn aggregate(b: &StreamsBuilder, case: &Case) -> Stores {
    let agg = grouped(b).windowed_by(windows(case)).aggregate(
        String::new,
        |_, v, all| join(all.as_str(), v.as_deref()),
        "agg",
    );
    write(&agg.to_stream(), "out", keys(case));
    &["agg"]
}

fn nulls(b: &StreamsBuilder, case: &Case) -> Stores {
    let agg = grouped(b).windowed_by(windows(case)).aggregate(
        String::new,
        |_, v, all| join_or_reset(&all, v.as_deref()),
        "agg",
    );
    write(&agg.to_stream(), "out", keys(case));
    &["agg"]
}

/// `sliding_reduce_zero_difference`: Kafka Streams builds it, and fails at the first record.
#[test]
fn a_time_difference_of_zero_is_refused_at_build() {
    let cases = crate::format::golden();
    let mut of_zero =
        cases.iter().filter(|case| case.name == "sliding_reduce_zero_difference").peekable();
    assert!(of_zero.peek().is_some(), "the golden files have the case");
    for case in of_zero {
        assert!(case.lines.iter().any(|line| line.starts_with("error\t")), "{}", case.title());
        let b = StreamsBuilder::new();
        reduce(&b, case);
        let refused = b.build().unwrap_err().to_string();
        assert!(refused.contains("time difference is 0 ms"), "{refused}");
    }
}
