//! The topologies of `ConformanceTimeWindows.java`: time windows, tumbling and hopping, and unlimited ones,
//! that emit on update, and what follows a windowed table.
//!
//! Knows topologies; not how a case is played. What a case says of its windows is in its options.

use oncestream_operators::{StreamsBuilder, TimeWindows, UnlimitedWindows};

use crate::format::{Case, Windows};
use crate::functions::{RESET, Text, join, join_or_reset, show};
use crate::play::Setup;
use crate::windowed::{grouped, joined, kept, write};

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &Case) -> Option<Setup> {
    let b = StreamsBuilder::new();
    let stores: Stores = match &*case.name {
        "tumbling_count_no_grace" | "tumbling_count" | "tumbling_count_many_keys" => {
            count(&b, case)
        }
        "tumbling_reduce" | "hopping_reduce" => reduce(&b, case),
        "tumbling_aggregate"
        | "hopping_aggregate_no_grace"
        | "tumbling_minutes"
        | "hopping_in_memory"
        | "tumbling_long_retention" => aggregate(&b, case),
        "tumbling_null_results" | "hopping_null_results" => nulls(&b, case),
        "hopping_after_repartition" => repartitioned(&b, case),
        "tumbling_tables" => tables(&b, case),
        "unlimited_reduce" | "unlimited_reduce_from" => unlimited(&b, case),
        _ => return None,
    };
    // The first one has the windows.
    Some(Setup::new(b.build().unwrap(), stores).with_windows(stores[0], keys(case)))
}

type Stores = &'static [&'static str];

/// The windows that a case says.
pub(crate) fn windows(case: &Case) -> TimeWindows {
    let of = |option: &str| case.duration(option);
    let windows = TimeWindows::of_size_and_grace(of("size").unwrap(), of("grace").unwrap());
    of("advance").map_or(windows, |advance| windows.advance_by(advance))
}

/// How their keys are printed. Unlimited windows have no size, and end at the greatest time.
pub(crate) fn keys(case: &Case) -> Windows {
    Windows::Time(case.option("size").map_or(i64::MAX, |size| size.parse().unwrap()))
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

/// Also with a longer retention, which keeps windows and lets no late record in, and in memory: here there
/// is one kind of store.
fn aggregate(b: &StreamsBuilder, case: &Case) -> Stores {
    let agg = grouped(b).windowed_by(windows(case)).aggregate(
        String::new,
        |_, v, all| join(all.as_str(), v.as_deref()),
        kept::<String>("agg", case),
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

/// The key changes before the windows, so records come through a repartition topic.
fn repartitioned(b: &StreamsBuilder, case: &Case) -> Stores {
    let by_value = b.stream::<Text, Text>("in").group_by(|_, v| v.clone().filter(|v| v != RESET));
    let agg = by_value.windowed_by(windows(case)).aggregate(
        String::new,
        |_, v, all| join(all.as_str(), v.as_deref()),
        "agg",
    );
    write(&agg.to_stream(), "out", keys(case));
    &["agg"]
}

/// What follows a windowed table: filters, mapped values, and a table of tables.
fn tables(b: &StreamsBuilder, case: &Case) -> Stores {
    let counts = grouped(b).windowed_by(windows(case)).count("counts");
    write(&counts.to_stream().map_values(show), "out", keys(case));
    let even = counts.filter(|_, n| n % 2 == 0);
    write(&even.to_stream().map_values(show), "even", keys(case));
    write(&counts.map_values(|n| format!("n{n}")).to_stream(), "mapped", keys(case));
    counts
        .group_by(|window, n| (window.key.clone(), *n))
        .reduce(|one, two| one + two, |one, two| one - two, "sums")
        .to_stream()
        .map_values(show)
        .to("sums");
    &["counts", "sums"]
}

fn unlimited(b: &StreamsBuilder, case: &Case) -> Stores {
    let start_ms = case.option("start").unwrap().parse().unwrap();
    let windows = UnlimitedWindows::of().start_on(start_ms);
    let reduced = grouped(b).windowed_by(windows).reduce(joined, "reduced");
    write(&reduced.to_stream(), "out", keys(case));
    &["reduced"]
}
