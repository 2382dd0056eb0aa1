//! The topologies of `ConformanceSessionWindows.java`: sessions that emit on update.
//!
//! Knows topologies; not how a case is played. What a case says of its windows is in its options.

use oncestream_operators::{SessionWindows, StreamsBuilder};

use crate::format::{Case, Windows};
use crate::functions::{Text, join, join_or_reset, show};
use crate::play::Setup;
use crate::windowed::{grouped, joined, write};

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &Case) -> Option<Setup> {
    let b = StreamsBuilder::new();
    let stores: Stores = match &*case.name {
        "session_count" => count(&b, case),
        "session_reduce"
        | "session_reduce_no_grace"
        | "session_reduce_zero_gap"
        | "session_reduce_many_keys"
        | "session_minutes" => reduce(&b, case),
        "session_aggregate" | "session_aggregate_in_memory" => aggregate(&b, case),
        "session_null_results" => nulls(&b, case),
        "session_tables" => tables(&b, case),
        _ => return None,
    };
    // The first one has the sessions.
    Some(Setup::new(b.build().unwrap(), stores).with_windows(stores[0], Windows::Session))
}

type Stores = &'static [&'static str];

/// The windows that a case says.
pub(crate) fn windows(case: &Case) -> SessionWindows {
    let of = |option: &str| case.duration(option).unwrap();
    SessionWindows::of_inactivity_gap_and_grace(of("gap"), of("grace"))
}

fn count(b: &StreamsBuilder, case: &Case) -> Stores {
    let counts = grouped(b).windowed_by(windows(case)).count("counts");
    write(&counts.to_stream().map_values(show), "out", Windows::Session);
    &["counts"]
}

fn reduce(b: &StreamsBuilder, case: &Case) -> Stores {
    let reduced = grouped(b).windowed_by(windows(case)).reduce(joined, "reduced");
    write(&reduced.to_stream(), "out", Windows::Session);
    &["reduced"]
}

fn aggregate(b: &StreamsBuilder, case: &Case) -> Stores {
    let agg = grouped(b).windowed_by(windows(case)).aggregate(
        String::new,
        |_, v, all| join(all.as_str(), v.as_deref()),
        merged,
        "agg",
    );
    write(&agg.to_stream(), "out", Windows::Session);
    &["agg"]
}

fn nulls(b: &StreamsBuilder, case: &Case) -> Stores {
    let agg = grouped(b).windowed_by(windows(case)).aggregate(
        String::new,
        |_, v, all| join_or_reset(&all, v.as_deref()),
        merged,
        "agg",
    );
    write(&agg.to_stream(), "out", Windows::Session);
    &["agg"]
}

/// The value of a session that two have become.
pub(crate) fn merged(_: &Text, one: String, two: String) -> String {
    join(one.as_str(), format!("|{two}").as_str())
}

/// A table of tables: merged sessions take what they gave back.
fn tables(b: &StreamsBuilder, case: &Case) -> Stores {
    let counts = grouped(b).windowed_by(windows(case)).count("counts");
    let even = counts.filter(|_, n| n % 2 == 0);
    write(&even.to_stream().map_values(show), "even", Windows::Session);
    counts
        .group_by(|session, n| (session.key.clone(), *n))
        .reduce(|one, two| one + two, |one, two| one - two, "sums")
        .to_stream()
        .map_values(show)
        .to("sums");
    &["counts", "sums"]
}
