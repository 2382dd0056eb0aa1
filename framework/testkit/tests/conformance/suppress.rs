//! The topologies of `ConformanceSuppress.java`: results that wait for their windows to close, or for a
//! time.
//!
//! Knows topologies; not how a case is played.

use std::time::Duration;

use oncestream_core::serde::HasSerde;
use oncestream_operators::{
    BufferConfig, Consumed, Data, KTable, Materialized, SessionWindows, SlidingWindows,
    StreamsBuilder, Suppressed, TimeWindows, Windowed,
};

use crate::format::Windows;
use crate::functions::{Text, join, join_or_reset, show};
use crate::play::Setup;
use crate::windowed::{grouped, joined, write};

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &str) -> Option<Setup> {
    let b = StreamsBuilder::new();
    let fails = |buffer: BufferConfig<_>| buffer.shut_down_when_full();
    let stores: &[&str] = match case {
        "suppress_tumbling" | "suppress_many_keys" => tumbling(&b),
        "suppress_hopping_nulls" => hopping(&b),
        "suppress_sliding" => sliding(&b),
        "suppress_session" => sessions(&b),
        "suppress_tables" => tables(&b),
        "suppress_limit_windowed" => limit_windowed(&b),
        "suppress_limit_count" => limit_count(&b, BufferConfig::unbounded()),
        "suppress_limit_records" => limit_count(&b, BufferConfig::max_records(2)),
        "suppress_limit_bytes" => limit_count(&b, BufferConfig::max_bytes(110)),
        "suppress_full_records" => limit_count(&b, fails(BufferConfig::max_records(2))),
        "suppress_full_bytes" => limit_count(&b, fails(BufferConfig::max_bytes(110))),
        "suppress_closes_full" => closes_full(&b),
        "suppress_table" => table(&b),
        "suppress_limit_zero" => limit_zero(&b),
        _ => return None,
    };
    let setup = Setup::new(b.build().unwrap(), stores);
    Some(match (stores, case) {
        (["reduced"], "suppress_session") => setup.with_windows("reduced", Windows::Session),
        (["reduced"], _) => setup.with_windows("reduced", TEN),
        _ => setup,
    })
}

type Stores = &'static [&'static str];

const LIMIT: Duration = ms(12);
const TEN: Windows = Windows::Time(10);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn tens(grace: u64) -> TimeWindows {
    TimeWindows::of_size_and_grace(ms(10), ms(grace))
}

/// Writes the final results.
fn closes<V: Data + HasSerde>(table: &KTable<Windowed<Text>, V>, windows: Windows) -> Stores {
    let closes = Suppressed::until_window_closes(BufferConfig::unbounded());
    write(&table.suppress(closes).to_stream(), "out", windows);
    &["reduced"]
}

fn tumbling(b: &StreamsBuilder) -> Stores {
    closes(&grouped(b).windowed_by(tens(5)).reduce(joined, "reduced"), TEN)
}

fn hopping(b: &StreamsBuilder) -> Stores {
    let agg = |_: &Text, v: Text, all: String| join_or_reset(&all, v.as_deref());
    let windowed = grouped(b).windowed_by(tens(5).advance_by(ms(4)));
    closes(&windowed.aggregate(String::new, agg, "reduced"), TEN)
}

fn sliding(b: &StreamsBuilder) -> Stores {
    let windows = SlidingWindows::of_time_difference_and_grace(ms(10), ms(5));
    closes(&grouped(b).windowed_by(windows).reduce(joined, "reduced"), TEN)
}

fn sessions(b: &StreamsBuilder) -> Stores {
    let windows = SessionWindows::of_inactivity_gap_and_grace(ms(6), ms(5));
    closes(&grouped(b).windowed_by(windows).reduce(joined, "reduced"), Windows::Session)
}

/// What follows a suppressed table: a filter, and a table of tables, which needs old values.
fn tables(b: &StreamsBuilder) -> Stores {
    let closes = Suppressed::until_window_closes(BufferConfig::unbounded());
    let counts = grouped(b).windowed_by(tens(5)).count("counts").suppress(closes);
    write(&counts.filter(|_, n| *n > 1).to_stream().map_values(show), "many", TEN);
    counts
        .group_by(|window, n| (window.key.clone(), *n))
        .reduce(|one, two| one + two, |one, two| one - two, "sums")
        .to_stream()
        .map_values(show)
        .to("sums");
    &["sums"]
}

fn limit_windowed(b: &StreamsBuilder) -> Stores {
    let reduced = grouped(b).windowed_by(tens(15)).reduce(joined, "reduced");
    let later = Suppressed::until_time_limit(LIMIT, BufferConfig::unbounded());
    write(&reduced.suppress(later).to_stream(), "out", TEN);
    &[]
}

