//! The topologies of `ConformanceCommits.java`: caches over several updates, with a commit where a case
//! says so.
//!
//! Knows topologies; not how a case is played.

use oncestream_operators::{BufferConfig, KTable, Materialized, StreamsBuilder, Suppressed};

use crate::format::{Case, Windows};
use crate::functions::{Text, join, join_or_reset, show};
use crate::play::Setup;
use crate::windowed::{grouped, write};
use crate::{session_windows, time_windows};

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &Case) -> Option<Setup> {
    let b = StreamsBuilder::new();
    match &*case.name {
        "aggregations" => aggregations(&b),
        "mapped_and_filtered" => mapped(&b),
        "two_aggregations" => counted(&b),
        "tumbling_count" | "hopping_count" => time(&b, case),
        "session_count" => sessions(&b, case),
        "suppressed_count" => suppressed(&b, case),
        "table_source" => source(&b),
        "table_group_by" => by_value(&b),
        _ => return None,
    }
    Some(Setup::new(b.build().unwrap(), &[]))
}

/// Texts behind each other, and null after a reset.
fn collected(b: &StreamsBuilder) -> KTable<Text, String> {
    grouped(b).aggregate(String::new, |_, v, all| join_or_reset(&all, v.as_deref()), "agg")
}

fn aggregations(b: &StreamsBuilder) {
    grouped(b).count("counts").to_stream().map_values(show).to("counts");
    let reset = |all: Text, v: Text| join_or_reset(all.as_deref().unwrap(), v.as_deref());
    grouped(b).reduce(reset, "reduced").to_stream().to("reduced");
    collected(b).to_stream().to("agg");
}

fn mapped(b: &StreamsBuilder) {
    let agg = collected(b);
    agg.map_values(|v| v[v.len() - 1..].to_owned())
        .filter(|_, v| v.as_str() <= "c")
        .to_stream()
        .to("filtered");
    agg.map_values_with_key(|k, v| k.clone().unwrap() + &v)
        .materialized("pairs")
        .to_stream()
        .to("pairs");
}

/// Two aggregations one behind the other: in one task, and in two.
fn counted(b: &StreamsBuilder) {
    let counts = grouped(b).count("counts").to_stream().map_values(show);
    counts
        .group_by_key()
        .reduce(|all, n| Some(join(all.as_deref(), n.as_deref())), "joined")
        .to_stream()
        .to("joined");
    counts
        .group_by(|_, _| "all".to_owned())
        .grouped("all")
        .aggregate(String::new, |_, n, all| join(all.as_str(), n.as_deref()), "agg")
        .to_stream()
        .to("all");
}

fn time(b: &StreamsBuilder, case: &Case) {
    let counts = grouped(b).windowed_by(time_windows::windows(case)).count("counts");
    write(&counts.to_stream().map_values(show), "out", time_windows::keys(case));
}

fn sessions(b: &StreamsBuilder, case: &Case) {
    let counts = grouped(b).windowed_by(session_windows::windows(case)).count("counts");
    write(&counts.to_stream().map_values(show), "out", Windows::Session);
}

fn suppressed(b: &StreamsBuilder, case: &Case) {
    let closes = Suppressed::until_window_closes(BufferConfig::unbounded());
    let counts = grouped(b).windowed_by(time_windows::windows(case)).count("counts");
    let keys = time_windows::keys(case);
    write(&counts.suppress(closes).to_stream().map_values(show), "out", keys);
}

fn table(b: &StreamsBuilder) -> KTable<String, String> {
    b.table("in").materialized(Materialized::named("table"))
}

fn source(b: &StreamsBuilder) {
    let table = table(b);
    table.to_stream().to("out");
    table.filter(|_, v| v.as_str() <= "c").to_stream().to("filtered");
}

fn by_value(b: &StreamsBuilder) {
    let grouped = table(b).group_by(|k, v| (v.clone(), k.clone())).grouped("by-value");
    grouped.count("counts").to_stream().map_values(show).to("counts");
    let with = |sign: &str, all: &str, v: &str| join(all, format!("{sign}{v}").as_str());
    grouped
        .aggregate(
            String::new,
            move |_, v, all| with("+", &all, &v),
            move |_, v, all| with("-", &all, &v),
            "agg",
        )
        .to_stream()
        .to("agg");
}