/// Final results, from a buffer that must not get full.
fn closes_full(b: &StreamsBuilder) -> Stores {
    let reduced = grouped(b).windowed_by(tens(15)).reduce(joined, "reduced");
    let buffer = BufferConfig::max_records(4).shut_down_when_full();
    write(&reduced.suppress(Suppressed::until_window_closes(buffer)).to_stream(), "out", TEN);
    &[]
}

fn limit_count<WhenFull>(b: &StreamsBuilder, buffer: BufferConfig<WhenFull>) -> Stores {
    let agg = |_: &Text, v: Text, all: String| join_or_reset(&all, v.as_deref());
    let table = grouped(b).aggregate(String::new, agg, "agg");
    table.suppress(Suppressed::until_time_limit(LIMIT, buffer)).to_stream().to("out");
    &[]
}

fn limit_zero(b: &StreamsBuilder) -> Stores {
    let agg = |_: &Text, v: Text, all: String| join(all.as_str(), v.as_deref());
    let table = grouped(b).aggregate(String::new, agg, "agg");
    let at_once = Suppressed::until_time_limit(Duration::ZERO, BufferConfig::unbounded());
    table.suppress(at_once).to_stream().to("out");
    &[]
}

fn table(b: &StreamsBuilder) -> Stores {
    let table: KTable<String, String> = b.table("in").materialized("table");
    let buffer = BufferConfig::max_records(3).emit_early_when_full();
    let later = table.suppress(Suppressed::until_time_limit(LIMIT, buffer));
    later.to_stream().to("out");
    later.map_values(|v| v + "!").to_stream().to("mapped");
    later
        .group_by(|k, v| (v.clone(), k.clone()))
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("counts");
    &["table", "counts"]
}

/// Those of `ConformanceNames.java`.
pub(crate) fn named(b: &StreamsBuilder, case: &str) -> Option<()> {
    let in_hours = |store: Materialized<Text, i64>| {
        let minute = Duration::from_secs(60);
        let hours = TimeWindows::of_size_and_grace(60 * minute, minute);
        b.stream::<Text, Text>("in").group_by_key().windowed_by(hours).count(store)
    };
    let closes = || Suppressed::until_window_closes(BufferConfig::unbounded());
    let limit = |buffer| Suppressed::until_time_limit(Duration::from_secs(60), buffer);
    let counts =
        |store: Materialized<Text, i64>| b.stream::<Text, Text>("in").group_by_key().count(store);
    let buffer = BufferConfig::max_records(5);
    match case {
        "suppress" => {
            write(&in_hours(Materialized::new()).suppress(closes()).to_stream(), "out", TEN);
        }
        "suppress_named" => {
            write(&in_hours("s".into()).suppress(closes().with_name("x")).to_stream(), "out", TEN);
        }
        "suppress_limit" => {
            counts(Materialized::new()).suppress(limit(buffer)).to_stream().to("out");
        }
        "suppress_log_settings" => {
            let buffer = buffer.topic_setting("segment.bytes", "1000000");
            counts("s".into()).suppress(limit(buffer)).to_stream().to("out");
        }
        "suppress_no_log" => {
            counts("s".into()).suppress(limit(buffer.logging_disabled())).to_stream().to("out");
        }
        "suppress_named_beside_another" => {
            b.stream::<Text, Text>("other").map_values(|v| v).to("also");
            write(&in_hours("s".into()).suppress(closes().with_name("x")).to_stream(), "out", TEN);
        }
        _ => return None,
    }
    Some(())
}

/// Those of `ConformanceRefused.java`. A limit cannot be negative here.
pub(crate) fn refused(b: &StreamsBuilder, case: &str) -> Option<()> {
    let ten = Duration::from_millis(10);
    match case {
        "final_results_of_a_table" => {
            let keys = Windowed::time_serde(Text::serde(), ten);
            let table = b.table(Consumed::with("in", keys, i64::serde()));
            table.suppress(Suppressed::until_window_closes(BufferConfig::unbounded()));
        }
        "buffer_of_no_records" => {
            let windows = TimeWindows::of_size_and_grace(ten, ten / 2);
            let buffer = BufferConfig::max_records(0).shut_down_when_full();
            let grouped = b.stream::<Text, Text>("in").group_by_key();
            let counts = grouped.windowed_by(windows).count(Materialized::new());
            counts.suppress(Suppressed::until_window_closes(buffer));
        }
        _ => return None,
    }
    Some(())
}
